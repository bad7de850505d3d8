// SPDX-License-Identifier: Apache-2.0
//! OCI HTTP request signatures: RSA keys, signing and verifying. Pure: no I/O, no clock, no
//! global state.
//!
//! Oracle's scheme (version "1") is draft-cavage-http-signatures-08 in the `Authorization`
//! header, RSASSA-PKCS1-v1_5 with SHA-256. What is signed is a short text, the [signing
//! string][signing_string]: a line for each header named in `headers="…"`.
//!
//! ```text
//!  method, target, headers ─► signing_string ─► PrivateKey::sign ─► authorization ─► header
//!  header ─► Authorization::parse ─► signing_string ─► PublicKey::verify ─► verify's rules
//! ```
//!
//! **Promises.** The request target is signed and verified byte for byte as given, never
//! normalised. [`verify`] asks for what the operation's [`Rule`] asks for, whatever the client
//! chose to sign. Secrets are zeroised when dropped and appear in no `Debug`, no `Display` and
//! no error. No parser here panics, whatever the input.
//!
//! ```
//! use storescope_sign::{PrivateKey, Request, Rule, authorization, signing_string, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PrivateKey::generate(2048)?;
//! let date = "Sun, 22 Nov 2026 06:00:00 GMT";
//! let header = |name: &str| match name {
//!     "date" => Some(date),
//!     "host" => Some("objectstorage.us-ashburn-1.oraclecloud.com"),
//!     _ => None,
//! };
//! let request = Request { method: "GET", target: "/n", header: &header };
//! let signed = Rule::Generic.signed_headers();
//! let signature = key.sign(signing_string(&request, signed)?.as_bytes())?;
//! let value = authorization("tenancy/user/fingerprint", signed, &signature);
//!
//! let header = |name: &str| if name == "authorization" { Some(value.as_str()) } else { header(name) };
//! let request = Request { header: &header, ..request };
//! let proof = verify(&request, Rule::Generic, None, |_| Some(key.public_key().clone()), None)?;
//! assert_eq!(proof.key_id(), "tenancy/user/fingerprint");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod authorization;
mod certificate;
mod key;
mod pem;
mod request;
mod verify;

pub use authorization::{Authorization, authorization};
pub use certificate::Certificate;
#[cfg(feature = "rsa")]
pub use key::Provider;
pub use key::{KeyError, PrivateKey, PublicKey, SignError};
pub use request::{MissingHeader, Request, Rule, sha256, signing_string};
pub use verify::{MAX_SKEW, Refusal, verify};
