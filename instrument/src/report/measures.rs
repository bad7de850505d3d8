// SPDX-License-Identifier: Apache-2.0
//! What the tables and curves of a report show: times by cell and operation.

use crate::run::{Cell, Run};
use std::cmp::Reverse;
use storescope::timing::{Distribution, Operation, Outcome, Phase};

/// What a time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A call, from its intended start.
    Response,
    /// A call, from its actual start.
    Service,
    /// A request, where a log knows no calls.
    Request,
    /// A request's first byte.
    FirstByte,
}

impl What {
    pub(super) const ALL: [What; 4] =
        [What::Response, What::Service, What::Request, What::FirstByte];

    pub(super) fn name(self) -> &'static str {
        match self {
            What::Response => "response",
            What::Service => "service",
            What::Request => "whole request",
            What::FirstByte => "first byte",
        }
    }

    /// For those who read it the first time.
    pub(super) fn explained(self) -> &'static str {
        match self {
            What::Response => "From the intended start of a call to its end.",
            What::Service => "From the actual start of a call to its end.",
            What::Request => "One HTTP request, from its start to its end.",
            What::FirstByte => "From the request written to the first byte of the response.",
        }
    }
}

/// Times of one kind of one operation of a cell.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Places in the report's runs and the run's cells.
    pub(super) run: usize,
    /// `None`: all cells of the run together.
    pub(super) cell: Option<usize>,
    pub(super) operation: String,
    pub(super) what: What,
    pub(super) times: Distribution,
}

/// All of all runs, nothing that has no values. The stages of a job are told together: the table of stages has each.
pub(super) fn of(runs: &[Run]) -> Vec<Measured> {
    let mut all = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let mut add = |place: Option<usize>, cell: &Cell| {
            let mut add = |operation: &str, what, times: Distribution| {
                if times.count() > 0 {
                    let operation = operation.to_owned();
                    all.push(Measured { run: number, cell: place, operation, what, times });
                }
            };
            calls(cell, &mut add);
            attempts(cell, &mut add);
        };
        if run.is_job() {
            add(None, &run.sum());
        } else {
            run.cells.iter().enumerate().for_each(|(at, cell)| add(Some(at), cell));
        }
    }
    all
}

fn calls(cell: &Cell, add: &mut impl FnMut(&str, What, Distribution)) {
    for (operation, calls) in &cell.calls {
        add(operation, What::Response, calls.response.clone());
        // In a closed loop both are the same.
        if calls.service != calls.response {
            add(operation, What::Service, calls.service.clone());
        }
    }
}

fn attempts(cell: &Cell, add: &mut impl FnMut(&str, What, Distribution)) {
    for operation in Operation::ALL {
        let times = |phase| cell.attempts.attempts(*operation, phase, Outcome::Ok);
        if cell.calls.is_empty()
            && let Some(whole) = times(Phase::Total)
        {
            add(operation.as_str(), What::Request, whole);
        }
        if let Some(first_byte) = times(Phase::Ttfb) {
            add(operation.as_str(), What::FirstByte, first_byte);
        }
    }
}

/// What a caller waited for: responses, or requests where only those are known.
pub(super) fn waits(cell: &Cell) -> Option<Distribution> {
    if cell.calls.is_empty() {
        return cell.times(Phase::Total).filter(|times| times.count() > 0);
    }
    Some(cell.response()).filter(|times| times.count() > 0)
}

/// Attempts that ended otherwise than well.
pub(super) fn failed_attempts(cell: &Cell) -> u64 {
    let outcomes = cell.outcomes();
    outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Ok).map(|(_, count)| count).sum()
}

/// Calls that ended well; requests where only those are known.
pub(super) fn succeeded(cell: &Cell) -> u64 {
    if cell.calls.is_empty() {
        return cell.times(Phase::Total).map_or(0, |times| times.count());
    }
    cell.calls.values().map(|calls| calls.count).sum()
}

/// Payload of the calls that ended well, in bytes; of the attempts where only those are known.
pub(super) fn payload(cell: &Cell) -> u64 {
    if cell.calls.is_empty() {
        return cell.bytes();
    }
    cell.calls.values().map(|calls| calls.bytes).sum()
}

/// At most so many stages that waited longest, in the order of the run.
pub(super) fn longest(run: &Run, most: usize, want: impl Fn(&Cell) -> bool) -> Vec<&Cell> {
    let mut cells: Vec<_> = run.cells.iter().filter(|cell| want(cell)).enumerate().collect();
    let waited = |cell: &Cell| cell.tasks.as_ref().map(|tasks| tasks.waited);
    cells.sort_by_key(|(_, cell)| Reverse((waited(cell), cell.requests())));
    cells.truncate(most);
    cells.sort_by_key(|(at, _)| *at);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

/// Values that a full histogram dropped.
pub(super) fn dropped(run: &Run) -> u64 {
    run.cells.iter().map(|cell| cell.attempts.dropped_keys()).sum()
}
