// SPDX-License-Identifier: Apache-2.0
//! Signatures for one store: made off the async threads, reused while they are valid, mended after a 401.

use super::principal::{Identity, Principal};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase, now_ns};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::{Request, Rule, authorization, sha256, signing_string};

/// The service refuses a date more than 5 minutes off; ours is taken to be wrong from here.
const SKEW: Duration = Duration::from_secs(240);

/// Signatures kept at most; beyond it the old ones go.
const KEPT: usize = 4096;

#[derive(Debug)]
pub(crate) struct Signer {
    principal: Box<dyn Principal>,
    host: String,
    reuse_for: u64,
    reuse: AtomicBool,
    adjust_clock: bool,
    /// Seconds to add to our clock.
    offset: AtomicI64,
    hasher: RandomState,
    kept: Mutex<HashMap<u64, Kept>>,
}

#[derive(Debug)]
struct Kept {
    method: &'static str,
    target: String,
    identity: Arc<Identity>,
    until: u64,
    date: HeaderValue,
    authorization: HeaderValue,
}

/// The headers of a signature.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) date: HeaderValue,
    pub(crate) authorization: HeaderValue,
    /// `x-content-sha256`, where the body was signed.
    pub(crate) content_sha256: Option<HeaderValue>,
    /// Whether the signature had served before.
    pub(crate) reused: bool,
}

/// What a 401 leads to.
#[derive(Debug)]
pub(crate) enum Again {
    /// Something was mended: once more.
    Yes,
    /// Nothing to mend; what to tell.
    No(String),
}

impl Signer {
    pub(crate) fn new(principal: Box<dyn Principal>, host: &str, config: &Config) -> Signer {
        Signer {
            principal,
            host: host.to_owned(),
            reuse_for: config.signature_reuse.as_nanos() as u64,
            reuse: AtomicBool::new(!config.signature_reuse.is_zero()),
            adjust_clock: config.adjust_clock,
            offset: AtomicI64::new(0),
            hasher: RandomState::new(),
            kept: Mutex::default(),
        }
    }

    /// Signs a request without signed body: GET, HEAD, DELETE, and the PUT of an object or part. One signature serves
    /// all reads of a target, since only `date`, target and host are signed (spec §1.1): a Range is not.
    pub(crate) async fn sign(
        &self,
        method: &'static str,
        target: &str,
        timer: &mut AttemptTimer,
    ) -> Result<Signed, Failure> {
        let identity = self.identity().await?;
        let reusable = matches!(method, "GET" | "HEAD") && self.reuse.load(Relaxed);
        let slot = self.hasher.hash_one((method, target));
        if reusable && let Some(signed) = self.find(slot, method, target, &identity) {
            return Ok(signed);
        }
        timer.lap(Phase::Prepare);
        let until = now_ns() + self.reuse_for;
        let date = self.date();
        let value = self.compute(method, target, &date, None, Arc::clone(&identity)).await?;
        timer.lap(Phase::Sign);
        if reusable {
            self.keep(
                slot,
                Kept {
                    method,
                    target: target.to_owned(),
                    identity,
                    until,
                    date: date.clone(),
                    authorization: value.clone(),
                },
            );
        }
        Ok(Signed { date, authorization: value, content_sha256: None, reused: false })
    }

    /// Signs a request whose body is signed with it: JSON by POST or PUT. Its `content-type` must be sent as
    /// `application/json`, and its `content-length`.
    pub(crate) async fn sign_body(
        &self,
        method: &'static str,
        target: &str,
        body: &[u8],
        timer: &mut AttemptTimer,
    ) -> Result<Signed, Failure> {
        let identity = self.identity().await?;
        timer.lap(Phase::Prepare);
        let date = self.date();
        let sha256 = STANDARD.encode(sha256(body));
        let value = self
            .compute(method, target, &date, Some((body.len(), sha256.clone())), identity)
            .await?;
        timer.lap(Phase::Sign);
        Ok(Signed {
            date,
            authorization: value,
            content_sha256: header(&sha256).ok(),
            reused: false,
        })
    }

    /// Looks at a 401: was a reused signature refused, is our clock off, has the token been renewed?
    pub(crate) fn after_unauthorized(
        &self,
        reused: bool,
        server_date: Option<SystemTime>,
    ) -> Again {
        if let Some(skew) = server_date.and_then(|server| self.skew(server)) {
            let ours = httpdate::fmt_http_date(self.now());
            let theirs = httpdate::fmt_http_date(server_date.unwrap_or(UNIX_EPOCH));
            if !self.adjust_clock {
                return Again::No(format!(
                    "our clock says {ours}, the server's {theirs}: set the clock, or let adjust_clock make up for it"
                ));
            }
            tracing::warn!(
                "our clock says {ours}, the server's {theirs}: signing by the server's from now on; set the clock"
            );
            self.offset.fetch_add(skew, Relaxed);
            self.forget();
            return Again::Yes;
        }
        if reused && self.reuse.swap(false, Relaxed) {
            tracing::warn!(
                "{} refused a signature that it had accepted before: signing each request from now on (signature_reuse)",
                self.host
            );
            self.forget();
            return Again::Yes;
        }
        if self.principal.refresh() {
            return Again::Yes;
        }
        Again::No(self.principal.advice())
    }

    async fn identity(&self) -> Result<Arc<Identity>, Failure> {
        match self.principal.current() {
            Some(identity) => Ok(identity),
            None => self.principal.identity().await,
        }
    }

    async fn compute(
        &self,
        method: &'static str,
        target: &str,
        date: &HeaderValue,
        body: Option<(usize, String)>,
        identity: Arc<Identity>,
    ) -> Result<HeaderValue, Failure> {
        let date = date.to_str().unwrap_or_default();
        let (length, sha256) =
            body.clone().map(|(length, sha256)| (length.to_string(), sha256)).unwrap_or_default();
        let find = |name: &str| match name {
            "date" => Some(date),
            "host" => Some(self.host.as_str()),
            "content-length" => Some(length.as_str()),
            "content-type" => Some("application/json"),
            "x-content-sha256" => Some(sha256.as_str()),
            _ => None,
        };
        let names = if body.is_some() { Rule::Body } else { Rule::Generic }.signed_headers();
        let text =
            signing_string(&Request { method, target, header: &find }, names).map_err(unsigned)?;
        // A signature is most of a millisecond of CPU.
        let signing = tokio::task::spawn_blocking(move || {
            let signature = identity.key.sign(text.as_bytes())?;
            Ok::<_, storescope_sign::SignError>(authorization(&identity.key_id, names, &signature))
        });
        let value = signing.await.map_err(unsigned)?.map_err(unsigned)?;
        let mut value = header(&value)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn find(
        &self,
        slot: u64,
        method: &str,
        target: &str,
        identity: &Arc<Identity>,
    ) -> Option<Signed> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&slot)?;
        let valid = found.method == method
            && found.target == target
            && Arc::ptr_eq(&found.identity, identity)
            && now_ns() < found.until;
        valid.then(|| Signed {
            date: found.date.clone(),
            authorization: found.authorization.clone(),
            content_sha256: None,
            reused: true,
        })
    }

    fn keep(&self, slot: u64, signature: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            let now = now_ns();
            kept.retain(|_, kept| now < kept.until);
            if kept.len() >= KEPT {
                kept.clear();
            }
        }
        kept.insert(slot, signature);
    }

    fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Our clock, made up for what the server's 401 told us.
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let offset = self.offset.load(Relaxed);
        let by = Duration::from_secs(offset.unsigned_abs());
        if offset >= 0 { now + by } else { now.checked_sub(by).unwrap_or(UNIX_EPOCH) }
    }

    fn date(&self) -> HeaderValue {
        HeaderValue::try_from(httpdate::fmt_http_date(self.now())).expect("a date is ASCII")
    }

    /// Seconds to add to our clock, if it is too far off.
    fn skew(&self, server: SystemTime) -> Option<i64> {
        let ours = self.now();
        let (ahead, distance) = match server.duration_since(ours) {
            Ok(distance) => (true, distance),
            Err(e) => (false, e.duration()),
        };
        let seconds = distance.as_secs() as i64;
        (distance > SKEW).then_some(if ahead { seconds } else { -seconds })
    }
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        Failure::new(ErrorKind::Config)
            .message("the key id or token holds a character that no header can carry")
    })
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Identified;
    use crate::timing::{Operation, Sink};
    use storescope_sign::PrivateKey;

    #[derive(Debug)]
    struct Fixed(Mutex<Arc<Identity>>);

    impl Fixed {
        fn identity(id: &str) -> Arc<Identity> {
            let key = PrivateKey::generate(2048).unwrap();
            Arc::new(Identity { key_id: zeroize::Zeroizing::new(id.to_owned()), key })
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

    async fn sign(signer: &Signer, method: &'static str, target: &str) -> Signed {
        let mut timer = AttemptTimer::start(&Sink::off(), Operation::Get);
        signer.sign(method, target, &mut timer).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_serves_reads_of_its_target_until_it_ages() {
        let signer = signer(&Config::default());
        let first = sign(&signer, "GET", "/n/ns/b/b/o/k").await;
        let second = sign(&signer, "GET", "/n/ns/b/b/o/k").await;
        assert!(!first.reused && second.reused);
        assert_eq!(first.authorization, second.authorization);
        assert!(!sign(&signer, "HEAD", "/n/ns/b/b/o/k").await.reused, "another method");
        assert!(!sign(&signer, "GET", "/n/ns/b/b/o/l").await.reused, "another target");
        assert!(!sign(&signer, "PUT", "/n/ns/b/b/o/k").await.reused);
        assert!(!sign(&signer, "PUT", "/n/ns/b/b/o/k").await.reused, "writes are signed each");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!sign(&signer, "GET", "/n/ns/b/b/o/k").await.reused, "aged");
    }

    #[tokio::test]
    async fn another_identity_is_another_signature_and_zero_turns_reuse_off() {
        let signer_ = signer(&Config::default());
        sign(&signer_, "GET", "/k").await;
        let other = Signer {
            principal: Box::new(Fixed(Mutex::new(Fixed::identity("t/u/g")))),
            kept: Mutex::new(signer_.kept.into_inner().unwrap()),
            hasher: signer_.hasher,
            ..signer(&Config::default())
        };
        assert!(!sign(&other, "GET", "/k").await.reused);
        let off = signer(&Config::default().signature_reuse(Duration::ZERO));
        sign(&off, "GET", "/k").await;
        assert!(!sign(&off, "GET", "/k").await.reused);
    }

    #[tokio::test]
    async fn a_refused_reuse_turns_it_off_once_and_then_advises() {
        let signer = signer(&Config::default());
        sign(&signer, "GET", "/k").await;
        assert!(matches!(signer.after_unauthorized(true, Some(SystemTime::now())), Again::Yes));
        assert!(!sign(&signer, "GET", "/k").await.reused);
        assert!(!sign(&signer, "GET", "/k").await.reused);
        let again = signer.after_unauthorized(true, Some(SystemTime::now()));
        assert!(matches!(again, Again::No(advice) if advice == "advice"));
    }

    #[tokio::test]
    async fn a_clock_that_is_off_is_made_up_for_or_told() {
        let server = SystemTime::now() - Duration::from_secs(360);
        let adjusting = signer(&Config::default());
        assert!(matches!(adjusting.after_unauthorized(false, Some(server)), Again::Yes));
        let off_by = adjusting.now().duration_since(server).unwrap();
        assert!(off_by < Duration::from_secs(5), "{off_by:?}");
        let stubborn = signer(&Config::default().adjust_clock(false));
        let Again::No(advice) = stubborn.after_unauthorized(false, Some(server)) else { panic!() };
        assert!(advice.contains(&httpdate::fmt_http_date(server)), "{advice}");
        let near = SystemTime::now() - Duration::from_secs(200);
        assert!(matches!(
            signer(&Config::default()).after_unauthorized(false, Some(near)),
            Again::No(_)
        ));
    }
}
