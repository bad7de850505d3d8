// SPDX-License-Identifier: Apache-2.0
//! `rm`: objects by name, and what is below a name.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::filter::Filter;
use crate::listing::objects;
use crate::names::{Meant, Names};
use crate::place::{last, prefix, root, url_of};
use crate::removal::remove;
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use std::future::ready;
use std::io::Write;
use std::sync::Arc;
use storescope::{Client, DeleteOptions, ObjectMeta, Store, StoreUrl};

/// Remove objects. With -r, all whose names begin with NAME/, by as few requests as the store takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  storescope rm oci://lake@ns/notes.txt
  storescope rm -r oci://lake@ns/2025/              2025/…; 2025.txt and 2025b/… stay
  storescope rm -r oci://lake@ns/2025/ --dry-run    only tell which
  storescope rm -r s3://scratch/ --yes              all objects of a bucket
  storescope rm 's3://lake/tmp/*.csv' --dry-run     names that match: * stays in its folder, ** does not
  storescope rm -r s3://lake/logs/ --exclude '*.gz'
  storescope rm --raw 's3://lake/what?.txt'         the name as it is written

If a pattern is also the name of an object, and other names match it, nothing is removed: --raw
means that object. A pattern that begins with a wildcard may match every name and needs --yes. With
-r, a pattern also removes what is below the folders that match.

With -r and nothing below NAME/, the object NAME is removed. An object that is not there is an error where the store
tells (S3 does not). Uploads that were never ended are not objects: see `storescope uploads`.")]
pub(crate) struct Rm {
    /// Objects, patterns, or (with -r) names with more below them.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<StoreUrl>,

    /// All objects below.
    #[arg(short, long)]
    recursive: bool,

    /// Yes, all objects of the bucket.
    #[arg(short, long)]
    yes: bool,

    /// Print what would be removed, one URL a line, and remove nothing.
    #[arg(long)]
    dry_run: bool,

    /// One JSON object a line for each object, and one for the sum.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    filter: Filter,
}

impl Rm {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Removes nothing, and says what would be removed.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }

    /// Removes what one URL means.
    async fn meant(&self, store: &Store, key: &str, meant: Meant, tally: &Tally) -> Ended {
        match meant {
            Meant::Pattern(pattern) => {
                let found = pattern.chosen(store, self.recursive, &self.filter);
                self.all(store, found, tally).await
            }
            Meant::Name if self.recursive && self.below(store, key, tally).await? => Ok(()),
            Meant::Name if !self.filter.takes(last(key).unwrap_or_default()) => Ok(()),
            Meant::Name => self.one(store, key, tally).await,
        }
    }

    async fn one(&self, store: &Store, key: &str, tally: &Tally) -> Ended {
        if self.dry_run {
            let meta = store.head(key).await?;
            return self.would(store, &meta.key, meta.size);
        }
        let name = json!({ "name": url_of(store, key) });
        match store.delete(key, DeleteOptions::new()).await {
            Ok(()) => tally.done(name),
            Err(error) => tally.failed(error.into(), name),
        }
        Ok(())
    }

    /// Whether there was something below.
    async fn below(&self, store: &Store, key: &str, tally: &Tally) -> Result<bool, Exit> {
        let below = prefix(key);
        let mut found = Box::pin(objects(store, &below).peekable());
        if found.as_mut().peek().await.is_none() {
            return Ok(key.is_empty());
        }
        let filter = self.filter.clone();
        let found = found.map_err(Exit::from);
        let taken = found.try_filter_map(move |meta| ready(filter.chosen(meta, &below)));
        self.all(store, taken.boxed(), tally).await?;
        Ok(true)
    }

    /// Removes what is found, or says what would be removed.
    async fn all(
        &self,
        store: &Store,
        mut found: BoxStream<'static, Result<ObjectMeta, Exit>>,
        tally: &Tally,
    ) -> Ended {
        if self.dry_run {
            while let Some(meta) = found.try_next().await? {
                self.would(store, &meta.key, meta.size)?;
            }
            return Ok(());
        }
        remove(store, found.map_ok(|meta| meta.key).boxed(), tally).await
    }

    fn would(&self, store: &Store, key: &str, size: u64) -> Ended {
        let (url, mut out) = (url_of(store, key), std::io::stdout().lock());
        if self.json {
            let line = json!({ "would_remove": url, "size": size });
            writeln!(out, "{}", escape::json(&line))?;
        } else {
            writeln!(out, "{}", escape::name(&url))?;
        }
        Ok(())
    }
}

impl Work for Rm {
    fn check(&self) -> Ended {
        for url in &self.urls {
            if let Some(pattern) = self.names.pattern(url)? {
                if pattern.is_of_whole_bucket() && !self.yes && !self.dry_run {
                    return Err(Exit::usage(format!(
                        "{url} may match every object of the bucket: say --yes to remove them, or --dry-run to see them"
                    )));
                }
                continue;
            }
            if !url.key().is_empty() {
                continue;
            }
            if !self.recursive {
                return Err(Exit::usage(format!(
                    "{url} names no object: -r removes what is in a bucket, `rb` an empty bucket"
                )));
            }
            if !self.yes && !self.dry_run {
                return Err(Exit::usage(format!(
                    "{url} is a whole bucket: say --yes to remove every object in it, or --dry-run to see them"
                )));
            }
        }
        Ok(())
    }

    fn tally(&self) -> Option<Tally> {
        let tally = Tally::new("removed", self.json);
        let mut patterns = self.urls.iter().map(|url| self.names.pattern(url));
        let is_many =
            self.recursive || self.urls.len() > 1 || patterns.any(|it| !matches!(it, Ok(None)));
        if !self.dry_run && is_many {
            tally.expect_many();
        }
        Some(tally)
    }

    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended {
        // What can be refused is refused before anything is removed.
        let mut all = Vec::new();
        for url in &self.urls {
            let meant = self.names.meant(client, url, self.recursive, true).await?;
            all.push((root(client, url)?, url.key(), meant));
        }
        for (store, key, meant) in all {
            match self.meant(&store, key, meant, tally).await {
                // The others are removed all the same.
                Err(exit) if exit.is_missing() && self.urls.len() > 1 => {
                    tally.failed(exit, json!({ "name": url_of(&store, key) }));
                }
                ended => ended?,
            }
        }
        Ok(())
    }
}
