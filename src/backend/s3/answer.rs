// SPDX-License-Identifier: Apache-2.0
//! Answers of S3, checked.

use super::refusal;
use crate::backend::etag;
use crate::backend::http::promise::{Carries, Promise};
use crate::backend::http::{self, length, read_crc32c, show_crc32c, text};
use crate::error::{ErrorKind, Failure};
use crate::types::{Checksum, ObjectMeta};
use crate::url;
use aws_smithy_xml::decode::Document;
use hyper::{HeaderMap, StatusCode};

/// The metadata that names the call which wrote an object under a condition (`ObjectMeta::mark`).
const MARK: &str = "x-amz-meta-storescope-write";

pub(super) const METADATA: &str = "x-amz-meta-";

pub(super) const CRC32C: &str = "x-amz-checksum-crc32c";

/// Holds an answer whose body is a document against what is promised. Operations that take long send their head before
/// they know how they end: then an error stands inside a 200.
pub(super) fn check(
    promise: &Promise,
    status: StatusCode,
    headers: &HeaderMap,
    document: &[u8],
) -> Result<(), Failure> {
    if !status.is_success() {
        return Err(refusal::of(status, headers, document));
    }
    let root = root_of(document);
    if root.as_deref() == Some("Error") {
        return Err(refusal::inside(status.as_u16(), document));
    }
    promise.check_head(status, headers)?;
    match promise.body {
        Carries::Xml(promised) if root.as_deref() != Some(promised) => {
            Err(promise.lacks_document(headers))
        }
        Carries::Xml(promised) if !is_closed(document, promised) => {
            Err(promise.lacks(&format!("the end of its document </{promised}>"), headers))
        }
        Carries::Xml(promised) if splits_text(document, promised) => Err(promise
            .broken("it holds comments, CDATA or instructions, which S3 does not write", headers)),
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

/// Whether something may stand within the text of an element: the SDK's parser takes what is before it for the whole text, and
/// CDATA for no text at all, so that a listing would name other objects than there are.
fn splits_text(document: &[u8], root: &str) -> bool {
    let begins = document.windows(root.len()).position(|word| word == root.as_bytes());
    document[begins.unwrap_or(0)..].windows(2).any(|mark| mark == b"<!" || mark == b"<?")
}

/// What an answer's headers say of the object.
pub(super) fn meta(key: &str, size: u64, headers: &HeaderMap) -> ObjectMeta {
    let told = http::described(key, size, headers, METADATA, MARK);
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

/// The checksum that a write's answer tells must be that of the bytes sent. Not every server tells one.
pub(super) fn check_stored(ours: Option<Checksum>, theirs: Option<&str>) -> Result<(), Failure> {
    let Some(Checksum::Crc32c(crc)) = ours else { return Ok(()) };
    // One of parts' checksums (`…-N`) does not read, and says nothing of the bytes.
    let theirs = theirs.filter(|theirs| read_crc32c(theirs).is_some());
    http::check_stored("CRC32C", &show_crc32c(crc), theirs)
}

/// A name in a listing: encoded where the answer says so. A server that does not know `encoding-type` ignores it.
pub(super) fn name(text: String, encoded: bool) -> Result<String, Failure> {
    if encoded { decoded(&text) } else { Ok(text) }
}

/// What stands percent-encoded in a listing that was asked for with `encoding-type=url`: `+` is a space there.
fn decoded(text: &str) -> Result<String, Failure> {
    url::decoded(&text.replace('+', " ")).ok_or_else(|| {
        Failure::new(ErrorKind::Protocol)
            .message(format!("the name {text:?} in a listing is not percent-encoded UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::s3::promises;
    use proptest::prelude::*;

    #[test]
    fn names_in_listings_are_decoded() {
        assert_eq!(decoded("a+b%2Bc/%F0%9F%A6%80").unwrap(), "a b+c/\u{1f980}");
        assert!(decoded("%").is_err() && decoded("%zz").is_err() && decoded("%ff").is_err());
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
        let key = |text: &str| {
            format!("<ListBucketResult><Contents><Key>{text}</Key></Contents></ListBucketResult>")
        };
        for text in ["<![CDATA[a]]>", "a<!-- -->b", "a<?x?>b"] {
            assert!(asked(&key(text)).unwrap_err().contains("comments, CDATA"), "{text}");
        }
        assert_eq!(asked(&format!("<!-- made by hand -->{}", key("a"))), Ok(()));
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
        assert!(check_stored(Some(Checksum::Crc32c(1)), Some("yZRlqg==-2")).is_ok());
        assert!(check_stored(Some(Checksum::Crc32c(1)), Some("yZRlqg==")).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decoded(&text);
            let _ = (root_of(&bytes), is_closed(&bytes, &text), is_closed(text.as_bytes(), "a"));
            let _ = read_crc32c(&text);
        }
    }
}
