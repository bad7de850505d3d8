// SPDX-License-Identifier: Apache-2.0
//! What the success of an operation carries. Each backend has one table of these (`oci/promises.rs`, `s3/promises.rs`).
//!
//! A captive portal, a proxy or a web server answers `200 OK` to everything. So a success is believed only with what
//! the API promises in it: its status, its headers, the kind of its document. A table demands no more than every server
//! of the API sends.

use crate::error::{ErrorKind, Failure};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, StatusCode};

/// An operation by its API: how it is asked, and what its success carries.
#[derive(Debug)]
pub(in crate::backend) struct Promise {
    /// The API's name of the operation.
    pub(in crate::backend) name: &'static str,
    pub(in crate::backend) method: Method,
    /// The statuses of a success.
    statuses: &'static [u16],
    /// At least one header of each group is there, and not empty.
    headers: &'static [&'static [&'static str]],
    pub(in crate::backend) body: Carries,
}

/// What the body of a success holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Carries {
    /// The bytes of an object, or nothing.
    Bytes,
    /// JSON: this.
    Json(&'static str),
    /// A document of XML with this root element.
    #[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "promised by S3"))]
    Xml(&'static str),
}

/// A backend's table: `CONSTANT = "Name" METHOD [statuses] [headers] body;`.
macro_rules! promises {
    ($($constant:ident = $name:literal $method:ident $statuses:tt $headers:tt $body:expr;)+) => {
        $(pub(super) static $constant: $crate::backend::http::promise::Promise =
            $crate::backend::http::promise::Promise::new(
                $name, hyper::Method::$method, &$statuses, &$headers, $body,
            );)+

        /// All of them.
        #[cfg(any(test, fuzzing))]
        pub(super) static ALL: &[&$crate::backend::http::promise::Promise] = &[$(&$constant),+];
    };
}
pub(in crate::backend) use promises;

impl Promise {
    pub(in crate::backend) const fn new(
        name: &'static str,
        method: Method,
        statuses: &'static [u16],
        headers: &'static [&'static [&'static str]],
        body: Carries,
    ) -> Promise {
        Promise { name, method, statuses, headers, body }
    }

    /// Checks the head of an answer that calls itself a success.
    pub(in crate::backend) fn check_head(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        if !self.statuses.contains(&status.as_u16()) {
            let promised: Vec<_> = self.statuses.iter().map(ToString::to_string).collect();
            let why = format!("its status is {status}, not {}", promised.join(" or "));
            return Err(self.broken(&why, headers));
        }
        let is_there = |name: &&str| headers.get(*name).is_some_and(|value| !value.is_empty());
        match self.headers.iter().find(|group| !group.iter().any(is_there)) {
            Some(group) => Err(self.broken(&format!("it lacks {}", group.join(" or ")), headers)),
            None => Ok(()),
        }
    }

    /// The answer lacks something that is promised.
    pub(in crate::backend) fn lacks(&self, what: &str, headers: &HeaderMap) -> Failure {
        self.broken(&format!("it lacks {what}"), headers)
    }

    /// The answer lacks its document.
    pub(in crate::backend) fn lacks_document(&self, headers: &HeaderMap) -> Failure {
        match self.body {
            Carries::Bytes => self.lacks("its body", headers),
            Carries::Json(what) => self.lacks(&format!("a JSON document with {what}"), headers),
            Carries::Xml(root) => self.lacks(&format!("an XML document <{root}>"), headers),
        }
    }

    /// The answer is not one of an object store.
    pub(in crate::backend) fn broken(&self, why: &str, headers: &HeaderMap) -> Failure {
        let kind = headers.get(CONTENT_TYPE).map(|kind| format!(" (Content-Type {kind:?})"));
        Failure::new(ErrorKind::Protocol).message(format!(
            "not an object store's answer to {}: {why}{}",
            self.name,
            kind.unwrap_or_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static DELETE: Promise =
        Promise::new("Delete", Method::DELETE, &[204], &[&["a", "b"]], Carries::Bytes);

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn one_header_of_a_group_is_enough_and_an_empty_one_is_none() {
        let status = StatusCode::NO_CONTENT;
        assert!(DELETE.check_head(status, &headers(&[("b", "x")])).is_ok());
        let error = DELETE.check_head(status, &headers(&[("a", "")])).unwrap_err();
        assert!(error.message.contains("answer to Delete: it lacks a or b"), "{}", error.message);
        let error = DELETE.check_head(StatusCode::OK, &headers(&[("a", "x")])).unwrap_err();
        assert!(error.message.contains("its status is 200 OK, not 204"), "{}", error.message);
    }
}
