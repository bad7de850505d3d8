// SPDX-License-Identifier: Apache-2.0
//! Security tokens: given out, read again, and refused when they have expired.
//!
//! A token holds the public key of its session (`jwk`): a request with the token is signed by that
//! session's key. Each token has a serial number, so that all that exist can be made to expire.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use storescope_sign::{PrivateKey, PublicKey, SignError};

use super::jwt;
use super::names::COMPARTMENT;

/// Lifetime of a session token.
const SESSION_LIFE: Duration = Duration::from_hours(1);
/// Lifetime of any other token.
const TOKEN_LIFE: Duration = Duration::from_mins(20);
/// How long a session token can be refreshed.
pub(super) const SESSION_END: Duration = Duration::from_hours(24);

/// What a token stands for: its claim `ttype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A user who signed in.
    #[serde(rename = "login")]
    Session,
    /// An instance, by its certificate.
    #[serde(rename = "x509")]
    Instance,
    /// A resource (RPST).
    #[serde(rename = "res")]
    Resource,
    /// A pod of a cluster.
    #[serde(rename = "res_oke")]
    Workload,
    /// A user of an identity domain (UPST).
    #[serde(rename = "upst")]
    Domain,
    /// Whoever asked for a token of a narrower scope.
    #[serde(rename = "scoped")]
    Scoped,
    /// Lets others make requests on a user's behalf.
    #[serde(rename = "delegation")]
    Delegation,
    /// What a resource is given before its session (RPT), requested by an instance.
    #[serde(rename = "rpt")]
    ResourceOfInstance,
    /// The same, requested with the resource's own key.
    #[serde(rename = "rpt_v2")]
    ResourceOfKey,
    /// The same of a parent, requested by a resource in it.
    #[serde(rename = "rpt_nested")]
    ResourceOfChild,
    /// The service's part of it (SPST).
    #[serde(rename = "spst")]
    Service,
}

/// The principal that signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) id: String,
    pub(crate) tenancy: String,
}

impl Caller {
    pub(crate) fn new(id: &str, tenancy: &str) -> Caller {
        Caller { id: id.to_owned(), tenancy: tenancy.to_owned() }
    }
}

/// A token that was read and is good.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) caller: Caller,
    /// The key of its session; a token without one signs nothing.
    pub(crate) key: Option<PublicKey>,
    /// When its session can be refreshed no more (Unix seconds).
    pub(crate) session_ends: Option<u64>,
    serial: u64,
    expires: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    ttype: Kind,
    tenant: String,
    opc_tenant: String,
    res_tenant: String,
    res_compartment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sess_exp: Option<u64>,
}

/// All tokens of one emulator.
pub(crate) struct Tokens {
    issuer: PrivateKey,
    /// Lifetime in seconds of tokens to come; 0 is that of their kind.
    lifetime: AtomicU64,
    last: AtomicU64,
    /// Tokens up to this serial number are refused.
    refused: AtomicU64,
    /// Tokens whose signature was found good.
    known: Mutex<HashMap<String, Arc<Token>>>,
}

impl Tokens {
    pub(super) fn new(issuer: PrivateKey) -> Tokens {
        Tokens {
            issuer,
            lifetime: AtomicU64::new(0),
            last: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// The key pair that signs tokens and certificates.
    pub(super) fn issuer(&self) -> &PrivateKey {
        &self.issuer
    }

    /// Tokens given out from now on live so long.
    pub(super) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime.store(lifetime.as_secs().max(1), Ordering::Relaxed);
    }

    /// Refuses all tokens given out so far.
    pub(super) fn expire(&self) {
        self.refused.store(self.last.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// A token of this kind for a caller. It lives as long as its kind does, from `now` on.
    pub(crate) fn mint(
        &self,
        kind: Kind,
        caller: &Caller,
        key: Option<&PublicKey>,
        now: SystemTime,
    ) -> Result<String, SignError> {
        let lifetime = match self.lifetime.load(Ordering::Relaxed) {
            0 if matches!(kind, Kind::Session | Kind::Delegation) => SESSION_LIFE,
            0 => TOKEN_LIFE,
            seconds => Duration::from_secs(seconds),
        };
        let end = unix(now) + SESSION_END.as_secs();
        let session_ends = (kind == Kind::Session).then_some(end);
        self.mint_for(kind, caller, (key, session_ends), (unix(now), lifetime.as_secs()))
    }

    /// A session token in the place of one that is good, with the same key and the same end of
    /// the session.
    pub(crate) fn refresh(&self, token: &Token, now: SystemTime) -> Result<String, SignError> {
        let lifetime = match self.lifetime.load(Ordering::Relaxed) {
            0 => SESSION_LIFE.as_secs(),
            seconds => seconds,
        };
        let session = (token.key.as_ref(), token.session_ends);
        self.mint_for(token.kind, &token.caller, session, (unix(now), lifetime))
    }

    /// A session token that has expired at `now`.
    pub(super) fn mint_expired(
        &self,
        caller: &Caller,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<String, SignError> {
        let life = SESSION_LIFE.as_secs();
        self.mint_for(Kind::Session, caller, (Some(key), None), (unix(now) - 60 - life, life))
    }

    fn mint_for(
        &self,
        kind: Kind,
        caller: &Caller,
        (key, session_ends): (Option<&PublicKey>, Option<u64>),
        (begins, lifetime): (u64, u64),
    ) -> Result<String, SignError> {
        let serial = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let claims = Claims {
            sub: caller.id.clone(),
            iss: "authService.oracle.com".into(),
            aud: "oci".into(),
            iat: begins,
            exp: begins + lifetime,
            jti: serial.to_string(),
            ttype: kind,
            tenant: caller.tenancy.clone(),
            opc_tenant: caller.tenancy.clone(),
            res_tenant: caller.tenancy.clone(),
            res_compartment: COMPARTMENT.into(),
            jwk: key.map(jwt::jwk),
            sess_exp: session_ends,
        };
        jwt::mint(&self.issuer, &claims)
    }

    /// What a token says, if it is one of this emulator's and good at `now`.
    pub(crate) fn open(&self, text: &str, now: SystemTime) -> Option<Arc<Token>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match known.get(text) {
            Some(token) => token.clone(),
            None => {
                let token = Arc::new(self.read(text)?);
                known.retain(|_, token| token.is_good(now, &self.refused));
                known.insert(text.to_owned(), token.clone());
                token
            }
        };
        token.is_good(now, &self.refused).then_some(token)
    }

    fn read(&self, text: &str) -> Option<Token> {
        let claims: Claims = jwt::read(text, self.issuer.public_key())?;
        let key = match &claims.jwk {
            Some(jwk) => Some(jwt::key_of(jwk)?),
            None => None,
        };
        Some(Token {
            kind: claims.ttype,
            caller: Caller { id: claims.sub, tenancy: claims.tenant },
            key,
            session_ends: claims.sess_exp,
            serial: claims.jti.parse().ok()?,
            expires: claims.exp,
        })
    }
}

impl Token {
    /// Whether its session has not ended at `now`.
    pub(crate) fn is_refreshable(&self, now: SystemTime) -> bool {
        self.session_ends.is_some_and(|end| unix(now) < end)
    }

    fn is_good(&self, now: SystemTime, refused: &AtomicU64) -> bool {
        unix(now) < self.expires && self.serial > refused.load(Ordering::SeqCst)
    }
}

/// Whole seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
