// SPDX-License-Identifier: Apache-2.0
//! The metadata service of an instance (IMDS v2).

use crate::auth::web::{Answer, Ask, Web};
use crate::config::{Region, RegionInfo, Regions};
use crate::error::{ErrorKind, Failure};
use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};
use std::sync::Arc;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Where an instance is told of itself.
pub(super) const ENDPOINT: &str = "http://169.254.169.254/opc/v2";

#[derive(Clone, Debug)]
pub(super) struct Metadata(Arc<Service>);

#[derive(Debug)]
struct Service {
    web: Web,
    endpoint: String,
    regions: Regions,
    region: OnceCell<Region>,
}

impl Metadata {
    pub(super) fn new(web: Web, endpoint: &str, regions: Regions) -> Metadata {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Metadata(Arc::new(Service { web, endpoint, regions, region: OnceCell::new() }))
    }

    /// What the service has below a path, such as `/instance/id`.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let asked = self.0.web.ask(Ask {
            what: "instance metadata",
            method: Method::GET,
            url: format!("{}{path}", self.0.endpoint),
            headers: vec![(AUTHORIZATION, Zeroizing::new("Bearer Oracle".to_owned()))],
            body: None,
            signed: None,
        });
        asked.await.map_err(|refusal| {
            let is_early = refusal.status == Some(StatusCode::NOT_FOUND);
            let mut failure = Failure::from(refusal);
            // An instance that has just started is not told all of itself yet.
            if is_early {
                failure.kind = ErrorKind::Server;
            }
            failure
        })
    }

    /// The region that the instance is in.
    pub(super) async fn region(&self) -> Result<Region, Failure> {
        let region = self.0.region.get_or_try_init(|| async {
            let answer = self.get("/instance/region").await?;
            let name = answer.text()?;
            if let Some(region) = self.0.regions.known(name) {
                return Ok(region);
            }
            // A region that is newer than the table.
            match self.get("/instance/regionInfo").await {
                Ok(info) => info.json::<RegionInfo>().map(Region::from),
                Err(_) => Ok(self.0.regions.find(name)),
            }
        });
        region.await.cloned()
    }
}
