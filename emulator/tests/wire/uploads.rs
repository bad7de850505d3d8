// SPDX-License-Identifier: Apache-2.0
//! Uploads by parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::client::{BUCKET, Client, Response, object, start};
use crate::conditions::refused;

pub(crate) fn create(client: &mut Client, name: &str) -> String {
    let body = json!({"object": name, "contentType": null, "metadata": {"opc-meta-a": "b"}});
    let made = client.request("POST", &format!("{BUCKET}/u"), &[], body.to_string().as_bytes());
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["uploadId"].as_str().unwrap().to_owned()
}

fn upload(name: &str, id: &str) -> String {
    format!("{BUCKET}/u/{name}?uploadId={id}")
}

pub(crate) fn put_part(
    client: &mut Client,
    (name, id): (&str, &str),
    number: u32,
    body: &[u8],
) -> String {
    let target = format!("{}&uploadPartNum={number}", upload(name, id));
    let put = client.request("PUT", &target, &[], body);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.header("opc-content-md5"), Some(&*STANDARD.encode(Md5::digest(body))));
    put.header("etag").unwrap().to_owned()
}

fn commit(
    client: &mut Client,
    (name, id): (&str, &str),
    parts: &[(u32, &str)],
    excluded: &[u32],
) -> Response {
    let parts: Vec<_> = parts.iter().map(|(n, etag)| json!({"partNum": n, "etag": etag})).collect();
    let body = json!({"partsToCommit": parts, "partsToExclude": excluded}).to_string();
    client.request("POST", &upload(name, id), &[], body.as_bytes())
}

#[test]
fn parts_in_any_order_become_one_object() {
    let (_emulator, mut client) = start();
    let id = create(&mut client, "a/b c");
    let at = ("a%2Fb%20c", id.as_str());
    let third = put_part(&mut client, at, 7, b"ghi");
    put_part(&mut client, at, 1, b"old");
    let first = put_part(&mut client, at, 1, b"abc");
    let second = put_part(&mut client, at, 2, b"def");
    put_part(&mut client, at, 9, b"left out");
    let parts: [(u32, &str); 3] = [(7, &third), (1, &first), (2, &second)];
    let forgotten = commit(&mut client, at, &parts, &[]);
    assert_eq!(forgotten.code(), refused(400, "InvalidUploadPart"));
    let made = commit(&mut client, at, &parts, &[9]);
    assert_eq!(made.status, 200, "{}", made.text());
    let md5s: Vec<u8> = ["abc", "def", "ghi"].into_iter().flat_map(Md5::digest).collect();
    let md5 = format!("{}-3", STANDARD.encode(Md5::digest(md5s)));
    let crc = STANDARD.encode(crc32c::crc32c(b"abcdefghi").to_be_bytes());
    let got = client.get(&object("a%2Fb%20c"));
    assert_eq!(got.text(), "abcdefghi");
    for response in [&made, &got] {
        assert_eq!(response.header("opc-multipart-md5"), Some(&*md5));
        assert_eq!(response.header("opc-content-crc32c"), Some(&*crc));
    }
    assert_eq!(got.header("content-md5"), None);
    assert_eq!(got.header("opc-meta-a"), Some("b"));
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    for (range, body) in [("bytes=2-6", "cdefg"), ("bytes=3-5", "def"), ("bytes=-4", "fghi")] {
        let part = client.request("GET", &object("a%2Fb%20c"), &[("range", range)], b"");
        assert_eq!((part.status, part.text()), (206, body));
    }
    let listed = client.get(&format!("{BUCKET}/o?fields=md5,size")).json();
    assert_eq!(listed["objects"][0]["md5"], md5);
    assert_eq!(listed["objects"][0]["size"], 9);
    let again = commit(&mut client, at, &parts, &[9]);
    assert_eq!(again.code(), refused(404, "UploadNotFound"));
}

#[test]
fn a_commit_names_what_was_put() {
    let (_emulator, mut client) = start();
    let id = create(&mut client, "a");
    let at = ("a", id.as_str());
    let one = put_part(&mut client, at, 1, b"1");
    for (parts, excluded) in [
        (&[][..], &[1][..]),
        (&[(1, "other")], &[]),
        (&[(1, &*one), (1, &*one)], &[]),
        (&[(1, &*one)], &[1]),
        (&[(1, &*one)], &[2]),
        (&[(1, &*one), (2, &*one)], &[]),
    ] {
        let refusal = commit(&mut client, at, parts, excluded);
        assert_eq!(refusal.code(), refused(400, "InvalidUploadPart"), "{parts:?} {excluded:?}");
    }
    assert_eq!(client.get(&object("a")).status, 404);
    for (query, code) in [
        (String::new(), refused(400, "InvalidUploadPartNumber")),
        (format!("?uploadId={id}&uploadPartNum=0"), refused(400, "InvalidUploadPartNumber")),
        (format!("?uploadId={id}&uploadPartNum=10001"), refused(400, "InvalidUploadPartNumber")),
        ("?uploadPartNum=1".to_owned(), refused(400, "MissingUploadId")),
        ("?uploadPartNum=1&uploadId=x".to_owned(), refused(404, "UploadNotFound")),
    ] {
        let put = client.request("PUT", &format!("{BUCKET}/u/a{query}"), &[], b"x");
        assert_eq!(put.code(), code, "{query}");
    }
    let target = format!("{}&uploadPartNum=2", upload("a", &id));
    let wrong = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let put = client.request("PUT", &target, &wrong, b"x");
    assert_eq!(put.code(), refused(400, "UnmatchedContentMD5"));
    let deleted = client.request("DELETE", BUCKET, &[], b"");
    assert_eq!(deleted.code(), refused(409, "BucketNotEmpty"));
    assert_eq!(client.request("DELETE", &upload("a", &id), &[], b"").status, 204);
    assert_eq!(client.get(&upload("a", &id)).code(), refused(404, "UploadNotFound"));
    assert_eq!(client.request("DELETE", BUCKET, &[], b"").status, 204);
}

#[test]
fn uploads_and_parts_are_listed_by_pages() {
    let (_emulator, mut client) = start();
    let mut expected = Vec::new();
    for name in ["b", "a", "a"] {
        expected.push((name.to_owned(), create(&mut client, name)));
    }
    expected.sort();
    let listed = pages(&mut client, &format!("{BUCKET}/u?limit=1"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told: Vec<_> =
        listed.iter().map(|upload| (text(&upload["object"]), text(&upload["uploadId"]))).collect();
    assert_eq!(told, expected);
    let (name, id) = &expected[0];
    for number in [30, 1, 2] {
        put_part(&mut client, (name, id), number, format!("{number}").as_bytes());
    }
    let parts = pages(&mut client, &format!("{}&limit=2", upload(name, id)));
    let told: Vec<_> = parts.iter().map(|part| (&part["partNumber"], &part["size"])).collect();
    assert_eq!(
        format!("{told:?}"),
        "[(Number(1), Number(1)), (Number(2), Number(1)), (Number(30), Number(2))]"
    );
    assert_eq!(parts[2]["md5"], STANDARD.encode(Md5::digest(b"30")));
}

/// All pages of a list.
fn pages(client: &mut Client, target: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut page = String::new();
    loop {
        let listed = client.get(&format!("{target}&page={page}"));
        assert_eq!(listed.status, 200, "{}", listed.text());
        let items = listed.json();
        assert!(!items.as_array().unwrap().is_empty());
        all.extend(items.as_array().unwrap().iter().cloned());
        match listed.header("opc-next-page") {
            Some(next) => next.clone_into(&mut page),
            None => return all,
        }
    }
}

#[test]
fn conditions_hold_at_the_beginning_and_at_the_end() {
    let (_emulator, mut client) = start();
    let star = [("if-none-match", "*")];
    let body = br#"{"object":"a"}"#;
    let begun = client.request("POST", &format!("{BUCKET}/u"), &star, body);
    let id = begun.json()["uploadId"].as_str().unwrap().to_owned();
    let one = put_part(&mut client, ("a", &id), 1, b"1");
    let etag = client.put("a", b"0").header("etag").unwrap().to_owned();
    let refusal = commit(&mut client, ("a", &id), &[(1, &one)], &[]);
    assert_eq!(refusal.code(), refused(412, "IfNoneMatchFailed"));
    assert_eq!(client.get(&object("a")).text(), "0");
    let again = client.request("POST", &format!("{BUCKET}/u"), &star, body);
    assert_eq!(again.code(), refused(412, "IfNoneMatchFailed"));
    let id = create(&mut client, "a");
    let one = put_part(&mut client, ("a", &id), 1, b"1");
    let body = json!({"partsToCommit": [{"partNum": 1, "etag": one}]}).to_string();
    for (wanted, status) in [("other", 412), (&*etag, 200)] {
        let headers = [("if-match", wanted)];
        let done = client.request("POST", &upload("a", &id), &headers, body.as_bytes());
        assert_eq!(done.status, status);
    }
    assert_eq!(client.get(&object("a")).text(), "1");
}
