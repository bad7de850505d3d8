// SPDX-License-Identifier: Apache-2.0
//! `uploads`: writes by parts that were begun and never ended.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::figures::{parse_age, rfc3339};
use crate::place::{root, url_of};
use crate::session;
use crate::settings::Settings;
use clap::Args;
use futures_util::TryStreamExt;
use serde_json::json;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};
use storescope::{Client, Store, StoreUrl, Upload};

/// List uploads by parts that were begun and never ended: what a process that was killed leaves. Their parts are stored,
/// and cost, until they are aborted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope uploads oci://lake@ns/                            when each was begun, and of what
  storescope uploads oci://lake@ns/ --abort --older-than 1d
  storescope uploads s3://lake/2026/ --json

An upload that is still under way looks the same as one that was left: --abort asks for an age, and 0s means all.")]
pub(crate) struct Uploads {
    /// A bucket, or a prefix of names.
    url: StoreUrl,

    /// Abort them: their parts are removed. Prints those that were.
    #[arg(long, requires = "older_than")]
    abort: bool,

    /// Only those that were begun so long ago, such as 1d or 12h.
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<Duration>,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Uploads {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        if self.url.bucket().is_none() {
            return Err(Exit::usage(format!("{} names no bucket", self.url)));
        }
        session::run(settings, async |client: &Client| {
            let store = root(client, &self.url)?;
            let mut uploads = store.uploads(self.url.key());
            let mut failed = None;
            while let Some(upload) = uploads.try_next().await? {
                if !self.is_meant(&upload) {
                    continue;
                }
                if self.abort {
                    match store.abort_upload(&upload).await {
                        Err(error) if !error.is_not_found() => {
                            crate::progress::note(&format!(
                                "storescope: {}",
                                escape::line(&error.to_string())
                            ));
                            failed = Some(());
                            continue;
                        }
                        _ => {}
                    }
                }
                self.write(&store, &upload)?;
            }
            failed.map_or(Ok(()), |()| Err(Exit::failed("some uploads could not be aborted")))
        })
    }

    fn is_meant(&self, upload: &Upload) -> bool {
        let Some(least) = self.older_than else { return true };
        // One whose age the store does not tell is meant by 0s alone.
        let age = upload.begun.and_then(|begun| SystemTime::now().duration_since(begun).ok());
        age.unwrap_or_default() >= least
    }

    fn write(&self, store: &Store, upload: &Upload) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let begun = upload.begun.map(rfc3339);
        if self.json {
            let line = json!({
                "name": upload.key,
                "url": url_of(store, &upload.key),
                "id": upload.id,
                "begun": begun,
                "aborted": self.abort,
            });
            return writeln!(out, "{}", escape::json(&line));
        }
        let aborted = if self.abort { "aborted  " } else { "" };
        let (id, key) = (escape::name(&upload.id), escape::name(&upload.key));
        writeln!(out, "{aborted}{:20}  {id}  {key}", begun.unwrap_or_default())
    }
}
