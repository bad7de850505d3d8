// SPDX-License-Identifier: Apache-2.0
//! Instance metadata, version 2.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::{failed, not_found};
use crate::content::Payload;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{COMPARTMENT, INSTANCE, REGION, REGION_KEY, TENANCY};
use crate::reply::Reply;

/// Headers of a request that somebody forwarded.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-host"];

impl Exchange<'_> {
    /// GET below `/opc/`.
    pub(super) fn metadata(&self, path: &str) -> Result<Reply, ApiError> {
        // Version 1 is off, as on an instance that was made to refuse it.
        let name = path.strip_prefix("/opc/v2/").ok_or_else(not_found)?;
        if self.credentials("Bearer") != Some("Oracle") {
            return Err(ApiError::not_authenticated(&"Authorization is not 'Bearer Oracle'"));
        }
        if FORWARDED.iter().any(|name| self.parts.headers.contains_key(*name)) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "The request was forwarded",
            ));
        }
        let own = self.server.identity.instance(self.server.clock.wall());
        let own = own.map_err(failed)?;
        Ok(match name {
            "identity/cert.pem" => plain(&own.certificate_pem),
            "identity/key.pem" => plain(&own.key_pem),
            "identity/intermediate.pem" => plain(&own.intermediate_pem),
            "instance" | "instance/" => Reply::json(StatusCode::OK, &instance()),
            name => {
                let name = name.strip_prefix("instance/").ok_or_else(not_found)?;
                match &instance()[name] {
                    Value::Null => return Err(not_found()),
                    Value::String(value) => plain(value),
                    value => Reply::json(StatusCode::OK, value),
                }
            }
        })
    }
}

/// What instance metadata says of the instance.
fn instance() -> Value {
    json!({
        "id": INSTANCE,
        "displayName": "emulated",
        "compartmentId": COMPARTMENT,
        "tenantId": TENANCY,
        "region": REGION_KEY,
        "canonicalRegionName": REGION,
        "regionInfo": {
            "realmKey": "oc1",
            "realmDomainComponent": "oraclecloud.com",
            "regionKey": REGION_KEY.to_ascii_uppercase(),
            "regionIdentifier": REGION,
        },
    })
}

fn plain(text: &str) -> Reply {
    let body = Payload::from(bytes::Bytes::copy_from_slice(text.as_bytes()));
    Reply { body, ..Reply::empty(StatusCode::OK) }
        .with(CONTENT_TYPE, HeaderValue::from_static("text/plain"))
}
