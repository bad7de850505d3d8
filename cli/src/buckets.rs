// SPDX-License-Identifier: Apache-2.0
//! `mb`, `rb`: buckets.

use crate::Ended;
use crate::escape;
use crate::exit::Exit;
use crate::session;
use crate::settings::Settings;
use clap::Args;
use serde_json::json;
use std::io::Write;
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
}

impl Mb {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        let url = bucket(&self.url)?;
        session::run(settings, async |client: &Client| {
            match client.create_bucket(&url, StoreOptions::new()).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(Exit::failed(format!("{url} exists already")));
                }
                made => made?,
            }
            told(self.json, "made", &url)
        })
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
}

impl Rb {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        let url = bucket(&self.url)?;
        session::run(settings, async |client: &Client| {
            client.delete_bucket(&url, StoreOptions::new()).await?;
            told(self.json, "removed", &url)
        })
    }
}

fn bucket(url: &StoreUrl) -> Result<StoreUrl, Exit> {
    if url.bucket().is_none() || !url.key().is_empty() {
        return Err(Exit::usage(format!("{url} is no bucket: oci://NAME@NAMESPACE or s3://NAME")));
    }
    Ok(url.clone())
}

fn told(json: bool, what: &str, url: &StoreUrl) -> Ended {
    if json {
        let line = json!({ "result": what, "bucket": url.to_string() });
        writeln!(std::io::stdout(), "{}", escape::json(&line))?;
    }
    Ok(())
}
