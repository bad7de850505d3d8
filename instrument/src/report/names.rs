// SPDX-License-Identifier: Apache-2.0
//! Names of runs and cells: what tells them apart, and no more.

use super::measures::Measured;
use super::units::{number, size};
use crate::run::{Arrivals, Run, Setup};

/// What cells may differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// Of a stage.
    Name,
    Operation,
    Pattern,
    Size,
    /// Calls at a time, or calls a second.
    Load,
    Connections,
}

impl Axis {
    const ALL: [Axis; 6] =
        [Axis::Name, Axis::Operation, Axis::Pattern, Axis::Size, Axis::Load, Axis::Connections];

    /// A setup's place on it, in words; empty where there is nothing to say.
    pub(super) fn of(self, setup: &Setup) -> String {
        match self {
            Axis::Name => setup.name.as_deref().map(short).unwrap_or_default(),
            Axis::Operation => operations(setup),
            Axis::Pattern => setup.pattern.clone(),
            Axis::Size => setup.size.map(size).unwrap_or_default(),
            Axis::Load => load(setup),
            Axis::Connections if setup.new_connections => "new connections".to_owned(),
            Axis::Connections => String::new(),
        }
    }
}

fn operations(setup: &Setup) -> String {
    if let Some(one) = setup.operation() {
        return one.to_owned();
    }
    let parts = setup.mix.iter().map(|(name, weight)| format!("{weight} {name}"));
    parts.collect::<Vec<_>>().join(" : ")
}

fn load(setup: &Setup) -> String {
    match (setup.rate, setup.arrivals) {
        (Some(rate), Some(Arrivals::Poisson)) => format!("{}/s at random times", number(rate)),
        (Some(rate), _) => format!("{}/s", number(rate)),
        (None, Some(_)) => "at the trace's times".to_owned(),
        (None, None) if setup.concurrency == 0 => String::new(),
        (None, None) => format!("{} at a time", setup.concurrency),
    }
}

/// A whole setup in words.
pub(super) fn setup(setup: &Setup) -> String {
    told(setup, &Axis::ALL)
}

fn told(setup: &Setup, axes: &[Axis]) -> String {
    let words = axes.iter().map(|axis| axis.of(setup)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(", ")
}

/// What the cells of a report's runs differ in.
#[derive(Debug)]
pub(super) struct Names {
    runs: usize,
    axes: Vec<Axis>,
    /// Whether one cell may have times of several operations.
    operations: bool,
}

impl Names {
    pub(super) fn of(runs: &[Run], measured: &[Measured]) -> Names {
        let setups: Vec<_> =
            runs.iter().flat_map(|run| &run.cells).map(|cell| &cell.setup).collect();
        let differ = |axis: &Axis| setups.windows(2).any(|two| axis.of(two[0]) != axis.of(two[1]));
        let axes: Vec<_> = Axis::ALL.into_iter().filter(differ).collect();
        let operations = measured.windows(2).any(|two| two[0].operation != two[1].operation);
        Names { runs: runs.len(), axes, operations }
    }

    /// Whether cells differ in this.
    pub(super) fn vary(&self, axis: Axis) -> bool {
        self.axes.contains(&axis)
    }

    /// The run alone; empty where there is but one.
    pub(super) fn run(&self, run: usize) -> String {
        if self.runs > 1 { format!("run {}", run + 1) } else { String::new() }
    }

    /// A cell, without what `left_out` says.
    pub(super) fn cell(&self, run: usize, setup: &Setup, left_out: Option<Axis>) -> String {
        let axes: Vec<_> =
            self.axes.iter().copied().filter(|axis| Some(*axis) != left_out).collect();
        joined(&[self.run(run), told(setup, &axes)])
    }

    /// A cell's operation; one of all cells.
    pub(super) fn measured(&self, runs: &[Run], measured: &Measured) -> String {
        let cell = match measured.cell {
            Some(cell) => self.cell(measured.run, &runs[measured.run].cells[cell].setup, None),
            None => self.run(measured.run),
        };
        // Of a mix the cell's name has all of them.
        let is_told = self.vary(Axis::Operation)
            && measured
                .cell
                .is_some_and(|cell| runs[measured.run].cells[cell].setup.operation().is_some());
        let operation = (self.operations && !is_told).then(|| measured.operation.clone());
        joined(&[cell, operation.unwrap_or_default()])
    }
}

/// A name of at most 100 letters.
pub(super) fn short(name: &str) -> String {
    const MOST: usize = 100;
    match name.char_indices().nth(MOST) {
        None => name.to_owned(),
        Some(_) => name.chars().take(MOST - 1).chain(['…']).collect(),
    }
}

fn joined(words: &[String]) -> String {
    let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect();
    words.join(", ")
}

/// At most `most` of these, evenly spread, the first and the last among them.
pub(super) fn spread<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let count = all.len();
    if count <= most {
        return all;
    }
    let picked: Vec<_> = (0..most).map(|n| n * (count - 1) / (most - 1)).collect();
    all.into_iter().enumerate().filter(|(at, _)| picked.contains(at)).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_are_spread_evenly() {
        assert_eq!(spread((0..16).collect(), 4), [0, 5, 10, 15]);
        assert_eq!(spread(vec![1, 2], 4), [1, 2]);
    }

    #[test]
    fn long_names_are_cut_between_letters() {
        assert_eq!(short(&"ü".repeat(100)), "ü".repeat(100));
        assert_eq!(short(&"ü".repeat(101)), "ü".repeat(99) + "…");
    }
}
