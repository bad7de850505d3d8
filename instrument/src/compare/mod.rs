// SPDX-License-Identifier: Apache-2.0
//! Whether one run is slower than another, and how sure that is.
//!
//! Cells are matched by their [`Setup`](crate::Setup). Each figure of a pair is judged by its change and the interval of that
//! change (bootstrap, see [`stats`](crate::stats)):
//!
//! * *slower* or *faster*: the interval excludes zero and the change is at least the threshold;
//! * *same*: neither, and a change of twice the threshold would have been found in 19 of 20 tries;
//! * *cannot tell*: else. The number of calls that would be enough is told.
//!
//! Intervals are as wide as the number of judged figures asks for (Bonferroni): runs of equal stores are told different in 1
//! of 100 comparisons at most, however many cells they have.
//!
//! Stages of jobs are matched by their names. The share of their time that tasks waited is shown and not judged: a run has
//! one of it. A stage that made no call in either run has nothing to compare, and is named.
//!
//! * `mod.rs`: what is compared. `judge.rs`: the verdict on a figure. `told.rs`: in words and as Markdown.

mod judge;
mod told;

use crate::run::{Cell, Run};
use crate::series::Point;
use crate::stats::Change;
use crate::tasks::Tasks;
use judge::Judge;
use serde::Serialize;
use std::fmt;
use storescope::timing::{Distribution, Level, Outcome, Phase};

/// The chance that equal stores are told different, over all figures of a comparison.
const FALSE_ALARMS: f64 = 0.01;
/// Figures of a cell that are judged: four quantiles, the throughput, failed calls.
const JUDGED: usize = 6;

/// What is asked of a comparison.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Changes below so many per cent are no regression. Above 0.
    pub threshold_percent: f64,
    /// Of the bootstrap: equal seeds give equal intervals.
    pub seed: u64,
}

impl Default for CompareOptions {
    fn default() -> CompareOptions {
        CompareOptions { threshold_percent: 5.0, seed: 1 }
    }
}

/// Two runs beside each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Of all cells: slower where one is; else faster where one is; else cannot tell where one cannot.
    pub verdict: Verdict,
    /// The threshold that was asked for.
    pub threshold_percent: f64,
    /// Of each interval, such as 0.998.
    pub confidence: f64,
    /// The cells that both runs have, in the order of the first.
    pub cells: Vec<CellComparison>,
    /// Setups that only the first run has.
    pub only_in_a: Vec<String>,
    /// Setups that only the second run has.
    pub only_in_b: Vec<String>,
    /// Why the runs may differ by more than the store.
    pub caveats: Vec<String>,
}

/// Two cells of one setup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellComparison {
    /// The setup in words.
    pub setup: String,
    /// Of the judged figures; *same* and *cannot tell* follow the p50, without which nothing is known.
    pub verdict: Verdict,
    /// Calls that ended well, in each run.
    pub calls: [u64; 2],
    /// The judged figures first.
    pub figures: Vec<Figure>,
}

/// A figure of two cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Such as `p99`.
    pub name: &'static str,
    /// `ms`, `calls/s`, `MB/s` or `%`.
    pub unit: &'static str,
    /// Of the first run; `None` where it has none.
    pub a: Option<f64>,
    /// Of the second run.
    pub b: Option<f64>,
    /// From the first to the second.
    pub change: Option<Change>,
    /// `None` for figures that are shown and not judged.
    pub verdict: Option<Verdict>,
    /// Calls a run needs for this figure, where there were too few: an estimate, or at least so many.
    pub needs_calls: Option<u64>,
    /// What a reader must know of it.
    pub note: Option<String>,
}

/// What is told of a figure, a cell, a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// No change of the threshold or more, and one of twice the threshold would have been found.
    #[serde(rename = "same")]
    Same,
    /// Slower by the threshold or more. Also: more calls failed.
    #[serde(rename = "slower")]
    Slower,
    /// Faster by the threshold or more. Also: fewer calls failed.
    #[serde(rename = "faster")]
    Faster,
    /// The runs are too short to say.
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Same => "same",
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::CannotTell => "cannot tell",
        })
    }
}

impl Verdict {
    fn of_all(verdicts: &[Verdict]) -> Verdict {
        let order = [Verdict::Slower, Verdict::Faster, Verdict::CannotTell, Verdict::Same];
        let found = order.into_iter().find(|verdict| verdicts.contains(verdict));
        found.unwrap_or(Verdict::CannotTell)
    }
}

impl Comparison {
    /// Compares the second run to the first. A comparison without cells has matched none.
    pub fn of(a: &Run, b: &Run, options: &CompareOptions) -> Comparison {
        let (pairs, only_in_a, only_in_b) = matched(a, b);
        let (pairs, idle) = without_idle(pairs);
        let confidence = 1.0 - FALSE_ALARMS / (JUDGED * pairs.len().max(1)) as f64;
        let judge = Judge { threshold_percent: options.threshold_percent, confidence };
        let cells: Vec<_> = pairs
            .iter()
            .zip((options.seed..).step_by(2))
            .map(|((a, b), seed)| CellComparison::of([a, b], judge, seed))
            .collect();
        let verdicts: Vec<_> = cells.iter().map(|cell| cell.verdict).collect();
        Comparison {
            verdict: Verdict::of_all(&verdicts),
            threshold_percent: options.threshold_percent,
            confidence,
            cells,
            only_in_a,
            only_in_b,
            caveats: idle.into_iter().chain(caveats(a, b)).collect(),
        }
    }

    /// Whether the second run is slower by the threshold or more, or more of its calls failed.
    pub fn is_regression(&self) -> bool {
        self.verdict == Verdict::Slower
    }
}

/// Cells of equal setups, and the names of those that have no pair.
fn matched<'a>(a: &'a Run, b: &'a Run) -> (Vec<(&'a Cell, &'a Cell)>, Vec<String>, Vec<String>) {
    let (mut pairs, mut only_in_a) = (Vec::new(), Vec::new());
    let mut rest: Vec<_> = b.cells.iter().collect();
    for cell in &a.cells {
        match rest.iter().position(|other| other.setup == cell.setup) {
            Some(at) => pairs.push((cell, rest.remove(at))),
            None => only_in_a.push(cell.setup.to_string()),
        }
    }
    (pairs, only_in_a, rest.iter().map(|cell| cell.setup.to_string()).collect())
}

/// Pairs without the stages that made no call in either run, and a note for each of these. Where there is no other pair, all
/// stay.
fn without_idle<'a>(pairs: Vec<(&'a Cell, &'a Cell)>) -> (Vec<(&'a Cell, &'a Cell)>, Vec<String>) {
    let is_idle =
        |cell: &Cell| cell.tasks.is_some() && cell.failed_calls + times(cell).count() == 0;
    let (idle, pairs): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(a, b)| is_idle(a) && is_idle(b));
    if pairs.is_empty() {
        return (idle, Vec::new());
    }
    let note = |(a, _): &(&Cell, &Cell)| format!("no call in either run: {}", a.setup);
    let notes = idle.iter().map(note).collect();
    (pairs, notes)
}

impl CellComparison {
    fn of(cells: [&Cell; 2], judge: Judge, seed: u64) -> CellComparison {
        let times = cells.map(times);
        let mut figures = judge.quantiles(&times, cells, seed);
        figures.push(judge.throughput(&times, cells, seed));
        figures.push(judge.failures(cells));
        figures.push(bytes_a_second(cells));
        figures.extend(waiting_share(cells));
        figures.extend(judge.first_bytes(cells, seed));
        let judged: Vec<_> = figures.iter().filter_map(|figure| figure.verdict).collect();
        let verdict = match Verdict::of_all(&judged) {
            // What is rare may be unknown; what is usual must not be.
            Verdict::CannotTell if figures[0].verdict == Some(Verdict::Same) => Verdict::Same,
            verdict => verdict,
        };
        let calls = times.map(|times| times.count());
        CellComparison { setup: cells[0].setup.to_string(), verdict, calls, figures }
    }
}

/// The times of calls that ended well: response times, or what a histogram log tells of calls.
fn times(cell: &Cell) -> Distribution {
    let response = cell.response();
    if !cell.calls.is_empty() {
        return response;
    }
    let logged = cell.attempts.select(|key| {
        key.level == Level::Call && key.phase == Phase::Total && key.outcome == Outcome::Ok
    });
    logged.unwrap_or(response)
}

fn response(point: &Point) -> &Distribution {
    &point.response
}

fn first_byte(point: &Point) -> &Distribution {
    &point.first_byte
}

/// It follows from the calls a second, which are judged: equal setups ask for the same bytes.
fn bytes_a_second(cells: [&Cell; 2]) -> Figure {
    let rate = |cell: &Cell| {
        let bytes: u64 = cell.calls.values().map(|calls| calls.bytes).sum();
        (bytes > 0).then(|| bytes as f64 / 1e6 / cell.elapsed.as_secs_f64().max(1e-9))
    };
    let [a, b] = cells.map(rate);
    Figure { name: "payload", unit: "MB/s", a, b, ..Figure::default() }
}

/// The share of their time that tasks waited for storage, in stages of a job.
fn waiting_share(cells: [&Cell; 2]) -> Option<Figure> {
    let shares = cells.map(|cell| cell.tasks.as_ref().map(Tasks::waiting_share));
    let [Some(a), Some(b)] = shares else { return None };
    let [a, b] = [a, b].map(|share| share.map(|share| share * 100.0));
    Some(Figure { name: "waiting share", unit: "%", a, b, ..Figure::default() })
}

impl Default for Figure {
    fn default() -> Figure {
        Figure {
            name: "",
            unit: "ms",
            a: None,
            b: None,
            change: None,
            verdict: None,
            needs_calls: None,
            note: None,
        }
    }
}

fn caveats(a: &Run, b: &Run) -> Vec<String> {
    let (one, other) = (&a.about, &b.about);
    let mut told = Vec::new();
    if a == b {
        told.push("A and B are the same run".to_owned());
    }
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            told.push(format!("{what}: {a} and {b}"));
        }
    };
    let model = |model: &Option<String>| model.clone().unwrap_or_else(|| "none".to_owned());
    differ("different models of the emulator", model(&one.model), model(&other.model));
    differ("different places", place(&one.url), place(&other.url));
    let machine = |run: &Run| {
        let machine = &run.about.environment;
        format!("{} × {}, {}", machine.processors, machine.processor, machine.system)
    };
    differ("different machines", machine(a), machine(b));
    let version = |version: &str| format!("storescope {version}");
    differ("different versions", version(&one.version), version(&other.version));
    differ("numbers of processes", one.processes.to_string(), other.processes.to_string());
    for (name, run) in [("A", a), ("B", b)] {
        told.extend(run.about.notes.iter().map(|note| format!("{name}: {note}")));
    }
    told
}

/// The URL without the folder of its own that a bench of writes makes.
fn place(url: &str) -> String {
    url.split_once("storescope-bench-").map_or(url, |(place, _)| place).to_owned()
}

#[cfg(test)]
mod tests;
