// SPDX-License-Identifier: Apache-2.0
//! What an error of the S3 API holds: code, message, what the request named, and by what the answer is found.

use storescope_emulator::{Action, Emulator, Fault};

use crate::s3::{Answer, S3, start};

impl Answer {
    /// The elements of an error in their order, but for the ids.
    pub(crate) fn error(&self) -> Vec<(String, String)> {
        let (_, rest) = self.text().split_once("<Error>").unwrap();
        let rest = rest.strip_suffix("</Error>").unwrap();
        let elements = rest.split_inclusive('>').collect::<Vec<_>>();
        let elements = elements.chunks(2).map(|pair| {
            let name = pair[0].trim_matches(['<', '>']).to_owned();
            let text = pair[1].strip_suffix(&format!("</{name}>")).unwrap();
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            (name, text.replace("&amp;", "&"))
        });
        elements.filter(|(name, _)| !["RequestId", "HostId"].contains(&name.as_str())).collect()
    }

    /// The text of an element.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text().split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }
}

/// Asks, and compares the elements of the error.
fn refused(s3: &S3, asked: (&str, &str, &[(&str, &str)]), status: u16, error: &[(&str, &str)]) {
    let (method, path, headers) = asked;
    let answer = s3.request(method, path, headers, b"").unwrap();
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    let told = answer.error();
    let told: Vec<_> = told.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(told, error, "{method} {path}");
}

const GONE: &str = "The specified key does not exist.";
const NO_UPLOAD: &str = "The specified upload does not exist. The upload ID may be invalid, or the upload may have \
                         been aborted or completed.";

#[test]
fn an_error_names_what_the_request_named() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[], b"0123456789");
    let key = [("Code", "NoSuchKey"), ("Message", GONE), ("Key", "a b/<&>")];
    refused(&s3, ("GET", "/demo/a%20b/%3C&%3E", &[]), 404, &key);
    let bucket = [
        ("Code", "NoSuchBucket"),
        ("Message", "The specified bucket does not exist"),
        ("BucketName", "none"),
    ];
    for (method, path) in [("GET", "/none?list-type=2"), ("DELETE", "/none"), ("PUT", "/none/x")] {
        refused(&s3, (method, path, &[]), 404, &bucket);
    }
    let upload = [("Code", "NoSuchUpload"), ("Message", NO_UPLOAD), ("UploadId", "u")];
    refused(&s3, ("GET", "/demo/x?uploadId=u", &[]), 404, &upload);
    refused(&s3, ("DELETE", "/demo/x?uploadId=u", &[]), 404, &upload);
    let range = [
        ("Code", "InvalidRange"),
        ("Message", "The requested range is not satisfiable"),
        ("RangeRequested", "bytes=10-20"),
        ("ActualObjectSize", "10"),
    ];
    refused(&s3, ("GET", "/demo/x", &[("range", "bytes=10-20")]), 416, &range);
    let not_empty = [
        ("Code", "BucketNotEmpty"),
        ("Message", "The bucket you tried to delete is not empty"),
        ("BucketName", "demo"),
    ];
    refused(&s3, ("DELETE", "/demo", &[]), 409, &not_empty);
    let owned = [
        ("Code", "BucketAlreadyOwnedByYou"),
        (
            "Message",
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        ("BucketName", "demo"),
    ];
    refused(&s3, ("PUT", "/demo", &[]), 409, &owned);
    let long = format!("/demo/{}", "x".repeat(1025));
    let too_long = [
        ("Code", "KeyTooLongError"),
        ("Message", "Your key is too long"),
        ("Size", "1025"),
        ("MaxSizeAllowed", "1024"),
    ];
    refused(&s3, ("PUT", &long, &[]), 400, &too_long);
}

#[test]
fn an_error_of_a_condition_names_it_and_of_a_copy_its_source() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[], b"0123456789");
    let failed = |condition| {
        let message = "At least one of the pre-conditions you specified did not hold";
        [("Code", "PreconditionFailed"), ("Message", message), ("Condition", condition)]
    };
    let past = "Wed, 01 Jan 2020 00:00:00 GMT";
    for (method, headers, condition) in [
        ("GET", vec![("if-match", "\"x\"")], "If-Match"),
        ("GET", vec![("if-unmodified-since", past)], "If-Unmodified-Since"),
        ("PUT", vec![("if-match", "\"x\"")], "If-Match"),
        ("PUT", vec![("if-none-match", "*")], "If-None-Match"),
    ] {
        refused(&s3, (method, "/demo/x", &headers), 412, &failed(condition));
    }
    let source = ("x-amz-copy-source", "/demo/x");
    for (name, value, condition) in [
        ("x-amz-copy-source-if-match", "\"x\"", "x-amz-copy-source-If-Match"),
        ("x-amz-copy-source-if-unmodified-since", past, "x-amz-copy-source-If-Unmodified-Since"),
        ("x-amz-copy-source-if-none-match", "*", "x-amz-copy-source-If-None-Match"),
    ] {
        refused(&s3, ("PUT", "/demo/y", &[source, (name, value)]), 412, &failed(condition));
    }
    let gone = [("Code", "NoSuchKey"), ("Message", GONE), ("Key", "src")];
    refused(&s3, ("PUT", "/demo/y", &[("x-amz-copy-source", "/demo/src")]), 404, &gone);
    let bucket = [
        ("Code", "NoSuchBucket"),
        ("Message", "The specified bucket does not exist"),
        ("BucketName", "none"),
    ];
    refused(&s3, ("PUT", "/demo/y", &[("x-amz-copy-source", "/none/src")]), 404, &bucket);
}

#[test]
fn an_error_of_a_digest_holds_both() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let message = "The Content-MD5 you specified was invalid.";
    let invalid = [("Code", "InvalidDigest"), ("Message", message), ("Content-MD5", "000")];
    refused(&s3, ("PUT", "/demo/x", &[("content-md5", "000")]), 400, &invalid);
    let other = "XUFAKrxLKna5cZ2REBfFkg==";
    let bad = [
        ("Code", "BadDigest"),
        ("Message", "The Content-MD5 you specified did not match what we received."),
        ("ExpectedDigest", other),
        ("CalculatedDigest", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ];
    refused(&s3, ("PUT", "/demo/x", &[("content-md5", other)]), 400, &bad);
}

#[test]
fn an_answer_has_two_ids_and_an_error_holds_both() {
    let (emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[], b"hello");
    let mut seen = std::collections::HashSet::new();
    for (method, path) in [("GET", "/demo/x"), ("GET", "/demo/y"), ("HEAD", "/demo/y")] {
        let answer = s3.request(method, path, &[], b"").unwrap();
        let header = |name| answer.header(name).unwrap().to_owned();
        let (request, host) = (header("x-amz-request-id"), header("x-amz-id-2"));
        assert_ne!(request, host);
        assert_eq!(answer.header("opc-request-id"), Some(request.as_str()));
        assert!(answer.header("emulator-error-detail").is_none(), "{}", answer.head);
        if answer.status == 404 && method == "GET" {
            assert_eq!(answer.element("RequestId"), Some(request.as_str()));
            assert_eq!(answer.element("HostId"), Some(host.as_str()));
            assert_eq!(answer.header("content-type"), Some("application/xml"));
        } else if method == "HEAD" {
            assert_eq!((answer.status, answer.text()), (404, ""));
        }
        assert!(seen.insert(request) && seen.insert(host));
    }
    // A refused signature, a fault and a redirection are errors as others are.
    emulator.fault(Fault::new(Action::Throttle { requests: 1, retry_after: None }));
    for answer in [s3.get("/demo/x"), s3.open("GET", "/demo/x", b"")] {
        let told = ["RequestId", "HostId"].map(|name| answer.element(name).map(str::to_owned));
        let headers = ["x-amz-request-id", "x-amz-id-2"];
        assert_eq!(told, headers.map(|name| answer.header(name).map(str::to_owned)));
    }
}

#[test]
fn a_fault_says_what_it_was_told_to_say() {
    let (emulator, s3, _client) = start(Emulator::builder());
    let status = |code: &str, message: &str| Action::Status {
        status: 500,
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        retry_after: None,
    };
    emulator.fault(Fault::new(status("InternalError", "a < b & c")).count(1));
    refused(
        &s3,
        ("GET", "/demo/x", &[]),
        500,
        &[("Code", "InternalError"), ("Message", "a < b & c")],
    );
    emulator.fault(Fault::new(status("BucketNotFound", "hidden")).count(1));
    refused(
        &s3,
        ("GET", "/demo/x", &[]),
        500,
        &[("Code", "NoSuchBucket"), ("Message", "hidden"), ("BucketName", "demo")],
    );
}

#[test]
fn a_bucket_elsewhere_names_the_endpoint_that_was_asked() {
    let builder = Emulator::builder().bucket("far").s3_bucket_region("far", "eu-frankfurt-1");
    let (_emulator, s3, _client) = start(builder);
    let host = s3.ready.endpoint.trim_start_matches("http://").to_owned();
    refused(
        &s3,
        ("GET", "/far?list-type=2", &[]),
        301,
        &[
            ("Code", "PermanentRedirect"),
            (
                "Message",
                "The bucket you are attempting to access must be addressed using the specified \
                 endpoint. Please send all future requests to this endpoint.",
            ),
            ("Endpoint", &host),
            ("Bucket", "far"),
        ],
    );
}
