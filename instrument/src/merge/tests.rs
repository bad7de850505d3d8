// SPDX-License-Identifier: Apache-2.0
//! Merged runs hold what their parts held.

use super::*;
use crate::bands::Bands;
use crate::environment::Environment;
use crate::run::{About, Arrivals, Calls};
use proptest::prelude::*;
use std::time::UNIX_EPOCH;
use storescope::timing::{Distribution, Phase, Scope};

const START: u64 = 1_800_000_000;

/// A run that began so many seconds after the start, of these response times in ms, a call a second.
fn run(start: u64, times: &[u64]) -> Run {
    let setup = Setup {
        name: None,
        mix: [("get".to_owned(), 1)].into(),
        pattern: "random".into(),
        size: Some(4_096),
        concurrency: 2,
        rate: Some(1.0),
        arrivals: Some(Arrivals::Constant),
        new_connections: false,
    };
    let mut cell = Cell::new(setup);
    let (mut calls, mut bands) = (Calls::default(), Bands::default());
    for (second, time) in times.iter().enumerate() {
        let (at, time) = (Duration::from_secs(second as u64), time * 1_000_000);
        let mut point = Point::new(at, Duration::from_secs(1));
        (point.calls, point.bytes, point.in_flight) = (1, 4_096, 1);
        point.response.record(time);
        point.first_byte.record(time / 2);
        cell.series.push(point);
        (calls.count, calls.bytes) = (calls.count + 1, calls.bytes + 4_096);
        calls.response.record(time);
        calls.service.record(time);
        bands.record(time, |phase| (phase == Phase::Ttfb).then_some(time / 2));
        cell.lateness.record(time / 10);
        cell.stream.record(time);
    }
    let scope = Scope::new("test");
    for time in times {
        storescope::timing::bench::record_attempt(std::slice::from_ref(&scope), *time);
    }
    cell.attempts = scope.snapshot();
    cell.elapsed = Duration::from_secs(times.len() as u64);
    cell.calls.insert("get".into(), calls);
    cell.bands.insert("get".into(), bands);
    (cell.retries, cell.failed_calls, cell.verified_bytes) = (1, 2, Some(3));
    cell.cpu = Duration::from_millis(7);
    let about = About {
        version: "0.1.0".into(),
        command: Vec::new(),
        url: "oci://demo@ns/object".into(),
        model: Some("s3-standard".into()),
        seed: start,
        started_at: UNIX_EPOCH + Duration::from_secs(START + start),
        environment: Environment::default(),
        processes: 1,
        notes: Vec::new(),
    };
    // The attempts of a test begin now, which is before `START`.
    Run { about, cells: vec![cell] }
}

fn buckets(times: &Distribution) -> BTreeMap<u64, u64> {
    times.buckets().map(|(low, _, count)| (low, count)).collect()
}

/// The parts' buckets, added up by hand.
fn summed(runs: &[Run], part: impl Fn(&Run) -> Distribution) -> BTreeMap<u64, u64> {
    let mut sum = BTreeMap::new();
    for (low, count) in runs.iter().flat_map(|run| buckets(&part(run))) {
        *sum.entry(low).or_insert(0) += count;
    }
    sum
}

proptest! {
    #[test]
    fn counts_are_the_sums_bucket_for_bucket(
        groups in (1..4usize).prop_flat_map(|beside| {
            let times = prop::collection::vec(1..5_000u64, 20..150);
            prop::collection::vec(prop::collection::vec(times, beside), 1..4)
        }),
    ) {
        // As many beside each other each time, one time after another.
        let runs: Vec<_> = groups
            .iter()
            .enumerate()
            .flat_map(|(at, group)| group.iter().map(move |times| run(at as u64 * 1_000, times)))
            .collect();
        let sum = merged(&runs).unwrap();
        let cell = |run: &Run| run.cells[0].clone();
        let parts: [fn(&Cell) -> Distribution; 6] = [
            |cell| cell.response(),
            |cell| cell.service(),
            |cell| cell.lateness.clone(),
            |cell| cell.stream.clone(),
            |cell| cell.times(Phase::Total).unwrap(),
            |cell| cell.times(Phase::Ttfb).unwrap(),
        ];
        for part in parts {
            let expected = summed(&runs, |run| part(&cell(run)));
            prop_assert_eq!(buckets(&part(&sum.cells[0])), expected);
        }
        let points = |cell: &Cell, part: fn(&Point) -> &Distribution| {
            let mut sum = Distribution::nanoseconds();
            cell.series.points().iter().for_each(|point| sum.merge(part(point)));
            sum
        };
        for part in [(|point| &point.response) as fn(&Point) -> &Distribution, |point| &point.first_byte] {
            let expected = summed(&runs, |run| points(&run.cells[0], part));
            prop_assert_eq!(buckets(&points(&sum.cells[0], part)), expected);
        }
        let mut keys = BTreeMap::new();
        for (key, times) in runs.iter().flat_map(|run| run.cells[0].attempts.iter()) {
            *keys.entry(*key).or_insert(0) += times.count();
        }
        let merged_keys: BTreeMap<_, _> =
            sum.cells[0].attempts.iter().map(|(key, times)| (*key, times.count())).collect();
        prop_assert_eq!(merged_keys, keys);
        let calls: u64 = runs.iter().map(|run| run.cells[0].calls["get"].count).sum();
        let (of_all, count) = (&sum.cells[0], runs.len() as u64);
        prop_assert_eq!(of_all.calls["get"].count, calls);
        prop_assert_eq!(of_all.bands["get"].count(), calls);
        prop_assert_eq!(of_all.series.points().iter().map(|point| point.calls).sum::<u64>(), calls);
        prop_assert!(of_all.series.points().len() <= Series::MOST);
        prop_assert_eq!((of_all.retries, of_all.failed_calls), (count, 2 * count));
        prop_assert_eq!(of_all.verified_bytes, Some(3 * count));
        prop_assert_eq!(of_all.cpu, Duration::from_millis(7 * count));
        prop_assert_eq!(u64::from(sum.about.processes), count);
    }
}

#[test]
fn runs_beside_each_other_are_one_load() {
    let runs = [run(3, &[5; 10]), run(0, &[7; 10]), run(1, &[9; 10])];
    let sum = merged(&runs).unwrap();
    let cell = &sum.cells[0];
    assert_eq!((cell.setup.concurrency, cell.setup.rate), (6, Some(3.0)));
    assert_eq!(cell.elapsed, Duration::from_secs(13), "from the first beginning to the last end");
    assert_eq!(sum.about.started_at, UNIX_EPOCH + Duration::from_secs(START));
    let calls: Vec<_> = cell.series.points().iter().map(|point| point.calls).collect();
    assert_eq!(calls, [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 2, 1, 1]);
    assert_eq!(cell.series.points()[5].in_flight, 3);
    assert!(cell.series.points().windows(2).all(|two| two[0].at + two[0].length == two[1].at));
    assert_eq!(cell.behind, None);
    // Parts that began far from each other are parts all the same, if the caller says so.
    let apart = merged_parts(&[run(0, &[5; 10]), run(50, &[7; 10])]).unwrap();
    assert_eq!(apart.cells[0].setup.concurrency, 4);
    assert_eq!(apart.cells[0].elapsed, Duration::from_mins(1));
    // Merging is the same in steps.
    let mut steps = runs[0].clone();
    steps.merge(&runs[1..]).unwrap();
    assert_eq!(steps, sum);
}

#[test]
fn runs_after_one_another_are_one_measurement() {
    // They share a second by their clocks, which is not half of either.
    let sum = merged(&[run(100, &[5; 10]), run(91, &[7; 10])]).unwrap();
    let cell = &sum.cells[0];
    assert_eq!((cell.setup.concurrency, cell.setup.rate), (2, Some(1.0)));
    assert_eq!(cell.elapsed, Duration::from_secs(20));
    let points = cell.series.points();
    assert_eq!(points.len(), 20);
    assert!(points.iter().all(|point| point.calls == 1 && point.in_flight == 1));
    assert_eq!(points[9].response.min() / 1_000_000, 7, "the earlier one is first");
    assert_eq!(points[10].response.min() / 1_000_000, 5);
    // Two pairs of parts.
    let four = [run(0, &[5; 10]), run(0, &[6; 10]), run(50, &[7; 10]), run(50, &[8; 10])];
    let sum = merged(&four).unwrap();
    assert_eq!(sum.cells[0].setup.concurrency, 4);
    assert_eq!(sum.cells[0].elapsed, Duration::from_secs(20));
    assert_eq!(sum.about.processes, 4);
}

#[test]
fn a_rate_is_held_in_part() {
    let behind = |mut run: Run, held_rate: f64| {
        let (most, late_for) = (Duration::from_secs(1), Duration::from_secs(4));
        run.cells[0].behind = Some(Behind { held_rate, most, late_for, never_begun: 3 });
        run
    };
    let held = |runs: &[Run]| merged(runs).unwrap().cells[0].behind.clone().unwrap();
    let beside = held(&[run(0, &[5; 10]), behind(run(0, &[6; 10]), 0.5)]);
    assert!((beside.held_rate - 1.5).abs() < 1e-9);
    assert_eq!((beside.late_for, beside.never_begun), (Duration::from_secs(4), 3));
    let after = held(&[behind(run(0, &[5; 10]), 0.5), behind(run(50, &[6; 10]), 0.7)]);
    assert!((after.held_rate - 0.6).abs() < 1e-9);
    assert_eq!((after.late_for, after.never_begun), (Duration::from_secs(8), 6));
}

#[test]
fn what_cannot_be_one_run_is_told_by_name() {
    let (one, mut other) = (run(0, &[5; 10]), run(0, &[5; 10]));
    assert_eq!(merged(&[]), Err(MergeError::Nothing));
    let mut empty = one.clone();
    empty.cells.clear();
    assert!(
        merged(&[one.clone(), empty])
            .unwrap_err()
            .to_string()
            .starts_with("run 2 has measured nothing")
    );
    other.cells[0].setup.size = Some(1);
    let said = merged_named(&[("a".into(), &one), ("b".into(), &other)]).unwrap_err().to_string();
    assert!(
        said.contains("a and b, by their clocks made beside each other, have different cells")
            && said.contains("only the first has “get 4096 bytes")
            && said.contains("only the second has “get 1 bytes"),
        "{said}"
    );
    other = run(50, &[5; 10]);
    other.cells[0].setup.concurrency = 3;
    let later = merged(&[one.clone(), other.clone()]).unwrap_err();
    assert!(matches!(later, MergeError::Cells { .. }), "one after another, all must be equal");
    other = run(0, &[5; 10]);
    other.about.model = None;
    let said = merged(&[one.clone(), other]).unwrap_err().to_string();
    assert!(said.contains("run 1 measured the model s3-standard, and run 2 none"), "{said}");
    let twice = merged(&[one.clone(), one]).unwrap();
    assert_eq!(twice.about.notes, ["run 2 is the same run as run 1: it counts twice"]);
}

#[test]
fn a_merged_run_is_written_and_read_back() {
    let sum = merged(&[run(0, &[5; 10]), run(1, &[7; 12])]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    sum.write(folder.path()).unwrap();
    let read = Run::read(folder.path()).unwrap();
    assert_eq!(read.to_json(), sum.to_json());
}

#[test]
fn runs_of_a_job_add_up_by_the_names_of_stages() {
    use crate::made::{job, stage};
    let later = |mut run: Run, seconds: u64| {
        run.about.started_at += Duration::from_secs(seconds);
        run
    };
    let one =
        job([stage("stage 1.0", 30, 1_000), stage("stage 2.0", 0, 0), stage("stage 3.0", 7, 10)]);
    // Planned anew: another order, another stage, and one twice.
    let two = job([
        stage("stage 3.0", 3, 10),
        stage("stage 1.0", 5, 9),
        stage("stage 9.0", 2, 1),
        stage("stage 1.0", 1, 1),
    ]);
    for runs in [[one.clone(), later(two.clone(), 0)], [one.clone(), later(two.clone(), 5_000)]] {
        let sum = merged(&runs).unwrap();
        let told: Vec<_> =
            sum.cells.iter().map(|cell| (cell.setup.to_string(), cell.requests())).collect();
        let expected = [
            ("stage 1.0", 35),
            ("stage 2.0", 0),
            ("stage 3.0", 10),
            ("stage 9.0", 2),
            ("stage 1.0", 1),
        ];
        assert_eq!(told, expected.map(|(name, requests)| (name.to_owned(), requests)));
        let cell = &sum.cells[0];
        let tasks = cell.tasks.as_ref().unwrap();
        assert_eq!((tasks.count(), cell.elapsed.as_secs(), tasks.run.as_secs()), (20, 10, 20));
        assert_eq!((tasks.waited.as_millis(), tasks.workers["1"].tasks), (35 * 50, 20));
        assert_eq!((cell.calls["get"].count, cell.bytes()), (35, 30_045));
        assert_eq!((sum.about.processes, sum.sum().requests()), (6, 48));
        assert_eq!(merged_parts(&runs).unwrap(), sum);
    }
    let said = merged(&[one.clone(), run(0, &[5; 10])]).unwrap_err().to_string();
    assert!(said.contains("measured the model none"), "{said}");
    let mut bench = run(0, &[5; 10]);
    bench.about.model = None;
    let said = merged(&[one, bench]).unwrap_err().to_string();
    assert!(said.contains("only the first has “stage 1.0”"), "{said}");
}
