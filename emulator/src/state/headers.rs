// SPDX-License-Identifier: Apache-2.0
//! Headers that are kept for their owner, and how the journal writes them: a value is bytes, each
//! of which is a character there.

use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// Headers that are kept for their owner.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

pub(super) fn serialize<S: Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(headers.iter().map(|(name, value)| {
        let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        (name.as_str(), value)
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Headers, D::Error> {
    Vec::<(String, String)>::deserialize(from)?
        .into_iter()
        .map(|(name, value)| {
            let bytes: Vec<u8> = value.chars().map(|c| c as u8).collect();
            Ok((
                HeaderName::try_from(name).map_err(D::Error::custom)?,
                HeaderValue::try_from(bytes).map_err(D::Error::custom)?,
            ))
        })
        .collect()
}
