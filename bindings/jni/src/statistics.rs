// SPDX-License-Identifier: Apache-2.0
//! What a scope has recorded, as lines of names and whole numbers.

use std::fmt::Write;
use storescope::timing::{Level, Operation, Outcome, Phase, Snapshot};

/// The quantiles that are told of times.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// A line each: `LEVEL_OPERATION_count`, `…_failures`, `…_bytes`, and for phases `LEVEL_OPERATION_PHASE_STATISTIC_ns`.
pub(crate) fn lines(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for &level in Level::ALL {
        for &operation in Operation::ALL {
            of(snapshot, level, operation, &mut text);
        }
    }
    text
}

fn of(snapshot: &Snapshot, level: Level, operation: Operation, text: &mut String) {
    let outcomes = snapshot.outcomes(level, operation);
    let count: u64 = outcomes.values().sum();
    if count == 0 {
        return;
    }
    let well = outcomes.get(&storescope::timing::Outcome::Ok).copied().unwrap_or(0);
    line(text, format_args!("{level}_{operation}_count"), count);
    line(text, format_args!("{level}_{operation}_failures"), count - well);
    for &phase in Phase::ALL {
        let all = snapshot
            .select(|key| key.level == level && key.operation == operation && key.phase == phase);
        let Some(all) = all else { continue };
        if phase.is_bytes() {
            line(text, format_args!("{level}_{operation}_{phase}"), all.sum());
            continue;
        }
        for (name, quantile) in QUANTILES {
            line(
                text,
                format_args!("{level}_{operation}_{phase}_{name}_ns"),
                all.quantile(quantile),
            );
        }
        line(text, format_args!("{level}_{operation}_{phase}_max_ns"), all.max());
        line(text, format_args!("{level}_{operation}_{phase}_sum_ns"), all.sum());
    }
}

/// The buckets of a phase, over all that ended well: count, sum, smallest and largest value, and for each bucket that holds any
/// its lowest value, its highest value and how many. Nothing for names that mean nothing.
pub(crate) fn buckets(snapshot: &Snapshot, level: &str, operation: &str, phase: &str) -> Vec<i64> {
    let found = snapshot.select(|key| {
        key.outcome == Outcome::Ok
            && key.level.to_string() == level
            && key.operation.to_string() == operation
            && key.phase.to_string() == phase
    });
    let Some(found) = found else { return vec![0; 4] };
    let of_java = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut numbers = vec![found.count(), found.sum(), found.min(), found.max()];
    numbers.extend(found.buckets().flat_map(|(low, high, count)| [low, high, count]));
    numbers.into_iter().map(of_java).collect()
}

fn line(text: &mut String, name: std::fmt::Arguments<'_>, value: u64) {
    // Writing to memory does not fail; Java's long ends at half of ours.
    let _ = writeln!(text, "{name} {}", value.min(i64::MAX as u64));
}
