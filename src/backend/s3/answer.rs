// SPDX-License-Identifier: Apache-2.0
//! Answers of S3, checked, and its errors as ours.

use crate::backend::oci::answer::{described, length, retry_after, text, without_code};
use crate::backend::promise::{Carries, Promise, mark_redirect};
use crate::backend::{Checksum, ObjectMeta, etag, transient};
use crate::error::{ErrorKind, Failure};
use crate::transport::Response;
use aws_smithy_xml::decode::Document;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{HeaderMap, StatusCode};

/// Documents longer than this are refused: a page of 1,000 names takes less than 2 MiB.
pub(super) const DOCUMENT_LIMIT: usize = 16 << 20;

/// The metadata that names the call which wrote an object under a condition (`ObjectMeta::mark`).
const MARK: &str = "x-amz-meta-storescope-write";

pub(super) const METADATA: &str = "x-amz-meta-";

pub(super) const CRC32C: &str = "x-amz-checksum-crc32c";

/// An answer that is not a success, as a failure: the service's XML, where it has one (HEAD has none).
pub(super) async fn refusal(response: Response) -> Failure {
    let Response { status, headers, body } = response;
    let document = body.collect(DOCUMENT_LIMIT).await.unwrap_or_default();
    refused(status, &headers, &document)
}

/// Likewise, where the document is there.
pub(super) fn refused(status: StatusCode, headers: &HeaderMap, document: &[u8]) -> Failure {
    let told = read_error(document);
    let mut failure = failure(status.as_u16(), told, |name| text(headers, name));
    mark_redirect(&mut failure, status, headers);
    failure
}

/// Holds an answer whose body is a document against what is promised. Operations that take long send their head before
/// they know how they end: then an error stands inside a 200.
pub(super) fn check(
    promise: &Promise,
    status: StatusCode,
    headers: &HeaderMap,
    document: &[u8],
) -> Result<(), Failure> {
    if !status.is_success() {
        return Err(refused(status, headers, document));
    }
    let root = root_of(document);
    if root.as_deref() == Some("Error") {
        return Err(failure_inside(status.as_u16(), read_error(document)));
    }
    promise.check_head(status, headers)?;
    match promise.body {
        Carries::Xml(promised) if root.as_deref() != Some(promised) => {
            Err(promise.lacks_document(headers))
        }
        Carries::Xml(promised) if !is_closed(document, promised) => {
            Err(promise.lacks(&format!("the end of its document </{promised}>"), headers))
        }
        _ => Ok(()),
    }
}

/// The name of a document's root element.
fn root_of(document: &[u8]) -> Option<String> {
    let mut document = Document::try_from(document).ok()?;
    let root = document.root_element().ok()?;
    Some(root.start_el().local().to_owned())
}

/// Whether a document ends with its root element. The SDK's parser takes one that was cut for a short one.
fn is_closed(document: &[u8], root: &str) -> bool {
    let text = String::from_utf8_lossy(document.trim_ascii_end());
    let Some(text) = text.strip_suffix('>') else { return false };
    // `</root>`, `</prefix:root >`, or an empty root: `<root xmlns="…"/>`.
    let last = text.rsplit('<').next().unwrap_or_default();
    let tag = match last.strip_prefix('/') {
        Some(tag) => tag.trim_end(),
        None if last.ends_with('/') => {
            last.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default()
        }
        None => return false,
    };
    tag.rsplit(':').next() == Some(root)
}

/// An error that stands inside a success, or speaks of one object of many: its code alone says what it means.
pub(super) fn failure_inside(status: u16, told: Told) -> Failure {
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
pub(super) struct Told {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// The region that the bucket lies in.
    pub(super) region: Option<String>,
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
pub(super) fn failure<'a>(
    status: u16,
    told: Told,
    header: impl Fn(&'static str) -> Option<&'a str>,
) -> Failure {
    let Told { code, message, region } = told;
    let mut failure = Failure::new(kind(status, code.as_deref()));
    failure.status = Some(status);
    failure.request_id = header("x-amz-request-id").map(str::to_owned);
    failure.retry_after = header("retry-after").and_then(retry_after);
    if matches!(status, 400 | 401 | 403) {
        failure.server_date = header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    }
    let misdirected = matches!(status, 301 | 307)
        || matches!(
            code.as_deref(),
            Some("AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        )
        // A HEAD's answer has no code.
        || (status == 400 && code.is_none());
    let region = header("x-amz-bucket-region")
        .or(region.as_deref())
        .or_else(|| message.as_deref().and_then(expected));
    if let Some(region) = region.filter(|_| misdirected) {
        failure.kind = ErrorKind::Config;
        failure.hint = Some(format!("the bucket lies in the region {region}: set region={region}"));
    }
    if code.as_deref() == Some("MetadataTooLarge") {
        failure.hint = Some("user metadata has at most 2,048 bytes: shorten it".to_owned());
    }
    failure.message = message
        .unwrap_or_else(|| if code.is_none() { without_code(status) } else { String::new() });
    failure.code = code;
    failure
}

pub(super) fn kind(status: u16, code: Option<&str>) -> ErrorKind {
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
        )
        | (401, _) => ErrorKind::Unauthenticated,
        (_, Some("InvalidObjectState" | "ObjectNotInActiveTierError")) => ErrorKind::Archived,
        (403, _) => ErrorKind::PermissionDenied,
        (404, Some("NoSuchKey" | "NoSuchUpload" | "NoSuchVersion")) => ErrorKind::NotFound,
        (404, Some("NoSuchBucket" | "NoSuchAccessPoint")) => ErrorKind::BucketNotFound,
        // A server that is not the service says nothing of the object; nor does a 404 of another code, below.
        (404, None) => ErrorKind::Protocol,
        (_, Some("BucketAlreadyExists" | "BucketAlreadyOwnedByYou")) => ErrorKind::AlreadyExists,
        (304 | 412, _) => ErrorKind::Precondition,
        (416, _) => ErrorKind::InvalidRange,
        (501, _) => ErrorKind::Unsupported,
        (status, code) => match transient(status, code) {
            Some(transient) => transient.kind,
            None if status >= 500 => ErrorKind::Server,
            None => ErrorKind::Rejected,
        },
    }
}

/// What an answer's headers say of the object.
pub(super) fn meta(key: &str, size: u64, headers: &HeaderMap) -> ObjectMeta {
    let told = described(key, size, headers, METADATA, MARK);
    ObjectMeta {
        checksum: checksum(headers),
        version: text(headers, "x-amz-version-id").map(str::to_owned),
        ..told
    }
}

/// A document's ETag as HTTP has it: some servers leave the quotes out there, and have them in headers.
pub(super) fn quoted(tag: &str) -> String {
    if etag::is_quoted(etag::strong(tag)) { tag.to_owned() } else { format!("\"{tag}\"") }
}

pub(super) fn head(key: &str, headers: &HeaderMap) -> Option<ObjectMeta> {
    Some(meta(key, length(headers)?, headers))
}

/// The CRC32C of the whole object. Of one written by parts it may be a checksum of checksums (`…-N`), which is none of
/// the bytes. An ETag is not taken for an MD5: whether it is one depends on encryption and server.
fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    if text(headers, "x-amz-checksum-type").is_some_and(|kind| kind != "FULL_OBJECT") {
        return None;
    }
    read_crc32c(text(headers, CRC32C)?).map(Checksum::Crc32c)
}

pub(super) fn read_crc32c(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

pub(super) fn show_crc32c(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// The checksum that a write's answer tells must be that of the bytes sent. Not every server tells one.
pub(super) fn check_stored(ours: Option<u32>, theirs: Option<&str>) -> Result<(), Failure> {
    match (ours, theirs) {
        // One of parts' checksums (`…-N`) does not read, and says nothing of the bytes.
        (Some(ours), Some(theirs)) if read_crc32c(theirs).is_some_and(|theirs| theirs != ours) => {
            Err(Failure::new(ErrorKind::Integrity)
                .message(format!(
                    "the service stored CRC32C {theirs}, we sent {}",
                    show_crc32c(ours)
                ))
                .hint("write the object again"))
        }
        _ => Ok(()),
    }
}

/// A name in a listing: encoded where the answer says so. A server that does not know `encoding-type` ignores it.
pub(super) fn name(text: String, encoded: bool) -> Result<String, Failure> {
    if encoded { decoded(&text) } else { Ok(text) }
}

/// An upload that lost against a conditional write is gone: to complete it again would only tell that.
pub(super) fn conflicted(mut failure: Failure) -> Failure {
    if failure.code.as_deref() == Some("ConditionalRequestConflict") {
        failure.kind = ErrorKind::Precondition;
    }
    failure
}

/// What stands percent-encoded in a listing that was asked for with `encoding-type=url`: `+` is a space there.
fn decoded(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let malformed = || {
        Failure::new(ErrorKind::Protocol)
            .message(format!("the name {text:?} in a listing is not percent-encoded UTF-8"))
    };
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = rest.get(..2).ok_or_else(malformed)?;
                rest = &rest[2..];
                let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
                u8::from_str_radix(digits, 16).map_err(|_| malformed())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::super::promises;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_in_listings_are_decoded() {
        assert_eq!(decoded("a+b%2Bc/%F0%9F%A6%80").unwrap(), "a b+c/\u{1f980}");
        assert!(decoded("%").is_err() && decoded("%zz").is_err() && decoded("%ff").is_err());
    }

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

    fn page() -> HeaderMap {
        HeaderMap::from_iter([(hyper::header::CONTENT_TYPE, "text/html".parse().unwrap())])
    }

    #[test]
    fn a_bare_success_is_none_of_any_operation() {
        for promise in promises::ALL {
            for document in [&b"<html><body>Please log in</body></html>"[..], b"", b"<html>"] {
                let told = check(promise, StatusCode::OK, &page(), document).unwrap_err();
                let told = &told.message;
                let named = format!("not an object store's answer to {}: it", promise.name);
                assert!(told.starts_with(&named), "{told}");
                assert!(told.ends_with("(Content-Type \"text/html\")"), "{told}");
            }
            for status in [StatusCode::ACCEPTED, StatusCode::RESET_CONTENT] {
                assert!(check(promise, status, &page(), b"").is_err(), "{}", promise.name);
            }
        }
    }

    #[test]
    fn a_document_is_whole() {
        let list = &promises::LIST_OBJECTS;
        let asked = |document: &str| {
            check(list, StatusCode::OK, &HeaderMap::new(), document.as_bytes())
                .map_err(|failure| failure.message.clone())
        };
        for whole in [
            "<ListBucketResult/>",
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\" />\n",
            "<ListBucketResult><Contents/></ListBucketResult>\n",
            "<s3:ListBucketResult xmlns:s3=\"x\"></s3:ListBucketResult >",
        ] {
            assert_eq!(asked(whole), Ok(()), "{whole}");
        }
        for cut in [
            "<ListBucketResult>",
            "<ListBucketResult><IsTruncated>false</IsTruncated>",
            "<ListBucketResult><Contents/>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketRes",
        ] {
            assert!(asked(cut).unwrap_err().contains("lacks the end of its document"), "{cut}");
        }
        assert!(asked("<ListVersionsResult/>").unwrap_err().contains("<ListBucketResult>"));
    }

    #[test]
    fn an_error_inside_a_success_is_that_error() {
        let inside = |code: &str| {
            let document = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
            let promise = &promises::COMPLETE_UPLOAD;
            check(promise, StatusCode::OK, &HeaderMap::new(), document.as_bytes()).unwrap_err()
        };
        for (code, kind) in [
            ("InternalError", ErrorKind::Server),
            ("ServiceUnavailable", ErrorKind::Server),
            ("SlowDown", ErrorKind::Throttled),
            ("NoSuchUpload", ErrorKind::NotFound),
            ("AccessDenied", ErrorKind::PermissionDenied),
            ("PreconditionFailed", ErrorKind::Precondition),
            ("EntityTooSmall", ErrorKind::Rejected),
        ] {
            let failure = inside(code);
            assert_eq!((failure.kind, failure.status), (kind, Some(200)), "{code}");
            assert_eq!((failure.code.as_deref(), &*failure.message), (Some(code), "m"));
        }
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

    #[test]
    fn tags_of_documents_are_quoted() {
        assert_eq!(quoted("abc"), "\"abc\"");
        assert_eq!(quoted("\"abc\""), "\"abc\"");
        assert_eq!(quoted("W/\"abc\""), "W/\"abc\"");
    }

    #[test]
    fn a_checksum_of_checksums_is_none_of_the_bytes() {
        let mut headers = HeaderMap::new();
        headers.insert(CRC32C, "yZRlqg==".parse().unwrap());
        assert_eq!(meta("k", 0, &headers).checksum, Some(Checksum::Crc32c(0xc994_65aa)));
        headers.insert("x-amz-checksum-type", "COMPOSITE".parse().unwrap());
        assert_eq!(meta("k", 0, &headers).checksum, None);
        assert!(check_stored(Some(1), Some("yZRlqg==-2")).is_ok());
        assert!(check_stored(Some(1), Some("yZRlqg==")).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decoded(&text);
            let _ = read_error(&bytes);
            let _ = (root_of(&bytes), is_closed(&bytes, &text), is_closed(text.as_bytes(), "a"));
            let _ = read_crc32c(&text);
        }
    }
}
