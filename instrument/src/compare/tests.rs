// SPDX-License-Identifier: Apache-2.0
//! Comparisons of simulated runs: workers in a closed loop that draw from a model, in virtual time.

use super::*;
use crate::run::{About, Arrivals, Behind, Calls, Setup};
use std::time::Duration;
use storescope_model::{Model, Sampler};

/// A simulated store.
#[derive(Clone, Copy)]
struct Store {
    /// First bytes take so many times as long as the model says.
    slowness: f64,
    /// How much of an interval's load the next one keeps; 0 is no load at all.
    kept: f64,
}

const PLAIN: Store = Store { slowness: 1.0, kept: 0.0 };
const SECONDS: f64 = 20.0;
const WORKERS: u32 = 8;

fn about() -> About {
    About {
        version: "0.1.0".into(),
        command: Vec::new(),
        url: "oci://demo@ns/object".into(),
        model: None,
        seed: 1,
        started_at: std::time::UNIX_EPOCH,
        environment: crate::environment::Environment::default(),
        processes: 1,
        notes: Vec::new(),
    }
}

fn setup() -> Setup {
    Setup {
        name: None,
        mix: [("get".to_owned(), 1)].into(),
        pattern: "random".into(),
        size: Some(65_536),
        concurrency: WORKERS,
        rate: None,
        arrivals: None,
        new_connections: false,
    }
}

/// A closed loop of 20 s, an interval each half second.
fn cell(store: Store, seed: u64) -> Cell {
    const INTERVAL: f64 = 0.5;
    let mut sampler = Sampler::new(&Model::named("s3-standard").unwrap(), seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let count = (SECONDS / INTERVAL) as usize;
    let mut points: Vec<_> = (0..count)
        .map(|at| {
            let interval = Duration::from_secs_f64(INTERVAL);
            Point::new(interval * at as u32, interval)
        })
        .collect();
    let mut load = 0.0;
    let loads: Vec<_> = (0..count)
        .map(|_| {
            load = store.kept * load + if store.kept > 0.0 { random.f64() - 0.5 } else { 0.0 };
            1.0 + 0.1 * load
        })
        .collect();
    let mut calls = Calls::default();
    for _ in 0..WORKERS {
        let mut now = 0.0;
        loop {
            let draw = sampler.draw();
            let load = loads[((now / INTERVAL) as usize).min(count - 1)];
            let body = draw.bytes_per_second.map_or(0.0, |rate| 65_536.0 / rate);
            let time = draw.ttfb.as_secs_f64() * store.slowness * load + body;
            now += time;
            if now >= SECONDS {
                break;
            }
            let point = &mut points[(now / INTERVAL) as usize];
            let time = (time * 1e9) as u64;
            (point.calls, calls.count) = (point.calls + 1, calls.count + 1);
            point.response.record(time);
            calls.response.record(time);
            calls.service.record(time);
        }
    }
    calls.bytes = calls.count * 65_536;
    let mut cell = Cell::new(setup());
    cell.elapsed = Duration::from_secs_f64(SECONDS);
    cell.calls.insert("get".into(), calls);
    for point in points {
        cell.series.push(point);
    }
    cell
}

fn run(cells: Vec<Cell>) -> Run {
    Run { about: about(), cells }
}

/// How often so many tries were told the same, slower, faster, and not told.
fn tally(tries: u64, a: Store, b: Store) -> [u64; 4] {
    let mut tally = [0; 4];
    comparisons(tries, a, b).for_each(|told| tally[told.verdict as usize] += 1);
    tally
}

fn comparisons(tries: u64, a: Store, b: Store) -> impl Iterator<Item = Comparison> {
    (0..tries).map(move |number| {
        let seed = 1_000 + number * 2;
        let (a, b) = (run(vec![cell(a, seed)]), run(vec![cell(b, seed + 1)]));
        Comparison::of(&a, &b, &CompareOptions { seed, ..CompareOptions::default() })
    })
}

#[test]
fn equal_stores_are_told_the_same_and_a_slower_one_slower() {
    let slower = Store { slowness: 1.1, ..PLAIN };
    let (same, told) = (tally(20, PLAIN, PLAIN), tally(20, PLAIN, slower));
    assert!(same[Verdict::Same as usize] >= 19, "{same:?}");
    assert!(told[Verdict::Slower as usize] >= 19, "{told:?}");
    let faster = tally(20, slower, PLAIN);
    assert!(faster[Verdict::Faster as usize] >= 19, "{faster:?}");
}

#[test]
fn a_load_that_lasts_is_no_difference() {
    let loaded = Store { kept: 0.7, ..PLAIN };
    let told = tally(20, loaded, loaded);
    assert_eq!(told[Verdict::Slower as usize] + told[Verdict::Faster as usize], 0, "{told:?}");
}

#[test]
#[ignore = "minutes: prints how often verdicts are right"]
fn rates() {
    for kept in [0.0, 0.5, 0.8] {
        for slowness in [1.0, 1.03, 1.1] {
            let (mut verdicts, mut different) = ([0; 4], std::collections::BTreeMap::new());
            for told in comparisons(400, Store { slowness: 1.0, kept }, Store { slowness, kept }) {
                verdicts[told.verdict as usize] += 1;
                for figure in &told.cells[0].figures {
                    if matches!(figure.verdict, Some(Verdict::Slower | Verdict::Faster)) {
                        *different.entry(figure.name).or_insert(0) += 1;
                    }
                }
            }
            println!(
                "load kept {kept}, {slowness} times as slow: same, slower, faster, cannot tell \
                 {verdicts:?}; slower or faster by {different:?}"
            );
        }
    }
}

fn figure<'a>(comparison: &'a Comparison, name: &str) -> &'a Figure {
    comparison.cells[0].figures.iter().find(|figure| figure.name == name).unwrap()
}

fn compared(a: &Run, b: &Run) -> Comparison {
    Comparison::of(a, b, &CompareOptions::default())
}

#[test]
fn few_calls_are_told_and_how_many_it_takes() {
    let few = |count: u64| {
        let mut cell = Cell::new(setup());
        let mut calls = Calls { count, ..Calls::default() };
        (1..=count).for_each(|n| calls.response.record(n * 1_000_000));
        cell.calls.insert("get".into(), calls);
        cell.elapsed = Duration::from_secs(1);
        run(vec![cell])
    };
    for count in [0, 1, 9] {
        let told = compared(&few(count), &few(count));
        assert_eq!(told.verdict, Verdict::CannotTell, "{count}");
        assert!(!told.is_regression());
        let words = told.in_words();
        assert!(words.contains("p50 (needs at least 11 calls)"), "{words}");
    }
    let told = compared(&few(100), &few(100));
    let (p50, rare) = (figure(&told, "p50"), figure(&told, "p99.9"));
    assert!(p50.needs_calls.unwrap() > 1_000, "{p50:?}");
    assert_eq!((rare.change, rare.needs_calls), (None, Some(7_100)), "{rare:?}");
    assert!(told.in_words().starts_with("cannot tell: p50 (needs about"), "{}", told.in_words());
}

#[test]
fn cells_are_matched_by_setup_and_others_named() {
    let with = |concurrency: u32, seed: u64| {
        let mut cell = cell(PLAIN, seed);
        cell.setup.concurrency = concurrency;
        cell
    };
    let a = run(vec![with(1, 1), with(2, 2), with(4, 3)]);
    let mut b = run(vec![with(4, 4), with(1, 5), with(8, 6)]);
    b.about.model = Some("s3-express".into());
    let told = compared(&a, &b);
    assert_eq!(told.cells.len(), 2);
    assert!(told.only_in_a[0].contains("2 at a time") && told.only_in_a.len() == 1);
    assert!(told.only_in_b[0].contains("8 at a time") && told.only_in_b.len() == 1);
    assert!((told.confidence - (1.0 - 0.01 / 12.0)).abs() < 1e-12);
    assert_eq!(told.in_words(), "same: of 2 cells, same in 2");
    let notes = told.notes().join("\n");
    assert!(notes.contains("different models of the emulator: none and s3-express"), "{notes}");
    let none = compared(&a, &run(Vec::new()));
    assert!(none.cells.is_empty() && none.verdict == Verdict::CannotTell);
    assert!(compared(&a, &a).caveats[0].contains("the same run"));
}

#[test]
fn a_rate_that_was_not_held_is_slower() {
    let open = |held: Option<f64>, seed| {
        let mut cell = cell(PLAIN, seed);
        (cell.setup.rate, cell.setup.arrivals) = (Some(220.0), Some(Arrivals::Constant));
        if let Some(held_rate) = held {
            // The generator told so: it began fewer calls.
            cell.elapsed = cell.elapsed.mul_f64(220.0 / held_rate);
            let (most, late_for) = (Duration::from_secs(1), Duration::from_secs(9));
            cell.behind = Some(Behind { held_rate, most, late_for, never_begun: 7 });
        }
        run(vec![cell])
    };
    let told = compared(&open(None, 1), &open(Some(110.0), 2));
    let figure = figure(&told, "throughput");
    assert_eq!(figure.verdict, Some(Verdict::Slower));
    assert_eq!(figure.note.as_deref(), Some("A held 220/s, B began 110.0/s of 220/s"));
    assert!(told.is_regression());
    assert!(told.in_words().contains("throughput (A held 220/s"), "{}", told.in_words());
    let back = compared(&open(Some(110.0), 1), &open(None, 2));
    assert_eq!(super::tests::figure(&back, "throughput").verdict, Some(Verdict::Faster));
    // A moment of lateness is told, and no difference.
    let late = compared(&open(None, 1), &open(Some(219.0), 2));
    assert_eq!(super::tests::figure(&late, "throughput").verdict, Some(Verdict::Same));
}

#[test]
fn calls_that_fail_are_a_regression_however_fast() {
    let failing = |failed: u64, seed: u64| {
        let mut cell = cell(PLAIN, seed);
        cell.failed_calls = failed;
        run(vec![cell])
    };
    let told = compared(&failing(0, 1), &failing(300, 2));
    assert!(
        told.is_regression() && told.in_words().contains("failed calls 0.00 → "),
        "{}",
        told.in_words()
    );
    assert_eq!(compared(&failing(3, 1), &failing(5, 2)).verdict, Verdict::Same);
}

#[test]
fn markdown_is_a_table_and_no_name_breaks_it() {
    let mut b = run(vec![cell(Store { slowness: 1.3, ..PLAIN }, 2)]);
    b.about.url = "oci://demo@ns/a|b\n<script>`*@me".into();
    let told = compared(&run(vec![cell(PLAIN, 1)]), &b);
    let text = told.to_markdown();
    assert!(text.starts_with("**storescope compare: slower: p50 +2"), "{text}");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 9 && rows.iter().all(|row| row.matches('|').count() == 6), "{text}");
    assert!(
        rows.iter().any(|row| row.starts_with("| p50 (ms) |") && row.ends_with("**slower** |"))
    );
    assert!(text.contains(r"a\|b &lt;script>\`\*&#64;me"), "{text}");
}

#[test]
fn stages_are_matched_by_name_and_their_waiting_is_shown() {
    use crate::made::{job, stage};
    let of = |extra: u64, last: &str| {
        let mut reading = stage("stage 1.0 (parquet)", 2_000, 1_000);
        reading.tasks.waited += Duration::from_secs(extra);
        job([reading, stage("stage 2.0", 0, 0), stage(last, 20, 1_000)])
    };
    let told = compared(&of(0, "stage 3.0"), &of(100, "stage 4.0"));
    assert_eq!(told.cells.len(), 1);
    assert_eq!(told.cells[0].setup, "stage 1.0 (parquet)");
    assert_eq!(told.cells[0].calls, [2_000, 2_000]);
    assert_eq!(told.verdict, Verdict::Same, "{}", told.in_words());
    let share = figure(&told, "waiting share");
    assert_eq!(
        (share.a, share.b, share.verdict, share.unit),
        (Some(1_000.0), Some(2_000.0), None, "%")
    );
    assert_eq!(figure(&told, "throughput").verdict, None);
    let notes = told.notes().join("\n");
    assert!(
        notes.starts_with(
            "only in A: stage 3.0\nonly in B: stage 4.0\nno call in either run: stage 2.0"
        ),
        "{notes}"
    );
    assert!(told.to_markdown().contains("| waiting share (%) | 1000.00 | 2000.00 | – |  |"));
    // Where no stage made a call, each is told, and none as the same.
    let idle = job([stage("stage 1.0", 0, 0), stage("stage 2.0", 0, 0)]);
    let told = compared(&idle, &idle);
    assert_eq!((told.cells.len(), told.verdict), (2, Verdict::CannotTell));
    assert_eq!(figure(&told, "waiting share").a, Some(0.0));
}
