// SPDX-License-Identifier: Apache-2.0
//! A model fitted to measured runs, and what follows from it.
//!
//! ```text
//!  cells ─► ceilings · stalls ─► cells below the ceilings, intervals without a stall
//!               │                     └─► first byte · cold connection · stream
//!               └──────────────► storescope_model::Model, each part with its origin and its goodness
//! ```
//!
//! What is fitted is what the client measured: its own time and the network's are in it. Nothing is subtracted.
//!
//! * `sample.rs`: counts by bins. `law.rs`: the distributions. `first_byte.rs`, `stream.rs`, `ceilings.rs`, `stalls.rs`: the
//!   parts of a model. `goodness.rs`: how well they tell what was measured. `text.rs`: the fit as TOML, text and JSON.
//!   `needs.rs`: concurrency and cost by a model. `line.rs`: a straight line. `simplex.rs`: a minimum.

mod ceilings;
mod first_byte;
mod goodness;
mod law;
mod line;
mod needs;
mod sample;
mod simplex;
mod stalls;
mod stream;
mod text;

pub use goodness::{Goodness, Quantile};
pub use line::{Line, line};
pub use needs::{Needs, Price, mean_service};

use crate::run::{Cell, Run};
use ceilings::{Ceilings, Measured};
use law::Law;
use sample::Sample;
use std::collections::BTreeMap;
use storescope::timing::{Connection, Distribution, Level, Operation, Outcome, Phase};
use storescope_model::Model;

/// A model fitted to runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The model; it has only what the runs tell.
    pub model: Model,
    /// Its parts, in the order of the TOML.
    pub parts: Vec<Part>,
    /// What the runs do not tell, and what would.
    pub missing: Vec<String>,
    /// The median service time of reads by their size, as a line; with at least two sizes.
    pub line: Option<Line>,
    /// The measuring process's processor time, in seconds a gigabyte, by the bytes of a call.
    pub cpu_seconds_per_gb: BTreeMap<u64, f64>,
    /// What was read or written in each run, and when.
    pub sources: Vec<String>,
}

/// A part of a model: where it comes from, and how well it tells what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its field in the TOML.
    pub name: &'static str,
    /// What it was fitted to.
    pub origin: String,
    /// Of distributions.
    pub goodness: Option<Goodness>,
    /// What a reader must know to believe it.
    pub notes: Vec<String>,
}

/// Why runs cannot be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Runs without cells.
    #[error("there is nothing to fit: the run was ended before anything was measured")]
    NoCells,
    /// Cells without attempts.
    #[error(
        "there is nothing to fit: the run holds no attempts; they are in run.hlog, which belongs beside run.json"
    )]
    NoAttempts,
    /// Nothing went well.
    #[error("there is nothing to fit: all {attempts} attempts failed ({outcomes})")]
    OnlyFailures {
        /// How many.
        attempts: u64,
        /// How they ended.
        outcomes: String,
    },
}

/// Fits a model to runs of one store; the cells of all runs count alike.
pub fn fit(runs: &[Run], name: &str) -> Result<Fit, FitError> {
    let cells: Vec<Measured<'_>> =
        runs.iter().flat_map(|run| run.cells.iter().map(move |cell| (run, cell))).collect();
    let operation = operation(&cells)?;
    let ceilings = ceilings::find(&cells);
    let free: Vec<&Cell> = below_the_ceilings(&cells, &ceilings);
    let stalls = stalls::find(&free);
    let mut fit = Fit {
        model: Model { name: name.to_owned(), ..Model::default() },
        parts: Vec::new(),
        missing: Vec::new(),
        line: by_size(&free, operation),
        cpu_seconds_per_gb: cpu(&cells),
        sources: runs.iter().map(source).collect(),
    };
    let first_byte = fit.first_byte(&free, operation, stalls.usual.as_ref());
    // Connections that were opened in a stall tell the stall.
    let law = first_byte.filter(|_| stalls.usual.is_none());
    fit.cold_connection(&free, operation, law.as_ref());
    fit.ceilings(ceilings);
    if let Some((stall, origin)) = stalls.stall {
        fit.model.stall = Some(stall);
        fit.part("stall", origin);
    }
    fit.missing.extend(stalls.missing);
    fit.stream(&free);
    fit.parts.sort_by_key(|part| ORDER.iter().position(|name| *name == part.name));
    Ok(fit)
}

/// The parts as the TOML has them.
const ORDER: [&str; 6] =
    ["cold_connection", "nic", "requests_per_second", "stall", "ttfb", "stream"];

impl Fit {
    fn part(&mut self, name: &'static str, origin: String) -> &mut Part {
        self.parts.push(Part { name, origin, goodness: None, notes: Vec::new() });
        self.parts.last_mut().expect("one was just pushed")
    }

    /// The first byte on used connections (on new ones where there are no others), and its law.
    fn first_byte(
        &mut self,
        cells: &[&Cell],
        operation: Operation,
        usual: Option<&Sample>,
    ) -> Option<Law> {
        let by = |connection| first_bytes(cells, operation, Some(connection));
        let (reused, new) = (by(Connection::Reused), by(Connection::New));
        let (sample, which) = if let Some(usual) = usual {
            (usual.clone(), "in the intervals without a stall")
        } else if reused.count() >= first_byte::FEWEST || new.count() == 0 && reused.count() > 0 {
            (reused, "on used connections")
        } else if new.count() > reused.count() {
            (new, "on new connections (none were used again)")
        } else {
            (first_bytes(cells, operation, None), "on all connections")
        };
        if sample.count() == 0 {
            self.missing.push(format!("ttfb: no {operation} told its first byte"));
            return None;
        }
        let fitted = first_byte::fit(&sample);
        self.model.ttfb = Some(fitted.law.first_byte());
        let origin = format!("{} attempts of {operation} {which}", sample.count());
        let part = self.part("ttfb", origin);
        part.goodness = Some(Goodness::of(&fitted.law, &sample));
        part.notes = fitted.notes;
        if operation != Operation::Get {
            part.notes.push("no get was measured; reads may differ".to_owned());
        }
        Some(fitted.law)
    }

    /// What a new connection costs: resolving, connecting and the handshake, and how much later its first byte comes.
    fn cold_connection(&mut self, cells: &[&Cell], operation: Operation, law: Option<&Law>) {
        let new = first_bytes(cells, operation, Some(Connection::New));
        if new.count() < first_byte::FEWEST {
            self.missing.push(format!(
                "cold_connection: {} attempts on new connections, not enough samples: {} needed (bench --connections new)",
                new.count(),
                first_byte::FEWEST
            ));
            return;
        }
        let median = |phase: Phase| {
            let times = attempts(cells, |key| key.phase == phase && key.outcome == Outcome::Ok);
            times.map_or(0.0, |times| Sample::seconds(&times).quantile(0.5))
        };
        let opened: f64 = [Phase::Dns, Phase::Connect, Phase::Tls].map(median).iter().sum();
        let reused = first_bytes(cells, operation, Some(Connection::Reused));
        let later = law
            .filter(|_| reused.count() >= first_byte::FEWEST)
            .map(|law| first_byte::offset(&new, law));
        self.model.cold_connection = Some(law::duration(opened + later.unwrap_or(0.0)));
        let origin = format!(
            "{} attempts on new connections: {:.3} ms to resolve, connect and shake hands",
            new.count(),
            opened * 1e3
        );
        let part = self.part("cold_connection", origin);
        part.notes.push(match later {
            Some(later) => format!("their first byte came {:.3} ms later", later * 1e3),
            None => {
                "how much later their first byte comes cannot be told from ttfb or stalls".into()
            }
        });
    }

    fn ceilings(&mut self, found: Ceilings) {
        if let Some((nic, origin)) = found.nic {
            self.model.nic = Some(law::rate_of(nic));
            self.part("nic", origin);
        }
        if let Some((rate, origin)) = found.requests {
            self.model.requests_per_second = Some(law::digits(rate, 4));
            self.part("requests_per_second", origin);
        }
        if self.model.nic.is_none() {
            self.missing.extend(found.missing);
        }
    }

    fn stream(&mut self, cells: &[&Cell]) {
        let mut sample = Sample::default();
        cells.iter().filter_map(|cell| bandwidths(cell)).for_each(|one| sample.add(&one));
        if sample.count() == 0 {
            let missing = "stream: no cell with bodies of 256 KiB or more: bandwidth is not fitted";
            self.missing.push(missing.to_owned());
            return;
        }
        if sample.count() < stream::FEWEST {
            self.missing.push(format!(
                "stream: {} bodies of 256 KiB or more, not enough samples: {} needed",
                sample.count(),
                stream::FEWEST
            ));
            return;
        }
        let law = stream::fit(&sample);
        self.model.stream = Some(law.stream());
        let origin = format!("{} bodies of 256 KiB or more, first to last byte", sample.count());
        let goodness = Goodness::of(&law, &sample);
        self.part("stream", origin).goodness = Some(goodness);
    }
}

/// The operation whose first byte is fitted: reads where there are any, else what was measured most.
fn operation(cells: &[Measured<'_>]) -> Result<Operation, FitError> {
    if cells.is_empty() {
        return Err(FitError::NoCells);
    }
    let well = |operation: Operation| -> u64 {
        let times = cells.iter().filter_map(|(_, cell)| {
            cell.attempts.attempts(operation, Phase::Total, Outcome::Ok).map(|times| times.count())
        });
        times.sum()
    };
    let counts = Operation::ALL.iter().map(|operation| (well(*operation), *operation));
    let most = counts.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count);
    if let Some((_, most)) = most {
        return Ok(if well(Operation::Get) > 0 { Operation::Get } else { most });
    }
    let mut outcomes = BTreeMap::new();
    for (_, cell) in cells {
        for (outcome, count) in cell.outcomes() {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    if outcomes.is_empty() {
        return Err(FitError::NoAttempts);
    }
    let told: Vec<_> =
        outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
    Err(FitError::OnlyFailures { attempts: outcomes.values().sum(), outcomes: told.join(", ") })
}

/// The cells whose times no ceiling of bandwidth shapes; all, if there are no others.
fn below_the_ceilings<'a>(cells: &[Measured<'a>], ceilings: &Ceilings) -> Vec<&'a Cell> {
    let free = cells.iter().zip(&ceilings.saturated).filter(|(_, saturated)| !**saturated);
    let free: Vec<_> = free.map(|((_, cell), _)| *cell).collect();
    if free.is_empty() { cells.iter().map(|(_, cell)| *cell).collect() } else { free }
}

/// Attempts of all cells.
fn attempts(
    cells: &[&Cell],
    want: impl Fn(&storescope::timing::Key) -> bool,
) -> Option<Distribution> {
    let of_cells = cells
        .iter()
        .filter_map(|cell| cell.attempts.select(|key| key.level == Level::Attempt && want(key)));
    of_cells.reduce(|mut sum, one| {
        sum.merge(&one);
        sum
    })
}

/// First bytes of attempts that ended well, by connection.
fn first_bytes(cells: &[&Cell], operation: Operation, connection: Option<Connection>) -> Sample {
    let times = attempts(cells, |key| {
        key.operation == operation
            && key.phase == Phase::Ttfb
            && key.outcome == Outcome::Ok
            && connection.is_none_or(|connection| key.connection == connection)
    });
    times.map(|times| Sample::seconds(&times)).unwrap_or_default()
}

/// Bandwidths of large bodies: as the run counted them, or by how long bodies of one size took.
fn bandwidths(cell: &Cell) -> Option<Sample> {
    const LARGE: u64 = 256 << 10;
    if cell.stream.count() > 0 {
        return Some(Sample::rates(&cell.stream));
    }
    let of = |phase| cell.attempts.attempts(Operation::Get, phase, Outcome::Ok);
    let size = cell.setup.size.filter(|size| *size >= LARGE)?;
    let (bytes, times) = (of(Phase::BytesDelivered)?, of(Phase::Body)?);
    let all_alike =
        bytes.min() as f64 > 0.98 * size as f64 && bytes.max() as f64 <= 1.02 * size as f64;
    all_alike.then(|| Sample::rates_of(size, &times))
}

/// Median service times on used connections by size, at the least concurrency of each, as a line.
fn by_size(cells: &[&Cell], operation: Operation) -> Option<Line> {
    let mut sizes: BTreeMap<u64, (u32, f64)> = BTreeMap::new();
    for cell in cells {
        let of_operation =
            cell.setup.operation() == Some(operation.as_str()) && !cell.setup.new_connections;
        let (Some(size), true, count) = (cell.setup.size, of_operation, cell.service().count())
        else {
            continue;
        };
        let median = Sample::seconds(&cell.service()).quantile(0.5);
        let concurrency = cell.setup.concurrency;
        if count > 0 && sizes.get(&size).is_none_or(|(other, _)| concurrency < *other) {
            sizes.insert(size, (concurrency, median));
        }
    }
    let points: Vec<_> = sizes.into_iter().map(|(size, (_, median))| (size, median)).collect();
    line(&points)
}

/// Processor seconds a gigabyte, by size.
fn cpu(cells: &[Measured<'_>]) -> BTreeMap<u64, f64> {
    let mut sums: BTreeMap<u64, (f64, u64)> = BTreeMap::new();
    for (_, cell) in cells {
        let Some(size) = cell.setup.size.filter(|_| !cell.cpu.is_zero()) else { continue };
        let sum = sums.entry(size).or_default();
        sum.0 += cell.cpu.as_secs_f64();
        sum.1 += cell.bytes();
    }
    let told = sums.into_iter().filter(|(_, (_, bytes))| *bytes > 0);
    told.map(|(size, (seconds, bytes))| (size, seconds * 1e9 / bytes as f64)).collect()
}

fn source(run: &Run) -> String {
    let at = jiff::Timestamp::try_from(run.about.started_at)
        .map_or_else(|_| String::new(), |at| format!(", {at:.0}"));
    let cells = run.cells.len();
    format!("{}{at}, {cells} {}", run.about.url, if cells == 1 { "cell" } else { "cells" })
}
