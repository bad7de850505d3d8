// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets that read documents of S3: our checks, then the SDK, without a network. The second parser is
//! roxmltree.

use super::sdk::system_time;
use super::{answer, connector, list as listing, multipart, promises, refusal, write};
use crate::backend::fuzzing::Answer;
use crate::backend::http::promise::Promise;
use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An SDK whose every request is answered by the document at hand.
struct Offline {
    runtime: tokio::runtime::Runtime,
    client: Client,
    answering: Answering,
}

#[derive(Clone, Debug, Default)]
struct Answering(Arc<Mutex<Bytes>>);

thread_local! {
    static OFFLINE: Offline = Offline::new();
}

impl Offline {
    fn new() -> Offline {
        let answering = Answering::default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .force_path_style(true)
            .credentials_provider(Credentials::new("id", "secret", None, None, "fuzzing"))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(answering.clone())
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Offline {
            runtime: runtime.expect("a runtime"),
            client: Client::from_conf(config),
            answering,
        }
    }
}

/// What the SDK makes of an answer that holds this document, if our checks let it through.
fn read<T, E, F>(promise: &Promise, data: &[u8], ask: impl FnOnce(Client) -> F) -> Option<T>
where
    F: Future<Output = Result<T, E>>,
{
    let document = data.trim_ascii_start();
    answer::check(promise, StatusCode::OK, &HeaderMap::new(), document).ok()?;
    OFFLINE.with(|offline| {
        let mut answer = offline.answering.0.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = Bytes::copy_from_slice(document);
        drop(answer);
        offline.runtime.block_on(ask(offline.client.clone())).ok()
    })
}

impl HttpClient for Answering {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Answering {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let document = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        HttpConnectorFuture::new(async move {
            connector::answered(StatusCode::OK, &HeaderMap::new(), document).map_err(|failure| {
                ConnectorError::other(crate::error::Error::from(failure).into(), None)
            })
        })
    }
}

/// A listing holds the objects of its document, in their order.
pub(crate) fn list(data: &[u8]) {
    let ask = |client: Client| async move { client.list_objects_v2().bucket("b").send().await };
    let Some(listed) = read(&promises::LIST_OBJECTS, data, ask) else { return };
    let Ok(page) = listing::listed_page(listed) else { return };
    let Some(names) = names(data, "Contents") else { return };
    assert!(page.objects.iter().map(|object| &object.key).eq(&names), "{page:?} {names:?}");
}

/// The decoded texts of `Key` in the elements `entry` of a document, by roxmltree. `None` where it reads otherwise by design: line
/// ends, namespaces, several keys in one element, text beside elements.
fn names(data: &[u8], entry: &str) -> Option<Vec<String>> {
    let text = std::str::from_utf8(data.trim_ascii_start()).ok()?;
    if text.contains('\r') || text.contains("xmlns:") || text.contains("xml:") {
        return None;
    }
    let document = roxmltree::Document::parse(text).ok()?;
    let within = |node: roxmltree::Node<'_, '_>, name: &str| -> Option<Option<String>> {
        let mut found = node.children().filter(|child| child.tag_name().name() == name);
        let Some(one) = found.next() else { return Some(None) };
        let is_text = one.children().all(|child| child.is_text()) && one.children().count() < 2;
        (found.next().is_none() && is_text).then(|| Some(one.text().unwrap_or("").to_owned()))
    };
    let root = document.root_element();
    let encoded = within(root, "EncodingType")?.is_some_and(|kind| kind == "url");
    let entries = root.children().filter(|child| child.tag_name().name() == entry);
    let name = |node| answer::name(within(node, "Key")??, encoded).ok();
    entries.map(name).collect()
}

/// A batch of removals has a result for each key, and a failure for each that the document names.
pub(crate) fn documents(data: &[u8]) {
    let ask =
        |client: Client| async move { client.list_multipart_uploads().bucket("b").send().await };
    if let Some(listed) = read(&promises::LIST_UPLOADS, data, ask)
        && let Ok(page) = multipart::listed_uploads(listed)
        && let Some(names) = names(data, "Upload")
    {
        assert!(page.uploads.iter().map(|upload| &upload.key).eq(&names), "{page:?} {names:?}");
    }
    let keys = ["a", "b/c", "\u{fc}"].map(str::to_owned);
    let object = ObjectIdentifier::builder().key("a").build().expect("a name");
    let batch = Delete::builder().objects(object).build().expect("a batch of one");
    let ask = |client: Client| async move {
        client.delete_objects().bucket("b").delete(batch).send().await
    };
    let Some(deleted) = read(&promises::DELETE_OBJECTS, data, ask) else { return };
    let failed = deleted.errors().iter().filter_map(|error| error.key().map(str::to_owned));
    let failed: HashSet<String> = failed.collect();
    let Ok(results) = write::removed(&keys, deleted) else { return };
    assert_eq!(results.len(), keys.len());
    for (key, result) in keys.iter().zip(&results) {
        assert_eq!(result.is_err(), failed.contains(key), "{key}");
    }
}

/// A refusal has the status of its answer, and a code that stands in it. No document makes another operation's success.
pub(crate) fn error(data: &[u8]) {
    let Some(Answer { status, headers, document, .. }) = Answer::parse(data) else { return };
    for promise in promises::ALL {
        let Err(failure) = answer::check(promise, status, &headers, document) else { continue };
        if let Some(code) = &failure.code {
            assert_eq!(failure.status, Some(status.as_u16()));
            let text = String::from_utf8_lossy(document);
            assert!(text.contains(['&', '\r']) || text.contains(code.as_str()), "{code}");
        }
        let shown = failure.into_error(None, None, 1, Duration::ZERO).to_string();
        assert!(shown.len() <= 2048 + data.len() * 10);
    }
    if !status.is_success() {
        assert_eq!(refusal::of(status, &headers, document).status, Some(status.as_u16()));
    }
}

/// Dates of documents are times.
pub(crate) fn date(text: &str) {
    for format in [DateTimeFormat::DateTimeWithOffset, DateTimeFormat::HttpDate] {
        if let Ok(time) = DateTime::from_str(text, format) {
            let _ = system_time(&time);
        }
    }
}
