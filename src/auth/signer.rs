// SPDX-License-Identifier: Apache-2.0
//! OCI signatures for one store: made off the async threads, reused while they are valid, mended after a 401.

use super::clock::Clock;
use super::principal::{Identity, Principal};
use super::retry::AuthRetry;
use super::reuse::{ReadKind, SignatureCache, SignedRead};
use super::secrets::{header, secret_header};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use storescope_sign::{Request, Rule, authorization, sha256, signing_string};
use zeroize::Zeroizing;

#[derive(Debug)]
pub(crate) struct Signer {
    principal: Box<dyn Principal>,
    host: String,
    clock: Clock,
    reads: SignatureCache<Identity>,
    /// Held by the one request that mends.
    mending: Mutex<()>,
}

/// The headers of a signature.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) date: HeaderValue,
    pub(crate) authorization: HeaderValue,
    /// `x-content-sha256`, where the body was signed.
    pub(crate) content_sha256: Option<HeaderValue>,
    /// `opc-obo-token`, where requests are made on behalf of another.
    pub(crate) delegation: Option<HeaderValue>,
    pub(crate) presented: Presented,
}

/// What a request was signed with, for the case that it gets a 401: requests at once hear of the same trouble, and only
/// the first is to mend it.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    identity: Arc<Identity>,
    /// Whether the signature had served before.
    reused: bool,
    mends: u64,
}

impl Signer {
    pub(crate) fn new(principal: Box<dyn Principal>, host: &str, config: &Config) -> Signer {
        Signer {
            principal,
            host: host.to_owned(),
            clock: Clock::new(config),
            reads: SignatureCache::new(config),
            mending: Mutex::default(),
        }
    }

    /// The read of this object that was signed before, while it is good at the time `now`.
    pub(crate) fn reuse(
        &self,
        method: &Method,
        key: &str,
        now: u64,
    ) -> Option<(Arc<SignedRead<Identity>>, Presented)> {
        let kind = ReadKind::of(method, false).filter(|_| self.reads.is_on())?;
        let mends = self.reads.mends();
        let identity = self.principal.current()?;
        let read = self.reads.get(kind, key, &identity, now)?;
        Some((read, Presented { identity, reused: true, mends }))
    }

    /// Signs a request. A `body` is signed with it: JSON by POST or PUT, whose `content-type` must be sent as
    /// `application/json`, and its `content-length`. Without one: GET, HEAD, DELETE, and the PUT of an object or part.
    pub(crate) async fn sign(
        &self,
        method: &Method,
        target: &str,
        body: Option<&[u8]>,
        timer: &mut AttemptTimer,
    ) -> Result<Signed, Failure> {
        let mends = self.reads.mends();
        let identity = match self.principal.current() {
            Some(identity) => identity,
            None => self.principal.identity().await?,
        };
        timer.lap(Phase::Prepare);
        let date = self.date();
        let body = body.map(|body| (body.len(), STANDARD.encode(sha256(body))));
        let content_sha256 = body.as_ref().map(|(_, sha256)| header(sha256)).transpose()?;
        let delegation = identity.delegation.clone().map(secret_header).transpose()?;
        let authorization =
            self.compute(method, target, &date, body, Arc::clone(&identity)).await?;
        timer.lap(Phase::Sign);
        let presented = Presented { identity, reused: false, mends };
        Ok(Signed { date, authorization, content_sha256, delegation, presented })
    }

    /// Keeps a signed read for others of the same object: `headers` makes what they are to send.
    pub(crate) fn keep(
        &self,
        method: &Method,
        key: &str,
        uri: &Uri,
        signed: &Signed,
        headers: impl FnOnce() -> HeaderMap,
    ) {
        let Some(kind) = ReadKind::of(method, false) else { return };
        let Presented { identity, mends, .. } = &signed.presented;
        self.reads.keep(kind, key, *mends, || SignedRead {
            uri: uri.clone(),
            headers: headers(),
            identity: Arc::clone(identity),
        });
    }

    /// Looks at a 401: was a reused signature refused, is our clock off, has the token been renewed? Or has another
    /// request mended it already, since this one was signed?
    pub(crate) fn after_unauthorized(
        &self,
        presented: &Presented,
        server_date: Option<SystemTime>,
    ) -> AuthRetry {
        let _mending = self.mending.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed =
            self.principal.current().is_some_and(|now| !Arc::ptr_eq(&now, &presented.identity));
        if renewed || self.reads.mends() > presented.mends {
            return AuthRetry::Retry;
        }
        if let Some(retry) = server_date.and_then(|server| self.clock.correct(server)) {
            if let AuthRetry::Retry = retry {
                self.reads.mended();
            }
            return retry;
        }
        if self.principal.refresh() {
            return self.mended();
        }
        if presented.reused && self.reads.turn_off() {
            tracing::warn!(
                "{} refused a signature that it had accepted before: signing each request from now on (signature_reuse)",
                self.host
            );
            return self.mended();
        }
        // What was refused is not for reuse either.
        self.reads.clear();
        AuthRetry::GiveUp(self.principal.advice())
    }

    fn mended(&self) -> AuthRetry {
        self.reads.mended();
        AuthRetry::Retry
    }

    async fn compute(
        &self,
        method: &Method,
        target: &str,
        date: &HeaderValue,
        body: Option<(usize, String)>,
        identity: Arc<Identity>,
    ) -> Result<HeaderValue, Failure> {
        let date = date.to_str().unwrap_or_default();
        let signs_body = body.is_some();
        let (length, sha256) =
            body.map(|(length, sha256)| (length.to_string(), sha256)).unwrap_or_default();
        let find = |name: &str| match name {
            "date" => Some(date),
            "host" => Some(self.host.as_str()),
            "content-length" => Some(length.as_str()),
            "content-type" => Some("application/json"),
            "x-content-sha256" => Some(sha256.as_str()),
            "opc-obo-token" => identity.delegation.as_ref().map(|token| token.as_str()),
            _ => None,
        };
        let rule = if signs_body { Rule::Body } else { Rule::Generic };
        let names = match identity.delegation {
            Some(_) => rule.delegated_headers(),
            None => rule.signed_headers(),
        };
        let text =
            signing_string(&Request { method: method.as_str(), target, header: &find }, names)
                .map(Zeroizing::new)
                .map_err(unsigned)?;
        // A signature is most of a millisecond of CPU.
        let signing = tokio::task::spawn_blocking(move || {
            let signature = identity.key.sign(text.as_bytes())?;
            let value = authorization(&identity.key_id, names, &signature);
            Ok::<_, storescope_sign::SignError>(Zeroizing::new(value))
        });
        secret_header(signing.await.map_err(unsigned)?.map_err(unsigned)?)
    }

    fn date(&self) -> HeaderValue {
        HeaderValue::try_from(httpdate::fmt_http_date(self.clock.now())).expect("a date is ASCII")
    }
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Identified;
    use crate::timing::{Operation, Recorders, now_ns};
    use hyper::header::{AUTHORIZATION, DATE};
    use std::time::Duration;
    use storescope_sign::PrivateKey;

    #[derive(Debug)]
    struct Fixed(Mutex<Arc<Identity>>);

    impl Fixed {
        fn identity(id: &str) -> Arc<Identity> {
            let key = PrivateKey::generate(2048).unwrap();
            let key_id = zeroize::Zeroizing::new(id.to_owned());
            Arc::new(Identity { key_id, key, delegation: None })
        }
    }

    impl Principal for Fixed {
        fn current(&self) -> Option<Arc<Identity>> {
            Some(Arc::clone(&self.0.lock().unwrap()))
        }

        fn identity(&self) -> Identified<'_> {
            unreachable!("current answers")
        }

        fn refresh(&self) -> bool {
            false
        }

        fn advice(&self) -> String {
            "advice".to_owned()
        }
    }

    fn signer(config: &Config) -> Signer {
        Signer::new(Box::new(Fixed(Mutex::new(Fixed::identity("t/u/f")))), "h:1", config)
    }

    /// What a request for an object is signed with.
    async fn sign(signer: &Signer, method: &'static str, key: &str) -> Signed {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        if let Some((kept, presented)) = signer.reuse(&method, key, now_ns()) {
            assert_eq!(kept.uri, key);
            let header = |name| kept.headers[name].clone();
            let (date, authorization) = (header(DATE), header(AUTHORIZATION));
            return Signed {
                date,
                authorization,
                content_sha256: None,
                delegation: None,
                presented,
            };
        }
        let mut timer = AttemptTimer::start(&Recorders::off(), Operation::Get);
        let signed = signer.sign(&method, key, None, &mut timer).await.unwrap();
        signer.keep(&method, key, &key.parse().unwrap(), &signed, || {
            HeaderMap::from_iter([
                (DATE, signed.date.clone()),
                (AUTHORIZATION, signed.authorization.clone()),
            ])
        });
        signed
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_serves_reads_of_its_target_until_it_ages() {
        let signer = signer(&Config::default());
        let first = sign(&signer, "GET", "/n/ns/b/b/o/k").await;
        let second = sign(&signer, "GET", "/n/ns/b/b/o/k").await;
        assert!(!first.presented.reused && second.presented.reused);
        assert_eq!(first.authorization, second.authorization);
        assert!(!sign(&signer, "HEAD", "/n/ns/b/b/o/k").await.presented.reused, "another method");
        assert!(!sign(&signer, "GET", "/n/ns/b/b/o/l").await.presented.reused, "another target");
        assert!(!sign(&signer, "PUT", "/n/ns/b/b/o/k").await.presented.reused);
        assert!(
            !sign(&signer, "PUT", "/n/ns/b/b/o/k").await.presented.reused,
            "writes are signed each"
        );
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!sign(&signer, "GET", "/n/ns/b/b/o/k").await.presented.reused, "aged");
    }

    #[tokio::test]
    async fn another_identity_is_another_signature_and_zero_turns_reuse_off() {
        let signer_ = signer(&Config::default());
        sign(&signer_, "GET", "/k").await;
        let other = Signer {
            principal: Box::new(Fixed(Mutex::new(Fixed::identity("t/u/g")))),
            reads: signer_.reads,
            ..signer(&Config::default())
        };
        assert!(!sign(&other, "GET", "/k").await.presented.reused);
        let off = signer(&Config::default().signature_reuse(Duration::ZERO));
        sign(&off, "GET", "/k").await;
        assert!(!sign(&off, "GET", "/k").await.presented.reused);
    }

    #[tokio::test]
    async fn a_refused_reuse_turns_it_off_once_and_then_advises() {
        let signer = signer(&Config::default());
        sign(&signer, "GET", "/k").await;
        let refused = sign(&signer, "GET", "/k").await.presented;
        let now = Some(SystemTime::now());
        assert!(matches!(signer.after_unauthorized(&refused, now), AuthRetry::Retry));
        assert!(
            matches!(signer.after_unauthorized(&refused, now), AuthRetry::Retry),
            "mended meanwhile"
        );
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        let fresh = sign(&signer, "GET", "/k").await.presented;
        let again = signer.after_unauthorized(&fresh, now);
        assert!(matches!(again, AuthRetry::GiveUp(advice) if advice == "advice"));
    }

    #[tokio::test]
    async fn a_signature_that_was_never_accepted_is_not_reused() {
        let signer = signer(&Config::default());
        let refused = sign(&signer, "GET", "/k").await.presented;
        let now = Some(SystemTime::now());
        assert!(matches!(signer.after_unauthorized(&refused, now), AuthRetry::GiveUp(_)));
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        assert!(sign(&signer, "GET", "/k").await.presented.reused, "reuse is still on");
    }

    #[tokio::test]
    async fn a_clock_that_is_off_is_made_up_for_or_told() {
        let server = SystemTime::now() - Duration::from_mins(6);
        let adjusting = signer(&Config::default());
        let signed = sign(&adjusting, "GET", "/k").await.presented;
        assert!(matches!(adjusting.after_unauthorized(&signed, Some(server)), AuthRetry::Retry));
        let off_by = adjusting.clock.now().duration_since(server).unwrap();
        assert!(off_by < Duration::from_secs(5), "{off_by:?}");
        let stubborn = signer(&Config::default().adjust_clock(false));
        let signed = sign(&stubborn, "GET", "/k").await.presented;
        let AuthRetry::GiveUp(advice) = stubborn.after_unauthorized(&signed, Some(server)) else {
            panic!()
        };
        assert!(advice.contains(&httpdate::fmt_http_date(server)), "{advice}");
        let near = SystemTime::now() - Duration::from_secs(200);
        assert!(matches!(stubborn.after_unauthorized(&signed, Some(near)), AuthRetry::GiveUp(_)));
    }
}
