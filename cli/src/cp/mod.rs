// SPDX-License-Identifier: Apache-2.0
//! `cp` and `mv`: into a store, out of one, between stores.
//!
//! ```text
//!  command line ─▶ plan    sources and target ─▶ a stream of jobs (walk: files of a tree; listings: names of a prefix)
//!               ─▶ equal   what is there already is skipped
//!               ─▶ carry   the copy itself, `--concurrency` at a time ─▶ tally
//! ```

mod carry;
mod equal;
mod plan;
mod rehearse;
mod walk;

pub(crate) use carry::How;
pub(crate) use plan::{Plan, Target, objects};

use crate::Ended;
use crate::exit::Exit;
use crate::filter::Filter;
use crate::place::{self, Place};
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use crate::wildcard::Names;
use carry::Carrier;
use clap::Args;
use futures_util::StreamExt;
use std::sync::Arc;
use storescope::Client;

/// Copy files and objects: into a store, out of one, between stores. A target that ends in / (or is a folder, or a whole
/// bucket) takes what is copied under its own name; parents are made where they lack.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(override_usage = "storescope cp [OPTIONS] <SOURCE>... <TARGET>")]
#[command(after_help = "Examples:
  storescope cp table.parquet oci://lake@ns/2026/          becomes 2026/table.parquet
  storescope cp oci://lake@ns/2026/table.parquet .
  storescope cp -r results oci://lake@ns/runs/17           results/a.csv becomes runs/17/a.csv
  storescope cp -r oci://lake@ns/runs/17 s3://archive/runs/17
  pg_dump db | storescope cp - s3://backup/db.sql          standard input, of any length
  storescope cp oci://lake@ns/notes.txt - | less")]
#[command(after_long_help = "Examples:
  storescope cp table.parquet oci://lake@ns/2026/          becomes 2026/table.parquet
  storescope cp oci://lake@ns/2026/table.parquet .
  storescope cp -r results oci://lake@ns/runs/17           results/a.csv becomes runs/17/a.csv
  storescope cp -r oci://lake@ns/runs/17 s3://archive/runs/17
  pg_dump db | storescope cp - s3://backup/db.sql          standard input, of any length
  storescope cp oci://lake@ns/notes.txt - | less

With -r, what is below SOURCE arrives below TARGET; several sources keep their own names there. A file that is there
already is skipped if its size and checksum (CRC32C or MD5) are those of the source. Where the store tells no checksum
that can be compared, size and time decide: equal size, and the source no newer than its copy. The rest is copied again
from its beginning; nothing of a broken upload is resumed, and nothing of it is left behind.

A file that fails does not stop the others: each failure is told, and the exit code is 1. Names that the file system
cannot hold, or that lead out of the target (.., //, a leading /), are failures. An empty object `name/` becomes a
folder; folders without files become nothing in a store.

A downloaded file takes its name when it is whole and verified. The content type of a file is guessed from its
extension; between stores, content type and user metadata are kept.")]
pub(crate) struct Cp {
    /// Files, folders (with -r), objects, prefixes (with -r), or - for standard input; then the target, or - for
    /// standard output.
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"], value_parser = place::parser())]
    places: Vec<Place>,

    /// Copy what is below folders and prefixes.
    #[arg(short, long)]
    recursive: bool,

    /// The media type of what is written.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// An item of user metadata; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_item)]
    metadata: Vec<(String, String)>,

    /// Leave what exists as it is.
    #[arg(short, long)]
    no_clobber: bool,

    /// With -r: copy also what is equal.
    #[arg(short, long, conflicts_with = "no_clobber")]
    force: bool,

    /// Copies under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,

    /// Print what would be copied, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// One JSON object a line for each file, and one for the sum.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    filter: Filter,
}

impl Cp {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Writes nothing, and says what would be written.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }

    /// Whether it reads standard input, or writes to standard output.
    pub(crate) fn is_of_standard_streams(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Standard))
    }

    fn copying(&self) -> Copying {
        let how = How {
            content_type: self.content_type.clone(),
            metadata: self.metadata.clone(),
            no_clobber: self.no_clobber,
            force: self.force,
            dry_run: self.dry_run,
            ..How::default()
        };
        let plan = plan(&self.places, self.recursive, self.names, &self.filter);
        Copying { plan, how, concurrency: self.concurrency }
    }
}

impl Work for Cp {
    fn check(&self) -> Ended {
        self.copying().check(self.json)
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.copying().counting(Tally::new("copied", self.json)))
    }

    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended {
        self.copying().run(client, tally, |_| {}).await
    }
}

/// Move files and objects: as `cp`, then the sources are removed. Within a bucket an object is renamed: by one request
/// on OCI, by a copy and a removal on S3.
#[derive(Debug, Args)]
#[command(override_usage = "storescope mv [OPTIONS] <SOURCE>... <TARGET>")]
#[command(after_help = "Examples:
  storescope mv oci://lake@ns/new/a.csv oci://lake@ns/done/
  storescope mv -r oci://lake@ns/new oci://lake@ns/2026/11
  storescope mv -r results s3://lake/results               the files are removed once they are there

A source is removed only after its copy is there, and only if it is still what was copied. What exists is replaced.")]
pub(crate) struct Mv {
    /// Files, folders (with -r), objects, prefixes (with -r); then the target.
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"], value_parser = place::parser())]
    places: Vec<Place>,

    /// Move what is below folders and prefixes.
    #[arg(short, long)]
    recursive: bool,

    /// Leave what exists as it is, and its source, too.
    #[arg(short, long)]
    no_clobber: bool,

    /// Moves under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,

    /// Print what would be moved, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// One JSON object a line for each file, and one for the sum.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    filter: Filter,
}

impl Mv {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Writes nothing, and says what would be moved.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }

    fn copying(&self) -> Copying {
        let how = How {
            no_clobber: self.no_clobber,
            moving: true,
            dry_run: self.dry_run,
            ..How::default()
        };
        let plan = plan(&self.places, self.recursive, self.names, &self.filter);
        Copying { plan, how, concurrency: self.concurrency }
    }
}

impl Work for Mv {
    fn check(&self) -> Ended {
        if self.places.iter().any(|place| matches!(place, Place::Standard)) {
            return Err(Exit::usage("a stream is copied, not moved: see `cp`"));
        }
        self.copying().check(self.json)
    }

    fn tally(&self) -> Option<Tally> {
        Some(self.copying().counting(Tally::new("moved", self.json)))
    }

    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended {
        self.copying().run(client, tally, |_| {}).await
    }
}

fn plan(places: &[Place], recursive: bool, names: Names, filter: &Filter) -> Plan {
    let (target, sources) = places.split_last().expect("clap asks for two at least");
    let (target, sources) = (target.clone(), sources.to_vec());
    Plan { sources, target, recursive, names, filter: filter.clone(), of_trees: false }
}

/// What is to be copied, and how.
#[derive(Debug)]
pub(crate) struct Copying {
    pub(crate) plan: Plan,
    pub(crate) how: How,
    pub(crate) concurrency: u32,
}

impl Copying {
    pub(crate) fn check(&self, json: bool) -> Ended {
        self.plan.check()?;
        if matches!(self.plan.target, Place::Standard) && json {
            return Err(Exit::usage("--json and the object would both go to standard output"));
        }
        Ok(())
    }

    /// The tally, as it suits what is counted.
    pub(crate) fn counting(&self, tally: Tally) -> Tally {
        if self.plan.is_of_many() {
            tally.expect_many();
        }
        tally.rehearsal(self.how.dry_run)
    }

    /// Copies; `seen` is told each target before anything is written there.
    pub(crate) async fn run(
        self,
        client: &Client,
        tally: &Arc<Tally>,
        mut seen: impl FnMut(&Target),
    ) -> Ended {
        let Copying { plan, how, concurrency } = self;
        let (moving, dry_run) = (how.moving, how.dry_run);
        let carrier = Carrier::new(how, tally);
        // In one task, so that a signal drops all of it at once.
        let jobs = plan.jobs(client).await?;
        let carried = jobs.take_while(|_| std::future::ready(!carrier.is_hopeless())).map(|step| {
            if let Ok(job) = &step {
                seen(&job.to);
            }
            let carrier = &carrier;
            async move {
                match step {
                    Ok(job) => carrier.carry(job).await,
                    Err((name, exit)) => carrier.refuse(&name, exit),
                }
            }
        });
        carried.buffer_unordered(concurrency as usize).for_each(std::future::ready).await;
        if moving && !dry_run && plan.recursive && tally.is_clean() {
            for source in &plan.sources {
                if let Place::Local(folder) = source {
                    carry::remove_emptied(folder);
                }
            }
        }
        Ok(())
    }
}

fn parse_item(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no NAME=VALUE")),
    }
}
