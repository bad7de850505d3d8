// SPDX-License-Identifier: Apache-2.0
//! Documents of the service, read.

use super::*;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use proptest::prelude::*;

#[test]
fn a_bare_success_is_none_of_any_operation() {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    let headers = HeaderMap::from_iter([content_type]);
    for promise in promises::ALL {
        for document in [&b"<html><body>Please log in</body></html>"[..], b""] {
            let head = promise.check_head(StatusCode::OK, &headers);
            let told = head
                .and_then(|()| answer::parsed::<serde_json::Value>(promise, &headers, document));
            let told = told.unwrap_err().message.clone();
            let named = format!("not an object store's answer to {}: it", promise.name);
            assert!(told.starts_with(&named), "{told}");
        }
    }
}

#[test]
fn a_batch_is_answered_for_each_of_its_keys_and_no_other() {
    let keys = ["a".to_owned(), "b".to_owned()];
    let asked = |document: &str| write::deleted(&keys, serde_json::from_str(document).unwrap());
    let failed = r#"{"failed":[{"objectName":"b","statusCode":404,"errorCode":"ObjectNotFound"}]}"#;
    let results = asked(failed).unwrap();
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    assert!(asked(r#"{"deleted":[]}"#).is_some());
    assert!(asked(r#"{"failed":[{"objectName":"c"}]}"#).is_none());
    assert!(asked("{}").is_none());
}

proptest! {
    #[test]
    fn no_document_panics(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let none = HeaderMap::new();
        let _ = answer::parsed(&promises::LIST_OBJECTS, &none, &bytes).map(list::listed);
        let _ = answer::parsed(&promises::LIST_BUCKETS, &none, &bytes).map(|page| bucket::buckets(page, &none));
        let _ = answer::parsed(&promises::LIST_UPLOADS, &none, &bytes).map(|page| multipart::uploads(page, &none));
        let _ = answer::parsed::<multipart::Begun>(&promises::CREATE_UPLOAD, &none, &bytes);
        let _ = answer::parsed(&promises::BATCH_DELETE, &none, &bytes).map(|page| write::deleted(&[text], page));
        let _ = answer::parsed(&promises::LIST_WORK_ERRORS, &none, &bytes).map(copy::work_failure);
        let _ = answer::parsed(&promises::GET_WORK, &none, &bytes).map(|page| copy::work_state("id", &none, page));
    }
}
