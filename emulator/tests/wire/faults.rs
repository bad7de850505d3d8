// SPDX-License-Identifier: Apache-2.0
//! Each fault as its client sees it, and the admin API.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storescope_emulator::{Action, Emulator, Fault};

use crate::client::{BUCKET, Client, object, start};

const BODY: &[u8] = b"0123456789";

/// An emulator whose object `a` holds [`BODY`].
fn with_object() -> (Emulator, Client) {
    let (emulator, mut client) = start();
    client.put("a", BODY);
    (emulator, client)
}

#[test]
fn status_answers_without_acting() {
    let (emulator, mut client) = with_object();
    emulator.fault(
        Fault::new(Action::Status {
            status: 503,
            code: None,
            message: Some("not now".into()),
            retry_after: Some(7),
        })
        .method("PUT")
        .count(1),
    );
    let put = client.request("PUT", &object("b"), &[], &vec![1; 100_000]);
    assert_eq!(put.code(), (503, "ServiceUnavailable".to_owned()));
    assert_eq!(put.json()["message"], "not now");
    assert_eq!(put.header("retry-after"), Some("7"));
    assert_eq!(client.get(&object("b")).status, 404);
    assert_eq!(client.request("PUT", &object("b"), &[], b"x").status, 200);
}

#[test]
fn throttle_and_unauthorized_end() {
    let (emulator, mut client) = with_object();
    emulator.fault(Fault::new(Action::Throttle { requests: 2, retry_after: None }));
    let statuses: Vec<_> = (0..3).map(|_| client.get(&object("a")).status).collect();
    assert_eq!(statuses, [429, 429, 200]);
    emulator.fault(Fault::new(Action::UnauthorizedOnce));
    let statuses: Vec<_> = (0..2).map(|_| client.get(&object("a")).status).collect();
    assert_eq!(statuses, [401, 200]);
}

#[test]
fn reset_and_drop_response_break_the_connection() {
    for tls in [false, true] {
        let (emulator, plain) = with_object();
        let mut client = if tls { Client::tls(&emulator) } else { plain };
        emulator.fault(Fault::new(Action::Reset).method("GET").count(1));
        let error = client.try_request("GET", &object("a"), &[], b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "tls {tls}");
        emulator.fault(Fault::new(Action::Reset).method("PUT").count(1));
        client.try_request("PUT", &object("b"), &[], b"x").unwrap_err();
        assert_eq!(client.get(&object("b")).status, 404, "a reset does not act");
        emulator.fault(Fault::new(Action::DropResponse).method("PUT").count(1));
        let error = client.try_request("PUT", &object("b"), &[], b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "tls {tls}");
        assert_eq!(client.get(&object("b")).body, b"x", "a dropped answer was acted on");
        let broken = emulator.record().iter().filter(|line| line.status.is_none()).count();
        assert_eq!(broken, 3);
    }
}

#[test]
fn truncate_closes_with_the_full_length_promised() {
    for tls in [false, true] {
        let (emulator, plain) = with_object();
        let mut client = if tls { Client::tls(&emulator) } else { plain };
        for after in [0, 4, 9] {
            emulator.fault(Fault::new(Action::Truncate { after }).method("GET").count(1));
            let got = client.get(&object("a"));
            assert_eq!((got.status, got.header("content-length")), (200, Some("10")));
            assert_eq!(got.body, BODY[..after as usize], "tls {tls}");
            assert_eq!(got.missing, 10 - after as usize);
        }
        emulator.fault(Fault::new(Action::Truncate { after: 10 }).method("GET").count(1));
        assert_eq!(client.get(&object("a")).body, BODY, "nothing is left to cut");
        // A line of a connection that broke comes when its socket is dropped, which the client
        // may see first; the answer after them was on another connection.
        emulator.stop();
    }
}

#[test]
fn a_truncated_answer_is_recorded_as_far_as_it_went() {
    let (emulator, mut client) = with_object();
    let record = emulator.ready().record.clone();
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::remove_file(copy.path()).unwrap();
    std::fs::hard_link(record, copy.path()).unwrap();
    emulator.fault(Fault::new(Action::Truncate { after: 4 }).method("GET"));
    client.get(&object("a"));
    emulator.stop();
    let lines: Vec<Value> = std::fs::read_to_string(copy.path())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["status"], &lines[1]["bytes_out"]), (&json!(200), &json!(4)));
    assert!(lines[1]["first_byte_ns"].is_u64());
    assert_eq!(lines[1]["last_byte_ns"], Value::Null);
}

#[test]
fn stall_hangs_after_its_bytes() {
    let (emulator, mut client) = with_object();
    let stall = |after, ms| Fault::new(Action::Stall { after, ms }).method("GET").count(1);
    emulator.fault(stall(4, Some(300)));
    let before = Instant::now();
    assert_eq!(client.get(&object("a")).body, BODY);
    assert!(before.elapsed() >= Duration::from_millis(300));
    emulator.fault(stall(4, None));
    let head = client.head("GET", &object("a"), &[], b"");
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.receive_part(4), b"0123");
    // The rest never comes; a test that waited for it would wait for ever.
    assert_eq!(client.another().get(&object("a")).body, BODY);
}

#[test]
fn delay_holds_the_first_byte() {
    let (emulator, mut client) = with_object();
    emulator.fault(Fault::new(Action::Delay { ms: 200 }).method("GET").count(1));
    assert_eq!(client.get(&object("a")).body, BODY);
    let line = emulator.record().pop().unwrap();
    assert!(line.first_byte_ns.unwrap() - line.head_read_ns >= 200_000_000);
    assert_eq!(line.drawn_ttfb_ns, 0, "a fault is not drawn");
}

#[test]
fn bodies_and_ranges_can_lie() {
    let (emulator, mut client) = with_object();
    let range = [("range", "bytes=2-4")];
    emulator.fault(Fault::new(Action::IgnoreRange).count(1));
    let got = client.request("GET", &object("a"), &range, b"");
    assert_eq!((got.status, got.body.as_slice(), got.header("content-range")), (200, BODY, None));
    emulator.fault(Fault::new(Action::WrongContentRange).count(1));
    let got = client.request("GET", &object("a"), &range, b"");
    assert_eq!((got.status, got.text()), (206, "234"));
    assert_eq!(got.header("content-range"), Some("bytes 3-5/10"));
    emulator.fault(Fault::new(Action::Corrupt { offset: 3 }).count(1));
    let got = client.get(&object("a"));
    assert_eq!(got.body, [b"012".as_slice(), &[!b'3'], b"456789"].concat());
    assert_eq!(client.get(&object("a")).body, BODY, "what is stored is whole");
}

#[test]
fn reset_after_sends_the_head_and_some_of_the_body() {
    let (emulator, mut client) = with_object();
    for bytes in [0, 4] {
        emulator.fault(Fault::new(Action::ResetAfter { bytes }).method("GET").count(1));
        let head = client.head("GET", &object("a"), &[], b"");
        client.send(head.as_bytes()).unwrap();
        assert_eq!(client.receive_part(bytes as usize), BODY[..bytes as usize]);
        assert_eq!(client.receive("GET").unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    emulator.fault(Fault::new(Action::ResetAfter { bytes: 10 }).method("GET").count(1));
    assert_eq!(client.get(&object("a")).body, BODY, "nothing is left to cut");
}

#[test]
fn answers_can_be_others_than_they_should_be() {
    let (emulator, mut client) = with_object();
    let etag = client.get(&object("a")).header("etag").unwrap().to_owned();
    emulator.fault(Fault::new(Action::WrongEtag).count(1));
    let got = client.get(&object("a"));
    assert_eq!((got.status, got.body.as_slice()), (200, BODY));
    assert_ne!(got.header("etag"), Some(&*etag));

    emulator.fault(Fault::new(Action::Shorten { to: 4 }).count(1));
    let got = client.get(&object("a"));
    assert_eq!((got.body.as_slice(), got.missing), (&BODY[..4], 0));
    assert_eq!(got.header("etag"), Some(&*etag));

    emulator.fault(Fault::new(Action::Garbage).count(1));
    let listed = client.get(&format!("{BUCKET}/o"));
    assert_eq!((listed.status, listed.missing), (200, 0));
    assert!(std::str::from_utf8(&listed.body).is_err());

    emulator.fault(Fault::new(Action::Headers { bytes: 100_000 }).count(1));
    let got = client.get(&object("a"));
    let filler = got.headers.iter().filter(|(name, _)| name == "x-storescope-filler");
    assert_eq!(filler.map(|(_, value)| value.len()).sum::<usize>(), 100_000);
    assert_eq!(got.body, BODY);

    let elsewhere = Action::Redirect { to: "http://127.0.0.1:1".to_owned() };
    emulator.fault(Fault::new(elsewhere).method("PUT").count(1));
    let moved = client.request("PUT", &object("b"), &[], b"x");
    assert_eq!(moved.code(), (307, "TemporaryRedirect".to_owned()));
    let location = format!("http://127.0.0.1:1{}", object("b"));
    assert_eq!(moved.header("location"), Some(&*location));
    assert_eq!(client.get(&object("b")).status, 404, "a redirect does not act");
}

#[test]
fn a_body_without_end_goes_on() {
    let (emulator, mut client) = with_object();
    emulator.fault(Fault::new(Action::Endless).method("GET").count(1));
    let head = client.head("GET", &object("a"), &[], b"");
    client.send(head.as_bytes()).unwrap();
    // In chunks: a length in hex, and the bytes.
    let part = client.receive_part(1 << 20);
    assert!(part.starts_with(b"A\r\n0123456789\r\n"), "{:?}", &part[..20]);
    let bytes = part.iter().filter(|byte| byte.is_ascii_whitespace()).count();
    assert!(bytes > 1_000_000, "{bytes}");
    let mut client = client.another();
    emulator.fault(Fault::new(Action::Endless).count(2));
    assert_eq!(client.request("HEAD", &object("a"), &[], b"").status, 200);
    assert_eq!(client.request("DELETE", &object("a"), &[], b"").status, 204);
    assert_eq!(client.get(&object("a")).status, 404, "what has no body has an end");
}

#[test]
fn reused_connections_can_be_singled_out() {
    let (emulator, mut client) = with_object();
    emulator.fault(Fault::new(Action::Reset).reused(true));
    assert!(client.try_request("GET", &object("a"), &[], b"").is_err());
    assert_eq!(client.try_request("GET", &object("a"), &[], b"").unwrap().status, 200);
}

/// One admin call on a connection of its own.
fn admin(emulator: &Emulator, method: &str, path: &str, body: &str) -> (u16, Value) {
    let address = emulator.ready().admin.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() })
}

#[test]
fn the_admin_api_steers_faults_record_and_model() {
    let (emulator, mut client) = with_object();
    assert_eq!(admin(&emulator, "GET", "/health", ""), (200, json!({"status": "ok"})));

    let rule = r#"{"method":"GET","contains":"/o/a","nth":2,"action":{"status":{"status":500}}}"#;
    assert_eq!(admin(&emulator, "POST", "/faults", rule), (200, json!({"ids": [1]})));
    let rules = r#"[{"action":"reset","method":"PATCH"},{"action":{"delay":{"ms":1}}}]"#;
    assert_eq!(admin(&emulator, "POST", "/faults", rules), (200, json!({"ids": [2, 3]})));
    let statuses: Vec<_> = (0..3).map(|_| client.get(&object("a")).status).collect();
    assert_eq!(statuses, [200, 500, 200]);
    let (_, states) = admin(&emulator, "GET", "/faults", "");
    assert_eq!((&states[0]["matched"], &states[0]["fired"]), (&json!(3), &json!(1)));
    assert_eq!((&states[1]["matched"], &states[2]["fired"]), (&json!(0), &json!(3)));
    assert_eq!(admin(&emulator, "DELETE", "/faults/2", "").0, 204);
    assert_eq!(admin(&emulator, "DELETE", "/faults/2", "").0, 404);
    assert_eq!(admin(&emulator, "DELETE", "/faults", "").0, 204);
    assert_eq!(admin(&emulator, "GET", "/faults", ""), (200, json!([])));
    for bad in ["", "{}", r#"{"action":"explode"}"#, r#"{"action":"reset","nth":0}"#] {
        let (status, error) = admin(&emulator, "POST", "/faults", bad);
        assert_eq!((status, &error["code"]), (400, &json!("InvalidFault")), "{bad}");
    }

    let (_, record) = admin(&emulator, "GET", "/record", "");
    assert_eq!(record.as_array().unwrap().len(), 4);
    assert_eq!(record[0]["method"], "PUT");
    let (_, since) = admin(&emulator, "GET", "/record?since=3", "");
    assert_eq!(since.as_array().unwrap().len(), 1);
    assert_eq!(since[0]["id"], 4);
    assert_eq!(admin(&emulator, "DELETE", "/record", "").0, 204);
    assert_eq!(admin(&emulator, "GET", "/record", ""), (200, json!([])));

    assert_eq!(admin(&emulator, "PUT", "/model", "ttfb = \"30ms\"").0, 204);
    client.get(&object("a"));
    assert_eq!(emulator.record().pop().unwrap().drawn_ttfb_ns, 30_000_000);
    assert_eq!(admin(&emulator, "PUT", "/model", "none").0, 204);
    client.get(&object("a"));
    assert_eq!(emulator.record().pop().unwrap().drawn_ttfb_ns, 0);
    for bad in ["s4", "ttfb = 3"] {
        let (status, error) = admin(&emulator, "PUT", "/model", bad);
        assert_eq!((status, &error["code"]), (400, &json!("InvalidModel")), "{bad}");
    }
    assert_eq!(admin(&emulator, "GET", "/nowhere", "").0, 404);
}
