// SPDX-License-Identifier: Apache-2.0
//! What timing costs a 4 KiB ranged GET: on against off, in pairs by turns.
//!
//! Each round opens both clients anew on current-thread runtimes of their own and warms them up; then they take turns of
//! some requests one after the other. Client CPU by getrusage; instructions in user space by callgrind.
//! `-- --rounds N --slices N --requests N` set the size.

use std::net::SocketAddr;
use std::path::PathBuf;
use storescope_benches::client::{Profile, Storescope, reading};
use storescope_benches::measure::{Median, Slice, by_slices, instructions};
use storescope_benches::report;
use storescope_benches::server::{Server, serve_if_asked};

const SIZE: u64 = 4096;
const BAR: f64 = 1.02;

fn open(config_file: PathBuf, address: SocketAddr, timing: bool, requests: u64) -> Slice {
    reading(requests, SIZE, async || Storescope::new(config_file, address, timing))
}

fn main() {
    serve_if_asked();
    if let Some(timing) = report::argument::<bool>("--timing") {
        let address = report::argument("--address").expect("--address HOST:PORT");
        let requests = report::argument("--requests").expect("--requests N");
        let config_file = report::argument("--config").expect("--config FILE");
        open(config_file, address, timing, requests)();
        return;
    }
    let server = Server::start();
    let profile = Profile::generate();
    let requests = report::argument("--requests").unwrap_or(1_000);
    let rounds = report::argument("--rounds").unwrap_or(20);
    let slices = report::argument("--slices").unwrap_or(30);
    report::head(
        "overhead",
        &format!(
            "{rounds} rounds of {slices} pairs of {requests} requests of {SIZE} bytes, on and off by turns."
        ),
        &["storescope", "hyper", "tokio"],
    );
    let costs = by_slices(2, rounds, slices, |row| {
        open(profile.config_file(), server.address(), row == 1, requests)
    });
    let cpu: Vec<Vec<f64>> = costs
        .iter()
        .map(|row| row.iter().map(|c| c.cpu.as_secs_f64() * 1e6 / requests as f64).collect())
        .collect();
    let counted = ["false", "true"].map(|timing| {
        let address = server.address().to_string();
        let config = profile.config_file().display().to_string();
        let arguments =
            ["--timing", timing, "--address", &address, "--config", &config, "--requests"];
        instructions(&arguments, 1_000, 5_000)
    });
    println!("| timing | CPU, µs a request | instructions a request, user space |");
    println!("| --- | --- | --- |");
    for (row, name) in ["off", "on"].iter().enumerate() {
        let median = Median::of(cpu[row].iter().copied());
        let counted = counted[row].map_or("–".to_owned(), |count| format!("{count:.0}"));
        println!("| {name} | {median:.2} | {counted} |");
    }
    let ratio = Median::of_ratios(&cpu[1], &cpu[0]);
    let extra = Median::of(cpu[1].iter().zip(&cpu[0]).map(|(on, off)| on - off));
    println!("\nMedians, with their 95 % intervals. On less off, pair by pair: {extra:.2} µs.");
    report::bar(&format!("on {ratio:.4} ≤ {BAR} × off"), ratio.value <= BAR);
}
