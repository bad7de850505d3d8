// SPDX-License-Identifier: Apache-2.0
//! CPU of a 4 KiB ranged GET by getrusage, client by client on one plain server.
//!
//! Each round opens every client anew on a current-thread runtime of its own and warms it up; then the clients take turns
//! of some requests one after the other. `-- --rounds N --slices N --requests N` set the size; `--only NAME` runs one
//! slice of one row, for a profiler.

mod peers;

use peers::{AwsSdk, ObjectStoreHttp, ObjectStoreS3, Reqwest};
use std::net::SocketAddr;
use std::time::Duration;
use storescope::Config;
use storescope_benches::client::{BareHyper, Profile, Reads, Storescope, reading};
use storescope_benches::measure::{Cost, Median, Slice, by_slices};
use storescope_benches::report;
use storescope_benches::server::{Server, serve_if_asked};

const SIZE: u64 = 4096;
const BAR: f64 = 1.25;

struct Row {
    name: &'static str,
    settings: &'static str,
    open: fn(&Setup) -> Slice,
}

/// The first row is what the others are measured by; the second is judged by the bar.
const ROWS: &[Row] = &[
    Row {
        name: "bare hyper",
        settings: "one kept http1 connection, no pool, body collected",
        open: |setup| setup.reading(|| BareHyper::connect(setup.address)),
    },
    Row {
        name: "storescope",
        settings: "OCI-signed, signature reused, timing on: the defaults",
        open: |setup| setup.reading(async || setup.storescope(true)),
    },
    Row {
        name: "storescope, timing off",
        settings: "the same with `timing=false`",
        open: |setup| setup.reading(async || setup.storescope(false)),
    },
    Row {
        name: "bare hyper, OCI headers",
        settings: "as bare hyper, sending the headers of a signed request, made beforehand",
        open: |setup| setup.reading(|| BareHyper::with_oci_headers(setup.address)),
    },
    Row {
        name: "bare hyper, a timer armed",
        settings: "as bare hyper, with a timer on its runtime that never rings",
        open: |setup| setup.reading(|| BareHyper::with_timer(setup.address)),
    },
    Row {
        name: "storescope s3://",
        settings: "SigV4, signature reused, timing on: the defaults; path style",
        open: |setup| setup.reading(async || Storescope::s3(setup.address, Config::default())),
    },
    Row {
        name: "storescope s3://, each signed",
        settings: "the same with `signature_reuse=0s`",
        open: |setup| {
            let config = Config::default().signature_reuse(Duration::ZERO);
            setup.reading(async || Storescope::s3(setup.address, config))
        },
    },
    Row {
        name: "reqwest",
        settings: "http1_only, no_proxy, parsed URL; unsigned",
        open: |setup| setup.reading(async || Reqwest::new(setup.address)),
    },
    Row {
        name: "object_store HttpStore",
        settings: "allow_http; unsigned",
        open: |setup| setup.reading(async || ObjectStoreHttp::new(setup.address)),
    },
    Row {
        name: "object_store AmazonS3",
        settings: "path style, allow_http, SigV4 each request (aws-lc-rs)",
        open: |setup| setup.reading(async || ObjectStoreS3::new(setup.address)),
    },
    Row {
        name: "aws-sdk-s3",
        settings: "path style, hyper 1 connector, SigV4 each request; checksums when_required, no retries, no timeouts, no stalled-stream protection",
        open: |setup| setup.reading(async || AwsSdk::new(setup.address)),
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

    fn reading<R: Reads + 'static>(&self, connect: impl AsyncFnOnce() -> R) -> Slice {
        reading(self.requests, SIZE, connect)
    }
}

fn main() {
    serve_if_asked();
    let server = Server::start();
    let requests = report::argument("--requests").unwrap_or(1_000);
    let setup = Setup { address: server.address(), profile: Profile::generate(), requests };
    if let Some(only) = report::argument::<String>("--only") {
        let row = ROWS.iter().find(|row| row.name == only).expect("a row of that name");
        println!("{only}: {:?}", Cost::of((row.open)(&setup)));
        return;
    }
    let rounds = report::argument("--rounds").unwrap_or(11);
    let slices = report::argument("--slices").unwrap_or(20);
    report::head(
        "cpu_small_get",
        &format!(
            "{rounds} rounds of {slices} slices of {requests} requests of {SIZE} bytes a row, rows by turns."
        ),
        &["storescope", "hyper", "tokio", "reqwest", "object_store", "aws-sdk-s3"],
    );
    let costs = by_slices(ROWS.len(), rounds, slices, |row| (ROWS[row].open)(&setup));
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
    println!("\nMedians, with their 95 % intervals; figures and ratios are taken slice by slice.");
    let ratio = Median::of_ratios(&cpu[1], &cpu[0]);
    report::bar(&format!("storescope {ratio:.3} ≤ {BAR} × bare hyper"), ratio.value <= BAR);
    let named = |name| ROWS.iter().position(|row| row.name == name).expect("a row of that name");
    let (ours, sdk) = (named("storescope s3://"), named("aws-sdk-s3"));
    println!(
        "\nSmall GETs of S3: aws-sdk-s3 takes {:.2} × the CPU of storescope's OCI path, storescope s3:// {:.2} × \
         that; aws-sdk-s3 {:.2} × storescope s3://, object_store AmazonS3 {:.2} ×.",
        Median::of_ratios(&cpu[sdk], &cpu[1]),
        Median::of_ratios(&cpu[ours], &cpu[1]),
        Median::of_ratios(&cpu[sdk], &cpu[ours]),
        Median::of_ratios(&cpu[named("object_store AmazonS3")], &cpu[ours]),
    );
}
