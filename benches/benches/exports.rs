// SPDX-License-Identifier: Apache-2.0
//! What it costs to tell what is measured: histograms, an interval log each second and an endpoint scraped each second,
//! against everything off. 4 KiB ranged GETs, one after the other.
//!
//! Each turn opens its client anew, warms it up, and reads for some seconds: both turns hold the same number of intervals
//! and scrapes for their time. `-- --rounds N --requests N` set the size.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use storescope::Config;
use storescope::config::Listen;
use storescope_benches::client::{Profile, Storescope, reading};
use storescope_benches::measure::{Cost, Median, by_turns};
use storescope_benches::report;
use storescope_benches::server::{Server, serve_if_asked};

const SIZE: u64 = 4096;
const SECOND: Duration = Duration::from_secs(1);
const BAR: f64 = 0.99;

/// Scrapes an endpoint each second, as Prometheus does, until it is dropped.
struct Scraper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<u64>>,
}

impl Scraper {
    fn start(address: SocketAddr) -> Scraper {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut scrapes = 0;
            loop {
                scrape(address);
                scrapes += 1;
                if stopped.recv_timeout(SECOND) != Err(RecvTimeoutError::Timeout) {
                    return scrapes;
                }
            }
        });
        Scraper { stop: Some(stop), thread: Some(thread) }
    }

    /// How many scrapes there were.
    fn end(mut self) -> u64 {
        drop(self.stop.take());
        self.thread.take().expect("it runs").join().expect("each scrape is answered")
    }
}

fn scrape(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the endpoint listens");
    let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\naccept: {native}\r\n\r\n")
        .expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "a scrape failed");
}

fn off(config_file: PathBuf, address: SocketAddr, requests: u64) -> Cost {
    let config = Config::default().timing(false);
    let read = reading(requests, SIZE, async || Storescope::oci(config_file, address, config));
    Cost::of(read)
}

fn on(config_file: PathBuf, address: SocketAddr, requests: u64) -> (Cost, u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = probe.local_addr().expect("it is bound");
    drop(probe);
    let config = Config::default()
        .metrics_endpoint(Listen::from(endpoint))
        .metrics_log(folder.path().join("intervals.hlog"))
        .metrics_interval(SECOND);
    let read = reading(requests, SIZE, async || Storescope::oci(config_file, address, config));
    let scraper = Scraper::start(endpoint);
    let cost = Cost::of(read);
    (cost, scraper.end())
}

fn main() {
    serve_if_asked();
    let server = Server::start();
    let profile = Profile::generate();
    let requests = report::argument("--requests").unwrap_or(60_000);
    let rounds = report::argument("--rounds").unwrap_or(20);
    report::head(
        "exports",
        &format!(
            "{rounds} pairs of {requests} requests of {SIZE} bytes, all on and all off by turns."
        ),
        &["storescope", "hyper", "tokio"],
    );
    let mut scrapes = 0;
    let costs = by_turns(2, rounds, |row| {
        let config_file = profile.config_file();
        if row == 0 {
            return off(config_file, server.address(), requests);
        }
        let (cost, scraped) = on(config_file, server.address(), requests);
        scrapes += scraped;
        cost
    });
    let rates: Vec<Vec<f64>> = costs
        .iter()
        .map(|row| row.iter().map(|cost| requests as f64 / cost.wall.as_secs_f64()).collect())
        .collect();
    println!("| exports | requests a second | CPU, µs a request |");
    println!("| --- | --- | --- |");
    for (row, name) in ["off", "on"].iter().enumerate() {
        let cpu = costs[row].iter().map(|cost| cost.cpu.as_secs_f64() * 1e6 / requests as f64);
        println!(
            "| {name} | {:.0} | {:.2} |",
            Median::of(rates[row].iter().copied()),
            Median::of(cpu)
        );
    }
    let ratio = Median::of_ratios(&rates[1], &rates[0]);
    println!("\nMedians, with their 95 % intervals. {scrapes} scrapes.");
    report::bar(&format!("on {ratio:.4} ≥ {BAR} × off"), ratio.value >= BAR);
}
