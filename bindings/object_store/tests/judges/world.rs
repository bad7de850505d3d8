// SPDX-License-Identifier: Apache-2.0
//! An emulator, stores of its bucket by either API, with the right key or a wrong one, and what its record says.

use storescope::config::Secret;
use storescope::{Client, Config, Store, StoreOptions};
use storescope_emulator::{Emulator, RecordLine};

const BUCKET: &str = "bucket";

/// Which API a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Oci,
    S3,
}

/// Which key a store signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Right,
    /// The right ids with another's secret.
    Wrong,
}

pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) emulator: Emulator,
}

impl World {
    pub(crate) fn new(api: Api) -> World {
        World { api, emulator: Emulator::builder().bucket(BUCKET).start().unwrap() }
    }

    /// The whole bucket.
    pub(crate) fn store(&self, key: Key) -> Store {
        self.below("", key)
    }

    /// What is below a prefix.
    pub(crate) fn below(&self, prefix: &str, key: Key) -> Store {
        let bucket = match self.api {
            Api::Oci => format!("oci://{BUCKET}@{}/", self.emulator.ready().oci.namespace),
            Api::S3 => format!("s3://{BUCKET}/"),
        };
        let url = format!("{bucket}{prefix}").parse().unwrap();
        // The parts that object_store's functions hand over are of 5 MiB: the default would gather them into one request.
        let options = StoreOptions::new().set("part_size", "5MiB");
        self.client(key).store(&url, options).unwrap()
    }

    pub(crate) fn client(&self, key: Key) -> Client {
        Client::builder().config(self.config(key)).build().unwrap()
    }

    /// Nothing of this machine's environment reaches the client.
    fn config(&self, key: Key) -> Config {
        let ready = self.emulator.ready();
        match self.api {
            Api::Oci => {
                let config = Config::default()
                    .endpoint(ready.oci.endpoint.clone())
                    .config_file(std::path::PathBuf::from(&ready.oci.config_file));
                if key == Key::Wrong { config.profile("WRONG".to_owned()) } else { config }
            }
            Api::S3 => {
                let s3 = ready.s3.as_ref().expect("the emulator has one");
                let wrong = if key == Key::Wrong { "not" } else { "" };
                Config::default()
                    .endpoint(s3.endpoint.clone())
                    .region(s3.region.clone())
                    .access_key_id(s3.access_key_id.clone())
                    .secret_access_key(Secret::from(format!("{wrong}{}", s3.secret_access_key)))
            }
        }
    }

    /// What a request signed with a wrong key is answered with.
    pub(crate) fn refusal(&self) -> u16 {
        match self.api {
            Api::Oci => 401,
            Api::S3 => 403,
        }
    }

    /// The record since the last call.
    pub(crate) fn take_record(&self) -> Vec<RecordLine> {
        let lines = self.emulator.record();
        self.emulator.admin().clear_record();
        lines
    }
}
