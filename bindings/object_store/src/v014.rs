// SPDX-License-Identifier: Apache-2.0
//! For object_store 0.14.
//!
//! ```no_run
//! # use object_store_014 as object_store;
//! use object_store::{ObjectStore, ObjectStoreExt, path::Path};
//! use std::sync::Arc;
//! use storescope::{Client, StoreOptions};
//! use storescope_object_store::v014::ScopedStore;
//!
//! # async fn read() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder().build()?;
//! let bucket = client.store(&"oci://lake@my-namespace/".parse()?, StoreOptions::new())?;
//! let store: Arc<dyn ObjectStore> = Arc::new(ScopedStore::new(bucket));
//! let bytes = store.get_range(&Path::from("2026/events.parquet"), 0..4).await?;
//! assert_eq!(&bytes[..], b"PAR1");
//! println!("{}", client.metrics().snapshot().to_json());
//! # Ok(()) }
//! ```

#[path = "adapter/mod.rs"]
mod adapter;

pub use adapter::ScopedStore;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    Attributes, Extensions, GetResult, GetResultPayload, ListResult, ObjectMeta, PutResult, Result,
};
use object_store_014 as object_store;
use std::ops::Range;

// What has other fields in the other major.

fn put_result(e_tag: Option<String>) -> PutResult {
    PutResult { e_tag, version: None, extensions: Extensions::default() }
}

fn get_result(
    meta: ObjectMeta,
    range: Range<u64>,
    attributes: Attributes,
    bytes: BoxStream<'static, Result<Bytes>>,
) -> GetResult {
    let (payload, extensions) = (GetResultPayload::Stream(bytes), Extensions::default());
    GetResult { payload, meta, range, attributes, extensions }
}

fn list_result(objects: Vec<ObjectMeta>, common_prefixes: Vec<Path>) -> ListResult {
    ListResult { common_prefixes, objects, extensions: Extensions::default() }
}
