// SPDX-License-Identifier: Apache-2.0
//! Requests: their headers, as both APIs have them.

use super::{answer::show_crc32c, etag, metadata};
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::RequestId;
use crate::transport::RequestBody;
use crate::types::{About, Checksum, GetRange, PutMode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};

/// The longest object name, in bytes: OCI's and S3's.
const NAME_LIMIT: usize = 1024;

/// Names the service does not take are refused before they are sent.
pub(in crate::backend) fn check_name(key: &str) -> Result<(), Failure> {
    let why = if key.is_empty() {
        "the object name is empty".to_owned()
    } else if key.len() > NAME_LIMIT {
        format!("the object name has {} bytes; the service takes {NAME_LIMIT}", key.len())
    } else {
        return Ok(());
    };
    Err(Failure::new(ErrorKind::InvalidInput).message(why))
}

fn value(text: impl Into<Bytes>) -> Result<HeaderValue, Failure> {
    let text: Bytes = text.into();
    HeaderValue::from_maybe_shared(text.clone()).map_err(|e| {
        Failure::new(ErrorKind::InvalidInput)
            .message(format!("{:?} cannot stand in a header", String::from_utf8_lossy(&text)))
            .source(e)
    })
}

/// Inserts a header, which stands among the first if it is there: to look at their names is less than to hash its own.
pub(in crate::backend) fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    match headers.iter_mut().find(|(known, _)| **known == name) {
        Some((_, old)) => *old = value,
        None => {
            headers.insert(name, value);
        }
    }
}

/// The name of an attempt as a header's value.
pub(in crate::backend) fn client_request_id(id: RequestId) -> HeaderValue {
    HeaderValue::from_bytes(&id.hex()).expect("digits can stand in a header")
}

/// A request of these parts. One that may have a body says its length.
pub(in crate::backend) fn request(
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Payload,
) -> Request<RequestBody> {
    if matches!(method, Method::PUT | Method::POST) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut request = Request::new(RequestBody::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// Which bytes of which version a read asks for.
pub(in crate::backend) fn to_read(
    headers: &mut HeaderMap,
    range: Option<&GetRange>,
    if_match: Option<&str>,
) {
    if let Some(range) = range {
        set(headers, header::RANGE, range.header());
    }
    if let Some(tag) = if_match.and_then(etag::condition) {
        headers.insert(header::IF_MATCH, tag);
    }
}

/// What a write demands of the object that is there.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backend) struct WriteConditions<'a> {
    pub(in crate::backend) if_match: Option<&'a str>,
    pub(in crate::backend) if_none_match: Option<&'a str>,
}

impl<'a> WriteConditions<'a> {
    /// Those of a mode; a tag is refused that no server compares.
    pub(in crate::backend) fn of(mode: &'a PutMode) -> Result<WriteConditions<'a>, Failure> {
        match mode {
            PutMode::Overwrite => Ok(WriteConditions::default()),
            PutMode::Create => Ok(WriteConditions { if_match: None, if_none_match: Some("*") }),
            PutMode::Update(tag) => WriteConditions::matching(tag),
        }
    }

    /// That the object has this tag.
    pub(in crate::backend) fn matching(tag: &'a str) -> Result<WriteConditions<'a>, Failure> {
        etag::required(tag)?;
        Ok(WriteConditions { if_match: Some(tag), if_none_match: None })
    }

    pub(in crate::backend) fn insert(self, headers: &mut HeaderMap) -> Result<(), Failure> {
        for (name, text) in
            [(header::IF_MATCH, self.if_match), (header::IF_NONE_MATCH, self.if_none_match)]
        {
            if let Some(text) = text {
                headers.insert(name, value(text.to_owned())?);
            }
        }
        Ok(())
    }
}

/// The tag that a copy's source must have, where that can be asked.
pub(in crate::backend) fn source_tag(tag: Option<&str>) -> Option<&str> {
    tag.filter(|tag| etag::condition(tag).is_some())
}

/// The checksum of a body: a CRC32C under the API's name for it, an MD5 under HTTP's.
pub(in crate::backend) fn checksum(
    headers: &mut HeaderMap,
    crc32c: &'static str,
    checksum: Option<Checksum>,
) -> Result<(), Failure> {
    match checksum {
        Some(Checksum::Crc32c(crc)) => {
            headers.insert(HeaderName::from_static(crc32c), value(show_crc32c(crc))?);
        }
        Some(Checksum::Md5(md5)) => {
            headers.insert("content-md5", value(STANDARD.encode(md5))?);
        }
        None => {}
    }
    Ok(())
}

/// Content headers, but for the content type.
pub(in crate::backend) fn content(headers: &mut HeaderMap, about: &About) -> Result<(), Failure> {
    for (name, text) in about.headers() {
        headers.insert(HeaderName::from_static(name), metadata::content(name, text)?);
    }
    Ok(())
}

/// User metadata, ours among it, under names that begin with `prefix`.
pub(in crate::backend) fn user_metadata(
    headers: &mut HeaderMap,
    prefix: &str,
    about: &About,
) -> Result<(), Failure> {
    for (name, text) in metadata::sent(about)? {
        let name = HeaderName::try_from([prefix, &name].concat())
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
        headers.insert(name, value(text)?);
    }
    Ok(())
}
