// SPDX-License-Identifier: Apache-2.0
//! Objects made of the parts of an upload. A commit joins what the parts share and copies nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::content::Content;
use crate::error::ApiError;
use crate::intake::Algorithm;
use crate::state::{Object, ObjectPart, Part, Upload, new_etag};

/// The greatest number of a part.
pub(crate) const MAX_PART: u32 = 10_000;

/// A fresh id of an upload, in the shape of the service's.
pub(crate) fn new_upload_id() -> String {
    new_etag()
}

/// The object that these parts make, in the order of their numbers.
pub(crate) fn assemble(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<Part>>,
    now: SystemTime,
) -> Result<Object, ApiError> {
    if chosen.is_empty() {
        return Err(ApiError::bad_request("InvalidUploadPart", "There are no parts to commit"));
    }
    let parts = || chosen.values();
    let md5 = parts().fold(Md5::new(), |md5, part| md5.chain_update(part.md5)).finalize();
    let crc32c =
        parts().fold(0, |crc, part| crc32c::crc32c_combine(crc, part.crc32c, part.size as usize));
    let content = Content::joined(parts().map(|part| &part.content));
    let told = chosen.iter().map(|(number, part)| ObjectPart {
        number: *number,
        size: part.size,
        md5: part.md5,
        checksums: part.checksums.clone(),
    });
    Ok(Object {
        parts: told.collect(),
        md5: format!("{}-{}", STANDARD.encode(md5), chosen.len()),
        crc32c,
        checksums: checksum(upload, chosen).into_iter().collect(),
        ..Object::new(content, &upload.storage_tier, upload.headers.clone(), now)
    })
}

/// The checksum of an object that was asked for when its upload began: of all bytes, or the
/// checksum of the parts' checksums, `-` and their number. None if a part has none.
pub(crate) fn checksum(
    upload: &Upload,
    chosen: &BTreeMap<u32, Arc<Part>>,
) -> Option<(String, String)> {
    let name = upload.checksum.as_ref()?;
    let algorithm = Algorithm::named(name)?;
    let mut digests = Vec::new();
    for part in chosen.values() {
        let (_, value) = part.checksums.iter().find(|(kept, _)| kept == name)?;
        digests.push((STANDARD.decode(value).ok()?, part.size));
    }
    let value = if upload.checksum_of_whole {
        let whole = digests.into_iter().try_fold(None::<Vec<u8>>, |all, (digest, size)| {
            Some(Some(match all {
                None => digest,
                Some(all) => algorithm.combine(&all, &digest, size)?,
            }))
        });
        STANDARD.encode(whole??)
    } else {
        let all: Vec<u8> = digests.into_iter().flat_map(|(digest, _)| digest).collect();
        format!("{}-{}", STANDARD.encode(algorithm.of(&all)), chosen.len())
    };
    Some((name.clone(), value))
}
