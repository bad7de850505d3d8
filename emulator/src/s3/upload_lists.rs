// SPDX-License-Identifier: Apache-2.0
//! ListParts and ListMultipartUploads.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::checksums::{checksum_type, set_checksums};
use super::errors::{error, invalid_argument};
use super::lists::{encoded, given, limit, owner};
use super::shared::{Answer, Shared};
use super::stored::{part_etag, storage_class};
use crate::state::Upload;

pub(super) fn list_parts(
    api: &Shared,
    request: S3Request<ListPartsInput>,
) -> Answer<ListPartsOutput> {
    let input = request.input;
    let place = (input.key.as_str(), input.upload_id.as_str());
    let upload = api.storage().upload(&api.name(&input.bucket), place).map_err(error)?;
    let limit = limit(input.max_parts);
    let after = input.part_number_marker.unwrap_or_default().max(0) as u32;
    let rest: Vec<_> = upload.parts.range(after + 1..).take(limit + 1).collect();
    let parts: Vec<Part> = rest
        .iter()
        .take(limit)
        .map(|(number, stored)| {
            let mut part = Part {
                e_tag: Some(ETag::Strong(part_etag(stored.md5))),
                last_modified: Some(stored.modified.into()),
                part_number: Some(**number as i32),
                size: Some(stored.size as i64),
                ..Default::default()
            };
            set_checksums!(part, &stored.checksums);
            part
        })
        .collect();
    let truncated = rest.len() > limit;
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(limit as i32),
        part_number_marker: Some(after as i32),
        next_part_number_marker: Some(parts.last().and_then(|part| part.part_number).unwrap_or(0)),
        is_truncated: Some(truncated),
        parts: Some(parts),
        checksum_algorithm: upload.checksum.as_deref().map(|name| name.to_uppercase().into()),
        checksum_type: upload
            .checksum
            .map(|_| ChecksumType::from_static(checksum_type(!upload.checksum_of_whole))),
        owner: Some(owner()),
        initiator: Some(initiator()),
        storage_class: Some(storage_class(&upload.storage_tier).to_owned().into()),
        ..Default::default()
    }))
}

pub(super) fn list(
    api: &Shared,
    request: S3Request<ListMultipartUploadsInput>,
) -> Answer<ListMultipartUploadsOutput> {
    let input = request.input;
    let (limit, encoding) = (limit(input.max_uploads), input.encoding_type.as_ref());
    let key_marker = given(input.key_marker.as_ref());
    // Without a key the marker of ids says nothing.
    let id_marker = given(input.upload_id_marker.as_ref()).filter(|_| key_marker.is_some());
    let asked = UploadFilter {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter.as_ref()),
        key_marker: key_marker.unwrap_or_default(),
        id_marker: id_marker.unwrap_or_default(),
    };
    let uploads = api.storage().uploads(&api.name(&input.bucket)).map_err(error)?;
    asked.check(&uploads)?;
    let mut entries = asked.entries(&uploads);
    let truncated = entries.len() > limit;
    entries.truncate(limit);
    let (key, id) = match entries.last() {
        Some(Entry::Upload(upload)) => (upload.name.as_str(), upload.id.as_str()),
        Some(Entry::Prefix(prefix)) if truncated => (*prefix, ""),
        _ => ("", ""),
    };
    let uploads = entries.iter().filter_map(|entry| match entry {
        Entry::Upload(upload) => Some(told(upload, encoding)),
        Entry::Prefix(_) => None,
    });
    let prefixes = entries.iter().filter_map(|entry| match entry {
        Entry::Prefix(prefix) => Some(CommonPrefix { prefix: Some(encoded(prefix, encoding)) }),
        Entry::Upload(_) => None,
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(uploads.collect()),
        common_prefixes: Some(prefixes.collect()),
        next_key_marker: Some(encoded(key, encoding)),
        next_upload_id_marker: Some(id.to_owned()),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: Some(encoded(&asked.key_marker, encoding)),
        upload_id_marker: Some(asked.id_marker.clone()),
        max_uploads: Some(limit as i32),
        prefix: Some(encoded(&asked.prefix, encoding)),
        delimiter: asked.delimiter.as_deref().map(|text| encoded(text, encoding)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

/// Who began every upload.
fn initiator() -> Initiator {
    Initiator { display_name: None, id: owner().id }
}

/// Which uploads a list names.
struct UploadFilter {
    prefix: String,
    delimiter: Option<String>,
    key_marker: String,
    id_marker: String,
}

/// What a list of uploads holds.
enum Entry<'a> {
    Upload(&'a Upload),
    Prefix(&'a str),
}

impl UploadFilter {
    /// An upload's id is no marker with the key of another object.
    fn check(&self, uploads: &[Upload]) -> S3Result<()> {
        let marked = uploads.iter().find(|upload| upload.id == self.id_marker);
        if marked.is_none_or(|upload| upload.name == self.key_marker) {
            return Ok(());
        }
        let why = "Invalid uploadId marker".to_owned();
        Err(invalid_argument("upload-id-marker", Some(&self.id_marker), why))
    }

    /// All that come after the markers, in order.
    fn entries<'a>(&self, uploads: &'a [Upload]) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        for upload in uploads.iter().filter(|upload| upload.name.starts_with(&self.prefix)) {
            match self.rolled(&upload.name) {
                None if self.is_after(upload) => entries.push(Entry::Upload(upload)),
                Some(prefix) if !self.key_marker.starts_with(prefix) => {
                    let is_listed =
                        matches!(entries.last(), Some(Entry::Prefix(last)) if *last == prefix);
                    if upload.name > self.key_marker && !is_listed {
                        entries.push(Entry::Prefix(prefix));
                    }
                }
                _ => {}
            }
        }
        entries
    }

    fn is_after(&self, upload: &Upload) -> bool {
        match upload.name.cmp(&self.key_marker) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => !self.id_marker.is_empty() && upload.id > self.id_marker,
            std::cmp::Ordering::Less => false,
        }
    }

    /// The prefix into which a name is rolled up.
    fn rolled<'a>(&self, name: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = name[self.prefix.len()..].find(delimiter)?;
        Some(&name[..self.prefix.len() + at + delimiter.len()])
    }
}

fn told(upload: &Upload, encoding: Option<&EncodingType>) -> MultipartUpload {
    let kind = upload.checksum.as_ref().map(|_| checksum_type(!upload.checksum_of_whole));
    MultipartUpload {
        initiated: Some(upload.created.into()),
        key: Some(encoded(&upload.name, encoding)),
        upload_id: Some(upload.id.clone()),
        owner: Some(owner()),
        initiator: Some(initiator()),
        storage_class: Some(storage_class(&upload.storage_tier).to_owned().into()),
        checksum_algorithm: upload.checksum.as_ref().map(|name| name.to_uppercase().into()),
        checksum_type: kind.map(ChecksumType::from_static),
    }
}
