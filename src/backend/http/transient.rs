// SPDX-License-Identifier: Apache-2.0
//! The transient errors of object stores: which answers another try may better, by status and by code, for all
//! backends.
//!
//! Sources, as the rows name them:
//!
//! * **S3**: the S3 API reference, "Error responses", and "Best practices design patterns" (retry 5xx and `SlowDown`;
//!   an error inside a 200 of CompleteMultipartUpload, CopyObject and UploadPartCopy is handled like any other).
//! * **AWS SDK**: "Retry behavior" of the AWS SDKs and Tools reference guide; `aws-runtime`'s lists of throttling and
//!   transient codes; 509 from botocore's `_retry.json`.
//! * **OCI**: the retry strategies of Oracle's SDKs; `ConcurrentObjectUpdate` from Python's UploadManager.
//! * **MinIO**, **Cloudflare** (5xx of a proxy in front of a store), **RFC 9110** and **RFC 8470** (425).

use crate::error::ErrorKind;
use std::ops::RangeInclusive;

/// A kind of answer that another try may better.
#[derive(Debug)]
pub(crate) struct Transient {
    statuses: RangeInclusive<u16>,
    /// Empty: any code, or none.
    codes: &'static [&'static str],
    pub(crate) kind: ErrorKind,
    pub(crate) effect: Effect,
}

/// Whether the request may have taken effect all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The server says that it did not act.
    None,
    /// It may have acted, and failed after that, or something in front of it may have failed.
    Possible,
}

const ANY: RangeInclusive<u16> = 0..=599;

/// The first row that fits counts.
const TABLE: &[Transient] = &[
    // S3, AWS SDK: 400. The body did not arrive in time.
    row(ANY, &["RequestTimeout", "RequestTimeoutException"], ErrorKind::Timeout, Effect::None),
    // S3 (503 SlowDown), OCI (429 TooManyRequests), MinIO (SlowDownRead, SlowDownWrite), AWS SDK (the rest; 400 too).
    row(
        ANY,
        &[
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "TooManyRequests",
            "TooManyRequestsException",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
        ],
        ErrorKind::Throttled,
        Effect::None,
    ),
    // S3, OCI: 503. The store itself says that it did not take the request.
    row(503..=503, &["ServiceUnavailable"], ErrorKind::Server, Effect::None),
    // S3, OCI: 500, or inside a 200. What was begun may be done.
    row(
        ANY,
        &["InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable"],
        ErrorKind::Server,
        Effect::Possible,
    ),
    // OCI: IncorrectState, LockConflict, ConcurrentObjectUpdate. S3: the other two. Another request was first.
    row(
        409..=409,
        &[
            "IncorrectState",
            "LockConflict",
            "ConcurrentObjectUpdate",
            "OperationAborted",
            "ConditionalRequestConflict",
        ],
        ErrorKind::Rejected,
        Effect::None,
    ),
    // RFC 9110: the request did not arrive in time. RFC 8470: it was too early, and not processed.
    row(408..=408, &[], ErrorKind::Timeout, Effect::None),
    row(425..=425, &[], ErrorKind::Server, Effect::None),
    // RFC 6585, OCI, AWS SDK.
    row(429..=429, &[], ErrorKind::Throttled, Effect::None),
    // S3, OCI, AWS SDK. A 503 without a code of the store's is some proxy's: its connection to the store may have broken
    // after the request.
    row(500..=500, &[], ErrorKind::Server, Effect::Possible),
    row(502..=504, &[], ErrorKind::Server, Effect::Possible),
    // AWS SDK (botocore), cPanel: bandwidth limit exceeded.
    row(509..=509, &[], ErrorKind::Throttled, Effect::None),
    // Cloudflare: the store refused the connection (521), is unreachable (523), failed the TLS handshake (525, 526), or
    // is overloaded (529). Else the proxy had a connection, and no good answer (520, 522, 524, 527, 528).
    row(521..=521, &[], ErrorKind::Server, Effect::None),
    row(523..=523, &[], ErrorKind::Server, Effect::None),
    row(525..=526, &[], ErrorKind::Server, Effect::None),
    row(529..=529, &[], ErrorKind::Throttled, Effect::None),
    row(520..=528, &[], ErrorKind::Server, Effect::Possible),
];

const fn row(
    statuses: RangeInclusive<u16>,
    codes: &'static [&'static str],
    kind: ErrorKind,
    effect: Effect,
) -> Transient {
    Transient { statuses, codes, kind, effect }
}

/// What the table says of an answer; `None` where another try would fare no better. A status of 0 is none: an error that
/// a document tells of one object of many has a code alone.
pub(crate) fn transient(status: u16, code: Option<&str>) -> Option<&'static Transient> {
    TABLE.iter().find(|row| {
        row.statuses.contains(&status)
            && (row.codes.is_empty() || code.is_some_and(|code| row.codes.contains(&code)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, code: &str) -> Option<(ErrorKind, Effect)> {
        let code = (!code.is_empty()).then_some(code);
        transient(status, code).map(|row| (row.kind, row.effect))
    }

    #[test]
    fn transient_errors_are_known_by_status_and_by_code() {
        use ErrorKind::{Rejected, Server, Throttled, Timeout};
        let (no, maybe) = (Effect::None, Effect::Possible);
        for (status, code, right) in [
            (400, "RequestTimeout", (Timeout, no)),
            (408, "", (Timeout, no)),
            (425, "", (Server, no)),
            (429, "", (Throttled, no)),
            (429, "TooManyRequests", (Throttled, no)),
            (500, "", (Server, maybe)),
            (500, "InternalError", (Server, maybe)),
            (200, "InternalError", (Server, maybe)),
            (200, "SlowDown", (Throttled, no)),
            (200, "ServiceUnavailable", (Server, maybe)),
            (0, "InternalError", (Server, maybe)),
            (502, "", (Server, maybe)),
            (503, "", (Server, maybe)),
            (503, "SlowDown", (Throttled, no)),
            (503, "ServiceUnavailable", (Server, no)),
            (504, "", (Server, maybe)),
            (509, "", (Throttled, no)),
            (520, "", (Server, maybe)),
            (521, "", (Server, no)),
            (524, "", (Server, maybe)),
            (529, "", (Throttled, no)),
            (409, "IncorrectState", (Rejected, no)),
            (409, "LockConflict", (Rejected, no)),
            (409, "ConcurrentObjectUpdate", (Rejected, no)),
            (409, "OperationAborted", (Rejected, no)),
            (409, "ConditionalRequestConflict", (Rejected, no)),
        ] {
            assert_eq!(told(status, code), Some(right), "{status} {code}");
        }
        for status in 520..=529 {
            assert!(told(status, "").is_some(), "{status}");
        }
    }

    #[test]
    fn what_does_not_pass_is_not_in_the_table() {
        for (status, code) in [
            (200, ""),
            (200, "NoSuchUpload"),
            (301, ""),
            (400, ""),
            (400, "InvalidParameter"),
            (401, "NotAuthenticated"),
            (403, "AccessDenied"),
            (404, "NoSuchKey"),
            (409, ""),
            (409, "BucketNotEmpty"),
            (409, "NotRestored"),
            (412, "IfMatchFailed"),
            (416, ""),
            (501, "NotImplemented"),
            (505, ""),
            (507, ""),
            (530, ""),
        ] {
            assert_eq!(told(status, code), None, "{status} {code}");
        }
    }
}
