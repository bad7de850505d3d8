// SPDX-License-Identifier: Apache-2.0
//! `bench`: processes and workers, workload files, replays, rules, the view on a terminal, pages.

use crate::world::{Api, Ran, World, ended, signal, until};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use storescope::timing::{Distribution, Phase};
use storescope_emulator::{Action, Emulator, Fault};
use storescope_instrument::Run;
use storescope_model::Model;

/// A world with one object below `in/`, whose store answers after so long.
fn stocked(ttfb: &str) -> World {
    let model = Model::from_toml(&format!("name = \"slow\"\nttfb = \"{ttfb}\"\n")).unwrap();
    let world = World::on(Api::Oci, Emulator::builder().model(model));
    world.object("in/x", &vec![7; 100_000]);
    world
}

fn run_of(path: &Path) -> Run {
    Run::read(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Counts by the lower bound of their bucket.
fn buckets(all: impl IntoIterator<Item = Distribution>) -> BTreeMap<u64, u64> {
    let mut sum = BTreeMap::new();
    for times in all {
        times.buckets().for_each(|(low, _, count)| *sum.entry(low).or_insert(0) += count);
    }
    sum
}

/// `bench` of the object, with these arguments behind.
fn bench(world: &World, rest: &[&str]) -> Ran {
    let url = world.url("in/");
    world.run(&[&["bench", &url, "--size", "4KiB"][..], rest].concat())
}

/// Processes that this one has started and that have `part` in their command line.
fn children(parent: &Child, part: &str) -> Vec<String> {
    let table = Command::new("ps").args(["-A", "-o", "pid=,ppid=,args="]).output().unwrap();
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, of) = (words.next()?.to_owned(), words.next()?);
        (of == parent.id().to_string() && line.contains(part)).then_some(pid)
    };
    table.lines().filter_map(of).collect()
}

/// Gets that the emulator has recorded.
fn gets(world: &World) -> usize {
    world.emulator.record().iter().filter(|line| line.range.is_some()).count()
}

#[test]
fn the_sum_of_processes_is_that_of_their_parts_bucket_for_bucket() {
    let world = stocked("1ms");
    world.emulator.admin().clear_record();
    let args = ["--processes", "4", "--count", "402", "--warmup", "8", "--keep-parts"];
    let ran = bench(&world, &[&args[..], &["--out", "run"]].concat()).well();
    assert!(ran.out.contains("402 requests, 0 retries"), "{ran:?}");
    assert_eq!(gets(&world), 402 + 8, "the shares of count and warm-up add up");
    let sum = run_of(&world.path("run"));
    let parts: Vec<_> =
        (1..=4).map(|part| run_of(&world.path(&format!("run/part-{part}")))).collect();
    let counts: Vec<_> = parts.iter().map(|part| part.sum().response().count()).collect();
    assert_eq!((counts, sum.about.processes), (vec![101, 101, 100, 100], 4));
    let same = |what: &str, of: &dyn Fn(&Run) -> Distribution| {
        let (sum, parts) = (buckets([of(&sum)]), buckets(parts.iter().map(of)));
        assert_eq!(sum.values().sum::<u64>(), 402, "{what}");
        assert_eq!(sum, parts, "{what}");
    };
    same("response", &|run| run.sum().response());
    same("service", &|run| run.sum().service());
    for phase in [Phase::Ttfb, Phase::Total] {
        same(&phase.to_string(), &|run| run.sum().times(phase).unwrap());
    }
    assert!(!world.path("run/part-1/report.html").exists(), "one page, of the sum");
    assert_eq!(buckets([run_of(&world.path("run/report.html")).sum().response()]).len() > 1, true);
}

#[test]
fn an_interrupt_reaches_all_processes() {
    let world = stocked("2ms");
    let url = world.url("out");
    let args = ["bench", &url, "--op", "put", "--size", "1KiB", "--duration", "60s"];
    let rest = ["--processes", "2", "--out", "run", "--keep-parts"];
    let child = world.command(&[&args[..], &rest].concat()).spawn().unwrap();
    until("writes that are measured", || world.emulator.record().len() > 64 + 200);
    signal(&child, "INT");
    let ran = ended(child).ended(130, "interrupted");
    assert!(ran.out.contains(" writes/s"), "{ran:?}");
    let sum = run_of(&world.path("run"));
    let parts = ["run/part-1", "run/part-2"].map(|part| run_of(&world.path(part)));
    let counts = parts.iter().map(|part| part.sum().response().count());
    assert!(counts.clone().all(|count| count > 0));
    assert_eq!(sum.sum().response().count(), counts.sum::<u64>());
    assert!(sum.about.notes.iter().any(|note| note.contains("interrupted")), "{:?}", sum.about);
    assert!(world.names().is_empty(), "what was written is removed");
}

#[test]
fn a_process_that_fails_is_told_and_what_the_others_did_is_kept() {
    let world = stocked("2ms");
    let url = world.url("in/");
    let args = ["bench", &url, "--processes", "2", "--duration", "60s", "--out", "run"];
    let child = world.command(&args).spawn().unwrap();
    until("reads that are measured", || gets(&world) > 64 + 200);
    let [second] = &children(&child, "--led=2/2")[..] else { panic!("one second process") };
    let killed = Command::new("sh").args(["-c", &format!("kill -KILL {second}")]).status();
    assert!(killed.unwrap().success());
    let ran = ended(child).ended(1, "process 2/2 failed: it ended with signal: 9");
    assert!(ran.out.contains("note: the parts of 1 of 2 processes"), "{ran:?}");
    let run = run_of(&world.path("run"));
    assert!(run.sum().response().count() > 0);

    // All of them fail: nothing was measured, and why is told.
    let none = world.url("none/");
    let ran = world.run(&["bench", &none, "--processes", "2", "--count", "4"]);
    let ran = ran.ended(1, "failed: ");
    assert!(ran.err.contains("process 1/2: ") && ran.err.contains("none/"), "{ran:?}");
}

#[test]
fn what_processes_cannot_share_is_refused() {
    let world = stocked("1ms");
    world.emulator.admin().clear_record();
    for (args, told) in [
        (&["--processes", "4", "--concurrency", "2"][..], "each needs at least 1"),
        (&["--processes", "4", "--count", "3"], "each needs at least 1"),
        (&["--processes", "2", "--worker", "1/2"], "--worker"),
        (&["--processes", "2", "--out", "d", "--requests"], "--keep-parts"),
        (&["--processes", "2", "--out", "x.html", "--keep-parts"], "need a folder"),
        (&["--out", "x.html", "--requests"], "need a folder"),
        (&["--worker", "0/2"], "such as 2/4"),
        (&["--worker", "3/2"], "such as 2/4"),
        (&["--start-at", "2020-01-01T00:00:00Z"], "ago by this host's clock: give a later time"),
        (&["--start-at", "noon"], "or +10s"),
    ] {
        bench(&world, args).ended(2, told);
    }
    assert!(world.emulator.record().is_empty());
}

#[test]
fn workers_of_two_hosts_begin_together_and_are_merged() {
    let world = stocked("1ms");
    let url = world.url("in/");
    world.emulator.admin().clear_record();
    let begun = Instant::now();
    let worker = |worker: &str, out: &str| {
        let args = ["bench", &url, "--size", "4KiB", "--rate", "100", "--duration", "1s"];
        let rest = ["--warmup", "0", "--start-at", "+1s", "--worker", worker, "--out", out];
        world.command(&[&args[..], &rest].concat()).spawn().unwrap()
    };
    let (one, two) = (worker("1/2", "one"), worker("2/2", "two"));
    ended(one).well();
    ended(two).well();
    assert!(begun.elapsed() >= Duration::from_secs(2), "a second each, of waiting and measuring");
    world.run(&["merge", "one", "two", "--out", "all"]).well();
    let [all, one, two] = ["all", "one", "two"].map(|run| run_of(&world.path(run)));
    assert_eq!([&one, &two].map(|run| run.sum().response().count()), [50, 50]);
    assert_eq!(buckets([all.sum().response()]), buckets([one, two].map(|r| r.sum().response())));
    assert_eq!(all.cells[0].setup.rate, Some(100.0), "{}", all.cells[0].setup);
    assert_eq!(gets(&world), 100);
}

const TOML: &str = r#"
[prepare]
objects = 10
sizes = [{ size = "4KiB", weight = 9 }, { size = "64KiB", weight = 1 }]

[[stage]]
mix = { get = 70, put = 20, list = 10 }
size = "4KiB"
concurrency = 2
warmup = 0
count = 100

[[stage]]
mix = { get = 1 }
size = ["1KiB", "2KiB"]
rate = 200
arrivals = "poisson"
warmup = 5
count = 20
"#;

const YAML: &str = r#"
prepare:
  objects: 10
  sizes:
    - { size: 4KiB, weight: 9 }
    - { size: 64KiB, weight: 1 }
stages:
  - mix: { get: 70, put: 20, list: 10 }
    size: 4KiB
    concurrency: 2
    warmup: 0
    count: 100
  - mix: { get: 1 }
    size: [1KiB, 2KiB]
    rate: 200
    arrivals: poisson
    warmup: 5
    count: 20
"#;

#[test]
fn a_workload_file_is_its_stages_one_after_another() {
    for (name, text) in [("w.toml", TOML), ("w.yaml", YAML), ("toml-too", TOML), ("yaml", YAML)] {
        let world = World::new(Api::Oci);
        let file = world.file(name, text.as_bytes());
        let url = world.url("out/");
        let args = ["bench", &url, "--config", &file, "--out", "run"];
        let ran = world.run(&args).well();
        assert!(ran.out.contains("3 cells"), "{ran:?}");
        let run = run_of(&world.path("run"));
        let told: Vec<_> =
            run.cells.iter().map(|cell| (cell.setup.size, cell.setup.rate)).collect();
        let expected =
            [(Some(4_096), None), (Some(1_024), Some(200.0)), (Some(2_048), Some(200.0))];
        assert_eq!(told, expected, "{name}");
        let calls = run.cells[0].calls.iter().map(|(op, calls)| (op.as_str(), calls.count));
        assert_eq!(calls.collect::<Vec<_>>(), [("get", 70), ("list", 10), ("put", 20)], "{name}");
        assert!(run.cells[1..].iter().all(|cell| cell.calls["get"].count == 20), "{name}");
        let record = world.emulator.record();
        let puts = |size| record.iter().filter(|l| l.method == "PUT" && l.bytes_in == size).count();
        assert_eq!((puts(4_096), puts(65_536)), (9 + 20, 1), "{name}: those prepared, and written");
        assert!(world.names().is_empty(), "{name}: all of it is removed");
        // What the command line says goes over it.
        let run = world.run(&[&args[..4], &["--count", "30", "--json"]].concat()).well().json();
        assert_eq!(run[0]["cells"][1]["calls"]["get"]["count"], 30, "{name}");
    }
}

#[test]
fn a_workload_file_that_is_wrong_says_where() {
    let world = World::new(Api::Oci);
    let url = world.url("out/");
    for (name, text, told) in [
        ("a.toml", "[[stage]]\nmix = { get = 1 }\nsizee = \"4KiB\"\n", &["a.toml:3: ", "`sizee`"]),
        ("a.yaml", "stages:\n  - mix: { get: 1 }\n    sizee: 4KiB\n", &["a.yaml:3: ", "`sizee`"]),
        ("b.toml", "[prepare]\nobjects = 3\nsizes = 4\n[[stage]]\n", &["b.toml:3: ", ""]),
        ("c.toml", "[[stage]]\nsize = \"many\"\n", &["c.toml:2: ", "many"]),
        ("d.toml", "[[stage]]\nmix = { fetch = 1 }\n", &["d.toml:2: ", "fetch"]),
        ("e.toml", "[[stage]]\ncount = 3\nduration = \"1s\"\n", &["e.toml: stage 1: ", "`count`"]),
        ("f.toml", "url = \"s3://x/\"\n", &["f.toml", "stage"]),
        ("g.yaml", "stages: []\n", &["g.yaml: ", "no stage"]),
        ("h.toml", "", &["h.toml", "stage"]),
    ] {
        let file = world.file(name, text.as_bytes());
        let ran = world.run(&["bench", &url, "--config", &file]).ended(2, told[0]);
        assert!(ran.err.contains(told[1]), "{told:?} in {ran:?}");
    }
    world.run(&["bench", &url, "--config", "nowhere.toml"]).ended(2, "cannot read nowhere.toml");
    let file = world.file("i.toml", b"[[stage]]\ncount = 3\n");
    world.run(&["bench", "--config", &file]).ended(2, "names no url");
    assert!(world.emulator.record().is_empty());
}

/// A CSV of reads, so many milliseconds apart.
fn csv(world: &World, apart: u64, reads: u64) -> String {
    let mut text = "time_ms,key,offset,length\n".to_owned();
    for read in 0..reads {
        writeln!(text, "{},x,{},100", 5_000 + read * apart, read * 100).unwrap();
    }
    world.file("reads.csv", text.as_bytes())
}

/// When the emulator saw ranges, in milliseconds after the first one.
fn seen(world: &World) -> (Vec<String>, f64) {
    let record = world.emulator.record();
    let reads: Vec<_> = record.iter().filter(|line| line.range.is_some()).collect();
    let first = reads.iter().map(|line| line.head_read_ns).min().unwrap();
    let last = reads.iter().map(|line| line.head_read_ns).max().unwrap();
    let ranges = reads.iter().map(|line| line.range.clone().unwrap()).collect();
    (ranges, (last - first) as f64 / 1e6)
}

#[test]
fn a_trace_is_replayed_at_its_times_faster_and_without_them() {
    let world = stocked("1ms");
    let (file, url) = (csv(&world, 40, 26), world.url("in/"));
    let expected: Vec<_> =
        (0..26).map(|at| format!("bytes={}-{}", at * 100, at * 100 + 99)).collect();
    for (rest, span) in [
        (&[][..], 1_000.0..1_300.0),
        (&["--speed", "4"], 250.0..500.0),
        (&["--as-fast-as-it-goes", "--concurrency", "1"], 26.0..240.0),
    ] {
        world.emulator.admin().clear_record();
        let args = ["bench", &url, "--trace", &file, "--out", "run"];
        world.run(&[&args[..], rest].concat()).well();
        let (ranges, took) = seen(&world);
        assert_eq!(ranges, expected, "{rest:?}");
        assert!(span.contains(&took), "{rest:?}: {took} ms");
        let run = run_of(&world.path("run"));
        assert_eq!(run.sum().calls["get"].count, 26, "{rest:?}");
        assert!(run.cells[0].setup.pattern.contains("reads.csv"), "{}", run.cells[0].setup);
    }
    assert_eq!(world.names(), ["in/x"]);
}

#[test]
fn what_a_command_did_is_replayed() {
    let world = stocked("1ms");
    let url = world.url("in/");
    bench(&world, &["--count", "40", "--warmup", "0", "--trace-out", "job.trace"]).well();
    let mut made = gets_by_range(&world);
    world.emulator.admin().clear_record();
    // Below the bucket: names of a capture are whole.
    let args = ["bench", &world.url(""), "--trace", "job.trace", "--as-fast-as-it-goes", "--json"];
    let run = world.run(&args).well().json();
    assert_eq!(run[0]["cells"][0]["calls"]["get"]["count"], 40, "{run:?}");
    let mut again = gets_by_range(&world);
    made.sort();
    again.sort();
    assert_eq!(made, again);
    // As the help has it: in an emulator, which is given what the trace reads.
    let args = ["bench", "--trace", "job.trace", "--emulator", "none"];
    let ran = world.run(&[&args[..], &["--speed", "4"]].concat()).well();
    assert!(ran.out.contains("40 requests, 0 retries"), "{ran:?}");
    // A program whose objects are not there any more.
    world.run(&["rm", &format!("{url}x")]).well();
    let args = ["bench", &world.url(""), "--trace", "job.trace"];
    let ran = world.run(&args).ended(2, "the trace reads what is not below");
    assert!(ran.err.contains("in/x") && ran.err.contains("--emulator"), "{ran:?}");
    // Writes are made, and removed; nothing that is there is replaced.
    let copied = ["cp", &world.file("f", &[1; 5_000]), &world.url("out/f")];
    world.run(&[&copied[..], &["--trace-out", "put.trace"]].concat()).well();
    let args = ["bench", &world.url(""), "--trace", "put.trace", "--json"];
    world.run(&args).ended(2, "the trace would replace what is below");
    let run = world.run(&["bench", &world.url("else/"), "--trace", "put.trace", "--json"]).well();
    assert_eq!(run.json()[0]["cells"][0]["calls"]["put"]["bytes"], 5_000, "{run:?}");
    assert_eq!(world.names(), ["out/f"]);
}

fn gets_by_range(world: &World) -> Vec<String> {
    let record = world.emulator.record();
    record.iter().filter_map(|line| line.range.clone()).collect()
}

#[test]
fn a_trace_that_cannot_be_replayed_says_why() {
    let world = stocked("1ms");
    world.emulator.admin().clear_record();
    let back = world.file("back.csv", b"time_ms,key,offset,length\n0,x,0,9\n20,x,9,9\n10,x,0,9\n");
    let empty = world.file("empty.csv", b"");
    let header = world.file("header.csv", b"time_ms,key,offset,length\n");
    let other = world.file("other.csv", b"<html>");
    let url = world.url("in/");
    for (file, told) in [
        (&back, "back.csv:4: "),
        (&empty, "is empty"),
        (&header, "no call to replay"),
        (&other, "is no trace"),
    ] {
        world.run(&["bench", &url, "--trace", file]).ended(2, told);
    }
    let back = world.run(&["bench", &url, "--trace", &back]);
    assert!(back.err.contains("backwards") || back.err.contains("earlier"), "{back:?}");
    world.run(&["bench", &url, "--trace", &header, "--speed", "0"]).ended(2, "above 0");
    assert!(world.emulator.record().is_empty(), "nothing is sent");
    let long = world.file("long.csv", b"time_ms,key,offset,length\n0,x,99990,100\n");
    world.run(&["bench", &url, "--trace", &long]).ended(2, "reads behind the end");
}

/// The rules need 22 s and 24 s at least.
#[test]
fn a_run_ends_when_enough_is_known() {
    let world = stocked("5ms");
    let rules = ["--warmup", "stable", "--until", "p50:5%,p99:20%", "--rate", "50"];
    let begun = Instant::now();
    bench(&world, &[&rules[..], &["--out", "run"]].concat()).well();
    assert!(begun.elapsed() < Duration::from_secs(300), "not by its longest time, 10 min");
    let run = run_of(&world.path("run"));
    let notes = &run.about.notes;
    let told = |what: &str| notes.iter().any(|note| note.contains(what));
    assert!(told("warm-up was stable after") || told("without being stable"), "{notes:?}");
    assert!(told("p50") && told("p99"), "{notes:?}");
}

/// What a terminal gets, by a terminal of Python's: there is none in std.
const TERMINAL: &str = r#"
import os, pty, signal, sys, time, termios, select, struct, fcntl
after, args = float(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(args[0], args)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
before, seen, begun = termios.tcgetattr(fd), b"", time.monotonic()
sent = after <= 0
modes = before
while True:
    if select.select([fd], [], [], 0.05)[0]:
        try:
            more = os.read(fd, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
    modes = termios.tcgetattr(fd)
    if not sent and time.monotonic() - begun > after and b"measuring" in seen:
        os.write(fd, b"\x03")
        sent = True
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
assert modes == before, (modes, before)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

/// Runs the binary on a terminal of 100 columns; Ctrl-C is typed after so many seconds, if any.
fn on_a_terminal(world: &World, args: &[&str], after: &str) -> Ran {
    let binary = world.command(args);
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, after]).arg(binary.get_program()).args(binary.get_args());
    command.env_clear().current_dir(world.folder.path());
    command.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    ended(command.spawn().unwrap())
}

#[test]
fn the_view_on_a_terminal_is_drawn_and_removed() {
    let world = stocked("1ms");
    let url = world.url("in/");
    for (duration, after, code) in [("3s", "0", 0), ("60s", "2.5", 130)] {
        for processes in ["1", "2"] {
            let args = ["bench", &url, "--duration", duration, "--processes", processes];
            let ran = on_a_terminal(&world, &args, after);
            assert_eq!(ran.code, Some(code), "{ran:?}");
            assert!(ran.out.contains("storescope bench"), "{ran:?}");
            assert!(ran.out.contains("measuring") && ran.out.contains("in flight"), "{ran:?}");
            let (_, last) = ran.out.rsplit_once("in flight").unwrap();
            // What stands there is erased, and no other screen, hidden cursor or colour is left.
            let (_, behind) = last.split_once("\r\u{1b}[J").unwrap_or_else(|| panic!("{last:?}"));
            assert!(behind.contains("reads/s") && !behind.contains('\u{1b}'), "{behind:?}");
            for mode in ["\u{1b}[?1049h", "\u{1b}[?25l"] {
                assert!(!ran.out.contains(mode), "{mode:?} in {ran:?}");
            }
        }
    }
}

#[test]
fn a_first_error_is_shown_while_it_runs() {
    let world = stocked("1ms");
    let missing = Action::Status { status: 404, code: None, message: None, retry_after: None };
    world.emulator.admin().fault(Fault::new(missing).method("GET").contains("in/x").nth(100));
    let ran = bench(&world, &["--duration", "5s", "--progress=plain"]).ended(1, "1 reads failed");
    let line = ran.err.lines().find(|line| line.starts_with("measuring")).expect(&ran.err);
    assert!(line.contains(", 1 failed: "), "{line}");
}

#[test]
fn a_run_is_written_with_its_page_or_as_one() {
    let world = stocked("1ms");
    bench(&world, &["--count", "30", "--out", "run"]).well();
    let page = String::from_utf8(world.read("run/report.html")).unwrap();
    assert!(page.contains("<svg") && page.len() < 300_000, "{}", page.len());
    bench(&world, &["--count", "30", "--out", "pages/one.html"]).well();
    let names =
        std::fs::read_dir(world.path("pages")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["one.html"], "that file alone");
    for page in ["run/report.html", "pages/one.html"] {
        assert_eq!(run_of(&world.path(page)).sum().calls["get"].count, 30, "{page} holds the run");
    }
    world.file("file", b"");
    bench(&world, &["--count", "30", "--out", "file/one.html"]).ended(2, "(--out)");
    std::fs::create_dir(world.path("folder.html")).unwrap();
    bench(&world, &["--count", "30", "--out", "folder.html"]).ended(2, "(--out)");
}
