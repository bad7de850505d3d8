// SPDX-License-Identifier: Apache-2.0
//! Answers that are no success, as failures: S3's statuses and codes.

use crate::backend::http::{self, ErrorDocument, text};
use crate::error::{ErrorKind, Failure};
use crate::transport::Response;
use hyper::{HeaderMap, StatusCode};

/// An answer that is not a success, as a failure: the service's XML, where it has one (HEAD has none).
pub(super) async fn read(response: Response) -> Failure {
    let Response { status, headers, body } = response;
    match http::document_of(status, body).await {
        Ok(document) => of(status, &headers, &document),
        Err(broke) => broke,
    }
}

/// Likewise, where the document is there.
pub(super) fn of(status: StatusCode, headers: &HeaderMap, document: &[u8]) -> Failure {
    let told = read_error(document);
    let mut failure = failure(status.as_u16(), told, |name| text(headers, name));
    http::mark_redirect(&mut failure, status, headers);
    failure
}

/// The error that stands inside a success.
pub(super) fn inside(status: u16, document: &[u8]) -> Failure {
    failure_inside(status, read_error(document))
}

/// An error that stands inside a success, or speaks of one object of many: its code alone says what it means.
fn failure_inside(status: u16, told: Told) -> Failure {
    let usual = match told.code.as_deref() {
        Some("AccessDenied") => 403,
        Some("NoSuchBucket" | "NoSuchKey" | "NoSuchUpload") => 404,
        Some("PreconditionFailed") => 412,
        _ => status,
    };
    let mut failure = failure(usual, told, |_| None);
    failure.status = Some(status);
    failure
}

/// What an error's document says.
#[derive(Debug, Default, PartialEq)]
struct Told {
    code: Option<String>,
    message: Option<String>,
    /// The region that the bucket lies in.
    region: Option<String>,
}

fn read_error(document: &[u8]) -> Told {
    let Some(parsed) =
        std::str::from_utf8(document).ok().and_then(|text| roxmltree::Document::parse(text).ok())
    else {
        // An object's name may hold characters that XML has no form for. Servers write them into errors all the same.
        let text = String::from_utf8_lossy(document);
        let of = |tag: &str| {
            let (_, behind) = text.split_once(&format!("<{tag}>"))?;
            behind.split_once('<').map(|(value, _)| value.to_owned())
        };
        let code = text.contains("<Error>").then(|| of("Code")).flatten();
        let message = code.as_ref().and_then(|_| of("Message"));
        return Told { code, message, region: None };
    };
    let of = |tag: &str| {
        let node = parsed.descendants().find(|node| node.tag_name().name() == tag)?;
        Some(node.text()?.to_owned())
    };
    Told { code: of("Code"), message: of("Message"), region: of("Region") }
}

/// The region in `…; the region 'a' is wrong; expecting 'b'`.
fn expected(message: &str) -> Option<&str> {
    message.split_once("expecting '")?.1.split_once('\'').map(|(region, _)| region)
}

/// What a status, code and headers mean.
fn failure<'a>(
    status: u16,
    told: Told,
    header: impl Fn(&'static str) -> Option<&'a str>,
) -> Failure {
    let Told { code, message, region } = told;
    let kind = kind(status, code.as_deref());
    let document = ErrorDocument { code, message };
    let mut failure = http::refusal(kind, status, document, "x-amz-request-id", &header);
    let misdirected = matches!(status, 301 | 307)
        || matches!(
            failure.code.as_deref(),
            Some("AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        )
        // A HEAD's answer has no code.
        || (status == 400 && failure.code.is_none());
    let region = header("x-amz-bucket-region")
        .or(region.as_deref())
        .or_else(|| expected(&failure.message))
        .map(str::to_owned);
    if let Some(region) = region.filter(|_| misdirected) {
        failure.kind = ErrorKind::Config;
        failure.hint = Some(format!("the bucket lies in the region {region}: set region={region}"));
    }
    if failure.code.as_deref() == Some("MetadataTooLarge") {
        failure.hint = Some("user metadata has at most 2,048 bytes: shorten it".to_owned());
    }
    failure
}

fn kind(status: u16, code: Option<&str>) -> ErrorKind {
    match (status, code) {
        (
            _,
            Some(
                "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "RequestTimeTooSkewed"
                | "RequestExpired"
                | "NotSignedUp"
                | "AuthFailure"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException",
            ),
        ) => ErrorKind::Unauthenticated,
        (_, Some("InvalidObjectState" | "ObjectNotInActiveTierError")) => ErrorKind::Archived,
        (404, Some("NoSuchKey" | "NoSuchUpload" | "NoSuchVersion")) => ErrorKind::NotFound,
        (404, Some("NoSuchBucket" | "NoSuchAccessPoint")) => ErrorKind::BucketNotFound,
        (_, Some("BucketAlreadyExists" | "BucketAlreadyOwnedByYou")) => ErrorKind::AlreadyExists,
        (status, code) => http::kind_of(status, code),
    }
}

/// Why one object of many was not removed.
pub(super) fn not_deleted(code: Option<String>, message: Option<String>) -> Failure {
    failure_inside(400, Told { code, message, region: None })
}

/// An upload that lost against a conditional write is gone: to complete it again would only tell that.
pub(super) fn conflicted(mut failure: Failure) -> Failure {
    if failure.code.as_deref() == Some("ConditionalRequestConflict") {
        failure.kind = ErrorKind::Precondition;
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn errors_are_read() {
        let document =
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";
        let told = read_error(document);
        assert_eq!(
            (told.code.as_deref(), told.message.as_deref()),
            (Some("NoSuchKey"), Some("gone"))
        );
        assert_eq!(read_error(b"<html>"), Told::default());
        let unformed =
            b"<Error><Code>NoSuchKey</Code><Message>gone</Message><Key>a\x1b[31m</Key></Error>";
        assert_eq!(read_error(unformed), told);
    }

    fn coded(status: u16, code: &str) -> ErrorKind {
        failure(status, Told { code: Some(code.to_owned()), ..Told::default() }, |_| None).kind
    }

    #[test]
    fn only_the_objects_own_404_says_that_it_is_not_there() {
        assert_eq!(coded(404, "NoSuchKey"), ErrorKind::NotFound);
        assert_eq!(coded(404, "NoSuchBucket"), ErrorKind::BucketNotFound);
        assert_eq!(coded(404, "NoSuchCORSConfiguration"), ErrorKind::Rejected);
        let page = failure(404, Told::default(), |_| None);
        assert_eq!(page.kind, ErrorKind::Protocol);
        assert!(page.message.contains("no reason"));
    }

    #[test]
    fn a_code_tells_more_than_its_status() {
        for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"] {
            assert_eq!(coded(403, code), ErrorKind::Unauthenticated, "{code}");
        }
        assert_eq!(coded(403, "InvalidObjectState"), ErrorKind::Archived);
        assert_eq!(coded(403, "AccessDenied"), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_bucket_elsewhere_names_its_region() {
        let by_header = |name: &'static str| (name == "x-amz-bucket-region").then_some("eu-west-1");
        let told = |code: Option<&str>, message: Option<&str>, region: Option<&str>| Told {
            code: code.map(str::to_owned),
            message: message.map(str::to_owned),
            region: region.map(str::to_owned),
        };
        let malformed = Some("AuthorizationHeaderMalformed");
        let message = "the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        for elsewhere in [
            failure(301, told(Some("PermanentRedirect"), None, None), by_header),
            failure(301, Told::default(), by_header),
            failure(400, Told::default(), by_header),
            failure(400, told(malformed, None, Some("eu-west-1")), |_| None),
            failure(400, told(malformed, Some(message), None), |_| None),
        ] {
            assert_eq!(elsewhere.kind, ErrorKind::Config);
            assert!(elsewhere.hint.as_ref().unwrap().contains("region=eu-west-1"));
        }
        assert_eq!(
            failure(400, told(Some("InvalidArgument"), None, None), by_header).kind,
            ErrorKind::Rejected
        );
    }

    proptest! {
        #[test]
        fn no_document_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_error(&bytes);
        }
    }
}
