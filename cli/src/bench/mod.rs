// SPDX-License-Identifier: Apache-2.0
//! `storescope bench`: ranged reads of objects, or writes of new ones, measured after a warm-up.
//!
//! Closed loop: `--concurrency` workers, each with one read or write under way. The warm-up goes before, in a scope of its
//! own; what is told is the measured part alone. What was written is removed at the end, also after a signal.

mod pattern;

use crate::Ended;
use crate::child::Server;
use crate::exit::Exit;
use crate::place::root;
use crate::progress::{self, Show};
use crate::report::{self, Attributed, Run};
use crate::session::Signals;
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use futures_util::{StreamExt, stream};
use pattern::{Pattern, Reads, Walk};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use storescope::config::{parse_duration, parse_size};
use storescope::timing::{AttemptEvent, Operation, Phase, Scope};
use storescope::{
    Client, ListEntry, ListOptions, PutOptions, Scheme, Store, StoreOptions, StoreUrl,
};

/// Measure ranged reads, or writes: percentiles of the time to the first byte and of whole requests, the share of each
/// phase.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard
  storescope bench --emulator s3-standard --s3 --op put --size 1MiB
  storescope bench oci://lake@ns/big.root --size 1MiB --concurrency 16 --duration 30s
  storescope bench s3://lake/2026/ --size 64KiB --count 20000 --out run1       all objects below
  storescope bench oci://lake@ns/2026/ --pattern parquet --count 100           each read a query of 3 of 20 columns
  storescope bench oci://lake@ns/scratch/ --op put --size 8MiB                 new objects below, removed at the end

run1/run.json holds what is printed by --json, run1/run.hlog the histograms (HdrHistogram log, values in ns).")]
pub(crate) struct Bench {
    /// An object, or a prefix of objects (ending in /); with --op put, where to write.
    #[arg(required_unless_present = "emulator", conflicts_with = "emulator")]
    url: Option<StoreUrl>,

    /// Start an emulator with this latency model (a name, or a TOML file) and measure that.
    #[arg(long, value_name = "MODEL")]
    emulator: Option<String>,

    /// With --emulator: by its S3 API.
    #[arg(long)]
    s3: bool,

    /// What is measured: reads of ranges, or writes of new objects by one request each.
    #[arg(long, value_enum, default_value = "get")]
    op: Op,

    /// With --emulator: the file to upload and read; without it, --object-size of random bytes.
    #[arg(long, value_name = "FILE")]
    upload: Option<PathBuf>,

    /// With --emulator: the size of the object that is made.
    #[arg(long, value_parser = parse_size, default_value = "64MiB")]
    object_size: u64,

    /// Bytes of a read or write (not of a whole pattern: `parquet`, `root`).
    #[arg(long, value_parser = parse_size, default_value = "64KiB")]
    size: u64,

    /// Reads or writes under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,

    /// What is read. All but `random` go through the reading engine, whose requests are as many and as large as it
    /// finds right; `parquet` and `root` read a whole pattern at a time, and --size is nothing to them.
    #[arg(long, value_enum, default_value = "random")]
    pattern: Pattern,

    /// Measure for so long.
    #[arg(long, value_parser = parse_duration, default_value = "10s", conflicts_with = "count")]
    duration: Duration,

    /// Measure so many reads or writes.
    #[arg(long)]
    count: Option<u64>,

    /// Reads or writes of the warm-up, not measured; without it, eight a worker.
    #[arg(long, value_name = "COUNT")]
    warmup: Option<u64>,

    /// Seed of the offsets, and of the emulator's draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,

    /// Write run.json and run.hlog into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// With --out: requests.jsonl, too, one line an attempt.
    #[arg(long, requires = "out")]
    requests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Op {
    Get,
    Put,
}

impl Op {
    fn operation(self) -> Operation {
        match self {
            Op::Get => Operation::Get,
            Op::Put => Operation::Put,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Op::Get => "read",
            Op::Put => "write",
        }
    }
}

impl Bench {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        if self.emulator.is_none() && (self.s3 || self.upload.is_some()) {
            return Err(Exit::usage("--s3 and --upload are of --emulator"));
        }
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out)
                .map_err(|e| Exit::usage(format!("cannot make {}: {e}", out.display())))?;
        }
        let server =
            self.emulator.as_deref().map(|model| Server::start(model, self.seed)).transpose()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = settings.client()?;
        let ended = runtime.block_on(async {
            let mut bed = Bed {
                client: client.clone(),
                signals: Signals::listen()?,
                show: settings.progress(),
                log: self.request_log()?,
            };
            self.measure(&client, server.as_ref(), &mut bed).await
        });
        settings.save(&client)?;
        ended
    }

    async fn measure(&self, client: &Client, server: Option<&Server>, bed: &mut Bed) -> Ended {
        let (url, store) = self.open(client, server)?;
        if self.op == Op::Put {
            let below = format!(
                "{}storescope-bench-{:08x}/",
                crate::place::prefix(url.key()),
                fastrand::u32(..)
            );
            let plan = Plan::puts(self, &below);
            let measured = self.phases(&store, &plan, bed).await;
            let removed = remove(&store, &plan).await;
            self.told(&url.with_key(&below), measured?)?;
            return removed;
        }
        if server.is_some() {
            self.upload(&store, url.key()).await?;
        }
        let objects = self.objects(&store, &url).await?;
        let plan = Plan::gets(self, objects);
        let measured = self.phases(&store, &plan, bed).await?;
        self.told(&url, measured)
    }

    /// The warm-up and what is measured.
    async fn phases(
        &self,
        store: &Store,
        plan: &Plan,
        bed: &mut Bed,
    ) -> Result<(Done, Scope), Exit> {
        let warmup = Scope::new("warmup");
        bed.log.watch(&warmup, self.op.operation(), true);
        let reads = self.warmup.unwrap_or(u64::from(self.concurrency) * 8);
        if self.phase(store, plan, &warmup, Limit::Count(reads), "warm-up", bed).await.interrupted {
            return Err(Exit::interrupted());
        }
        let scope = Scope::new("bench");
        bed.log.watch(&scope, self.op.operation(), false);
        let limit = self.count.map_or(Limit::Duration(self.duration), Limit::Count);
        let before = bed.client.metrics().retries();
        let mut done = self.phase(store, plan, &scope, limit, "measuring", bed).await;
        done.retries = bed.client.metrics().retries() - before;
        bed.log.flush()?;
        Ok((done, scope))
    }

    /// Whether each read or write is one request.
    fn is_plain(&self) -> bool {
        self.op == Op::Put || self.pattern.is_plain()
    }

    fn told(&self, url: &StoreUrl, (done, scope): (Done, Scope)) -> Ended {
        let run = Run {
            url: url.to_string(),
            model: self.emulator.clone(),
            operation: self.op.operation(),
            word: self.op.word(),
            size: self.pattern.is_sized().then_some(self.size),
            concurrency: self.concurrency,
            pattern: match (self.op, self.pattern) {
                (Op::Put, _) => "new objects",
                (Op::Get, pattern) => pattern.name(),
            },
            seed: self.seed,
            elapsed: done.elapsed,
            failed_calls: done.failed,
            first_error: done.first_error,
            retries: done.retries,
            reads: (!self.is_plain()).then(|| report::Reads::new(done.bytes, done.times)),
            attributed: Attributed::new(if self.is_plain() { done.attributed } else { Vec::new() }),
            snapshot: scope.snapshot(),
        };
        if let Some(out) = &self.out {
            run.write(out)?;
        }
        if self.json {
            writeln!(std::io::stdout(), "{:#}", run.json())?;
        } else {
            run.print_table(&mut std::io::stdout().lock())?;
        }
        if done.interrupted {
            return Err(Exit::interrupted());
        }
        run.verdict()
    }

    fn open(&self, client: &Client, server: Option<&Server>) -> Result<(StoreUrl, Store), Exit> {
        let Some(server) = server else {
            let url = self.url.clone().expect("clap requires it, or the emulator");
            if url.bucket().is_none() && url.scheme() != Scheme::File {
                return Err(Exit::usage(format!("{url} names no bucket")));
            }
            return Ok((url.clone(), root(client, &url)?));
        };
        let file = self.upload.as_ref().and_then(|file| file.file_name()?.to_str());
        let name = if self.op == Op::Put { "" } else { file.unwrap_or("object") };
        let ready = server.ready();
        let (url, options) = match (&ready.s3, self.s3) {
            (Some(s3), true) => {
                let options = StoreOptions::new()
                    .set("endpoint", &s3.endpoint)
                    .set("region", &s3.region)
                    .set("access_key_id", &s3.access_key_id)
                    .set("secret_access_key", &s3.secret_access_key);
                (format!("s3://demo/{name}"), options)
            }
            (None, true) => return Err(Exit::usage("built without S3: --s3 cannot be used")),
            (_, false) => {
                let options = StoreOptions::new()
                    .set("endpoint", &ready.oci.endpoint)
                    .set("config_file", &ready.oci.config_file)
                    .set("profile", &ready.oci.profile);
                (format!("oci://demo@{}/{name}", ready.oci.namespace), options)
            }
        };
        let url: StoreUrl = url.parse()?;
        let store = client.store(&url.with_key(""), options)?;
        Ok((url, store))
    }

    async fn upload(&self, store: &Store, key: &str) -> Result<(), Exit> {
        let bytes = match &self.upload {
            Some(file) => std::fs::read(file)
                .map_err(|e| Exit::usage(format!("cannot read {}: {e}", file.display())))?,
            None => {
                let mut bytes = vec![0; self.object_size as usize];
                fastrand::Rng::with_seed(self.seed).fill(&mut bytes);
                bytes
            }
        };
        if Show::new(false) == Show::Terminal {
            progress::note(&format!("uploading {key}, {} bytes", bytes.len()));
        }
        store.put(key, Bytes::from(bytes), PutOptions::new()).await?;
        Ok(())
    }

    /// The objects to read, with their sizes.
    async fn objects(&self, store: &Store, url: &StoreUrl) -> Result<Vec<(String, u64)>, Exit> {
        const MOST: usize = 10_000;
        if !url.key().is_empty() && !url.key().ends_with('/') {
            let meta = store.head(url.key()).await?;
            if meta.size == 0 {
                return Err(Exit::usage(format!("{url} is empty: there is nothing to read")));
            }
            return Ok(vec![(meta.key, meta.size)]);
        }
        let mut found = Vec::new();
        let mut entries = store.list(url.key(), ListOptions::new());
        while let Some(entry) = entries.next().await {
            if let ListEntry::Object(meta) = entry?
                && meta.size > 0
            {
                found.push((meta.key, meta.size));
            }
            if found.len() == MOST {
                progress::note(&format!("reading the first {MOST} objects"));
                break;
            }
        }
        if found.is_empty() {
            return Err(Exit::usage(format!("{url} has no objects that are not empty")));
        }
        Ok(found)
    }

    fn request_log(&self) -> Result<RequestLog, Exit> {
        match &self.out {
            Some(out) if self.requests => RequestLog::create(&out.join("requests.jsonl")),
            _ => Ok(RequestLog(None)),
        }
    }

    /// Runs the workers until the limit is reached or somebody interrupts.
    async fn phase(
        &self,
        store: &Store,
        plan: &Plan,
        scope: &Scope,
        limit: Limit,
        what: &str,
        bed: &mut Bed,
    ) -> Done {
        let begun = Instant::now();
        let tickets = Arc::new(Tickets { taken: AtomicU64::new(0), limit, begun });
        let workers: Vec<_> = (0..self.concurrency)
            .map(|_| {
                let (store, tickets) = (store.clone(), Arc::clone(&tickets));
                tokio::spawn(worker(store, plan.work(), tickets, scope.child("worker")))
            })
            .collect();
        let handles: Vec<_> = workers.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        let all = futures_util::future::join_all(workers);
        let mut all = Box::pin(progress::shown(bed.show, || tickets.told(what, self.op), all));
        let mut done = Done::default();
        let results = tokio::select! {
            results = &mut all => results,
            () = bed.signals.next() => {
                done.interrupted = true;
                handles.iter().for_each(tokio::task::AbortHandle::abort);
                all.await
            }
        };
        done.elapsed = begun.elapsed();
        for worker in results {
            let worker = match worker {
                Ok(worker) => worker,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Aborted by an interrupt.
                Err(_) => continue,
            };
            done.failed += worker.failed;
            done.first_error = done.first_error.or(worker.first_error);
            done.bytes += worker.bytes;
            done.times.extend(worker.times);
            done.attributed.extend(worker.attributed);
        }
        done
    }
}

/// What a run has beside it.
struct Bed {
    client: Client,
    signals: Signals,
    show: Show,
    log: RequestLog,
}

/// What a phase came to.
#[derive(Debug, Default)]
struct Done {
    elapsed: Duration,
    failed: u64,
    first_error: Option<storescope::Error>,
    bytes: u64,
    times: Vec<f64>,
    attributed: Vec<f32>,
    retries: u64,
    interrupted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    Count(u64),
    Duration(Duration),
}

/// Reads still to be made.
#[derive(Debug)]
struct Tickets {
    taken: AtomicU64,
    limit: Limit,
    begun: Instant,
}

impl Tickets {
    fn take(&self) -> bool {
        let taken = self.taken.fetch_add(1, Relaxed);
        match self.limit {
            Limit::Count(count) => taken < count,
            Limit::Duration(duration) => self.begun.elapsed() < duration,
        }
    }

    fn told(&self, what: &str, op: Op) -> String {
        let (taken, word) = (self.taken.load(Relaxed), op.word());
        match self.limit {
            Limit::Count(count) => format!("{what}: {} of {count} {word}s", taken.min(count)),
            Limit::Duration(duration) => format!(
                "{what}: {taken} {word}s, {:.0} of {:.0} s",
                self.begun.elapsed().as_secs_f64(),
                duration.as_secs_f64()
            ),
        }
    }
}

/// What is read, or written.
#[derive(Clone, Debug)]
enum Plan {
    Reads(Arc<Reads>),
    Puts(Arc<Puts>),
}

/// New objects of these bytes, by numbers behind this prefix of their names.
#[derive(Debug)]
struct Puts {
    below: String,
    bytes: Bytes,
    next: AtomicU64,
}

/// A worker's part of a plan.
#[derive(Debug)]
enum Work {
    Read(Walk),
    Write(Arc<Puts>),
}

impl Plan {
    fn gets(bench: &Bench, objects: Vec<(String, u64)>) -> Plan {
        Plan::Reads(Reads::new(bench.pattern, bench.size, bench.seed, objects))
    }

    fn puts(bench: &Bench, below: &str) -> Plan {
        let mut bytes = vec![0; bench.size as usize];
        fastrand::Rng::with_seed(bench.seed).fill(&mut bytes);
        let (below, bytes) = (below.to_owned(), bytes.into());
        Plan::Puts(Arc::new(Puts { below, bytes, next: AtomicU64::new(0) }))
    }

    fn work(&self) -> Work {
        match self {
            Plan::Reads(reads) => Work::Read(Walk::new(reads)),
            Plan::Puts(puts) => Work::Write(Arc::clone(puts)),
        }
    }
}

impl Work {
    /// Reads, or writes an object: so many bytes.
    async fn step(&mut self, store: &Store) -> storescope::Result<u64> {
        match self {
            Work::Read(walk) => walk.step(store).await,
            Work::Write(puts) => {
                let name = format!("{}{}", puts.below, puts.next.fetch_add(1, Relaxed));
                store.put(&name, puts.bytes.clone(), PutOptions::new()).await?;
                Ok(puts.bytes.len() as u64)
            }
        }
    }
}

#[derive(Debug, Default)]
struct Worked {
    failed: u64,
    first_error: Option<storescope::Error>,
    /// Bytes that were read or written.
    bytes: u64,
    /// What each read or write took, in seconds.
    times: Vec<f64>,
    /// Of each read or write of one attempt: the part of the caller's wall time that its phases account for.
    attributed: Vec<f32>,
}

async fn worker(store: Store, mut work: Work, tickets: Arc<Tickets>, scope: Scope) -> Worked {
    let phases = Arc::new(Phases::default());
    let seen = Arc::clone(&phases);
    scope.observe(move |event| seen.note(event));
    let store = store.with_scope(&scope);
    let mut worked = Worked::default();
    while tickets.take() {
        phases.begin();
        let begun = Instant::now();
        match work.step(&store).await {
            Ok(bytes) => {
                let elapsed = begun.elapsed();
                worked.bytes += bytes;
                worked.times.push(elapsed.as_secs_f64());
                worked.attributed.extend(phases.share_of(elapsed));
            }
            Err(error) => {
                worked.failed += 1;
                worked.first_error.get_or_insert(error);
            }
        }
    }
    worked
}

/// Removes what was written.
async fn remove(store: &Store, plan: &Plan) -> Ended {
    let Plan::Puts(puts) = plan else { return Ok(()) };
    let (below, written) = (puts.below.clone(), puts.next.load(Relaxed));
    let names = stream::iter(0..written).map(move |number| format!("{below}{number}")).boxed();
    let mut removed = store.delete_many(names);
    while let Some((_, result)) = removed.next().await {
        match result {
            Err(error) if !error.is_not_found() => {
                return Err(Exit::from(error).about("what the bench wrote is still there"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the attempts of one worker's read or write under way have measured.
#[derive(Debug, Default)]
struct Phases {
    attempts: AtomicU64,
    attributed: AtomicU64,
}

impl Phases {
    fn begin(&self) {
        self.attempts.store(0, Relaxed);
        self.attributed.store(0, Relaxed);
    }

    fn note(&self, event: &AttemptEvent<'_>) {
        let sum: u64 = Phase::PARTS.iter().filter_map(|phase| event.phase_ns(*phase)).sum();
        self.attempts.fetch_add(1, Relaxed);
        self.attributed.fetch_add(sum, Relaxed);
    }

    fn share_of(&self, wall: Duration) -> Option<f32> {
        let one = self.attempts.load(Relaxed) == 1;
        one.then(|| (self.attributed.load(Relaxed) as f64 / wall.as_nanos() as f64) as f32)
    }
}

/// `requests.jsonl`: each attempt by its client request id, to be compared with the server's own record.
#[derive(Clone, Debug)]
struct RequestLog(Option<Arc<Mutex<BufWriter<File>>>>);

impl RequestLog {
    fn create(path: &Path) -> Result<RequestLog, Exit> {
        let file = File::create(path)
            .map_err(|e| Exit::usage(format!("cannot write {}: {e}", path.display())))?;
        Ok(RequestLog(Some(Arc::new(Mutex::new(BufWriter::new(file))))))
    }

    fn watch(&self, scope: &Scope, operation: Operation, warmup: bool) {
        let Some(log) = self.0.clone() else { return };
        scope.observe(move |event| {
            if event.operation != operation {
                return;
            }
            let line = serde_json::json!({
                "client_request_id": event.client_request_id.to_string(),
                "outcome": event.outcome.as_str(),
                "ttfb_ns": event.phase_ns(Phase::Ttfb),
                "total_ns": event.total_ns,
                "warmup": warmup,
            });
            // A full disk is told when the log is flushed at the end.
            let _ = writeln!(log.lock().expect("no holder panics"), "{line}");
        });
    }

    fn flush(&self) -> Ended {
        match &self.0 {
            Some(log) => Ok(log.lock().expect("no holder panics").flush()?),
            None => Ok(()),
        }
    }
}
