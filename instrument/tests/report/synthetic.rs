// SPDX-License-Identifier: Apache-2.0
//! Runs made from a seed.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};
use storescope::timing::{Distribution, Phase, Snapshot};
use storescope_instrument::{
    About, Arrivals, Bands, Behind, Calls, Cell, Environment, Point, Run, Setup,
};

/// What would be markup, were it not escaped.
pub(crate) const HOSTILE: &str = "</script><b>\"&'";

const MS: u64 = 1_000_000;

pub(crate) fn setup(size: u64, concurrency: u32) -> Setup {
    Setup {
        name: None,
        mix: [("get".to_owned(), 1)].into(),
        pattern: "random".to_owned(),
        size: Some(size),
        concurrency,
        rate: None,
        arrivals: None,
        new_connections: false,
    }
}

pub(crate) fn run(cells: Vec<Cell>) -> Run {
    let about = About {
        version: "0.1.0".into(),
        command: vec!["storescope".into(), "bench".into(), "it's".into()],
        url: "oci://demo@ns/in/".into(),
        model: Some("s3-standard".into()),
        seed: 7,
        started_at: UNIX_EPOCH + Duration::from_hours(500_000),
        environment: Environment::default(),
        processes: 1,
        notes: Vec::new(),
    };
    Run { about, cells }
}

/// So many calls in a minute, 8 at a time as far as is told.
pub(crate) fn cell(setup: Setup, count: u64, seed: u64) -> Cell {
    let mut draws = fastrand::Rng::with_seed(seed);
    let size = setup.size.unwrap_or(0);
    let mut cell = Cell::new(setup);
    cell.elapsed = Duration::from_mins(1);
    let mut points: Vec<_> =
        (0..60).map(|n| Point::new(Duration::from_secs(n), Duration::from_secs(1))).collect();
    let (mut calls, mut bands, mut firsts) =
        (Calls::default(), Bands::default(), Distribution::nanoseconds());
    for number in 0..count {
        let first = (8.0 + 19.0 * (0.75 * normal(&mut draws)).exp()) * MS as f64;
        let (first, body) = (first as u64, size * 16);
        let point = &mut points[(number * 60 / count) as usize];
        point.calls += 1;
        point.bytes += size;
        point.in_flight = 8;
        point.response.record(first + body);
        point.first_byte.record(first);
        calls.count += 1;
        calls.bytes += size;
        calls.response.record(first + body);
        firsts.record(first);
        bands.record(first + body, |phase| match phase {
            Phase::Ttfb => Some(first),
            Phase::Body => Some(body),
            _ => None,
        });
    }
    calls.service = calls.response.clone();
    cell.attempts = attempts(&firsts, &calls.response);
    cell.calls.insert("get".into(), calls);
    cell.bands.insert("get".into(), bands);
    for point in points {
        cell.series.push(point);
    }
    cell
}

/// Of 200 calls a second, those of three seconds came late.
pub(crate) fn stalled(count: u64) -> Cell {
    let mut cell = cell(setup(65_536, 64), count, 4);
    (cell.setup.rate, cell.setup.arrivals) = (Some(200.0), Some(Arrivals::Constant));
    let calls = cell.calls.get_mut("get").unwrap();
    (0..count / 20).for_each(|n| calls.response.record(n * 3_000 * MS / (count / 20)));
    cell.behind = Some(Behind {
        held_rate: 190.0,
        most: Duration::from_secs(3),
        late_for: Duration::from_secs(3),
        never_begun: 12,
    });
    cell
}

pub(crate) fn normal(draws: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| draws.f64()).sum::<f64>() - 6.0
}

fn attempts(first_byte: &Distribution, total: &Distribution) -> Snapshot {
    let mut log = String::from("#[Histogram log format version 1.3]\n");
    for (phase, times) in [("ttfb", first_byte), ("total", total)] {
        let encoded = times.encode();
        if let Some((_, histogram)) = encoded.rsplit_once(' ') {
            writeln!(log, "Tag=attempt/get/{phase}/ok/le64K/reused,0.000,60.000,1.0,{histogram}")
                .unwrap();
        }
    }
    Snapshot::from_hlog(&log).unwrap()
}
