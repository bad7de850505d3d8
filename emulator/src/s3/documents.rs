// SPDX-License-Identifier: Apache-2.0
//! What `s3s` writes as S3 writes it: errors with all that S3 tells of them, and characters that XML 1.0 has not.
//!
//! ```text
//!  S3Error ─► detailed: elements of its own, in a header ─► s3s: Code, Message ─► error: both, what the request
//!                                                                                  names, RequestId and HostId
//! ```

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RANGE};
use http::request::Parts;

use super::errors::{DETAIL, detail, message};
use crate::exchange::Ids;
use crate::request::{raw_target, text};
use crate::target::{Target, lossy};

type Details = Vec<(String, String)>;

/// Bytes of a key.
const MAX_KEY: usize = 1024;

/// The document of an answer, which may be an error, as S3 writes it.
pub(super) fn document(body: Bytes, headers: &mut HeaderMap, asked: &Parts, ids: &Ids) -> Bytes {
    let details: Vec<_> = headers.get_all(DETAIL).iter().filter_map(detail).collect();
    headers.remove(DETAIL);
    let Ok(written) = std::str::from_utf8(&body) else { return body };
    let root = written.split_once("?>").map_or(written, |(_, root)| root);
    if root.starts_with("<Error>")
        && let Some(code) = element(root, "Code")
    {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        return error(root, code, (details, headers), (asked, ids)).into();
    }
    let is_xml = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
    let readable = is_xml.then(|| readable(written)).flatten();
    readable.map_or_else(|| body.clone(), Bytes::from)
}

/// Code, message, what belongs to them, and by what the answer is found.
fn error(
    written: &str,
    code: &str,
    (details, headers): (Details, &HeaderMap),
    (asked, ids): (&Parts, &Ids),
) -> String {
    let message = element(written, "Message").or_else(|| message(code)).unwrap_or_default();
    let message = message.replace("&apos;", "'");
    let mut told = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message>"
    );
    let given = |name: &str| details.iter().any(|(given, _)| given == name);
    let of_request = of_request(code, asked, headers);
    let of_request = of_request.into_iter().filter(|(name, _)| !given(name));
    let ids = [
        ("RequestId".to_owned(), ids.request.clone()),
        ("HostId".to_owned(), ids.host.clone().unwrap_or_default()),
    ];
    for (name, value) in of_request.chain(details.iter().cloned()).chain(ids) {
        let value = escaped(&value);
        write!(told, "<{name}>{value}</{name}>").expect("a String takes all");
    }
    told.push_str("</Error>");
    readable(&told).unwrap_or(told)
}

/// The text of an element, as it is written.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// What S3 tells of the request in errors of a code.
fn of_request(code: &str, asked: &Parts, headers: &HeaderMap) -> Details {
    let target = raw_target(asked);
    let path = lossy(target.split('?').next().unwrap_or_default());
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = |name| Target::parse(target).query(name).map(str::to_owned);
    let header = |name: &str| text(&asked.headers, name).map(str::to_owned);
    let size = || Some(headers.get(CONTENT_RANGE)?.to_str().ok()?.split_once('/')?.1.to_owned());
    let told: Vec<(&str, Option<String>)> = match code {
        "NoSuchBucket" | "InvalidBucketName" | "BucketNotEmpty" | "BucketAlreadyOwnedByYou" => {
            vec![("BucketName", Some(bucket.to_owned()))]
        }
        "NoSuchKey" => vec![("Key", Some(key.to_owned()))],
        "NoSuchVersion" => {
            vec![("Key", Some(key.to_owned())), ("VersionId", query("versionId"))]
        }
        "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder" => {
            vec![("UploadId", query("uploadId"))]
        }
        "InvalidRange" => {
            vec![("RangeRequested", header(RANGE.as_str())), ("ActualObjectSize", size())]
        }
        "KeyTooLongError" => vec![
            ("Size", Some(key.len().to_string())),
            ("MaxSizeAllowed", Some(MAX_KEY.to_string())),
        ],
        // Where a client may send what it has signed for another region: here, too.
        "PermanentRedirect" => vec![("Endpoint", header(HOST.as_str()))],
        "InvalidDigest" => vec![("Content-MD5", header("content-md5"))],
        "MethodNotAllowed" => vec![
            ("Method", Some(asked.method.to_string())),
            ("ResourceType", Some(resource_type(bucket, key).to_owned())),
        ],
        _ => Vec::new(),
    };
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn resource_type(bucket: &str, key: &str) -> &'static str {
    match (bucket, key) {
        ("", _) => "SERVICE",
        (_, "") => "BUCKET",
        _ => "OBJECT",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A document in which every character that XML 1.0 has not is a reference (`&#x1;`), as S3 writes it: no parser of
/// XML 1.0 takes it, and a carriage return would be read as a line feed. `None` where there is none.
fn readable(document: &str) -> Option<String> {
    let is_readable =
        |c: char| !matches!(c, '\0'..='\x08' | '\x0b'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if document.chars().all(is_readable) {
        return None;
    }
    let mut told = String::with_capacity(document.len() + 64);
    for c in document.chars() {
        if is_readable(c) {
            told.push(c);
        } else {
            write!(told, "&#x{:x};", u32::from(c)).expect("a String takes all");
        }
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_has_not_are_references() {
        assert_eq!(readable("<Key>a\tb\nc\u{7f}\u{80}ü</Key>"), None);
        assert_eq!(
            readable("<Key>\u{1}\r\u{1f}\u{b}\u{fffe}</Key>").as_deref(),
            Some("<Key>&#x1;&#xd;&#x1f;&#xb;&#xfffe;</Key>")
        );
    }
}
