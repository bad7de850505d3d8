// SPDX-License-Identifier: Apache-2.0
//! Who reaches the admin API: it is unsigned.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use storescope_emulator::{Emulator, Fault};

/// An address of this machine that is not the one that emulators listen on by default: what is
/// reached by it is reached from elsewhere, too, or would be if it were not loopback.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn address(url: &str) -> SocketAddr {
    url.split_once("://").unwrap().1.parse().unwrap()
}

/// The status of an answer to these lines.
fn ask(address: SocketAddr, lines: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{lines}connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn health(address: SocketAddr, host: &str) -> u16 {
    ask(address, &format!("GET /health HTTP/1.1\r\nhost: {host}\r\n"))
}

#[test]
fn it_stays_on_loopback_where_the_apis_are_opened() {
    let emulator = Emulator::builder().address(Ipv4Addr::UNSPECIFIED.into()).start().unwrap();
    let ready = emulator.ready();
    let admin = address(&ready.admin);
    assert_eq!(admin.ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(health(admin, &admin.to_string()), 200);
    let from_elsewhere = |port| TcpStream::connect((ELSEWHERE, port));
    from_elsewhere(address(&ready.oci.endpoint).port()).unwrap();
    from_elsewhere(address(&ready.oci.tls_endpoint).port()).unwrap();
    from_elsewhere(admin.port()).unwrap_err();
}

#[test]
fn it_follows_the_apis_on_loopback() {
    for loopback in [ELSEWHERE, Ipv6Addr::LOCALHOST.into()] {
        let emulator = Emulator::builder().address(loopback).start().unwrap();
        let admin = address(&emulator.ready().admin);
        assert_eq!(admin.ip(), loopback);
        assert_eq!(health(admin, &admin.to_string()), 200);
    }
}

#[test]
fn it_is_opened_by_its_own_word() {
    let emulator = Emulator::builder().admin_address(Ipv4Addr::UNSPECIFIED.into()).start().unwrap();
    let admin = address(&emulator.ready().admin);
    assert_eq!(admin.ip(), Ipv4Addr::UNSPECIFIED);
    let elsewhere = SocketAddr::new(ELSEWHERE, admin.port());
    // By whatever name other machines know this one.
    assert_eq!(health(elsewhere, "emulator.internal:9000"), 200);
    let oci = address(&emulator.ready().oci.endpoint);
    assert_eq!(oci.ip(), Ipv4Addr::LOCALHOST);
}

#[test]
fn it_refuses_what_a_browser_sends_for_a_page() {
    let emulator = Emulator::builder().start().unwrap();
    let admin = address(&emulator.ready().admin);
    let port = admin.port();
    for host in ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "", "local host"] {
        assert_eq!(health(admin, host), 403, "{host:?}");
    }
    for host in ["127.0.0.1".to_owned(), format!("localhost:{port}"), format!("[::1]:{port}")] {
        assert_eq!(health(admin, &host), 200, "{host}");
    }
    // A page may post text to any address without asking first: the right host is not enough.
    let rule = serde_json::to_string(&Fault::new(storescope_emulator::Action::Reset)).unwrap();
    let post = |origin: &str| {
        let lines = format!(
            "POST /faults HTTP/1.1\r\nhost: {admin}\r\n{origin}content-type: text/plain\r\n\
             content-length: {}\r\n",
            rule.len()
        );
        let mut stream = TcpStream::connect(admin).unwrap();
        write!(stream, "{lines}connection: close\r\n\r\n{rule}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(post("origin: http://evil.example\r\n"), 403);
    assert_eq!(post("origin: null\r\n"), 403);
    assert_eq!(post(""), 200);
}
