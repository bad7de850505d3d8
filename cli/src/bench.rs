// SPDX-License-Identifier: Apache-2.0
//! `storescope bench`: ranged reads of objects, measured after a warm-up.
//!
//! Closed loop: `--concurrency` workers, each with one read under way. The warm-up goes before, in a scope of its own;
//! what is told is the measured part alone.

use crate::Ended;
use crate::child::Server;
use crate::exit::Exit;
use crate::report::{Attributed, Run};
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use futures_util::StreamExt;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use storescope::config::{parse_duration, parse_size};
use storescope::timing::{AttemptEvent, Operation, Phase, Scope};
use storescope::{
    Client, GetOptions, ListEntry, ListOptions, PutOptions, Store, StoreOptions, StoreUrl,
};

/// Measure ranged reads: percentiles of the time to the first byte and of whole requests, the share of each phase.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard
  storescope bench oci://lake@ns/big.root --size 1MiB --concurrency 16 --duration 30s
  storescope bench oci://lake@ns/2026/ --size 64KiB --count 20000 --out run1   all objects below

run1/run.json holds what is printed by --json, run1/run.hlog the histograms (HdrHistogram log, values in ns).")]
pub(crate) struct Bench {
    /// An object, or a prefix of objects (ending in /).
    #[arg(required_unless_present = "emulator", conflicts_with = "emulator")]
    url: Option<StoreUrl>,

    /// Start an emulator with this latency model (a name, or a TOML file) and measure that.
    #[arg(long, value_name = "MODEL")]
    emulator: Option<String>,

    /// With --emulator: the file to upload and read; without it, --object-size of random bytes.
    #[arg(long, value_name = "FILE", requires = "emulator")]
    upload: Option<PathBuf>,

    /// With --emulator: the size of the object that is made.
    #[arg(long, value_parser = parse_size, default_value = "64MiB")]
    object_size: u64,

    /// Bytes of a read.
    #[arg(long, value_parser = parse_size, default_value = "64KiB")]
    size: u64,

    /// Reads under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,

    /// Where the reads go: anywhere, or one behind the other.
    #[arg(long, value_enum, default_value = "random")]
    pattern: Pattern,

    /// Measure for so long.
    #[arg(long, value_parser = parse_duration, default_value = "10s", conflicts_with = "count")]
    duration: Duration,

    /// Measure so many reads.
    #[arg(long)]
    count: Option<u64>,

    /// Reads of the warm-up, not measured; without it, eight a worker.
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
enum Pattern {
    Random,
    Sequential,
}

impl Bench {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out)
                .map_err(|e| Exit::usage(format!("cannot make {}: {e}", out.display())))?;
        }
        let server =
            self.emulator.as_deref().map(|model| Server::start(model, self.seed)).transpose()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = settings.client()?;
        let ended = runtime.block_on(self.measure(&client, server.as_ref()));
        settings.save(&client)?;
        ended
    }

    async fn measure(&self, client: &Client, server: Option<&Server>) -> Ended {
        let (url, store) = self.open(client, server)?;
        if server.is_some() {
            self.upload(&store, url.key()).await?;
        }
        let objects = self.objects(&store, &url).await?;
        let log = self.request_log()?;
        let plan = Arc::new(Plan::new(self, objects));

        let warmup = Scope::new("warmup");
        log.watch(&warmup, true);
        let reads = self.warmup.unwrap_or(u64::from(self.concurrency) * 8);
        if self.phase(&store, &plan, &warmup, Limit::Count(reads), "warm-up").await.interrupted {
            return Err(Exit::interrupted());
        }

        let scope = Scope::new("bench");
        log.watch(&scope, false);
        let limit = self.count.map_or(Limit::Duration(self.duration), Limit::Count);
        let done = self.phase(&store, &plan, &scope, limit, "measuring").await;
        log.flush()?;

        let run = Run {
            url: url.to_string(),
            model: self.emulator.clone(),
            size: self.size,
            concurrency: self.concurrency,
            pattern: if self.pattern == Pattern::Random { "random" } else { "sequential" },
            seed: self.seed,
            elapsed: done.elapsed,
            failed_calls: done.failed,
            first_error: done.first_error,
            attributed: Attributed::new(done.attributed),
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
        let (url, options) = match (server, &self.url) {
            (Some(server), _) => {
                let oci = &server.ready().oci;
                let name = match &self.upload {
                    Some(file) => {
                        file.file_name().and_then(|name| name.to_str()).unwrap_or("object")
                    }
                    None => "object",
                };
                let url: StoreUrl = format!("oci://demo@{}/{name}", oci.namespace).parse()?;
                let options = StoreOptions::new()
                    .set("endpoint", &oci.endpoint)
                    .set("config_file", &oci.config_file)
                    .set("profile", &oci.profile);
                (url, options)
            }
            (None, Some(url)) => (url.clone(), StoreOptions::new()),
            (None, None) => unreachable!("clap requires one of the two"),
        };
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
        note(&format!("uploading {key}, {} bytes", bytes.len()));
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
                note(&format!("reading the first {MOST} objects"));
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
        plan: &Arc<Plan>,
        scope: &Scope,
        limit: Limit,
        what: &str,
    ) -> Done {
        let begun = Instant::now();
        let tickets = Arc::new(Tickets { taken: AtomicU64::new(0), limit, begun });
        let workers: Vec<_> = (0..self.concurrency)
            .map(|_| {
                let (store, plan, tickets) =
                    (store.clone(), Arc::clone(plan), Arc::clone(&tickets));
                let scope = scope.child("worker");
                tokio::spawn(worker(store, plan, tickets, scope))
            })
            .collect();
        let handles: Vec<_> = workers.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        let mut all = Box::pin(futures_util::future::join_all(workers));
        let mut done = Done::default();
        let results = tokio::select! {
            results = &mut all => results,
            () = interrupted() => {
                done.interrupted = true;
                handles.iter().for_each(tokio::task::AbortHandle::abort);
                all.await
            }
            () = progress(&tickets, what) => unreachable!("progress is told until the work ends"),
        };
        done.elapsed = begun.elapsed();
        clear_progress();
        for worker in results {
            let worker = match worker {
                Ok(worker) => worker,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Aborted by an interrupt.
                Err(_) => continue,
            };
            done.failed += worker.failed;
            done.first_error = done.first_error.or(worker.first_error);
            done.attributed.extend(worker.attributed);
        }
        done
    }
}

/// What a phase came to.
#[derive(Debug, Default)]
struct Done {
    elapsed: Duration,
    failed: u64,
    first_error: Option<storescope::Error>,
    attributed: Vec<f32>,
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
}

/// Where the reads go.
#[derive(Debug)]
struct Plan {
    objects: Vec<(String, u64)>,
    size: u64,
    pattern: Pattern,
    next: AtomicU64,
    random: Mutex<fastrand::Rng>,
}

impl Plan {
    fn new(bench: &Bench, objects: Vec<(String, u64)>) -> Plan {
        Plan {
            objects,
            size: bench.size.max(1),
            pattern: bench.pattern,
            next: AtomicU64::new(0),
            random: Mutex::new(fastrand::Rng::with_seed(bench.seed)),
        }
    }

    /// The next read: name and range.
    fn next(&self) -> (&str, std::ops::Range<u64>) {
        match self.pattern {
            Pattern::Random => {
                let mut random = self.random.lock().expect("no holder panics");
                let (key, size) = &self.objects[random.usize(..self.objects.len())];
                let start = random.u64(..=size.saturating_sub(self.size));
                (key, start..(start + self.size).min(*size))
            }
            Pattern::Sequential => {
                let number = self.next.fetch_add(1, Relaxed);
                // Each object's parts in turn, then the next object's, then from the front again.
                let parts = |size: &u64| size.div_ceil(self.size);
                let all: u64 = self.objects.iter().map(|(_, size)| parts(size)).sum();
                let mut part = number % all;
                for (key, size) in &self.objects {
                    if part < parts(size) {
                        let start = part * self.size;
                        return (key, start..(start + self.size).min(*size));
                    }
                    part -= parts(size);
                }
                unreachable!("the part is below the sum of all")
            }
        }
    }
}

#[derive(Debug, Default)]
struct Worked {
    failed: u64,
    first_error: Option<storescope::Error>,
    /// Of each read of one attempt: the part of the caller's wall time that its phases account for.
    attributed: Vec<f32>,
}

async fn worker(store: Store, plan: Arc<Plan>, tickets: Arc<Tickets>, scope: Scope) -> Worked {
    let phases = Arc::new(Phases::default());
    let seen = Arc::clone(&phases);
    scope.observe(move |event| seen.note(event));
    let store = store.with_scope(&scope);
    let mut worked = Worked::default();
    while tickets.take() {
        let (key, range) = plan.next();
        phases.begin();
        let begun = Instant::now();
        let read = async { store.get(key, GetOptions::new().range(range)).await?.bytes().await };
        match read.await {
            Ok(_) => worked.attributed.extend(phases.share_of(begun.elapsed())),
            Err(error) => {
                worked.failed += 1;
                worked.first_error.get_or_insert(error);
            }
        }
    }
    worked
}

/// What the attempts of one worker's read under way have measured.
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

    fn watch(&self, scope: &Scope, warmup: bool) {
        let Some(log) = self.0.clone() else { return };
        scope.observe(move |event| {
            if event.operation != Operation::Get {
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

/// Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Tells how far it has got, on a terminal, from the second second on.
async fn progress(tickets: &Tickets, what: &str) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    loop {
        if std::io::stderr().is_terminal() {
            let taken = tickets.taken.load(Relaxed);
            let of = match tickets.limit {
                Limit::Count(count) => format!("{taken} of {count} reads"),
                Limit::Duration(duration) => {
                    format!(
                        "{taken} reads, {:.0} of {:.0} s",
                        tickets.begun.elapsed().as_secs_f64(),
                        duration.as_secs_f64()
                    )
                }
            };
            eprint!("\r{what}: {of}   ");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r{:60}\r", "");
    }
}

fn note(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("{text}");
    }
}
