// SPDX-License-Identifier: Apache-2.0
//! The peers at their documented best settings for small reads over http.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt as _};
use reqwest::Url;
use std::net::SocketAddr;
use std::ops::Range;
use storescope_benches::client::Reads;
use storescope_benches::{ACCESS_KEY, BUCKET, KEY, REGION, SECRET_KEY};

pub(crate) struct Reqwest {
    client: reqwest::Client,
    url: Url,
}

impl Reqwest {
    pub(crate) fn new(address: SocketAddr) -> Reqwest {
        let client = reqwest::Client::builder().http1_only().no_proxy().build();
        Reqwest {
            client: client.expect("the settings are right"),
            url: format!("http://{address}/{BUCKET}/{KEY}").parse().expect("a URL"),
        }
    }
}

impl Reads for Reqwest {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get(self.url.clone()).header(http::header::RANGE, range);
        let answer = request.send().await.expect("the server answers");
        assert_eq!(answer.status(), http::StatusCode::PARTIAL_CONTENT);
        answer.bytes().await.expect("the body is whole")
    }
}

pub(crate) struct ObjectStoreS3(AmazonS3, Path);

impl ObjectStoreS3 {
    pub(crate) fn new(address: SocketAddr) -> ObjectStoreS3 {
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{address}"))
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_region(REGION)
            .with_bucket_name(BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .build();
        ObjectStoreS3(store.expect("the settings are right"), Path::from(KEY))
    }
}

impl Reads for ObjectStoreS3 {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        self.0.get_range(&self.1, range).await.expect("the server answers")
    }
}

pub(crate) struct ObjectStoreHttp(HttpStore, Path);

impl ObjectStoreHttp {
    pub(crate) fn new(address: SocketAddr) -> ObjectStoreHttp {
        let store = HttpBuilder::new()
            .with_url(format!("http://{address}/{BUCKET}"))
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build();
        ObjectStoreHttp(store.expect("the settings are right"), Path::from(KEY))
    }
}

impl Reads for ObjectStoreHttp {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        self.0.get_range(&self.1, range).await.expect("the server answers")
    }
}

pub(crate) struct AwsSdk(aws_sdk_s3::Client);

impl AwsSdk {
    pub(crate) fn new(address: SocketAddr) -> AwsSdk {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .force_path_style(true)
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        AwsSdk(aws_sdk_s3::Client::from_conf(config))
    }
}

impl Reads for AwsSdk {
    async fn read(&mut self, range: Range<u64>) -> Bytes {
        let request = self.0.get_object().bucket(BUCKET).key(KEY);
        let range = format!("bytes={}-{}", range.start, range.end - 1);
        let answer = request.range(range).send().await.expect("the server answers");
        answer.body.collect().await.expect("the body is whole").into_bytes()
    }
}
