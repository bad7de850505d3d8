// SPDX-License-Identifier: Apache-2.0
//! What all processes have told of the phase that they are in, as one progress.

use super::super::phase::{Goal, Progress};
use super::super::recorder::Failed;
use super::words::{PhaseNumber, Told};
use std::collections::BTreeMap;
use storescope_instrument::{Point, Series};

/// The phase under way. What is told of one that is over is left out.
#[derive(Debug)]
pub(super) struct Sum {
    /// By process, what it told last.
    last: Vec<Option<Told>>,
    phase: Option<PhaseNumber>,
    /// By the second in which it began: the sum, and how many processes are in it.
    points: BTreeMap<u64, (Point, usize)>,
}

impl Sum {
    pub(super) fn new(processes: usize) -> Sum {
        Sum { last: vec![None; processes], phase: None, points: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, process: usize, told: Told) {
        if self.phase.is_some_and(|phase| told.phase < phase) {
            return;
        }
        if self.phase != Some(told.phase) {
            self.phase = Some(told.phase);
            self.points.clear();
            self.last.fill(None);
        }
        for point in &told.points {
            let second = (point.at.as_secs_f64()).round() as u64;
            match self.points.get_mut(&second) {
                Some((sum, processes)) => {
                    add(sum, point);
                    *processes += 1;
                }
                None => {
                    self.points.insert(second, (point.clone(), 1));
                }
            }
        }
        self.last[process] = Some(told);
    }

    pub(super) fn phase(&self) -> Option<PhaseNumber> {
        self.phase
    }

    /// The seconds that so many processes have told.
    pub(super) fn series(&self, processes: usize) -> Series {
        let mut series = Series::default();
        let whole = self.points.values().filter(|(_, told)| *told >= processes);
        whole.for_each(|(point, _)| series.push(point.clone()));
        series
    }

    /// As one progress; `None` before the first word.
    pub(super) fn progress(&self, processes: usize) -> Option<Progress> {
        let phase = self.phase?;
        let told = || self.last.iter().flatten();
        let first = told().next()?;
        let count = told().filter_map(|told| told.goal().count).reduce(|sum, count| sum + count);
        Some(Progress {
            cell: (phase.cell(), first.cells),
            setup: format!("{} processes, each {}", self.last.len(), first.setup),
            stage: phase.stage(),
            elapsed: told().map(|told| told.elapsed).max()?,
            calls: told().map(|told| told.calls).sum(),
            goal: Goal { count, duration: first.goal().duration },
            series: self.series(processes),
            failed: told().map(|told| told.failed).sum(),
            in_flight: told().map(|told| told.in_flight).sum(),
            first_error: told().find_map(|told| told.first_error.clone()).map(Failed::Data),
        })
    }
}

/// Adds what another process did in the same second.
fn add(sum: &mut Point, other: &Point) {
    sum.calls += other.calls;
    sum.failed += other.failed;
    sum.failed_attempts += other.failed_attempts;
    sum.bytes += other.bytes;
    sum.in_flight += other.in_flight;
    sum.response.merge(&other.response);
    sum.first_byte.merge(&other.first_byte);
}

#[cfg(test)]
mod tests {
    use super::super::super::phase::Stage;
    use super::*;
    use std::time::Duration;

    fn told(phase: PhaseNumber, seconds: std::ops::Range<u64>) -> Told {
        let points = seconds.clone().map(|at| {
            let mut point = Point::new(Duration::from_secs(at), Duration::from_secs(1));
            (point.calls, point.bytes, point.in_flight) = (10, 1_000, 4);
            point.response.record(5_000_000);
            point
        });
        Told {
            phase,
            cells: 2,
            setup: "get".into(),
            elapsed: Duration::from_secs(seconds.end),
            calls: 10 * seconds.end,
            count: Some(100),
            duration: None,
            failed: 1,
            first_error: Some("lost".into()),
            in_flight: 4,
            points: points.collect(),
        }
    }

    #[test]
    fn processes_add_up_second_by_second() {
        let (warmup, measuring) =
            (PhaseNumber::new(1, Stage::WarmUp), PhaseNumber::new(1, Stage::Measuring));
        let mut sum = Sum::new(2);
        assert!(sum.progress(2).is_none());
        sum.take(0, told(warmup, 0..3));
        sum.take(1, told(measuring, 0..1));
        sum.take(0, told(warmup, 3..4));
        assert_eq!(sum.phase(), Some(measuring), "what comes late of the warm-up is left out");
        sum.take(0, told(measuring, 0..2));
        let progress = sum.progress(2).unwrap();
        assert_eq!((progress.cell, progress.stage), ((1, 2), Stage::Measuring));
        assert_eq!((progress.calls, progress.failed, progress.in_flight), (30, 2, 8));
        assert_eq!(progress.goal.count, Some(200));
        assert_eq!(progress.first_error.unwrap().to_string(), "lost");
        let [point] = progress.series.points() else { panic!("{:?}", progress.series) };
        assert_eq!((point.calls, point.response.count()), (20, 2));
        assert_eq!(sum.series(1).points().len(), 2);
    }
}
