// SPDX-License-Identifier: Apache-2.0
//! Requests by aws-sdk-s3: a document in, a document out. They leave by our transport (connector.rs).

use super::S3;
use super::connector::SdkAttempt;
use super::service::Service;
use crate::backend::http::promise::Promise;
use crate::backend::{Attempt, unsent};
use crate::error::{ErrorKind, Failure, causes};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::DateTime;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gives an SDK's request its attempt.
pub(super) type AttachAttempt = Box<dyn Fn(&mut HttpRequest) + Send + Sync>;

impl S3 {
    /// Sends a request of the SDK's, in the attempt's name.
    pub(super) async fn send_by_sdk<T, E, S>(
        &self,
        attempt: Attempt,
        promise: &'static Promise,
        send: impl FnOnce(&Service, &str, AttachAttempt) -> S + Send,
    ) -> Result<T, Failure>
    where
        E: std::error::Error + Send + Sync + 'static,
        S: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let Attempt { timer, fresh } = attempt;
        let id = timer.client_request_id().to_string();
        let carried = SdkAttempt::new(timer, fresh, promise);
        let answered = async {
            let service = self.service().await?;
            if let Some(signer) = &service.signer {
                signer.ready().await?;
            }
            let travelling = carried.clone();
            let attach: AttachAttempt =
                Box::new(move |request| request.add_extension(travelling.clone()));
            let bucket = self.url.bucket().unwrap_or_default();
            Box::pin(send(service, bucket, attach)).await.map_err(|error| failed(error, &carried))
        };
        match answered.await {
            Ok(answer) => {
                self.seen.yes();
                Ok(answer)
            }
            Err(mut failure) => {
                if let Some(timer) = carried.unused() {
                    failure = unsent(failure, timer);
                }
                self.judge(&mut failure);
                failure.client_request_id = Some(id);
                Err(failure)
            }
        }
    }
}

/// What an SDK's request failed with. What the transport or the answer says is carried; the SDK sees no refusal.
fn failed<E>(error: SdkError<E, HttpResponse>, carried: &SdkAttempt) -> Failure
where
    E: std::error::Error + Send + Sync + 'static,
{
    if let Some(failure) = carried.failure() {
        return failure;
    }
    match error {
        unread @ (SdkError::ResponseError(_) | SdkError::ServiceError(_)) => {
            Failure::new(ErrorKind::Protocol).message("the answer does not parse").source(unread)
        }
        // Credentials that cannot be had, a region that is missing, a name that is none.
        other => Failure::new(ErrorKind::Config)
            .message(format!("the request could not be made: {}", causes(&other))),
    }
}

pub(super) fn system_time(time: &DateTime) -> SystemTime {
    let seconds = u64::try_from(time.secs()).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, time.subsec_nanos())
}
