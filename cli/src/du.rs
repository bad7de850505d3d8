// SPDX-License-Identifier: Apache-2.0
//! `du`: how many objects and bytes are below a name, folder by folder.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::figures::size;
use crate::filter::Filter;
use crate::listing::objects;
use crate::names::{Meant, Names};
use crate::place::{prefix, relative, root, url_of};
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::future::ready;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use storescope::{Client, ObjectMeta, Store, StoreUrl};

/// Count the bytes and objects below a name, by folder: one request for a thousand objects.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope du oci://lake@ns/                   the folders of a bucket, and all of it
  storescope du -s -H s3://lake/2026/            one line, 1.2 GB
  storescope du --depth 2 s3://lake/ --json      one JSON object a line: url, bytes, objects
  storescope du 's3://lake/2026-*'               what is in the folders that match
  storescope du s3://lake/ --include '*.parquet'

A line is bytes, objects, URL; the last line of each URL is its sum. Noncurrent versions and
unfinished uploads (`storescope uploads`) are not counted.")]
pub(crate) struct Du {
    /// Buckets, folders, objects, or patterns.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<StoreUrl>,

    /// Folders so many levels down get a line of their own; deeper ones count in them.
    #[arg(long, default_value_t = 1, value_name = "LEVELS")]
    depth: usize,

    /// Only the sum: --depth 0.
    #[arg(short, long, conflicts_with = "depth")]
    summarize: bool,

    /// Sizes such as 1.2 GB.
    #[arg(short = 'H', long, conflicts_with = "json")]
    human: bool,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    filter: Filter,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    bytes: u64,
    objects: u64,
}

impl Du {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    async fn count(&self, client: &Client, url: &StoreUrl) -> Ended {
        let store = root(client, url)?;
        let (folder, mut found) = self.found(client, &store, url).await?;
        let mut sums = Sums::new(if self.summarize { 0 } else { self.depth });
        while let Some(meta) = found.try_next().await? {
            sums.add(relative(&meta.key, &folder)?, meta.size);
        }
        let mut out = BufWriter::new(io::stdout().lock());
        for (name, amount) in &sums.folders {
            self.write(&mut out, &url_of(&store, &format!("{folder}{name}")), *amount)?;
        }
        self.write(&mut out, &url.to_string(), sums.whole)?;
        Ok(out.flush()?)
    }

    /// What a URL means, and the folder that the names of its lines are relative to.
    async fn found(
        &self,
        client: &Client,
        store: &Store,
        url: &StoreUrl,
    ) -> Result<(String, BoxStream<'static, Result<ObjectMeta, Exit>>), Exit> {
        let folder = match self.names.meant(client, url, true, false).await? {
            Meant::Pattern(pattern) => {
                let folder = pattern.folder().to_owned();
                return Ok((folder, pattern.chosen(store, true, &self.filter)));
            }
            Meant::Name => prefix(url.key()),
        };
        let mut below = Box::pin(objects(store, &folder).peekable());
        if below.as_mut().peek().await.is_none() && !folder.is_empty() {
            let object = store.head(url.key()).await?;
            return Ok((url.key().to_owned(), stream::iter([Ok(object)]).boxed()));
        }
        let (filter, top) = (self.filter.clone(), folder.clone());
        let below = below.map_err(Exit::from);
        let taken = below.try_filter_map(move |meta| ready(filter.chosen(meta, &top)));
        Ok((folder, taken.boxed()))
    }

    fn write(&self, out: &mut impl Write, url: &str, amount: Amount) -> io::Result<()> {
        let Amount { bytes, objects } = amount;
        if self.json {
            let line = json!({ "url": url, "bytes": bytes, "objects": objects });
            return writeln!(out, "{}", escape::json(&line));
        }
        let bytes = if self.human { size(bytes as f64) } else { bytes.to_string() };
        writeln!(out, "{bytes:>16}  {objects:>10}  {}", escape::name(url))
    }
}

impl Work for Du {
    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        for url in &self.urls {
            self.count(client, url).await?;
        }
        Ok(())
    }
}

/// The sums of a tree: of all of it, and of its folders down to a level.
struct Sums {
    depth: usize,
    whole: Amount,
    folders: BTreeMap<String, Amount>,
}

impl Sums {
    fn new(depth: usize) -> Sums {
        Sums { depth, whole: Amount::default(), folders: BTreeMap::new() }
    }

    fn add(&mut self, name: &str, bytes: u64) {
        self.whole.add(bytes);
        for (at, _) in name.match_indices('/').take(self.depth) {
            match self.folders.get_mut(&name[..=at]) {
                Some(folder) => folder.add(bytes),
                None => {
                    self.folders.insert(name[..=at].to_owned(), Amount { bytes, objects: 1 });
                }
            }
        }
    }
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.objects += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeper_folders_count_in_those_above() {
        for (depth, expected) in [
            (0, &[][..]),
            (1, &[("a/", 6, 3), ("b/", 8, 1)][..]),
            (2, &[("a/", 6, 3), ("a/x/", 5, 2), ("b/", 8, 1)][..]),
        ] {
            let mut sums = Sums::new(depth);
            for (name, bytes) in [("a/1", 1), ("a/x/2", 2), ("a/x/y/3", 3), ("b/", 8), ("c", 16)] {
                sums.add(name, bytes);
            }
            assert_eq!(sums.whole, Amount { bytes: 30, objects: 5 });
            let folders = sums.folders.iter().map(|(name, sum)| (&**name, sum.bytes, sum.objects));
            assert_eq!(folders.collect::<Vec<_>>(), expected);
        }
    }
}
