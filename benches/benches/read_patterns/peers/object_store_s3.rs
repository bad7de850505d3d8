// SPDX-License-Identifier: Apache-2.0
//! `object_store`'s `AmazonS3`.

use super::{AT_A_TIME, PART};
use crate::pattern::{Pattern, Task};
use crate::row::{Client, Object, Place, Row, by_eight, footer, one_by_one, parts, row};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::buffered::BufReader;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use std::ops::Range;
use std::sync::Arc;
use storescope_benches::BUCKET;
use tokio::io::AsyncReadExt as _;

const NAME: &str = "object_store";

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row(Pattern::Scan, "object_store, one GET", "`get`, `into_stream`", connect, stream_whole),
        row(
            Pattern::Scan,
            NAME,
            "`get_range` of 8 MiB in tasks, 15 at a time, in order",
            connect,
            scan,
        ),
        row(
            Pattern::InARow,
            NAME,
            "one `get`, its stream taken 1 MiB at a time",
            connect,
            stream_in_pieces,
        ),
        row(
            Pattern::InARow,
            "object_store, BufReader",
            "`head`, `BufReader::with_capacity` of 8 MiB, `read_exact`",
            connect,
            buffered,
        ),
        row(Pattern::Random, NAME, "`get_range`", connect, one_by_one),
        row(Pattern::RandomByEight, NAME, "`get_range`", connect, by_eight),
        row(Pattern::Strided, NAME, "`get_range`", connect, one_by_one),
        row(Pattern::BasketsAtOnce, NAME, "`get_ranges`", connect, at_once),
        row(Pattern::BasketsOneByOne, NAME, "`get_range`", connect, one_by_one),
        row(
            Pattern::Columns,
            NAME,
            "`get_range` of the last 64 KiB, `get_ranges` a row group",
            connect,
            columns,
        ),
    ]
}

fn connect(place: &Place) -> AmazonS3 {
    let store = AmazonS3Builder::new()
        .with_endpoint(&place.s3)
        .with_allow_http(true)
        .with_virtual_hosted_style_request(false)
        .with_region(&place.region)
        .with_bucket_name(BUCKET)
        .with_access_key_id(&place.access_key)
        .with_secret_access_key(&place.secret_key)
        .build();
    store.expect("the settings are right")
}

impl Client for AmazonS3 {
    type Object = S3Object;

    async fn open(&self, key: &str) -> S3Object {
        S3Object(self.clone(), Path::from(key))
    }
}

#[derive(Clone)]
pub(crate) struct S3Object(AmazonS3, Path);

impl Object for S3Object {
    async fn read(&self, range: Range<u64>) -> Bytes {
        self.0.get_range(&self.1, range).await.expect("the server answers")
    }
}

async fn stream_whole(store: Arc<AmazonS3>, task: Arc<Task>) {
    let answer = store.get(&Path::from(task.key.as_str())).await.expect("the server answers");
    let mut stream = answer.into_stream();
    let mut at = 0;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.expect("the body is whole");
        task.took(at, &bytes);
        at += bytes.len() as u64;
    }
}

async fn scan(store: Arc<AmazonS3>, task: Arc<Task>) {
    let object = store.open(&task.key).await;
    let reads = parts(task.size, PART).map(|range| {
        let object = object.clone();
        async move { tokio::spawn(async move { object.read(range).await }).await }
    });
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_A_TIME);
    let mut at = 0;
    while let Some(bytes) = reads.next().await {
        let bytes = bytes.expect("no panic");
        task.took(at, &bytes);
        at += bytes.len() as u64;
    }
}

async fn stream_in_pieces(store: Arc<AmazonS3>, task: Arc<Task>) {
    let answer = store.get(&Path::from(task.key.as_str())).await.expect("the server answers");
    let mut stream = answer.into_stream();
    let mut rest = Bytes::new();
    for range in task.ranges() {
        let length = (range.end - range.start) as usize;
        let mut piece = BytesMut::with_capacity(length);
        while piece.len() < length {
            if rest.is_empty() {
                let more = stream.next().await.expect("the object goes on");
                rest = more.expect("the body is whole");
            }
            piece.extend_from_slice(&rest.split_to(rest.len().min(length - piece.len())));
        }
        task.took_range(&range, &piece);
    }
}

async fn buffered(store: Arc<AmazonS3>, task: Arc<Task>) {
    let meta = store.head(&Path::from(task.key.as_str())).await.expect("the server answers");
    let mut reader = BufReader::with_capacity(store, &meta, PART as usize);
    for range in task.ranges() {
        let mut piece = vec![0; (range.end - range.start) as usize];
        reader.read_exact(&mut piece).await.expect("the object goes on");
        task.took_range(&range, &piece);
    }
}

async fn at_once(store: Arc<AmazonS3>, task: Arc<Task>) {
    ranges(&store.open(&task.key).await, &task, &task.ranges()).await;
}

async fn ranges(object: &S3Object, task: &Task, ranges: &[Range<u64>]) {
    let all = object.0.get_ranges(&object.1, ranges).await.expect("the server answers");
    for (range, bytes) in ranges.iter().zip(all) {
        task.took_range(range, &bytes);
    }
}

async fn columns(store: Arc<AmazonS3>, task: Arc<Task>) {
    let object = store.open(&task.key).await;
    footer(&object, &task).await;
    for group in &task.steps[1..] {
        ranges(&object, &task, group).await;
    }
}
