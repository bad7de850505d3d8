// SPDX-License-Identifier: Apache-2.0
//! A resource inside others as a principal (`OCI_RESOURCE_PRINCIPAL_VERSION` 3.0).
//!
//! The innermost, the leaf, is a resource of another version. It asks for the resource around it, which asks for the one
//! around itself, as long as the answers name one. Requests are signed as the outermost.

use super::given::Variables;
use super::renewing::{Fetched, Fetching, Regional, Renewing, Source};
use super::resource::{self, Told};
use super::{Identity, Principal as _};
use crate::auth::web::Web;
use crate::config::{Region, Regions};
use crate::error::{ErrorKind, Failure, Result};
use std::sync::Arc;

/// What the names of a leaf's variables end in.
pub(super) const LEAF: &str = "_FOR_LEAF_RESOURCE";
const RPT_URL: &str = "OCI_RESOURCE_PRINCIPAL_RPT_URL_FOR_PARENT_RESOURCE";
const RPST_ENDPOINT: &str = "OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT_FOR_PARENT_RESOURCE";
/// Those of the resources around it: what a principal was made of, beside the leaf's.
pub(super) const VARIABLES: [&str; 2] = [RPT_URL, RPST_ENDPOINT];

/// Where the resource around the one that was asked for is asked for.
const PARENT: &str = "opc-parent-rpt-url";
/// Resources around a leaf, at most.
const DEPTH: usize = 10;

#[derive(Debug)]
pub(super) struct Nested {
    web: Arc<Web>,
    leaf: Renewing,
    rpt_url: String,
    rpst_endpoint: String,
    region: Option<Region>,
}

impl Nested {
    pub(super) fn new(
        variables: &Variables,
        regions: &Regions,
        web: &Arc<Web>,
        leaf: Renewing,
    ) -> Result<Nested> {
        let rpst_endpoint = variables.require(RPST_ENDPOINT)?;
        Ok(Nested {
            web: Arc::clone(web),
            leaf,
            rpt_url: variables.require(RPT_URL)?,
            rpst_endpoint: rpst_endpoint.trim_end_matches('/').to_owned(),
            region: resource::region(&variables.suffixed(LEAF), regions),
        })
    }

    async fn climb(&self) -> Result<Fetched, Failure> {
        let mut signs: Arc<Identity> = self.leaf.identity().await?;
        let mut url = self.rpt_url.clone();
        for _ in 0..DEPTH {
            let signed_by = (signs.key_id.as_str(), &signs.key);
            let answer = resource::tell(&self.web, url, Vec::new(), signed_by).await?;
            let told: Told = answer.json()?;
            let fetched = told.exchange(&self.web, &self.rpst_endpoint, signed_by).await?;
            match answer.header(PARENT) {
                None => return Ok(fetched),
                Some(parent) => (url, signs) = (parent.to_owned(), fetched.identity),
            }
        }
        let what = format!("the resource is inside more than {DEPTH} others ({PARENT})");
        Err(Failure::new(ErrorKind::Protocol).message(what))
    }
}

impl Source for Nested {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let fetched = self.climb().await;
            if fetched.as_ref().is_err_and(|e| e.kind == ErrorKind::Unauthenticated)
                && self.leaf.refresh()
            {
                return self.climb().await;
            }
            fetched
        })
    }

    fn region(&self) -> Regional<'_> {
        Box::pin(std::future::ready(Ok(self.region.clone())))
    }

    fn advice(&self) -> String {
        let (url, advice) = (&self.rpt_url, resource::ADVICE);
        format!(
            "the request was signed as the outermost of the resources that {url} told of; {advice}"
        )
    }
}
