// SPDX-License-Identifier: Apache-2.0
//! Names that a terminal would act on: whatever a command tells of them, on standard output or standard error, is harmless.

use crate::world::{Api, Ran, World, by_both, ended};
use storescope_emulator::{Action, Fault};

/// Escapes that clear a screen and set its title, a bell, an override and an isolate of direction, a CSI of one byte,
/// ends of lines that are none, and bytes that are no UTF-8, percent-coded.
const EVIL: &str =
    "e\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}gpj\u{2066}\u{9b}31m\u{85}\u{2028}\u{feff}%1B%FF%0A";

/// OCI takes neither of these in a name, S3 does.
const LINES: &str = "\r\nstorescope: all is well\n";

fn evil(world: &World) -> String {
    match world.api {
        Api::Oci => EVIL.to_owned(),
        Api::S3 => format!("{EVIL}{LINES}"),
    }
}

fn is_harmless(what: &str, ran: &Ran) {
    for (stream, text) in [("stdout", &ran.out), ("stderr", &ran.err)] {
        let bad = |c: char| {
            c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{2028}\u{feff}".contains(c))
        };
        if let Some(bad) = text.chars().find(|c| bad(*c)) {
            panic!("{what}: {bad:?} on {stream}: {text:?}");
        }
        // An end of line in a name begins no line.
        let forged = text.lines().find(|line| line.starts_with("storescope: all is well"));
        assert_eq!(forged, None, "{what}: {stream}: {text:?}");
        // What is percent-coded in a name is not decoded.
        assert!(!text.contains('\u{fffd}'), "{what}: {stream}: {text:?}");
    }
}

#[test]
fn no_command_tells_a_name_as_it_is() {
    by_both(|world| {
        let evil = evil(&world);
        for folder in ["t/", "u/", "v/"] {
            world.literal(&format!("{folder}{evil}"), "x");
            world.literal(&format!("{folder}{evil}/below"), "x");
        }
        let url = |key: &str| world.url(key);
        let (named, missing) = (url(&format!("t/{evil}")), url(&format!("missing/{evil}")));
        let other = world.url_in("other", "t/");
        let commands: Vec<Vec<&str>> = vec![
            vec!["ls", "TOP"],
            vec!["ls", "-l", "TOP"],
            vec!["ls", "-r", "TOP"],
            vec!["ls", "-r", "--json", "TOP"],
            vec!["ls", &missing],
            vec!["du", "TOP"],
            vec!["du", "--json", &named],
            vec!["stat", &named],
            vec!["stat", "--json", &named],
            vec!["stat", &missing],
            vec!["cat", &missing],
            vec!["cp", "-r", "--dry-run", "TOP", &other],
            vec!["cp", "-r", "-v", "--progress", "plain", "TOP", &other],
            vec!["cp", "-r", "-v", "TOP", &other],
            vec!["cp", "-r", "-v", "TOP", "down"],
            vec!["cp", "-r", "--json", "-v", "down", &other],
            vec!["cp", &missing, "x"],
            vec!["mv", &missing, &other],
            vec!["mv", "-r", "--dry-run", "TOP", &other],
            vec!["mv", "-r", "-v", "down", &other],
            vec!["sync", "--dry-run", "--delete", "TOP", &other],
            vec!["sync", "--delete", "-v", "TOP", &other],
            vec!["uploads", "TOP"],
            vec!["bench", &named, "--size", "1", "--count", "3", "--progress", "plain", "-v"],
            vec!["rm", "-r", "--dry-run", "TOP"],
            vec!["rm", &missing],
            vec!["rm", "-r", "-v", "--json", "TOP"],
        ];
        let top = url("t/");
        for command in commands {
            let args: Vec<&str> =
                command.iter().map(|arg| if *arg == "TOP" { top.as_str() } else { arg }).collect();
            is_harmless(&format!("{args:?}"), &world.run(&args));
        }
    });
}

#[test]
fn neither_do_errors_and_logs() {
    by_both(|world| {
        let evil = evil(&world);
        world.literal(&format!("t/{evil}"), "x");
        let named = world.url(&format!("t/{evil}"));
        for action in [
            Action::Reset,
            Action::Status {
                status: 503,
                code: Some(format!("Bad{EVIL}")),
                message: Some(format!("said {EVIL}{LINES}")),
                retry_after: None,
            },
            Action::Status {
                status: 403,
                code: None,
                message: Some(EVIL.to_owned()),
                retry_after: None,
            },
        ] {
            let fault = world.emulator.fault(Fault::new(action));
            for args in [
                vec!["cat", "-v", &named],
                vec!["stat", "-v", &named],
                vec!["cp", "-v", &named, "down"],
                vec!["rm", "-v", &named],
                vec!["ls", "-v", &named],
            ] {
                let mut command = world.command(&args);
                command.env("STORESCOPE_ATTEMPTS", "2").env("STORESCOPE_BACKOFF_CAP", "1ms");
                let ran = ended(command.spawn().unwrap());
                assert_ne!(ran.code, Some(0), "{args:?}: {ran:?}");
                assert!(!ran.err.is_empty(), "{args:?}");
                is_harmless(&format!("{args:?}"), &ran);
            }
            world.emulator.admin().remove_fault(fault);
        }
    });
}

#[test]
fn a_trace_and_a_report_of_such_names_are_harmless() {
    const MARKUP: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
    by_both(|world| {
        let evil = format!("{}{MARKUP}", evil(&world));
        world.literal(&format!("t/{evil}"), &"x".repeat(9_000));
        let args = [
            "bench",
            &world.url("t/"),
            "--size",
            "1KiB",
            "--count",
            "20",
            "--trace-out",
            "it.trace",
            "--out",
            "run",
        ];
        is_harmless("bench", &world.run(&args).well());
        for args in [&["trace", "it.trace"][..], &["trace", "it.trace", "--json"]] {
            is_harmless("trace", &world.run(args).well());
        }
        let reported = world.run(&["report", "run", "--out", "page.html"]).well();
        is_harmless("report", &reported);
        let page = String::from_utf8(world.read("page.html")).unwrap();
        assert!(!page.contains("alert(1)</script>") && !page.contains("<img src=x"), "{page}");
        for c in ['\u{1b}', '\u{202e}', '\u{2066}', '\u{9b}'] {
            assert!(!page.contains(c), "{c:?} in the page");
        }
    });
}
