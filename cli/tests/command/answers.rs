// SPDX-License-Identifier: Apache-2.0
//! Servers that answer what nobody asked for: a portal's page to everything, names outside the prefix, half a listing.
//! Nothing is removed, nothing is taken for done, and the exit code says so.

use crate::world::{Api, Ran, World, ended};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A world whose commands talk to a server that answers by `answer`, given method and target. And what it was asked.
struct Elsewhere {
    world: World,
    endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Elsewhere {
    fn new(
        api: Api,
        answer: impl Fn(&str, &str) -> (&'static str, String) + Send + Sync + 'static,
    ) -> Elsewhere {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (noting, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (noting, answer) = (Arc::clone(&noting), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &noting, &*answer));
            }
        });
        Elsewhere { world: World::new(api), endpoint, seen }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.world.command(args);
        command.env("STORESCOPE_ENDPOINT", &self.endpoint);
        ended(command.env("STORESCOPE_REGION", "us-ashburn-1").spawn().unwrap())
    }

    fn was_asked(&self, part: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|asked| asked.contains(part))
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str, &str) -> (&'static str, String) + Send + Sync),
) {
    while let Some((method, target)) = request(&mut stream) {
        seen.lock().unwrap().push(format!("{method} {target}"));
        let (headers, body) = answer(&method, &target);
        let mut told =
            format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
        if method != "HEAD" {
            told += &body;
        }
        if stream.write_all(told.as_bytes()).is_err() {
            return;
        }
    }
}

/// Method and target of a request that was read to its end.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    Some((words.next()?.to_uppercase(), words.next()?.to_owned()))
}

fn portal(api: Api) -> Elsewhere {
    Elsewhere::new(api, |_, _| {
        ("content-type: text/html\r\n", "<html><body>Please log in</body></html>".to_owned())
    })
}

#[test]
fn a_portals_page_is_no_answer_to_any_command() {
    for api in [Api::Oci, Api::S3] {
        let at = portal(api);
        let url = |key: &str| at.world.url(key);
        let (file, tree) =
            (at.world.file("file", b"precious"), at.world.file("tree/a", b"precious"));
        let tree = tree.strip_suffix("/a").unwrap();
        for args in [
            &["mv", &file, &url("file")][..],
            &["mv", "-r", tree, &url("tree/")],
            &["mv", &url("a"), &url("b")],
            &["mv", &url("a"), "down"],
            &["cp", &file, &url("file")],
            &["cp", &url("a"), &url("b")],
            &["cp", &url("a"), "down"],
            &["cp", "-r", &url("d/"), "down"],
            &["cat", &url("a")],
            &["cat", &url("a"), "--range", "0-9"],
            &["stat", &url("a")],
            &["ls", &url("")],
            &["rm", &url("a")],
            &["rm", "-r", &url("d/")],
            &["rm", &url("a"), &url("b")],
            &["mb", &url("")],
            &["rb", &url("")],
            &["uploads", &url("")],
        ] {
            let ran = at.run(args);
            assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
            assert!(ran.err.contains("not an object store's answer"), "{args:?}: {ran:?}");
            assert!(!ran.out.contains("<html>"), "{args:?}: {ran:?}");
        }
        assert_eq!(at.world.read("file"), b"precious");
        assert_eq!(at.world.read("tree/a"), b"precious");
        assert!(!at.world.path("down").exists());
    }
}

fn objects(api: Api, names: &[&str]) -> String {
    match api {
        Api::Oci => {
            let objects: Vec<_> = names
                .iter()
                .map(|name| serde_json::json!({ "name": name, "size": 5, "etag": "e" }))
                .collect();
            serde_json::json!({ "objects": objects }).to_string()
        }
        Api::S3 => {
            let objects = names.iter().fold(String::new(), |objects, name| {
                format!("{objects}<Contents><Key>{name}</Key><Size>5</Size></Contents>")
            });
            format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>"
            )
        }
    }
}

fn is_list(target: &str) -> bool {
    target.contains("list-type") || target.contains("/o?")
}

#[test]
fn names_outside_the_prefix_are_neither_removed_nor_copied() {
    for api in [Api::Oci, Api::S3] {
        for names in [&["x", "zzz/other.txt"][..], &["\u{e9}"], &["longprefix/a", "x"]] {
            let page = objects(api, names);
            let at = Elsewhere::new(api, move |_, target| {
                if is_list(target) {
                    ("", page.clone())
                } else {
                    ("etag: \"e\"\r\n", "hello".to_owned())
                }
            });
            let (below, deep) = (at.world.url("longprefix/"), at.world.url("longprefix/dir"));
            for args in [
                &["rm", "-r", &below][..],
                &["rm", "-r", &below, "--dry-run"],
                &["cp", "-r", &deep, "out"],
                &["cp", "-r", &below, "out"],
                &["mv", "-r", &below, "out"],
                &["cp", "-r", &below, &at.world.url("copies/")],
                &["ls", "-r", &below],
            ] {
                at.run(args).ended(1, "does not begin so");
            }
            for sent in ["DELETE ", "delete", "batchdelete", "PUT "] {
                assert!(!at.was_asked(sent), "{sent}: {:?}", at.seen.lock().unwrap());
            }
            assert!(!at.world.path("out").exists());
        }
    }
}

#[test]
fn half_a_listing_is_no_listing() {
    let page = objects(Api::S3, &["k"]).replace("false", "true");
    let at = Elsewhere::new(Api::S3, move |_, target| {
        if is_list(target) { ("", page.clone()) } else { ("etag: \"e\"\r\n", "hello".to_owned()) }
    });
    let bucket = at.world.url("");
    for args in [
        &["ls", &bucket][..],
        &["ls", "-r", &bucket],
        &["cp", "-r", &bucket, "out"],
        &["rm", "-r", "--yes", &bucket],
    ] {
        at.run(args).ended(1, "lacks the next page's token");
    }
    assert!(!at.was_asked("DELETE ") && !at.was_asked("POST "));
}
