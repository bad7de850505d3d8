// SPDX-License-Identifier: Apache-2.0
//! `storescope bench`: ranged reads of objects, or writes of new ones, measured after a warm-up.
//!
//! Closed loop: `--concurrency` workers, each with one read or write under way. The warm-up goes before, in a scope of its
//! own; what is told is the measured part alone. What was written is removed at the end, also after a signal.

mod child;
mod log;
mod outcome;
mod pattern;
mod plan;
mod worker;

use crate::exit::{Ended, Exit};
use crate::place::root;
use crate::progress::{self, Show};
use crate::session::Signals;
use crate::settings::Settings;
use bytes::Bytes;
use child::Server;
use clap::Args;
use futures_util::StreamExt;
use log::RequestLog;
use outcome::{Attributed, Run};
use pattern::{Pattern, Reads};
use plan::{Op, Plan};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storescope::config::{parse_duration, parse_size};
use storescope::timing::Scope;
use storescope::{
    Client, ListEntry, ListOptions, PutOptions, Scheme, Store, StoreOptions, StoreUrl,
};
use worker::{Limit, Tickets, worker};

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
            let plan = Plan::puts(self.size, self.seed, &below);
            let measured = self.phases(&store, &plan, bed).await;
            let removed = plan::remove(&store, &plan).await;
            self.told(&url.with_key(&below), measured?)?;
            return removed;
        }
        if server.is_some() {
            self.upload(&store, url.key()).await?;
        }
        let objects = self.objects(&store, &url).await?;
        let plan = Plan::Reads(Reads::new(self.pattern, self.size, self.seed, objects));
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
            reads: (!self.is_plain()).then(|| outcome::Reads::new(done.bytes, done.times)),
            attributed: Attributed::new(if self.is_plain() { done.attributed } else { Vec::new() }),
            snapshot: scope.snapshot(),
        };
        if let Some(out) = &self.out {
            run.write(out)?;
        }
        if self.json {
            writeln!(std::io::stdout(), "{}", crate::escape::json_lines(&run.json()))?;
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
            _ => Ok(RequestLog::none()),
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
        let tickets = Arc::new(Tickets::new(limit));
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
