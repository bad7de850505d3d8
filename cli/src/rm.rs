// SPDX-License-Identifier: Apache-2.0
//! `rm`: objects by name, and what is below a name.

use crate::Ended;
use crate::cp::objects;
use crate::escape;
use crate::exit::Exit;
use crate::place::{prefix, root, url_of};
use crate::session;
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use storescope::{Client, DeleteOptions, Store, StoreUrl};

/// Remove objects. With -r, all whose names begin with NAME/, by as few requests as the store takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  storescope rm oci://lake@ns/notes.txt
  storescope rm -r oci://lake@ns/2025/              2025/…; 2025.txt and 2025b/… stay
  storescope rm -r oci://lake@ns/2025/ --dry-run    only tell which
  storescope rm -r s3://scratch/ --yes              all objects of a bucket

With -r and nothing below NAME/, the object NAME is removed. An object that is not there is an error where the store
tells (S3 does not). Uploads that were never ended are not objects: see `storescope uploads`.")]
pub(crate) struct Rm {
    /// Objects, or names with more below them.
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
}

impl Rm {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        self.check()?;
        let tally = Arc::new(Tally::new("removed", self.json));
        if !self.dry_run && (self.recursive || self.urls.len() > 1) {
            tally.expect_many();
        }
        session::run_told(settings, &tally, async |client: &Client| {
            for url in &self.urls {
                let store = root(client, url)?;
                if !self.recursive || !self.below(&store, url.key(), &tally).await? {
                    self.one(&store, url.key(), &tally).await?;
                }
            }
            Ok(())
        })
    }

    fn check(&self) -> Result<(), Exit> {
        for url in &self.urls {
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
        if self.dry_run {
            while let Some(meta) = found.try_next().await? {
                self.would(store, &meta.key, meta.size)?;
            }
            return Ok(true);
        }
        // A listing that breaks ends the names; why is told behind the results of those that came.
        let broken = Arc::new(Mutex::new(None));
        let told = Arc::clone(&broken);
        let keys = stream::unfold(found, move |mut found| {
            let told = Arc::clone(&told);
            async move {
                match found.next().await? {
                    Ok(meta) => Some((meta.key, found)),
                    Err(error) => {
                        *told.lock().expect("no holder panics") = Some(error);
                        None
                    }
                }
            }
        });
        let mut removed = store.delete_many(keys.boxed());
        while let Some((key, result)) = removed.next().await {
            let name = json!({ "name": url_of(store, &key) });
            match result {
                Ok(()) => tally.done(name),
                // Somebody else was faster: it is gone.
                Err(error) if error.is_not_found() => tally.skipped("gone", name),
                Err(error) => tally.failed(error.into(), name),
            }
        }
        let broken = broken.lock().expect("no holder panics").take();
        broken.map_or(Ok(true), |error| Err(error.into()))
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
