// SPDX-License-Identifier: Apache-2.0
//! The metadata service of an instance (IMDS v2).

use crate::auth::web::{Answer, Ask, Web};
use crate::config::{Region, RegionInfo, Regions};
use crate::error::{ErrorKind, Failure};
use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Where an instance is told of itself; the second where there is no way to the first, as in subnets of IPv6 alone.
pub(super) const ENDPOINTS: [&str; 2] =
    ["http://169.254.169.254/opc/v2", "http://[fd00:c1::a9fe:a9fe]/opc/v2"];

#[derive(Clone, Debug)]
pub(super) struct Metadata(Arc<Service>);

#[derive(Debug)]
struct Service {
    web: Web,
    /// The first that can be connected to counts.
    endpoints: Vec<String>,
    /// The one that answered.
    answered: OnceLock<usize>,
    regions: Regions,
    region: OnceCell<Region>,
}

impl Metadata {
    pub(super) fn new(web: Web, endpoints: &[&str], regions: Regions) -> Metadata {
        let endpoints = endpoints.iter().map(|at| at.trim_end_matches('/').to_owned()).collect();
        let (answered, region) = (OnceLock::new(), OnceCell::new());
        Metadata(Arc::new(Service { web, endpoints, answered, regions, region }))
    }

    /// What the service has below a path, such as `/instance/id`.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let Service { endpoints, answered, .. } = &*self.0;
        let known = answered.get().copied();
        let mut unreached: Option<Failure> = None;
        for (number, endpoint) in endpoints.iter().enumerate() {
            if known.is_some_and(|known| known != number) {
                continue;
            }
            match self.get_at(endpoint, path).await {
                // There is no way to it. One that is not answered in time would double the wait of a machine that is
                // no instance.
                Err(failure) if failure.kind == ErrorKind::Connect => {
                    unreached = Some(match unreached {
                        None => failure,
                        Some(before) => both(before, &failure),
                    });
                }
                answer => {
                    if answer.is_ok() {
                        let _ = answered.set(number);
                    }
                    return answer;
                }
            }
        }
        Err(unreached.unwrap_or_else(|| Failure::new(ErrorKind::Config)))
    }

    async fn get_at(&self, endpoint: &str, path: &str) -> Result<Answer, Failure> {
        let asked = self.0.web.ask(Ask {
            what: "instance metadata",
            method: Method::GET,
            url: format!("{endpoint}{path}"),
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

/// Two addresses that there was no way to, as one failure.
fn both(mut first: Failure, second: &Failure) -> Failure {
    first.message = format!("{}; {}", first.reasons(), second.message);
    first.source = None;
    first
}
