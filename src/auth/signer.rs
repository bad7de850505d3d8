// SPDX-License-Identifier: Apache-2.0
//! Signatures for one store: made off the async threads, reused while they are valid, mended after a 401.

use super::principal::{Identity, Principal};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Phase, after, now_ns};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope_sign::{Request, Rule, authorization, sha256, signing_string};

/// The service refuses a date more than 5 minutes off; ours is taken to be wrong from here.
pub(crate) const SKEW: Duration = Duration::from_mins(4);

/// Signatures kept at most for each method; beyond it the old ones go.
const KEPT: usize = 4096;

#[derive(Debug)]
pub(crate) struct Signer {
    principal: Box<dyn Principal>,
    host: String,
    reuse_for: Duration,
    reuse: AtomicBool,
    adjust_clock: bool,
    /// Seconds to add to our clock.
    offset: AtomicI64,
    /// How often something was mended after a 401.
    mends: AtomicU64,
    kept: Mutex<Reads>,
    /// Held by the one request that mends.
    mending: Mutex<()>,
}

/// Requests to be made again, by the name of the object.
#[derive(Debug, Default)]
struct Reads {
    get: HashMap<Box<str>, Arc<Kept>>,
    head: HashMap<Box<str>, Arc<Kept>>,
}

/// A signed read of an object: what others of the same object may send while the signature is good.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) uri: Uri,
    /// `date` and `authorization` among them.
    pub(crate) headers: HeaderMap,
    identity: Arc<Identity>,
    until: u64,
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
            reuse_for: config.signature_reuse.min(SKEW),
            reuse: AtomicBool::new(!config.signature_reuse.is_zero()),
            adjust_clock: config.adjust_clock,
            offset: AtomicI64::new(0),
            mends: AtomicU64::new(0),
            kept: Mutex::default(),
            mending: Mutex::default(),
        }
    }

    /// The read of this object that was signed before, while it is good at the time `now`. One signature serves all
    /// reads of an object, since only `date`, target and host are signed (spec §1.1): a Range is not.
    pub(crate) fn reuse(
        &self,
        method: &Method,
        key: &str,
        now: u64,
    ) -> Option<(Arc<Kept>, Presented)> {
        if !self.reuse.load(Relaxed) {
            return None;
        }
        let mends = self.mends.load(Relaxed);
        let identity = self.principal.current()?;
        let kept = {
            let mut reads = self.reads();
            Arc::clone(reads.of(method)?.get(key)?)
        };
        let good = Arc::ptr_eq(&kept.identity, &identity) && now < kept.until;
        good.then_some((kept, Presented { identity, reused: true, mends }))
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
        let mends = self.mends.load(Relaxed);
        let identity = match self.principal.current() {
            Some(identity) => identity,
            None => self.principal.identity().await?,
        };
        timer.lap(Phase::Prepare);
        let date = self.date();
        let body = body.map(|body| (body.len(), STANDARD.encode(sha256(body))));
        let content_sha256 = body.as_ref().map(|(_, sha256)| header(sha256)).transpose()?;
        let delegation = identity.delegation.as_ref().map(|token| sensitive(token)).transpose()?;
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
        if !self.reuse.load(Relaxed) || !is_read(method) {
            return;
        }
        let now = now_ns();
        let fresh = Kept {
            uri: uri.clone(),
            headers: headers(),
            identity: Arc::clone(&signed.presented.identity),
            until: after(now, self.reuse_for),
        };
        let mut reads = self.reads();
        // What was signed before something was mended is not for reuse.
        if self.mends.load(Relaxed) != signed.presented.mends {
            return;
        }
        let Some(kept) = reads.of(method) else { return };
        if kept.len() >= KEPT {
            kept.retain(|_, kept| now < kept.until);
            if kept.len() >= KEPT {
                kept.clear();
            }
        }
        kept.insert(key.into(), Arc::new(fresh));
    }

    /// Looks at a 401: was a reused signature refused, is our clock off, has the token been renewed? Or has another
    /// request mended it already, since this one was signed?
    pub(crate) fn after_unauthorized(
        &self,
        presented: &Presented,
        server_date: Option<SystemTime>,
    ) -> Again {
        let _mending = self.mending.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed =
            self.principal.current().is_some_and(|now| !Arc::ptr_eq(&now, &presented.identity));
        if renewed || self.mends.load(Relaxed) > presented.mends {
            return Again::Yes;
        }
        if let Some((server, skew)) =
            server_date.and_then(|server| Some((server, self.skew(server)?)))
        {
            let ours = httpdate::fmt_http_date(self.now());
            let theirs = httpdate::fmt_http_date(server);
            if !self.adjust_clock {
                return Again::No(format!(
                    "our clock says {ours}, the server's {theirs}: set the clock, or let adjust_clock make up for it"
                ));
            }
            tracing::warn!(
                "our clock says {ours}, the server's {theirs}: signing by the server's from now on; set the clock"
            );
            self.offset.fetch_add(skew, Relaxed);
            return self.mended();
        }
        if self.principal.refresh() {
            return self.mended();
        }
        if presented.reused && self.reuse.swap(false, Relaxed) {
            tracing::warn!(
                "{} refused a signature that it had accepted before: signing each request from now on (signature_reuse)",
                self.host
            );
            return self.mended();
        }
        // What was refused is not for reuse either.
        *self.reads() = Reads::default();
        Again::No(self.principal.advice())
    }

    fn mended(&self) -> Again {
        self.mends.fetch_add(1, Relaxed);
        *self.reads() = Reads::default();
        Again::Yes
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
                .map_err(unsigned)?;
        // A signature is most of a millisecond of CPU.
        let signing = tokio::task::spawn_blocking(move || {
            let signature = identity.key.sign(text.as_bytes())?;
            Ok::<_, storescope_sign::SignError>(authorization(&identity.key_id, names, &signature))
        });
        let value = signing.await.map_err(unsigned)?.map_err(unsigned)?;
        sensitive(&value)
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

impl Reads {
    /// Those by this method, if it reads.
    fn of(&mut self, method: &Method) -> Option<&mut HashMap<Box<str>, Arc<Kept>>> {
        match *method {
            Method::GET => Some(&mut self.get),
            Method::HEAD => Some(&mut self.head),
            _ => None,
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        Failure::new(ErrorKind::Config)
            .message("the key id or token holds a character that no header can carry")
    })
}

/// A header that is not to be shown.
fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = header(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Identified;
    use crate::timing::{Operation, Sink};
    use hyper::header::{AUTHORIZATION, DATE};
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
        let mut timer = AttemptTimer::start(&Sink::off(), Operation::Get);
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
            kept: Mutex::new(signer_.kept.into_inner().unwrap()),
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
        assert!(matches!(signer.after_unauthorized(&refused, now), Again::Yes));
        assert!(matches!(signer.after_unauthorized(&refused, now), Again::Yes), "mended meanwhile");
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        let fresh = sign(&signer, "GET", "/k").await.presented;
        let again = signer.after_unauthorized(&fresh, now);
        assert!(matches!(again, Again::No(advice) if advice == "advice"));
    }

    #[tokio::test]
    async fn a_signature_that_was_never_accepted_is_not_reused() {
        let signer = signer(&Config::default());
        let refused = sign(&signer, "GET", "/k").await.presented;
        let now = Some(SystemTime::now());
        assert!(matches!(signer.after_unauthorized(&refused, now), Again::No(_)));
        assert!(!sign(&signer, "GET", "/k").await.presented.reused);
        assert!(sign(&signer, "GET", "/k").await.presented.reused, "reuse is still on");
    }

    #[tokio::test]
    async fn a_clock_that_is_off_is_made_up_for_or_told() {
        let server = SystemTime::now() - Duration::from_mins(6);
        let adjusting = signer(&Config::default());
        let signed = sign(&adjusting, "GET", "/k").await.presented;
        assert!(matches!(adjusting.after_unauthorized(&signed, Some(server)), Again::Yes));
        let off_by = adjusting.now().duration_since(server).unwrap();
        assert!(off_by < Duration::from_secs(5), "{off_by:?}");
        let stubborn = signer(&Config::default().adjust_clock(false));
        let signed = sign(&stubborn, "GET", "/k").await.presented;
        let Again::No(advice) = stubborn.after_unauthorized(&signed, Some(server)) else {
            panic!()
        };
        assert!(advice.contains(&httpdate::fmt_http_date(server)), "{advice}");
        let near = SystemTime::now() - Duration::from_secs(200);
        assert!(matches!(stubborn.after_unauthorized(&signed, Some(near)), Again::No(_)));
    }
}
