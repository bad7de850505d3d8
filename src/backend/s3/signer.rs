// SPDX-License-Identifier: Apache-2.0
//! SigV4 for the requests that do not go by the SDK. A signature covers date, target, host and `x-amz-*`, not a Range:
//! one serves many reads of an object, as on OCI.

use crate::auth::{Again, SKEW};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase, after, now_ns};
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
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Signatures that are kept at most.
const KEPT: usize = 1024;

/// How far S3 lets a request's date be from its clock.
const ALLOWED: Duration = Duration::from_mins(15);

/// Credentials are renewed so long before they expire.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Signer {
    provider: SharedCredentialsProvider,
    region: String,
    service: String,
    reuse_for: Duration,
    adjust_clock: bool,
    /// Seconds that the server's clock is ahead of ours.
    offset: AtomicI64,
    identity: Mutex<Option<Arc<Known>>>,
    renewing: tokio::sync::Mutex<()>,
    hasher: RandomState,
    kept: Mutex<HashMap<u64, Kept>>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    expires: Option<SystemTime>,
}

#[derive(Debug)]
struct Kept {
    method: Method,
    key: Box<str>,
    checked: bool,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    identity: Arc<Known>,
    until: u64,
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
            reuse_for: config.signature_reuse.min(SKEW),
            adjust_clock: config.adjust_clock,
            offset: AtomicI64::new(0),
            identity: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            hasher: RandomState::new(),
            kept: Mutex::default(),
        }
    }

    /// The target and signature that served a read of this object before, while they are good. `checked` reads ask for
    /// the object's checksum, by a header that is signed.
    pub(super) fn reuse(
        &self,
        method: &Method,
        key: &str,
        checked: bool,
        into: &mut HeaderMap,
    ) -> Option<Uri> {
        let identity = self.current()?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&self.slot(method, key, checked))?;
        let good = found.method == *method
            && *found.key == *key
            && found.checked == checked
            && Arc::ptr_eq(&found.identity, &identity)
            && now_ns() < found.until;
        good.then(|| {
            for (name, value) in &found.headers {
                into.insert(name.clone(), value.clone());
            }
            found.uri.clone()
        })
    }

    /// Keeps a signature for other reads of the object.
    pub(super) fn keep(
        &self,
        method: &Method,
        key: &str,
        checked: bool,
        uri: &Uri,
        signed: Signed,
    ) {
        if self.reuse_for.is_zero() {
            return;
        }
        let fresh = Kept {
            method: method.clone(),
            key: key.into(),
            checked,
            uri: uri.clone(),
            headers: signed.headers,
            identity: signed.identity,
            until: after(now_ns(), self.reuse_for),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            let now = now_ns();
            kept.retain(|_, kept| now < kept.until);
            if kept.len() >= KEPT {
                kept.clear();
            }
        }
        kept.insert(self.slot(method, key, checked), fresh);
    }

    fn slot(&self, method: &Method, key: &str, checked: bool) -> u64 {
        self.hasher.hash_one((method == Method::HEAD, checked, key))
    }

    /// The headers that sign a request.
    pub(super) async fn sign(
        &self,
        to_sign: ToSign<'_>,
        timer: &mut AttemptTimer,
    ) -> Result<Signed, Failure> {
        let identity = match self.current() {
            Some(identity) => identity,
            None => self.renew().await?,
        };
        timer.lap(Phase::Prepare);
        let headers = self.compute(&to_sign, &identity)?;
        timer.lap(Phase::Sign);
        Ok(Signed { headers, identity })
    }

    fn compute(
        &self,
        to_sign: &ToSign<'_>,
        known: &Known,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&known.identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.now())
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
    pub(super) fn after_unauthorized(&self, failure: &Failure) -> Again {
        if let Some(server) = failure.server_date {
            let ours = self.now();
            let (ahead, by) = match server.duration_since(ours) {
                Ok(by) => (true, by),
                Err(e) => (false, e.duration()),
            };
            if by > SKEW {
                let (ours, theirs) =
                    (httpdate::fmt_http_date(ours), httpdate::fmt_http_date(server));
                if !self.adjust_clock {
                    return Again::No(format!(
                        "our clock says {ours}, the server's {theirs}: set the clock, or let adjust_clock make up for it"
                    ));
                }
                tracing::warn!(
                    "our clock says {ours}, the server's {theirs}: signing by the server's from now on; set the clock"
                );
                let by = by.as_secs() as i64;
                self.offset.fetch_add(if ahead { by } else { -by }, Relaxed);
                self.forget();
                return Again::Yes;
            }
        }
        if failure.code.as_deref().is_some_and(|code| code.contains("Token")) {
            // Only those that may be other ones by now.
            let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.forget();
            if known.is_some_and(|known| known.expires.is_some()) {
                return Again::Yes;
            }
            return Again::No("the session token has expired: get a new one".to_owned());
        }
        Again::No("check the access key, its secret, and the region".to_owned())
    }

    /// Whether the server's clock is too far from the one we sign by.
    pub(super) fn is_skewed(&self, server: SystemTime) -> bool {
        let ours = self.now();
        let off = server.duration_since(ours).or_else(|_| ours.duration_since(server));
        off.unwrap_or_default() > ALLOWED
    }

    fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let offset = self.offset.load(Relaxed);
        let by = Duration::from_secs(offset.unsigned_abs());
        if offset >= 0 { now + by } else { now.checked_sub(by).unwrap_or(now) }
    }
}

/// The headers of a signature, and whose it is.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    identity: Arc<Known>,
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}
