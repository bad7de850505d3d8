// SPDX-License-Identifier: Apache-2.0
//! What a store can do, one HTTP request at a time.
//!
//! A backend turns an operation into a request, sends it, and classifies the answer. It does not sleep, retry or
//! cache; `attempt` does. The trait is the crate's own, and private.
//!
//! ```text
//!  Backend ─┬─▶ oci/          OCI's native API ─┐
//!           ├─▶ s3/           S3's API ─────────┴─▶ http/   headers, conditions, the answers of reads, refusals
//!           └─▶ object_store  any `object_store::ObjectStore`
//!  request.rs   what the operations take and answer: `Attempt`, `GetRequest`, `GetReply` and their like
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
#[cfg(feature = "object-store")]
pub(crate) mod object_store;
pub(crate) mod oci;
mod request;
#[cfg(feature = "s3")]
pub(crate) mod s3;

use crate::auth::AuthRetry;
use crate::error::{ErrorKind, Failure};
use crate::timing::AttemptTimer;
use crate::types::{ObjectMeta, PutMode, Upload};
pub(crate) use http::{Effect, etag, transient};
pub(crate) use request::*;
use std::fmt;
use std::pin::Pin;

pub(crate) type RequestFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A store's operations, each one request.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// The URL of an object (or of the bucket, for an empty key) in messages.
    fn url(&self, key: &str) -> String;

    /// Looks at a 401; whether something was mended, so that the request may go once more.
    fn after_unauthorized(&self, failure: &Failure) -> AuthRetry;

    fn get<'a>(
        &'a self,
        request: &'a GetRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Box<GetReply>>;
    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> RequestFuture<'a, ObjectMeta>;
    fn put<'a>(
        &'a self,
        request: &'a PutRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta>;
    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, ()>;
    fn list<'a>(
        &'a self,
        request: &'a ListRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ListPage>;

    /// What it can do by one request, and where its limits are.
    fn abilities(&self) -> Abilities;

    /// The service behind it: between two backends of one service, objects are copied without passing through here.
    fn service(&self) -> ServiceId;

    /// Where its objects are, for a copy to them.
    fn place<'a>(&'a self, timer: &'a AttemptTimer) -> RequestFuture<'a, Place> {
        let _ = timer;
        let what = "this store does not offer copies inside the service";
        Box::pin(std::future::ready(Err(Failure::new(ErrorKind::Unsupported).message(what))))
    }

    /// Gives an object another name, by one request; what the answer tells of it. Only where [`Abilities::rename`]
    /// says so.
    fn rename<'a>(
        &'a self,
        request: &'a RenameRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        let _ = request;
        refused(attempt, "renaming by one request")
    }

    /// Copies an object to a backend of the same service.
    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> RequestFuture<'a, Copied> {
        let _ = request;
        refused(attempt, "copies inside the service")
    }

    /// How far an accepted copy is.
    fn copying<'a>(&'a self, work: &'a str, attempt: Attempt) -> RequestFuture<'a, Copied> {
        let _ = work;
        refused(attempt, "work requests")
    }

    /// Removes many objects; one result a key, in their order.
    fn delete_many<'a>(
        &'a self,
        keys: &'a [String],
        attempt: Attempt,
    ) -> RequestFuture<'a, Vec<Result<(), Failure>>> {
        let _ = keys;
        refused(attempt, "removal of many objects by one request")
    }

    /// Begins a write by parts; its id.
    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, String> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    fn put_part<'a>(
        &'a self,
        request: &'a PartRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Part> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    /// A part made of bytes that the service has. Only where [`Abilities::copies_parts_above`] says so.
    fn copy_part<'a>(
        &'a self,
        request: &'a CopyPartRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Part> {
        let _ = request;
        refused(attempt, "copies by parts")
    }

    /// Makes the object of its parts.
    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        let _ = request;
        refused(attempt, "writes by parts")
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, ()> {
        let _ = upload;
        refused(attempt, "writes by parts")
    }

    /// Writes by parts that were begun and not ended.
    fn list_uploads<'a>(
        &'a self,
        prefix: &'a str,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, UploadPage> {
        let _ = (prefix, page);
        refused(attempt, "listing writes by parts")
    }

    /// Whether a write by parts holds any.
    fn has_parts<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, bool> {
        let _ = upload;
        refused(attempt, "listing parts")
    }

    fn create_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()>;
    fn delete_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()>;
    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, BucketPage>;
}

/// A condition that failed on a creation means that the object exists.
pub(crate) fn exists(mut failure: Failure, mode: &PutMode) -> Failure {
    if failure.kind == ErrorKind::Precondition && *mode == PutMode::Create {
        failure.kind = ErrorKind::AlreadyExists;
    }
    failure
}

/// The answer of a backend that does not offer an operation: nothing is sent, nothing recorded.
fn refused<'a, T: Send + 'a>(attempt: Attempt, what: &str) -> RequestFuture<'a, T> {
    let failure =
        Failure::new(ErrorKind::Unsupported).message(format!("this store does not offer {what}"));
    Box::pin(std::future::ready(Err(unsent(failure, attempt.timer))))
}

/// A failure before anything was sent: there was no attempt.
pub(in crate::backend) fn unsent(mut failure: Failure, timer: Box<AttemptTimer>) -> Failure {
    timer.discard();
    failure.unsent = true;
    failure
}

/// What a backend can do by one request.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "abilities of which none follows from another")]
pub(crate) struct Abilities {
    /// An object is renamed by one request.
    pub(crate) rename: bool,
    /// Objects that one request removes; 0 where each takes one of its own.
    pub(crate) delete_many: usize,
    /// What a copy demands of its target is judged by each server of the kind.
    pub(crate) conditional_copies: bool,
    /// Objects larger than this are copied inside the service by parts, of at most so many bytes each.
    pub(crate) copies_parts_above: Option<u64>,
    /// The smallest part, but for the last.
    pub(crate) least_part: u64,
    /// The largest part.
    pub(crate) most_part: u64,
    /// The most parts.
    pub(crate) parts: u32,
    /// Listings come in the byte order of names. Those of S3's directory buckets do not.
    pub(crate) ordered_listings: bool,
    /// Listings know an `end`. S3's do not.
    pub(crate) ends_listings: bool,
}

/// Which service a backend speaks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceId {
    /// OCI by its native API; the endpoint, where the settings name one.
    Oci(Option<String>),
    /// S3, likewise.
    #[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "made by the s3 backend"))]
    S3(Option<String>),
    /// Something that copies nothing for us.
    Other,
}

/// Where a bucket is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) region: String,
    pub(crate) namespace: String,
    pub(crate) bucket: String,
}
