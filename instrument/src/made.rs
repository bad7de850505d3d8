// SPDX-License-Identifier: Apache-2.0
//! Jobs made for tests.

use crate::environment::Environment;
use crate::job::Stage;
use crate::run::{About, Run};
use crate::tasks::{Tasks, Worker};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};
use storescope::timing::{Distribution, Snapshot};

pub(crate) const MS: u64 = 1_000_000;

/// What these keys have recorded, of 60 seconds that began so many seconds after the first day of 2026.
pub(crate) fn snapshot(begun: u64, keys: &[(&str, &[u64])]) -> Snapshot {
    let start = 1_767_225_600 + begun;
    let mut log = format!("#[StartTime: {start}.000 (seconds since epoch)]\n");
    for (tag, values) in keys {
        let mut all =
            if tag.contains("bytes") { Distribution::bytes() } else { Distribution::nanoseconds() };
        values.iter().for_each(|value| all.record(*value));
        let encoded = all.encode();
        let (_, histogram) = encoded.rsplit_once(' ').expect("it has values");
        let (sum, min, max) = (all.sum(), all.min(), all.max());
        writeln!(
            log,
            "Tag={tag},{start}.000,60.000,1.0,{histogram}\n#[Exact: {tag} {sum} {min} {max}]"
        )
        .expect("writing to memory");
    }
    Snapshot::from_hlog(&log).expect("it is a log")
}

/// So many tasks that ran and waited for so long in all.
pub(crate) fn tasks(count: u64, run: Duration, waited: Duration) -> Tasks {
    let worker = Worker { tasks: count, run, waited, ..Worker::default() };
    let workers = [("1".to_owned(), worker)].into();
    Tasks { succeeded: count, run, waited, workers, ..Tasks::default() }
}

/// A stage of 10 tasks of 1 s each, that made so many GETs of so many bytes and waited 50 ms for each.
pub(crate) fn stage(name: &str, gets: u64, size: u64) -> Stage {
    let first: Vec<_> = (0..gets).map(|n| (20 + n % 20) * MS).collect();
    let (whole, sizes) = (vec![50 * MS; gets as usize], vec![size; gets as usize]);
    let keys: [(&str, &[u64]); 4] = [
        ("attempt/get/ttfb/ok/le64K/reused", &first),
        ("attempt/get/total/ok/le64K/reused", &whole),
        ("attempt/get/bytes_delivered/ok/-/-", &sizes),
        ("call/get/total/ok/-/-", &whole),
    ];
    let waited = Duration::from_millis(50 * gets);
    Stage {
        name: name.to_owned(),
        elapsed: Duration::from_secs(5),
        attempts: if gets == 0 { Snapshot::default() } else { snapshot(0, &keys) },
        tasks: tasks(10, Duration::from_secs(10), waited),
    }
}

pub(crate) fn job(stages: impl IntoIterator<Item = Stage>) -> Run {
    let about = About {
        version: "0.1.0".into(),
        command: Vec::new(),
        url: "reduce.py (app-1)".into(),
        model: None,
        seed: 0,
        started_at: UNIX_EPOCH + Duration::from_hours(490_896),
        environment: Environment::default(),
        processes: 3,
        notes: Vec::new(),
    };
    Run::of_stages(about, stages)
}
