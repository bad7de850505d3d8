// SPDX-License-Identifier: Apache-2.0
//! The kinds of failure, what each is called, and what to do about it.

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The bucket does not exist, or the principal may not know that it does: OCI answers both alike.
    BucketNotFound,
    /// What was to be created is there already.
    AlreadyExists,
    /// A condition (If-Match, If-None-Match) did not hold.
    Precondition,
    /// The object changed under a read that had begun.
    Changed,
    /// The store does not know who asks: wrong key, expired token, clock off (401).
    Unauthenticated,
    /// The store knows who asks and refuses (403).
    PermissionDenied,
    /// The object lies in an archive: it must be restored before it can be read.
    Archived,
    /// Too many requests, and the retries are used up (429, 503 SlowDown).
    Throttled,
    /// The store failed, and the retries are used up (5xx).
    Server,
    /// The range lies past the end of the object (416).
    InvalidRange,
    /// The store refused the request for another reason (4xx).
    Rejected,
    /// No connection: name not resolved, refused, unreachable.
    Connect,
    /// The TLS handshake failed: wrong authority, wrong host name, expired certificate.
    Tls,
    /// The store did not answer, or stopped answering, in time.
    Timeout,
    /// The connection broke and the retries are used up.
    Reset,
    /// The answer was not one: a wrong Content-Range, a short body, a malformed document.
    Protocol,
    /// The bytes are not those the store's checksum was made of.
    Integrity,
    /// This process or machine has run out of descriptors or ports.
    Exhausted,
    /// Configuration: a missing file, a key that does not parse, an unknown profile.
    Config,
    /// The caller asked for something that cannot be: an empty name, a reversed range.
    InvalidInput,
    /// The bytes to be written could not be read, or were not as many as was said.
    Source,
    /// A blocking call was made on a runtime's thread, or the client was shut down.
    Misuse,
    /// The store (or this version) does not offer the operation.
    Unsupported,
}

impl ErrorKind {
    pub(super) const fn text(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "object not found",
            ErrorKind::BucketNotFound => "bucket not found, or not visible to this principal",
            ErrorKind::AlreadyExists => "exists already",
            ErrorKind::Precondition => "the condition does not hold",
            ErrorKind::Changed => "the object changed while it was read",
            ErrorKind::Unauthenticated => "not authenticated",
            ErrorKind::PermissionDenied => "permission denied",
            ErrorKind::Archived => "the object is archived",
            ErrorKind::Throttled => "throttled",
            ErrorKind::Server => "the store failed",
            ErrorKind::InvalidRange => "the range lies past the end",
            ErrorKind::Rejected => "the store refused the request",
            ErrorKind::Connect => "no connection",
            ErrorKind::Tls => "the TLS handshake failed",
            ErrorKind::Timeout => "timed out",
            ErrorKind::Reset => "the connection broke",
            ErrorKind::Protocol => "the answer is malformed",
            ErrorKind::Integrity => "the checksum does not match",
            ErrorKind::Exhausted => "out of descriptors or ports",
            ErrorKind::Config => "configuration",
            ErrorKind::InvalidInput => "invalid input",
            ErrorKind::Source => "the source of the bytes failed",
            ErrorKind::Misuse => "misuse",
            ErrorKind::Unsupported => "not supported",
        }
    }

    pub(super) const fn hint(self) -> Option<&'static str> {
        Some(match self {
            ErrorKind::NotFound => {
                "check the name: object names are exact, nothing in them is decoded"
            }
            ErrorKind::BucketNotFound => {
                "check bucket, namespace and region, and that a policy lets this principal read the bucket"
            }
            ErrorKind::Unauthenticated => {
                "check user, tenancy, fingerprint and key_file of the profile, that the key is uploaded, and the clock"
            }
            ErrorKind::PermissionDenied => "a policy must allow this principal the operation",
            ErrorKind::Archived => {
                "restore it first, and read it when that has ended (hours): `oci os object restore`, or `aws s3api restore-object`"
            }
            ErrorKind::Throttled => "lower the concurrency, or raise the retry settings",
            ErrorKind::Connect => "check endpoint, region and network",
            ErrorKind::Tls => {
                "set ca_bundle if the store's certificate is from an authority of your own"
            }
            ErrorKind::Exhausted => {
                "raise the limit of open files (ulimit -n), or lower max_connections"
            }
            ErrorKind::Changed => "open the object anew",
            ErrorKind::AlreadyExists => "write without the condition to replace it",
            ErrorKind::Precondition => {
                "another writer was first: read the object again, and try with its new ETag"
            }
            ErrorKind::Integrity => {
                "read or write it again; if that persists, something on the way changes bytes"
            }
            ErrorKind::Rejected => "the code and message are the store's own",
            ErrorKind::Server => {
                "the store's own trouble: try later; its support asks for the request id"
            }
            ErrorKind::Timeout => "check the network and the store, or raise the time-outs",
            ErrorKind::Reset => "check the network, proxies and balancers on the way",
            ErrorKind::Protocol => {
                "check that the endpoint is an object store and nothing on the way rewrites answers"
            }
            ErrorKind::Source => "nothing was written: mend the source and write again",
            ErrorKind::InvalidRange => "ask for bytes below the object's size",
            _ => return None,
        })
    }
}
