// SPDX-License-Identifier: Apache-2.0
//! What a caller may do: each operation needs a verb of a resource type, as Oracle's policy
//! reference for Object Storage has it. What is denied is told as what is not there: 404.

use http::StatusCode;
use serde::Deserialize;

use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{Caller, Need, ResourceType, Verb};
use crate::state::BucketName;
use crate::target::{Route, Target};

const BUCKETS: ResourceType = ResourceType::Buckets;
const OBJECTS: ResourceType = ResourceType::Objects;

impl Exchange<'_> {
    /// Whether a caller may do what the head asks for.
    pub(super) fn check_rights(&self, caller: &Caller, target: &Target) -> Result<(), ApiError> {
        let Some((verb, resource)) = self.need(target) else { return Ok(()) };
        match (&target.route, target.route.bucket()) {
            (_, Some(bucket)) => self.check(caller, bucket, verb, resource),
            // The name of a bucket to be made is in the body.
            (Route::Buckets { .. }, None) if verb == Verb::Manage => Ok(()),
            (Route::Buckets { namespace }, None) => {
                let need = Need { verb, resource, bucket: None };
                self.check_namespace(caller, namespace, &need)
            }
            _ => Ok(()),
        }
    }

    /// Whether a caller may do what the body names: the bucket to be made, the one to copy to.
    pub(super) fn check_rights_of(
        &self,
        caller: &Caller,
        target: &Target,
        body: &[u8],
    ) -> Result<(), ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Copied {
            destination_namespace: String,
            destination_bucket: String,
        }
        #[derive(Deserialize)]
        struct Made {
            name: String,
        }
        let operation = target.route.operation(self.parts.method.as_str());
        match (&target.route, operation) {
            // A body that cannot be read is refused by its operation.
            (_, Some("CopyObject")) => match serde_json::from_slice::<Copied>(body) {
                Ok(Copied { destination_namespace, destination_bucket }) => {
                    let bucket =
                        BucketName { namespace: destination_namespace, name: destination_bucket };
                    self.check(caller, &bucket, Verb::Manage, OBJECTS)
                }
                Err(_) => Ok(()),
            },
            (Route::Buckets { namespace }, Some("CreateBucket")) => {
                let made = serde_json::from_slice::<Made>(body).ok();
                let bucket = made.as_ref().map(|made| made.name.as_str());
                let need = Need { verb: Verb::Manage, resource: BUCKETS, bucket };
                self.check_namespace(caller, namespace, &need)
            }
            _ => Ok(()),
        }
    }

    /// What an operation needs. None is needed for the namespace and for work requests.
    fn need(&self, target: &Target) -> Option<(Verb, ResourceType)> {
        Some(match target.route.operation(self.parts.method.as_str())? {
            "ListBuckets" | "HeadBucket" => (Verb::Inspect, BUCKETS),
            "GetBucket" | "ListMultipartUploads" => (Verb::Read, BUCKETS),
            "UpdateBucket" => (Verb::Use, BUCKETS),
            "CreateBucket"
            | "DeleteBucket"
            | "CreatePreauthenticatedRequest"
            | "ListPreauthenticatedRequests"
            | "GetPreauthenticatedRequest"
            | "DeletePreauthenticatedRequest" => (Verb::Manage, BUCKETS),
            "ListObjects" | "ListObjectVersions" | "HeadObject" | "ListMultipartUploadParts" => {
                (Verb::Inspect, OBJECTS)
            }
            "GetObject" | "CopyObject" => (Verb::Read, OBJECTS),
            // OBJECT_OVERWRITE is of `use`, OBJECT_CREATE of `manage`.
            "PutObject" if self.exists(target) => (Verb::Use, OBJECTS),
            _ if target.route.bucket().is_some() => (Verb::Manage, OBJECTS),
            _ => return None,
        })
    }

    fn exists(&self, target: &Target) -> bool {
        let Route::Object { bucket, name: Some(name) } = &target.route else { return false };
        self.storage.get(bucket, name).is_ok()
    }

    fn check(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        verb: Verb,
        resource: ResourceType,
    ) -> Result<(), ApiError> {
        let need = Need { verb, resource, bucket: Some(&bucket.name) };
        if self.may(caller, &bucket.namespace, &need) {
            return Ok(());
        }
        Err(ApiError::bucket_not_found(&bucket.namespace, &bucket.name))
    }

    fn check_namespace(
        &self,
        caller: &Caller,
        namespace: &str,
        need: &Need<'_>,
    ) -> Result<(), ApiError> {
        if self.may(caller, namespace, need) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "NamespaceNotFound",
            "You do not have authorization to perform this request, or the requested resource \
             could not be found.",
        ))
    }

    /// A namespace that is nobody's is told as such by the operation.
    fn may(&self, caller: &Caller, namespace: &str, need: &Need<'_>) -> bool {
        let identity = &self.server.identity;
        identity.owner(namespace).is_none_or(|owner| identity.policies.allow(caller, &owner, need))
    }
}
