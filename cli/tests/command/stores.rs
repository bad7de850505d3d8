// SPDX-License-Identifier: Apache-2.0
//! `rm`, `mv`, `mb`, `rb`, and stores that nobody signs for.

use crate::world::{Api, World, by_both};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use std::net::TcpStream;
use storescope_emulator::{Action, Fault};
use storescope_sign::{PrivateKey, Request, Rule, authorization, sha256, signing_string};

#[test]
fn objects_are_removed_by_name_and_below_a_name() {
    by_both(|world| {
        for key in ["a", "logs", "logs/1", "logs/2", "logs2/3", "a b/%", "x//y"] {
            world.object(key, b"x");
        }
        let dry = world.run(&["rm", "-r", &world.url("logs"), "--dry-run"]).well();
        assert_eq!(dry.out.lines().count(), 2);
        let ran = world.run(&["rm", "-r", &world.url("logs"), "--json"]).well();
        assert_eq!(ran.sum("removed"), (2, 0, 0));
        assert_eq!(world.names(), ["a", "a b/%", "logs", "logs2/3", "x//y"]);
        world.run(&["rm", "-r", &world.url("logs")]).well();
        world.run(&["rm", &world.url("a b/%"), &world.url("x//y")]).well();
        assert_eq!(world.names(), ["a", "logs2/3"]);
        if world.api == Api::Oci {
            world.run(&["rm", &world.url("a b/%")]).ended(3, "not found");
        }
        world.run(&["rm", &world.url("")]).ended(2, "names no object");
        world.run(&["rm", "-r", &world.url("")]).ended(2, "--yes");
        assert_eq!(world.names().len(), 2);
        world.run(&["rm", "-r", &world.url(""), "--yes"]).well();
        assert!(world.names().is_empty());
    });
}

#[test]
fn many_are_removed_by_few_requests() {
    by_both(|world| {
        for number in 0..150 {
            world.file(&format!("t/{number}"), b"x");
        }
        world.run(&["cp", "-r", "t", &world.url("t")]).well();
        world.emulator.admin().clear_record();
        let ran = world.run(&["rm", "-r", &world.url("t"), "--json"]).well();
        assert_eq!(ran.sum("removed"), (150, 0, 0));
        let posts = world.emulator.record().iter().filter(|line| line.method == "POST").count();
        assert_eq!(posts, 1, "one request for all");
    });
}

#[test]
fn a_move_is_a_rename_or_a_copy_and_a_removal() {
    by_both(|world| {
        world.object("new/a.csv", b"a");
        world.object("new/b/..", b"b");
        world.emulator.admin().clear_record();
        world.run(&["mv", &world.url("new/a.csv"), &world.url("done/")]).well();
        let renames = world.emulator.record();
        if world.api == Api::Oci {
            assert!(renames.iter().any(|line| line.target.contains("/actions/renameObject")));
        }
        let ran =
            world.run(&["mv", "-r", &world.url("new"), &world.url("2026/11"), "--json"]).well();
        assert_eq!(ran.sum("moved"), (1, 0, 0));
        assert_eq!(world.names(), ["2026/11/b/..", "done/a.csv"]);
        // To another bucket, down, and up again.
        world.run(&["mv", &world.url("done/a.csv"), &world.url_in("other", "a.csv")]).well();
        assert_eq!(world.names(), ["2026/11/b/.."]);
        world.run(&["mv", &world.url_in("other", "a.csv"), "here/a.csv"]).well();
        assert_eq!(world.run(&["ls", &world.url_in("other", "")]).well().out, "");
        world.run(&["mv", "-r", "here", &world.url("up")]).well();
        assert!(!world.path("here").exists(), "its files were moved");
        assert_eq!(world.cat("up/a.csv"), "a");
        // What exists stays, and its source with it.
        world.object("there", b"there");
        world.run(&["mv", "-n", &world.url("up/a.csv"), &world.url("there")]).well();
        assert_eq!((world.cat("there"), world.cat("up/a.csv")), ("there".into(), "a".into()));
        world.run(&["mv", &world.url("up/a.csv"), &world.url("there")]).well();
        assert_eq!(world.cat("there"), "a");
        world.run(&["mv", "-", &world.url("x")]).ended(2, "a stream is copied");
    });
}

#[test]
fn buckets_are_made_and_removed() {
    by_both(|world| {
        let bucket = world.url_in("fresh", "");
        let made = world.run(&["mb", &bucket, "--json"]).well();
        assert_eq!(made.json()[0]["result"], "made");
        world.run(&["mb", &bucket]).ended(1, "exists already");
        world.run_with(b"x", &["cp", "-", &world.url_in("fresh", "x")]).well();
        assert_eq!(world.run(&["rb", &bucket]).code, Some(1), "it is not empty");
        world.run(&["rm", "-r", "-y", &bucket]).well();
        world.run(&["rb", &bucket]).well();
        world.run(&["ls", &bucket]).ended(3, "bucket not found");
        world.run(&["mb", &world.url("key")]).ended(2, "is no bucket");
    });
}

#[test]
fn a_missing_bucket_is_told_as_one_and_not_as_an_absence() {
    by_both(|world| {
        let file = world.file("file", b"x");
        let there = world.url_in("no-such-bucket", "k");
        let folder = world.url_in("no-such-bucket", "");
        world.object("k", b"x");
        for args in [
            &["stat", &there][..],
            &["cat", &there],
            &["ls", &folder],
            &["cp", &there, "out"],
            &["cp", "-r", &folder, "out"],
            &["cp", &file, &there],
            &["cp", &world.url("k"), &there],
            &["mv", &there, &world.url("moved")],
            &["mv", &file, &there],
        ] {
            let ran = world.run(args);
            // Of many things, none did.
            let code = if args.contains(&"-r") { 1 } else { 3 };
            assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
            assert!(ran.err.contains("bucket not found"), "{args:?}: {ran:?}");
            assert!(!ran.err.contains("object not found"), "{args:?}: {ran:?}");
        }
        assert!(world.path("file").exists());
        world.run(&["stat", &world.url("none")]).ended(3, "object not found");
    });
}

#[test]
fn an_upload_that_nobody_was_told_of_does_not_keep_its_bucket() {
    by_both(|world| {
        let large = world.file("large", &vec![7; (16 << 20) + 5]);
        let target = if world.api == Api::Oci { "/u" } else { "?uploads" };
        let lost = Fault::new(Action::DropResponse).method("POST").contains(target);
        world.emulator.fault(lost.nth(1));
        world.run(&["cp", &large, &world.url("large")]).well();
        assert_eq!(world.run(&["uploads", &world.url("")]).well().out, "");
        world.run(&["rm", &world.url("large")]).well();
        world.run(&["rb", &world.url("")]).well();
    });
}

#[test]
fn metadata_that_is_not_ascii_comes_back() {
    by_both(|world| {
        let file = world.file("file", b"x");
        world.run(&["cp", "--metadata", "k=\u{fc}ber", &file, &world.url("a")]).well();
        world.run(&["cp", &world.url("a"), &world.url("b")]).well();
        world.run(&["cp", "--metadata", "l=\u{e9}", &world.url("b"), &world.url("c")]).well();
        for key in ["a", "b", "c"] {
            let told = world.run(&["stat", "--json", &world.url(key)]).well().out;
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["metadata"]["k"], "\u{fc}ber", "{key}");
        }
        world.run(&["cp", "--metadata", "a b=c", &file, &world.url("d")]).ended(2, "cannot name");
    });
}

#[test]
fn a_pre_authenticated_request_is_a_url_like_any_other() {
    let world = World::new(Api::Oci);
    world.object("in/a b.txt", b"secret no more");
    let base = pre_authenticated(&world, "AnyObjectReadWrite");
    let url = format!("{base}in/a%20b.txt");
    let no_settings = |args: &[&str]| {
        let mut command = world.command(args);
        command.env_remove("STORESCOPE_CONFIG_FILE").env_remove("STORESCOPE_ENDPOINT");
        crate::world::ended(command.spawn().unwrap()).well()
    };
    assert_eq!(no_settings(&["cat", &url]).out, "secret no more");
    assert!(no_settings(&["stat", &url]).out.contains("in/a b.txt"));
    assert_eq!(no_settings(&["ls", "-r", &base]).out, "in/a b.txt\n");
    no_settings(&["cp", &url, "down.txt"]);
    // It names one object, whatever characters that has.
    world.literal("in/a*b", "*");
    world.literal("in/axb", "x");
    assert_eq!(no_settings(&["cat", &format!("{base}in/a*b")]).out, "*");
    no_settings(&["stat", &format!("{base}in/a%2Ab")]);
    let up = format!("{base}up.txt");
    let told = no_settings(&["cp", "down.txt", &up, "--json"]).out;
    assert!(
        !told.contains("/p/") || told.contains("/p/\u{2026}/"),
        "the token is a secret: {told}"
    );
    assert_eq!(world.cat("up.txt"), "secret no more");
    no_settings(&["cp", "-r", &base, "tree"]);
    assert_eq!(world.read("tree/in/a b.txt"), b"secret no more");
}

/// Asks the emulator for a pre-authenticated request to the whole bucket; its URL, up to the name.
fn pre_authenticated(world: &World, access: &str) -> String {
    let oci = &world.emulator.ready().oci;
    let host = oci.endpoint.strip_prefix("http://").unwrap();
    let profile = std::fs::read_to_string(&oci.config_file).unwrap();
    let value = |name: &str| {
        let line = profile.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once('=').unwrap().1.trim().to_owned()
    };
    let key = PrivateKey::from_pem(&std::fs::read(value("key_file")).unwrap(), None).unwrap();
    let key_id = format!("{}/{}/{}", value("tenancy"), value("user"), value("fingerprint"));
    let later = jiff::Timestamp::now() + std::time::Duration::from_hours(1);
    let body = serde_json::json!({
        "name": "test", "accessType": access, "timeExpires": later.to_string(),
        "bucketListingAction": "ListObjects",
    });
    let body = body.to_string();
    let headers = [
        ("date", jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        ("host", host.to_owned()),
        ("content-length", body.len().to_string()),
        ("content-type", "application/json".to_owned()),
        ("x-content-sha256", STANDARD.encode(sha256(body.as_bytes()))),
    ];
    let target = "/n/emulator/b/bucket/p";
    let find = |name: &str| {
        headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    };
    let request = Request { method: "POST", target, header: &find };
    let signed = Rule::Body.signed_headers();
    let signature = key.sign(signing_string(&request, signed).unwrap().as_bytes()).unwrap();
    let authorization = authorization(&key_id, signed, &signature);
    let head: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let head = head.join("\r\n");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nauthorization: {authorization}\r\nconnection: close\r\n{head}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let made: serde_json::Value =
        serde_json::from_str(answer.split_once("\r\n\r\n").expect(&answer).1).expect(&answer);
    format!("{}{}", oci.endpoint, made["accessUri"].as_str().expect(&answer))
}

#[test]
fn files_are_a_store_too() {
    by_both(|world| {
        world.object("t/a b", b"a");
        world.object("t/c", b"c");
        let folder = format!("file://{}/", world.path("there").display());
        std::fs::create_dir(world.path("there")).unwrap();
        world.run(&["cp", "-r", &world.url("t"), &folder]).well();
        assert_eq!(world.read("there/a b"), b"a");
        let again = world.run(&["cp", "-r", &world.url("t"), &folder, "--json"]).well();
        assert_eq!(again.sum("copied"), (0, 2, 0));
        let listed = world.run(&["ls", &folder]).well().out;
        assert_eq!(listed.lines().count(), 2, "{listed}");
        world.run(&["cp", &format!("{folder}c"), &world.url("back")]).well();
        assert_eq!(world.cat("back"), "c");
    });
}

#[test]
fn help_and_completions_name_every_command() {
    let world = World::new(Api::Oci);
    let help = world.run(&["--help"]).well().out;
    for command in [
        "bench",
        "ls",
        "cat",
        "stat",
        "cp",
        "mv",
        "sync",
        "rm",
        "du",
        "run",
        "mb",
        "rb",
        "uploads",
        "downloads",
        "serve",
        "completions",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
        let own = world.run(&[command, "--help"]).well().out;
        assert!(own.contains("Example") || command == "completions", "{own}");
    }
    assert!(world.run(&["completions", "bash"]).well().out.contains("uploads"));
    let version = world.run(&["--version"]).well().out;
    assert!(version.contains("features: oci, s3, object-store"), "{version}");
}
