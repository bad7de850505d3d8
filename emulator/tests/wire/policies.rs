// SPDX-License-Identifier: Apache-2.0
//! Users, tenancies and policies: who may do what, and how a denial is told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use storescope_emulator::{Emulator, NewUser, Policy, ResourceType, Verb};

use crate::client::{BUCKET, Client, Response, object, start};

const COMPARTMENT: &str = "ocid1.compartment.oc1..aaaaaaaaemulatorcompartment";

/// A user of the home tenancy, and its client.
fn add(emulator: &Emulator, profile: &str) -> (String, Client) {
    let user = NewUser { profile: profile.into(), ..NewUser::default() };
    let user = emulator.admin().add_user(&user).unwrap();
    (user.user, Client::new(emulator, profile))
}

fn allow(emulator: &Emulator, principal: &str, statements: &[(Verb, ResourceType, Option<&str>)]) {
    let policies = statements.iter().map(|(verb, resource, bucket)| Policy {
        principal: principal.into(),
        verb: *verb,
        resource: *resource,
        bucket: bucket.map(str::to_owned),
    });
    emulator.admin().set_policies(Some(policies.collect()));
}

fn assert_denied(response: &Response, code: &str) {
    assert_eq!(response.code(), (404, code.to_owned()), "{}", response.text());
}

/// The admin API's answer.
fn admin(emulator: &Emulator, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let address = emulator.ready().admin.trim_start_matches("http://").to_owned();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// The statuses of what each verb adds: list, head, read, overwrite, create, delete an object;
/// list, head, get, update the bucket.
fn statuses(client: &mut Client, name: &str) -> Vec<u16> {
    let list = format!("/n/emulator/b?compartmentId={COMPARTMENT}");
    let update = json!({ "metadata": {} }).to_string();
    let requests = [
        ("GET", format!("{BUCKET}/o"), ""),
        ("HEAD", object("there"), ""),
        ("GET", object("there"), ""),
        ("PUT", object("there"), "x"),
        ("PUT", object(name), "x"),
        ("DELETE", object(name), ""),
        ("GET", list, ""),
        ("HEAD", BUCKET.to_owned(), ""),
        ("GET", BUCKET.to_owned(), ""),
        ("POST", BUCKET.to_owned(), &update),
    ];
    let answers = requests
        .into_iter()
        .map(|(method, target, body)| client.request(method, &target, &[], body.as_bytes()).status);
    answers.collect()
}

#[test]
fn each_verb_allows_what_it_does_in_oci() {
    let (emulator, mut owner) = start();
    owner.put("there", b"an object");
    let (user, mut client) = add(&emulator, "ALICE");
    let all = [200, 200, 200, 200, 200, 204, 200, 200, 200, 200];
    assert_eq!(statuses(&mut client, "new"), all);
    let (objects, buckets) = (ResourceType::Objects, ResourceType::Buckets);
    for (verb, resource, expected) in [
        (Verb::Inspect, objects, [200, 200, 404, 404, 404, 404, 404, 404, 404, 404]),
        (Verb::Read, objects, [200, 200, 200, 404, 404, 404, 404, 404, 404, 404]),
        (Verb::Use, objects, [200, 200, 200, 200, 404, 404, 404, 404, 404, 404]),
        (Verb::Manage, objects, [200, 200, 200, 200, 200, 204, 404, 404, 404, 404]),
        (Verb::Inspect, buckets, [404, 404, 404, 404, 404, 404, 200, 200, 404, 404]),
        (Verb::Read, buckets, [404, 404, 404, 404, 404, 404, 200, 200, 200, 404]),
        (Verb::Use, buckets, [404, 404, 404, 404, 404, 404, 200, 200, 200, 200]),
        (Verb::Manage, ResourceType::ObjectFamily, all),
    ] {
        allow(&emulator, &user, &[(verb, resource, None)]);
        assert_eq!(statuses(&mut client, "new"), expected, "{verb:?} {resource:?}");
    }
    // Statements are of somebody; the administrator needs none.
    allow(&emulator, "ocid1.user.oc1..another", &[(Verb::Manage, objects, None)]);
    assert_eq!(statuses(&mut client, "new"), [404; 10]);
    assert_eq!(statuses(&mut owner, "new"), all);
    allow(&emulator, "any", &[(Verb::Manage, ResourceType::ObjectFamily, None)]);
    assert_eq!(statuses(&mut client, "new"), all);
}

#[test]
fn a_denial_is_told_as_what_is_not_there() {
    let (emulator, _) = start();
    let (user, mut client) = add(&emulator, "ALICE");
    let other = Some("other-*");
    allow(&emulator, &user, &[(Verb::Manage, ResourceType::ObjectFamily, other)]);
    let denied = client.get(&object("x"));
    assert_denied(&denied, "BucketNotFound");
    assert_eq!(
        denied.json()["message"],
        "Either the bucket named 'demo' does not exist in the namespace 'emulator' or you are not \
         authorized to access it"
    );
    assert_denied(&client.request("PUT", &object("x"), &[], b"body"), "BucketNotFound");
    let list = format!("/n/emulator/b?compartmentId={COMPARTMENT}");
    assert_denied(&client.get(&list), "NamespaceNotFound");
    let mut make = |name: &str| {
        let body = json!({ "name": name, "compartmentId": COMPARTMENT }).to_string();
        client.request("POST", "/n/emulator/b", &[], body.as_bytes())
    };
    assert_denied(&make("third"), "NamespaceNotFound");
    assert_eq!(make("Other-1").status, 200);
    assert_eq!(client.request("PUT", "/n/emulator/b/Other-1/o/x", &[], b"body").status, 200);
    // A copy needs both buckets.
    let copy = |bucket: &str| {
        json!({
            "sourceObjectName": "x",
            "destinationRegion": "us-ashburn-1",
            "destinationNamespace": "emulator",
            "destinationBucket": bucket,
            "destinationObjectName": "y",
        })
        .to_string()
    };
    let path = "/n/emulator/b/Other-1/actions/copyObject";
    let denied = client.request("POST", path, &[], copy("demo").as_bytes());
    assert_denied(&denied, "BucketNotFound");
    assert_eq!(client.request("POST", path, &[], copy("Other-1").as_bytes()).status, 202);
    // The namespace is everybody's to ask for.
    assert_eq!(client.get("/n").text(), "\"emulator\"");
}

#[test]
fn another_tenancy_has_a_namespace_of_its_own_and_nothing_in_others() {
    let (emulator, mut owner) = start();
    owner.put("there", b"an object");
    let tenancy = "ocid1.tenancy.oc1..aaaaaaaaanother";
    let user = NewUser {
        profile: "BOB".into(),
        tenancy: Some(tenancy.into()),
        namespace: Some("bobs".into()),
    };
    let user = emulator.admin().add_user(&user).unwrap();
    assert_eq!((user.tenancy.as_str(), user.namespace.as_str()), (tenancy, "bobs"));
    let mut client = Client::new(&emulator, "BOB");
    assert_eq!(client.get("/n").text(), "\"bobs\"");
    assert_denied(&client.get(&object("there")), "BucketNotFound");
    // Its own namespace, which the first tenancy does not see.
    let body = json!({ "name": "demo", "compartmentId": COMPARTMENT }).to_string();
    assert_eq!(client.request("POST", "/n/bobs/b", &[], body.as_bytes()).status, 200);
    let own = "/n/bobs/b/demo/o/x";
    assert_eq!(client.request("PUT", own, &[], b"bob's").status, 200);
    assert_eq!(client.get(own).text(), "bob's");
    assert_denied(&owner.get(own), "BucketNotFound");
    assert_eq!(owner.get(&object("x")).code().1, "ObjectNotFound");
    // Until a policy of the one lets the other in.
    allow(&emulator, tenancy, &[(Verb::Read, ResourceType::Objects, Some("demo"))]);
    assert_eq!(client.get(&object("there")).text(), "an object");
    assert_denied(&client.request("PUT", &object("there"), &[], b"x"), "BucketNotFound");
}

#[test]
fn users_policies_tokens_and_the_clock_are_set_over_http() {
    let (emulator, mut owner) = start();
    let none = &Value::Null;
    let (status, user) = admin(&emulator, "POST", "/users", &json!({ "profile": "ALICE" }));
    assert_eq!((status, &user["profile"]), (200, &json!("ALICE")));
    assert_eq!(admin(&emulator, "GET", "/users", none), (200, json!([user])));
    for refused in [
        json!({ "profile": "ALICE" }),
        json!({ "profile": "DEFAULT" }),
        json!({ "profile": "a b" }),
        json!({ "profile": "C", "tenancy": "t" }),
        json!({ "profile": "C", "namespace": "other" }),
        json!({ "profile": "C", "unknown": 1 }),
    ] {
        assert_eq!(admin(&emulator, "POST", "/users", &refused).0, 400, "{refused}");
    }
    let policies = json!([
        {"principal": user["user"], "verb": "read", "resource": "object-family", "bucket": "demo"},
    ]);
    assert_eq!(admin(&emulator, "PUT", "/policies", &policies).0, 204);
    assert_eq!(admin(&emulator, "GET", "/policies", none), (200, policies));
    let mut client = Client::new(&emulator, "ALICE");
    assert_denied(&client.request("PUT", &object("x"), &[], b"x"), "BucketNotFound");
    assert_eq!(admin(&emulator, "DELETE", "/policies", none).0, 204);
    assert_eq!(client.request("PUT", &object("x"), &[], b"x").status, 200);
    let bad = json!([{"principal": "any", "verb": "write", "resource": "objects"}]);
    assert_eq!(admin(&emulator, "PUT", "/policies", &bad).0, 400);

    let seconds = json!({ "seconds": 5 });
    assert_eq!(admin(&emulator, "PUT", "/principals/lifetime", &seconds).0, 204);
    for what in ["instance", "resource", "session", "delegation", "service_account"] {
        assert_eq!(admin(&emulator, "POST", "/principals/rotate", &json!({ "what": what })).0, 204);
    }
    let what = json!({ "what": "issuer" });
    assert_eq!(admin(&emulator, "POST", "/principals/rotate", &what).0, 400);
    assert_eq!(Client::new(&emulator, "SESSION").get("/n").status, 200);
    assert_eq!(admin(&emulator, "POST", "/principals/expire", none).0, 204);
    assert_eq!(Client::new(&emulator, "SESSION").get("/n").status, 401);
    let far = json!({ "offset_s": i64::MIN + 1 });
    assert_eq!(admin(&emulator, "PUT", "/clock", &far).0, 400);
    assert_eq!(admin(&emulator, "PUT", "/clock", &json!({ "offset_s": 600 })).0, 204);
    assert_eq!(owner.get("/n").status, 401);
    owner.skew = 600;
    assert_eq!(owner.get("/n").status, 200);
}
