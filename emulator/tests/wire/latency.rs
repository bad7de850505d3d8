// SPDX-License-Identifier: Apache-2.0
//! The model at work: what is drawn is waited for, and bodies keep their rate.

use std::time::{Duration, Instant};

use storescope_emulator::{Emulator, RecordLine};
use storescope_model::{Model, Sampler};

use crate::client::{Client, object};

fn with_model(toml: &str) -> (Emulator, Client) {
    let model = Model::from_toml(toml).unwrap();
    let emulator = Emulator::builder().bucket("demo").model(model).seed(11).start().unwrap();
    let client = Client::new(&emulator, "DEFAULT");
    (emulator, client)
}

fn first_byte(line: &RecordLine) -> u64 {
    line.first_byte_ns.unwrap() - line.head_read_ns
}

#[test]
fn the_first_byte_comes_when_it_was_drawn() {
    let toml = "[ttfb]\nshift = \"2ms\"\nmedian = \"2ms\"\nsigma = 0.5\n";
    let (emulator, mut client) = with_model(toml);
    for _ in 0..100 {
        client.get("/n");
    }
    let mut sampler = Sampler::new(&Model::from_toml(toml).unwrap(), 11);
    let lines = emulator.record();
    let mut late: Vec<u64> = lines
        .iter()
        .map(|line| {
            assert_eq!(line.drawn_ttfb_ns, sampler.draw().ttfb.as_nanos() as u64, "the seed's");
            assert!(first_byte(line) >= line.drawn_ttfb_ns, "never early");
            first_byte(line) - line.drawn_ttfb_ns
        })
        .collect();
    late.sort_unstable();
    // 0.1 ms on an idle machine; a busy one may take longer now and then, but not as a rule.
    assert!(late[50] < 700_000, "the median is {} ns late", late[50]);
}

#[test]
fn a_cold_connection_costs_once() {
    let (emulator, mut client) = with_model("ttfb = \"1ms\"\ncold_connection = \"4ms\"\n");
    for _ in 0..2 {
        client.get("/n");
    }
    let drawn: Vec<_> = emulator.record().iter().map(|line| line.drawn_ttfb_ns).collect();
    assert_eq!(drawn, [5_000_000, 1_000_000]);
}

#[test]
fn a_put_waits_from_the_end_of_its_body() {
    let (emulator, mut client) = with_model("ttfb = \"50ms\"\n");
    let head = client.head("PUT", &object("a"), &[("expect", "100-continue")], b"hello");
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.receive("PUT").unwrap().status, 100);
    let body_sent = Instant::now();
    client.send(b"hello").unwrap();
    assert_eq!(client.receive("PUT").unwrap().status, 200);
    assert!(body_sent.elapsed() >= Duration::from_millis(50));
    assert_eq!(emulator.record().len(), 1);
}

#[test]
fn a_body_keeps_its_rate() {
    let (emulator, mut client) = with_model("stream = \"10MB/s\"\n");
    client.put("a", &vec![3; 500_000]);
    let took = (0..5).map(|_| {
        let got = client.get(&object("a"));
        assert_eq!(got.body, vec![3; 500_000]);
        let line = emulator.record().pop().unwrap();
        line.last_byte_ns.unwrap() - line.first_byte_ns.unwrap()
    });
    // 500 kB at 10 MB/s: never faster, and not always slower, however busy the machine is.
    let quickest = took.min().unwrap();
    assert!((49_900_000..60_000_000).contains(&quickest), "{quickest} ns");
}

#[test]
fn streams_share_the_network_interface() {
    let (emulator, mut client) = with_model("nic = \"10MB/s\"\n");
    client.put("a", &vec![3; 250_000]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut client = client.another();
            scope.spawn(move || assert_eq!(client.get(&object("a")).body.len(), 250_000));
        }
    });
    let lines = emulator.record();
    let gets = || lines.iter().filter(|line| line.method == "GET");
    let first = gets().map(|line| line.first_byte_ns.unwrap()).min().unwrap();
    let last = gets().map(|line| line.last_byte_ns.unwrap()).max().unwrap();
    assert!(last - first >= 49_000_000, "500 kB through 10 MB/s took {} ns", last - first);
}

#[test]
fn too_many_requests_are_turned_away() {
    let (_emulator, mut client) = with_model("requests_per_second = 5.0\n");
    let statuses: Vec<_> = (0..50).map(|_| client.get("/n").status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn the_whole_store_stalls() {
    let (emulator, mut client) =
        with_model("stream = \"10MB/s\"\nstall = { every = \"100ms\", lasts = \"60ms\" }\n");
    client.put("a", &vec![3; 500_000]);
    // 50 ms of a body do not fit into the 40 ms between two stalls.
    assert_eq!(client.get(&object("a")).body.len(), 500_000);
    let line = emulator.record().pop().unwrap();
    let took = line.last_byte_ns.unwrap() - line.head_read_ns;
    assert!(took >= 109_900_000, "a body of 50 ms and a stall of 60 ms took {took} ns");

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(350) {
        assert_eq!(client.get("/n").status, 200);
    }
    let lines = emulator.record();
    let waited = lines.iter().map(first_byte).filter(|ns| *ns > 55_000_000).count();
    // The first request may have come in mid-stall.
    assert!((2..=5).contains(&waited), "{waited} of {} requests met a stall", lines.len());
}
