// SPDX-License-Identifier: Apache-2.0
//! Resource principals whose token is fetched: by an instance (version 1.1), with a key of the
//! resource's own (2.1, 2.1.1, 2.1.2), or by a resource that is in another (3.0). All take two
//! steps: a service tells the resource's token (RPT) and its own (SPST), and the identity service
//! gives a session token (RPST) for the two.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use storescope_sign::{PublicKey, Rule};

use super::{failed, not_found, public_key, token_reply};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::identity::{Caller, INSTANCE, Identity, Kind, PARENTS, RESOURCE, TENANCY};
use crate::reply::Reply;
use crate::request::parse_json;

/// Where the first step of a parent's is.
pub(super) const PARENT_PATH: &str = "/20180711/resourcePrincipalTokenOfParent/";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pair {
    resource_principal_token: String,
    service_principal_session_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    resource_principal_token: String,
    service_principal_session_token: String,
    session_public_key: String,
}

/// How the first step names its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// 1.1
    Instance,
    /// 2.1 and 2.1.1
    V2,
    /// 2.1.2
    V212,
    /// 3.0
    Nested,
}

impl Version {
    fn of_path(path: &str) -> Option<(Version, &str)> {
        let rest = path.strip_prefix("/20180711/resourcePrincipalToken")?;
        let (version, id) = rest.split_once('/')?;
        let version = match version {
            "" => Version::Instance,
            "V2" => Version::V2,
            "V212" => Version::V212,
            "OfParent" => Version::Nested,
            _ => return None,
        };
        Some((version, id))
    }

    /// The resources whose tokens a path gives.
    fn ids(self) -> &'static [&'static str] {
        match self {
            Version::Instance => &[INSTANCE, RESOURCE],
            Version::V2 | Version::V212 => &[RESOURCE],
            Version::Nested => &PARENTS,
        }
    }

    /// The key of a `keyId` that may ask by this path, and which RPT it gets.
    fn signer(self, key_id: &str, exchange: &Exchange<'_>) -> Option<(PublicKey, Kind)> {
        let identity = &exchange.server.identity;
        let by_token = |wanted: Kind, got: Kind| {
            let token = key_id.strip_prefix("ST$")?;
            let token = identity.tokens.open(token, exchange.server.clock.wall())?;
            Some((token.key.clone().filter(|_| token.kind == wanted)?, got))
        };
        let by_key = |wanted: &[String]| {
            let is_known = wanted.iter().any(|wanted| wanted == key_id);
            is_known.then(|| (identity.resource_key(), Kind::ResourceOfKey))
        };
        match self {
            Version::Instance => by_token(Kind::Instance, Kind::ResourceOfInstance),
            Version::Nested => by_token(Kind::Resource, Kind::ResourceOfChild),
            Version::V2 => by_key(&key_ids()[..2]),
            Version::V212 => by_key(&key_ids()[2..]),
        }
    }
}

/// Of versions 2.1, 2.1.1 and 2.1.2.
fn key_ids() -> [String; 3] {
    [
        format!("resource/v2.1/{RESOURCE}"),
        format!("resource/v2.1.1/{TENANCY}/{RESOURCE}"),
        format!("resource/v2.1.2/{TENANCY}/{RESOURCE}"),
    ]
}

impl Exchange<'_> {
    /// GET `/20180711/resourcePrincipalToken…/{id}`: the first step.
    pub(super) fn resource_token(&self, path: &str) -> Result<Reply, ApiError> {
        let (version, id) = Version::of_path(path).ok_or_else(not_found)?;
        let mut kind = None;
        self.verify(Rule::Generic, b"", |key_id| {
            let (key, got) = version.signer(key_id, self)?;
            kind = Some(got);
            Some(key)
        })?;
        let kind = kind.filter(|_| version.ids().contains(&id)).ok_or_else(not_found)?;
        let now = self.server.clock.wall();
        let resource = if version == Version::Nested { id } else { RESOURCE };
        let mint = |kind| {
            let caller = Caller::new(resource, TENANCY);
            self.server.identity.tokens.mint(kind, &caller, None, now).map_err(failed)
        };
        let pair = Pair {
            resource_principal_token: mint(kind)?,
            service_principal_session_token: mint(Kind::Service)?,
        };
        let reply = Reply::json(StatusCode::OK, &pair);
        let [parent, above] = PARENTS;
        Ok(match version {
            Version::Nested if id == parent => {
                let url = format!("{}{PARENT_PATH}{above}", self.base());
                reply.with_text("opc-parent-rpt-url", &url)
            }
            _ => reply,
        })
    }

    /// POST `/v1/resourcePrincipalSessionToken`: the second step, by the one who took the first.
    pub(super) fn resource_session(&self, body: &[u8]) -> Result<Reply, ApiError> {
        let Identity { tokens, .. } = &self.server.identity;
        let now = self.server.clock.wall();
        let mut kind = None;
        self.verify(Rule::Body, body, |key_id| {
            let versions = [Version::Instance, Version::V2, Version::V212, Version::Nested];
            let (key, got) =
                versions.into_iter().find_map(|version| version.signer(key_id, self))?;
            kind = Some(got);
            Some(key)
        })?;
        let asked: Asked = parse_json(body)?;
        let of_resource = tokens.open(&asked.resource_principal_token, now);
        let of_resource = of_resource.filter(|token| Some(token.kind) == kind);
        let of_service = tokens.open(&asked.service_principal_session_token, now);
        let of_service = of_service.filter(|token| token.kind == Kind::Service);
        let (Some(of_resource), Some(_)) = (of_resource, of_service) else {
            return Err(ApiError::not_authenticated(&"the tokens are not those of the signer"));
        };
        let key = public_key(&asked.session_public_key)?;
        token_reply(tokens.mint(Kind::Resource, &of_resource.caller, Some(&key), now))
    }
}
