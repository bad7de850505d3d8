// SPDX-License-Identifier: Apache-2.0
//! The memory of a server in a process of its own, as the system tells it: flat, whatever load
//! there is. Under `/proc`, so on Linux alone.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::client::{BUCKET, Client, object};
use crate::data::Server;

/// What an allocator with an arena a thread may keep of what was freed.
const SLACK: u64 = 12 << 20;

impl Server {
    /// A line of the process's status: `VmRSS` is what it holds, `VmHWM` the most it ever held.
    fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Forgets the record's lines: they are bounded, but many.
    fn forget(&self) {
        let address = self.ready.admin.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        let head =
            format!("DELETE /record HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

/// Sends what was signed once, many times: signing takes longer than serving.
fn load(client: &Client, requests: usize) {
    let heads = [
        ("PUT", client.head("PUT", &object("small"), &[("opc-meta-a", "b")], b"0123456789")),
        ("GET", client.head("GET", &object("small"), &[("range", "bytes=1-3")], b"")),
        ("HEAD", client.head("HEAD", &object("none"), &[], b"")),
        ("GET", client.head("GET", &format!("{BUCKET}/o?prefix=s"), &[], b"")),
    ];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut client = client.another();
            let heads = &heads;
            scope.spawn(move || {
                for (method, head) in heads.iter().cycle().take(requests / 2) {
                    let body: &[u8] = if *method == "PUT" { b"0123456789" } else { b"" };
                    client.send(&[head.as_bytes(), body].concat()).unwrap();
                    let status = client.receive(method).unwrap().status;
                    assert!([200, 206, 404].contains(&status), "{method}: {status}");
                }
            });
        }
    });
}

#[test]
fn many_requests_leave_nothing_behind() {
    const ROUND: usize = 10_000;
    let server = Server::start(None);
    let client = Client::of(&server.ready, "DEFAULT");
    for _ in 0..2 {
        load(&client, ROUND);
        server.forget();
    }
    let before = server.memory("VmRSS");
    for _ in 0..6 {
        load(&client, ROUND);
        server.forget();
    }
    let grown = server.memory("VmRSS").saturating_sub(before);
    println!("60,000 requests: {before} bytes before, {grown} more after");
    // 200 bytes a request would be seen.
    assert!(grown < SLACK, "60,000 requests left {grown} bytes behind");
}

#[test]
fn large_bodies_pass_through_to_a_folder() {
    const BODY: usize = 100 << 20;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(Some(data.path()));
    let client = Client::of(&server.ready, "DEFAULT");
    load(&client, 1_000);
    let before = server.memory("VmRSS");
    let body = vec![7; BODY];
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (mut client, body) = (client.another(), &body);
            scope.spawn(move || {
                let target = object(&format!("big{number}"));
                assert_eq!(client.request("PUT", &target, &[], body).status, 200);
                assert!(client.get(&target).body == *body);
            });
        }
    });
    let most = server.memory("VmHWM").saturating_sub(before);
    println!("300 MiB up and down, three at a time: {most} bytes at most");
    // A few MiB a stream: what is gathered for a write, and what waits in its connection.
    assert!(most < 3 * (8 << 20) + SLACK, "three bodies of 100 MiB took {most} bytes");
}
