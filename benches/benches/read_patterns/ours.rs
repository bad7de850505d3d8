// SPDX-License-Identifier: Apache-2.0
//! storescope, over S3 and over OCI: a `Reader` for every pattern, all settings their defaults.

use crate::pattern::{Pattern, Task};
use crate::row::{Client, Object, Place, Row, by_eight, one_by_one, row};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use storescope::config::Secret;
use storescope::{Config, ReadOptions, ReadPolicy, Reader, Store};
use storescope_benches::BUCKET;
use storescope_benches::client::store;

pub(crate) const S3: &str = "storescope s3://";

pub(crate) fn rows() -> Vec<Row> {
    let both = [(S3, s3 as fn(&Place) -> Storescope), ("storescope oci://", oci)];
    both.into_iter()
        .flat_map(|(name, connect)| {
            [
                row(
                    Pattern::Scan,
                    name,
                    "policy `sequential`, size known: `stream(..)`",
                    connect,
                    scan,
                ),
                row(Pattern::InARow, name, "size unknown: `read_at`", connect, one_by_one),
                row(Pattern::Random, name, "`read_at`", connect, one_by_one),
                row(Pattern::RandomByEight, name, "`read_at`", connect, by_eight),
                row(Pattern::Strided, name, "`read_at`", connect, one_by_one),
                row(Pattern::BasketsAtOnce, name, "`read_ranges`", connect, at_once),
                row(Pattern::BasketsOneByOne, name, "`hint`, then `read_at`", connect, hinted),
                row(
                    Pattern::Columns,
                    name,
                    "policy `parquet`, size known: `read_at` twice for the footer, then `read_ranges`",
                    connect,
                    columns,
                ),
            ]
        })
        .collect()
}

struct Storescope(Store);

fn s3(place: &Place) -> Storescope {
    Storescope(s3_store(place))
}

/// The bucket over S3.
pub(crate) fn s3_store(place: &Place) -> Store {
    let config = Config::default()
        .endpoint(place.s3.clone())
        .region(place.region.clone())
        .access_key_id(place.access_key.clone())
        .secret_access_key(Secret::from(place.secret_key.clone()));
    store(config, &format!("s3://{BUCKET}/"))
}

fn oci(place: &Place) -> Storescope {
    let config =
        Config::default().config_file(place.config_file.clone()).endpoint(place.oci.clone());
    Storescope(store(config, &format!("oci://{BUCKET}@{}/", place.namespace)))
}

impl Client for Storescope {
    type Object = Reader;

    async fn open(&self, key: &str) -> Reader {
        self.0.reader(key, ReadOptions::new())
    }
}

impl Object for Reader {
    async fn read(&self, range: Range<u64>) -> Bytes {
        self.read_at(range).await.expect("the server answers")
    }
}

async fn scan(client: Arc<Storescope>, task: Arc<Task>) {
    let options = ReadOptions::new().policy(ReadPolicy::Sequential).size(task.size);
    let mut stream = client.0.reader(&task.key, options).stream(..);
    let mut at = 0;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.expect("the server answers");
        task.took(at, &bytes);
        at += bytes.len() as u64;
    }
}

async fn at_once(client: Arc<Storescope>, task: Arc<Task>) {
    ranges(&client.open(&task.key).await, &task, &task.ranges()).await;
}

async fn ranges(reader: &Reader, task: &Task, ranges: &[Range<u64>]) {
    let mut arriving = reader.read_ranges(ranges);
    while let Some((number, bytes)) = arriving.next().await {
        task.took_range(&ranges[number], &bytes.expect("the server answers"));
    }
}

async fn hinted(client: Arc<Storescope>, task: Arc<Task>) {
    let reader = client.open(&task.key).await;
    reader.hint(&task.ranges());
    for range in task.ranges() {
        task.took_range(&range, &reader.read(range.clone()).await);
    }
}

async fn columns(client: Arc<Storescope>, task: Arc<Task>) {
    let options = ReadOptions::new().policy(ReadPolicy::Parquet).size(task.size);
    let reader = client.0.reader(&task.key, options);
    // As readers do: how long the footer is, then the footer.
    reader.read(task.size - 8..task.size).await;
    for step in &task.steps {
        ranges(&reader, &task, step).await;
    }
}
