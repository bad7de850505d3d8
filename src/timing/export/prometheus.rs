// SPDX-License-Identifier: Apache-2.0
//! Prometheus text exposition (0.0.4): classic histograms of seconds at the bounds that OpenTelemetry advises for
//! `http.client.request.duration`, counted from our buckets, and counters of bytes.

use crate::timing::{Distribution, Key, Snapshot};
use std::fmt::Write;

const BOUNDS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A snapshot as Prometheus text. A bucket that straddles a bound counts above it, so a bound's count is at most one
/// bucket (0.78 %) low.
pub fn prometheus_text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    text.push_str("# HELP storescope_phase_seconds Time of a phase of calls and attempts.\n");
    text.push_str("# TYPE storescope_phase_seconds histogram\n");
    for (key, distribution) in snapshot.iter().filter(|(key, _)| !key.phase.is_bytes()) {
        histogram(&mut text, *key, distribution);
    }
    text.push_str(
        "# HELP storescope_bytes_total Payload bytes asked for, delivered and discarded.\n",
    );
    text.push_str("# TYPE storescope_bytes_total counter\n");
    for (key, distribution) in snapshot.iter().filter(|(key, _)| key.phase.is_bytes()) {
        writeln!(text, "storescope_bytes_total{{{}}} {}", labels(*key), distribution.sum())
            .expect("writing to memory");
    }
    text
}

fn histogram(text: &mut String, key: Key, distribution: &Distribution) {
    let labels = labels(key);
    let mut line = |suffix: &str, bound: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "storescope_phase_seconds{suffix}{{{labels}{bound}}} {value}")
            .expect("writing to memory");
    };
    for bound in BOUNDS_SECONDS {
        let below = distribution.buckets().filter(|(_, highest, _)| *highest as f64 <= bound * 1e9);
        line(
            "_bucket",
            &format!(",le=\"{bound}\""),
            &below.map(|(_, _, count)| count).sum::<u64>(),
        );
    }
    line("_bucket", ",le=\"+Inf\"", &distribution.count());
    line("_sum", "", &(distribution.sum() as f64 / 1e9));
    line("_count", "", &distribution.count());
}

fn labels(key: Key) -> String {
    let Key { level, operation, phase, outcome, size, connection } = key;
    format!(
        "level=\"{level}\",operation=\"{operation}\",phase=\"{phase}\",outcome=\"{outcome}\",size=\"{size}\",connection=\"{connection}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Outcome, Phase, Scope};

    #[test]
    fn buckets_are_cumulative_and_end_in_the_count() {
        let scope = Scope::new("test");
        for milliseconds in [1, 6, 6, 20_000] {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, milliseconds * 1_000_000);
        }
        let text = prometheus_text(&scope.snapshot());
        let value = |bound: &str| {
            let line = text.lines().find(|line| line.contains(&format!("le=\"{bound}\""))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!((value("0.005"), value("0.01"), value("10"), value("+Inf")), (1, 3, 3, 4));
    }
}
