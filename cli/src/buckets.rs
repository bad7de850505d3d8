// SPDX-License-Identifier: Apache-2.0
//! `mb`, `rb`: buckets.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use storescope::{Client, ErrorKind, StoreOptions, StoreUrl};

/// Make a bucket. On OCI it is made in the compartment of the settings, else in the tenancy's root.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope mb oci://lake@ns
  storescope mb oci://lake --compartment ocid1.compartment.oc1..example
  storescope mb s3://lake --region eu-central-1")]
pub(crate) struct Mb {
    /// The bucket.
    url: StoreUrl,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,

    /// Of a file of commands that is only rehearsed.
    #[arg(skip)]
    dry_run: bool,
}

impl Mb {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Makes nothing, and says what would be made.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }
}

impl Work for Mb {
    fn check(&self) -> Ended {
        check(&self.url)
    }

    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        if self.dry_run {
            return would(self.json, "make", &self.url);
        }
        match client.create_bucket(&self.url, StoreOptions::new()).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Exit::failed(format!("{} exists already", self.url)));
            }
            made => made?,
        }
        told(self.json, "made", &self.url)
    }
}

/// Remove a bucket. It must be empty: `storescope rm -r URL --yes` removes its objects, `storescope uploads URL --abort
/// --older-than 0s` what uploads have left in it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  storescope rb oci://scratch@ns")]
pub(crate) struct Rb {
    /// The bucket.
    url: StoreUrl,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,

    /// Of a file of commands that is only rehearsed.
    #[arg(skip)]
    dry_run: bool,
}

impl Rb {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// Removes nothing, and says what would be removed.
    pub(crate) fn rehearse(&mut self) {
        self.dry_run = true;
    }
}

impl Work for Rb {
    fn check(&self) -> Ended {
        check(&self.url)
    }

    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        if self.dry_run {
            return would(self.json, "remove", &self.url);
        }
        client.delete_bucket(&self.url, StoreOptions::new()).await?;
        told(self.json, "removed", &self.url)
    }
}

fn check(url: &StoreUrl) -> Ended {
    if url.bucket().is_none() || !url.key().is_empty() {
        return Err(Exit::usage(format!("{url} is no bucket: oci://NAME@NAMESPACE or s3://NAME")));
    }
    Ok(())
}

fn would(json: bool, what: &str, url: &StoreUrl) -> Ended {
    let (url, mut out) = (url.to_string(), std::io::stdout().lock());
    if json {
        let result = format!("would_{what}");
        writeln!(out, "{}", escape::json(&json!({ result: url })))?;
    } else {
        writeln!(out, "{what} {}", escape::name(&url))?;
    }
    Ok(())
}

fn told(json: bool, what: &str, url: &StoreUrl) -> Ended {
    if json {
        let line = json!({ "result": what, "bucket": url.to_string() });
        writeln!(std::io::stdout(), "{}", escape::json(&line))?;
    }
    Ok(())
}
