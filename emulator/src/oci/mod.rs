// SPDX-License-Identifier: Apache-2.0
//! OCI's native API: which operation a request asks for, and its answer.
//!
//! ```text
//!  Exchange ─► authorize ─► faults ─► table of the API ─► rights ─► operation ─► Reply
//!                                                                     └─ receive: bodies of PutObject and UploadPart
//! ```

mod actions;
mod authorize;
mod buckets;
mod described;
mod digests;
mod lists;
mod objects;
mod pars;
mod receive;
mod rights;
mod uploads;
mod validation;

use std::time::Instant;

use http::StatusCode;
use http::request::Parts;
use storescope_sign::Rule;

use self::validation::{not_served, not_utf8};
use crate::api::{OCI, Place, Refused};
use crate::error::ApiError;
use crate::exchange::{Broken, Exchange};
use crate::identity::Caller;
use crate::reply::Reply;
use crate::request::raw_target;
use crate::server::Server;
use crate::state::BucketName;
use crate::target::{Route, Target};
use crate::work_requests::Copy;

/// Most bytes of a JSON body.
const MAX_JSON: u64 = 1 << 20;

impl Exchange<'_> {
    /// Verifies, asks the faults, and does the operation.
    pub(crate) async fn act_by_oci(&mut self) -> Result<Result<Reply, ApiError>, Broken> {
        let target = Target::parse(raw_target(self.parts));
        let rule = target.route.rule(&self.parts.method);
        if let Some(namespace) = target.route.namespace() {
            self.storage = self.server.storage_of(namespace);
        }
        let signed = match self.authorize(&target, rule) {
            Ok(signed) => signed,
            Err(error) => return Ok(Err(error)),
        };
        self.plan = self.server.faults.plan(
            self.parts.method.as_str(),
            raw_target(self.parts),
            self.reused,
        );
        if self.plan.reset {
            self.connection.reset();
            return Err(Broken("the connection is reset by a fault"));
        }
        if let Some(error) = self.plan.error.take() {
            return self.refuse(error.into()).await.map(Ok);
        }
        if self.throttled {
            return Ok(Err(ApiError::too_many_requests()));
        }
        if let Err(refused) = self.check_api(&target) {
            return self.refuse(refused.into()).await.map(Ok);
        }
        let caller = signed.as_ref().map(|signed| &signed.caller);
        if let (Route::Namespace, Some(Caller { tenancy, .. })) = (&target.route, caller)
            && let Some(own) = self.server.identity.namespace(tenancy)
        {
            self.storage = self.server.storage_of(&own);
        }
        if let Some(Err(denied)) = caller.map(|caller| self.check_rights(caller, &target)) {
            return Ok(Err(denied));
        }
        let authorization = signed.as_ref().map(|signed| &signed.authorization);
        if rule == Rule::BodyExcluded {
            return self.upload(&target, authorization).await;
        }
        let body = match self.read_body(MAX_JSON).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let sha256 = || storescope_sign::sha256(&body);
        Ok(self
            .check_body(authorization, sha256)
            .and_then(|()| self.check_members(&target, &body))
            .and_then(|()| caller.map_or(Ok(()), |c| self.check_rights_of(c, &target, &body)))
            .and_then(|()| self.operate(&target, &body)))
    }

    /// Whether all that the head asks for is served.
    fn check_api(&self, target: &Target) -> Result<(), Refused> {
        let Some(operation) = target.route.operation(self.parts.method.as_str()) else {
            return Ok(());
        };
        OCI.check_operation(operation)?;
        OCI.check_headers(operation, &self.parts.headers, "opc-")?;
        target.pairs().try_for_each(|(name, value)| OCI.check(Place::Query, name, operation, value))
    }

    /// Whether all that a body asks for is served; one that is no JSON is refused where it is read.
    fn check_members(&self, target: &Target, body: &[u8]) -> Result<(), ApiError> {
        let operation = target.route.operation(self.parts.method.as_str());
        match (operation, serde_json::from_slice(body)) {
            (Some(operation), Ok(body)) => OCI.check_members(operation, "", &body),
            _ => Ok(()),
        }
    }

    /// Every operation that has a small body or none.
    fn operate(&self, target: &Target, body: &[u8]) -> Result<Reply, ApiError> {
        let Server { identity, clock, works, .. } = &**self.server;
        let storage = &*self.storage;
        let Parts { method, headers, .. } = self.parts;
        let now = clock.wall();
        match (&target.route, method.as_str()) {
            (Route::Namespace, "GET") => buckets::namespace(storage, identity, target),
            (Route::NamespaceMetadata { namespace }, "GET") => {
                buckets::namespace_metadata(storage, namespace)
            }
            (Route::NotServed { .. }, _) => Err(not_served(raw_target(self.parts))),
            (Route::Buckets { namespace }, "GET") => buckets::list(storage, namespace, target),
            (Route::Buckets { namespace }, "POST") => {
                buckets::create(storage, namespace, body, now)
            }
            (Route::Bucket { bucket }, "GET" | "HEAD") => {
                buckets::get(storage, bucket, headers, target)
            }
            (Route::Bucket { bucket }, "POST") => buckets::update(storage, bucket, headers, body),
            (Route::Bucket { bucket }, "DELETE") => buckets::delete(storage, bucket, headers),
            (Route::Objects { bucket }, "GET") => lists::list(storage, bucket, target, now),
            (Route::ObjectVersions { bucket }, "GET") => {
                lists::list_versions(storage, bucket, target, now)
            }
            (Route::Object { name: None, .. } | Route::Upload { name: None, .. }, _) => {
                Err(not_utf8())
            }
            (Route::Object { bucket, name: Some(name) }, "GET" | "HEAD") => {
                objects::get(storage, bucket, name, (method, headers, target), &self.plan, now)
            }
            (Route::Object { bucket, name: Some(name) }, "DELETE") => {
                objects::delete(storage, bucket, name, (headers, target), now)
            }
            (Route::Uploads { bucket }, "POST") => {
                uploads::create(storage, bucket, headers, body, now)
            }
            (Route::Uploads { bucket }, "GET") => uploads::list(storage, bucket, target),
            (Route::Upload { bucket, name: Some(name) }, "GET") => {
                uploads::list_parts(storage, bucket, name, target)
            }
            (Route::Upload { bucket, name: Some(name) }, "POST") => {
                uploads::commit(storage, bucket, (name, target), headers, body, now)
            }
            (Route::Upload { bucket, name: Some(name) }, "DELETE") => {
                uploads::abort(storage, bucket, name, target)
            }
            (Route::Action { bucket, action }, "POST") => self.act_on(bucket, action, body),
            (Route::Pars { bucket }, "POST") => {
                pars::create(storage, bucket, body, &self.base(), now)
            }
            (Route::Pars { bucket }, "GET") => pars::list(storage, bucket, target),
            (Route::Par { bucket, id }, "GET") => pars::get(storage, bucket, id),
            (Route::Par { bucket, id }, "DELETE") => pars::delete(storage, bucket, id),
            (Route::WorkRequests, "GET") => works.list(target),
            (Route::WorkRequest { id, part }, method) => {
                works.answer(method, (id, part), target, now)
            }
            (Route::Unknown, _) => Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "This path is not one of the service",
            )),
            _ => Err(ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                format!("{method} is not allowed here"),
            )),
        }
    }

    /// POST to `/actions/`.
    fn act_on(&self, bucket: &BucketName, action: &str, body: &[u8]) -> Result<Reply, ApiError> {
        let (storage, now) = (&*self.storage, self.server.clock.wall());
        match action {
            "renameObject" => actions::rename(storage, bucket, body, now),
            "copyObject" => actions::copy(storage, bucket, body, now).map(|copy| self.accept(copy)),
            "batchDeleteObjects" => actions::delete_batch(storage, bucket, body, now),
            "updateObjectStorageTier" => actions::set_tier(storage, bucket, body, now),
            "restoreObjects" => actions::restore(storage, bucket, body, now),
            _ => Err(not_served(action)),
        }
    }

    /// Accepts a copy: 202, and its work request.
    fn accept(&self, copy: Copy) -> Reply {
        let Server { works, clock, .. } = &**self.server;
        let (id, delay) = works.accept(copy, clock.wall());
        if delay.is_zero() {
            works.finish(&id, &self.storage, clock.wall());
        } else {
            let (server, storage) = (self.server.clone(), self.storage.clone());
            let id = id.clone();
            tokio::spawn(async move {
                server.timer.sleep_until(Instant::now() + delay).await;
                server.works.finish(&id, &storage, server.clock.wall());
            });
        }
        Reply::empty(StatusCode::ACCEPTED).with_text("opc-work-request-id", &id)
    }
}
