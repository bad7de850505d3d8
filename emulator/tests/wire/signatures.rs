// SPDX-License-Identifier: Apache-2.0
//! Who may ask: 401 for everything that is not signed as the operation wants it.

use storescope_emulator::Emulator;
use storescope_sign::PrivateKey;

use crate::client::{BUCKET, Client, Response, object, start};

fn assert_refused(response: &Response) {
    assert_eq!(response.code(), (401, "NotAuthenticated".to_owned()), "{}", response.text());
}

#[test]
fn keys_and_tokens() {
    let emulator = Emulator::builder().bucket("demo").start().unwrap();
    for (profile, status) in [("DEFAULT", 200), ("SESSION", 200), ("WRONG", 401), ("EXPIRED", 401)]
    {
        let response = Client::new(&emulator, profile).get("/n");
        assert_eq!(response.status, status, "{profile}: {}", response.text());
        if status == 200 {
            assert_eq!(response.text(), "\"emulator\"");
        } else {
            assert_refused(&response);
        }
    }
    // In the order in which they came: those of other connections may end in another.
    let mut lines = emulator.record();
    lines.sort_by_key(|line| line.id);
    let statuses: Vec<_> = lines.iter().map(|line| line.status).collect();
    assert_eq!(statuses, [Some(200), Some(200), Some(401), Some(401)]);
}

#[test]
fn every_profile_is_whole_by_itself() {
    let (emulator, _client) = start();
    let config = std::fs::read_to_string(&emulator.ready().oci.config_file).unwrap();
    let profiles: Vec<_> =
        config.split('[').skip(1).map(|section| section.split_once(']').unwrap()).collect();
    let names: Vec<_> = profiles.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["DEFAULT", "WRONG", "SESSION", "EXPIRED", "DELEGATED"]);
    for (name, section) in profiles {
        let lines = section.lines().filter_map(|line| line.split_once(" = "));
        let mut keys: Vec<_> = lines.map(|(key, _)| key).collect();
        keys.sort_unstable();
        let (user, token) = match name {
            "SESSION" | "EXPIRED" => (None, Some("security_token_file")),
            "DELEGATED" => (Some("user"), Some("delegation_token_file")),
            _ => (Some("user"), None),
        };
        let mut expected = vec!["fingerprint", "key_file", "region", "tenancy"];
        expected.extend(user.into_iter().chain(token));
        expected.sort_unstable();
        assert_eq!(keys, expected, "{name}");
    }
}

#[test]
fn a_token_that_others_minted_is_refused() {
    let (emulator, _) = start();
    let mut client = Client::new(&emulator, "SESSION");
    // One character of the claims: the issuer's signature is no longer good.
    let claims = client.key_id.find('.').unwrap() + 10;
    let other = if client.key_id.as_bytes()[claims] == b'A' { "B" } else { "A" };
    client.key_id.replace_range(claims..=claims, other);
    assert_refused(&client.get("/n"));
}

#[test]
fn unknown_keys_and_unsigned_requests_are_refused() {
    let (_emulator, mut client) = start();
    client.send(b"GET /n HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_refused(&client.receive("GET").unwrap());
    let mut stranger = client.another();
    stranger.key_id = stranger.key_id.replace("user", "nobody");
    assert_refused(&stranger.get("/n"));
    let mut thief = client.another();
    thief.key = PrivateKey::generate(2048).unwrap();
    assert_refused(&thief.get("/n"));
}

#[test]
fn what_was_signed_is_what_counts() {
    let (_emulator, mut client) = start();
    let head = client.head("GET", &object("a/../b"), &[], b"");
    client.send(head.replace("a/../b", "b").as_bytes()).unwrap();
    assert_refused(&client.receive("GET").unwrap());
    let head = client.head("GET", "/n", &[], b"");
    client.send(head.replace("host: 127", "host: 126").as_bytes()).unwrap();
    assert_refused(&client.receive("GET").unwrap());
}

#[test]
fn a_body_must_be_the_one_that_was_signed() {
    let (_emulator, mut client) = start();
    let body = br#"{"name":"one","compartmentId":"c"}"#;
    let head = client.head("POST", "/n/emulator/b", &[], body);
    let other = br#"{"name":"two","compartmentId":"c"}"#;
    client.send(&[head.as_bytes(), other].concat()).unwrap();
    assert_refused(&client.receive("POST").unwrap());
    // The same bytes as they were signed pass, on the same connection.
    client.send(&[head.as_bytes(), body].concat()).unwrap();
    assert_eq!(client.receive("POST").unwrap().status, 200);
}

#[test]
fn a_post_must_sign_its_body() {
    let (_emulator, mut client) = start();
    // Signed as PutObject is: no body headers.
    let head = client.head("PUT", "/n/emulator", &[], b"{}");
    client.send(&[head.as_bytes(), b"{}"].concat()).unwrap();
    assert_refused(&client.receive("PUT").unwrap());
}

#[test]
fn five_minutes_of_skew_are_the_limit_on_the_shifted_clock() {
    let emulator = Emulator::builder().bucket("demo").clock_offset(600).start().unwrap();
    let mut client = Client::new(&emulator, "DEFAULT");
    // Ten seconds of room on either side for a slow machine.
    for (skew, status) in [(0, 401), (290, 401), (310, 200), (600, 200), (890, 200), (920, 401)] {
        client.skew = skew;
        let response = client.get("/n");
        assert_eq!(response.status, status, "skew {skew}");
        let date = httpdate::parse_http_date(response.header("date").unwrap()).unwrap();
        let ahead = date.duration_since(std::time::SystemTime::now()).unwrap().as_secs();
        assert!((590..=600).contains(&ahead), "the server's date is {ahead} s ahead");
    }
}

#[test]
fn every_answer_has_a_request_id_and_echoes_the_clients() {
    let (_emulator, mut client) = start();
    let target = object("none");
    let response = client.request("GET", &target, &[("opc-client-request-id", "mine/1")], b"");
    assert_eq!(response.header("opc-client-request-id"), Some("mine/1"));
    let first = response.header("opc-request-id").unwrap().to_owned();
    let second = client.get(BUCKET);
    assert!(first.starts_with("iad-1:"));
    assert_ne!(Some(first.as_str()), second.header("opc-request-id"));
    assert_eq!(second.header("opc-client-request-id"), None);
}

#[test]
fn a_client_that_waits_for_100_hears_401_before_its_body() {
    let (emulator, client) = start();
    let expect = [("expect", "100-continue"), ("content-length", "1000000")];
    for (profile, body_comes) in [("WRONG", false), ("WRONG", true)] {
        let mut wrong = Client::new(&emulator, profile);
        // The head says a million bytes; none need come.
        let head = wrong.head("PUT", &object("x"), &expect[..1], &vec![0; 1_000_000]);
        wrong.send(head.as_bytes()).unwrap();
        if body_comes {
            // Python's SDK does not wait on plain http: the answer must survive its body.
            wrong.send(&vec![0; 1_000_000]).unwrap();
        }
        let response = wrong.receive("PUT").unwrap();
        assert_refused(&response);
        assert_eq!(response.header("connection"), Some("close"));
    }
    let mut right = client;
    let head = right.head("PUT", &object("x"), &expect[..1], b"hello");
    right.send(head.as_bytes()).unwrap();
    assert_eq!(right.receive("PUT").unwrap().status, 100);
    right.send(b"hello").unwrap();
    assert_eq!(right.receive("PUT").unwrap().status, 200);
    assert_eq!(right.get(&object("x")).body, b"hello");
    let line = emulator.record().into_iter().find(|line| line.status == Some(200)).unwrap();
    assert_eq!((line.bytes_in, line.bytes_out), (5, 0));
}

#[test]
fn a_401_without_expect_keeps_the_connection() {
    let (emulator, _) = start();
    let mut wrong = Client::new(&emulator, "WRONG");
    for _ in 0..2 {
        assert_refused(&wrong.request("PUT", &object("x"), &[], &vec![7; 300_000]));
    }
    let lines = emulator.record();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].connection, lines[1].connection);
    assert_eq!(lines[0].bytes_in, 300_000);
}

#[test]
fn chunked_and_unmeasured_puts_are_refused() {
    let (_emulator, mut client) = start();
    let head = client.head("PUT", &object("x"), &[], b"hello");
    let chunked = head.replace("content-length: 5", "transfer-encoding: chunked");
    client.send(chunked.as_bytes()).unwrap();
    client.send(b"5\r\nhello\r\n0\r\n\r\n").unwrap();
    let response = client.receive("PUT").unwrap();
    assert_eq!(response.code(), (411, "ContentLengthRequired".to_owned()));
    let unmeasured = head.replace("content-length: 5\r\n", "");
    client.send(unmeasured.as_bytes()).unwrap();
    assert_eq!(client.receive("PUT").unwrap().status, 411);
}

#[test]
fn tls_serves_the_same_store() {
    let (emulator, mut plain) = start();
    plain.put("a", b"over two listeners");
    let mut tls = Client::tls(&emulator);
    assert_eq!(tls.get(&object("a")).body, b"over two listeners");
    let flags: Vec<_> = emulator.record().iter().map(|line| line.tls).collect();
    assert_eq!(flags, [false, true]);
}
