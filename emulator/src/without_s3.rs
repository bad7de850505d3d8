// SPDX-License-Identifier: Apache-2.0
//! What stands for the S3 API in a build without the feature `s3`: nothing is served.

use std::sync::Arc;

use crate::error::ApiError;
use crate::exchange::{Broken, Exchange};
use crate::ready::S3Ready;
use crate::reply::Reply;
use crate::server::Server;

/// Whether this build serves the S3 API.
pub(crate) const IS_BUILT: bool = false;

/// The service that connections of this API are given: there is none.
#[derive(Clone)]
pub(crate) enum Service {}

impl Service {
    pub(crate) fn new(_: &Arc<Server>, _: bool, _: Vec<(String, String)>) -> Option<Service> {
        None
    }

    pub(crate) fn ready(&self, _: String, _: String) -> S3Ready {
        match *self {}
    }
}

impl Exchange<'_> {
    #[expect(clippy::unused_async, reason = "the same as with the feature")]
    pub(crate) async fn act_by_s3(
        &mut self,
        s3: &Service,
    ) -> Result<Result<Reply, ApiError>, Broken> {
        match *s3 {}
    }
}
