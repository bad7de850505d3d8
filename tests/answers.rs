// SPDX-License-Identifier: Apache-2.0
//! Answers that call themselves a success and are none: a proxy's page, an error inside a 200, a listing of something
//! else, a page without the next one. Each operation of both APIs is asked of servers that answer so.

mod common;

use common::server::{Asked, reply, scripted};
use common::{BUCKET, client, config, emulator, impatient, s3_config, store_at};
use futures_util::{StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use storescope::{
    Client, CopyOptions, DeleteOptions, Error, ErrorKind, GetOptions, ListEntry, ListOptions,
    ObjectMeta, PutMode, PutOptions, RenameOptions, Result, Store, StoreOptions, Upload,
    UploadedPart,
};
use storescope_emulator::Emulator;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Oci,
    #[cfg_attr(not(feature = "s3"), allow(dead_code, reason = "asked with the feature alone"))]
    S3,
}

#[cfg(feature = "s3")]
const APIS: [Api; 2] = [Api::Oci, Api::S3];
#[cfg(not(feature = "s3"))]
const APIS: [Api; 1] = [Api::Oci];

impl Api {
    /// Every operation by its name in the API.
    fn operations(self) -> &'static [&'static str] {
        match self {
            Api::Oci => &[
                "GetNamespace",
                "ListBuckets",
                "CreateBucket",
                "DeleteBucket",
                "ListObjects",
                "GetObject",
                "HeadObject",
                "PutObject",
                "DeleteObject",
                "RenameObject",
                "CopyObject",
                "GetWorkRequest",
                "ListWorkRequestErrors",
                "BatchDeleteObjects",
                "CreateMultipartUpload",
                "UploadPart",
                "CommitMultipartUpload",
                "AbortMultipartUpload",
                "ListMultipartUploads",
            ],
            Api::S3 => &[
                "ListBuckets",
                "CreateBucket",
                "DeleteBucket",
                "ListObjectsV2",
                "GetObject",
                "HeadObject",
                "PutObject",
                "DeleteObject",
                "CopyObject",
                "DeleteObjects",
                "CreateMultipartUpload",
                "UploadPart",
                "UploadPartCopy",
                "CompleteMultipartUpload",
                "AbortMultipartUpload",
                "ListMultipartUploads",
            ],
        }
    }

    fn url(self, key: &str) -> String {
        match self {
            Api::Oci => format!("oci://{BUCKET}@ns/{key}"),
            Api::S3 => format!("s3://{BUCKET}/{key}"),
        }
    }
}

/// A client of a scripted server, and what the server was asked.
struct At {
    api: Api,
    client: Client,
    store: Store,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl At {
    fn new(
        api: Api,
        emulator: &Emulator,
        answer: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static,
    ) -> At {
        let (endpoint, seen) = scripted(answer);
        let config = match api {
            Api::Oci => config(emulator).region("us-ashburn-1".to_owned()),
            Api::S3 => s3_config(emulator).copy_part_size(5_u64 << 20),
        };
        let client = client(impatient(config, 4).endpoint(endpoint));
        let store = store_at(&client, &api.url(""));
        At { api, client, store, seen }
    }

    fn asked(&self, method: &str, part: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|asked| asked.is(method, part)).count()
    }

    async fn names(&self, prefix: &str, options: ListOptions) -> Result<Vec<String>> {
        let entries: Vec<ListEntry> = self.store.list(prefix, options).try_collect().await?;
        let names = entries.into_iter().map(|entry| match entry {
            ListEntry::Object(meta) => meta.key,
            ListEntry::Prefix(prefix) => prefix,
            other => panic!("{other:?}"),
        });
        Ok(names.collect())
    }

    /// Asks for an operation by its name in the API.
    async fn perform(&self, operation: &str) -> Result<()> {
        let At { client, store, .. } = self;
        let upload = Upload::new("k", "id");
        let bucket = self.api.url("").parse().unwrap();
        match operation {
            "GetNamespace" => {
                store_at(client, &format!("oci://{BUCKET}/")).head("k").await.map(drop)
            }
            "ListBuckets" => {
                let service = if self.api == Api::S3 { "s3://" } else { "oci://@ns" };
                let buckets = client.buckets(&service.parse().unwrap(), StoreOptions::new());
                buckets.try_collect::<Vec<_>>().await.map(drop)
            }
            "CreateBucket" => client.create_bucket(&bucket, StoreOptions::new()).await,
            "DeleteBucket" => client.delete_bucket(&bucket, StoreOptions::new()).await,
            "ListObjects" | "ListObjectsV2" => self.names("", ListOptions::new()).await.map(drop),
            "GetObject" => store.get("k", GetOptions::new()).await?.bytes().await.map(drop),
            "HeadObject" => store.head("k").await.map(drop),
            "PutObject" => store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
            "DeleteObject" => store.delete("k", DeleteOptions::new()).await,
            "RenameObject" => {
                let options = RenameOptions::new().source(known(5));
                store.rename("k", "l", options).await.map(drop)
            }
            "CopyObject" | "GetWorkRequest" | "ListWorkRequestErrors" => {
                let options = CopyOptions::new().source(known(5));
                store.copy("k", (store, "l"), options).await.map(drop)
            }
            "UploadPartCopy" => {
                let options = CopyOptions::new().source(known(6 << 20));
                store.copy("k", (store, "l"), options).await.map(drop)
            }
            "BatchDeleteObjects" | "DeleteObjects" => {
                let keys = futures_util::stream::iter(["k".to_owned()]).boxed();
                let (_, result) = store.delete_many(keys).next().await.unwrap();
                result
            }
            "CreateMultipartUpload" => store.begin_upload("k", PutOptions::new()).await.map(drop),
            "UploadPart" => store.put_part(&upload, 1, &b"x"[..]).await.map(drop),
            "CommitMultipartUpload" | "CompleteMultipartUpload" => {
                let parts = vec![UploadedPart::new(1, "e", None, 1)];
                store.complete_upload(&upload, parts).await.map(drop)
            }
            "AbortMultipartUpload" => store.abort_upload(&upload).await,
            "ListMultipartUploads" => store.uploads("").try_collect::<Vec<_>>().await.map(drop),
            other => panic!("{other} is no operation"),
        }
    }
}

/// An object that is known, so that it is not asked for.
fn known(size: u64) -> ObjectMeta {
    let mut meta = ObjectMeta::default();
    "k".clone_into(&mut meta.key);
    meta.size = size;
    meta.etag = Some("\"e\"".to_owned());
    meta.content_type = Some("text/plain".to_owned());
    meta
}

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

// ---- bare successes (contracts 4.4) -------------------------------------------------------------------------------

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

// ---- errors inside a success, and transient ones (contracts 3.1) --------------------------------------------------

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

// ---- listings (contracts 4.5) -------------------------------------------------------------------------------------

/// A page of a listing: names, prefixes, and where the next one begins.
#[derive(Clone, Debug, Default)]
struct Page {
    names: Vec<String>,
    prefixes: Vec<String>,
    next: Option<String>,
}

fn page(names: &[&str], prefixes: &[&str], next: Option<&str>) -> Page {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Page { names: owned(names), prefixes: owned(prefixes), next: next.map(str::to_owned) }
}

impl Page {
    fn document(&self, api: Api) -> String {
        match api {
            Api::Oci => {
                let objects: Vec<_> =
                    self.names.iter().map(|name| serde_json::json!({ "name": name })).collect();
                let mut page = serde_json::json!({ "objects": objects, "prefixes": self.prefixes });
                if let Some(next) = &self.next {
                    page["nextStartWith"] = serde_json::json!(next);
                }
                page.to_string()
            }
            Api::S3 => {
                let truncated = self.next.is_some();
                let mut page = format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>");
                if let Some(next) = self.next.as_deref().filter(|next| !next.is_empty()) {
                    write!(page, "<NextContinuationToken>{next}</NextContinuationToken>").unwrap();
                }
                for name in &self.names {
                    write!(page, "<Contents><Key>{name}</Key><Size>1</Size></Contents>").unwrap();
                }
                for prefix in &self.prefixes {
                    write!(page, "<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>")
                        .unwrap();
                }
                page + "</ListBucketResult>"
            }
        }
    }
}

/// A server that answers with the pages that `pages` gives by their number.
fn listing(
    api: Api,
    emulator: &Emulator,
    pages: impl Fn(usize) -> Page + Send + Sync + 'static,
) -> At {
    let turn = AtomicUsize::new(0);
    At::new(api, emulator, move |_| {
        reply("200 OK", "", &pages(turn.fetch_add(1, Relaxed)).document(api))
    })
}

/// The same pages in turn, the last of them for ever.
fn pages(api: Api, emulator: &Emulator, pages: &[Page]) -> At {
    let pages = pages.to_vec();
    listing(api, emulator, move |turn| pages[turn.min(pages.len() - 1)].clone())
}

fn refused(listed: Result<Vec<String>>, why: &str) -> Error {
    let error = listed.expect_err(why);
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains(why), "{why:?} in {error}");
    error
}

#[tokio::test]
async fn names_that_were_not_asked_for_are_errors() {
    let emulator = emulator();
    let plain = ListOptions::new;
    let rolled = || ListOptions::new().delimiter(true);
    for api in APIS {
        for (prefix, options, listed, why) in [
            ("longprefix/", plain(), page(&["x"], &[], None), "does not begin so"),
            ("longprefix/", plain(), page(&["\u{e9}"], &[], None), "does not begin so"),
            ("longprefix/", plain(), page(&["longprefix"], &[], None), "does not begin so"),
            ("a/", plain(), page(&["a/1", "zzz/other"], &[], None), "does not begin so"),
            ("a/", rolled(), page(&[], &["b/"], None), "does not begin so"),
            ("", plain().start_after("m"), page(&["a", "n"], &[], None), "does not come after"),
            ("", plain().start_after("m"), page(&["m"], &[], None), "does not come after"),
            ("", rolled().start_after("m"), page(&[], &["d/"], None), "does not come after"),
            ("", rolled(), page(&["d/x"], &[], None), "is not rolled up, as was asked for"),
            ("", rolled(), page(&[], &["d/e/"], None), "not rolled up at its first /"),
            ("d/", rolled(), page(&[], &["d/"], None), "not rolled up at its first /"),
            ("", plain(), page(&[], &["d/"], None), "which was not asked for"),
            ("", plain(), page(&["a", "a"], &[], None), "twice"),
        ] {
            let at = pages(api, &emulator, &[listed]);
            let error = refused(at.names(prefix, options).await, why);
            assert_eq!(error.attempts(), 1, "{error}");
        }
    }
    let at = pages(Api::Oci, &emulator, &[page(&["a", "n"], &[], None)]);
    refused(at.names("", plain().end("m")).await, "does not come before the end");
}

#[tokio::test]
async fn names_that_were_asked_for_are_listed() {
    let emulator = emulator();
    let plain = ListOptions::new;
    let rolled = || ListOptions::new().delimiter(true);
    for api in APIS {
        for (prefix, options, listed, names) in [
            ("", plain(), page(&[], &[], None), &[][..]),
            ("d/", rolled(), page(&["d/", "d/x"], &["d/e/"], None), &["d/", "d/e/", "d/x"]),
            // Of a prefix, some name lies behind the start.
            ("", rolled().start_after("d/m"), page(&["e"], &["d/"], None), &["d/", "e"]),
            // UTF-8's order of bytes, which is not that of UTF-16.
            (
                "",
                plain(),
                page(&["z", "\u{e9}", "\u{fffd}", "\u{1f980}"], &[], Some("\u{1f981}")),
                &["z", "\u{e9}", "\u{fffd}", "\u{1f980}"],
            ),
            // One page is put in order here.
            ("", plain(), page(&["c", "a", "b"], &[], None), &["a", "b", "c"]),
        ] {
            let last = page(&[], &[], None);
            let at = pages(api, &emulator, &[listed.clone(), last]);
            let listed = at.names(prefix, options).await;
            assert_eq!(listed.unwrap_or_else(|error| panic!("{error}")), names, "{api:?}");
        }
    }
}

#[tokio::test]
async fn pages_that_do_not_go_on_are_errors() {
    let emulator = emulator();
    for api in APIS {
        for (listed, why) in [
            // Out of order within a page, and from one to the next.
            (vec![page(&["b", "a"], &[], Some("c"))], "not in the order of names"),
            (vec![page(&["\u{1f980}", "\u{fffd}"], &[], Some("z"))], "not in the order of names"),
            (
                vec![page(&["a", "b"], &[], Some("c")), page(&["b"], &[], None)],
                if api == Api::Oci { "comes before the start" } else { "the page before it" },
            ),
            // The same page again.
            (
                vec![page(&["a"], &[], Some("b")), page(&["a"], &[], Some("c"))],
                if api == Api::Oci { "comes before the start" } else { "the page before it" },
            ),
            // The same place again.
            (vec![page(&[], &[], Some("b")), page(&[], &[], Some("b"))], "told twice"),
            (
                vec![
                    page(&[], &[], Some("b")),
                    page(&[], &[], Some("c")),
                    page(&[], &[], Some("b")),
                ],
                "told twice",
            ),
        ] {
            let at = pages(api, &emulator, &listed);
            refused(at.names("", ListOptions::new()).await, why);
        }
    }
    let at = pages(Api::Oci, &emulator, &[page(&["a", "b"], &[], Some("a"))]);
    refused(at.names("", ListOptions::new()).await, "the next page begins at");
}

#[tokio::test]
async fn empty_pages_come_to_an_end() {
    let emulator = emulator();
    for api in APIS {
        let at = listing(api, &emulator, |turn| page(&[], &[], Some(&format!("{turn:08}"))));
        refused(at.names("", ListOptions::new()).await, "pages in a row name nothing new");
        assert_eq!(at.asked("GET", ""), 1_000);
        // As many as S3 may well answer are passed over.
        let at = listing(api, &emulator, |turn| match turn {
            0..500 => page(&[], &[], Some(&format!("{turn:08}"))),
            _ => page(&["z"], &[], None),
        });
        assert_eq!(at.names("", ListOptions::new()).await.unwrap(), ["z"]);
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn truncated_without_a_token_is_an_error() {
    let emulator = emulator();
    let at = pages(Api::S3, &emulator, &[page(&["k"], &[], Some(""))]);
    refused(at.names("", ListOptions::new()).await, "truncated");
    let uploads =
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
    let at = At::new(Api::S3, &emulator, move |_| reply("200 OK", "", uploads));
    let error = at.perform("ListMultipartUploads").await.unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}

/// Names are decoded only where the answer says that they are encoded; and they are checked afterwards.
#[cfg(feature = "s3")]
#[tokio::test]
async fn names_are_decoded_before_they_are_checked() {
    let emulator = emulator();
    let document = |encoding: &str| {
        format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{encoding}\
             <Contents><Key>d/a+b%2Fc</Key><Size>1</Size></Contents></ListBucketResult>"
        )
    };
    for (encoding, name) in [("", "d/a+b%2Fc"), ("<EncodingType>url</EncodingType>", "d/a b/c")] {
        let document = document(encoding);
        let at = At::new(Api::S3, &emulator, move |_| reply("200 OK", "", &document));
        assert_eq!(at.names("d/", ListOptions::new()).await.unwrap(), [name]);
        let rolled_up = at.names("d/", ListOptions::new().delimiter(true)).await;
        assert_eq!(rolled_up.is_ok(), encoding.is_empty(), "{rolled_up:?}");
    }
}

#[tokio::test]
async fn uploads_and_buckets_come_once_and_to_an_end() {
    let emulator = emulator();
    let uploads = |at: At| async move {
        let uploads: Result<Vec<Upload>> = at.store.uploads("d/").try_collect().await;
        uploads.map(|uploads| uploads.into_iter().map(|upload| upload.id).collect::<Vec<_>>())
    };
    // The service knows no prefix here: what lies elsewhere is left out, not refused.
    let of_oci = |answer: fn(usize) -> (&'static str, &'static str)| {
        let turn = AtomicUsize::new(0);
        At::new(Api::Oci, &emulator, move |_| {
            let (next, body) = answer(turn.fetch_add(1, Relaxed));
            reply("200 OK", next, body)
        })
    };
    let at = of_oci(|turn| match turn {
        0 => (
            "opc-next-page: p\r\n",
            r#"[{"object":"d/k","uploadId":"1"},{"object":"e","uploadId":"2"}]"#,
        ),
        _ => ("", r#"[{"object":"d/k","uploadId":"1"},{"object":"d/k","uploadId":"3"}]"#),
    });
    assert_eq!(uploads(at).await.unwrap(), ["1", "3"]);
    let at = of_oci(|_| ("opc-next-page: p\r\n", "[]"));
    assert!(uploads(at).await.unwrap_err().to_string().contains("told twice"));
    let at = of_oci(|turn| match turn {
        0 => ("opc-next-page: p\r\n", r#"[{"object":"d/k","uploadId":"1"}]"#),
        _ => ("opc-next-page: q\r\n", r#"[{"object":"d/k","uploadId":"1"}]"#),
    });
    assert!(uploads(at).await.unwrap_err().to_string().contains("repeats"));
    let at = of_oci(|_| ("opc-next-page: p\r\n", r#"[{"name":"b"}]"#));
    let error = at.perform("ListBuckets").await.unwrap_err();
    assert!(error.to_string().contains("repeats"), "{error}");
    if APIS.contains(&Api::S3) {
        let at = At::new(Api::S3, &emulator, |_| {
            let upload = "<Upload><Key>\u{e9}</Key><UploadId>1</UploadId></Upload>";
            let body = format!("<ListMultipartUploadsResult>{upload}</ListMultipartUploadsResult>");
            reply("200 OK", "", &body)
        });
        let error = uploads(at).await.unwrap_err();
        assert!(error.to_string().contains("does not begin so"), "{error}");
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
