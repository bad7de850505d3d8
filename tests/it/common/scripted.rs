// SPDX-License-Identifier: Apache-2.0
//! A client of a server whose answers a test gives, by either API.

use crate::common::server::{Asked, scripted};
use crate::common::{BUCKET, client, config, impatient, s3_config, store_at};
use futures_util::{StreamExt, TryStreamExt};
use std::sync::{Arc, Mutex};
use storescope::{
    Client, CopyOptions, DeleteOptions, GetOptions, ListEntry, ListOptions, ObjectMeta, PutOptions,
    RenameOptions, Result, Store, StoreOptions, Upload, UploadedPart,
};
use storescope_emulator::Emulator;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Oci,
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "asked with the feature alone"))]
    S3,
}

#[cfg(feature = "s3")]
pub(crate) const APIS: [Api; 2] = [Api::Oci, Api::S3];
#[cfg(not(feature = "s3"))]
pub(crate) const APIS: [Api; 1] = [Api::Oci];

impl Api {
    /// Every operation by its name in the API.
    pub(crate) fn operations(self) -> &'static [&'static str] {
        match self {
            Api::Oci => &[
                "GetNamespace",
                "ListBuckets",
                "CreateBucket",
                "DeleteBucket",
                "ListObjects",
                "GetObject",
                "HeadObject",
                "PutObject",
                "DeleteObject",
                "RenameObject",
                "CopyObject",
                "GetWorkRequest",
                "ListWorkRequestErrors",
                "BatchDeleteObjects",
                "CreateMultipartUpload",
                "UploadPart",
                "CommitMultipartUpload",
                "AbortMultipartUpload",
                "ListMultipartUploads",
            ],
            Api::S3 => &[
                "ListBuckets",
                "CreateBucket",
                "DeleteBucket",
                "ListObjectsV2",
                "GetObject",
                "HeadObject",
                "PutObject",
                "DeleteObject",
                "CopyObject",
                "DeleteObjects",
                "CreateMultipartUpload",
                "UploadPart",
                "UploadPartCopy",
                "CompleteMultipartUpload",
                "AbortMultipartUpload",
                "ListMultipartUploads",
            ],
        }
    }

    pub(crate) fn url(self, key: &str) -> String {
        match self {
            Api::Oci => format!("oci://{BUCKET}@ns/{key}"),
            Api::S3 => format!("s3://{BUCKET}/{key}"),
        }
    }
}

/// A client of a scripted server, and what the server was asked.
pub(crate) struct At {
    pub(crate) api: Api,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) seen: Arc<Mutex<Vec<Asked>>>,
}

impl At {
    pub(crate) fn new(
        api: Api,
        emulator: &Emulator,
        answer: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static,
    ) -> At {
        let (endpoint, seen) = scripted(answer);
        let config = match api {
            Api::Oci => config(emulator).region("us-ashburn-1".to_owned()),
            Api::S3 => s3_config(emulator).copy_part_size(5_u64 << 20),
        };
        let client = client(impatient(config, 4).endpoint(endpoint));
        let store = store_at(&client, &api.url(""));
        At { api, client, store, seen }
    }

    pub(crate) fn asked(&self, method: &str, part: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|asked| asked.is(method, part)).count()
    }

    pub(crate) async fn names(&self, prefix: &str, options: ListOptions) -> Result<Vec<String>> {
        let entries: Vec<ListEntry> = self.store.list(prefix, options).try_collect().await?;
        let names = entries.into_iter().map(|entry| match entry {
            ListEntry::Object(meta) => meta.key,
            ListEntry::Prefix(prefix) => prefix,
            other => panic!("{other:?}"),
        });
        Ok(names.collect())
    }

    /// Asks for an operation by its name in the API.
    pub(crate) async fn perform(&self, operation: &str) -> Result<()> {
        let At { client, store, .. } = self;
        let upload = Upload::new("k", "id");
        let bucket = self.api.url("").parse().unwrap();
        match operation {
            "GetNamespace" => {
                store_at(client, &format!("oci://{BUCKET}/")).head("k").await.map(drop)
            }
            "ListBuckets" => {
                let service = if self.api == Api::S3 { "s3://" } else { "oci://@ns" };
                let buckets = client.buckets(&service.parse().unwrap(), StoreOptions::new());
                buckets.try_collect::<Vec<_>>().await.map(drop)
            }
            "CreateBucket" => client.create_bucket(&bucket, StoreOptions::new()).await,
            "DeleteBucket" => client.delete_bucket(&bucket, StoreOptions::new()).await,
            "ListObjects" | "ListObjectsV2" => self.names("", ListOptions::new()).await.map(drop),
            "GetObject" => store.get("k", GetOptions::new()).await?.bytes().await.map(drop),
            "HeadObject" => store.head("k").await.map(drop),
            "PutObject" => store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
            "DeleteObject" => store.delete("k", DeleteOptions::new()).await,
            "RenameObject" => {
                let options = RenameOptions::new().source(known(5));
                store.rename("k", "l", options).await.map(drop)
            }
            "CopyObject" | "GetWorkRequest" | "ListWorkRequestErrors" => {
                let options = CopyOptions::new().source(known(5));
                store.copy("k", (store, "l"), options).await.map(drop)
            }
            "UploadPartCopy" => {
                let options = CopyOptions::new().source(known(6 << 20));
                store.copy("k", (store, "l"), options).await.map(drop)
            }
            "BatchDeleteObjects" | "DeleteObjects" => {
                let keys = futures_util::stream::iter(["k".to_owned()]).boxed();
                let (_, result) = store.delete_many(keys).next().await.unwrap();
                result
            }
            "CreateMultipartUpload" => store.begin_upload("k", PutOptions::new()).await.map(drop),
            "UploadPart" => store.put_part(&upload, 1, &b"x"[..]).await.map(drop),
            "CommitMultipartUpload" | "CompleteMultipartUpload" => {
                let parts = vec![UploadedPart::new(1, "e", None, 1)];
                store.complete_upload(&upload, parts).await.map(drop)
            }
            "AbortMultipartUpload" => store.abort_upload(&upload).await,
            "ListMultipartUploads" => store.uploads("").try_collect::<Vec<_>>().await.map(drop),
            other => panic!("{other} is no operation"),
        }
    }
}

/// An object that is known, so that it is not asked for.
pub(crate) fn known(size: u64) -> ObjectMeta {
    let mut meta = ObjectMeta::default();
    "k".clone_into(&mut meta.key);
    meta.size = size;
    meta.etag = Some("\"e\"".to_owned());
    meta.content_type = Some("text/plain".to_owned());
    meta
}
