// SPDX-License-Identifier: Apache-2.0
//! What the operations of both APIs read of a request: its target, header values, conditions,
//! pages of lists and JSON bodies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;

use crate::error::ApiError;
use crate::state::{Condition, check_if_match, matches};
use crate::target::Target;

/// Most objects and prefixes in one page of a list.
const MAX_LIMIT: usize = 1000;

/// The target byte for byte: hyper and http::Uri keep it.
pub(crate) fn raw_target(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// The value of a request header, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A header that names one of a few things. The Go SDK sends it empty where nothing was chosen.
pub(crate) fn chosen<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    text(headers, name).filter(|value| !value.is_empty())
}

/// What a write asks for. Its header may only be `*`, which means that nothing is there.
pub(crate) fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
    let absent = match text(headers, "if-none-match") {
        None => false,
        Some("*") => true,
        Some(_) => {
            return Err(ApiError::bad_request(
                "IfNoneMatchDisallowed",
                "If-None-Match of a PUT may only be '*'",
            ));
        }
    };
    Ok(Condition { if_match: text(headers, "if-match").map(str::to_owned), absent })
}

/// `if-match` and `if-none-match` of a read, judged after the object was found.
pub(crate) fn is_not_modified(headers: &HeaderMap, etag: &str) -> Result<bool, ApiError> {
    check_if_match(text(headers, IF_MATCH.as_str()), Some(etag))?;
    match text(headers, IF_NONE_MATCH.as_str()) {
        Some("*") => Err(ApiError::bad_request(
            "InvalidConditionalHeaders",
            "If-None-Match of a read may not be '*'",
        )),
        Some(known) => Ok(matches(known, etag)),
        None => Ok(false),
    }
}

/// The `limit` of a list: 1 to 1000.
pub(crate) fn limit(target: &Target) -> Result<usize, ApiError> {
    match target.query("limit").map(str::parse::<usize>) {
        None => Ok(MAX_LIMIT),
        Some(Ok(limit @ 1..=MAX_LIMIT)) => Ok(limit),
        Some(Ok(limit)) if limit > MAX_LIMIT => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "LimitTooHigh",
            format!("The limit {limit} is above {MAX_LIMIT}"),
        )),
        Some(_) => Err(ApiError::bad_request("InvalidLimit", "The limit is not a number above 0")),
    }
}

/// The name in a page's token.
pub(crate) fn page_name(page: &str) -> Result<String, ApiError> {
    URL_SAFE_NO_PAD
        .decode(page)
        .ok()
        .and_then(|name| String::from_utf8(name).ok())
        .ok_or_else(|| ApiError::bad_request("InvalidPage", "The page is not one of ours"))
}

/// A request's JSON body.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { "InvalidParameter" } else { "InvalidJSON" };
        ApiError::bad_request(code, format!("The body: {error}"))
    })
}
