// SPDX-License-Identifier: Apache-2.0
//! The runs as blocks of the page, shortened until they fit.

use crate::file::embedded;
use crate::run::{Cell, Run};
use storescope::timing::{Key, Level, Phase, Snapshot};

/// What is left of a run that is too large.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// Points of time a cell; with one, no bands of phases either.
    Points(usize),
    /// Executors a stage.
    Executors(usize),
    /// The times and bytes of requests and calls, without the phases of requests.
    Times,
}

/// One after another, until it fits.
const OF_LOADS: [Left; 6] = [
    Left::Points(60),
    Left::Points(30),
    Left::Points(15),
    Left::Points(6),
    Left::Points(1),
    Left::Points(0),
];
const OF_JOBS: [Left; 5] =
    [Left::Executors(20), Left::Executors(5), Left::Times, Left::Executors(1), Left::Executors(0)];

/// The blocks, and what a reader is told of them.
pub(super) fn fitting(runs: &[Run], room: usize) -> (String, String) {
    const WHOLE: &str = "This file holds the run";
    const USE: &str = "storescope report, compare and fit read it";
    let room = room.saturating_sub(400);
    let many = if runs.len() == 1 { "" } else { "s" };
    let whole = embedded(runs);
    if whole.len() <= room {
        return (whole, format!("{WHOLE}{many}: {USE}."));
    }
    let (mut runs, mut is_timed) = (runs.to_vec(), true);
    let jobs = runs.iter().any(Run::is_job);
    let steps: &[Left] = if jobs { &OF_JOBS } else { &OF_LOADS };
    for step in steps {
        runs.iter_mut().flat_map(|run| &mut run.cells).for_each(|cell| shorten(cell, *step));
        is_timed &= !matches!(step, Left::Times);
        let shorter = embedded(&runs);
        if shorter.len() <= room {
            let left = told(*step, is_timed);
            let folder = "The folder of the run has all.";
            return (shorter, format!("{WHOLE}{many}, {left} to stay small: {USE}. {folder}"));
        }
    }
    (String::new(), "The run is too large for this file to hold it: keep its folder.".to_owned())
}

fn shorten(cell: &mut Cell, left: Left) {
    match left {
        Left::Points(points) => {
            cell.series.shorten(points);
            if points == 0 {
                cell.bands.clear();
            }
        }
        Left::Executors(most) => {
            if let Some(tasks) = &mut cell.tasks {
                tasks.keep_slowest(most);
            }
        }
        Left::Times => cell.attempts = times(&cell.attempts),
    }
}

fn told(left: Left, has_phases: bool) -> String {
    let phases = if has_phases { "" } else { "without the phases of requests, " };
    match left {
        Left::Points(0) => "without phases, with one point of time a cell".to_owned(),
        Left::Points(points) => format!("with at most {points} points of time a cell"),
        Left::Times => {
            "with at most 5 executors a stage, without the phases of requests".to_owned()
        }
        Left::Executors(0) => format!("{phases}without executors"),
        Left::Executors(1) => format!("{phases}with the slowest executor of each stage"),
        Left::Executors(most) => format!("{phases}with at most {most} executors a stage"),
    }
}

/// Whole times, first bytes and bytes.
fn times(snapshot: &Snapshot) -> Snapshot {
    let is_kept = |key: Key| {
        let is_bytes = matches!(key.phase, Phase::BytesDelivered | Phase::BytesDiscarded);
        let is_first_byte = key.level == Level::Attempt && key.phase == Phase::Ttfb;
        key.phase == Phase::Total || is_first_byte || is_bytes
    };
    let log = snapshot.to_hlog();
    let tag = |line: &str| {
        let rest = line.strip_prefix("Tag=").or_else(|| line.strip_prefix("#[Exact: "))?;
        rest.split([',', ' ']).next().and_then(Key::from_tag)
    };
    let kept: Vec<_> = log.lines().filter(|line| tag(line).is_none_or(is_kept)).collect();
    // A log of ours is read; were it none, the whole is kept.
    Snapshot::from_hlog(&(kept.join("\n") + "\n")).unwrap_or_else(|_| snapshot.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use storescope::timing::{Scope, bench};

    #[test]
    fn times_and_bytes_stay_exact_without_phases() {
        let scope = Scope::new("test");
        (0..500).for_each(|n| bench::record_attempt(std::slice::from_ref(&scope), n));
        let (whole, left) = (scope.snapshot(), times(&scope.snapshot()));
        let phases: Vec<_> = left.iter().map(|(key, _)| key.phase).collect();
        assert_eq!(phases, [Phase::Ttfb, Phase::Total, Phase::BytesDelivered]);
        for (key, times) in left.iter() {
            assert_eq!(Some(times), whole.get(key), "{key}");
        }
    }
}
