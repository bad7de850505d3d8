// SPDX-License-Identifier: Apache-2.0
//! S3, path or host style.
//!
//! ```text
//!  get · head · put · part · delete ─▶ our own request, SigV4 (signer.rs), reused for reads ─┐
//!  list · batches · uploads · copies · buckets ─▶ aws-sdk-s3 ─▶ connector.rs ────────────────┴▶ Transport
//!        endpoint and region of both: aws-config's chain, asked once (service.rs); their keys: keys.rs
//!
//!  ours:      exchange.rs sends; read.rs · write.rs · the parts of multipart.rs
//!  by sdk.rs: list.rs · bucket.rs · copy.rs · batches of write.rs · the rest of multipart.rs
//!  of both:   promises.rs, answer.rs (successes), refusal.rs (refusals), conditions.rs (ETags as the server writes them)
//! ```
//!
//! Reads and writes go past the SDK since its GET takes several times the CPU of ours (DESIGN.md has the figure). What
//! goes by it is a document in and a document out. Its retries, timeouts and checksums of its own choice are off:
//! `attempt` retries, `transport` times out, and a body is never `aws-chunked`.
//!
//! Facts of the protocol are those of the S3 API reference of 2006-03-01.

mod answer;
mod bucket;
mod conditions;
mod connector;
mod copy;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod list;
mod multipart;
mod promises;
mod read;
mod refusal;
mod sdk;
mod service;
mod signer;
mod sso;
mod write;

use super::http::Seen;
use super::{
    Abilities, Attempt, Backend, BucketPage, CommitRequest, Copied, CopyPartRequest, CopyRequest,
    GetReply, GetRequest, ListPage, ListRequest, Part, PartRequest, Place, PutRequest,
    RequestFuture, ServiceId, UploadPage, UploadRequest,
};
use crate::auth::{AuthRetry, Credentials, Principals};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::AttemptTimer;
use crate::transport::Transport;
use crate::types::{ObjectMeta, Upload};
use crate::url::{Scheme, StoreUrl};
use hyper::header::HeaderName;
use keys::Keys;
use service::Service;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::OnceCell;

/// The most that is copied by one request.
const COPY_LIMIT: u64 = 5 << 30;

const ABILITIES: Abilities = Abilities {
    rename: false,
    delete_many: 1000,
    // AWS judges conditions of copies, most other servers pass over them.
    conditional_copies: false,
    copies_parts_above: Some(COPY_LIMIT),
    least_part: 5 << 20,
    most_part: 5 << 30,
    parts: 10_000,
    ordered_listings: true,
    ends_listings: false,
};

/// What the names of directory buckets (S3 Express) end in. Their listings come in no order and know no `start-after`.
const DIRECTORY: &str = "--x-s3";

/// The attempt's name, as on OCI, whose S3 API knows it, too.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");

#[derive(Debug)]
pub(crate) struct S3 {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    principals: Arc<Principals>,
    /// Who signs, where the store was given that.
    given: Option<Arc<dyn Credentials>>,
    service: OnceCell<Service>,
    /// Whether the bucket is there. Where one may not read, S3 answers 403.
    seen: Seen,
    /// Whether the server writes entity tags without quotes, and so must be sent them.
    bare_tags: AtomicBool,
}

impl S3 {
    pub(crate) fn new(
        url: &StoreUrl,
        config: Config,
        transport: &Arc<Transport>,
        principals: &Arc<Principals>,
        given: Option<Arc<dyn Credentials>>,
    ) -> S3 {
        S3 {
            url: url.with_key(""),
            config,
            transport: Arc::clone(transport),
            principals: Arc::clone(principals),
            given,
            service: OnceCell::new(),
            seen: Seen::default(),
            bare_tags: AtomicBool::new(false),
        }
    }

    async fn service(&self) -> Result<&Service, Failure> {
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        let load = || {
            let given = self.given.as_ref().map(|given| self.principals.access_keys(given));
            let given = given.map(Keys::of_program);
            Service::load(&self.config, self.url.bucket(), &self.transport, given)
        };
        Box::pin(self.service.get_or_try_init(load)).await
    }

    fn bucket(&self) -> Result<&str, Failure> {
        self.url.bucket().ok_or_else(|| {
            Failure::new(ErrorKind::InvalidInput).message("the URL names no bucket: s3://bucket/")
        })
    }

    fn is_directory(&self) -> bool {
        self.url.bucket().is_some_and(|bucket| bucket.ends_with(DIRECTORY))
    }
}

impl Backend for S3 {
    fn abilities(&self) -> Abilities {
        Abilities { ordered_listings: !self.is_directory(), ..ABILITIES }
    }

    fn service(&self) -> ServiceId {
        let endpoint = self.config.endpoint_of(Scheme::S3);
        ServiceId::S3(endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()))
    }

    fn url(&self, key: &str) -> String {
        self.url.with_key(key).to_string()
    }

    fn after_unauthorized(&self, failure: &Failure) -> AuthRetry {
        match self.service.get().and_then(|service| service.signer.as_ref()) {
            Some(signer) => signer.after_unauthorized(failure),
            None => AuthRetry::unsigned(),
        }
    }

    fn get<'a>(
        &'a self,
        request: &'a GetRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Box<GetReply>> {
        read::get(self, request, attempt)
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> RequestFuture<'a, ObjectMeta> {
        read::head(self, key, attempt)
    }

    fn put<'a>(
        &'a self,
        request: &'a PutRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        write::put(self, request, attempt)
    }

    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, ()> {
        write::delete(self, key, if_match, attempt)
    }

    fn list<'a>(
        &'a self,
        request: &'a ListRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ListPage> {
        list::page(self, request, attempt)
    }

    fn place<'a>(&'a self, _: &'a AttemptTimer) -> RequestFuture<'a, Place> {
        Box::pin(async move {
            let region = self.service().await?.region.clone();
            Ok(Place { region, namespace: String::new(), bucket: self.bucket()?.to_owned() })
        })
    }

    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> RequestFuture<'a, Copied> {
        copy::copy(self, request, attempt)
    }

    fn delete_many<'a>(
        &'a self,
        keys: &'a [String],
        attempt: Attempt,
    ) -> RequestFuture<'a, Vec<Result<(), Failure>>> {
        write::delete_many(self, keys, attempt)
    }

    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, String> {
        multipart::begin(self, request, attempt)
    }

    fn put_part<'a>(
        &'a self,
        request: &'a PartRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Part> {
        multipart::put_part(self, request, attempt)
    }

    fn copy_part<'a>(
        &'a self,
        request: &'a CopyPartRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Part> {
        copy::part(self, request, attempt)
    }

    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        multipart::commit(self, request, attempt)
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, ()> {
        multipart::abort(self, upload, attempt)
    }

    fn list_uploads<'a>(
        &'a self,
        prefix: &'a str,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, UploadPage> {
        multipart::list(self, prefix, page, attempt)
    }

    fn has_parts<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, bool> {
        multipart::has_parts(self, upload, attempt)
    }

    fn create_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()> {
        bucket::create(self, attempt)
    }

    fn delete_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()> {
        bucket::delete(self, attempt)
    }

    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, BucketPage> {
        bucket::list(self, page, attempt)
    }
}
