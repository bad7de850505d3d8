// SPDX-License-Identifier: Apache-2.0
//! Ceilings of a store: where throughput stops to grow with concurrency, and the request rate that is let through while
//! others are throttled.

use crate::run::{Cell, Run};
use storescope::timing::{Outcome, Phase};

/// Bodies of a sweep that may tell a ceiling of bandwidth.
const LARGE: u64 = 256 << 10;
/// Throughput within this share of the most is a plateau.
const PLATEAU: f64 = 0.92;
/// How many times the concurrency a plateau must reach over.
const REACH: f64 = 1.9;
/// How many times longer a call must take at the plateau's end.
const SLOWER: f64 = 1.4;
/// Throttled attempts that make a ceiling of the request rate, in all and as a share of a cell's.
const THROTTLED: (u64, f64) = (20, 0.01);

/// What sweeps tell of a store's ceilings.
#[derive(Debug, Default)]
pub(super) struct Ceilings {
    /// Bytes a second, and where that comes from.
    pub(super) nic: Option<(f64, String)>,
    /// Requests a second, and where that comes from.
    pub(super) requests: Option<(f64, String)>,
    /// What cannot be told.
    pub(super) missing: Vec<String>,
    /// For each cell, whether a ceiling of bandwidth shapes its times.
    pub(super) saturated: Vec<bool>,
}

/// A cell of a closed loop.
struct Load {
    cell: usize,
    concurrency: f64,
    /// Bytes a second.
    throughput: f64,
    /// The mean of a call, in ns.
    service: f64,
    /// Whether the measuring machine had little left to give.
    busy: bool,
}

/// A cell with the run that it is of.
pub(super) type Measured<'a> = (&'a Run, &'a Cell);

pub(super) fn find(cells: &[Measured<'_>]) -> Ceilings {
    let mut found = Ceilings { saturated: vec![false; cells.len()], ..Ceilings::default() };
    bandwidth(cells, &mut found);
    found.requests = request_rate(cells);
    found
}

fn bandwidth(cells: &[Measured<'_>], found: &mut Ceilings) {
    let mut sweeps = 0;
    for sweep in sweeps_of(cells).iter().filter(|sweep| sweep.len() >= 3) {
        sweeps += 1;
        let (first, last) = (&sweep[0], &sweep[sweep.len() - 1]);
        let most = sweep.iter().map(|load| load.throughput).fold(0.0, f64::max);
        let size = cells[first.cell].1.setup.size.unwrap_or(0);
        let Some(from) = plateau(sweep, most) else {
            found.missing.push(format!(
                "nic: throughput of {size} bytes a call still grew at {} at a time ({:.1} MB/s): no ceiling was met",
                last.concurrency,
                most / 1e6
            ));
            continue;
        };
        let full = &sweep[from..];
        for load in sweep.iter().filter(|load| load.throughput > 0.75 * most) {
            found.saturated[load.cell] = true;
        }
        if full.iter().any(|load| load.busy) {
            found.missing.push(format!(
                "nic: throughput of {size} bytes a call stops at {:.1} MB/s with the processors busy: that is this \
                 machine's ceiling, not the store's",
                most / 1e6
            ));
            continue;
        }
        let nic = full.iter().map(|load| load.throughput).sum::<f64>() / full.len() as f64;
        let text = format!(
            "throughput of {size} bytes a call stays at {:.1} MB/s from {} to {} at a time, and a call takes {:.1} times as \
             long",
            nic / 1e6,
            full[0].concurrency,
            last.concurrency,
            last.service / full[0].service
        );
        if found.nic.as_ref().is_none_or(|(other, _)| nic > *other) {
            found.nic = Some((nic, text));
        }
    }
    if sweeps == 0 {
        found.missing.push(
            "nic: no closed loop over three concurrencies with bodies of 256 KiB or more (such as --size 8MiB \
             --concurrency 1..64): a ceiling of bandwidth is not fitted"
                .to_owned(),
        );
    }
}

/// Closed loops of one size and operation, by concurrency.
fn sweeps_of(cells: &[Measured<'_>]) -> Vec<Vec<Load>> {
    let mut sweeps: Vec<(crate::run::Setup, Vec<Load>)> = Vec::new();
    for (number, measured) in cells.iter().enumerate() {
        let (run, cell) = measured;
        let setup = crate::run::Setup { concurrency: 0, ..cell.setup.clone() };
        let large = setup.size.is_some_and(|size| size >= LARGE);
        let open = setup.arrivals.is_some() || setup.rate.is_some();
        if !large || open || cell.service().count() == 0 || throttled(measured) > 0 {
            continue;
        }
        let load = Load {
            cell: number,
            concurrency: f64::from(cell.setup.concurrency),
            throughput: throughput(cell),
            service: cell.service().mean(),
            busy: is_busy(run, cell),
        };
        match sweeps.iter_mut().find(|(of, _)| *of == setup) {
            Some((_, sweep)) => sweep.push(load),
            None => sweeps.push((setup, vec![load])),
        }
    }
    let sort = |(_, mut sweep): (_, Vec<Load>)| {
        sweep.sort_by(|a, b| a.concurrency.total_cmp(&b.concurrency));
        sweep
    };
    sweeps.into_iter().map(sort).collect()
}

/// From which load on throughput does not grow any more.
fn plateau(sweep: &[Load], most: f64) -> Option<usize> {
    let below = sweep.iter().rposition(|load| load.throughput < PLATEAU * most);
    let from = below.map_or(0, |below| below + 1);
    let (first, last) = (sweep.get(from)?, sweep.last()?);
    let wide = last.concurrency >= REACH * first.concurrency;
    (wide && last.service >= SLOWER * first.service).then_some(from)
}

/// Bytes a second, without the first and the last interval where there are enough.
fn throughput(cell: &Cell) -> f64 {
    match inner(cell) {
        Some(points) => {
            let bytes: u64 = points.iter().map(|point| point.bytes).sum();
            let seconds: f64 = points.iter().map(|point| point.length.as_secs_f64()).sum();
            bytes as f64 / seconds.max(1e-9)
        }
        None => cell.bytes() as f64 / cell.elapsed.as_secs_f64().max(1e-9),
    }
}

fn inner(cell: &Cell) -> Option<&[crate::series::Point]> {
    let points = cell.series.points();
    (points.len() >= 6).then(|| &points[1..points.len() - 1])
}

/// Whether this process used most of what processors there are. An emulator on the same machine takes its share of them.
fn is_busy(run: &Run, cell: &Cell) -> bool {
    let processors = f64::from(run.about.environment.processors);
    let share = if run.about.model.is_some() { 0.4 } else { 0.85 };
    processors > 0.0 && cell.cpu.as_secs_f64() > share * processors * cell.elapsed.as_secs_f64()
}

/// Attempts that the store refused. S3 does so by 503 SlowDown, which attempts count among the 5xx.
fn throttled((run, cell): &Measured<'_>) -> u64 {
    let outcomes = cell.outcomes();
    let count = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
    let of_s3 = run.about.url.starts_with("s3://");
    count(Outcome::Throttled) + if of_s3 { count(Outcome::Server) } else { 0 }
}

/// The most that a store let through a second while it throttled.
fn request_rate(cells: &[Measured<'_>]) -> Option<(f64, String)> {
    let all: u64 = cells.iter().map(throttled).sum();
    let rate = |measured: &Measured<'_>| {
        let cell = measured.1;
        let attempts: u64 = cell.outcomes().values().sum();
        (throttled(measured) as f64 > THROTTLED.1 * attempts as f64).then(|| let_through(cell))
    };
    let rates: Vec<f64> = cells.iter().filter_map(rate).collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    (all >= THROTTLED.0 && most > 0.0).then(|| {
        let text = format!(
            "{all} attempts were throttled (429; of S3 any 5xx, of which 503 SlowDown is one) while {most:.1} a second were let through, by the most \
             of {} cells",
            rates.len()
        );
        (most, text)
    })
}

/// Attempts that ended well, a second, while others were throttled.
fn let_through(cell: &Cell) -> f64 {
    let points = inner(cell).unwrap_or_default().iter().filter(|point| point.failed_attempts > 0);
    let (mut count, mut seconds) = (0, 0.0);
    for point in points {
        count += point.first_byte.count();
        seconds += point.length.as_secs_f64();
    }
    if seconds > 0.0 && count > 0 {
        return count as f64 / seconds;
    }
    let count = cell.times(Phase::Ttfb).map_or(0, |times| times.count());
    count as f64 / cell.elapsed.as_secs_f64().max(1e-9)
}
