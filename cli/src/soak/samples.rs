// SPDX-License-Identifier: Apache-2.0
//! Memory and descriptors of a process: at rest after each round, and at their largest in between; and what counts as flat.

use serde::Serialize;
use std::fs;
use std::io;

/// Memory at rest may be larger at the end than after the warm-up by this part of it, and by so many bytes: what the
/// allocator keeps of the largest load that chance has brought so far.
pub(super) const GROWTH: f64 = 0.10;
pub(super) const MEMORY_SLACK: u64 = 32 << 20;
/// Descriptors at rest, without the connections that wait for their next use.
pub(super) const DESCRIPTOR_SLACK: u64 = 4;

/// A process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sample {
    /// Resident memory.
    pub(super) memory_bytes: u64,
    pub(super) descriptors: u64,
    /// Those of them that are connections of the client, used or idle; not known of another process.
    pub(super) connections: u64,
    pub(super) threads: u64,
}

impl Sample {
    /// Of a process, by its number or `self`.
    pub(super) fn of(process: &str, connections: u64) -> io::Result<Sample> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
        };
        // One of them is the folder that is read here, where it is this process's own.
        let listed = fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64;
        Ok(Sample {
            memory_bytes: value("VmRSS") << 10,
            descriptors: listed - u64::from(process == "self"),
            connections,
            threads: value("Threads"),
        })
    }

    fn without_connections(&self) -> u64 {
        self.descriptors.saturating_sub(self.connections)
    }
}

/// The first and the last at rest, and the largest of each figure at any time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Samples {
    pub(super) first: Option<Sample>,
    pub(super) last: Option<Sample>,
    pub(super) largest: Sample,
}

impl Samples {
    /// At any time.
    pub(super) fn add(&mut self, sample: Sample) {
        let largest = &mut self.largest;
        largest.memory_bytes = largest.memory_bytes.max(sample.memory_bytes);
        largest.descriptors = largest.descriptors.max(sample.descriptors);
        largest.connections = largest.connections.max(sample.connections);
        largest.threads = largest.threads.max(sample.threads);
    }

    /// At rest, when the warm-up has ended.
    pub(super) fn rest(&mut self, sample: Sample) {
        self.add(sample);
        self.first.get_or_insert(sample);
        self.last = Some(sample);
    }

    /// What is not flat.
    pub(super) fn leaks(&self) -> Vec<String> {
        let (Some(first), Some(last)) = (self.first, self.last) else { return Vec::new() };
        let mut leaks = Vec::new();
        let most = (first.memory_bytes as f64 * (1.0 + GROWTH)) as u64 + MEMORY_SLACK;
        if last.memory_bytes > most {
            leaks.push(format!(
                "memory has grown from {} to {} bytes, which is more than {most}",
                first.memory_bytes, last.memory_bytes
            ));
        }
        let (from, to) = (first.without_connections(), last.without_connections());
        if to > from + DESCRIPTOR_SLACK {
            leaks.push(format!(
                "descriptors without connections have grown from {from} to {to}, which is more than {DESCRIPTOR_SLACK} more"
            ));
        }
        leaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(memory_bytes: u64, descriptors: u64, connections: u64) -> Sample {
        Sample { memory_bytes, descriptors, connections, threads: 1 }
    }

    fn leaks(first: Sample, last: Sample) -> usize {
        let mut samples = Samples::default();
        samples.rest(first);
        samples.rest(sample(1 << 40, 10_000, 0));
        samples.rest(last);
        samples.leaks().len()
    }

    #[test]
    fn growth_beyond_the_bounds_is_a_leak() {
        let first = sample(100 << 20, 30, 10);
        assert_eq!(leaks(first, sample(142 << 20, 30, 10)), 0);
        assert_eq!(leaks(first, sample(143 << 20, 30, 10)), 1);
        assert_eq!(leaks(first, sample(1 << 20, 24, 0)), 0);
        assert_eq!(leaks(first, sample(1 << 20, 60, 40)), 0, "connections come and go");
        assert_eq!(leaks(first, sample(1 << 20, 35, 10)), 1);
        assert_eq!(leaks(first, sample(1 << 30, 35, 10)), 2);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let sample = Sample::of("self", 0).unwrap();
        assert!(sample.memory_bytes > 1 << 20 && sample.descriptors >= 3 && sample.threads >= 1);
        let open = [(); 50].map(|()| fs::File::open("/dev/null").unwrap());
        assert!(Sample::of("self", 0).unwrap().descriptors > open.len() as u64);
    }
}
