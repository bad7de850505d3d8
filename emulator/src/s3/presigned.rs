// SPDX-License-Identifier: Apache-2.0
//! Presigned requests by the emulator's clock. `s3s` judges their expiry by the machine's, so a
//! request whose signature is good is signed again with an expiry that does not end; when it ends
//! is judged here.

use std::time::{Duration, SystemTime};

use aws_lc_rs::{constant_time, digest, hmac};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::{Keys, SKEW, parse_date};
use crate::target::Target;

/// The longest expiry that `s3s` reads.
const ENDLESS: u32 = u32::MAX;

/// The signed query of a request, as it was sent.
struct Presigned<'a> {
    path: &'a str,
    /// Pairs of the query without the signature, in their order.
    pairs: Vec<&'a str>,
    signature: &'a str,
    date: String,
    /// `DATE/REGION/SERVICE/aws4_request`
    scope: String,
    signed_headers: String,
}

impl<'a> Presigned<'a> {
    fn of(uri: &'a Uri) -> Option<Presigned<'a>> {
        let (path, query) = uri.path_and_query()?.as_str().split_once('?')?;
        let target = Target::parse(uri.path_and_query()?.as_str());
        let value = |name| target.query(name).map(str::to_owned);
        let credential = value("X-Amz-Credential")?;
        let signature = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Signature="))?;
        Some(Presigned {
            path,
            pairs: query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect(),
            signature,
            date: value("X-Amz-Date")?,
            scope: credential.split_once('/')?.1.to_owned(),
            signed_headers: value("X-Amz-SignedHeaders")?,
        })
    }

    fn sign(&self, method: &Method, headers: &HeaderMap, keys: &Keys) -> String {
        let mut pairs = self.pairs.clone();
        pairs.sort_unstable_by_key(|pair| pair.split_once('='));
        let names = self.signed_headers.split(';');
        let lines = names.map(|name| format!("{name}:{}\n", canonical_value(headers, name)));
        let request = format!(
            "{method}\n{}\n{}\n{}\n{}\nUNSIGNED-PAYLOAD",
            self.path,
            pairs.join("&"),
            lines.collect::<Vec<_>>().concat(),
            self.signed_headers
        );
        let request = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{request}", self.date, self.scope);
        let secret = format!("AWS4{}", keys.secret_access_key).into_bytes();
        let key = self.scope.split('/').fold(secret, |key, part| hmac_sha256(&key, part));
        hex(&hmac_sha256(&key, &text))
    }
}

/// Signs a presigned request again, so that its time is no matter for `s3s`. A request whose
/// signature is not good stays as it is: `s3s` refuses it.
pub(super) fn without_expiry(parts: &mut Parts, keys: &Keys) {
    if let Some(uri) = signed_again(parts, keys) {
        parts.uri = uri;
    }
}

fn signed_again(parts: &Parts, keys: &Keys) -> Option<Uri> {
    let mut presigned = Presigned::of(&parts.uri)?;
    let signature = presigned.sign(&parts.method, &parts.headers, keys);
    let is_good = constant_time::verify_slices_are_equal(
        signature.as_bytes(),
        presigned.signature.as_bytes(),
    );
    is_good.ok()?;
    let endless = format!("X-Amz-Expires={ENDLESS}");
    let expires = presigned.pairs.iter_mut().find(|pair| pair.starts_with("X-Amz-Expires="))?;
    *expires = &endless;
    let signature = presigned.sign(&parts.method, &parts.headers, keys);
    let query = presigned.pairs.join("&");
    let target = format!("{}?{query}&X-Amz-Signature={signature}", presigned.path);
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(uri).ok()
}

/// Whether a presigned request may be served at `now`; any other request may.
pub(super) fn check_time(target: &str, now: SystemTime) -> S3Result<()> {
    let target = Target::parse(target);
    let (Some(date), Some(expires)) = (target.query("X-Amz-Date"), target.query("X-Amz-Expires"))
    else {
        return Ok(());
    };
    let refused = |message| Err(S3Error::with_message(S3ErrorCode::AccessDenied, message));
    let date = parse_date(date)?;
    let Ok(seconds) = expires.parse::<u32>() else {
        return refused("X-Amz-Expires is not a number of seconds");
    };
    if date > now + SKEW {
        return refused("Request is not valid yet");
    }
    if now > date + Duration::from_secs(seconds.into()) {
        return refused("Request has expired");
    }
    Ok(())
}

/// Values of a header as they are signed: trimmed, with single spaces, joined by commas.
fn canonical_value(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
