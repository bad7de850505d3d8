// SPDX-License-Identifier: Apache-2.0
//! Buckets.

use crate::context::Target;
use crate::error::Result;
use crate::timing::Operation;

/// Makes the target's bucket.
pub(crate) async fn create(target: &Target) -> Result<()> {
    let mut call = target.begin(Operation::CreateBucket, "", None)?;
    let run = async {
        let created = call.create_bucket().await;
        call.end(created)
    };
    target.context().run(run).await
}

/// Removes the target's bucket. It must be empty.
pub(crate) async fn delete(target: &Target) -> Result<()> {
    let mut call = target.begin(Operation::DeleteBucket, "", None)?;
    let run = async {
        let deleted = call.delete_bucket().await;
        call.end(deleted)
    };
    target.context().run(run).await
}
