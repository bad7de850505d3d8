// SPDX-License-Identifier: Apache-2.0
//! Patterns in names, `--include` and `--exclude`, and what `du` counts.

use crate::world::{World, by_both};

/// Objects of these names, each with its name for bytes.
fn filled(world: &World, names: &[&str]) {
    for name in names {
        world.literal(name, name);
    }
}

fn lines(world: &World, args: &[&str]) -> Vec<String> {
    world.run(args).well().out.lines().map(str::to_owned).collect()
}

const PARTS: [&str; 7] = [
    "2025/11/part-1.parquet",
    "2026/10/part-1.parquet",
    "2026/10/part-10.parquet",
    "2026/11/part-1.parquet",
    "2026/11/part-2.csv",
    "2026/11/x/part-1.parquet",
    "2026/part-1.parquet",
];

#[test]
fn ls_shows_what_matches() {
    by_both(|world| {
        filled(&world, &PARTS);
        let ls = |pattern: &str| lines(&world, &["ls", &world.url(pattern)]);
        assert_eq!(
            ls("2026/*/part-?.parquet"),
            ["2026/10/part-1.parquet", "2026/11/part-1.parquet"]
        );
        assert_eq!(ls("20*"), ["2025/", "2026/"]);
        assert_eq!(ls("2026/*"), ["2026/10/", "2026/11/", "2026/part-1.parquet"]);
        assert_eq!(ls("*/11"), ["2025/11/", "2026/11/"]);
        assert_eq!(ls("2026/1[1-9]/part-*"), ["2026/11/part-1.parquet", "2026/11/part-2.csv"]);
        let deep = ls("2026/**/part-1.parquet");
        assert_eq!(deep.len(), 4, "{deep:?}");
        let below = lines(&world, &["ls", "-r", &world.url("2026/*1")]);
        assert_eq!(below.len(), 3, "{below:?}");
        world.run(&["ls", &world.url("2027/*")]).ended(3, "no name matches");
        world.run(&["ls", &world.url("2026/*[")]).ended(2, "--raw");
        let json = world.run(&["ls", "--json", &world.url("20*")]).well().json();
        assert_eq!(json[0]["prefix"], "2025/");
    });
}

#[test]
fn a_listing_asks_for_what_stands_before_the_first_wildcard() {
    by_both(|world| {
        filled(&world, &PARTS);
        world.emulator.admin().clear_record();
        world.run(&["ls", &world.url("2026/1*/part-?.parquet")]).well();
        let asked: Vec<_> =
            world.emulator.record().iter().map(|line| line.target.clone()).collect();
        let listings: Vec<_> = asked.iter().filter(|target| target.contains("prefix=")).collect();
        assert!(!listings.is_empty(), "{asked:?}");
        for target in listings {
            assert!(
                target.contains("prefix=2026%2F1") || target.contains("prefix=2026/1"),
                "{target}"
            );
        }
    });
}

#[test]
fn cat_and_stat_take_patterns() {
    by_both(|world| {
        filled(&world, &["log/1", "log/2", "log/x/3", "log2"]);
        assert_eq!(world.cat("log/*"), "log/1log/2");
        let stat = world.run(&["stat", "--json", &world.url("log/?")]).well().json();
        assert_eq!((stat.len(), &stat[1]["name"]), (2, &"log/2".into()));
        world.run(&["cat", &world.url("lag*")]).ended(3, "no name matches");
    });
}

#[test]
fn copies_keep_their_names_from_the_first_wildcard_on() {
    by_both(|world| {
        filled(&world, &PARTS);
        let ran = world.run(&["cp", "--json", &world.url("2026/*/part-1.*"), "down/"]).well();
        assert_eq!(ran.sum("copied"), (2, 0, 0));
        assert_eq!(world.read("down/11/part-1.parquet"), b"2026/11/part-1.parquet");
        let again = world.run(&["cp", "--json", &world.url("2026/*/part-1.*"), "down/"]).well();
        assert_eq!(again.sum("copied"), (0, 2, 0));
        // With -r, a folder that matches comes whole.
        let ran = world.run(&["cp", "-r", "--json", &world.url("2026/1*"), "all"]).well();
        assert_eq!(ran.sum("copied"), (5, 0, 0));
        assert_eq!(world.read("all/11/x/part-1.parquet"), b"2026/11/x/part-1.parquet");
        world.run(&["cp", &world.url("2026/*"), "new"]).ended(2, "need a folder");
        world.run(&["cp", &world.url("2027/*"), "down/"]).ended(3, "no name matches");

        let other = world.url_in("other", "to/");
        let ran = world.run(&["cp", "--json", &world.url("*/11/*.parquet"), &other]).well();
        assert_eq!(ran.sum("copied"), (2, 0, 0));
        let there = lines(&world, &["ls", "-r", &world.url_in("other", "")]);
        assert_eq!(there, ["to/2025/11/part-1.parquet", "to/2026/11/part-1.parquet"]);
        // Moves within the bucket, out of what the pattern matches.
        let ran =
            world.run(&["mv", "--json", &world.url("2026/10/*"), &world.url("2026/10/done/")]);
        assert_eq!(ran.well().sum("moved"), (2, 0, 0));
        assert_eq!(world.cat("2026/10/done/part-10.parquet"), "2026/10/part-10.parquet");
        let ran = world.run(&["cp", "-r", "--json", &world.url("2026/1*"), &world.url("2026/1x/")]);
        assert_eq!(ran.sum("copied").0, 0);
        ran.ended(1, "among those that are being copied");
    });
}

#[test]
fn two_sources_with_one_target_are_seen_in_patterns_and_not_where_filters_leave_one_out() {
    by_both(|world| {
        filled(&world, &["x/a.csv", "x/b.csv", "y/a.csv", "y/c.log"]);
        let to = world.url_in("other", "to/");
        let (x, y) = (world.url("x/*.csv"), world.url("y/*"));
        for args in [&["mv", &x, &y, &to][..], &["mv", "--dry-run", &x, &y, &to]] {
            let ran = world.run(args).ended(2, "x/a.csv");
            assert!(ran.err.contains("y/a.csv"), "{ran:?}");
        }
        world.run(&["cp", &x, &world.url("y/a.csv"), &to]).ended(2, "would both become");
        world.run(&["cp", &x, &x, &to]).ended(2, "x/a.csv");
        assert_eq!(world.names().len(), 4);
        assert_eq!(world.run(&["ls", &world.url_in("other", "")]).well().out, "");
        let ran = world.run(&["mv", "--json", &x, &y, &to, "--exclude", "a.csv"]).well();
        assert_eq!(ran.sum("moved"), (2, 0, 0));
        let trees = ["cp", "-r", &world.url("x"), &world.url("y"), &to, "--json"];
        world.run(&[&trees[..], &["--include", "a.*"]].concat()).well();
        // Another source's names are not written to while they are read.
        world.object("x/d.csv", b"d");
        let (names, sub) = (world.url("*/a.csv"), world.url("x/"));
        let ran = world.run(&["mv", "--json", &world.url("y/*"), &names, &sub]);
        assert_eq!(ran.sum("moved"), (2, 0, 1));
        ran.ended(1, "among those that are being copied");
        assert_eq!(world.cat("x/x/a.csv"), "x/a.csv");
        assert_eq!(world.cat("x/y/a.csv"), "y/a.csv");
    });
}

#[test]
fn rm_removes_what_matches_and_nothing_else() {
    by_both(|world| {
        filled(&world, &["a/1.csv", "a/2.csv", "a/2.log", "a/x/3.csv", "a1", "b/1.csv"]);
        let dry = lines(&world, &["rm", "--dry-run", &world.url("a/*.csv")]);
        assert_eq!(dry, [world.url("a/1.csv"), world.url("a/2.csv")]);
        assert_eq!(world.names().len(), 6);
        let ran = world.run(&["rm", "--json", &world.url("a/*.csv")]).well();
        assert_eq!(ran.sum("removed"), (2, 0, 0));
        assert_eq!(world.names(), ["a/2.log", "a/x/3.csv", "a1", "b/1.csv"]);
        // What begins with a wildcard may be all there is.
        for all in ["*", "**", "**/*.csv", "?*"] {
            world.run(&["rm", &world.url(all)]).ended(2, "--yes");
        }
        world.run(&["rm", &world.url("x*")]).ended(3, "no name matches");
        world.object("z", b"z");
        world.run(&["rm", &world.url("x*"), &world.url("z")]).ended(1, "no name matches");
        world.run(&["rm", &world.url("a/*[")]).ended(2, "--raw");
        assert_eq!(world.names().len(), 4);
        // Without -r folders are not meant, with it they are.
        world.run(&["rm", &world.url("a*")]).well();
        assert_eq!(world.names(), ["a/2.log", "a/x/3.csv", "b/1.csv"]);
        world.run(&["rm", "-r", &world.url("a*")]).well();
        assert_eq!(world.names(), ["b/1.csv"]);
        world.run(&["rm", "--yes", &world.url("**")]).well();
        assert!(world.names().is_empty());
    });
}

#[test]
fn a_name_with_wildcards_stays_within_reach_and_is_not_guessed_at() {
    by_both(|world| {
        let names = ["a*", "ab", "report1.pdf", "report[1].pdf", "t?/x", "t?y", "tz/x", "w?"];
        filled(&world, &names);
        // A bracket that does not close is a character.
        world.literal("b[1", "b[1");
        assert_eq!(world.cat("b[1"), "b[1");
        world.run(&["rm", &world.url("b[1")]).well();
        // Something else matches: neither is removed, moved or copied.
        for (args, name) in [
            (&["rm"][..], "a*"),
            (&["rm"][..], "report[1].pdf"),
            (&["rm", "-r"][..], "t?/"),
            (&["rm", "-r"][..], "t?"),
            (&["cat"][..], "report[1].pdf"),
            (&["stat"][..], "a*"),
        ] {
            let url = world.url(name);
            world.run(&[args, &[&url]].concat()).ended(2, "--raw");
        }
        world.run(&["mv", &world.url("a*"), &world.url("to/")]).ended(2, "--raw");
        world.run(&["cp", &world.url("report[1].pdf"), "./"]).ended(2, "--raw");
        // Nor does one that is clear go ahead of one that is not.
        world.run(&["rm", &world.url("ab"), &world.url("a*")]).ended(2, "--raw");
        assert_eq!(world.names(), names);
        // Where nothing else matches, the name is meant.
        assert_eq!(world.cat("w?"), "w?");
        world.run(&["rm", &world.url("w?")]).well();
        world.run(&["cp", "--raw", &world.url("report[1].pdf"), "down.pdf"]).well();
        assert_eq!(world.read("down.pdf"), b"report[1].pdf");
        assert_eq!(world.run(&["cat", "--raw", &world.url("a*")]).well().out, "a*");
        world.run(&["rm", "--raw", &world.url("a*")]).well();
        world.run(&["rm", "-r", "--literal", &world.url("t?")]).well();
        assert_eq!(world.names(), ["ab", "report1.pdf", "report[1].pdf", "t?y", "tz/x"]);
        // As itself in a pattern.
        world.run(&["rm", &world.url("report[[]?].pdf"), &world.url("t[?]*")]).well();
        assert_eq!(world.names(), ["ab", "report1.pdf", "tz/x"]);
        // A target is never a pattern.
        world.file("file", b"x");
        world.run(&["cp", "file", &world.url("a*")]).well();
        assert_eq!(world.names(), ["a*", "ab", "report1.pdf", "tz/x"]);
    });
}

#[test]
fn filters_choose_among_names() {
    by_both(|world| {
        for name in ["t/a.csv", "t/b.log", "t/tmp/c.csv", "t/tmp/deep/d.csv", "t/x/tmp"] {
            world.file(name, name.as_bytes());
        }
        let csv = ["--include", "*.csv", "--exclude", "/tmp/"];
        let up = world.url("up");
        let args = [&["cp", "-r", "t", &up, "--json"][..], &csv].concat();
        assert_eq!(world.run(&args).well().sum("copied"), (1, 0, 0));
        assert_eq!(world.names(), ["up/a.csv"]);
        world.run(&["cp", "-r", "t", &up]).well();
        let ls = lines(&world, &["ls", "-r", &world.url("up/"), "--exclude", "tmp"]);
        assert_eq!(ls, ["up/a.csv", "up/b.log"]);
        let ls = lines(&world, &["ls", &world.url("up/"), "--exclude", "*.log"]);
        assert_eq!(ls, ["up/a.csv", "up/tmp/", "up/x/"]);
        let down = [&["cp", "-r", &up, "down", "--json"][..], &csv].concat();
        assert_eq!(world.run(&down).well().sum("copied"), (1, 0, 0));
        let other = world.url_in("other", "");
        let across = ["cp", "-r", &up, &other, "--json", "--exclude", "*", "--include", "*.log"];
        assert_eq!(world.run(&across).well().sum("copied"), (1, 0, 0));
        let dry = lines(&world, &["rm", "-r", &up, "--dry-run", "--exclude", "tmp/*"]);
        assert_eq!(dry.len(), 3, "{dry:?}");
        world.run(&["rm", "-r", &up, "--exclude", "tmp/*"]).well();
        assert_eq!(world.names(), ["up/tmp/c.csv", "up/tmp/deep/d.csv"]);
        // Of patterns, too, and of single names.
        world.run(&["rm", &world.url("up/tmp/*"), "--exclude", "*.csv"]).well();
        world.run(&["rm", &world.url("up/tmp/c.csv"), "--exclude", "*.csv"]).well();
        assert_eq!(world.names().len(), 2);
        world.run(&["mv", "-r", &up, &world.url("new"), "--exclude", "deep"]).well();
        assert_eq!(world.names(), ["new/tmp/c.csv", "up/tmp/deep/d.csv"]);
        world.run(&["rm", "-r", &up, "--exclude", "["]).ended(2, "is not a pattern");
    });
}

#[test]
fn du_counts_by_folder() {
    by_both(|world| {
        for (name, size) in
            [("a/1", 10), ("a/x/2", 1_250_000), ("a/x/y/3", 5), ("b", 1), ("c/4", 7)]
        {
            world.literal(name, &"x".repeat(size));
        }
        let rows = |args: &[&str]| -> Vec<(u64, u64, String)> {
            let ran = world.run(&[&["du", "--json"], args].concat()).well();
            let row = |line: &serde_json::Value| {
                let number = |name: &str| line[name].as_u64().unwrap();
                (number("bytes"), number("objects"), line["url"].as_str().unwrap().to_owned())
            };
            ran.json().iter().map(row).collect()
        };
        let whole = (1_250_023, 5, world.url(""));
        let a = (1_250_015, 3, world.url("a/"));
        assert_eq!(rows(&[&world.url("")]), [a.clone(), (7, 1, world.url("c/")), whole.clone()]);
        assert_eq!(rows(&["-s", &world.url("")]), std::slice::from_ref(&whole));
        let deep = rows(&["--depth", "2", &world.url("")]);
        assert_eq!(deep[1], (1_250_005, 2, world.url("a/x/")));
        assert_eq!(rows(&["-s", &world.url("a"), &world.url("b")])[1], (1, 1, world.url("b")));
        assert_eq!(rows(&["-s", &world.url("[ab]")]), [(1_250_016, 4, world.url("[ab]"))]);
        assert_eq!(rows(&["-s", &world.url(""), "--exclude", "x"]), [(18, 3, world.url(""))]);
        let human = world.run(&["du", "-s", "-H", &world.url("")]).well().out;
        assert!(human.contains("1.3 MB") || human.contains("1.2 MB"), "{human}");
        world.run(&["du", &world.url("nothing")]).ended(3, "not found");
        world.run(&["du", &world.url_in("missing", "")]).ended(3, "bucket");
    });
}
