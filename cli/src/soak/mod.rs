// SPDX-License-Identifier: Apache-2.0
//! `storescope soak`: mixed calls of both stores of an emulator that injects faults. Every byte that is read is compared
//! with what was written, and the state of every name with what it must be.
//!
//! ```text
//!  mod      options, rounds          told     what is told of a run
//!  check    between two rounds       samples  memory and descriptors, and what counts as flat
//!  reads · writes   operations       worker   names of its own, one operation after another
//!  shared   what workers share       model    what a name may stand for
//!  faults   the faults of a round    admin    the emulator's admin API
//! ```
//!
//! A round: the faults begin · workers do what their seeds draw · the faults end · everything is read and listed without
//! faults · leftovers of failed writes are aborted · memory and descriptors are sampled at rest. All randomness of the
//! workers and of the faults comes from `--seed`; which request meets which fault also depends on how they interleave.

mod admin;
mod check;
mod faults;
mod model;
mod reads;
mod samples;
mod shared;
mod told;
mod worker;
mod writes;

use crate::child::Server;
use crate::exit::{Ended, Exit};
use crate::progress;
use crate::session::Signals;
use crate::settings::Settings;
use admin::Admin;
use clap::Args;
use faults::{Counter, Faults};
use model::Body;
use samples::{Sample, Samples};
use serde_json::Value;
use shared::{Common, Shared, Side, Tally};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storescope::config::parse_duration;
use storescope::{Client, PutOptions, Store, StoreOptions};
use storescope_emulator::Ready;
use tokio::time::Instant;
use told::Told;
use worker::Worker;

/// A round takes a twelfth of the time, within these.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(20);
/// The warm-up takes a fifth of the time, and no longer than this.
const WARMUP: Duration = Duration::from_mins(5);
/// How often the largest figures are looked for while operations are under way.
const LOOK: Duration = Duration::from_millis(250);

/// The settings of the client, beside those of the environment: short waits, small parts, a small budget.
const SETTINGS: [(&str, &str); 6] = [
    ("backoff_base", "20ms"),
    ("backoff_cap", "1s"),
    ("first_byte_timeout", "5s"),
    ("stall_timeout", "5s"),
    ("read_budget", "64MiB"),
    ("part_concurrency", "2"),
];

/// Sizes of the objects that all read: none, one, around the sizes of blocks, and some that are read by several requests.
const COMMON: [u64; 8] =
    [0, 1, 1_000, (64 << 10) - 1, (256 << 10) + 1, 1 << 20, (3 << 20) + 17, (10 << 20) + 3];

/// Mixed calls of both stores of an emulator that injects faults: each byte that is read is compared, the state of each
/// object is checked against a model, memory and descriptors are sampled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope soak                                    two minutes
  storescope soak --duration 1h --seed 7 --json
  storescope serve > ready.json & storescope soak --ready ready.json

Exit code 1: a wrong byte, a wrong state, an error that no injected fault accounts for, something that is still under way or
held at rest, or memory or descriptors that grow. docs/CRASHES.md has the bounds, docs/EMULATOR.md the faults.")]
pub(crate) struct Soak {
    /// How long.
    #[arg(long, default_value = "2m", value_parser = parse_duration)]
    duration: Duration,

    /// Seed of operations, data and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Operations under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,

    /// The ready line of a running `storescope serve`, in a file; without it, one is started. Its faults go on beside
    /// those of the soak.
    #[arg(long, value_name = "FILE")]
    ready: Option<PathBuf>,

    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// The emulator: one that was started for this run, or one that was there.
struct Service {
    ready: Ready,
    admin: Admin,
    /// Stops with it.
    own: Option<Server>,
}

/// A run under way.
struct Run<'a> {
    soak: &'a Soak,
    service: &'a Service,
    shared: Arc<Shared>,
    samples: Arc<Mutex<Samples>>,
    emulator: Samples,
    faults: BTreeMap<&'static str, u64>,
    rounds: u64,
    begun: Instant,
}

impl Soak {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        let mut config = settings.config()?;
        for (name, text) in SETTINGS {
            config.set(name, text)?;
        }
        let service = Service::open(&self)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = Client::builder().config(config).build()?;
        let told = runtime.block_on(self.soak(&client, &service, settings.progress()));
        settings.save(&client)?;
        let (told, interrupted) = told?;
        if self.json {
            told.print_json()?;
        } else {
            told.print()?;
        }
        match told.wrongs() {
            0 if interrupted => Err(Exit::interrupted()),
            0 => Ok(()),
            wrongs => Err(Exit::failed(format!("{wrongs} things are wrong"))),
        }
    }

    /// What it came to, and whether a signal ended it.
    async fn soak(
        &self,
        client: &Client,
        service: &Service,
        show: progress::Show,
    ) -> Result<(Told, bool), Exit> {
        let mut signals = Signals::listen()?;
        let shared = Arc::new(self.prepare(client, &service.ready).await?);
        let counter = Counter::begin(&service.admin)?;
        let heard = Arc::clone(&shared);
        let hearing = tokio::spawn(async move {
            signals.next().await;
            heard.stopped.store(true, Relaxed);
        });
        let mut run = Run {
            soak: self,
            service,
            shared: Arc::clone(&shared),
            samples: Arc::default(),
            emulator: Samples::default(),
            faults: BTreeMap::new(),
            rounds: 0,
            begun: Instant::now(),
        };
        let watching = tokio::spawn(watch(Arc::clone(&shared), Arc::clone(&run.samples)));
        let ended = progress::shown(show, || shared.tally.line(), run.rounds()).await;
        watching.abort();
        hearing.abort();
        ended?;
        let (elapsed, requests) = (run.begun.elapsed(), counter.end()?);
        for side in &shared.sides {
            check::remove(&shared, side).await?;
        }
        Ok((run.told(elapsed, requests), shared.stopped.load(Relaxed)))
    }

    /// Buckets of its own, and the objects in them that all read.
    async fn prepare(&self, client: &Client, ready: &Ready) -> Result<Shared, Exit> {
        let sides = sides(client, ready).await?;
        let mut common = Vec::new();
        for (side, Side { name, store, .. }) in sides.iter().enumerate() {
            for size in COMMON {
                let key = format!("common/{size}");
                let body = Body::new(self.seed, &format!("{name}:{key}"), size);
                put(store, &key, body).await?;
                common.push(Common { side, key, body });
            }
        }
        Ok(Shared {
            client: client.clone(),
            seed: self.seed,
            sides,
            common,
            tally: Tally::default(),
            stopped: AtomicBool::new(false),
        })
    }
}

impl Service {
    fn open(soak: &Soak) -> Result<Service, Exit> {
        let (ready, own) = match &soak.ready {
            None => {
                let server = Server::start("none", soak.seed)?;
                (server.ready().clone(), Some(server))
            }
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).map_err(|e| Exit::cannot("read", file, &e))?;
                let ready = serde_json::from_str(&text).map_err(|e| {
                    Exit::usage(format!("{} holds no ready line: {e}", file.display()))
                })?;
                (ready, None)
            }
        };
        Ok(Service { admin: Admin::at(&ready.admin)?, ready, own })
    }
}

impl Run<'_> {
    async fn rounds(&mut self) -> Ended {
        let mut workers: Vec<Worker> = (0..usize::from(self.soak.workers))
            .map(|number| Worker::new(&self.shared, number))
            .collect();
        let end = self.begun + self.soak.duration;
        let round = (self.soak.duration / 12).clamp(SHORTEST, LONGEST);
        while Instant::now() < end && !self.is_over() {
            self.rounds += 1;
            let faults = Faults::begin(&self.service.admin, self.soak.seed, self.rounds)?;
            workers = at_work(&self.shared, workers, end.min(Instant::now() + round)).await;
            for (name, fired) in faults.end()? {
                *self.faults.entry(name).or_default() += fired;
            }
            check::check(&self.shared, &mut workers).await;
            self.sample()?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shared.stopped.load(Relaxed) || self.shared.tally.is_hopeless()
    }

    /// At rest.
    fn sample(&mut self) -> Ended {
        let warmup = (self.soak.duration / 5).min(WARMUP);
        let is_warm = self.begun.elapsed() >= warmup;
        let take = |samples: &mut Samples, sample| {
            if is_warm { samples.rest(sample) } else { samples.add(sample) }
        };
        let connections = self.shared.client.metrics().connections_open();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut samples, Sample::of("self", connections)?);
        if let Some(server) = &self.service.own {
            take(&mut self.emulator, Sample::of(&server.id().to_string(), 0)?);
            // Its record in memory would grow to its bound.
            self.service.admin.call("DELETE", "/record", &Value::Null)?;
        }
        Ok(())
    }

    fn told(self, elapsed: Duration, requests: u64) -> Told {
        let shared = &self.shared;
        Told {
            seed: shared.seed,
            workers: usize::from(self.soak.workers),
            stores: shared.sides.iter().map(|side| side.name).collect(),
            elapsed,
            rounds: self.rounds,
            requests,
            faults: self.faults,
            counts: shared.tally.counts(),
            totals: shared.client.metrics().totals(),
            client: *self.samples.lock().unwrap_or_else(PoisonError::into_inner),
            emulator: self.service.own.is_some().then_some(self.emulator),
        }
    }
}

/// Lets the workers work, each as a task of its own.
async fn at_work(shared: &Shared, workers: Vec<Worker>, until: Instant) -> Vec<Worker> {
    let tasks: Vec<_> =
        workers.into_iter().map(|worker| tokio::spawn(worker.work(until))).collect();
    let mut back = Vec::new();
    for task in tasks {
        match task.await {
            Ok(worker) => back.push(worker),
            Err(error) => shared.tally.wrong(format!("a worker ended: {error}")),
        }
    }
    back
}

/// Looks for the largest figures until it is aborted.
async fn watch(shared: Arc<Shared>, samples: Arc<Mutex<Samples>>) {
    loop {
        if let Ok(sample) = Sample::of("self", shared.client.metrics().connections_open()) {
            samples.lock().unwrap_or_else(PoisonError::into_inner).add(sample);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A new bucket by each API that the emulator has.
async fn sides(client: &Client, ready: &Ready) -> Result<Vec<Side>, Exit> {
    let name = format!("soak-{:08x}", fastrand::u32(..));
    let oci = &ready.oci;
    let options = StoreOptions::new()
        .set("endpoint", &oci.endpoint)
        .set("config_file", &oci.config_file)
        .set("profile", &oci.profile)
        .set("compartment", &oci.compartment);
    let url = format!("oci://{name}-oci@{}/", oci.namespace);
    let mut sides = vec![side(client, ("oci", &url), options, 256 << 10).await?];
    if let Some(s3) = &ready.s3 {
        let options = StoreOptions::new()
            .set("endpoint", &s3.endpoint)
            .set("region", &s3.region)
            .set("access_key_id", &s3.access_key_id)
            .set("secret_access_key", &s3.secret_access_key);
        // S3 has no smaller parts.
        sides.push(side(client, ("s3", &format!("s3://{name}-s3/")), options, 5 << 20).await?);
    }
    Ok(sides)
}

async fn side(
    client: &Client,
    (name, url): (&'static str, &str),
    options: StoreOptions,
    part_size: u64,
) -> Result<Side, Exit> {
    let options = options.set("part_size", part_size.to_string());
    let url = url.parse()?;
    client.create_bucket(&url, options.clone()).await?;
    Ok(Side { name, store: client.store(&url, options.clone())?, options, part_size })
}

async fn put(store: &Store, key: &str, body: Body) -> Ended {
    let mut writer = store.writer(key, PutOptions::new().size(body.size));
    writer.write(body.bytes()).await?;
    writer.finish().await?;
    Ok(())
}
