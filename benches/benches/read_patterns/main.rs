// SPDX-License-Identifier: Apache-2.0
//! Patterns of reads, by storescope's reader and by its peers at what their documentation recommends:
//! time on the wall, requests, bytes over the wire, client CPU.
//!
//! Two profiles: `s3-standard`, the emulator with that model, whose record counts; and `none`, the plain server, which
//! answers at once and counts itself, for there the emulator would take more of two cores than most clients. Each run of
//! a row is a fresh client on a fresh runtime that has made one small read. Rows take turns. All of `docs/COMPARE.md`'s
//! tables are this bench's output.
//!
//! `-- --rounds N` sets the rounds of both profiles, `--profile NAME` runs one of them, `--only TEXT` the rows in which
//! the text is found, as `PATTERN · CLIENT`; `--quick` is one round of smaller patterns.

mod ours;
mod pattern;
mod peers;
mod row;

use crate::pattern::{Pattern, Task, key};
use crate::row::{Opened, Place, Row, WARM_UP};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storescope::{Payload, PutOptions};
use storescope_benches::client::Profile;
use storescope_benches::content::{PERIOD, content};
use storescope_benches::emulator::{self, Emulated};
use storescope_benches::measure::{Cost, Median, Served, by_turns};
use storescope_benches::report;
use storescope_benches::server::{self, Server};
use storescope_benches::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use tokio::runtime::{Builder, Runtime};

const WORKERS: usize = 2;

/// A profile, and how many rounds it has unless the command line says so.
const PROFILES: [(&str, usize); 2] = [("s3-standard", 5), ("none", 15)];

fn main() {
    emulator::serve_if_asked();
    server::serve_if_asked();
    let quick = std::env::args().any(|argument| argument == "--quick");
    let only: Option<String> = report::argument("--only");
    let profile: Option<String> = report::argument("--profile");
    let rounds = report::argument("--rounds").or(quick.then_some(1));
    let rows = rows(only.as_deref());
    report::head(
        "read_patterns",
        &format!(
            "Each run a fresh client on a fresh runtime of {WORKERS} threads, after one small read; rows by turns; http."
        ),
        &[
            "storescope",
            "storescope-emulator",
            "object_store",
            "opendal",
            "reqwest",
            "aws-sdk-s3",
            "hyper",
            "tokio",
        ],
    );
    print_patterns(&rows, quick);
    for (name, usual) in PROFILES {
        if profile.as_ref().is_none_or(|profile| profile == name) {
            run(name, &rows, rounds.unwrap_or(usual), quick);
        }
    }
}

/// All rows, those of a pattern together, ours first.
fn rows(only: Option<&str>) -> Vec<Row> {
    let mut rows = ours::rows();
    rows.extend(peers::object_store_s3::rows());
    rows.extend(peers::opendal_s3::rows());
    rows.extend(peers::aws_sdk::rows());
    if let Some(only) = only {
        rows.retain(|row| format!("{} · {}", row.pattern.name(), row.client).contains(only));
    }
    let place = |row: &Row| Pattern::ALL.iter().position(|pattern| *pattern == row.pattern);
    rows.sort_by_key(place);
    rows
}

fn print_patterns(rows: &[Row], quick: bool) {
    println!("| pattern | reads | MB asked for | client | by |");
    println!("| --- | --- | --- | --- | --- |");
    for row in rows {
        let task = Task::new(row.pattern, quick, false);
        println!(
            "| {} | {} | {:.1} | {} | {} |",
            row.pattern.name(),
            task.ranges().len(),
            task.asked() as f64 / 1e6,
            row.client,
            row.how
        );
    }
}

/// One run of a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    wall: f64,
    requests: f64,
    megabytes: f64,
    /// In seconds a GB that was asked for.
    cpu: f64,
}

/// A figure of which less is better.
struct Figure {
    name: &'static str,
    of: fn(&Run) -> f64,
    digits: usize,
    /// A peer that takes so many times what we do is behind us.
    ahead: f64,
}

/// Times are level within 2 %. Equal requests and bytes are what plain reads have; within 1 % they are equal.
const FIGURES: [Figure; 4] = [
    Figure { name: "wall, s", of: |run| run.wall, digits: 3, ahead: 1.02 },
    Figure { name: "requests", of: |run| run.requests, digits: 0, ahead: 0.99 },
    Figure { name: "MB", of: |run| run.megabytes, digits: 1, ahead: 0.99 },
    Figure { name: "CPU, s/GB", of: |run| run.cpu, digits: 2, ahead: 1.02 },
];

/// Runs and prints a profile.
fn run(name: &str, rows: &[Row], rounds: usize, quick: bool) {
    let begun = Instant::now();
    let asked = Asked::start(name, rows, quick);
    // Rounds that do not count: every byte is looked at. There the server's pace is of no interest.
    if name == "none" || quick {
        for row in rows {
            asked.read(row, quick, true);
        }
    }
    let runs = by_turns(rows.len(), rounds, |number| asked.read(&rows[number], quick, false));
    println!("\n### {name}\n");
    println!("| pattern | client | wall, s | ÷ {} | requests | MB | CPU, s/GB |", ours::S3);
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (row, of_row) in rows.iter().zip(&runs) {
        let figures = FIGURES
            .map(|figure| short(Median::in_range(of_row.iter().map(figure.of)), figure.digits));
        let [wall, requests, megabytes, cpu] = figures;
        let ours = rows.iter().position(|o| o.pattern == row.pattern && o.client == ours::S3);
        let ratio = ours.map(|ours| short(ratios(of_row, &runs[ours], |run| run.wall), 2));
        let ratio = ratio.unwrap_or_default();
        println!(
            "| {} | {} | {wall} | {ratio} | {requests} | {megabytes} | {cpu} |",
            row.pattern.name(),
            row.client
        );
    }
    println!(
        "\n{name}: {rounds} rounds, {:.0} s in all, load {} at the end. Medians, with the least and the most of the \
         rounds where they differ; ratios within a round.",
        begun.elapsed().as_secs_f64(),
        report::load()
    );
    println!("\nWhere {} is not ahead at {name}, peers as ratios to it:\n", ours::S3);
    for line in not_ahead(rows, &runs) {
        println!("- {line}");
    }
}

/// A median with its range, unless all samples look the same.
fn short(median: Median, digits: usize) -> String {
    let Median { value, low, high } = median;
    let same = format!("{low:.digits$}") == format!("{high:.digits$}");
    if same { format!("{value:.digits$}") } else { format!("{median:.digits$}") }
}

fn ratios(peer: &[Run], ours: &[Run], figure: fn(&Run) -> f64) -> Median {
    Median::in_range(peer.iter().zip(ours).map(|(peer, ours)| figure(peer) / figure(ours)))
}

/// A line for each pattern and figure in which a peer is not behind: such peers, with their ratios to ours.
fn not_ahead(rows: &[Row], runs: &[Vec<Run>]) -> Vec<String> {
    let lines = Pattern::ALL.into_iter().flat_map(|pattern| {
        let of_pattern =
            move || rows.iter().zip(runs).filter(move |(row, _)| row.pattern == pattern);
        FIGURES.into_iter().filter_map(move |figure| {
            let (_, ours) = of_pattern().find(|(row, _)| row.client == ours::S3)?;
            let peers: Vec<String> = of_pattern()
                .filter(|(row, _)| !row.client.starts_with("storescope"))
                .map(|(row, peer)| (row.client, ratios(peer, ours, figure.of)))
                .filter(|(_, ratio)| ratio.value < figure.ahead)
                .map(|(client, ratio)| format!("{client} {}", short(ratio, 2)))
                .collect();
            let line = format!("{}, {}: {}", pattern.name(), figure.name, peers.join(" · "));
            (!peers.is_empty()).then_some(line)
        })
    });
    lines.collect()
}

/// The server that a profile asks.
struct Asked {
    place: Place,
    server: Counting,
}

/// A server that counts, in a process of its own.
enum Counting {
    Emulator(Box<Emulated>),
    /// With the keys of its clients, which last as long as it does.
    Plain(Server, #[expect(dead_code, reason = "it is kept for its folder")] Profile),
}

impl Asked {
    fn start(profile: &str, rows: &[Row], quick: bool) -> Asked {
        if profile == "none" {
            let (server, keys) = (Server::start(), Profile::generate());
            let place = Place {
                oci: format!("http://{}", server.address()),
                namespace: "plain".to_owned(),
                config_file: keys.config_file(),
                s3: format!("http://{}", server.address()),
                region: REGION.to_owned(),
                access_key: ACCESS_KEY.to_owned(),
                secret_key: SECRET_KEY.to_owned(),
            };
            return Asked { place, server: Counting::Plain(server, keys) };
        }
        let emulator = Emulated::start(profile, &[BUCKET]);
        let ready = emulator.ready();
        let s3 = ready.s3.as_ref().expect("the emulator speaks S3");
        let place = Place {
            oci: ready.oci.endpoint.clone(),
            namespace: ready.oci.namespace.clone(),
            config_file: PathBuf::from(&ready.oci.config_file),
            s3: s3.endpoint.clone(),
            region: s3.region.clone(),
            access_key: s3.access_key_id.clone(),
            secret_key: s3.secret_access_key.clone(),
        };
        let sizes = rows.iter().map(|row| Task::new(row.pattern, quick, false).size);
        let sizes: BTreeSet<u64> = sizes.chain([WARM_UP]).collect();
        runtime().block_on(put(&place, &sizes));
        Asked { place, server: Counting::Emulator(Box::new(emulator)) }
    }

    /// Reads a row's pattern once.
    fn read(&self, row: &Row, quick: bool, in_full: bool) -> Run {
        let task = Arc::new(Task::new(row.pattern, quick, in_full));
        let runtime = runtime();
        let opened = {
            let _entered = runtime.enter();
            (row.open)(&self.place, task.clone())
        };
        let Opened { warm_up, read } = opened;
        runtime.block_on(warm_up);
        let before = self.served();
        let cost = Cost::of(|| {
            runtime.block_on(async { tokio::spawn(read).await.expect("no panic") });
        });
        task.check();
        // What the client still had under way ends with it, and is counted.
        runtime.shutdown_timeout(Duration::from_secs(10));
        let after = self.served();
        Run {
            wall: cost.wall.as_secs_f64(),
            requests: (after.requests - before.requests) as f64,
            megabytes: (after.bytes - before.bytes) as f64 / 1e6,
            cpu: cost.cpu.as_secs_f64() / (task.asked() as f64 / 1e9),
        }
    }

    /// What has been served so far, by the server's own record or count.
    fn served(&self) -> Served {
        match &self.server {
            Counting::Emulator(emulator) => emulator.served(),
            Counting::Plain(server, _) => server.served(),
        }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    runtime.expect("a runtime")
}

/// Puts objects of those sizes; the emulator has them for both APIs.
async fn put(place: &Place, sizes: &BTreeSet<u64>) {
    let store = ours::s3_store(place);
    for &size in sizes {
        let pieces = (0..size).step_by(PERIOD as usize).map(|at| at..size.min(at + PERIOD));
        let body: Payload = pieces.map(|range| Bytes::from_static(content(range))).collect();
        store.put(&key(size), body, PutOptions::new()).await.expect("the emulator takes objects");
    }
}
