// SPDX-License-Identifier: Apache-2.0
//! The keys that clients of this API sign with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3ErrorCode, S3Result};

/// The one pair of keys that is served, and the session token that it may be used with.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: String,
}

impl Keys {
    pub(super) fn generate() -> Keys {
        let mut bytes = [0_u8; 80];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let id: Vec<String> = bytes[..10].iter().map(|byte| format!("{byte:02x}")).collect();
        Keys {
            access_key_id: id.concat(),
            secret_access_key: URL_SAFE_NO_PAD.encode(&bytes[10..40]),
            session_token: URL_SAFE_NO_PAD.encode(&bytes[40..]),
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key_id {
            return Ok(self.secret_access_key.as_str().into());
        }
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}
