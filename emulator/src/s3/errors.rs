// SPDX-License-Identifier: Apache-2.0
//! Errors of this API: those of the store in its words, and those that it alone has. An error may
//! have elements beside its code and message; they go through `s3s` in a header.

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::api::{NOT_IMPLEMENTED, Place, Refused};
use crate::error::ApiError;
use crate::target::{form_text, percent_encoded};

/// Carries elements of an error through `s3s`; no answer has it.
pub(super) const DETAIL: HeaderName = HeaderName::from_static("emulator-error-detail");

/// An error of the store as this API tells it, in the words of this API where it has a code of its own.
pub(super) fn error(error: ApiError) -> S3Error {
    let own = |code: S3ErrorCode| S3Error::new(code);
    let condition = |name| detailed(own(S3ErrorCode::PreconditionFailed), &[("Condition", name)]);
    let mut told = match error.code.as_str() {
        "BucketNotFound" => own(S3ErrorCode::NoSuchBucket),
        "ObjectNotFound" => own(S3ErrorCode::NoSuchKey),
        "UploadNotFound" => own(S3ErrorCode::NoSuchUpload),
        "IfMatchFailed" => condition("If-Match"),
        "IfNoneMatchFailed" => condition("If-None-Match"),
        "BucketAlreadyExists" => own(S3ErrorCode::BucketAlreadyOwnedByYou),
        "BucketNotEmpty" | "PreauthenticatedRequestStillExists" => own(S3ErrorCode::BucketNotEmpty),
        "InvalidUploadPart" => own(S3ErrorCode::InvalidPart),
        "InvalidBucketName" => own(S3ErrorCode::InvalidBucketName),
        "NotRestored" => own(S3ErrorCode::InvalidObjectState),
        other => {
            let code = match other {
                "TooManyRequests" => "SlowDown",
                "InternalServerError" => "InternalError",
                "NotAuthenticated" => "AccessDenied",
                "IncorrectState" => "OperationAborted",
                other => other,
            };
            let code = S3ErrorCode::from_bytes(code.as_bytes());
            S3Error::with_message(code.unwrap_or(S3ErrorCode::InternalError), error.message)
        }
    };
    told.set_status_code(match error.code.as_str() {
        "NotRestored" => StatusCode::FORBIDDEN,
        "TooManyRequests" => StatusCode::SERVICE_UNAVAILABLE,
        _ => error.status,
    });
    told
}

/// An error with elements of its own, beside those that the request gives to errors of its code.
pub(super) fn detailed(mut error: S3Error, details: &[(&str, &str)]) -> S3Error {
    let mut headers = error.headers().cloned().unwrap_or_default();
    for (name, value) in details {
        let detail = format!("{name}={}", percent_encoded(value));
        headers.append(DETAIL, HeaderValue::try_from(detail).expect("percent-encoded is ASCII"));
    }
    error.set_headers(headers);
    error
}

pub(super) fn detail(value: &HeaderValue) -> Option<(String, String)> {
    let (name, value) = value.to_str().ok()?.split_once('=')?;
    Some((name.to_owned(), form_text(value).ok()?))
}

/// The error of an invalid argument.
pub(super) fn invalid_argument(name: &str, value: Option<&str>, message: String) -> S3Error {
    let error = S3Error::with_message(S3ErrorCode::InvalidArgument, message);
    let value = value.map(|value| ("ArgumentValue", value));
    detailed(error, &[&[("ArgumentName", name)], value.as_slice()].concat())
}

/// An error of a code that `s3s` does not know.
pub(super) fn bad_request(code: &'static str, message: &str) -> S3Error {
    let code = S3ErrorCode::Custom(code.into());
    let mut error = S3Error::with_message(code, message.to_owned());
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

pub(super) fn invalid<T>(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Result<T> {
    Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message))
}

/// The one error of all that is refused by the table.
pub(super) fn not_implemented(refused: Refused) -> S3Error {
    let message = format!("{}: {}", refused.message(), refused.name);
    let mut error = S3Error::with_message(S3ErrorCode::NotImplemented, message);
    error.set_headers(HeaderMap::from_iter([(NOT_IMPLEMENTED, refused.value())]));
    let element = match refused.place {
        Place::Operation => "Operation",
        Place::Header => "Header",
        Place::Query => "ArgumentName",
        Place::Body => "Element",
    };
    detailed(error, &[(element, &refused.name)])
}

/// What S3 says of a code where nothing else was said.
pub(super) fn message(code: &str) -> Option<&'static str> {
    MESSAGES.iter().find(|(known, _)| *known == code).map(|(_, message)| *message)
}

const MESSAGES: [(&str, &str); 30] = [
    ("AccessDenied", "Access Denied"),
    (
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    ("BucketNotEmpty", "The bucket you tried to delete is not empty"),
    ("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
    ("IncompleteBody", "The request body terminated unexpectedly"),
    ("InternalError", "We encountered an internal error. Please try again."),
    ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    ("InvalidArgument", "Invalid Argument"),
    ("InvalidBucketName", "The specified bucket is not valid."),
    ("InvalidDigest", "The Content-MD5 you specified was invalid."),
    ("InvalidObjectState", "The operation is not valid for the object's storage class"),
    (
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been \
         uploaded, or the specified entity tag may not match the part's entity tag.",
    ),
    (
        "InvalidPartOrder",
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    ("InvalidRange", "The requested range is not satisfiable"),
    ("InvalidToken", "The provided token is malformed or otherwise invalid."),
    ("InvalidURI", "Couldn't parse the specified URI."),
    ("KeyTooLongError", "Your key is too long"),
    (
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    ("MaxMessageLengthExceeded", "Your request was too big."),
    ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    ("MissingContentLength", "You must provide the Content-Length HTTP header."),
    ("MissingRequestBodyError", "Request Body is empty"),
    ("NoSuchBucket", "The specified bucket does not exist"),
    ("NoSuchKey", "The specified key does not exist."),
    (
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have \
         been aborted or completed.",
    ),
    ("NoSuchVersion", "The specified version does not exist."),
    ("NotImplemented", "A header you provided implies functionality that is not implemented"),
    ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    (
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your \
         key and signing method.",
    ),
    ("SlowDown", "Please reduce your request rate."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_go_through_a_header_unharmed() {
        let value = "a\nb=c&<\u{fc}> +%";
        let error = detailed(S3ErrorCode::AccessDenied.into(), &[("StringToSign", value)]);
        let carried = detail(error.headers().unwrap().get(DETAIL).unwrap());
        assert_eq!(carried, Some(("StringToSign".to_owned(), value.to_owned())));
    }
}
