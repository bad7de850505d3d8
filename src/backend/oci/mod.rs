// SPDX-License-Identifier: Apache-2.0
//! The native API of OCI Object Storage (version 20160918): `/n/{namespace}/b/{bucket}/o/{object}`.
//!
//! ```text
//!  operation ─▶ request_target.rs ─▶ exchange.rs: Signer ─▶ Transport ─▶ success: promises.rs, answer.rs
//!      │         encoded once;         ▲                            └─▶ refusal: refusal.rs
//!      │         namespace asked for,  │
//!      │         if the URL has none   └ first use: service.rs: profile, key, region → endpoint
//!      └ read.rs · write.rs · multipart.rs · list.rs · copy.rs (renames, copies, work requests) · bucket.rs
//! ```
//!
//! Facts of the protocol are those recorded from Oracle's clients (Python SDK 2.189, Java SDK 3.94): which headers are
//! signed, that `etag` is unquoted, that listings answer `nextStartWith` inclusively.

mod answer;
mod bucket;
mod copy;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod list;
mod multipart;
mod promises;
mod read;
mod refusal;
mod request_target;
mod service;
#[cfg(test)]
mod tests;
mod write;

use super::http::Seen;
use super::{
    Abilities, Attempt, Backend, BucketPage, CommitRequest, Copied, CopyRequest, GetReply,
    GetRequest, ListPage, ListRequest, Part, PartRequest, Place, PutRequest, RenameRequest,
    RequestFuture, ServiceId, UploadPage, UploadRequest,
};
use crate::auth::{AuthRetry, Credentials, Presented, Principals};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::AttemptTimer;
use crate::transport::Transport;
use crate::types::{ObjectMeta, Upload};
use crate::url::{Scheme, StoreUrl};
use service::Service;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Names that one batch removes at most.
const BATCH: usize = 1000;

/// A part has at most 50 GiB, an object at most 10,000 of them. The service states no least part that it enforces;
/// S3's does.
const ABILITIES: Abilities = Abilities {
    rename: true,
    delete_many: BATCH,
    conditional_copies: true,
    copies_parts_above: None,
    least_part: 1,
    most_part: 50 << 30,
    parts: 10_000,
    ordered_listings: true,
    ends_listings: true,
};

pub(crate) struct Oci {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    principals: Arc<Principals>,
    /// Who signs, where the store was given that.
    given: Option<Arc<dyn Credentials>>,
    service: OnceCell<Service>,
    /// Asked of the service, where the URL does not say it.
    namespace: OnceCell<String>,
    /// `/n/{namespace}/b/{bucket}/o/`, encoded, below the endpoint's path.
    objects: OnceCell<String>,
    /// Whether objects of the bucket may be read: a listing needs another permission, and shows nothing.
    seen: Seen,
}

impl std::fmt::Debug for Oci {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A path may hold the token of a pre-authenticated request.
        f.debug_struct("Oci").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Oci {
    pub(crate) fn new(
        url: &StoreUrl,
        config: Config,
        transport: &Arc<Transport>,
        principals: &Arc<Principals>,
        given: Option<Arc<dyn Credentials>>,
    ) -> Oci {
        Oci {
            url: url.with_key(""),
            config,
            transport: Arc::clone(transport),
            principals: Arc::clone(principals),
            given,
            service: OnceCell::new(),
            namespace: OnceCell::new(),
            objects: OnceCell::new(),
            seen: Seen::default(),
        }
    }

    fn bucket(&self) -> Result<&str, Failure> {
        self.url.bucket().ok_or_else(|| {
            Failure::new(ErrorKind::InvalidInput)
                .message("the URL names no bucket: oci://bucket@namespace/")
        })
    }
}

impl Backend for Oci {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn service(&self) -> ServiceId {
        let endpoint = self.url.origin().or_else(|| self.config.endpoint_of(Scheme::Oci));
        ServiceId::Oci(endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()))
    }

    fn url(&self, key: &str) -> String {
        self.url.with_key(key).to_string()
    }

    fn after_unauthorized(&self, failure: &Failure) -> AuthRetry {
        let signer = self.service.get().and_then(|service| service.signer.as_ref());
        match (
            signer,
            failure.presented.as_ref().and_then(|signed| signed.downcast_ref::<Presented>()),
        ) {
            (Some(signer), Some(presented)) => {
                signer.after_unauthorized(presented, failure.server_date)
            }
            _ => AuthRetry::unsigned(),
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

    fn place<'a>(&'a self, timer: &'a AttemptTimer) -> RequestFuture<'a, Place> {
        Box::pin(async move {
            let service = self.service().await?;
            let region = service.region.clone().ok_or_else(|| {
                Failure::new(ErrorKind::Config)
                    .message("a copy must name the region of its target: set region")
            })?;
            let namespace = self.namespace(timer).await?.to_owned();
            Ok(Place { region, namespace, bucket: self.bucket()?.to_owned() })
        })
    }

    fn rename<'a>(
        &'a self,
        request: &'a RenameRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        copy::rename(self, request, attempt)
    }

    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> RequestFuture<'a, Copied> {
        copy::copy(self, request, attempt)
    }

    fn copying<'a>(&'a self, work: &'a str, attempt: Attempt) -> RequestFuture<'a, Copied> {
        copy::progress(self, work, attempt)
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
