// SPDX-License-Identifier: Apache-2.0
//! Request targets: routed on their raw bytes, decoded once, never normalised.
//!
//! `/o/a/../b`, `/o//a` and `/o/%2e%2e` name three different objects. A `+` is a plus sign in a
//! path and a space in a query. Everything after `/o/` is the object's name.

use std::borrow::Cow;
#[cfg(feature = "s3")]
use std::fmt::Write as _;

use storescope_sign::Rule;

use crate::state::BucketName;

/// A request target's parts, borrowed from its raw text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) route: Route,
    /// The token of a pre-authenticated request, whose path stands before the route.
    pub(crate) token: Option<String>,
    query: Vec<(String, String)>,
}

/// What a path names. Names are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/n`
    Namespace,
    /// `/n/{ns}`
    NamespaceMetadata { namespace: String },
    /// `/n/{ns}/b`
    Buckets { namespace: String },
    /// `/n/{ns}/b/{b}`
    Bucket { bucket: BucketName },
    /// `/n/{ns}/b/{b}/o`
    Objects { bucket: BucketName },
    /// `/n/{ns}/b/{b}/o/{name}`; the name is `None` if it is not UTF-8.
    Object { bucket: BucketName, name: Option<String> },
    /// `/n/{ns}/b/{b}/objectversions`
    ObjectVersions { bucket: BucketName },
    /// `/n/{ns}/b/{b}/u`
    Uploads { bucket: BucketName },
    /// `/n/{ns}/b/{b}/u/{name}`: an upload's parts, commit and abort; the name is `None` if it is
    /// not UTF-8.
    Upload { bucket: BucketName, name: Option<String> },
    /// `/n/{ns}/b/{b}/actions/{action}`
    Action { bucket: BucketName, action: String },
    /// `/n/{ns}/b/{b}/p`
    Pars { bucket: BucketName },
    /// `/n/{ns}/b/{b}/p/{id}`
    Par { bucket: BucketName, id: String },
    /// `/workRequests`
    WorkRequests,
    /// `/workRequests/{id}`, `/workRequests/{id}/errors`, `/workRequests/{id}/logs`
    WorkRequest { id: String, part: String },
    /// A collection of the service that is not served, or one of what is in it.
    NotServed { collection: &'static str, one: bool },
    /// Not a path of the service.
    Unknown,
}

impl Target {
    pub(crate) fn parse(raw: &str) -> Target {
        let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
        let (token, path) = match path.strip_prefix("/p/").map(segment) {
            Some((token, rest)) => (Some(lossy(token)), rest),
            None => (None, path),
        };
        Target { route: Route::parse(path), token, query: parse_query(query) }
    }

    /// The first value of a query parameter; an empty one means "no filter" and is `None`.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a query parameter that are not empty.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The names of the query's parameters and their values, as they came.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The comma-separated parts of all values of a parameter, which clients send as one csv or
    /// repeated.
    pub(crate) fn csv(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim)
    }
}

impl Route {
    fn parse(path: &str) -> Route {
        let Some(rest) = path.strip_prefix("/n") else {
            return Route::parse_work_request(path);
        };
        let Some(rest) = after_slash(rest) else {
            return if rest.is_empty() || rest == "/" { Route::Namespace } else { Route::Unknown };
        };
        let (namespace, rest) = segment(rest);
        let namespace = lossy(namespace);
        let Some(rest) = after_slash(rest) else {
            return Route::NamespaceMetadata { namespace };
        };
        let (collection, rest) = segment(rest);
        if collection == "pe" {
            return Route::NotServed { collection: "pe", one: after_slash(rest).is_some() };
        }
        if collection != "b" {
            return Route::Unknown;
        }
        let Some(rest) = after_slash(rest) else { return Route::Buckets { namespace } };
        let (name, rest) = segment(rest);
        let bucket = BucketName { namespace, name: lossy(name) };
        let Some(rest) = after_slash(rest) else { return Route::Bucket { bucket } };
        let (collection, rest) = segment(rest);
        let text = |name| String::from_utf8(decode(name, false)).ok();
        match (collection, after_slash(rest)) {
            ("o", None) => Route::Objects { bucket },
            ("o", Some(name)) => Route::Object { bucket, name: text(name) },
            ("u", None) => Route::Uploads { bucket },
            ("u", Some(name)) => Route::Upload { bucket, name: text(name) },
            ("p", None) => Route::Pars { bucket },
            ("p", Some(id)) => Route::Par { bucket, id: lossy(id) },
            ("objectversions", None) => Route::ObjectVersions { bucket },
            ("actions", Some(action)) => Route::Action { bucket, action: lossy(action) },
            (other, one) => {
                let known = NOT_SERVED.into_iter().find(|known| *known == other);
                let route = |collection| Route::NotServed { collection, one: one.is_some() };
                known.map_or(Route::Unknown, route)
            }
        }
    }

    fn parse_work_request(path: &str) -> Route {
        let Some(rest) = path.strip_prefix("/workRequests") else { return Route::Unknown };
        let Some(rest) = after_slash(rest) else {
            return if matches!(rest, "" | "/") { Route::WorkRequests } else { Route::Unknown };
        };
        let (id, part) = segment(rest);
        Route::WorkRequest { id: lossy(id), part: after_slash(part).unwrap_or_default().to_owned() }
    }

    /// The namespace that a path names.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Route::NamespaceMetadata { namespace } | Route::Buckets { namespace } => {
                Some(namespace)
            }
            other => other.bucket().map(|bucket| bucket.namespace.as_str()),
        }
    }

    /// The bucket that a path names or lies in.
    pub(crate) fn bucket(&self) -> Option<&BucketName> {
        match self {
            Route::Bucket { bucket }
            | Route::Objects { bucket }
            | Route::Object { bucket, .. }
            | Route::ObjectVersions { bucket }
            | Route::Uploads { bucket }
            | Route::Upload { bucket, .. }
            | Route::Action { bucket, .. }
            | Route::Pars { bucket }
            | Route::Par { bucket, .. } => Some(bucket),
            _ => None,
        }
    }

    /// The operation that a method of this path is.
    pub(crate) fn operation(&self, method: &str) -> Option<&'static str> {
        Some(match (self, method) {
            (Route::Namespace, "GET") => "GetNamespace",
            (Route::NamespaceMetadata { .. }, "GET") => "GetNamespaceMetadata",
            (Route::NamespaceMetadata { .. }, "PUT") => "UpdateNamespaceMetadata",
            (Route::Buckets { .. }, "GET") => "ListBuckets",
            (Route::Buckets { .. }, "POST") => "CreateBucket",
            (Route::Bucket { .. }, "GET") => "GetBucket",
            (Route::Bucket { .. }, "HEAD") => "HeadBucket",
            (Route::Bucket { .. }, "POST") => "UpdateBucket",
            (Route::Bucket { .. }, "DELETE") => "DeleteBucket",
            (Route::Objects { .. }, "GET") => "ListObjects",
            (Route::ObjectVersions { .. }, "GET") => "ListObjectVersions",
            (Route::Object { .. }, "GET") => "GetObject",
            (Route::Object { .. }, "HEAD") => "HeadObject",
            (Route::Object { .. }, "PUT") => "PutObject",
            (Route::Object { .. }, "DELETE") => "DeleteObject",
            (Route::Uploads { .. }, "GET") => "ListMultipartUploads",
            (Route::Uploads { .. }, "POST") => "CreateMultipartUpload",
            (Route::Upload { .. }, "PUT") => "UploadPart",
            (Route::Upload { .. }, "GET") => "ListMultipartUploadParts",
            (Route::Upload { .. }, "POST") => "CommitMultipartUpload",
            (Route::Upload { .. }, "DELETE") => "AbortMultipartUpload",
            (Route::Action { action, .. }, "POST") => operation_of_action(action)?,
            (Route::Pars { .. }, "GET") => "ListPreauthenticatedRequests",
            (Route::Pars { .. }, "POST") => "CreatePreauthenticatedRequest",
            (Route::Par { .. }, "GET") => "GetPreauthenticatedRequest",
            (Route::Par { .. }, "DELETE") => "DeletePreauthenticatedRequest",
            (Route::WorkRequests, "GET") => "ListWorkRequests",
            (Route::WorkRequest { part, .. }, method) => match (method, part.as_str()) {
                ("GET", "") => "GetWorkRequest",
                ("DELETE", "") => "CancelWorkRequest",
                ("GET", "errors") => "ListWorkRequestErrors",
                ("GET", "logs") => "ListWorkRequestLogs",
                _ => return None,
            },
            (Route::NotServed { collection, one }, method) => {
                operation_not_served(collection, *one, method)?
            }
            _ => return None,
        })
    }

    /// What a request to this path must sign.
    pub(crate) fn rule(&self, method: &http::Method) -> Rule {
        match (self, method.as_str()) {
            (Route::Object { .. } | Route::Upload { .. }, "PUT") => Rule::BodyExcluded,
            (_, "POST" | "PUT" | "PATCH") => Rule::Body,
            _ => Rule::Generic,
        }
    }
}

/// Collections of a bucket that are not served.
const NOT_SERVED: [&str; 4] = ["l", "retentionRules", "replicationPolicies", "replicationSources"];

fn operation_of_action(action: &str) -> Option<&'static str> {
    Some(match action {
        "renameObject" => "RenameObject",
        "copyObject" => "CopyObject",
        "batchDeleteObjects" => "BatchDeleteObjects",
        "updateObjectStorageTier" => "UpdateObjectStorageTier",
        "restoreObjects" => "RestoreObjects",
        "makeBucketWritable" => "MakeBucketWritable",
        "reencrypt" => "ReencryptBucket",
        other if other.starts_with("reencrypt/") => "ReencryptObject",
        _ => return None,
    })
}

fn operation_not_served(collection: &str, one: bool, method: &str) -> Option<&'static str> {
    Some(match (collection, one, method) {
        ("l", false, "GET") => "GetObjectLifecyclePolicy",
        ("l", false, "PUT") => "PutObjectLifecyclePolicy",
        ("l", false, "DELETE") => "DeleteObjectLifecyclePolicy",
        ("retentionRules", false, "GET") => "ListRetentionRules",
        ("retentionRules", false, "POST") => "CreateRetentionRule",
        ("retentionRules", true, "GET") => "GetRetentionRule",
        ("retentionRules", true, "PUT") => "UpdateRetentionRule",
        ("retentionRules", true, "DELETE") => "DeleteRetentionRule",
        ("replicationPolicies", false, "GET") => "ListReplicationPolicies",
        ("replicationPolicies", false, "POST") => "CreateReplicationPolicy",
        ("replicationPolicies", true, "GET") => "GetReplicationPolicy",
        ("replicationPolicies", true, "DELETE") => "DeleteReplicationPolicy",
        ("replicationSources", false, "GET") => "ListReplicationSources",
        ("pe", false, "GET") => "ListPrivateEndpoints",
        ("pe", false, "POST") => "CreatePrivateEndpoint",
        ("pe", true, "GET") => "GetPrivateEndpoint",
        ("pe", true, "POST") => "UpdatePrivateEndpoint",
        ("pe", true, "DELETE") => "DeletePrivateEndpoint",
        _ => return None,
    })
}

/// What follows a slash, if anything does: a trailing slash is none.
fn after_slash(rest: &str) -> Option<&str> {
    rest.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// The text up to the next slash, and the rest from there on.
fn segment(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// Text of a path: `+` is a plus sign.
pub(crate) fn lossy(raw: &str) -> String {
    String::from_utf8_lossy(&decode(raw, false)).into_owned()
}

/// Text of a form or a header: `+` is a space.
#[cfg(feature = "s3")]
pub(crate) fn form_text(raw: &str) -> Result<String, std::string::FromUtf8Error> {
    String::from_utf8(decode(raw, true))
}

/// The decoded pairs of a target's query, in their order.
#[cfg(feature = "s3")]
pub(crate) fn query_pairs(target: &str) -> Vec<(String, String)> {
    parse_query(target.split_once('?').map_or("", |(_, query)| query))
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    let text = |raw| match String::from_utf8_lossy(&decode(raw, true)) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}

/// Decodes percent-encoding once. A `%` without two hex digits stands for itself: some SDKs send
/// it raw in queries.
fn decode(raw: &str, plus_is_space: bool) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        decoded.push(match byte {
            b'%' => match (hex(bytes.get(at)), hex(bytes.get(at + 1))) {
                (Some(high), Some(low)) => {
                    at += 2;
                    (high * 16 + low) as u8
                }
                _ => b'%',
            },
            b'+' if plus_is_space => b' ',
            other => *other,
        });
    }
    decoded
}

/// Percent-encoded as SigV4 has it.
#[cfg(feature = "s3")]
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => write!(encoded, "%{other:02X}").expect("a String takes all"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(raw: &str) -> String {
        match Target::parse(raw).route {
            Route::Object { name: Some(name), .. } => name,
            other => panic!("{raw}: {other:?}"),
        }
    }

    #[test]
    fn object_names_are_exact() {
        for (raw, name) in [
            ("a", "a"),
            ("a%2Fb", "a/b"),
            ("a/b", "a/b"),
            ("a/../b", "a/../b"),
            ("..", ".."),
            ("%2e%2e", ".."),
            ("/lead", "/lead"),
            ("a//b", "a//b"),
            ("a+b%2Bc", "a+b+c"),
            ("%25", "%"),
            ("%2525", "%25"),
            ("50%", "50%"),
            ("%zz", "%zz"),
            ("%C3%BC", "ü"),
            ("dir/", "dir/"),
            ("%3Fq", "?q"),
        ] {
            assert_eq!(object(&format!("/n/ns/b/bk/o/{raw}?versionId=x")), name);
        }
    }

    #[test]
    fn paths_are_routed_on_raw_segments() {
        let bucket = BucketName { namespace: "ns".into(), name: "b/k".into() };
        for (raw, route) in [
            ("/n", Route::Namespace),
            ("/n/", Route::Namespace),
            ("/n/ns", Route::NamespaceMetadata { namespace: "ns".into() }),
            ("/n/ns/b", Route::Buckets { namespace: "ns".into() }),
            ("/n/ns/b/", Route::Buckets { namespace: "ns".into() }),
            ("/n/ns/b/b%2Fk", Route::Bucket { bucket: bucket.clone() }),
            ("/n/ns/b/b%2Fk/", Route::Bucket { bucket: bucket.clone() }),
            ("/n/ns/b/b%2Fk/o?prefix=x", Route::Objects { bucket: bucket.clone() }),
            ("/n/ns/b/b%2Fk/o/%ff", Route::Object { bucket: bucket.clone(), name: None }),
            (
                "/n/ns/b/b%2Fk/u/a%2Fb/?uploadId=1",
                Route::Upload { bucket: bucket.clone(), name: Some("a/b/".into()) },
            ),
            ("/n/ns/b/b%2Fk/u", Route::Uploads { bucket: bucket.clone() }),
            ("/n/ns/b/b%2Fk/p/", Route::Pars { bucket: bucket.clone() }),
            ("/n/ns/b/b%2Fk/p/a%2F%2Bb", Route::Par { bucket: bucket.clone(), id: "a/+b".into() }),
            ("/n/ns/b/b%2Fk/objectversions", Route::ObjectVersions { bucket: bucket.clone() }),
            (
                "/n/ns/b/b%2Fk/actions/renameObject",
                Route::Action { bucket, action: "renameObject".into() },
            ),
            (
                "/n/ns/b/bk/retentionRules",
                Route::NotServed { collection: "retentionRules", one: false },
            ),
            ("/n/ns/pe/x", Route::NotServed { collection: "pe", one: true }),
            ("/workRequests", Route::WorkRequests),
            ("/workRequests/1", Route::WorkRequest { id: "1".into(), part: String::new() }),
            (
                "/workRequests/1/errors",
                Route::WorkRequest { id: "1".into(), part: "errors".into() },
            ),
            ("/workRequestsX", Route::Unknown),
            ("/n/ns/x", Route::Unknown),
            ("/nope", Route::Unknown),
            ("/", Route::Unknown),
        ] {
            assert_eq!(Target::parse(raw).route, route, "{raw}");
        }
    }

    #[test]
    fn a_token_stands_before_the_route() {
        let target = Target::parse("/p/to%2Fken-_/n/ns/b/bk/o/a/b?x=1");
        assert_eq!(target.token.as_deref(), Some("to/ken-_"));
        assert!(matches!(target.route, Route::Object { name: Some(name), .. } if name == "a/b"));
        assert_eq!(Target::parse("/p/token").route, Route::Unknown);
        assert_eq!(Target::parse("/n/ns/b/bk/o/p/x").token, None);
    }

    #[test]
    fn queries_are_forms() {
        let target = Target::parse("/n?prefix=a+b%2Fc%&delimiter=&fields=name%2Csize&fields=md5&x");
        assert_eq!(target.query("prefix"), Some("a b/c%"));
        assert_eq!(target.query("delimiter"), None);
        assert_eq!(target.query("x"), None);
        assert_eq!(target.csv("fields").collect::<Vec<_>>(), ["name", "size", "md5"]);
    }
}
