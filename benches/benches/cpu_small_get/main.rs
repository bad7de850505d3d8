// SPDX-License-Identifier: Apache-2.0
//! CPU of a 4 KiB ranged GET by getrusage, client by client on one plain server (contracts §8.2, §8.8).
//!
//! A row's turn is a fresh current-thread runtime and a fresh client, a warm-up that is not counted, then requests one
//! after the other. `-- --requests N --rounds N` set the size; `--only NAME` runs one row, once, for a profiler.

mod peers;

use peers::{AwsSdk, ObjectStoreHttp, ObjectStoreS3, Reqwest};
use std::net::SocketAddr;
use storescope_benches::client::{BareHyper, Profile, Reads, Storescope, read_many};
use storescope_benches::measure::{Cost, Median, by_turns};
use storescope_benches::report;
use storescope_benches::server::{Server, serve_if_asked};
use tokio::runtime::Builder;

const SIZE: u64 = 4096;
const BAR: f64 = 1.25;

struct Row {
    name: &'static str,
    settings: &'static str,
    run: fn(&Setup) -> Cost,
}

/// The first row is what the others are measured by; the second is judged by the bar.
const ROWS: &[Row] = &[
    Row {
        name: "bare hyper",
        settings: "one kept http1 connection, no pool, body collected",
        run: |setup| setup.cost(|| BareHyper::connect(setup.address)),
    },
    Row {
        name: "storescope",
        settings: "OCI-signed, signature reused, timing on: the defaults",
        run: |setup| setup.cost(async || setup.storescope(true)),
    },
    Row {
        name: "storescope, timing off",
        settings: "the same with `timing=false`",
        run: |setup| setup.cost(async || setup.storescope(false)),
    },
    Row {
        name: "bare hyper, OCI headers",
        settings: "as bare hyper, sending the headers of a signed request, made beforehand",
        run: |setup| setup.cost(|| BareHyper::with_oci_headers(setup.address)),
    },
    Row {
        name: "reqwest",
        settings: "http1_only, no_proxy, parsed URL; unsigned",
        run: |setup| setup.cost(async || Reqwest::new(setup.address)),
    },
    Row {
        name: "object_store HttpStore",
        settings: "allow_http; unsigned",
        run: |setup| setup.cost(async || ObjectStoreHttp::new(setup.address)),
    },
    Row {
        name: "object_store AmazonS3",
        settings: "path style, allow_http, SigV4 each request (aws-lc-rs)",
        run: |setup| setup.cost(async || ObjectStoreS3::new(setup.address)),
    },
    Row {
        name: "aws-sdk-s3",
        settings: "path style, hyper 1 connector, SigV4 each request; checksums when_required, no retries, no timeouts, no stalled-stream protection",
        run: |setup| setup.cost(async || AwsSdk::new(setup.address)),
    },
];

struct Setup {
    address: SocketAddr,
    profile: Profile,
    requests: u64,
}

impl Setup {
    fn storescope(&self, timing: bool) -> Storescope {
        Storescope::new(self.profile.config_file(), self.address, timing)
    }

    fn cost<R: Reads>(&self, connect: impl AsyncFnOnce() -> R) -> Cost {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut client = runtime.block_on(async {
            let mut client = connect().await;
            read_many(&mut client, self.requests / 10, SIZE).await;
            client
        });
        Cost::of(|| runtime.block_on(read_many(&mut client, self.requests, SIZE)))
    }
}

fn main() {
    serve_if_asked();
    let server = Server::start();
    let requests = report::argument("--requests").unwrap_or(20_000);
    let setup = Setup { address: server.address(), profile: Profile::generate(), requests };
    if let Some(only) = report::argument::<String>("--only") {
        let row = ROWS.iter().find(|row| row.name == only).expect("a row of that name");
        println!("{only}: {:?}", (row.run)(&setup));
        return;
    }
    let rounds = report::argument("--rounds").unwrap_or(11);
    report::head(
        "cpu_small_get",
        &format!("{rounds} rounds of {requests} requests of {SIZE} bytes a row, rows by turns."),
        &["storescope", "hyper", "tokio", "reqwest", "object_store", "aws-sdk-s3"],
    );
    let costs = by_turns(ROWS.len(), rounds, |row| (ROWS[row].run)(&setup));
    let each = |pick: fn(&Cost) -> f64| -> Vec<Vec<f64>> {
        let row = |costs: &Vec<Cost>| costs.iter().map(|c| pick(c) / requests as f64).collect();
        costs.iter().map(row).collect()
    };
    let (cpu, wall) =
        (each(|cost| cost.cpu.as_secs_f64() * 1e6), each(|cost| cost.wall.as_secs_f64() * 1e6));
    println!("| client | CPU, µs a request | ratio to bare hyper | wall, µs | settings |");
    println!("| --- | --- | --- | --- | --- |");
    for (index, row) in ROWS.iter().enumerate() {
        println!(
            "| {} | {:.1} | {:.2} | {:.1} | {} |",
            row.name,
            Median::of(cpu[index].iter().copied()),
            Median::of_ratios(&cpu[index], &cpu[0]),
            Median::of(wall[index].iter().copied()).value,
            row.settings
        );
    }
    println!("\nMedians, with their 95 % intervals; ratios are taken within a round.");
    let ratio = Median::of_ratios(&cpu[1], &cpu[0]);
    report::bar(&format!("storescope {ratio:.3} ≤ {BAR} × bare hyper"), ratio.value <= BAR);
}
