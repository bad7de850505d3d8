// SPDX-License-Identifier: Apache-2.0
//! What is told of a run: a table for people, an object for scripts.

use super::samples::{DESCRIPTOR_SLACK, GROWTH, MEMORY_SLACK, Sample, Samples};
use super::shared::Counts;
use crate::escape;
use crate::figures::size;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;
use storescope::timing::Totals;

/// Operations that gave up, at most, as a part of all: those that met a fault which no other attempt mends.
pub(super) const GAVE_UP: f64 = 0.05;

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) seed: u64,
    pub(super) workers: usize,
    pub(super) stores: Vec<&'static str>,
    pub(super) elapsed: Duration,
    pub(super) rounds: u64,
    /// By the emulator's own count.
    pub(super) requests: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) counts: Counts,
    pub(super) totals: Totals,
    pub(super) client: Samples,
    /// Of the emulator's process, where this one started it.
    pub(super) emulator: Option<Samples>,
}

impl Told {
    /// All that must not be.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.counts.wrong.clone();
        wrong.extend(self.client.leaks());
        let (gave_up, all) = (self.gave_up(), sum(&self.counts.operations));
        if gave_up as f64 > all as f64 * GAVE_UP {
            wrong.push(format!(
                "{gave_up} of {all} operations gave up: the faults account for {} % at most",
                GAVE_UP * 100.0
            ));
        }
        for (what, count) in [("request", self.requests), ("fault", sum(&self.faults))] {
            if count == 0 {
                wrong.push(format!("the emulator counted no {what}: nothing was tried"));
            }
        }
        wrong
    }

    fn gave_up(&self) -> u64 {
        sum(&self.counts.gave_up)
    }

    /// How many things are wrong, those among them that are not told in full.
    pub(super) fn wrongs(&self) -> u64 {
        self.counts.wrongs + (self.wrong().len() - self.counts.wrong.len()) as u64
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "schema": 1,
            "seed": self.seed,
            "workers": self.workers,
            "stores": self.stores,
            "elapsed_s": self.elapsed.as_secs_f64(),
            "rounds": self.rounds,
            "requests": self.requests,
            "faults_injected": sum(&self.faults),
            "faults": self.faults,
            "operations": sum(&self.counts.operations),
            "operation": self.counts.operations,
            "gave_up": self.gave_up(),
            "gave_up_by": self.counts.gave_up,
            "retries": self.totals.retries,
            "hedges": self.totals.hedges,
            "bytes_checked": self.counts.read,
            "bytes_written": self.counts.written,
            "states_checked": self.counts.states,
            "uploads_left_and_aborted": self.counts.left,
            "client": self.client,
            "emulator": self.emulator,
            "bounds": {
                "memory_growth": GROWTH,
                "memory_slack_bytes": MEMORY_SLACK,
                "descriptor_slack": DESCRIPTOR_SLACK,
                "gave_up": GAVE_UP,
            },
            "wrong": self.wrongs(),
            "wrong_told": self.wrong(),
        })
    }

    pub(super) fn print_json(&self) -> io::Result<()> {
        writeln!(io::stdout(), "{}", escape::json(&self.json()))
    }

    pub(super) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let counts = &self.counts;
        let mut line = |name: &str, figure: &dyn Display, about: String| {
            writeln!(out, "{name:<18} {figure:>14}  {}", escape::line(&about))
        };
        let about = format!(
            "seed {}, {} workers, {} rounds, by {}",
            self.seed,
            self.workers,
            self.rounds,
            self.stores.join(" and ")
        );
        line("soak", &format!("{:.0} s", self.elapsed.as_secs_f64()), about)?;
        line("requests", &self.requests, "by the emulator's count".to_owned())?;
        line("faults injected", &sum(&self.faults), listed(&self.faults))?;
        line("operations", &sum(&counts.operations), listed(&counts.operations))?;
        line("gave up", &self.gave_up(), listed(&counts.gave_up))?;
        line("retries", &self.totals.retries, format!("hedges {}", self.totals.hedges))?;
        line("bytes checked", &counts.read, size(counts.read as f64))?;
        line("bytes written", &counts.written, size(counts.written as f64))?;
        line("states checked", &counts.states, "between the rounds, without faults".to_owned())?;
        line("uploads left", &counts.left, "by writes that failed; all aborted".to_owned())?;
        for (whose, samples) in [("", Some(&self.client)), ("emulator's ", self.emulator.as_ref())]
        {
            let Some(samples) = samples else { continue };
            let memory = |sample: &Sample| size(sample.memory_bytes as f64);
            line(&format!("{whose}memory"), &"", samples_of(samples, memory))?;
            let descriptors = |sample: &Sample| sample.descriptors.to_string();
            line(&format!("{whose}descriptors"), &"", samples_of(samples, descriptors))?;
        }
        line("wrong", &self.wrongs(), String::new())?;
        for wrong in self.wrong() {
            writeln!(out, "  {}", escape::line(&wrong))?;
        }
        Ok(())
    }
}

fn samples_of(samples: &Samples, figure: impl Fn(&Sample) -> String) -> String {
    let at_rest = |sample: Option<Sample>| match sample {
        Some(sample) => figure(&sample),
        None => "-".to_owned(),
    };
    format!(
        "first {}, last {}, largest {}",
        at_rest(samples.first),
        at_rest(samples.last),
        figure(&samples.largest)
    )
}

fn sum<K>(counts: &BTreeMap<K, u64>) -> u64 {
    counts.values().sum()
}

fn listed<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
