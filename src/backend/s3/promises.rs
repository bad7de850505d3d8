// SPDX-License-Identifier: Apache-2.0
//! What the S3 API promises in each success (API reference of 2006-03-01), as far as every server of it keeps it: AWS,
//! OCI's S3 API, Ceph, MinIO, moto, rclone. `x-amz-request-id` is none of it: moto and rclone send none.
//!
//! Checksums are compared where an answer has them; few servers but AWS send any.

use crate::backend::http::promise::Carries::{Bytes, Xml};
use crate::backend::http::promise::promises;

const ETAG: &[&str] = &["ETag"];

/// A bucket's creation has no document. AWS, MinIO, moto and rclone tell its place, Ceph names the request.
const MADE: &[&str] = &["Location", "x-amz-request-id", "opc-request-id"];

promises! {
    LIST_BUCKETS    = "ListBuckets"             GET    [200]      []                          Xml("ListAllMyBucketsResult");
    CREATE_BUCKET   = "CreateBucket"            PUT    [200]      [MADE]                      Bytes;
    DELETE_BUCKET   = "DeleteBucket"            DELETE [204]      []                          Bytes;
    LIST_OBJECTS    = "ListObjectsV2"           GET    [200]      []                          Xml("ListBucketResult");
    // A Range that the server ignores is answered by 200; `http::get` judges that.
    GET_OBJECT      = "GetObject"               GET    [200, 206] [ETAG]                      Bytes;
    HEAD_OBJECT     = "HeadObject"              HEAD   [200]      [ETAG, &["Content-Length"]] Bytes;
    PUT_OBJECT      = "PutObject"               PUT    [200]      [ETAG]                      Bytes;
    DELETE_OBJECT   = "DeleteObject"            DELETE [204]      []                          Bytes;
    // The ETags of copies and of what is completed stand in their documents.
    COPY_OBJECT     = "CopyObject"              PUT    [200]      []                          Xml("CopyObjectResult");
    DELETE_OBJECTS  = "DeleteObjects"           POST   [200]      []                          Xml("DeleteResult");
    CREATE_UPLOAD   = "CreateMultipartUpload"   POST   [200]      []                          Xml("InitiateMultipartUploadResult");
    UPLOAD_PART     = "UploadPart"              PUT    [200]      [ETAG]                      Bytes;
    COPY_PART       = "UploadPartCopy"          PUT    [200]      []                          Xml("CopyPartResult");
    COMPLETE_UPLOAD = "CompleteMultipartUpload" POST   [200]      []                          Xml("CompleteMultipartUploadResult");
    ABORT_UPLOAD    = "AbortMultipartUpload"    DELETE [204]      []                          Bytes;
    LIST_PARTS      = "ListParts"               GET    [200]      []                          Xml("ListPartsResult");
    LIST_UPLOADS    = "ListMultipartUploads"    GET    [200]      []                          Xml("ListMultipartUploadsResult");
}
