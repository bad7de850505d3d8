// SPDX-License-Identifier: Apache-2.0
//! Where a command's requests go: two services in one command, settings of the environment, URLs that are none.

use crate::world::{Api, World};

/// What the S3 emulator of one world is to the binary of another.
fn with_s3<'a>(oci: &'a World, s3: &'a World, args: &[&'a str]) -> std::process::Command {
    let service = s3.emulator.ready().s3.clone().unwrap();
    let mut command = oci.command(args);
    command
        .env("STORESCOPE_REGION", "oci-region-1")
        .env("STORESCOPE_ACCESS_KEY_ID", &service.access_key_id)
        .env("STORESCOPE_SECRET_ACCESS_KEY", &service.secret_access_key);
    command
}

#[test]
fn one_command_copies_from_one_service_to_the_other() {
    let (oci, s3) = (World::new(Api::Oci), World::new(Api::S3));
    for (key, text) in [("in/a", "one"), ("in/b/c", "two")] {
        oci.object(key, text.as_bytes());
    }
    let service = s3.emulator.ready().s3.clone().unwrap();
    let run = |command: &mut std::process::Command| {
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    };
    // There, by options; each service is asked by its own protocol, with its own region and keys.
    let options =
        ["--s3-endpoint", &service.endpoint, "--s3-region", &service.region, "--region", "x"];
    let (from, to) = (oci.url("in"), s3.url("out"));
    run(&mut with_s3(&oci, &s3, &[&["cp", "-r", &from, &to][..], &options[..]].concat()));
    assert_eq!((s3.cat("out/a"), s3.cat("out/b/c")), ("one".to_owned(), "two".to_owned()));
    assert_eq!(s3.names(), ["out/a", "out/b/c"]);

    // And back, by the environment.
    let back = oci.url("back");
    run(with_s3(&oci, &s3, &["cp", "-r", &to, &back])
        .env("STORESCOPE_S3_ENDPOINT", &service.endpoint)
        .env("STORESCOPE_S3_REGION", &service.region));
    assert_eq!((oci.cat("back/a"), oci.cat("back/b/c")), ("one".to_owned(), "two".to_owned()));
    let puts =
        |world: &World| world.emulator.record().iter().filter(|line| line.method == "PUT").count();
    assert_eq!((puts(&oci), puts(&s3)), (4, 2));
}

#[test]
fn a_misspelt_variable_is_refused_with_the_right_name() {
    let world = World::new(Api::Oci);
    let url = world.url("");
    let with = |name: &str| {
        let mut command = world.command(&["ls", &url]);
        command.env(name, "s3cret").output().unwrap()
    };
    for (name, right) in [
        ("STORESCOPE_STALL_TIMOUT", "STORESCOPE_STALL_TIMEOUT"),
        ("STORESCOPE_SECRET_ACCES_KEY", "STORESCOPE_SECRET_ACCESS_KEY"),
    ] {
        let ended = with(name);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains(&format!("did you mean {right}?")), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    for name in ["STORESCOPE_BIN", "STORESCOPE_TEST_X", "STORESCOPE_SERVICE_HOST"] {
        assert!(with(name).status.success(), "{name}");
    }
    assert!(world.emulator.record().iter().all(|line| line.method == "GET"));
}

#[test]
fn a_url_that_lacks_its_slashes_is_no_path() {
    let world = World::new(Api::S3);
    world.file("x", b"x");
    for (url, right) in [
        ("s3:/bucket/k", "s3://bucket/k"),
        ("s3:bucket/k", "s3://bucket/k"),
        ("oci:/bucket@emulator/k", "oci://bucket@emulator/k"),
        ("S3:/bucket/k", "s3://bucket/k"),
    ] {
        for args in [["cp", "x", url], ["cp", url, "y"], ["mv", "x", url]] {
            world.run(&args).ended(2, right);
        }
        for args in [["cat", url], ["ls", url], ["stat", url], ["rm", url]] {
            world.run(&args).ended(2, right);
        }
    }
    assert_eq!(world.read("x"), b"x");
    let left: Vec<_> = std::fs::read_dir(world.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no folder of that name was made: {left:?}");
    assert!(world.emulator.record().is_empty());
    // A scheme in capitals is the same scheme.
    world.run(&["cp", "x", "S3://bucket/k"]).well();
    assert_eq!(world.cat("k"), "x");
}

#[test]
fn no_password_of_a_url_is_told() {
    let world = World::new(Api::Oci);
    let pa55 = "https://user:pa55w0rd@store.example/p/pa55w0rd/n/ns/b/b/o/k?sig=pa55w0rd";
    world.file("x", b"x");
    for args in [
        vec!["cat", pa55],
        vec!["cp", "x", pa55],
        vec!["ls", "s3://AKIA:pa55w0rd@bucket/k"],
        vec!["ls", "HTTPS://store.example/p/pa55w0rd/n"],
        vec!["ls", &world.url(""), "--endpoint", "https://user:pa55w0rd@store.example"],
        vec!["ls", &world.url(""), "--endpoint", "https://store.example/?sig=pa55w0rd"],
        vec!["ls", "s3://bucket/", "--endpoint", "https://user:pa55w0rd@store.example"],
    ] {
        let ran = world.run(&[&args[..], &["-v"]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.err.contains("pa55w0rd") && !ran.out.contains("pa55w0rd"), "{ran:?}");
    }
    for proxy in ["ftp://user:pa55w0rd@proxy", "http://user:pa55w0rd@127.0.0.1:1"] {
        let url = world.url("");
        let mut command =
            world.command(&["ls", &url, "--endpoint", "https://store.example", "--attempts", "1"]);
        let ended = command.env("https_proxy", proxy).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains("proxy"), "{said}");
        assert!(!said.contains("pa55w0rd"), "{said}");
    }
    assert!(world.emulator.record().is_empty());
}
