// SPDX-License-Identifier: Apache-2.0
//! The fault matrix: each fault of `tests/faults.json` in each operation, by each API. Every cell ends in the right bytes or in
//! a typed error, within a stated time, leaves nothing behind, and is counted as the store counts it. `docs/FAULTS.md` is
//! what came of them: a cell that ends otherwise than it says fails the test.
//!
//! ```text
//!  fault.rs      what goes wrong: at the emulator, or at servers below HTTP
//!  operation.rs  an operation: prepare ─▶ perform ─▶ examine
//!  mod.rs        a cell: prepare ─▶ arm the fault ─▶ perform by a client of its own ─▶ counts ─▶ examine
//!  document.rs   docs/FAULTS.md
//! ```

mod document;
mod fault;
mod operation;

use crate::common::scripted::{APIS, Api};
use crate::common::{config, s3_config, store_at};
use fault::{Network, Spec};
use futures_util::{StreamExt, stream};
use operation::{Ended, OPS, Op};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storescope::timing::{Level, Operation, Outcome, Snapshot};
use storescope::{Client, Config, Error, ErrorKind, Face, Store};
use storescope_emulator::{Emulator, Fault, RecordLine};

/// The settings of every cell: so many attempts, so long for a first byte and a stall.
const ATTEMPTS: u32 = 3;
const WAIT: Duration = Duration::from_secs(2);
/// No fault costs this: a resolver that is busy may take its time to say that there is no such name.
const CONNECT: Duration = Duration::from_secs(10);
/// What a cell takes beside its waits.
const SLACK: Duration = Duration::from_secs(3);
/// Later than any cell ends: a hang.
const HANG: Duration = Duration::from_secs(45);
/// Cells at a time.
const AT_ONCE: usize = 48;
/// Bytes that are read of an answer at most (16 MiB), and those that the buffers of both sockets hold: the store counts what it
/// gave to its own (4 MiB; the client's 6 MiB at Linux's defaults, 32 MiB where it is tuned).
const ANSWER_BYTES: u64 = (16 + 4 + 32) << 20;

/// The time within which each cell of a fault ends.
fn within(spec: &Spec) -> Duration {
    SLACK + WAIT * spec.times.unwrap_or(ATTEMPTS).min(ATTEMPTS)
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    api: Api,
    fault: usize,
    operation: usize,
}

impl Cell {
    /// Each has a bucket of its own.
    fn bucket(self) -> String {
        let api = if self.api == Api::Oci { "oci" } else { "s3" };
        format!("{api}-{:02}-{:02}", self.fault, self.operation)
    }

    fn op(self) -> Op {
        OPS[self.operation].0
    }
}

/// What came of a cell.
struct Measured {
    cell: Cell,
    /// `ok`, or the kind of the error.
    outcome: String,
    retries: u64,
    took: Duration,
    /// Attempts that its client counted.
    attempts: u64,
    troubles: Vec<String>,
}

impl Measured {
    /// As the table shows it.
    fn shown(&self) -> String {
        match self.retries {
            0 => self.outcome.clone(),
            retries => format!("{} +{retries}", self.outcome),
        }
    }
}

struct World {
    emulator: Emulator,
    network: Network,
    specs: Vec<Spec>,
    /// Clients that no fault meets: they prepare and examine, and the record knows them by their user agent.
    hands: Vec<(Api, Client)>,
}

impl World {
    fn new(specs: Vec<Spec>) -> World {
        let mut builder = Emulator::builder();
        for cell in cells(&specs) {
            builder = builder.bucket(&cell.bucket());
        }
        let emulator = builder.start().unwrap();
        let hand = |api| {
            let config = base(&emulator, api);
            (api, Client::builder().config(config).face(Face::Python).build().unwrap())
        };
        let hands = APIS.into_iter().map(hand).collect();
        World { hands, network: Network::new(), specs, emulator }
    }

    fn hand(&self, cell: Cell) -> Store {
        let (_, client) = self.hands.iter().find(|(api, _)| *api == cell.api).unwrap();
        store(client, cell)
    }

    /// A client of this cell's alone.
    fn client(&self, cell: Cell) -> Client {
        let mut config = base(&self.emulator, cell.api)
            .attempts(ATTEMPTS)
            .backoff_base(Duration::from_millis(1))
            .backoff_cap(Duration::from_millis(2))
            .connect_timeout(CONNECT)
            .first_byte_timeout(WAIT)
            .stall_timeout(WAIT)
            .part_size(operation::PART_SIZE)
            .part_concurrency(1_u32);
        if let Some((endpoint, bundle)) = self.network.endpoint(&self.specs[cell.fault]) {
            config = config.endpoint(endpoint).ca_bundle(bundle);
        }
        Client::builder().config(config).build().unwrap()
    }

    /// Sets the fault; the rules that were made for it.
    fn arm(&self, cell: Cell) -> Vec<u64> {
        let spec = &self.specs[cell.fault];
        let rule = |action| {
            let fault: Fault = cell.op().aim(cell.api, &cell.bucket(), action);
            self.emulator.fault(fault.count(spec.times.map_or(u64::MAX, u64::from)))
        };
        self.network.actions(spec).into_iter().map(rule).collect()
    }

    async fn measure(&self, cell: Cell) -> Measured {
        let spec = &self.specs[cell.fault];
        let hand = self.hand(cell);
        let prepared = cell.op().prepare(cell.api, &hand).await.unwrap();
        let client = self.client(cell);
        let store = store(&client, cell);
        let rules = self.arm(cell);
        let began = Instant::now();
        let ended = tokio::time::timeout(HANG, cell.op().perform(&store, &prepared)).await;
        let took = began.elapsed();
        let mut troubles = Vec::new();
        for rule in rules {
            let (_, fired) = self.emulator.admin().fault_counts(rule).unwrap();
            if fired == 0 {
                troubles.push("the fault never fired".to_owned());
            }
            self.emulator.admin().remove_fault(rule);
        }
        let Ok(ended) = ended else {
            troubles.push(format!("it hangs for {HANG:?}"));
            let outcome = "hangs".to_owned();
            return Measured { cell, outcome, retries: 0, took, attempts: 0, troubles };
        };
        if took > within(spec) {
            troubles.push(format!("it took {took:?}, more than {:?}", within(spec)));
        }
        let retries = client.metrics().retries();
        let seen = client.metrics().snapshot();
        troubles.extend(counted(cell.op(), &ended, &seen, retries));
        let etag_is_wrong = spec.name == "wrong ETag";
        match cell.op().examine(&hand, &prepared, &ended, etag_is_wrong).await {
            Ok(wrong) => troubles.extend(wrong),
            Err(error) => troubles.push(format!("cannot be examined: {error}")),
        }
        let outcome = told(&ended);
        if !spec.right.contains(&outcome) {
            let text =
                if let Ended::Failed(error) = &ended { error.to_string() } else { String::new() };
            troubles.push(format!("{outcome} is none of {:?}: {text}", spec.right));
        }
        let attempts = totals(&seen, Level::Attempt).values().sum();
        Measured { cell, outcome, retries, took, attempts, troubles }
    }

    /// The requests of each cell's client by its bucket, as the store recorded them. A target that names no bucket is of the
    /// client whose connection it came by.
    fn requests(&self) -> HashMap<String, Vec<RecordLine>> {
        let mut lines = self.emulator.record();
        lines.retain(|line| {
            line.user_agent.as_deref().is_some_and(|agent| agent.contains("(rust)"))
        });
        let by_connection: HashMap<u64, String> = lines
            .iter()
            .filter_map(|line| Some((line.connection, bucket(&line.target)?)))
            .collect();
        let mut requests: HashMap<String, Vec<RecordLine>> = HashMap::new();
        for line in lines {
            if let Some(bucket) = by_connection.get(&line.connection) {
                requests.entry(bucket.clone()).or_default().push(line);
            }
        }
        requests
    }
}

/// The bucket in `/n/NAMESPACE/b/BUCKET/…`, `/BUCKET/…` or `/BUCKET?…`.
fn bucket(target: &str) -> Option<String> {
    let place = if target.starts_with("/n/") { 4 } else { 1 };
    let name = target.split(['/', '?']).nth(place)?;
    (name.starts_with("oci-") || name.starts_with("s3-")).then(|| name.to_owned())
}

fn base(emulator: &Emulator, api: Api) -> Config {
    if api == Api::S3 { s3_config(emulator) } else { config(emulator) }
}

fn store(client: &Client, cell: Cell) -> Store {
    let bucket = cell.bucket();
    store_at(
        client,
        &match cell.api {
            Api::Oci => format!("oci://{bucket}@emulator/"),
            Api::S3 => format!("s3://{bucket}/"),
        },
    )
}

fn cells(specs: &[Spec]) -> Vec<Cell> {
    let of_api = |api| {
        let of_fault =
            move |fault| (0..OPS.len()).map(move |operation| Cell { api, fault, operation });
        (0..specs.len()).flat_map(of_fault)
    };
    APIS.into_iter().flat_map(of_api).collect()
}

/// `ok`, or the kind of the error in small letters.
fn told(ended: &Ended) -> String {
    let kind = match ended {
        Ended::Right(_) => return "ok".to_owned(),
        Ended::Wrong(what) => return format!("WRONG: {what}"),
        Ended::Failed(error) => format!("{:?}", error.kind()),
    };
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// How many calls, or attempts, of all operations ended, by outcome.
fn totals(seen: &Snapshot, level: Level) -> HashMap<Outcome, u64> {
    let mut totals = HashMap::new();
    for &operation in Operation::ALL {
        for (outcome, count) in seen.outcomes(level, operation) {
            *totals.entry(outcome).or_insert(0) += count;
        }
    }
    totals
}

/// What is wrong with the histograms of a cell's client.
fn counted(op: Op, ended: &Ended, seen: &Snapshot, retries: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let (calls, attempts) = (totals(seen, Level::Call), totals(seen, Level::Attempt));
    let mut failed = calls.clone();
    failed.remove(&Outcome::Ok);
    let expected = match ended {
        Ended::Failed(error) => HashMap::from([(class(error), 1)]),
        _ => HashMap::new(),
    };
    if failed != expected {
        wrong.push(format!("calls that failed: {failed:?}, not {expected:?}"));
    }
    let in_vain: u64 = attempts
        .iter()
        .filter(|(outcome, _)| **outcome != Outcome::Ok)
        .map(|(_, count)| count)
        .sum();
    if in_vain < retries {
        wrong.push(format!("{retries} retries, and attempts {attempts:?}"));
    }
    // The GET that explains why a HEAD was refused is dropped at its head.
    if op != Op::Head && attempts.contains_key(&Outcome::Cancelled) {
        wrong.push(format!("attempts were cancelled: {attempts:?}"));
    }
    wrong
}

/// The outcome that an error is to be recorded under.
fn class(error: &Error) -> Outcome {
    if let Some(status) = error.status().filter(|status| *status >= 300) {
        return Outcome::of_status(status);
    }
    match error.kind() {
        ErrorKind::Connect | ErrorKind::Tls => Outcome::Connect,
        ErrorKind::Timeout => Outcome::Timeout,
        ErrorKind::Reset => Outcome::Reset,
        ErrorKind::Protocol | ErrorKind::Integrity => Outcome::Invalid,
        ErrorKind::Changed => Outcome::Precondition,
        _ => Outcome::Client,
    }
}

/// Waits until the store has recorded every attempt, and says which cells it counts otherwise.
async fn compare_with_record(world: &World, measured: &mut [Measured]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let requests = world.requests();
        let of = |measured: &Measured| {
            requests.get(&measured.cell.bucket()).map_or(&[][..], Vec::as_slice)
        };
        let is_below_http = |measured: &Measured| {
            world.network.endpoint(&world.specs[measured.cell.fault]).is_some()
        };
        let differs = |measured: &Measured| {
            let arrived = if is_below_http(measured) { 0 } else { measured.attempts };
            of(measured).len() as u64 != arrived
        };
        // The line of a connection that broke comes when the server has noticed.
        if measured.iter().any(differs) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        for measured in measured.iter_mut() {
            let lines = of(measured);
            if differs(measured) {
                let lines: Vec<_> =
                    lines.iter().map(|line| (&line.method, &line.target, line.status)).collect();
                let attempts = measured.attempts;
                measured.troubles.push(format!("{attempts} attempts, and requests {lines:?}"));
            }
            if let Some(line) = lines.iter().find(|line| line.bytes_out > ANSWER_BYTES) {
                measured.troubles.push(format!("{} bytes of an answer were read", line.bytes_out));
            }
        }
        return;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_ends_in_the_right_bytes_or_a_typed_error() {
    let began = Instant::now();
    let world = Arc::new(World::new(fault::all()));
    let cells = cells(&world.specs);
    let run = |cell: Cell| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.measure(cell).await })
    };
    let mut measured: Vec<Measured> = stream::iter(cells.clone())
        .map(run)
        .buffered(AT_ONCE)
        .map(|joined| joined.expect("a cell panicked"))
        .collect()
        .await;
    compare_with_record(&world, &mut measured).await;
    assert_eq!(world.network.followed(), 0, "a redirect was followed");
    let longest = measured.iter().max_by_key(|measured| measured.took).unwrap();
    let well = measured.iter().filter(|measured| measured.outcome == "ok").count();
    println!(
        "fault matrix: {} cells ({} faults, {} operations, {} APIs): {well} ended well, {} in a typed error; the longest took \
         {:.1} s ({}), all together {:.1} s",
        cells.len(),
        world.specs.len(),
        OPS.len(),
        APIS.len(),
        cells.len() - well,
        longest.took.as_secs_f64(),
        name(&world, longest),
        began.elapsed().as_secs_f64()
    );
    let of_cell = |cell: &Measured| {
        let told = |trouble: &String| format!("{}: {trouble}", name(&world, cell));
        cell.troubles.iter().map(told).collect::<Vec<_>>()
    };
    let mut troubles: Vec<String> = measured.iter().flat_map(of_cell).collect();
    troubles.extend(document::differences(&world.specs, &measured));
    assert!(troubles.is_empty(), "{} troubles:\n{}", troubles.len(), troubles.join("\n"));
}

fn name(world: &World, measured: &Measured) -> String {
    let Cell { api, fault, operation } = measured.cell;
    format!("{api:?} / {} / {}", world.specs[fault].name, OPS[operation].1)
}
