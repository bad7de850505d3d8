// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets that read documents of the native API. The second reader is `serde_json::Value`.

use super::{answer, bucket, copy, list as listing, multipart, promises, refusal, write};
use crate::backend::Next;
use crate::backend::fuzzing::Answer;
use hyper::HeaderMap;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

/// A listing holds the objects of its document, in their order.
pub(crate) fn list(data: &[u8]) {
    let Ok(listed) = answer::parsed(&promises::LIST_OBJECTS, &HeaderMap::new(), data) else {
        return;
    };
    let page = listing::listed(listed);
    // A struct may be written as an array, too.
    let Some(second) = object(data) else { return };
    let objects = second["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(page.objects.len(), objects.len());
    for (read, told) in page.objects.iter().zip(objects).filter(|(_, told)| told.is_object()) {
        assert_eq!(Some(read.key.as_str()), told["name"].as_str());
        assert_eq!(read.size, told["size"].as_u64().unwrap_or(0));
        assert_eq!(read.etag.as_deref(), told["etag"].as_str());
    }
    let prefixes = second["prefixes"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(page.prefixes.iter().map(String::as_str).eq(prefixes.iter().filter_map(Value::as_str)));
    let next = second["nextStartWith"].as_str().map(|name| Next::Name(name.to_owned()));
    assert_eq!(page.next, next);
}

fn object(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok().filter(Value::is_object)
}

/// A batch of removals has a result for each key, and a failure for each key that the document names as failed.
pub(crate) fn documents(data: &[u8]) {
    let none = HeaderMap::new();
    let _ = answer::parsed(&promises::LIST_BUCKETS, &none, data).map(|p| bucket::buckets(p, &none));
    let _ = answer::parsed(&promises::LIST_UPLOADS, &none, data)
        .map(|page| multipart::uploads(page, &none));
    let _ = answer::parsed::<multipart::Begun>(&promises::CREATE_UPLOAD, &none, data);
    let _ = answer::parsed::<Vec<multipart::ListedPart>>(&promises::LIST_PARTS, &none, data);
    let _ = answer::parsed::<bucket::Made>(&promises::CREATE_BUCKET, &none, data);
    let _ = answer::parsed::<String>(&promises::GET_NAMESPACE, &none, data);
    let _ = answer::parsed(&promises::LIST_WORK_ERRORS, &none, data).map(copy::work_failure);
    let _ = answer::parsed(&promises::GET_WORK, &none, data)
        .map(|work| copy::work_state("id", &none, work));
    let keys = ["a", "b/c", "\u{fc}"].map(str::to_owned);
    let Ok(batch) = answer::parsed(&promises::BATCH_DELETE, &none, data) else { return };
    let results = write::deleted(&keys, batch);
    let Some(second) = object(data) else { return };
    let failed = second["failed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed: HashSet<_> = failed.iter().filter_map(|one| one["objectName"].as_str()).collect();
    let Some(results) = results else { return };
    assert_eq!(results.len(), keys.len());
    if second["failed"].as_array().is_none_or(|failed| failed.iter().all(Value::is_object)) {
        for (key, result) in keys.iter().zip(&results) {
            assert_eq!(result.is_err(), failed.contains(key.as_str()), "{key}");
        }
    }
}

/// A refusal has the status and the code of its answer. An answer is a success of those operations alone that have its status.
pub(crate) fn error(data: &[u8]) {
    let Some(Answer { status, headers, document, .. }) = Answer::parse(data) else { return };
    if status.is_success() {
        for promise in promises::ALL {
            if let Err(broken) = promise.check_head(status, &headers) {
                assert!(broken.message.contains(promise.name));
            }
        }
        return;
    }
    let failure = refusal::of(status, &headers, document);
    assert_eq!(failure.status, Some(status.as_u16()));
    let code = failure.code.as_deref();
    if let (Some(code), Some(second)) = (code, object(document)) {
        assert_eq!(Some(code), second["code"].as_str());
    }
    if !status.is_redirection() {
        assert_eq!(failure.kind, refusal::kind(status.as_u16(), code));
    }
    let shown = failure.into_error(None, None, 1, Duration::ZERO).to_string();
    assert!(shown.len() <= 1024 + data.len() * 10);
}
