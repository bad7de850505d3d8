// SPDX-License-Identifier: Apache-2.0
//! 1 GiB written by parts, four at a time: storescope's `Writer` beside the same parts put by bare hyper on four kept
//! connections, with no checksum and no signature.
//!
//! Speed and CPU are taken with bytes that are there already, made before and shared, so that the clients alone are
//! compared. Memory is taken apart, in a fresh process for each run, with bytes that are made as they go, as a reader of
//! a file makes them: the peak of a write less the process after its first small write. Judged is what
//! was allocated; beside it stands the RSS, which has what glibc's arenas keep of freed pieces as well, with as many
//! arenas as there are threads and with one. `-- --rounds N --mib N` set the size; `--only NAME` runs one row once, for a profiler.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use peak_alloc::PeakAlloc;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use storescope::{Config, PutOptions};
use storescope_benches::client::{Profile, Storescope};
use storescope_benches::measure::{Cost, Median, by_turns};
use storescope_benches::server::{Server, serve_if_asked};
use storescope_benches::{BUCKET, KEY, report};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

const MIB: u64 = 1 << 20;
const PART: u64 = 16 * MIB;
const AT_A_TIME: u64 = 4;
const BAR: f64 = 0.9;
/// What a write may hold: the parts in flight, the one that is filled, and 16 MiB.
const MEMORY_BAR: f64 = ((AT_A_TIME + 1) * PART / MIB + 16) as f64;
const MEMORY_RUNS: usize = 5;

/// Counts; two additions an allocation, for every row alike.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Writes so many MiB, on a runtime, from a source.
type Write = fn(&Setup, &Runtime, Source, u64) -> Cost;

struct Row {
    name: &'static str,
    settings: &'static str,
    write: Write,
}

/// The first row is what the others are measured by; the second is judged by the bars.
const ROWS: [Row; 4] = [
    Row {
        name: "hyper",
        settings: "4 kept http1 connections, a part each; nothing signed, nothing checked",
        write: Setup::hyper,
    },
    Row {
        name: "storescope",
        settings: "OCI-signed, CRC32C of each part and of the whole: the defaults",
        write: |setup, runtime, source, mib| {
            let config = Config::default();
            let client = Storescope::oci(setup.config_file.clone(), setup.address, config);
            storescope(runtime, client, source, mib)
        },
    },
    Row {
        name: "storescope, verify off",
        settings: "the same with `verify=false`: no checksum",
        write: |setup, runtime, source, mib| {
            let config = Config::default().verify(false);
            let client = Storescope::oci(setup.config_file.clone(), setup.address, config);
            storescope(runtime, client, source, mib)
        },
    },
    Row {
        name: "storescope s3://",
        settings: "SigV4 over http, which signs the SHA-256 of each part; CRC32C: the defaults",
        write: |setup, runtime, source, mib| {
            let client = Storescope::s3(setup.address, Config::default());
            storescope(runtime, client, source, mib)
        },
    },
];

struct Setup {
    address: SocketAddr,
    config_file: PathBuf,
}

/// Where the bytes come from, a MiB a piece.
#[derive(Clone)]
enum Source {
    /// More of them than a CPU's caches hold, made before.
    Shared(Vec<Bytes>),
    /// Made when they are asked for.
    Fresh,
}

impl Source {
    fn shared() -> Source {
        Source::Shared((0..128).map(fresh).collect())
    }

    fn piece(&self, number: u64) -> Bytes {
        match self {
            Source::Shared(pieces) => pieces[number as usize % pieces.len()].clone(),
            Source::Fresh => fresh(number),
        }
    }
}

fn fresh(number: u64) -> Bytes {
    vec![number as u8 | 1; MIB as usize].into()
}

fn storescope(runtime: &Runtime, client: Storescope, source: Source, mib: u64) -> Cost {
    let write = |mib: u64| {
        let (store, source) = (client.store().clone(), source.clone());
        // By a task, as hyper's rows.
        let writing = runtime.spawn(async move {
            let mut writer = store.writer(KEY, PutOptions::new());
            for number in 0..mib {
                writer.write(source.piece(number)).await.expect("the server takes all");
            }
            let meta = writer.finish().await.expect("the server takes all");
            assert_eq!(meta.size, mib * MIB);
        });
        runtime.block_on(writing).expect("no panic");
    };
    write(WARM_UP);
    Cost::of(|| write(mib))
}

/// What is written before it counts: connections, their windows, the signature's key.
const WARM_UP: u64 = AT_A_TIME * PART / MIB;

/// A part's pieces, one after the other.
struct Part {
    pieces: std::vec::IntoIter<Bytes>,
}

impl Body for Part {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.as_slice().is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.as_slice().iter().map(|piece| piece.len() as u64).sum())
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Part> {
    let stream = TcpStream::connect(address).await.expect("the plain server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("no I/O");
    tokio::spawn(connection);
    sender
}

/// Puts every fourth part, from `lane` on.
async fn put_parts(
    sender: &mut SendRequest<Part>,
    host: &HeaderValue,
    lane: u64,
    source: &Source,
    mib: u64,
) {
    let each = PART / MIB;
    for part in (lane..mib / each).step_by(AT_A_TIME as usize) {
        let pieces: Vec<Bytes> =
            (part * each..(part + 1) * each).map(|n| source.piece(n)).collect();
        let uri = format!("/n/plain/b/{BUCKET}/u/{KEY}?uploadId=plain&uploadPartNum={}", part + 1);
        let mut request = Request::new(Part { pieces: pieces.into_iter() });
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = uri.parse().expect("a path");
        request.headers_mut().insert(HOST, host.clone());
        sender.ready().await.expect("the server keeps connections");
        let answer = sender.send_request(request).await.expect("the server answers");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.expect("it has no body");
    }
}

impl Setup {
    fn hyper(&self, runtime: &Runtime, source: Source, mib: u64) -> Cost {
        let host = HeaderValue::from_str(&self.address.to_string()).expect("ASCII");
        let mut lanes: Vec<_> =
            (0..AT_A_TIME).map(|_| runtime.block_on(connect(self.address))).collect();
        let mut write = |mib| {
            let running: Vec<_> = lanes
                .drain(..)
                .enumerate()
                .map(|(lane, mut sender)| {
                    let (host, source) = (host.clone(), source.clone());
                    runtime.spawn(async move {
                        put_parts(&mut sender, &host, lane as u64, &source, mib).await;
                        sender
                    })
                })
                .collect();
            for task in running {
                lanes.push(runtime.block_on(task).expect("no panic"));
            }
        };
        write(WARM_UP);
        Cost::of(|| write(mib))
    }
}

fn runtime(workers: usize) -> Runtime {
    let runtime = match workers {
        0 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
    };
    runtime.expect("a runtime")
}

fn main() {
    serve_if_asked();
    if let Some(row) = report::argument::<usize>("--memory") {
        hold(&ROWS[row]);
        return;
    }
    let server = Server::start();
    let profile = Profile::generate();
    let mib = report::argument("--mib").unwrap_or(1024);
    let setup = Setup { address: server.address(), config_file: profile.config_file() };
    if let Some(only) = report::argument::<String>("--only") {
        let row = ROWS.iter().find(|row| row.name == only).expect("a row of that name");
        println!("{only}: {:?}", (row.write)(&setup, &runtime(2), Source::shared(), mib));
        return;
    }
    let rounds = report::argument("--rounds").unwrap_or(11);
    report::head(
        "write_parts",
        &format!(
            "{rounds} rounds of {mib} MiB in parts of {} MiB, {AT_A_TIME} at a time, rows by turns.",
            PART / MIB
        ),
        &["storescope", "hyper", "tokio"],
    );
    println!(
        "| runtime | client | MB/s | ratio of MB/s | CPU, ms a GB | ratio of CPU | settings |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let workers = [("multi-thread, 2 workers", 2), ("current-thread", 0)];
    let ratios = workers.map(|(name, workers)| table(&setup, rounds, mib, name, workers));
    println!(
        "\nMedians, with their 95 % intervals; ratios to the first row, taken within a round."
    );
    let held = memory(&setup, mib);
    report::bar(
        &format!("storescope {:.3} ≥ {BAR} × hyper, multi-thread", ratios[0]),
        ratios[0].value >= BAR,
    );
    report::bar(
        &format!("storescope has {held:.1} MiB allocated at most ≤ {MEMORY_BAR} MiB"),
        held <= MEMORY_BAR,
    );
}

/// Prints the rows of one runtime; returns storescope's MB/s as a ratio to hyper's.
fn table(setup: &Setup, rounds: usize, mib: u64, name: &str, workers: usize) -> Median {
    let source = Source::shared();
    let costs = by_turns(ROWS.len(), rounds, |row| {
        (ROWS[row].write)(setup, &runtime(workers), source.clone(), mib)
    });
    let bytes = (mib * MIB) as f64;
    let each = |pick: &dyn Fn(&Cost) -> f64| -> Vec<Vec<f64>> {
        costs.iter().map(|row| row.iter().map(pick).collect()).collect()
    };
    let speed = each(&|cost| bytes / 1e6 / cost.wall.as_secs_f64());
    let cpu = each(&|cost| cost.cpu.as_secs_f64() * 1e3 / (bytes / 1e9));
    for (row, Row { name: client, settings, .. }) in ROWS.iter().enumerate() {
        println!(
            "| {name} | {client} | {:.0} | {:.2} | {:.0} | {:.2} | {settings} |",
            Median::of(speed[row].iter().copied()),
            Median::of_ratios(&speed[row], &speed[0]),
            Median::of(cpu[row].iter().copied()),
            Median::of_ratios(&cpu[row], &cpu[0]),
        );
    }
    Median::of_ratios(&speed[1], &speed[0])
}

/// What one run held, in MiB.
struct Held {
    /// Bytes allocated at once, less those of the idle process.
    allocated: f64,
    /// The peak RSS, less the idle process's.
    resident: f64,
}

/// Prints what each row holds; returns the most that storescope had allocated.
fn memory(setup: &Setup, mib: u64) -> f64 {
    let rows = |arenas: Option<&str>| {
        by_turns(ROWS.len(), MEMORY_RUNS, |row| {
            let mut run = Command::new(std::env::current_exe().expect("the executable has a path"));
            run.args(["--memory", &row.to_string(), "--address", &setup.address.to_string()])
                .args(["--mib", &mib.to_string(), "--config"])
                .arg(&setup.config_file);
            if let Some(arenas) = arenas {
                run.env("MALLOC_ARENA_MAX", arenas);
            }
            let output = run.output().expect("the bench's own executable starts");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let held = told.trim().split_once(' ').and_then(|(allocated, resident)| {
                Some(Held { allocated: allocated.parse().ok()?, resident: resident.parse().ok()? })
            });
            held.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
        })
    };
    let (held, one_arena) = (rows(None), rows(Some("1")));
    println!(
        "\nWhat is held, less the idle process, in MiB: the most of {MEMORY_RUNS} runs and, behind it, the least.\n"
    );
    println!("| client | allocated | RSS | RSS, `MALLOC_ARENA_MAX=1` |");
    println!("| --- | --- | --- | --- |");
    let ends = |runs: &[Held], pick: fn(&Held) -> f64| {
        let most = runs.iter().map(pick).fold(0.0, f64::max);
        format!("{most:.1}, {:.1}", runs.iter().map(pick).fold(f64::MAX, f64::min))
    };
    for ((row, runs), one_arena) in ROWS.iter().zip(&held).zip(&one_arena) {
        println!(
            "| {} | {} | {} | {} |",
            row.name,
            ends(runs, |held| held.allocated),
            ends(runs, |held| held.resident),
            ends(one_arena, |held| held.resident)
        );
    }
    held[1].iter().map(|held| held.allocated).fold(0.0, f64::max)
}

/// Writes in this process, which does nothing else, and prints what it held.
fn hold(row: &Row) {
    let setup = Setup {
        address: report::argument("--address").expect("--address HOST:PORT"),
        config_file: report::argument("--config").expect("--config FILE"),
    };
    let mib = report::argument("--mib").expect("--mib N");
    let first = runtime(2);
    let client = Storescope::oci(setup.config_file.clone(), setup.address, Config::default());
    let small = client.store().put(KEY, Bytes::from_static(b"small"), PutOptions::new());
    first.block_on(small).expect("the server takes all");
    let (allocated, resident) = (ALLOCATOR.current_usage(), status("VmRSS"));
    ALLOCATOR.reset_peak_usage();
    (row.write)(&setup, &runtime(2), Source::Fresh, mib);
    let allocated = (ALLOCATOR.peak_usage() - allocated) as f64 / MIB as f64;
    println!("{allocated} {}", status("VmHWM") - resident);
}

/// A line of this process's status, in MiB.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.expect("the kernel tells") / 1024.0
}
