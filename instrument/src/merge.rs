// SPDX-License-Identifier: Apache-2.0
//! Several runs as one: counts are added, bucket for bucket.
//!
//! Runs that were made *beside each other* (they share more than half of the shorter one's time: the processes of one bench,
//! `--worker I/N` on several hosts) are parts of one load: concurrency and rates add up, series are laid over each other by
//! the clock. Their cells are matched in the order of the run. Runs that were made *one after another* are one longer
//! measurement: their setups must be equal, times add up, series follow each other without the gap. Runs of both kinds are
//! first added where they are beside each other.
//!
//! Runs of jobs (their cells are stages) are added by the stages' names, whatever their clocks say: the task times and wall
//! times of a stage add up, and a stage that only some of the runs have is kept. A job may be planned anew each time.

use crate::run::{Behind, Cell, Run, Setup};
use crate::series::{Point, Series};
use crate::tasks;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Why runs are not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no run is given: name at least one")]
    Nothing,
    /// A run without cells.
    #[error("{run} has measured nothing (it was interrupted before): leave it out")]
    Empty {
        /// Which.
        run: String,
    },
    /// A run that has other cells than another.
    #[error(
        "{run} and {other}, by their clocks made {how}, have different cells; only the first has {missing}; only the second has {more}"
    )]
    Cells {
        /// `beside each other` or `one after another`.
        how: &'static str,
        /// The run that was to be added to.
        run: String,
        /// The run that was to be added.
        other: String,
        /// Setups that only the first has.
        missing: String,
        /// Setups that only the second has.
        more: String,
    },
    /// Runs of different latency models.
    #[error("{run} measured the model {model}, and {other} {other_model}: they are not one store")]
    Models {
        /// The first run.
        run: String,
        /// Its model.
        model: String,
        /// The other.
        other: String,
        /// Its model.
        other_model: String,
    },
}

impl Run {
    /// Adds other runs to this one; see [`merged`](crate::merged).
    pub fn merge(&mut self, others: &[Run]) -> Result<(), MergeError> {
        let all: Vec<_> = std::iter::once(&*self).chain(others).cloned().collect();
        *self = merged(&all)?;
        Ok(())
    }

    /// When measuring ended, by the clock: begun, and the time of all cells. Warm-ups between cells are not counted.
    fn span(&self) -> (SystemTime, SystemTime) {
        let start = self.about.started_at;
        let last = self.cells.iter().enumerate().map(|(at, cell)| self.begun(at) + cell.elapsed);
        (start, last.max().unwrap_or(start))
    }

    /// When a cell began: by its own histograms, or behind those before it.
    fn begun(&self, at: usize) -> SystemTime {
        let told = self.cells[at].attempts.started_at();
        let before: Duration = self.cells[..at].iter().map(|cell| cell.elapsed).sum();
        told.max(self.about.started_at + before)
    }
}

/// Adds runs up: histograms, series, bands, failures and times of the processor; the rule is that of the CLI's `merge`.
/// The number of processes is their sum. Runs are told by their number, from 1.
pub fn merged(runs: &[Run]) -> Result<Run, MergeError> {
    merged_named(&named(runs))
}

/// Adds the parts of one load up, whatever their clocks say: for whoever started them, and knows that they are.
pub fn merged_parts(runs: &[Run]) -> Result<Run, MergeError> {
    let named = named(runs);
    check_all(&named)?;
    if are_jobs(&named) {
        return Ok(jobs(&named));
    }
    beside(&named).map(|(_, sum)| sum)
}

/// As [`merged`], with names of the runs for errors and notes.
pub fn merged_named(runs: &[(String, &Run)]) -> Result<Run, MergeError> {
    check_all(runs)?;
    let mut sum = if are_jobs(runs) { jobs(runs) } else { loads(runs)? };
    sum.about.notes.extend(twice(runs));
    Ok(sum)
}

/// Runs of a bench.
fn loads(runs: &[(String, &Run)]) -> Result<Run, MergeError> {
    let mut groups = groups(runs).into_iter().map(|group| beside(&group));
    let (name, mut sum) = groups.next().expect("there is a run")?;
    for group in groups {
        let (other, run) = group?;
        after((&name, &mut sum), (&other, &run))?;
    }
    Ok(sum)
}

fn are_jobs(runs: &[(String, &Run)]) -> bool {
    runs.iter().all(|(_, run)| run.is_job())
}

/// Runs of jobs: stages of one name are one. Where a run has several of a name, the first of each run are one, and so on.
fn jobs(runs: &[(String, &Run)]) -> Run {
    let mut sum = runs[0].1.clone();
    for (_, run) in &runs[1..] {
        add_about(&mut sum, run);
        let mut left: Vec<usize> = (0..sum.cells.len()).collect();
        for cell in &run.cells {
            match left.iter().position(|at| sum.cells[*at].setup == cell.setup) {
                Some(place) => {
                    let mine = &mut sum.cells[left.remove(place)];
                    add(mine, cell);
                    mine.elapsed += cell.elapsed;
                }
                None => sum.cells.push(cell.clone()),
            }
        }
    }
    sum
}

fn named(runs: &[Run]) -> Vec<(String, &Run)> {
    runs.iter().enumerate().map(|(at, run)| (format!("run {}", at + 1), run)).collect()
}

/// That there are runs, that each has cells, and that all are of one model.
fn check_all(runs: &[(String, &Run)]) -> Result<(), MergeError> {
    let (first_name, first) = runs.first().ok_or(MergeError::Nothing)?;
    for (name, run) in runs {
        if run.cells.is_empty() {
            return Err(MergeError::Empty { run: name.clone() });
        }
        if run.about.model != first.about.model {
            let model = |run: &Run| run.about.model.clone().unwrap_or_else(|| "none".to_owned());
            return Err(MergeError::Models {
                run: first_name.clone(),
                model: model(first),
                other: name.clone(),
                other_model: model(run),
            });
        }
    }
    Ok(())
}

/// Runs given more than once: their calls count twice, which nobody means.
fn twice(runs: &[(String, &Run)]) -> Vec<String> {
    let is_twin = |at: usize| runs[..at].iter().find(|(_, run)| *run == runs[at].1);
    let told = |at| {
        is_twin(at)
            .map(|(name, _)| format!("{} is the same run as {name}: it counts twice", runs[at].0))
    };
    (0..runs.len()).filter_map(told).collect()
}

/// Runs that were made beside each other, by time; those within a group in the order they were given.
fn groups<'a>(runs: &[(String, &'a Run)]) -> Vec<Vec<(String, &'a Run)>> {
    let mut by_time: Vec<_> = runs.to_vec();
    by_time.sort_by_key(|(_, run)| run.about.started_at);
    let mut groups: Vec<Vec<(String, &Run)>> = Vec::new();
    for (name, run) in by_time {
        let is_beside = |(_, other): &(String, &Run)| {
            let ((start, end), (from, to)) = (run.span(), other.span());
            let shared = end.min(to).duration_since(start.max(from)).unwrap_or_default();
            let shorter = Ord::min(length(start, end), length(from, to));
            shared * 2 > shorter
        };
        match groups.last_mut() {
            Some(group) if group.iter().any(is_beside) => group.push((name, run)),
            _ => groups.push(vec![(name, run)]),
        }
    }
    groups
}

fn length(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

/// Parts of one load.
fn beside(parts: &[(String, &Run)]) -> Result<(String, Run), MergeError> {
    let (name, first) = &parts[0];
    for (other, run) in &parts[1..] {
        check((name, first), (other, run), BESIDE)?;
    }
    let runs: Vec<_> = parts.iter().map(|part| part.1).collect();
    let mut sum = (*first).clone();
    for run in &runs[1..] {
        add_about(&mut sum, run);
    }
    for at in 0..sum.cells.len() {
        let start = runs.iter().map(|run| run.begun(at)).min().expect("there is a run");
        let cells: Vec<_> =
            runs.iter().map(|run| (length(start, run.begun(at)), &run.cells[at])).collect();
        sum.cells[at] = beside_cells(&cells);
    }
    let names: Vec<_> = parts.iter().map(|part| part.0.as_str()).collect();
    Ok((names.join(" + "), sum))
}

/// Cells at their times since the first of them began.
fn beside_cells(cells: &[(Duration, &Cell)]) -> Cell {
    let mut sum = cells[0].1.clone();
    for (_, cell) in &cells[1..] {
        sum.setup.concurrency += cell.setup.concurrency;
        if let (Some(rate), Some(more)) = (&mut sum.setup.rate, cell.setup.rate) {
            *rate += more;
        }
        add(&mut sum, cell);
    }
    if cells.len() > 1 {
        let behind = || cells.iter().filter_map(|(_, cell)| cell.behind.as_ref());
        sum.behind = behind().next().map(|_| Behind {
            // Those that were not behind held their rates.
            held_rate: cells.iter().map(|(_, cell)| begun_rate(cell)).sum(),
            most: behind().map(|behind| behind.most).max().unwrap_or_default(),
            late_for: behind().map(|behind| behind.late_for).max().unwrap_or_default(),
            never_begun: behind().map(|behind| behind.never_begun).sum(),
        });
        sum.elapsed = cells.iter().map(|(at, cell)| *at + cell.elapsed).max().unwrap_or_default();
        let series: Vec<_> = cells.iter().map(|(at, cell)| (*at, &cell.series)).collect();
        sum.series = laid_over(&series, u32::saturating_add);
    }
    sum
}

/// The same again, later.
fn after(sum: (&str, &mut Run), later: (&str, &Run)) -> Result<(), MergeError> {
    let ((name, sum), (other, run)) = (sum, later);
    check((name, sum), (other, run), AFTER)?;
    add_about(sum, run);
    for (mine, cell) in sum.cells.iter_mut().zip(&run.cells) {
        let (before, both) = (mine.elapsed, mine.elapsed + cell.elapsed);
        let share = before.as_secs_f64() / both.as_secs_f64().max(1e-9);
        let held_rate = begun_rate(mine) * share + begun_rate(cell) * (1.0 - share);
        let behind = || mine.behind.iter().chain(&cell.behind);
        mine.behind = behind().next().map(|_| Behind {
            held_rate,
            most: behind().map(|behind| behind.most).max().unwrap_or_default(),
            late_for: behind().map(|behind| behind.late_for).sum(),
            never_begun: behind().map(|behind| behind.never_begun).sum(),
        });
        add(mine, cell);
        mine.elapsed = both;
        mine.series =
            laid_over(&[(Duration::ZERO, &mine.series), (before, &cell.series)], u32::max);
    }
    Ok(())
}

/// How runs lie in time, and what of their setups must then be equal.
type Relation = (&'static str, fn(&Setup) -> Setup);

const AFTER: Relation = ("one after another", Setup::clone);

const BESIDE: Relation = ("beside each other", |setup| Setup {
    concurrency: 0,
    rate: setup.rate.map(|_| 1.0),
    ..setup.clone()
});

/// That both runs have the same cells, as far as their relation asks for it.
fn check(
    (name, run): (&str, &Run),
    (other_name, other): (&str, &Run),
    (how, part): Relation,
) -> Result<(), MergeError> {
    let parts = |run: &Run| run.cells.iter().map(|cell| part(&cell.setup)).collect::<Vec<_>>();
    let (mine, theirs) = (parts(run), parts(other));
    if mine == theirs {
        return Ok(());
    }
    // Told as they stand in the runs, with their shares.
    let only = |run: &Run, parts: &[Setup], others: &[Setup]| {
        let mut others = others.to_vec();
        let mut is_missing = |setup: &Setup| {
            let found = others.iter().position(|other| other == setup);
            found.map(|at| others.remove(at)).is_none()
        };
        let cells = run.cells.iter().zip(parts);
        let names: Vec<_> = cells
            .filter(|(_, setup)| is_missing(setup))
            .map(|(cell, _)| format!("“{}”", cell.setup))
            .collect();
        if names.is_empty() { "another order".to_owned() } else { names.join(", ") }
    };
    Err(MergeError::Cells {
        how,
        run: name.to_owned(),
        other: other_name.to_owned(),
        missing: only(run, &mine, &theirs),
        more: only(other, &theirs, &mine),
    })
}

/// What is added however the runs lie in time.
fn add(sum: &mut Cell, cell: &Cell) {
    for (name, calls) in &cell.calls {
        sum.calls.entry(name.clone()).or_default().merge(calls);
    }
    for (name, bands) in &cell.bands {
        sum.bands.entry(name.clone()).or_default().merge(bands);
    }
    sum.failed_calls += cell.failed_calls;
    sum.first_error = sum.first_error.take().or_else(|| cell.first_error.clone());
    sum.retries += cell.retries;
    sum.cpu += cell.cpu;
    sum.lateness.merge(&cell.lateness);
    sum.stream.merge(&cell.stream);
    sum.attempts.merge(&cell.attempts);
    tasks::add(&mut sum.tasks, cell.tasks.as_ref());
    // What holds for 99 % of the calls of each holds for 99 % of all.
    sum.attributed_in_99_percent =
        match (sum.attributed_in_99_percent, cell.attributed_in_99_percent) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            _ => None,
        };
    sum.verified_bytes = match (sum.verified_bytes, cell.verified_bytes) {
        (None, None) => None,
        (mine, theirs) => Some(mine.unwrap_or(0) + theirs.unwrap_or(0)),
    };
}

fn add_about(sum: &mut Run, run: &Run) {
    let (mine, theirs) = (&mut sum.about, &run.about);
    mine.processes += theirs.processes;
    mine.started_at = mine.started_at.min(theirs.started_at);
    let mut note = |note: String| {
        if !mine.notes.contains(&note) {
            mine.notes.push(note);
        }
    };
    theirs.notes.iter().cloned().for_each(&mut note);
    if mine.version != theirs.version {
        note(format!("a part was measured by storescope {}", theirs.version));
    }
    if mine.environment != theirs.environment {
        let machine = &theirs.environment;
        note(format!(
            "a part was measured on another machine: {} × {}, {}",
            machine.processors, machine.processor, machine.system
        ));
    }
}

/// Calls a second that were begun: those asked for, unless it was behind.
fn begun_rate(cell: &Cell) -> f64 {
    let behind = cell.behind.as_ref().map(|behind| behind.held_rate);
    behind.or(cell.setup.rate).unwrap_or_else(|| cell.calls_per_second())
}

/// Series at their times, over each other: each point is added to the interval that its middle falls into. `in_flight` says
/// what calls under way in one interval are together.
fn laid_over(series: &[(Duration, &Series)], in_flight: fn(u32, u32) -> u32) -> Series {
    let points =
        || series.iter().flat_map(|(at, series)| series.points().iter().map(|it| (*at, it)));
    let longest = points().map(|(_, point)| point.length).max().unwrap_or_default();
    let end = points().map(|(at, point)| at + point.at + point.length).max().unwrap_or_default();
    let step = longest.max(end / Series::MOST as u32).max(Duration::from_nanos(1));
    let mut grid = BTreeMap::new();
    for (at, series) in series {
        // The most of a series in an interval, before it is added to the others'.
        let mut under_way = BTreeMap::new();
        for point in series.points() {
            let middle = *at + point.at + point.length / 2;
            let number = (middle.as_nanos() / step.as_nanos()) as u32;
            let most = under_way.entry(number).or_insert(0);
            *most = point.in_flight.max(*most);
            let sum = grid.entry(number).or_insert_with(|| Point::new(step * number, step));
            add_point(sum, point);
        }
        for (number, most) in under_way {
            let sum: &mut Point = grid.get_mut(&number).expect("its points were added");
            sum.in_flight = in_flight(sum.in_flight, most);
        }
    }
    let last = grid.keys().next_back().copied();
    let mut sum = Series::default();
    for number in 0..=last.unwrap_or_default() {
        let empty = || Point::new(step * number, step);
        let mut point = grid.remove(&number).unwrap_or_else(empty);
        if Some(number) == last {
            point.length = step.min(end.saturating_sub(point.at)).max(Duration::from_nanos(1));
        }
        if last.is_some() {
            sum.push(point);
        }
    }
    sum
}

fn add_point(sum: &mut Point, point: &Point) {
    sum.calls += point.calls;
    sum.failed += point.failed;
    sum.failed_attempts += point.failed_attempts;
    sum.bytes += point.bytes;
    sum.response.merge(&point.response);
    sum.first_byte.merge(&point.first_byte);
}

#[cfg(test)]
mod tests;
