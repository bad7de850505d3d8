// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets that read answers of stores, and the form in which seeds hold an answer.

pub(crate) use super::http::fuzzing::{content_range, dates, object_headers};
pub(crate) use super::oci::fuzzing::{
    documents as oci_documents, error as oci_error, list as oci_list,
};
#[cfg(feature = "s3")]
pub(crate) use super::s3::fuzzing::{
    documents as s3_documents, error as s3_error, list as s3_list,
};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// An answer.
#[derive(Debug)]
pub(in crate::backend) struct Answer<'a> {
    pub(in crate::backend) status: StatusCode,
    /// What stands behind the status.
    pub(in crate::backend) asked: &'a str,
    pub(in crate::backend) headers: HeaderMap,
    pub(in crate::backend) document: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads `STATUS asked`, a line `name: value` for each header, an empty line and the document.
    pub(in crate::backend) fn parse(data: &'a [u8]) -> Option<Answer<'a>> {
        let end = data.windows(2).position(|ends| ends == b"\n\n");
        let (head, document) = end.map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (status, asked) = first.split_once(' ').unwrap_or((first, ""));
        let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
        }
        Some(Answer { status, asked, headers, document })
    }
}
