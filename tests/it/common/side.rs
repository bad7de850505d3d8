// SPDX-License-Identifier: Apache-2.0
//! Either API of an emulator, and one test for both.

use crate::common::{self, BUCKET, World, client, emulator, impatient, store_at};
use futures_util::TryStreamExt;
use storescope::{Client, PutOptions, Store};
use storescope_emulator::{Action, Emulator, Fault};

pub(crate) const PART: usize = 5 << 20;

/// Either API of an emulator, in a hurry, with the smallest parts.
pub(crate) struct Side {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) emulator: Emulator,
    /// How a target of the API says that it is a part's, the end of an upload, and so on.
    pub(crate) s3: bool,
}

impl Side {
    pub(crate) fn oci() -> Side {
        let World { store, client, emulator } =
            World::with(|config| impatient(config, 4).part_size(PART as u64));
        Side { store, client, emulator, s3: false }
    }

    #[cfg(feature = "s3")]
    pub(crate) fn s3() -> Side {
        let emulator = emulator();
        let config = impatient(common::s3_config(&emulator), 4).part_size(PART as u64);
        let client = client(config);
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        Side { store, client, emulator, s3: true }
    }

    /// Does the next request of this kind, and loses the answer.
    pub(crate) fn lose(&self, method: &str, target: &str) {
        let fault = Fault::new(Action::DropResponse).method(method).contains(target);
        self.emulator.fault(fault.nth(1));
    }

    /// The next request of this kind never arrives.
    pub(crate) fn reset(&self, method: &str, target: &str) {
        self.emulator.fault(Fault::new(Action::Reset).method(method).contains(target).nth(1));
    }

    pub(crate) async fn write(
        &self,
        key: &str,
        bytes: &[u8],
        options: PutOptions,
    ) -> storescope::Result<()> {
        let mut writer = self.store.writer(key, options);
        writer.write(bytes.to_vec()).await?;
        writer.finish().await.map(|_| ())
    }

    pub(crate) fn part(&self) -> (&'static str, &'static str) {
        if self.s3 { ("PUT", "partNumber=") } else { ("PUT", "uploadPartNum=") }
    }

    /// Method and target of an upload's first request.
    pub(crate) fn begin(&self) -> (&'static str, &'static str) {
        if self.s3 { ("POST", "?uploads") } else { ("POST", "/u") }
    }

    pub(crate) async fn nothing_is_left(&self) {
        let uploads: Vec<_> = self.store.uploads("").try_collect().await.unwrap();
        assert!(uploads.is_empty(), "{uploads:?}");
    }

    pub(crate) fn count(&self, method: &str, target: &str) -> usize {
        let is_it = |line: &&storescope_emulator::RecordLine| {
            line.method == method && line.target.contains(target)
        };
        self.emulator.record().iter().filter(is_it).count()
    }
}

/// The same test of both APIs.
macro_rules! on_both {
    ($($name:ident,)+) => {
        mod oci {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::common::side::Side::oci()).await;
            })+
        }

        #[cfg(feature = "s3")]
        mod s3 {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::common::side::Side::s3()).await;
            })+
        }
    };
}
pub(crate) use on_both;
