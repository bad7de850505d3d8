// SPDX-License-Identifier: Apache-2.0
//! The machine that a run was measured on.

use serde::{Deserialize, Serialize};

/// What a reader of a report wants to know of the machine. Empty where the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Environment {
    /// Such as `Linux 6.1.0`.
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// Processors that this process may use.
    pub processors: u32,
    /// Memory in bytes.
    pub memory: u64,
}

impl Environment {
    /// This machine, by what Linux says in `/proc`.
    pub fn of_this_machine() -> Environment {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Environment {
            system: format!(
                "{} {}",
                read("/proc/sys/kernel/ostype").trim(),
                read("/proc/sys/kernel/osrelease").trim()
            ),
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(0, |n| n.get() as u32),
            memory: memory.unwrap_or(0) * 1024,
        }
    }
}
