// SPDX-License-Identifier: Apache-2.0
//! `storescope bench`: calls of a store, measured after a warm-up.
//!
//! ```text
//!  mod        options                          outcome  tables for people      save  the run's files
//!  sweep      cells, one after another         target   the store              stock  objects that calls work on
//!  drive      a phase: warm-up or measuring    phase    how it is seen from outside
//!  workers    closed loop · open loop          feed · pacer · arrivals         when calls begin
//!  caller     makes a call                     pattern                         reads by patterns
//!  recorder   what calls came to               late · log                      how long behind · requests.jsonl
//!  sources    which call is next               mix · grid                      weights · values that are swept
//!  task       one call                         config_file · replay · replaying    stages of a file · a trace
//!  stage      when phases begin and end        rules    steady enough, known enough
//!  processes · several   many processes        live     the view on a terminal
//! ```
//!
//! Closed loop: `--concurrency` workers, each with one call under way. Open loop (`--rate`): calls begin at times that are
//! computed beforehand, however the store answers, and response times count from there. The warm-up goes before, in a scope
//! of its own; what is told is the measured part alone. What was written is removed at the end, also after a signal.

mod arrivals;
mod caller;
mod config_file;
mod drive;
mod feed;
mod grid;
mod late;
mod live;
mod log;
mod mix;
mod outcome;
mod pacer;
mod pattern;
mod phase;
mod processes;
mod recorder;
mod replay;
mod replaying;
mod rules;
mod save;
mod several;
mod sources;
mod stage;
mod stock;
mod sweep;
mod target;
mod task;
mod workers;

use crate::child::Server;
use crate::exit::{Ended, Exit};
use crate::progress::note;
use crate::session::Signals;
use crate::settings::Settings;
use clap::{Args, ValueEnum};
use config_file::ConfigOptions;
use grid::Values;
use log::RequestLog;
use mix::Mix;
use pattern::Pattern;
use processes::{Led, ProcessOptions};
use replay::{ReplayOptions, Trace};
use rules::{Until, Warmup};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use storescope::config::{parse_duration, parse_size};
use storescope::{Client, StoreUrl};
use storescope_emulator::Ready;
use storescope_instrument::Arrivals;
use sweep::{Sweep, Swept};
use target::Target;
use task::Op;

/// Measure calls of a store: percentiles of response times and of the time to the first byte, the share of each phase.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[command(after_help = "Examples:
  storescope bench --emulator s3-standard
  storescope bench --emulator s3-standard --s3 --op put --size 1MiB
  storescope bench oci://lake@ns/big.root --size 1MiB --concurrency 16 --duration 30s
  storescope bench s3://lake/2026/ --size 64KiB --count 20000 --out run1       all objects below
  storescope bench s3://lake/2026/ --rate 200 --arrivals poisson               open loop: 200 calls a second begin
  storescope bench s3://lake/2026/ --size 16KiB,64KiB..32MiB --concurrency 1..64   a sweep: one table, one run
  storescope bench s3://lake/scratch/ --op get=70,put=20,head=10 --prepare 1000    a mix, on objects made for it
  storescope bench oci://lake@ns/2026/ --pattern parquet --count 100           each read a query of 3 of 20 columns
  storescope bench oci://lake@ns/scratch/ --op put --size 8MiB                 new objects below, removed at the end
  storescope bench s3://lake/2026/ --warmup stable --until p50:1%,p99:5%       until it is known so well
  storescope bench s3://lake/2026/ --rate 20k --processes 4                    one process is not fast enough
  storescope bench s3://lake/2026/ --worker 1/2 --start-at 2026-03-01T12:00:00Z --out host1   merged by `merge`
  storescope bench --config nightly.toml --emulator s3-standard                stages of a file
  storescope bench --trace job.trace --emulator model.toml --speed 4           replay what a program did

A file of --config (TOML; YAML has the same fields):

  [prepare]
  objects = 200
  sizes = [{ size = \"64KiB\", weight = 9 }, { size = \"8MiB\", weight = 1 }]

  [[stage]]
  mix = { get = 70, put = 20, list = 10 }
  size = \"64KiB\"
  rate = 200
  warmup = \"5s\"
  duration = \"30s\"

run1/run.json holds what is printed by --json, run1/run.hlog the histograms (HdrHistogram log, values in ns),
run1/report.html both, to look at.")]
pub(crate) struct Bench {
    #[command(flatten)]
    config: ConfigOptions,

    /// An object, or a prefix of objects (ending in /); where objects are written, the prefix they go below.
    #[arg(required_unless_present_any = ["emulator", "config"], conflicts_with = "emulator")]
    url: Option<StoreUrl>,

    /// Start an emulator with this latency model (a name, or a TOML file) and measure that.
    #[arg(long, value_name = "MODEL")]
    emulator: Option<String>,

    /// With --emulator: by its S3 API.
    #[arg(long)]
    s3: bool,

    /// What is called: get, put, head, list (one page of names), delete, copy, multipart (a write by parts), or a mix by
    /// weights.
    #[arg(long, value_name = "OP|OP=WEIGHT,...", default_value = "get")]
    op: Mix,

    /// With --emulator: the file to upload and read.
    #[arg(long, value_name = "FILE", conflicts_with = "prepare")]
    upload: Option<PathBuf>,

    /// Make so many objects beforehand, and work on these: below the URL's prefix. They are removed at the end.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    prepare: Option<u64>,

    /// The size of objects that are made beforehand; without it, that of the calls (of one object that an emulator's
    /// reads share: 64 MiB).
    #[arg(long, value_parser = parse_size)]
    object_size: Option<u64>,

    /// Bytes of a read or write; smaller objects are read whole (not of a whole pattern: `parquet`, `root`). Swept where
    /// there are several: 16KiB,64KiB..32MiB; a range doubles.  [default: 64KiB; multipart: four parts]
    #[arg(long, value_name = "SIZES", value_parser = grid::sizes)]
    size: Option<Values<u64>>,

    /// Calls under way at a time; with --rate, at most. Swept where there are several: 1..64.  [default: 8; with --rate:
    /// 1024]
    #[arg(long, value_name = "NUMBERS", value_parser = grid::concurrencies)]
    concurrency: Option<Values<u32>>,

    /// Open loop: begin so many calls a second, whether or not earlier ones have ended. Response times count from when a
    /// call was to begin. Swept where there are several: 10,20..160, 2k.
    #[arg(long, value_name = "RATES", value_parser = grid::rates)]
    rate: Option<Values<f64>>,

    /// With --rate: how calls are spread over time.
    #[arg(long, value_enum, default_value = "constant", requires = "rate")]
    arrivals: Spread,

    /// What is read. All but `random` go through the reading engine, whose requests are as many and as large as it
    /// finds right; `parquet` and `root` read a whole pattern at a time, and --size is nothing to them.
    #[arg(long, value_enum, default_value = "random")]
    pattern: Pattern,

    /// Whether connections are kept for the next call, or each request opens one of its own.
    #[arg(long, value_enum, default_value = "reused")]
    connections: Connections,

    /// Measure for so long (each cell of a sweep); with --until, at most.  [default: 10s; with --until: 10m; a trace is
    /// replayed to its end]
    #[arg(long, value_parser = some_time, conflicts_with = "count")]
    duration: Option<Duration>,

    /// Measure so many calls (in each cell of a sweep).
    #[arg(long)]
    count: Option<u64>,

    /// Measure until the 95 % intervals of these quantiles of the response time are narrower than these parts of them, but
    /// no longer than --duration. Needs 24 s at least.
    #[arg(long, value_name = "p50:1%,p99:5%", conflicts_with = "count")]
    until: Option<Until>,

    /// The warm-up, not measured: so many calls, so long, or until `stable`: of the last ten windows of 2 s (4 s where
    /// calls are few), both halves have medians and rates within 5 % of each other and 90th percentiles within 10 %, and
    /// none of them rises or falls throughout; 22 s at least, 60 s at most.  [default: eight calls a worker, or a second of
    /// an open loop]
    #[arg(long, value_name = "COUNT|TIME|stable")]
    warmup: Option<Warmup>,

    /// Seed of offsets, mix, arrivals and data, and of the emulator's draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Check each byte that is read, of objects that --prepare made, or that `bench --op put --keep` wrote with this
    /// --seed. A wrong byte is a failed call.
    #[arg(long)]
    verify_data: bool,

    /// Keep what was written.
    #[arg(long)]
    keep: bool,

    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,

    /// Write run.json, run.hlog and report.html into this folder; or one page alone (it holds the run, too), where it ends
    /// in .html.
    #[arg(long, value_name = "DIR|FILE.html")]
    out: Option<PathBuf>,

    /// With --out DIR: requests.jsonl, too, one line an attempt. With --processes, by --keep-parts.
    #[arg(long, requires = "out")]
    requests: bool,

    #[command(flatten)]
    replay: ReplayOptions,

    #[command(flatten)]
    processes: ProcessOptions,

    /// Sizes of the objects that are made beforehand, where a file says them.
    #[arg(skip)]
    prepared_sizes: Option<Arc<[u64]>>,

    /// Behind the URL's prefix, where a file says it.
    #[arg(skip)]
    below: Option<String>,
}

/// How long is measured where nothing else is said.
const DURATION: Duration = Duration::from_secs(10);
/// How long at most until quantiles are known well enough.
const MOST_UNTIL: Duration = Duration::from_mins(10);

/// How an open loop's calls are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Spread {
    /// One every 1/rate seconds.
    Constant,
    /// At random, independent of each other.
    Poisson,
}

/// Whether connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Connections {
    Reused,
    New,
}

impl Bench {
    pub(crate) fn run(mut self, settings: &Settings) -> Ended {
        if let Some(part) = &self.processes.part {
            self.out = Some(part.clone());
        }
        let trace = self.trace()?;
        let stages = self.stages()?;
        let bench = &stages[0];
        stages.iter().try_for_each(Bench::check)?;
        if let Some(out) = &bench.out {
            save::check(out)?;
        }
        match bench.processes.leads() {
            Some(count) => several::lead(&stages, count, settings),
            None => Bench::measure(&stages, trace, settings),
        }
    }

    /// Measures the stages, one after another, in this process.
    fn measure(stages: &[Bench], trace: Option<Trace>, settings: &Settings) -> Ended {
        let bench = &stages[0];
        let start_at =
            bench.processes.start_at.map(|at| at.moment(SystemTime::now())).transpose()?;
        let log = bench.request_log()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = bench.client(stages, settings)?;
        let is_led = bench.processes.led.is_some();
        let server = if is_led { None } else { bench.server()? };
        let swept = runtime.block_on(async {
            let signals = Signals::listen()?;
            let led =
                if is_led { Some(Led::meet(several::interrupt_this_process).await?) } else { None };
            let ready = led.as_ref().map_or(server.as_ref().map(Server::ready), Led::emulator);
            let target = bench.target(&client, ready)?;
            let sweep = Sweep {
                bench,
                stages,
                start_at,
                trace,
                owns_written: false,
                part_size: parse_size(&settings.text_of("part_size")).unwrap_or(u64::MAX),
                client: client.clone(),
                signals,
                show: settings.progress(),
                log: log.clone(),
                stock: bench.stock(&target, settings.progress()),
                target,
                led,
            };
            sweep.run().await
        });
        let ended = swept.and_then(|swept| bench.told(swept));
        settings.save(&client)?;
        ended.and(log.flush())
    }

    fn server(&self) -> Result<Option<Server>, Exit> {
        self.emulator.as_deref().map(|model| Server::start(model, self.seed)).transpose()
    }

    /// The trace that is replayed; its calls are what this bench calls.
    fn trace(&mut self) -> Result<Option<Trace>, Exit> {
        let Some(file) = &self.replay.trace else { return Ok(None) };
        let trace = Trace::read(file, self.replay.trace_level)?;
        self.op = Mix::counted(trace.mix());
        Ok(Some(trace))
    }

    /// How long is measured, at most.
    fn duration(&self) -> Duration {
        self.duration.unwrap_or(if self.until.is_some() { MOST_UNTIL } else { DURATION })
    }

    /// Refuses what makes no sense together.
    fn check(&self) -> Ended {
        let usage = |what: &str| Err(Exit::usage(what));
        if self.emulator.is_none() && (self.s3 || self.upload.is_some()) {
            return usage("--s3 and --upload are of --emulator");
        }
        if self.pattern != Pattern::Random && self.op.single() != Some(Op::Get) {
            return usage("--pattern is of reads alone: --op get");
        }
        if self.verify_data && (!self.op.has(Op::Get) || self.pattern != Pattern::Random) {
            return usage(
                "--verify-data is of plain reads: --op get, or a mix with it, and --pattern random",
            );
        }
        self.check_files()?;
        let made = self.prepare.is_some() || self.emulator.is_some() || self.op.has(Op::Delete);
        if self.object_size.is_some() && !made {
            return usage("--object-size is of objects that are made: --prepare, or --emulator");
        }
        let works_on = [Op::Get, Op::Head, Op::List, Op::Copy, Op::Delete];
        if self.prepare.is_some() && !self.op.has_any(&works_on) {
            return usage("--prepare is nothing to writes of new objects");
        }
        let most = self.concurrencies().iter().min().unwrap_or(1);
        self.processes.check(most, self.count)?;
        if self.replay.trace.is_some() && self.concurrencies().len() > 1 {
            return usage("--trace is replayed with one --concurrency");
        }
        let cells = self.cells();
        if cells > grid::MOST {
            return Err(Exit::usage(format!(
                "{cells} cells are more than the {} of a run: sweep less at a time",
                grid::MOST
            )));
        }
        Ok(())
    }

    /// Refuses files that would be written nowhere.
    fn check_files(&self) -> Ended {
        let wants_folder = self.requests || self.processes.keep_parts;
        if wants_folder && self.out.as_deref().is_some_and(save::is_page) {
            return Err(Exit::usage(
                "--requests and --keep-parts need a folder: --out names a page",
            ));
        }
        if self.requests && self.processes.leads().is_some() && !self.processes.keep_parts {
            return Err(Exit::usage(
                "the requests of --processes are kept with their parts: give --keep-parts, too",
            ));
        }
        Ok(())
    }

    /// How many cells it has.
    fn cells(&self) -> usize {
        let rates = self.rate.as_ref().map_or(1, Values::len);
        self.sizes(0).len() * self.concurrencies().len() * rates
    }

    /// The sizes of calls; without any, four parts where all is written by parts.
    fn sizes(&self, part_size: u64) -> Values<u64> {
        let default = match self.op.single() {
            Some(Op::Multipart) => part_size.saturating_mul(4),
            _ => 64 << 10,
        };
        self.size.clone().unwrap_or_else(|| Values::one(default))
    }

    fn concurrencies(&self) -> Values<u32> {
        let is_open =
            self.rate.is_some() || self.replay.trace.is_some() && !self.replay.as_fast_as_it_goes;
        let default = if is_open { 1_024 } else { 8 };
        self.concurrency.clone().unwrap_or_else(|| Values::one(default))
    }

    fn arrivals(&self) -> Option<Arrivals> {
        self.rate.as_ref().map(|_| match self.arrivals {
            Spread::Constant => Arrivals::Constant,
            Spread::Poisson => Arrivals::Poisson,
        })
    }

    /// A client that has a connection for each call, or one for each request.
    fn client(&self, stages: &[Bench], settings: &Settings) -> Result<Client, Exit> {
        let mut config = settings.config()?;
        let most =
            stages.iter().filter_map(|stage| stage.concurrencies().iter().max()).max().unwrap_or(1);
        if settings.text_of("max_connections").parse::<u32>().is_ok_and(|limit| limit < most) {
            config.set("max_connections", &most.to_string())?;
        }
        if self.connections == Connections::New {
            config.set("idle_timeout", "0s")?;
        }
        let client = Client::builder().config(config).build()?;
        if let Some(at) = client.metrics_address() {
            note(&format!("storescope: metrics at http://{at}/metrics"));
        }
        Ok(client)
    }

    fn target(&self, client: &Client, emulator: Option<&Ready>) -> Result<Target, Exit> {
        let mut target = self.target_itself(client, emulator)?;
        if let Some(below) = &self.below {
            let key = format!("{}{below}", crate::place::prefix(target.url.key()));
            target.url = target.url.with_key(&key);
        }
        Ok(target)
    }

    fn target_itself(&self, client: &Client, emulator: Option<&Ready>) -> Result<Target, Exit> {
        let Some(ready) = emulator else {
            let url = self.url.as_ref().expect("clap or the file requires it, or the emulator");
            return Target::of_url(client, url);
        };
        let file = self.upload.as_ref().and_then(|file| file.file_name()?.to_str());
        let name = if self.shares_one_object() { file.unwrap_or("object") } else { "" };
        Target::of_emulator(client, ready, name, self.s3)
    }

    /// Whether all calls are reads of one object that is made in the emulator.
    fn shares_one_object(&self) -> bool {
        self.emulator.is_some()
            && self.prepare.is_none()
            && self.replay.trace.is_none()
            && self.op.single() == Some(Op::Get)
    }

    fn stock(&self, target: &Target, show: crate::progress::Show) -> stock::Stock {
        let folder = stock::Folder::new(target.url.key());
        stock::Stock { store: target.store.clone(), folder, seed: self.seed, show }
    }

    fn request_log(&self) -> Result<RequestLog, Exit> {
        match &self.out {
            Some(out) if self.requests => RequestLog::create(&out.join("requests.jsonl")),
            _ => Ok(RequestLog::none()),
        }
    }

    /// Prints and keeps what was measured; what it ended with.
    fn told(&self, swept: Swept) -> Ended {
        if let (Some(_), Some(part)) = (self.processes.led, &self.out) {
            return save::write_run(&swept.run, part).and(swept.verdict(self.op.words().1));
        }
        let saved = self.out.as_deref().map_or(Ok(()), |out| save::write(&swept.run, out));
        let printed = if self.json {
            outcome::print_json(&swept.run)
        } else {
            outcome::print(&swept.run, self.op.words())
        };
        saved.and(printed.map_err(Exit::from)).and(swept.verdict(self.op.words().1))
    }
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time.is_zero() { Err("a measurement takes some time".to_owned()) } else { Ok(time) }
}
