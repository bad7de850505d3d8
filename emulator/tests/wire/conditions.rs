// SPDX-License-Identifier: Apache-2.0
//! Buckets and objects: headers, ranges, conditions, checksums, names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::json;

use crate::client::{BUCKET, Client, object, start};

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn buckets_are_made_listed_changed_and_deleted() {
    let (emulator, mut client) = start();
    let compartment = &emulator.ready().oci.compartment;
    let buckets = "/n/emulator/b";
    for name in ["c", "a", "b"] {
        let body =
            format!(r#"{{"name":"{name}","compartmentId":"{compartment}","metadata":null}}"#);
        let made = client.request("POST", buckets, &[], body.as_bytes());
        assert_eq!((made.status, made.header("etag").map(str::len)), (200, Some(36)));
        let again = client.request("POST", buckets, &[], body.as_bytes());
        assert_eq!(again.code(), refused(409, "BucketAlreadyExists"));
    }
    let mut names = Vec::new();
    let mut page = String::new();
    loop {
        let listed =
            client.get(&format!("{buckets}?compartmentId={compartment}&limit=2&page={page}"));
        let list = listed.json();
        names.extend(
            list.as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap().to_owned()),
        );
        match listed.header("opc-next-page") {
            Some(next) => page = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "demo"]);
    assert_eq!(client.get(buckets).code(), refused(400, "MissingParameter"));
    // The largest number there is, as a page.
    let page = "MTg0NDY3NDQwNzM3MDk1NTE2MTU";
    let works = client.get(&format!("/workRequests?compartmentId={compartment}&page={page}"));
    assert_eq!((works.status, works.json()), (200, serde_json::json!([])));

    let a = format!("{buckets}/a");
    let etag = client.get(&a).header("etag").unwrap().to_owned();
    assert_eq!(client.request("GET", &a, &[("if-none-match", &etag)], b"").status, 304);
    let change = br#"{"publicAccessType":"ObjectRead"}"#;
    let stale = client.request("POST", &a, &[("if-match", "other")], change);
    assert_eq!(stale.code(), refused(412, "IfMatchFailed"));
    assert_eq!(client.request("POST", &a, &[("if-match", &etag)], change).status, 200);
    assert_eq!(client.get(&a).json()["publicAccessType"], "ObjectRead");
    assert_eq!(client.request("HEAD", &a, &[], b"").status, 200);
    assert_eq!(client.request("DELETE", &a, &[], b"").status, 204);
    assert_eq!(client.request("HEAD", &a, &[], b"").status, 404);
    assert_eq!(client.get(&a).code(), refused(404, "BucketNotFound"));

    client.put("x", b"x");
    assert_eq!(client.request("DELETE", BUCKET, &[], b"").code(), refused(409, "BucketNotEmpty"));
    let counted = client.get(&format!("{BUCKET}?fields=approximateCount%2CapproximateSize")).json();
    assert_eq!((&counted["approximateCount"], &counted["approximateSize"]), (&1.into(), &1.into()));
    assert_eq!(client.get(BUCKET).json()["approximateCount"], serde_json::Value::Null);
    assert_eq!(client.get("/n/other").code(), refused(404, "NamespaceNotFound"));
    assert_eq!(client.get("/n/other/b/demo").code(), refused(404, "BucketNotFound"));
}

#[test]
fn an_object_comes_back_with_its_headers() {
    let (_emulator, mut client) = start();
    let headers = [
        ("content-type", "text/plain"),
        ("content-language", "de"),
        ("cache-control", "no-cache"),
        ("opc-meta-colour", "blue"),
        ("opc-checksum-algorithm", "SHA256"),
    ];
    let put = client.request("PUT", &object("a"), &headers, b"hello");
    assert_eq!(put.status, 200);
    let md5 = STANDARD.encode(Md5::digest(b"hello"));
    assert_eq!(put.header("opc-content-md5"), Some(md5.as_str()));
    let got = client.get(&object("a"));
    assert_eq!(got.body, b"hello");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-language", "de"),
        ("cache-control", "no-cache"),
        ("opc-meta-colour", "blue"),
        ("accept-ranges", "bytes"),
        ("storage-tier", "Standard"),
        ("content-length", "5"),
        ("content-md5", &md5),
        // CRC32C of "hello" is 9a71bb4c.
        ("opc-content-crc32c", "mnG7TA=="),
        ("opc-content-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ("etag", put.header("etag").unwrap()),
        ("version-id", put.header("version-id").unwrap()),
        ("last-modified", put.header("last-modified").unwrap()),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let head = client.request("HEAD", &object("a"), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    let overridden = client.get(&object("a?httpResponseContentType=image%2Fpng"));
    assert_eq!(overridden.header("content-type"), Some("image/png"));
    let again = client.put("a", b"hello");
    assert_ne!(again.header("etag"), put.header("etag"), "equal bytes, another write");
    assert_eq!(client.get(&object("a")).header("content-type"), Some("application/octet-stream"));
}

#[test]
fn ranges_are_the_bytes_asked_for() {
    let (_emulator, mut client) = start();
    client.put("a", b"0123456789");
    client.put("empty", b"");
    for (name, range, status, told, body) in [
        ("a", "bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("a", "bytes=8-10", 206, Some("bytes 8-9/10"), "89"),
        ("a", "bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("a", "bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("a", "bytes=3-2", 200, None, "0123456789"),
        ("a", "bytes=0-0,2-2", 200, None, "0123456789"),
    ] {
        let got = client.request("GET", &object(name), &[("range", range)], b"");
        assert_eq!(
            (got.status, got.header("content-range"), got.text()),
            (status, told, body),
            "{range}"
        );
    }
    for (name, range, told) in
        [("a", "bytes=10-", "bytes */10"), ("empty", "bytes=0-0", "bytes */0")]
    {
        let got = client.request("GET", &object(name), &[("range", range)], b"");
        assert_eq!(got.code(), refused(416, "InvalidRange"));
        assert_eq!(got.header("content-range"), Some(told));
    }
    assert_eq!(client.get(&object("empty")).body, b"");
}

#[test]
fn conditions_are_judged_after_existence() {
    let (_emulator, mut client) = start();
    let etag = client.put("a", b"1").header("etag").unwrap().to_owned();
    let a = object("a");
    let gone = object("gone");
    for (method, target, header, value, status) in [
        ("GET", &a, "if-match", etag.as_str(), 200),
        ("GET", &a, "if-match", "*", 200),
        ("GET", &a, "if-match", "other", 412),
        ("HEAD", &a, "if-match", "other", 412),
        ("HEAD", &gone, "if-match", "other", 404),
        ("GET", &a, "if-none-match", &etag, 304),
        ("HEAD", &a, "if-none-match", &etag, 304),
        ("GET", &a, "if-none-match", "other", 200),
        ("GET", &a, "if-none-match", "*", 400),
        ("PUT", &a, "if-none-match", "*", 412),
        ("PUT", &a, "if-none-match", "other", 400),
        ("PUT", &a, "if-match", "other", 412),
        ("PUT", &gone, "if-match", &etag, 412),
        ("DELETE", &a, "if-match", "other", 412),
        ("DELETE", &gone, "if-match", "other", 404),
    ] {
        let got = client.request(method, target, &[(header, value)], b"");
        assert_eq!(got.status, status, "{method} {header}: {value}");
    }
    assert_eq!(client.get(&a).body, b"1", "what was refused was not done");
    assert_eq!(client.request("PUT", &gone, &[("if-none-match", "*")], b"2").status, 200);
    assert_eq!(client.request("PUT", &a, &[("if-match", &etag)], b"2").status, 200);
    assert_eq!(client.request("DELETE", &a, &[("if-match", &etag)], b"").status, 412);
    assert_eq!(client.request("DELETE", &a, &[], b"").status, 204);
    assert_eq!(client.request("DELETE", &a, &[], b"").code(), refused(404, "ObjectNotFound"));
}

#[test]
fn of_racing_creations_one_wins() {
    let (_emulator, client) = start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let mut client = client.another();
                scope.spawn(move || {
                    client.request("PUT", &object("a"), &[("if-none-match", "*")], b"x").status
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
}

#[test]
fn checksums_are_compared() {
    let (_emulator, mut client) = start();
    let md5 = STANDARD.encode(Md5::digest(b"hello"));
    for (header, value, code) in [
        ("content-md5", md5.as_str(), None),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", Some("UnmatchedContentMD5")),
        ("content-md5", "short", Some("InvalidContentMD5")),
        ("opc-content-crc32c", "mnG7TA==", None),
        ("opc-content-crc32c", "mnG7TQ==", Some("UnmatchedContentCRC32C")),
        ("opc-content-sha256", "mnG7TQ==", Some("UnmatchedContentSHA256")),
        ("opc-checksum-algorithm", "CRC64", Some("InvalidParameter")),
        // As the Go SDK sends what was not chosen.
        ("opc-checksum-algorithm", "", None),
        ("storage-tier", "", None),
    ] {
        let put = client.request("PUT", &object("a"), &[(header, value)], b"hello");
        match code {
            None => assert_eq!(put.status, 200, "{header}: {value}"),
            Some(code) => assert_eq!(put.code(), refused(400, code), "{header}: {value}"),
        }
    }
}

#[test]
fn a_name_has_1024_bytes_at_most() {
    let (_emulator, mut client) = start();
    client.put("a", b"x");
    let act = |client: &mut Client, action: &str, body: serde_json::Value| {
        let target = format!("{BUCKET}/actions/{action}");
        client.request("POST", &target, &[], body.to_string().as_bytes())
    };
    let copy = |name: &str| {
        json!({
            "sourceObjectName": "a", "destinationRegion": "us-ashburn-1",
            "destinationNamespace": "emulator", "destinationBucket": "demo",
            "destinationObjectName": name,
        })
    };
    for (letter, longest) in [("x", 1024), ("%C3%A9", 512)] {
        let decoded = letter.replace("%C3%A9", "\u{e9}");
        let (name, over) = (decoded.repeat(longest), decoded.repeat(longest + 1));
        let (raw, raw_over) = (letter.repeat(longest), letter.repeat(longest + 1));
        assert_eq!(client.put(&raw, b"longest").status, 200);
        assert_eq!(client.get(&object(&raw)).text(), "longest");
        assert_eq!(client.request("HEAD", &object(&raw), &[], b"").status, 200);
        let listed = client.get(&format!("{BUCKET}/o?prefix={raw}")).json();
        assert_eq!(listed["objects"][0]["name"], name);
        let put = client.request("PUT", &object(&raw_over), &[], b"x");
        assert_eq!(put.code(), refused(400, "InvalidObjectName"));
        let rename = json!({"sourceName": "a", "newName": over});
        for refusal in [
            act(&mut client, "renameObject", rename),
            act(&mut client, "copyObject", copy(&over)),
            client.request(
                "POST",
                &format!("{BUCKET}/u"),
                &[],
                json!({"object": over}).to_string().as_bytes(),
            ),
        ] {
            assert_eq!(refusal.code(), refused(400, "InvalidObjectName"));
        }
        client.request("DELETE", &object(&raw), &[], b"");
        assert_eq!(act(&mut client, "copyObject", copy(&name)).status, 202);
        assert_eq!(client.request("DELETE", &object(&raw), &[], b"").status, 204);
    }
    let listed = client.get(&format!("{BUCKET}/o")).json();
    assert_eq!(listed["objects"].as_array().unwrap().len(), 1, "what was refused left nothing");
}

/// What comes beyond a body's length is no part of it: it is the next request, and none.
#[test]
fn a_body_longer_than_its_length_is_cut_there() {
    let (emulator, mut client) = start();
    let head = client.head("PUT", &object("a"), &[], b"hello");
    client.send(&[head.as_bytes(), b"hello and more\r\n\r\n"].concat()).unwrap();
    assert_eq!(client.receive("PUT").unwrap().status, 200);
    let rest = client.receive("PUT");
    assert!(rest.as_ref().map_or(true, |rest| rest.status == 400), "{rest:?}");
    let mut client = client.another();
    let got = client.get(&object("a"));
    assert_eq!((got.text(), got.header("content-length")), ("hello", Some("5")));
    let lines = emulator.record();
    assert_eq!((lines[0].status, lines[0].bytes_in), (Some(200), 5));
    assert_eq!(lines.len(), 2, "the put and the get: {lines:?}");
}

#[test]
fn names_are_kept_byte_for_byte() {
    let (_emulator, mut client) = start();
    let names =
        ["..", ".", "a/../b", "a//b", "/lead", "a%2Fb", "a%252Fb", "x+y", "%E2%9C%93", "d/"];
    for name in names {
        client.put(name, name.as_bytes());
    }
    for name in names {
        // `a%2Fb` is its own object `a/b`, not `a//b`.
        assert_eq!(client.get(&object(name)).text(), name);
    }
    // The same name in another spelling.
    assert_eq!(client.get(&object("%2e%2e")).text(), "..");
    assert_eq!(client.get(&object("a/b")).text(), "a%2Fb");
    assert_eq!(client.get(&object("x%2By")).text(), "x+y");
    assert_eq!(client.request("DELETE", &object(".."), &[], b"").status, 204);
    assert_eq!(client.get(BUCKET).status, 200, "the bucket is still there");
    let long = "n".repeat(1025);
    let put = client.request("PUT", &object(&long), &[], b"");
    assert_eq!(put.code(), refused(400, "InvalidObjectName"));
    assert_eq!(client.request("PUT", &object("a%0Ab"), &[], b"").status, 400);
    assert_eq!(client.request("PUT", &object("%ff"), &[], b"").status, 400);
}

#[test]
fn what_is_not_served_says_so() {
    let (_emulator, mut client) = start();
    for (method, target, status, code) in [
        ("POST", format!("{BUCKET}/actions/reencrypt"), 501, "NotImplemented"),
        ("GET", format!("{BUCKET}/retentionRules"), 501, "NotImplemented"),
        ("GET", "/workRequests/1".to_owned(), 404, "NotFound"),
        ("GET", "/nowhere".to_owned(), 404, "NotFound"),
        ("DELETE", format!("{BUCKET}/o"), 405, "MethodNotAllowed"),
    ] {
        let body: &[u8] = if method.starts_with('P') { b"{}" } else { b"" };
        let got = client.request(method, &target, &[], body);
        assert_eq!(got.code(), refused(status, code), "{method} {target}");
        assert_eq!(got.header("content-type"), Some("application/json"));
    }
}
