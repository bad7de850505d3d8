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
mod walk;

pub(crate) use plan::objects;

use crate::Ended;
use crate::place::{self, Place};
use crate::session;
use crate::settings::Settings;
use crate::tally::Tally;
use carry::{Carrier, How};
use clap::Args;
use futures_util::StreamExt;
use plan::Plan;
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
  storescope cp -r oci://lake@ns/a s3://b/a --oci-region iad --s3-endpoint https://s3.example --s3-region eu
  pg_dump db | storescope cp - s3://backup/db.sql          standard input, of any length
  storescope cp oci://lake@ns/notes.txt - | less")]
#[command(after_long_help = "Examples:
  storescope cp table.parquet oci://lake@ns/2026/          becomes 2026/table.parquet
  storescope cp oci://lake@ns/2026/table.parquet .
  storescope cp -r results oci://lake@ns/runs/17           results/a.csv becomes runs/17/a.csv
  storescope cp -r oci://lake@ns/runs/17 s3://archive/runs/17
  storescope cp -r oci://lake@ns/a s3://b/a --oci-region iad --s3-endpoint https://s3.example --s3-region eu
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

    /// One JSON object a line for each file, and one for the sum.
    #[arg(long)]
    json: bool,
}

impl Cp {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        let how = How {
            content_type: self.content_type,
            metadata: self.metadata,
            no_clobber: self.no_clobber,
            force: self.force,
            moving: false,
        };
        let tally = Tally::new("copied", self.json);
        run(settings, plan(self.places, self.recursive), how, self.concurrency, tally)
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

    /// One JSON object a line for each file, and one for the sum.
    #[arg(long)]
    json: bool,
}

impl Mv {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        if self.places.iter().any(|place| matches!(place, Place::Standard)) {
            return Err(crate::exit::Exit::usage("a stream is copied, not moved: see `cp`"));
        }
        let how = How { no_clobber: self.no_clobber, moving: true, ..How::default() };
        let tally = Tally::new("moved", self.json);
        run(settings, plan(self.places, self.recursive), how, self.concurrency, tally)
    }
}

fn plan(mut places: Vec<Place>, recursive: bool) -> Plan {
    let target = places.pop().expect("clap asks for two at least");
    Plan { sources: places, target, recursive }
}

fn run(settings: &Settings, plan: Plan, how: How, concurrency: u32, tally: Tally) -> Ended {
    plan.check()?;
    if matches!(plan.target, Place::Standard) && tally.is_json() {
        return Err(crate::exit::Exit::usage(
            "--json and the object would both go to standard output",
        ));
    }
    if plan.recursive || plan.sources.len() > 1 {
        tally.expect_many();
    }
    let moving = how.moving;
    let tally = Arc::new(tally);
    let carrier = Carrier::new(how, &tally);
    session::run_told(settings, &tally, async |client: &Client| {
        // In one task, so that a signal drops all of it at once.
        let jobs = plan.jobs(client).await?;
        let carried = jobs.take_while(|_| std::future::ready(!carrier.is_hopeless())).map(|step| {
            let carrier = &carrier;
            async move {
                match step {
                    Ok(job) => carrier.carry(job).await,
                    Err((name, exit)) => carrier.refuse(&name, exit),
                }
            }
        });
        carried.buffer_unordered(concurrency as usize).for_each(std::future::ready).await;
        if moving && plan.recursive && tally.is_clean() {
            for source in &plan.sources {
                if let Place::Local(folder) = source {
                    carry::remove_emptied(folder);
                }
            }
        }
        Ok(())
    })
}

fn parse_item(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no NAME=VALUE")),
    }
}
