// SPDX-License-Identifier: Apache-2.0
//! `cp` and `mv`: into a store, out of one, between stores.

use crate::copy::{Compare, Copying, How, Plan};
use crate::exit::{Ended, Exit};
use crate::filter::Filter;
use crate::names::Names;
use crate::place::{self, Place};
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
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
  storescope cp oci://lake@ns/notes.txt - | less
  storescope cp 's3://lake/2026/*/part-?.csv' down/        becomes down/11/part-0.csv, ...
  storescope cp -r s3://lake/2026 down --include '*.csv' --dry-run")]
#[command(after_long_help = "Examples:
  storescope cp table.parquet oci://lake@ns/2026/          becomes 2026/table.parquet
  storescope cp oci://lake@ns/2026/table.parquet .
  storescope cp -r results oci://lake@ns/runs/17           results/a.csv becomes runs/17/a.csv
  storescope cp -r oci://lake@ns/runs/17 s3://archive/runs/17
  storescope cp -r oci://lake@ns/a s3://b/a --oci-region iad --s3-endpoint https://s3.example --s3-region eu
  pg_dump db | storescope cp - s3://backup/db.sql          standard input, of any length
  storescope cp oci://lake@ns/notes.txt - | less
  storescope cp 's3://lake/2026/*/part-?.csv' down/        becomes down/11/part-0.csv, ...
  storescope cp -r s3://lake/2026 down --include '*.csv' --dry-run

What a pattern matches keeps its name from the folder of the first wildcard on: * and ? match within
a folder, ** across folders, [a-z] one character. With -r, folders that match are copied, too.

With -r, what is below SOURCE arrives below TARGET; several sources keep their own names there. Two sources with one
target are refused before anything is copied.

With -r, a file that is there already is skipped if it is equal. Sizes that differ, or a checksum that does, are not equal.
Equal are those of one checksum: the MD5 of the listing, or the ETag of S3 where it is the MD5; if the listing does not
decide, the object is asked for its CRC32C. Where there is no checksum to compare, time decides: the source is no newer
than its copy. --checksum copies such a file; --size-only compares sizes alone; --force compares nothing. A target that
may be neither listed nor looked at is copied to. What is copied again is copied from its beginning.

A file that fails does not stop the others: each failure is told, and the exit code is 1. A file that changes while it is
copied is a failure, and its target stays as it was. Links are followed. Names that the file system cannot hold, or that
lead out of the target (.., //, a leading /), are failures. An empty object `name/` becomes a folder; folders without files
become nothing in a store.

A downloaded file takes its name when it is whole and verified; until then it is .storescope-*.part, which -r does not copy.
The content type of a file is guessed from its extension; between stores, content type and user metadata are kept.")]
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

    /// With -r: what has the same size is equal.
    #[arg(long, conflicts_with_all = ["force", "checksum"])]
    size_only: bool,

    /// With -r: only what has the same checksum is equal; time decides nothing.
    #[arg(long, conflicts_with = "force")]
    checksum: bool,

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
            compare: match (self.force, self.size_only, self.checksum) {
                (true, _, _) => Compare::Nothing,
                (_, true, _) => Compare::Size,
                (_, _, true) => Compare::Checksum,
                _ => Compare::ChecksumOrTime,
            },
            moving: false,
            dry_run: self.dry_run,
        };
        let plan = plan(&self.places, self.recursive, &how, self.names, &self.filter);
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
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(override_usage = "storescope mv [OPTIONS] <SOURCE>... <TARGET>")]
#[command(after_help = "Examples:
  storescope mv oci://lake@ns/new/a.csv oci://lake@ns/done/
  storescope mv -r oci://lake@ns/new oci://lake@ns/2026/11
  storescope mv -r results s3://lake/results               the files are removed once they are there
  storescope mv 's3://lake/new/*.csv' s3://lake/done/ --dry-run

A source is removed only after its copy is there, and only if it is still what was copied. What exists is replaced.
Links are not followed: each is a failure, and stays. Two sources with one target are refused before anything is moved.")]
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
            compare: Compare::Nothing,
            moving: true,
            dry_run: self.dry_run,
            ..How::default()
        };
        let plan = plan(&self.places, self.recursive, &how, self.names, &self.filter);
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

fn plan(places: &[Place], recursive: bool, how: &How, names: Names, filter: &Filter) -> Plan {
    let (target, sources) = places.split_last().expect("clap asks for two at least");
    Plan {
        sources: sources.to_vec(),
        target: target.clone(),
        recursive,
        follow_links: !how.moving,
        looks: how.no_clobber || how.compare != Compare::Nothing,
        names,
        filter: filter.clone(),
        of_trees: false,
    }
}

fn parse_item(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no NAME=VALUE")),
    }
}
