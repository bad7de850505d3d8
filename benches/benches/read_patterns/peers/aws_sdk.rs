// SPDX-License-Identifier: Apache-2.0
//! `aws-sdk-s3`: it has GetObject and nothing above it, so that its caller cuts and asks concurrently.

use super::{AT_A_TIME, MANY, PART};
use crate::pattern::{Pattern, Task};
use crate::row::{Client, Object, Place, Row, at_a_time, by_eight, footer, one_by_one, parts, row};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use bytes::{Buf as _, Bytes};
use futures_util::stream::{self, StreamExt as _};
use std::ops::Range;
use std::sync::Arc;
use storescope_benches::BUCKET;
use tokio::io::AsyncReadExt as _;

const NAME: &str = "aws-sdk-s3";

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row(
            Pattern::Scan,
            NAME,
            "GetObject of 8 MiB in tasks, 15 at a time, in order",
            connect,
            |client, task| scan(client, task, AT_A_TIME),
        ),
        row(
            Pattern::Scan,
            "aws-sdk-s3, 48 at a time",
            "the same, 48 at a time",
            connect,
            |client, task| scan(client, task, MANY),
        ),
        row(
            Pattern::InARow,
            NAME,
            "one GetObject, `into_async_read`, `read_exact`",
            connect,
            in_a_row,
        ),
        row(Pattern::Random, NAME, "GetObject of the range", connect, one_by_one),
        row(Pattern::RandomByEight, NAME, "GetObject of the range", connect, by_eight),
        row(Pattern::Strided, NAME, "GetObject of the range", connect, one_by_one),
        row(
            Pattern::BasketsAtOnce,
            NAME,
            "GetObject of each range, 15 at a time",
            connect,
            at_once,
        ),
        row(Pattern::BasketsOneByOne, NAME, "GetObject of the range", connect, one_by_one),
        row(
            Pattern::Columns,
            NAME,
            "GetObject of the last 64 KiB, then of each column chunk of a row group at once",
            connect,
            columns,
        ),
    ]
}

fn connect(place: &Place) -> aws_sdk_s3::Client {
    let credentials = Credentials::new(&place.access_key, &place.secret_key, None, None, "benches");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&place.s3)
        .force_path_style(true)
        .region(Region::new(place.region.clone()))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

impl Client for aws_sdk_s3::Client {
    type Object = SdkObject;

    async fn open(&self, key: &str) -> SdkObject {
        SdkObject(self.clone(), key.to_owned())
    }
}

#[derive(Clone)]
pub(crate) struct SdkObject(aws_sdk_s3::Client, String);

impl SdkObject {
    async fn get(&self, range: Range<u64>) -> ByteStream {
        let request = self.0.get_object().bucket(BUCKET).key(&self.1);
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        request.range(range).send().await.expect("the server answers").body
    }

    async fn collect(&self, range: Range<u64>) -> AggregatedBytes {
        self.get(range).await.collect().await.expect("the body is whole")
    }
}

impl Object for SdkObject {
    async fn read(&self, range: Range<u64>) -> Bytes {
        self.collect(range).await.into_bytes()
    }
}

async fn scan(client: Arc<aws_sdk_s3::Client>, task: Arc<Task>, at_a_time: usize) {
    let object = client.open(&task.key).await;
    let reads = parts(task.size, PART).map(|range| {
        let object = object.clone();
        async move { tokio::spawn(async move { object.collect(range).await }).await }
    });
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(at_a_time);
    let mut at = 0;
    while let Some(part) = reads.next().await {
        let mut part = part.expect("no panic");
        while part.has_remaining() {
            let length = part.chunk().len();
            task.took(at, part.chunk());
            part.advance(length);
            at += length as u64;
        }
    }
}

async fn in_a_row(client: Arc<aws_sdk_s3::Client>, task: Arc<Task>) {
    let request = client.get_object().bucket(BUCKET).key(&task.key);
    let answer = request.send().await.expect("the server answers");
    let mut reader = answer.body.into_async_read();
    for range in task.ranges() {
        let mut piece = vec![0; (range.end - range.start) as usize];
        reader.read_exact(&mut piece).await.expect("the object goes on");
        task.took_range(&range, &piece);
    }
}

async fn at_once(client: Arc<aws_sdk_s3::Client>, task: Arc<Task>) {
    at_a_time(&client.open(&task.key).await, &task, &task.ranges(), AT_A_TIME).await;
}

async fn columns(client: Arc<aws_sdk_s3::Client>, task: Arc<Task>) {
    let object = client.open(&task.key).await;
    footer(&object, &task).await;
    for group in &task.steps[1..] {
        at_a_time(&object, &task, group, group.len()).await;
    }
}
