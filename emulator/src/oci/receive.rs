// SPDX-License-Identifier: Apache-2.0
//! PutObject and UploadPart: the operations whose bodies are not read whole before they act.

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use storescope_sign::Authorization;

use super::authorize::signs_body;
use super::digests::digests;
use super::validation::{check_name, not_served, not_utf8};
use super::{objects, uploads};
use crate::error::ApiError;
use crate::exchange::{Broken, Exchange, too_large};
use crate::intake::{Algorithm, Intake, Received};
use crate::reply::Reply;
use crate::request::{condition, raw_target};
use crate::target::{Route, Target};

/// Most bytes of one PutObject.
const MAX_PUT: u64 = 50 << 30;

impl Exchange<'_> {
    /// PutObject and UploadPart.
    pub(super) async fn upload(
        &mut self,
        target: &Target,
        authorization: Option<&Authorization>,
    ) -> Result<Result<Reply, ApiError>, Broken> {
        if let Err(error) = self.check_upload(target) {
            return Ok(Err(error));
        }
        let headers = &self.parts.headers;
        let mut wanted = digests(headers);
        if authorization.is_some_and(signs_body) && !wanted.contains(&Algorithm::Sha256) {
            wanted.push(Algorithm::Sha256);
        }
        let received = match self.receive(&wanted).await? {
            Ok(received) => received,
            Err(error) => return Ok(Err(error)),
        };
        Ok(self.store(target, authorization, received))
    }

    /// What can be refused before the body is read.
    fn check_upload(&self, target: &Target) -> Result<(), ApiError> {
        let (storage, headers) = (&*self.storage, &self.parts.headers);
        let (Route::Object { bucket, name } | Route::Upload { bucket, name }) = &target.route
        else {
            return Err(not_served(raw_target(self.parts)));
        };
        let name = name.as_deref().ok_or_else(not_utf8)?;
        if !headers.contains_key(CONTENT_LENGTH) {
            return Err(ApiError::new(
                StatusCode::LENGTH_REQUIRED,
                "ContentLengthRequired",
                "The Content-Length header is required",
            ));
        }
        check_name(name)?;
        if matches!(target.route, Route::Object { .. }) {
            condition(headers)?;
            storage.bucket(bucket)?;
        } else {
            uploads::part_number(target)?;
            condition(headers)?;
            storage.upload(bucket, (name, uploads::id(target)?))?;
        }
        Ok(())
    }

    fn store(
        &self,
        target: &Target,
        authorization: Option<&Authorization>,
        received: Received,
    ) -> Result<Reply, ApiError> {
        let (storage, headers) = (&*self.storage, &self.parts.headers);
        let clock = &self.server.clock;
        self.check_body(authorization, || {
            let sha256 = received.digest(Algorithm::Sha256).and_then(|hash| hash.try_into().ok());
            sha256.expect("it is taken where a body is signed")
        })?;
        match &target.route {
            Route::Object { bucket, name: Some(name) } => {
                objects::put(storage, bucket, name, headers, received, clock.wall())
            }
            Route::Upload { bucket, name: Some(name) } => {
                let part = (name.as_str(), target);
                uploads::put_part(storage, bucket, part, headers, received, clock.wall())
            }
            _ => Err(not_served(raw_target(self.parts))),
        }
    }

    /// Takes in the body of an upload; it breaks off with its connection.
    async fn receive(
        &mut self,
        digests: &[Algorithm],
    ) -> Result<Result<Received, ApiError>, Broken> {
        let length = self.body().size_hint().lower();
        if length > MAX_PUT {
            return Ok(Err(too_large(MAX_PUT)));
        }
        let mut intake = match Intake::begin(self.storage.folder(), length, digests) {
            Ok(intake) => intake,
            Err(error) => return Ok(Err(ApiError::storage(error))),
        };
        while let Some(data) = self.next_data().await? {
            if let Err(error) = intake.write(&data).await {
                return Ok(Err(ApiError::storage(error)));
            }
        }
        Ok(intake.finish().await.map_err(ApiError::storage))
    }
}
