// SPDX-License-Identifier: Apache-2.0
//! Entry point of the fuzz target that reads session tokens.

use super::token;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use storescope_sign::PrivateKey;

/// The bytes as a token, and as the claims of one.
pub(crate) fn token(data: &[u8]) {
    static KEY: LazyLock<PrivateKey> =
        LazyLock::new(|| PrivateKey::generate(2048).expect("a key is made"));
    let claims = format!("h.{}.s", URL_SAFE_NO_PAD.encode(data));
    for token in [std::str::from_utf8(data).unwrap_or_default(), &claims] {
        let _ = token::expiry(token);
        for now in [None, Some(SystemTime::UNIX_EPOCH)] {
            let Ok(fetched) = token::identity(token, KEY.clone(), now) else { continue };
            assert_eq!(fetched.identity.key_id.strip_prefix("ST$"), Some(token));
            assert!(fetched.left.is_none_or(|left| left <= Duration::from_secs(u32::MAX.into())));
            // A tenancy is shown; the token that it stands in is encoded.
            assert!(token.len() < 16 || !format!("{fetched:?}").contains(token));
        }
    }
}
