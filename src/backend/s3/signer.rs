// SPDX-License-Identifier: Apache-2.0
//! SigV4 for the requests that do not go by the SDK. A signature covers date, target, host and `x-amz-*`, not a Range:
//! one serves many reads of an object, as on OCI.

use super::keys::{self, Keys};
use crate::auth::{
    AccessKey, AuthRetry, Clock, ReadKind, SignatureCache, SignedRead, secret_header,
};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase, now_ns};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How far S3 lets a request's date be from its clock.
const ALLOWED: Duration = Duration::from_mins(15);

#[derive(Debug)]
pub(super) struct Signer {
    keys: Keys,
    region: String,
    service: String,
    clock: Clock,
    reads: SignatureCache<AccessKey>,
}

/// What is to be signed.
pub(super) struct ToSign<'a> {
    pub(super) method: &'a Method,
    /// With scheme and host: what stands in the request line follows the host.
    pub(super) url: &'a str,
    /// Those that are signed: host, `x-amz-*`, content type.
    pub(super) headers: &'a HeaderMap,
    pub(super) body: SignableBody<'a>,
}

impl Signer {
    pub(super) fn new(keys: Keys, region: String, service: String, config: &Config) -> Signer {
        let (clock, reads) = (Clock::new(config), SignatureCache::new(config));
        Signer { keys, region, service, clock, reads }
    }

    /// Waits until there is something to sign with: what the SDK says of its lack is less.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        self.keys.held_or_asked().await.map(drop)
    }

    /// The target and signature that served a read of this object before, while they are good.
    pub(super) fn reuse(&self, kind: ReadKind, key: &str, into: &mut HeaderMap) -> Option<Uri> {
        let read = self.reads.get(kind, key, &self.keys.renewing.held()?, now_ns())?;
        for (name, value) in &read.headers {
            into.insert(name.clone(), value.clone());
        }
        Some(read.uri.clone())
    }

    /// Keeps a signature for other reads of the object.
    pub(super) fn keep(&self, kind: ReadKind, key: &str, uri: &Uri, signed: Signed) {
        let Signed { headers, identity, mends } = signed;
        self.reads.keep(kind, key, mends, || SignedRead { uri: uri.clone(), headers, identity });
    }

    /// The headers that sign a request.
    pub(super) async fn sign(
        &self,
        to_sign: ToSign<'_>,
        timer: &mut AttemptTimer,
    ) -> Result<Signed, Failure> {
        let mends = self.reads.mends();
        let identity = self.keys.held_or_asked().await?;
        timer.lap(Phase::Prepare);
        let headers = self.compute(&to_sign, &identity)?;
        timer.lap(Phase::Sign);
        Ok(Signed { headers, identity, mends })
    }

    fn compute(&self, to_sign: &ToSign<'_>, key: &AccessKey) -> Result<HeaderMap, Failure> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = keys::credentials(key).into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.clock.now())
            .settings(settings)
            .build()
            .map_err(unsigned)?
            .into();
        let headers = to_sign
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = match &to_sign.body {
            SignableBody::Precomputed(sha256) => SignableBody::Precomputed(sha256.clone()),
            _ => SignableBody::UnsignedPayload,
        };
        let request = SignableRequest::new(to_sign.method.as_str(), to_sign.url, headers, body)
            .map_err(unsigned)?;
        let (instructions, _) = sign(request, &params).map_err(unsigned)?.into_parts();
        let (headers, _) = instructions.into_parts();
        headers
            .into_iter()
            .map(|header| {
                let name = HeaderName::from_static(header.name());
                // aws-sigv4 takes the session token for a secret, and not the signature.
                let value = if header.sensitive() || name == AUTHORIZATION {
                    secret_header(Zeroizing::new(header.value().to_owned()))?
                } else {
                    HeaderValue::from_str(header.value()).map_err(unsigned)?
                };
                Ok((name, value))
            })
            .collect()
    }

    /// Looks at a refusal of who asks: is our clock off, or has the key expired?
    pub(super) fn after_unauthorized(&self, failure: &Failure) -> AuthRetry {
        if let Some(retry) = failure.server_date.and_then(|server| self.clock.correct(server)) {
            if let AuthRetry::Retry = retry {
                self.reads.mended();
            }
            return retry;
        }
        let of_token = failure.code.as_deref().is_some_and(|code| code.contains("Token"));
        if self.keys.may_differ(of_token) && self.keys.renewing.refused() {
            self.reads.mended();
            return AuthRetry::Retry;
        }
        AuthRetry::GiveUp(
            match (self.keys.of_program, of_token) {
                (true, _) => "the request was signed with the credentials that the store was given",
                (false, true) => "the session token has expired: get a new one",
                (false, false) => "check the access key, its secret, and the region",
            }
            .to_owned(),
        )
    }

    /// Whether the server's clock is too far from the one we sign by.
    pub(super) fn is_skewed(&self, server: SystemTime) -> bool {
        self.clock.distance(server).0 > ALLOWED
    }
}

/// The headers of a signature, and whose it is.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) headers: HeaderMap,
    identity: Arc<AccessKey>,
    mends: u64,
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}
