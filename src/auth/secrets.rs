// SPDX-License-Identifier: Apache-2.0
//! Secrets on their way: headers and bodies that are cleared from memory once they were sent, and what a server repeats
//! of them.

use crate::error::{ErrorKind, Failure};
use bytes::Bytes;
use hyper::header::HeaderValue;
use zeroize::Zeroizing;

/// A header's value that is not a secret.
pub(super) fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| unsendable())
}

/// A header's value that `Debug` does not show. Its text is cleared when the last request that holds it is dropped.
pub(crate) fn secret_header(text: Zeroizing<String>) -> Result<HeaderValue, Failure> {
    if !text.is_ascii() {
        return Err(unsendable());
    }
    let shared = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
    let mut value = shared.map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A body that is cleared when the request that holds it is dropped.
pub(super) fn secret_body(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

fn unsendable() -> Failure {
    Failure::new(ErrorKind::Config)
        .message("the key id or token holds a character that no header can carry")
}

/// What a server says, up to where it repeats what the request was signed with: a server, or a proxy, that tells of the
/// headers it received.
pub(crate) fn without_signature(said: String) -> String {
    const MARKS: [&str; 8] = [
        "signature=",
        "signature:",
        "st$",
        "eyj", // a JWT
        "authorization:",
        "opc-obo-token:",
        "x-amz-security-token:",
        "x-amz-security-token=",
    ];
    let lower = said.to_ascii_lowercase();
    match MARKS.iter().filter_map(|mark| lower.find(mark)).min() {
        Some(at) => {
            let said = Zeroizing::new(said);
            format!("{}… (what follows repeats the request's signature)", &said[..at])
        }
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_header_is_sent_as_it_is_and_not_shown() {
        let value = secret_header(Zeroizing::new("ST$eyJ.token".to_owned())).unwrap();
        assert_eq!(value.as_bytes(), b"ST$eyJ.token");
        assert!(value.is_sensitive() && !format!("{value:?}").contains("token"));
        assert!(secret_header(Zeroizing::new("a\nb".to_owned())).is_err());
        assert_eq!(secret_body(Zeroizing::new(b"body".to_vec())), "body");
    }

    #[test]
    fn what_a_server_repeats_of_a_signature_is_cut() {
        for (said, shown) in [
            ("no such bucket", "no such bucket"),
            (
                "got Signature version=\"1\",keyId=\"ST$eyJ\",signature=\"abc\"",
                "got Signature version=\"1\",keyId=\"…",
            ),
            (
                "AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=0abc",
                "AWS4-HMAC-SHA256 Credential=AKIA/x, …",
            ),
            ("headers: Authorization: Basic abc", "headers: …"),
            ("invalid token eyJhbGciOi.x.y", "invalid token …"),
            ("é opc-obo-token: eyJ", "é …"),
        ] {
            let told = without_signature(said.to_owned());
            assert!(told.starts_with(shown), "{told}");
            assert_eq!(told == said, said == shown, "{told}");
        }
        assert_eq!(
            without_signature("the signature is wrong; Bearer token expired".to_owned()),
            "the signature is wrong; Bearer token expired"
        );
    }
}
