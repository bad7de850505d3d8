// SPDX-License-Identifier: Apache-2.0
//! `opendal`'s S3 service, over reqwest with HTTP/1.1, as its guide to performance has it.

use super::{AT_A_TIME, MANY, PART};
use crate::pattern::{Pattern, Task};
use crate::row::{Client, Object, Place, Row, by_eight, footer, one_by_one, row};
use bytes::Bytes;
use futures_util::io::AsyncReadExt as _;
use futures_util::stream::StreamExt as _;
use opendal::options::ReaderOptions;
use opendal::services::S3;
use opendal::{HttpTransporter, Operator, Reader};
use opendal_http_transport_reqwest::ReqwestTransport;
use std::ops::Range;
use std::sync::Arc;
use storescope_benches::BUCKET;

const NAME: &str = "opendal";
/// Holes up to here are read through: the example of its documentation, and what object_store does.
const GAP: usize = 1 << 20;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row(
            Pattern::Scan,
            NAME,
            "size known, chunks of 8 MiB, 15 at a time, as many prefetched: `into_bytes_stream`",
            connect,
            |client, task| scan(client, task, AT_A_TIME),
        ),
        row(
            Pattern::Scan,
            "opendal, 48 at a time",
            "the same, 48 at a time",
            connect,
            |client, task| scan(client, task, MANY),
        ),
        row(
            Pattern::InARow,
            NAME,
            "size unknown, chunks of 8 MiB, 15 at a time, as many prefetched: `into_futures_async_read`, `read_exact`",
            connect,
            in_a_row,
        ),
        row(Pattern::Random, NAME, "a `Reader`, `read`", connect, one_by_one),
        row(Pattern::RandomByEight, NAME, "a `Reader`, `read`", connect, by_eight),
        row(Pattern::Strided, NAME, "a `Reader`, `read`", connect, one_by_one),
        row(Pattern::BasketsAtOnce, NAME, "gap 1 MiB, 15 at a time: `fetch`", connect, at_once),
        row(Pattern::BasketsOneByOne, NAME, "a `Reader`, `read`", connect, one_by_one),
        row(
            Pattern::Columns,
            NAME,
            "`read` of the last 64 KiB, then gap 1 MiB, 15 at a time: `fetch` a row group",
            connect,
            columns,
        ),
    ]
}

fn connect(place: &Place) -> Operator {
    let service = S3::default()
        .endpoint(&place.s3)
        .region(&place.region)
        .bucket(BUCKET)
        .access_key_id(&place.access_key)
        .secret_access_key(&place.secret_key)
        .disable_config_load()
        .disable_ec2_metadata();
    let http = reqwest::Client::builder().http1_only().no_proxy().build();
    let transport = ReqwestTransport::new(http.expect("the settings are right"));
    let operator = Operator::new(service).expect("the settings are right");
    let context = operator.base_context().with_http_transport(HttpTransporter::new(transport));
    operator.with_context(context)
}

impl Client for Operator {
    type Object = Reader;

    async fn open(&self, key: &str) -> Reader {
        self.reader(key).await.expect("no I/O")
    }
}

impl Object for Reader {
    async fn read(&self, range: Range<u64>) -> Bytes {
        Reader::read(self, range).await.expect("the server answers").to_bytes()
    }
}

/// What is read ahead of a stream's reader.
fn ahead(at_a_time: usize) -> ReaderOptions {
    ReaderOptions {
        chunk: Some(PART as usize),
        concurrent: at_a_time,
        prefetch: at_a_time,
        ..ReaderOptions::default()
    }
}

async fn scan(client: Arc<Operator>, task: Arc<Task>, at_a_time: usize) {
    let options = ReaderOptions { content_length_hint: Some(task.size), ..ahead(at_a_time) };
    let reader = client.reader_options(&task.key, options).await.expect("no I/O");
    let mut stream = reader.into_bytes_stream(..).await.expect("the server answers");
    let mut at = 0;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.expect("the server answers");
        task.took(at, &bytes);
        at += bytes.len() as u64;
    }
}

async fn in_a_row(client: Arc<Operator>, task: Arc<Task>) {
    let reader = client.reader_options(&task.key, ahead(AT_A_TIME)).await.expect("no I/O");
    let mut reader = reader.into_futures_async_read(..).await.expect("the server answers");
    for range in task.ranges() {
        let mut piece = vec![0; (range.end - range.start) as usize];
        reader.read_exact(&mut piece).await.expect("the object goes on");
        task.took_range(&range, &piece);
    }
}

async fn merging(client: &Operator, key: &str) -> Reader {
    client.reader_with(key).gap(GAP).concurrent(AT_A_TIME).await.expect("no I/O")
}

async fn at_once(client: Arc<Operator>, task: Arc<Task>) {
    ranges(&merging(&client, &task.key).await, &task, &task.ranges()).await;
}

async fn ranges(reader: &Reader, task: &Task, ranges: &[Range<u64>]) {
    let all = reader.fetch(ranges.to_vec()).await.expect("the server answers");
    for (range, bytes) in ranges.iter().zip(all) {
        task.took_range(range, &bytes.to_bytes());
    }
}

async fn columns(client: Arc<Operator>, task: Arc<Task>) {
    footer(&client.open(&task.key).await, &task).await;
    let reader = merging(&client, &task.key).await;
    for group in &task.steps[1..] {
        ranges(&reader, &task, group).await;
    }
}
