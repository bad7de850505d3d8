// SPDX-License-Identifier: Apache-2.0
//! What the operations of this API share, and what they know of the request they answer.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use crate::fault::Plan;
use crate::identity::REGION;
use crate::server::Server;
use crate::state::BucketName as Name;
use crate::storage::Storage;

/// The answer of an operation.
pub(super) type Answer<T> = S3Result<S3Response<T>>;

/// The API, as `s3s` calls it.
pub(super) struct Api(pub(super) Arc<Shared>);

/// What all requests of this API share.
pub(super) struct Shared {
    pub(super) server: Arc<Server>,
    pub(super) oci_dialect: bool,
    /// Buckets of other regions.
    pub(super) regions: HashMap<String, String>,
}

impl Shared {
    pub(super) fn storage(&self) -> &Storage {
        &self.server.storage
    }

    pub(super) fn now(&self) -> SystemTime {
        self.server.clock.wall()
    }

    pub(super) fn name(&self, bucket: &str) -> Name {
        Name { namespace: self.storage().namespace().to_owned(), name: bucket.to_owned() }
    }

    /// An answer that tells the region of its bucket.
    pub(super) fn with_region<T>(&self, bucket: &str, answer: Answer<T>) -> Answer<T> {
        let mut answer = answer?;
        let region = self.regions.get(bucket).map_or(REGION, String::as_str);
        let region = [("x-amz-bucket-region", region.to_owned())];
        answer.headers.extend(header_map(&region)?);
        Ok(answer)
    }
}

/// What an exchange and the service that works for it tell each other.
#[derive(Clone)]
pub(super) struct Ticket(pub(super) Arc<TicketState>);

pub(super) struct TicketState {
    pub(super) target: String,
    pub(super) reused: bool,
    pub(super) throttled: bool,
    pub(super) plan: Mutex<Plan>,
    /// The request's body, if it is a document.
    pub(super) document: Option<Bytes>,
    /// It is an operation that the service knows.
    pub(super) known: AtomicBool,
    /// The request's body broke off.
    pub(super) broken: AtomicBool,
}

impl Ticket {
    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The plan of the faults for a request.
pub(super) fn plan<T>(request: &S3Request<T>) -> Plan {
    request.extensions.get::<Ticket>().map(|ticket| ticket.plan().clone()).unwrap_or_default()
}

/// Headers of an answer.
pub(super) fn header_map(headers: &[(&'static str, String)]) -> S3Result<HeaderMap> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::try_from(value).map_err(S3Error::internal_error)?;
            Ok((http::HeaderName::from_static(name), value))
        })
        .collect()
}
