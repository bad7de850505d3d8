// SPDX-License-Identifier: Apache-2.0
//! What the native API promises in each success. Checksums are compared where an answer has them: which ones it
//! has depends on how the object was written.
//!
//! `opc-request-id` stands in every answer of the service. It is demanded where nothing else tells a success from
//! somebody else's.

use crate::backend::http::promise::Carries::{Bytes, Json};
use crate::backend::http::promise::promises;

const ETAG: &[&str] = &["ETag"];
const REQUEST_ID: &[&str] = &["opc-request-id"];

promises! {
    GET_NAMESPACE    = "GetNamespace"               GET    [200]      []                          Json("the namespace");
    LIST_BUCKETS     = "ListBuckets"                GET    [200]      []                          Json("buckets");
    CREATE_BUCKET    = "CreateBucket"               POST   [200]      []                          Json("the bucket's name");
    DELETE_BUCKET    = "DeleteBucket"               DELETE [204]      [REQUEST_ID]                Bytes;
    LIST_OBJECTS     = "ListObjects"                GET    [200]      []                          Json("objects");
    // A Range that the server ignores is answered by 200; `http::get` judges that.
    GET_OBJECT       = "GetObject"                  GET    [200, 206] [ETAG]                      Bytes;
    HEAD_OBJECT      = "HeadObject"                 HEAD   [200]      [ETAG, &["Content-Length"]] Bytes;
    PUT_OBJECT       = "PutObject"                  PUT    [200]      [ETAG]                      Bytes;
    DELETE_OBJECT    = "DeleteObject"               DELETE [204]      [REQUEST_ID]                Bytes;
    RENAME_OBJECT    = "RenameObject"               POST   [200]      [ETAG]                      Bytes;
    COPY_OBJECT      = "CopyObject"                 POST   [202]      [&["opc-work-request-id"]]  Bytes;
    GET_WORK         = "GetWorkRequest"             GET    [200]      []                          Json("its status");
    LIST_WORK_ERRORS = "ListWorkRequestErrors"      GET    [200]      []                          Json("errors");
    BATCH_DELETE     = "BatchDeleteObjects"         POST   [200]      []                          Json("what failed");
    CREATE_UPLOAD    = "CreateMultipartUpload"      POST   [200]      []                          Json("uploadId");
    UPLOAD_PART      = "UploadPart"                 PUT    [200]      [ETAG]                      Bytes;
    COMMIT_UPLOAD    = "CommitMultipartUpload"      POST   [200]      [ETAG]                      Bytes;
    ABORT_UPLOAD     = "AbortMultipartUpload"       DELETE [204]      [REQUEST_ID]                Bytes;
    LIST_PARTS       = "ListMultipartUploadParts"   GET    [200]      []                          Json("parts");
    LIST_UPLOADS     = "ListMultipartUploads"       GET    [200]      []                          Json("uploads");
}
