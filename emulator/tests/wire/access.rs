// SPDX-License-Identifier: Apache-2.0
//! What is allowed without a signature: pre-authenticated requests and public buckets.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use storescope_emulator::Emulator;

use crate::client::{BUCKET, Client, Response, object, start};
use crate::conditions::refused;

/// A request without a signature.
fn open(client: &mut Client, method: &str, target: &str, body: &[u8]) -> Response {
    let length =
        if method == "PUT" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
    let head = format!("{method} {target} HTTP/1.1\r\nhost: x\r\n{length}\r\n");
    client.send(&[head.as_bytes(), body].concat()).unwrap();
    client.receive(method).unwrap()
}

fn in_an_hour() -> String {
    let later = SystemTime::now() + Duration::from_hours(1);
    jiff::Timestamp::try_from(later).unwrap().to_string()
}

fn create(client: &mut Client, details: Value) -> Response {
    let mut body = json!({"name": "par", "timeExpires": in_an_hour()});
    body.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    client.request("POST", &format!("{BUCKET}/p"), &[], body.to_string().as_bytes())
}

fn uri(made: &Response) -> String {
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["accessUri"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_opens_what_it_says() {
    let (_emulator, mut client) = start();
    client.put("a%20b", b"hello");
    client.put("p/1", b"one");
    client.put("q", b"q");
    let read = uri(&create(&mut client, json!({"accessType": "ObjectRead", "objectName": "a b"})));
    assert_eq!(open(&mut client, "GET", &read, b"").text(), "hello");
    assert_eq!(open(&mut client, "HEAD", &read, b"").status, 200);
    let refusal = refused(404, "PreauthenticatedRequestNotFound");
    assert_eq!(open(&mut client, "PUT", &read, b"x").code(), refusal);
    assert_eq!(open(&mut client, "DELETE", &read, b"").code(), refusal);
    let elsewhere = read.replace("a%20b", "q");
    assert_eq!(open(&mut client, "GET", &elsewhere, b"").code(), refusal);
    let forged = read.replace("/p/", "/p/x");
    assert_eq!(open(&mut client, "GET", &forged, b"").code(), refusal);

    let write =
        uri(&create(&mut client, json!({"accessType": "ObjectWrite", "objectName": "new"})));
    assert_eq!(open(&mut client, "PUT", &write, b"written").status, 200);
    assert_eq!(open(&mut client, "GET", &write, b"").code(), refusal);
    assert_eq!(client.get(&object("new")).text(), "written");

    let any = uri(&create(
        &mut client,
        json!({
            "accessType": "AnyObjectReadWrite", "objectName": "p/",
            "bucketListingAction": "ListObjects",
        }),
    ));
    assert!(any.ends_with("/o/"), "{any}");
    assert_eq!(open(&mut client, "GET", &format!("{any}p/1"), b"").text(), "one");
    assert_eq!(open(&mut client, "PUT", &format!("{any}p/2"), b"two").status, 200);
    assert_eq!(open(&mut client, "GET", &format!("{any}q"), b"").code(), refusal);
    let listed = open(&mut client, "GET", &format!("{any}?prefix=p/"), b"").json();
    assert_eq!(listed["objects"], json!([{"name": "p/1"}, {"name": "p/2"}]));
    assert_eq!(open(&mut client, "GET", &any, b"").code(), refusal, "outside the prefix");
}

#[test]
fn pars_are_listed_deleted_and_expire() {
    let (_emulator, mut client) = start();
    client.put("a", b"hello");
    let made = create(&mut client, json!({"accessType": "ObjectRead", "objectName": "a"}));
    let full = made.json()["fullPath"].as_str().unwrap().to_owned();
    assert!(full.starts_with("http://127.0.0.1:") && full.ends_with(&uri(&made)), "{full}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let target = |id: &str| {
        let id: Vec<String> = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("{BUCKET}/p/{}", id.concat())
    };
    let listed = client.get(&format!("{BUCKET}/p")).json();
    assert_eq!((&listed[0]["id"], &listed[0]["accessUri"]), (&id.clone().into(), &Value::Null));
    assert_eq!(client.get(&target(&id)).json()["accessType"], "ObjectRead");
    assert_eq!(client.get(&format!("{BUCKET}/p?objectNamePrefix=b")).json(), json!([]));
    client.request("DELETE", &object("a"), &[], b"");
    let refusal = client.request("DELETE", BUCKET, &[], b"");
    assert_eq!(refusal.code(), refused(409, "PreauthenticatedRequestStillExists"));
    assert_eq!(client.request("DELETE", &target(&id), &[], b"").status, 204);
    let gone = refused(404, "PreauthenticatedRequestNotFound");
    assert_eq!(client.request("DELETE", &target(&id), &[], b"").code(), gone);
    assert_eq!(open(&mut client, "GET", &uri(&made), b"").code(), gone);
    let past = json!({
        "accessType": "ObjectRead", "objectName": "a", "timeExpires": "2020-01-01T00:00:00Z",
    });
    assert_eq!(create(&mut client, past).code(), refused(400, "InvalidParameter"));
}

#[test]
fn a_token_ends_with_its_time() {
    let data = tempfile::tempdir().unwrap();
    let start = |offset| {
        let builder = Emulator::builder().bucket("demo").data_dir(data.path());
        let emulator = builder.clock_offset(offset).start().unwrap();
        let mut client = Client::new(&emulator, "DEFAULT");
        client.skew = offset;
        (emulator, client)
    };
    let (emulator, mut client) = start(0);
    client.put("a", b"hello");
    let par = uri(&create(&mut client, json!({"accessType": "ObjectRead", "objectName": "a"})));
    emulator.stop();
    let (emulator, mut client) = start(3500);
    assert_eq!(open(&mut client, "GET", &par, b"").text(), "hello");
    emulator.stop();
    let (_emulator, mut client) = start(3700);
    let gone = refused(404, "PreauthenticatedRequestNotFound");
    assert_eq!(open(&mut client, "GET", &par, b"").code(), gone);
}

#[test]
fn a_public_bucket_is_read_by_anybody() {
    let (_emulator, mut client) = start();
    client.put("a", b"hello");
    let list = format!("{BUCKET}/o");
    for (access, get, listing) in [
        ("NoPublicAccess", 404, 404),
        ("ObjectReadWithoutList", 200, 404),
        ("ObjectRead", 200, 200),
    ] {
        let body = json!({ "publicAccessType": access }).to_string();
        assert_eq!(client.request("POST", BUCKET, &[], body.as_bytes()).status, 200);
        assert_eq!(open(&mut client, "GET", &object("a"), b"").status, get, "{access}");
        assert_eq!(open(&mut client, "HEAD", &object("a"), b"").status, get, "{access}");
        assert_eq!(open(&mut client, "GET", &list, b"").status, listing, "{access}");
        assert_eq!(open(&mut client, "PUT", &object("a"), b"x").status, 401, "{access}");
        assert_eq!(open(&mut client, "DELETE", &object("a"), b"").status, 401, "{access}");
        assert_eq!(open(&mut client, "GET", BUCKET, b"").status, 401, "{access}");
    }
    assert_eq!(open(&mut client, "GET", "/n/emulator/b/none/o/a", b"").status, 404);
}
