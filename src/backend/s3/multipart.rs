// SPDX-License-Identifier: Apache-2.0
//! Writes by parts.

use super::answer::{self, CRC32C};
use super::exchange::{OwnRequest, sendable};
use super::sdk::system_time;
use super::{S3, promises, refusal};
use crate::backend::http::{self, etag_of, lacks, metadata, text};
use crate::backend::{
    Attempt, CommitRequest, Next, Part, PartRequest, RequestFuture, UploadPage, UploadRequest,
    exists, unsent,
};
use crate::error::Failure;
use crate::types::{Checksum, ObjectMeta, Upload};
use crate::url::encode_into;
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType,
};
use hyper::HeaderMap;

pub(super) fn begin<'a>(
    s3: &'a S3,
    request: &'a UploadRequest,
    attempt: Attempt,
) -> RequestFuture<'a, String> {
    Box::pin(async move {
        let UploadRequest { key, checksum, about, .. } = request;
        let sent = http::check_name(key).and_then(|()| {
            metadata::content("content-type", about.content_type())?;
            about.headers().try_for_each(|(name, text)| metadata::content(name, text).map(drop))?;
            metadata::sent(about)
        });
        let metadata = match sent {
            Ok(metadata) => metadata.into_iter().collect(),
            Err(failure) => return Err(unsent(failure, attempt.timer)),
        };
        let (algorithm, kind) = (ChecksumAlgorithm::Crc32C, ChecksumType::FullObject);
        let begun = s3
            .send_by_sdk(attempt, &promises::CREATE_UPLOAD, |service, bucket, attach| {
                service
                    .client
                    .create_multipart_upload()
                    .bucket(bucket)
                    .key(&**key)
                    .content_type(about.content_type())
                    .set_content_encoding(about.content_encoding.clone())
                    .set_content_language(about.content_language.clone())
                    .set_content_disposition(about.content_disposition.clone())
                    .set_cache_control(about.cache_control.clone())
                    .set_metadata(Some(metadata))
                    .set_checksum_algorithm(checksum.then_some(algorithm))
                    .set_checksum_type(checksum.then_some(kind))
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        let lacking = || promises::CREATE_UPLOAD.lacks("UploadId", &HeaderMap::new());
        begun.upload_id.filter(|id| !id.is_empty()).ok_or_else(lacking)
    })
}

pub(super) fn put_part<'a>(
    s3: &'a S3,
    request: &'a PartRequest,
    mut attempt: Attempt,
) -> RequestFuture<'a, Part> {
    attempt.timer.uploads(request.body.len());
    Box::pin(async move {
        let mut own = OwnRequest::new(&promises::UPLOAD_PART, &request.upload.key);
        let attempt = sendable(http::checksum(&mut own.signed, CRC32C, request.checksum), attempt)?;
        own.query = format!("?partNumber={}&uploadId=", request.number);
        encode_into(&mut own.query, &request.upload.id);
        own.body = request.body.clone();
        let read = |headers: &HeaderMap| {
            answer::check_stored(request.checksum, text(headers, CRC32C))?;
            Ok(request.stored(etag_of(headers).ok_or_else(|| lacks("ETag"))?))
        };
        s3.headed(attempt, own, read).await
    })
}

pub(super) fn commit<'a>(
    s3: &'a S3,
    request: &'a CommitRequest,
    attempt: Attempt,
) -> RequestFuture<'a, ObjectMeta> {
    Box::pin(async move {
        let parts = request.parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number as i32)
                .e_tag(&part.etag)
                .set_checksum_crc32_c(part.crc32c.map(http::show_crc32c))
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let conditions = match s3.conditions(&request.mode) {
            Ok(conditions) => conditions,
            Err(failure) => return Err(unsent(failure, attempt.timer)),
        };
        let whole = request.crc32c;
        let promise = &promises::COMPLETE_UPLOAD;
        let committed = s3.send_by_sdk(attempt, promise, |service, bucket, attach| {
            service
                .client
                .complete_multipart_upload()
                .bucket(bucket)
                .key(&request.upload.key)
                .upload_id(&request.upload.id)
                .multipart_upload(parts)
                .set_if_match(conditions.if_match.map(str::to_owned))
                .set_if_none_match(conditions.if_none_match.map(str::to_owned))
                .set_checksum_crc32_c(whole.map(http::show_crc32c))
                .set_checksum_type(whole.map(|_| ChecksumType::FullObject))
                .customize()
                .mutate_request(attach)
                .send()
        });
        let made = committed
            .await
            .map_err(|failure| exists(refusal::conflicted(failure), &request.mode))?;
        answer::check_stored(whole.map(Checksum::Crc32c), made.checksum_crc32_c())?;
        let etag = made.e_tag.ok_or_else(|| promise.lacks("ETag", &HeaderMap::new()))?;
        Ok(ObjectMeta {
            key: request.upload.key.clone(),
            size: request.size(),
            checksum: whole.map(Checksum::Crc32c),
            etag: Some(answer::quoted(&etag)),
            version: made.version_id,
            ..ObjectMeta::default()
        })
    })
}

pub(super) fn abort<'a>(s3: &'a S3, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, ()> {
    Box::pin(async move {
        let aborted =
            s3.send_by_sdk(attempt, &promises::ABORT_UPLOAD, |service, bucket, attach| {
                let abort = service.client.abort_multipart_upload().bucket(bucket);
                abort
                    .key(&upload.key)
                    .upload_id(&upload.id)
                    .customize()
                    .mutate_request(attach)
                    .send()
            });
        aborted.await.map(|_| ())
    })
}

pub(super) fn list<'a>(
    s3: &'a S3,
    prefix: &'a str,
    page: Option<&'a str>,
    attempt: Attempt,
) -> RequestFuture<'a, UploadPage> {
    Box::pin(async move {
        // The two marks of the next page, in one text: no name holds NUL in XML.
        let marks = page.and_then(|page| page.split_once('\0'));
        let listed = s3
            .send_by_sdk(attempt, &promises::LIST_UPLOADS, |service, bucket, attach| {
                service
                    .client
                    .list_multipart_uploads()
                    .bucket(bucket)
                    .encoding_type(EncodingType::Url)
                    .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
                    .set_key_marker(marks.map(|(key, _)| key.to_owned()))
                    .set_upload_id_marker(
                        marks.map(|(_, id)| id.to_owned()).filter(|id| !id.is_empty()),
                    )
                    .customize()
                    .mutate_request(attach)
                    .send()
            })
            .await?;
        listed_uploads(listed)
    })
}

/// A page of uploads, names decoded.
pub(super) fn listed_uploads(listed: ListMultipartUploadsOutput) -> Result<UploadPage, Failure> {
    let encoded = listed.encoding_type == Some(EncodingType::Url);
    let name = |text: String| answer::name(text, encoded);
    let uploads = listed.uploads.unwrap_or_default().into_iter().map(|upload| {
        let lacking = || promises::LIST_UPLOADS.lacks("an upload's name", &HeaderMap::new());
        let (key, id) = upload.key.zip(upload.upload_id).ok_or_else(lacking)?;
        let begun = upload.initiated.as_ref().map(system_time);
        Ok(Upload { key: name(key)?, id, begun })
    });
    let uploads = uploads.collect::<Result<_, Failure>>()?;
    let mark = listed.next_key_marker.filter(|mark| !mark.is_empty());
    let next = match (listed.is_truncated, mark) {
        (Some(true), None) => Some(Next::Missing),
        (Some(true), Some(key)) => {
            let id = listed.next_upload_id_marker.unwrap_or_default();
            Some(Next::Token(format!("{}\0{id}", name(key)?)))
        }
        _ => None,
    };
    Ok(UploadPage { uploads, next })
}

pub(super) fn has_parts<'a>(
    s3: &'a S3,
    upload: &'a Upload,
    attempt: Attempt,
) -> RequestFuture<'a, bool> {
    Box::pin(async move {
        let listed = s3.send_by_sdk(attempt, &promises::LIST_PARTS, |service, bucket, attach| {
            let list = service.client.list_parts().bucket(bucket).key(&upload.key);
            list.upload_id(&upload.id).max_parts(1).customize().mutate_request(attach).send()
        });
        // A truncated list names some, too: a server may pass over `max-parts`.
        let listed = listed.await?;
        if listed.upload_id() != Some(upload.id.as_str()) {
            return Err(lacks("UploadId"));
        }
        Ok(!listed.parts().is_empty() || listed.is_truncated() == Some(true))
    })
}
