// SPDX-License-Identifier: Apache-2.0
//! Answers that call themselves a success and are none: a proxy's page, an error inside a 200, bytes that are not what was
//! sent. Each operation of both APIs is asked of servers that answer so.

use crate::common::scripted::{APIS, Api, At, known};
use crate::common::server::{Asked, reply};
use crate::common::{self, emulator, impatient, raw_server, read, read_head, store_elsewhere};
use futures_util::StreamExt;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use storescope::{
    DeleteOptions, ErrorKind, GetOptions, ListOptions, PutMode, PutOptions, RenameOptions,
};
use storescope_emulator::Emulator;

const BEGUN: &str =
    "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";

/// What comes before the operation that is looked at, answered rightly.
fn on_the_way(operation: &str, asked: &Asked) -> Option<String> {
    match operation {
        "GetWorkRequest" | "ListWorkRequestErrors" if asked.is("POST", "copyObject") => {
            reply("202 Accepted", "opc-work-request-id: w\r\n", "")
        }
        "ListWorkRequestErrors" if !asked.target.ends_with("/errors") => {
            reply("200 OK", "", r#"{"status":"FAILED"}"#)
        }
        "UploadPartCopy" if asked.is("POST", "uploads") => reply("200 OK", "", BEGUN),
        "UploadPartCopy" if asked.method == "DELETE" => reply("204 No Content", "", ""),
        _ => None,
    }
}

const PAGE: &str = "<html><body>Please log in</body></html>";
const HTML: &str = "content-type: text/html\r\n";

// ---- bare successes -----------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_bare_success_is_an_error_of_every_operation() {
    let emulator = emulator();
    for api in APIS {
        for &operation in api.operations() {
            for (status, body) in [
                ("200 OK", PAGE),
                ("200 OK", ""),
                ("201 Created", ""),
                ("202 Accepted", PAGE),
                ("206 Partial Content", PAGE),
            ] {
                let at = At::new(api, &emulator, move |asked| {
                    on_the_way(operation, asked).or_else(|| reply(status, HTML, body))
                });
                let error = at.perform(operation).await.unwrap_err();
                let told = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Protocol, "{api:?} {status}: {told}");
                let named = format!("not an object store's answer to {operation}: it");
                assert!(told.contains(&named), "{api:?} {status}: {told}");
                assert!(told.contains("it lacks ") || told.contains("its status is "), "{told}");
                assert!(told.contains("text/html"), "{told}");
                assert!(error.client_request_id().is_some(), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let emulator = emulator();
    for (api, operation, missing) in [
        (Api::Oci, "GetObject", "lacks ETag"),
        (Api::Oci, "DeleteObject", "its status is 200 OK, not 204"),
        (Api::Oci, "CopyObject", "its status is 200 OK, not 202"),
        (Api::Oci, "ListObjects", "lacks a JSON document with objects"),
        (Api::Oci, "RenameObject", "lacks ETag"),
        (Api::Oci, "CreateMultipartUpload", "lacks a JSON document with uploadId"),
        (Api::S3, "PutObject", "lacks ETag"),
        (Api::S3, "DeleteObject", "its status is 200 OK, not 204"),
        (Api::S3, "CreateBucket", "lacks Location or x-amz-request-id or opc-request-id"),
        (Api::S3, "ListObjectsV2", "lacks an XML document <ListBucketResult>"),
        (Api::S3, "CopyObject", "lacks an XML document <CopyObjectResult>"),
    ] {
        if !APIS.contains(&api) {
            continue;
        }
        let at = At::new(api, &emulator, |_| reply("200 OK", HTML, PAGE));
        let told = at.perform(operation).await.unwrap_err().to_string();
        assert!(told.contains(missing), "{missing:?} in {told}");
    }
}

/// A ranged read, a stream and a reader: what comes of a page is an error, never bytes.
#[tokio::test]
async fn a_page_is_no_bytes_of_an_object() {
    let emulator = emulator();
    for api in APIS {
        let at = At::new(api, &emulator, |_| reply("200 OK", HTML, PAGE));
        for options in [
            GetOptions::new(),
            GetOptions::new().range(0..1_000),
            GetOptions::new().range(3..5),
            GetOptions::new().if_match("\"e\""),
        ] {
            let error = at.store.get("k", options).await.unwrap_err();
            assert!(error.to_string().contains("lacks ETag"), "{error}");
        }
        let reader = at.store.reader("k", storescope::ReadOptions::new());
        let error = reader.read_at(0..1_000).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn a_bare_204_removes_nothing_on_oci() {
    let emulator = emulator();
    let at = At::new(Api::Oci, &emulator, |_| reply("204 No Content", "", ""));
    for operation in ["DeleteObject", "DeleteBucket", "AbortMultipartUpload"] {
        let told = at.perform(operation).await.unwrap_err().to_string();
        assert!(told.contains("lacks opc-request-id"), "{told}");
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let emulator = emulator();
    for api in APIS {
        for &operation in api.operations() {
            let to = "location: http://portal.example/login?key=secret\r\n";
            let at = At::new(api, &emulator, move |asked| {
                on_the_way(operation, asked).or_else(|| reply("302 Found", to, ""))
            });
            let error = at.perform(operation).await.unwrap_err();
            let told = error.to_string();
            assert_eq!(
                (error.kind(), error.status()),
                (ErrorKind::Protocol, Some(302)),
                "{operation}: {told}"
            );
            assert!(told.contains("http://portal.example/login\""), "{operation}: {told}");
            assert!(!told.contains("secret"), "{operation}: {told}");
        }
    }
}

/// S3 renames by a copy and a removal: without the copy there is no removal.
#[tokio::test]
async fn a_rename_that_was_not_confirmed_removes_nothing() {
    let emulator = emulator();
    for api in APIS {
        let at = At::new(api, &emulator, |_| reply("200 OK", HTML, PAGE));
        let options = RenameOptions::new().source(known(5));
        let error = at.store.rename("k", "l", options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(at.asked("DELETE", ""), 0);
    }
}

#[tokio::test]
async fn a_conditional_write_takes_no_page_for_an_object() {
    let emulator = emulator();
    for api in APIS {
        // The answer to the write is lost, and the look at the object meets the page.
        let at = At::new(api, &emulator, |asked| match asked.method.as_str() {
            "PUT" => None,
            _ => reply("200 OK", HTML, PAGE),
        });
        let options = PutOptions::new().mode(PutMode::Create);
        let error = at.store.put("k", &b"x"[..], options).await.unwrap_err();
        assert!(error.to_string().contains("may have taken effect"), "{error}");
        assert!(error.to_string().contains("not an object store's answer"), "{error}");
    }
}

// ---- errors inside a success, and transient ones ------------------------------------------------------------------

#[cfg(feature = "s3")]
mod inside_a_200 {
    use super::*;

    const DONE: &str =
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
    const COPIED: &str = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    const PART: &str = "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>";

    fn error(code: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>again</Message></Error>"
        )
    }

    /// A server that answers an operation with an error inside a 200, so many times.
    fn failing(emulator: &Emulator, code: &'static str, times: usize) -> At {
        let failures = AtomicUsize::new(0);
        At::new(Api::S3, emulator, move |asked| {
            let target = &asked.target;
            let good = match asked.method.as_str() {
                "POST" if target.contains("uploads") => return reply("200 OK", "", BEGUN),
                "POST" => DONE,
                "PUT" if target.contains("partNumber") => PART,
                "PUT" => COPIED,
                "DELETE" => return reply("204 No Content", "", ""),
                // What stands there looks like the copy.
                _ => return reply("200 OK", "etag: \"e\"\r\n", "12345"),
            };
            // White space keeps the connection alive meanwhile.
            if failures.fetch_add(1, Relaxed) < times {
                reply("200 OK", "", &format!("\r\n   {}", error(code)))
            } else {
                reply("200 OK", "", &format!("  {good}"))
            }
        })
    }

    #[tokio::test]
    async fn is_retried() {
        let emulator = emulator();
        for code in ["InternalError", "SlowDown", "ServiceUnavailable"] {
            for operation in ["CompleteMultipartUpload", "CopyObject", "UploadPartCopy"] {
                let at = failing(&emulator, code, 2);
                at.perform(operation).await.unwrap_or_else(|e| panic!("{code} {operation}: {e}"));
                let retries = at.client.metrics().retries();
                assert_eq!(retries, 2, "{code} {operation}");
            }
        }
    }

    #[tokio::test]
    async fn is_told_when_it_stays() {
        let emulator = emulator();
        for (code, kind) in
            [("InternalError", ErrorKind::Server), ("SlowDown", ErrorKind::Throttled)]
        {
            for operation in ["CompleteMultipartUpload", "CopyObject", "UploadPartCopy"] {
                let at = failing(&emulator, code, usize::MAX);
                let error = at.perform(operation).await.unwrap_err();
                assert_eq!(
                    (error.kind(), error.code()),
                    (kind, Some(code)),
                    "{operation}: {error}"
                );
                assert!(error.attempts() >= 4, "{operation}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn that_is_for_good_is_not_retried() {
        let emulator = emulator();
        for operation in ["CompleteMultipartUpload", "CopyObject"] {
            let at = failing(&emulator, "AccessDenied", usize::MAX);
            let error = at.perform(operation).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.attempts()),
                (ErrorKind::PermissionDenied, 1),
                "{operation}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn transient_answers_of_s3_are_retried() {
        let emulator = emulator();
        for (status, code) in [
            ("400 Bad Request", "RequestTimeout"),
            ("408 Request Timeout", ""),
            ("409 Conflict", "OperationAborted"),
            ("409 Conflict", "ConditionalRequestConflict"),
            ("425 Too Early", ""),
            ("500 Internal Server Error", "InternalError"),
            ("503 Slow Down", "SlowDown"),
            ("509 Bandwidth Limit Exceeded", ""),
            ("520 Unknown", ""),
            ("529 Overloaded", ""),
        ] {
            let body = if code.is_empty() { String::new() } else { error(code) };
            for operation in ["GetObject", "PutObject", "UploadPart", "ListObjectsV2"] {
                let (asked, body) = (AtomicUsize::new(0), body.clone());
                let at = At::new(Api::S3, &emulator, move |request| {
                    if asked.fetch_add(1, Relaxed) == 0 {
                        return reply(status, "", &body);
                    }
                    if request.target.contains("list-type") {
                        reply("200 OK", "", "<ListBucketResult/>")
                    } else {
                        reply("200 OK", "etag: \"e\"\r\n", "")
                    }
                });
                let done = at.perform(operation).await;
                done.unwrap_or_else(|error| panic!("{operation} {status} {code}: {error}"));
                assert_eq!(at.client.metrics().retries(), 1, "{operation} {status} {code}");
            }
        }
    }
}

/// A 503 of the store's own did nothing, one of a proxy's may have: then the object is looked at first.
#[tokio::test]
async fn a_503_without_the_stores_code_may_have_taken_effect() {
    let emulator = emulator();
    for (body, asked) in [
        (r#"{"code":"ServiceUnavailable","message":"later"}"#, &["DELETE", "DELETE"][..]),
        // A HEAD's 404 has no code: a GET says what is missing.
        ("upstream connect error", &["DELETE", "HEAD", "GET"]),
    ] {
        let removals = AtomicUsize::new(0);
        let at = At::new(Api::Oci, &emulator, move |asked| match asked.method.as_str() {
            "HEAD" => reply("404 Not Found", "", ""),
            "GET" => reply("404 Not Found", "", r#"{"code":"ObjectNotFound","message":"none"}"#),
            _ if removals.fetch_add(1, Relaxed) == 0 => reply("503 Service Unavailable", "", body),
            _ => reply("204 No Content", "opc-request-id: r\r\n", ""),
        });
        at.store.delete("k", DeleteOptions::new()).await.unwrap();
        let methods: Vec<_> = at.seen.lock().unwrap().iter().map(|a| a.method.clone()).collect();
        assert_eq!(methods, asked, "{body}");
    }
}

/// What was asked of many objects is answered for them.
#[tokio::test]
async fn a_failure_of_an_object_that_was_not_named_is_an_error() {
    let emulator = emulator();
    for api in APIS {
        let body = match api {
            Api::Oci => r#"{"deleted":[],"failed":[{"objectName":"other","statusCode":403}]}"#,
            Api::S3 => {
                "<DeleteResult><Error><Key>other</Key><Code>AccessDenied</Code></Error></DeleteResult>"
            }
        };
        let at = At::new(api, &emulator, move |_| reply("200 OK", "", body));
        let keys = futures_util::stream::iter(["k".to_owned()]).boxed();
        let (_, result) = at.store.delete_many(keys).next().await.unwrap();
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Protocol);
    }
}

// ---- what is not HTTP, not JSON or not what was sent --------------------------------------------------------------

/// A server that answers every request alike.
fn answering(head: &'static str, body: &'static [u8]) -> String {
    let address = raw_server(move |mut stream| {
        while read_head(&mut stream) {
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn md5_checks_where_there_is_no_crc32c() {
    let emulator = common::emulator();
    // MD5 of "hello world", by md5sum.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\netag: e\r\ncontent-md5: XrY7u+Ae7tCTyyK7j1rNww==\r\n\r\n";
    let good = store_elsewhere(&emulator, answering(head, b"hello world"), |config| config);
    assert_eq!(read(&good, "k").await.unwrap(), b"hello world");
    let bad = store_elsewhere(&emulator, answering(head, b"hello worle"), |config| config);
    assert_eq!(read(&bad, "k").await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn what_is_no_answer_is_a_protocol_error() {
    let emulator = common::emulator();
    for (head, body) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", &b""[..]),
        ("HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\n", b"abcd"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n", b"abcd"),
    ] {
        let store =
            store_elsewhere(&emulator, answering(head, body), |config| impatient(config, 2));
        let error = read(&store, "k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{head:?}: {error}");
        assert!(error.object().is_some() && error.client_request_id().is_some(), "{head:?}");
    }
    let listing = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
    let store = store_elsewhere(&emulator, answering(listing, b"{\"obj\":"), |config| config);
    let error = store.list("", ListOptions::new()).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.client_request_id().is_some(), "{error}");
}

#[tokio::test]
async fn a_write_stored_otherwise_is_an_integrity_error() {
    let emulator = common::emulator();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: e\r\nopc-content-crc32c: AAAAAA==\r\n\r\n";
    let store = store_elsewhere(&emulator, answering(head, b""), |config| impatient(config, 2));
    let error = store.put("k", &b"hello"[..], PutOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}
