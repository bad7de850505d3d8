// SPDX-License-Identifier: Apache-2.0
//! Rename, copy, batch delete, tiers, versions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{BUCKET, Client, Response, object, start};
use crate::conditions::refused;

fn act(client: &mut Client, action: &str, body: Value) -> Response {
    let target = format!("{BUCKET}/actions/{action}");
    client.request("POST", &target, &[], body.to_string().as_bytes())
}

#[test]
fn a_rename_moves_the_bytes_at_once() {
    let (_emulator, mut client) = start();
    let headers = [("content-type", "text/plain"), ("opc-meta-x", "y")];
    client.request("PUT", &object("a"), &headers, b"hello");
    let before = client.get(&object("a"));
    let old = before.header("etag").unwrap();
    client.put("b", b"there");
    let rename = |client: &mut Client, more: Value| {
        let mut body = json!({"sourceName": "a", "newName": "b"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        act(client, "renameObject", body)
    };
    for (more, expected) in [
        (json!({"newObjIfNoneMatchETag": "*"}), refused(412, "IfNoneMatchFailed")),
        (json!({"newObjIfNoneMatchETag": "x"}), refused(400, "IfNoneMatchDisallowed")),
        (json!({"newObjIfMatchETag": "x"}), refused(412, "IfMatchFailed")),
        (json!({"srcObjIfMatchETag": "x"}), refused(412, "IfMatchFailed")),
        (json!({"newName": "a"}), refused(400, "SourceNameSameAsNewName")),
        (json!({"newName": ""}), refused(400, "InvalidObjectName")),
        (json!({"newName": 1}), refused(400, "InvalidParameter")),
        (json!({"sourceName": "c"}), refused(404, "ObjectNotFound")),
    ] {
        assert_eq!(rename(&mut client, more.clone()).code(), expected, "{more}");
    }
    assert_eq!(client.get(&object("b")).text(), "there");
    let renamed = rename(&mut client, json!({"srcObjIfMatchETag": old, "newObjIfMatchETag": null}));
    assert_eq!(renamed.status, 200, "{}", renamed.text());
    let new = renamed.header("etag").unwrap();
    assert!(new != old && renamed.header("last-modified").is_some());
    assert_eq!(client.get(&object("a")).status, 404);
    let after = client.get(&object("b"));
    assert_eq!((after.text(), after.header("etag")), ("hello", Some(new)));
    for name in ["content-type", "opc-meta-x", "content-md5"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
}

/// The body of a copy of `a` to `c` in the bucket `other`.
fn copy(more: Value) -> Value {
    let mut body = json!({
        "sourceObjectName": "a", "destinationRegion": "us-ashburn-1",
        "destinationNamespace": "emulator", "destinationBucket": "other",
        "destinationObjectName": "c",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn other_bucket(client: &mut Client) {
    let body = json!({"name": "other", "compartmentId": "x"}).to_string();
    assert_eq!(client.request("POST", "/n/emulator/b", &[], body.as_bytes()).status, 200);
}

#[test]
fn a_copy_is_a_work_request() {
    let (_emulator, mut client) = start();
    other_bucket(&mut client);
    client.request("PUT", &object("a"), &[("opc-meta-x", "y"), ("content-type", "c/t")], b"hello");
    for (more, expected) in [
        (json!({"sourceObjectName": "b"}), refused(404, "ObjectNotFound")),
        (json!({"destinationBucket": "none"}), refused(404, "BucketNotFound")),
        (json!({"sourceObjectIfMatchETag": "x"}), refused(412, "IfMatchFailed")),
        (json!({"destinationRegion": "mars"}), refused(400, "InvalidParameter")),
    ] {
        assert_eq!(act(&mut client, "copyObject", copy(more.clone())).code(), expected, "{more}");
    }
    let accepted = act(&mut client, "copyObject", copy(json!({})));
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let work = format!("/workRequests/{}", accepted.header("opc-work-request-id").unwrap());
    let told = client.get(&work).json();
    assert_eq!(told["status"], "COMPLETED");
    assert_eq!(
        (&told["operationType"], &told["percentComplete"]),
        (&"COPY_OBJECT".into(), &100.0.into())
    );
    let made = client.get("/n/emulator/b/other/o/c");
    assert_eq!((made.text(), made.header("opc-meta-x")), ("hello", Some("y")));
    assert_eq!(made.header("content-type"), Some("c/t"));

    let replaced = copy(json!({"destinationObjectMetadata": {"opc-meta-n": "1", "m": "2"}}));
    act(&mut client, "copyObject", replaced);
    let made = client.get("/n/emulator/b/other/o/c");
    assert_eq!((made.header("opc-meta-x"), made.header("opc-meta-n")), (None, Some("1")));
    assert_eq!(made.header("opc-meta-m"), Some("2"));

    let failed =
        act(&mut client, "copyObject", copy(json!({"destinationObjectIfNoneMatchETag": "*"})));
    let work = format!("/workRequests/{}", failed.header("opc-work-request-id").unwrap());
    assert_eq!(client.get(&work).json()["status"], "FAILED");
    assert_eq!(client.get(&format!("{work}/errors")).json()[0]["code"], "IfNoneMatchFailed");
    assert_eq!(client.get(&format!("{work}/logs")).status, 200);
}

#[test]
fn a_slow_copy_is_in_progress_and_can_be_canceled() {
    let (emulator, mut client) = start();
    other_bucket(&mut client);
    client.put("a", b"hello");
    let begin = |client: &mut Client| {
        let accepted = act(client, "copyObject", copy(json!({})));
        format!("/workRequests/{}", accepted.header("opc-work-request-id").unwrap())
    };
    emulator.admin().set_copy_delay(Duration::from_hours(1));
    let work = begin(&mut client);
    let told = client.get(&work);
    assert_eq!(told.json()["status"], "IN_PROGRESS");
    assert_eq!(told.header("retry-after"), Some("1"));
    assert_eq!(client.get("/n/emulator/b/other/o/c").status, 404);
    assert_eq!(client.request("DELETE", &work, &[], b"").status, 202);
    assert_eq!(client.get(&work).json()["status"], "CANCELED");
    assert_eq!(client.request("DELETE", &work, &[], b"").status, 409);

    emulator.admin().set_copy_delay(Duration::from_millis(50));
    let (begun, work) = (Instant::now(), begin(&mut client));
    // What was accepted is copied, though the source is gone by then.
    client.request("DELETE", &object("a"), &[], b"");
    while client.get(&work).json()["status"] != "COMPLETED" {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!(client.get("/n/emulator/b/other/o/c").text(), "hello");
}

#[test]
fn a_batch_deletes_what_it_can() {
    let (_emulator, mut client) = start();
    for name in ["a", "b", "c"] {
        client.put(name, b"x");
    }
    let objects = json!([
        {"objectName": "a", "ifMatch": null}, {"objectName": "none"},
        {"objectName": "b", "ifMatch": "x"}, {"objectName": "c"},
    ]);
    let done = act(&mut client, "batchDeleteObjects", json!({"objects": objects})).json();
    let names = |list: &Value| {
        list.as_array().unwrap().iter().map(|o| o["objectName"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&done["deleted"]), ["a", "c"]);
    assert_eq!(names(&done["failed"]), ["none", "b"]);
    assert_eq!(
        (&done["failed"][0]["statusCode"], &done["failed"][1]["statusCode"]),
        (&404.into(), &412.into())
    );
    let body = json!({"objects": [{"objectName": "b"}], "isSkipDeletedResult": true});
    assert_eq!(act(&mut client, "batchDeleteObjects", body).json()["deleted"], json!([]));
    assert_eq!(client.get(&format!("{BUCKET}/o")).json()["objects"], json!([]));
    let many: Vec<_> = (0..1001).map(|n| json!({"objectName": n.to_string()})).collect();
    let refusal = act(&mut client, "batchDeleteObjects", json!({"objects": many}));
    assert_eq!(refusal.code(), refused(400, "InvalidParameter"));
}

#[test]
fn an_archived_object_is_restored_before_it_is_read() {
    let (_emulator, mut client) = start();
    client.request("PUT", &object("a"), &[("storage-tier", "Archive")], b"x");
    let get = |client: &mut Client| client.get(&object("a"));
    assert_eq!(get(&mut client).code(), refused(409, "NotRestored"));
    let head = client.request("HEAD", &object("a"), &[], b"");
    assert_eq!((head.status, head.header("archival-state")), (200, Some("Archived")));
    let restore = |client: &mut Client| act(client, "restoreObjects", json!({"objectName": "a"}));
    assert_eq!(restore(&mut client).status, 200);
    assert_eq!(restore(&mut client).code(), refused(409, "AlreadyRestored"));
    let got = get(&mut client);
    assert_eq!((got.text(), got.header("archival-state")), ("x", Some("Restored")));
    let tier = json!({"objectName": "a", "storageTier": "InfrequentAccess"});
    assert_eq!(act(&mut client, "updateObjectStorageTier", tier).status, 200);
    let got = get(&mut client);
    assert_eq!(got.header("storage-tier"), Some("InfrequentAccess"));
    assert_eq!(got.header("archival-state"), None);
    assert_eq!(restore(&mut client).code(), refused(409, "IncorrectState"));
    let put = client.request("PUT", &object("b"), &[("storage-tier", "Cold")], b"x");
    assert_eq!(put.code(), refused(400, "InvalidParameter"));
}

#[test]
fn versions_are_the_objects_that_are_there() {
    let (_emulator, mut client) = start();
    for name in ["a", "b", "d/e"] {
        client.put(name, b"1");
    }
    let version = client.put("a", b"22").header("version-id").unwrap().to_owned();
    let listed = client.get(&format!("{BUCKET}/objectversions?delimiter=/&limit=2&fields=size"));
    let page = listed.json();
    assert_eq!(
        (&page["items"][0]["name"], &page["items"][0]["versionId"]),
        (&"a".into(), &version.clone().into())
    );
    assert_eq!(
        (&page["items"][0]["size"], page["items"].as_array().unwrap().len()),
        (&2.into(), 2)
    );
    let next = listed.header("opc-next-page").unwrap();
    let page = client.get(&format!("{BUCKET}/objectversions?delimiter=/&page={next}")).json();
    assert_eq!((&page["items"], &page["prefixes"]), (&json!([]), &json!(["d/"])));
    assert_eq!(client.get(&object(&format!("a?versionId={version}"))).text(), "22");
    assert_eq!(client.get(&object("a?versionId=x")).status, 404);
}
