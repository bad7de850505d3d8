// SPDX-License-Identifier: Apache-2.0
//! The store that is measured: the one of a URL, or an emulator's.

use crate::exit::Exit;
use crate::place::root;
use storescope::{Client, Scheme, Store, StoreOptions, StoreUrl};
use storescope_emulator::Ready;

/// A store, and the part of it that is measured.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: StoreUrl,
    /// The whole bucket: names are in full.
    pub(super) store: Store,
}

impl Target {
    /// A bucket that is there.
    pub(super) fn of_url(client: &Client, url: &StoreUrl) -> Result<Target, Exit> {
        if url.bucket().is_none() && url.scheme() != Scheme::File {
            return Err(Exit::usage(format!("{url} names no bucket")));
        }
        Ok(Target { url: url.clone(), store: root(client, url)? })
    }

    /// The emulator's bucket, by one of its APIs, and an object or prefix in it.
    pub(super) fn of_emulator(
        client: &Client,
        ready: &Ready,
        name: &str,
        s3: bool,
    ) -> Result<Target, Exit> {
        let (url, options) = match (&ready.s3, s3) {
            (Some(s3), true) => {
                let options = StoreOptions::new()
                    .set("endpoint", &s3.endpoint)
                    .set("region", &s3.region)
                    .set("access_key_id", &s3.access_key_id)
                    .set("secret_access_key", &s3.secret_access_key);
                (format!("s3://demo/{name}"), options)
            }
            (None, true) => return Err(Exit::usage("built without S3: --s3 cannot be used")),
            (_, false) => {
                let options = StoreOptions::new()
                    .set("endpoint", &ready.oci.endpoint)
                    .set("config_file", &ready.oci.config_file)
                    .set("profile", &ready.oci.profile);
                (format!("oci://demo@{}/{name}", ready.oci.namespace), options)
            }
        };
        let url: StoreUrl = url.parse()?;
        let store = client.store(&url.with_key(""), options)?;
        Ok(Target { url, store })
    }
}
