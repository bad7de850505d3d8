// SPDX-License-Identifier: Apache-2.0
//! SigV4 for the requests that do not go by the SDK. A signature covers date, target, host and `x-amz-*`, not a Range:
//! one serves many reads of an object, as on OCI.

use crate::auth::{AuthRetry, Clock, ReadKind, SignatureCache, SignedRead};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase, now_ns};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How far S3 lets a request's date be from its clock.
const ALLOWED: Duration = Duration::from_mins(15);

/// Credentials are renewed so long before they expire.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Signer {
    provider: SharedCredentialsProvider,
    region: String,
    service: String,
    clock: Clock,
    reads: SignatureCache<Known>,
    identity: Mutex<Option<Arc<Known>>>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    expires: Option<SystemTime>,
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
    pub(super) fn new(
        provider: SharedCredentialsProvider,
        region: String,
        service: String,
        config: &Config,
    ) -> Signer {
        Signer {
            provider,
            region,
            service,
            clock: Clock::new(config),
            reads: SignatureCache::new(config),
            identity: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// The target and signature that served a read of this object before, while they are good.
    pub(super) fn reuse(&self, kind: ReadKind, key: &str, into: &mut HeaderMap) -> Option<Uri> {
        let read = self.reads.get(kind, key, &self.current()?, now_ns())?;
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
        let identity = match self.current() {
            Some(identity) => identity,
            None => self.renew().await?,
        };
        timer.lap(Phase::Prepare);
        let headers = self.compute(&to_sign, &identity)?;
        timer.lap(Phase::Sign);
        Ok(Signed { headers, identity, mends })
    }

    fn compute(&self, to_sign: &ToSign<'_>, known: &Known) -> Result<HeaderMap, Failure> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&known.identity)
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
                let mut value = HeaderValue::from_str(header.value()).map_err(unsigned)?;
                value.set_sensitive(header.sensitive());
                Ok((HeaderName::from_static(header.name()), value))
            })
            .collect()
    }

    /// The credentials that are known, unless they are about to expire.
    fn current(&self) -> Option<Arc<Known>> {
        let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let good = known.expires.is_none_or(|expires| SystemTime::now() + RENEW_BEFORE < expires);
        good.then_some(known)
    }

    /// Asks the provider, one caller for all.
    async fn renew(&self) -> Result<Arc<Known>, Failure> {
        let _renewing = self.renewing.lock().await;
        if let Some(known) = self.current() {
            return Ok(known);
        }
        let credentials: Credentials =
            self.provider.provide_credentials().await.map_err(|e| {
                Failure::new(ErrorKind::Config)
                    .message("there are no credentials for S3")
                    .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile of the AWS tools, or auth=none")
                    .source(e)
            })?;
        let known = Arc::new(Known { expires: credentials.expiry(), identity: credentials.into() });
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    /// Looks at a refusal of who asks: is our clock off, or have the credentials expired?
    pub(super) fn after_unauthorized(&self, failure: &Failure) -> AuthRetry {
        if let Some(retry) = failure.server_date.and_then(|server| self.clock.correct(server)) {
            if let AuthRetry::Retry = retry {
                self.reads.mended();
            }
            return retry;
        }
        if failure.code.as_deref().is_some_and(|code| code.contains("Token")) {
            // Only those that may be other ones by now.
            let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.reads.mended();
            if known.is_some_and(|known| known.expires.is_some()) {
                return AuthRetry::Retry;
            }
            return AuthRetry::GiveUp("the session token has expired: get a new one".to_owned());
        }
        AuthRetry::GiveUp("check the access key, its secret, and the region".to_owned())
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
    identity: Arc<Known>,
    mends: u64,
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}
