// SPDX-License-Identifier: Apache-2.0
//! 8 MiB ranges, four at a time: storescope beside hyper collecting into pre-sized buffers.
//!
//! hyper runs twice: with a fresh buffer for each range, which is what a caller who keeps the bytes needs and what
//! storescope's `bytes()` hands out, and with one buffer a connection used again and again, which nobody who keeps the
//! bytes can have; it is told because it is the floor. `-- --ranges N --rounds N` set the size.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use std::net::SocketAddr;
use std::ops::Range;
use storescope_benches::client::{BareHyper, Profile, Reads as _, Storescope};
use storescope_benches::measure::{Cost, Median, by_turns};
use storescope_benches::report;
use storescope_benches::server::{OBJECT_SIZE, Server, serve_if_asked};
use tokio::runtime::{Builder, Runtime};

const SIZE: u64 = 8 << 20;
const AT_A_TIME: u64 = 4;
const BAR: f64 = 0.9;

/// A name, and what reads all ranges.
type Row = (&'static str, fn(&Setup, &Runtime) -> Cost);

const ROWS: [Row; 3] = [
    ("hyper, fresh buffer", |setup, runtime| setup.hyper(runtime, false)),
    ("storescope", Setup::storescope),
    ("hyper, buffer used again", |setup, runtime| setup.hyper(runtime, true)),
];

struct Setup {
    address: SocketAddr,
    profile: Profile,
    ranges: u64,
}

impl Setup {
    fn storescope(&self, runtime: &Runtime) -> Cost {
        let client = runtime.block_on(async {
            let mut client = Storescope::new(self.profile.config_file(), self.address, true);
            client.read(0..SIZE).await;
            client
        });
        let each = self.ranges / AT_A_TIME;
        let tasks = (0..AT_A_TIME).map(|lane| {
            let mut client = client.clone();
            async move {
                for range in ranges(lane, each) {
                    let bytes: Bytes = client.read(range).await;
                    assert_eq!(bytes.len() as u64, SIZE);
                }
            }
        });
        cost(runtime, tasks.collect())
    }

    fn hyper(&self, runtime: &Runtime, again: bool) -> Cost {
        let each = self.ranges / AT_A_TIME;
        let tasks = (0..AT_A_TIME).map(|lane| {
            let mut client = runtime.block_on(BareHyper::connect(self.address));
            async move {
                let mut buffer = Vec::with_capacity(SIZE as usize);
                for range in ranges(lane, each) {
                    if again {
                        buffer.clear();
                    } else {
                        buffer = Vec::with_capacity(SIZE as usize);
                    }
                    collect(&mut client, range, &mut buffer).await;
                }
            }
        });
        cost(runtime, tasks.collect())
    }
}

fn ranges(lane: u64, count: u64) -> impl Iterator<Item = Range<u64>> {
    (0..count).map(move |number| {
        let start = (number * AT_A_TIME + lane) * SIZE % OBJECT_SIZE;
        start..start + SIZE
    })
}

async fn collect(client: &mut BareHyper, range: Range<u64>, into: &mut Vec<u8>) {
    let mut body = client.answer(range).await.into_body();
    while let Some(frame) = body.frame().await {
        let data = frame.expect("the body is whole").into_data();
        into.extend_from_slice(&data.expect("no trailers"));
    }
    assert_eq!(into.len() as u64, SIZE);
}

fn cost(runtime: &Runtime, tasks: Vec<impl Future<Output = ()> + Send + 'static>) -> Cost {
    Cost::of(|| {
        let running: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
        runtime.block_on(async {
            for task in running {
                task.await.expect("no panic");
            }
        });
    })
}

fn main() {
    serve_if_asked();
    let server = Server::start();
    let rounds = report::argument("--rounds").unwrap_or(11);
    let ranges = report::argument("--ranges").unwrap_or(256);
    let setup = Setup { address: server.address(), profile: Profile::generate(), ranges };
    report::head(
        "throughput",
        &format!(
            "{rounds} rounds of {ranges} ranges of {SIZE} bytes, {AT_A_TIME} at a time, rows by turns."
        ),
        &["storescope", "hyper", "tokio"],
    );
    println!("| runtime | client | MB/s | ratio of MB/s | CPU, ms a GB | ratio of CPU |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let workers = [("multi-thread, 2 workers", 2), ("current-thread", 0)];
    let ratios = workers.map(|(name, workers)| table(&setup, rounds, name, workers));
    println!(
        "\nMedians, with their 95 % intervals; ratios to the first row, taken within a round."
    );
    report::bar(
        &format!("storescope {:.3} ≥ {BAR} × hyper, multi-thread", ratios[0]),
        ratios[0].value >= BAR,
    );
}

/// Prints the rows of one runtime; returns storescope's MB/s as a ratio to hyper's.
fn table(setup: &Setup, rounds: usize, name: &str, workers: usize) -> Median {
    let costs = by_turns(ROWS.len(), rounds, |row| {
        let runtime = match workers {
            0 => Builder::new_current_thread().enable_all().build(),
            _ => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
        };
        (ROWS[row].1)(setup, &runtime.expect("a runtime"))
    });
    let bytes = (setup.ranges / AT_A_TIME * AT_A_TIME * SIZE) as f64;
    let each = |pick: &dyn Fn(&Cost) -> f64| -> Vec<Vec<f64>> {
        costs.iter().map(|row| row.iter().map(pick).collect()).collect()
    };
    let speed = each(&|cost| bytes / 1e6 / cost.wall.as_secs_f64());
    let cpu = each(&|cost| cost.cpu.as_secs_f64() * 1e3 / (bytes / 1e9));
    for (row, (client, _)) in ROWS.iter().enumerate() {
        println!(
            "| {name} | {client} | {:.0} | {:.2} | {:.0} | {:.2} |",
            Median::of(speed[row].iter().copied()),
            Median::of_ratios(&speed[row], &speed[0]),
            Median::of(cpu[row].iter().copied()),
            Median::of_ratios(&cpu[row], &cpu[0]),
        );
    }
    Median::of_ratios(&speed[1], &speed[0])
}
