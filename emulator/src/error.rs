// SPDX-License-Identifier: Apache-2.0
//! The two kinds of errors: why an emulator does not start, and what a request is answered that
//! cannot be done.

use std::io;
use std::net::SocketAddr;

use http::StatusCode;
use storescope_model::ModelError;

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The state folder, a file in it, or a thread.
    #[error("cannot set up the emulator")]
    Io(#[from] io::Error),
    /// Keys, tokens or certificates.
    #[error("cannot make the emulator's keys")]
    Identity(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The latency model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A bucket's name.
    #[error("cannot make the bucket: {0}")]
    Bucket(String),
    /// A user that cannot be added.
    #[error("cannot add the user: {0}")]
    User(String),
    /// Options of the S3 API in a build without the feature `s3`.
    #[error("built without S3: its ports, dialect and regions cannot be set")]
    WithoutS3,
}

impl StartError {
    pub(crate) fn identity<E: std::error::Error + Send + Sync + 'static>(error: E) -> StartError {
        StartError::Identity(Box::new(error))
    }
}

/// An error as the service tells it: `{"code":…,"message":…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> ApiError {
        ApiError { status, code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn bad_request(code: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_authenticated(why: &dyn std::fmt::Display) -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "NotAuthenticated",
            format!(
                "The required information to complete authentication was not provided or was \
                 incorrect. ({why})"
            ),
        )
    }

    pub(crate) fn bucket_not_found(namespace: &str, bucket: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "BucketNotFound",
            format!(
                "Either the bucket named '{bucket}' does not exist in the namespace \
                 '{namespace}' or you are not authorized to access it"
            ),
        )
    }

    pub(crate) fn object_not_found(bucket: &str, object: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "ObjectNotFound",
            format!("The object '{object}' was not found in the bucket '{bucket}'"),
        )
    }

    pub(crate) fn upload_not_found(id: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "UploadNotFound",
            format!("The upload '{id}' was not found: it was committed, aborted or never began"),
        )
    }

    pub(crate) fn par_not_found() -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "PreauthenticatedRequestNotFound",
            "The pre-authenticated request was not found, has expired or does not allow this",
        )
    }

    /// The data folder cannot be written.
    #[expect(clippy::needless_pass_by_value, reason = "a function of map_err")]
    pub(crate) fn storage(error: std::io::Error) -> ApiError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        tracing::error!(%error, "the data folder cannot be written");
        let (status, code) = match error.kind() {
            StorageFull | QuotaExceeded => {
                (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        };
        ApiError::new(status, code, format!("The data folder cannot be written: {error}"))
    }

    pub(crate) fn if_match_failed() -> ApiError {
        ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "IfMatchFailed",
            "The If-Match header does not match the entity's ETag",
        )
    }

    pub(crate) fn if_none_match_failed() -> ApiError {
        ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "IfNoneMatchFailed",
            "The If-None-Match header is '*' but there is an existing entity",
        )
    }

    pub(crate) fn too_many_requests() -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "The model's request rate is exceeded",
        )
    }
}
