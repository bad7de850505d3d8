// SPDX-License-Identifier: Apache-2.0
//! RSA keys: read from PEM, made, signing, verifying. Cryptography is aws-lc-rs's, or the `rsa`
//! crate's (blinded) behind the feature of that name; both give equal signatures, for PKCS#1 v1.5
//! has no choice in them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use md5::{Digest as _, Md5};
use pkcs1::UintRef;
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use crate::pem;

/// A modulus has at least this many bits: OCI takes no smaller key.
const MIN_BITS: usize = 2048;

/// A private RSA key. Cheap to clone; zeroised when the last clone is dropped.
#[derive(Clone)]
pub struct PrivateKey(Arc<Private>);

struct Private {
    pkcs1: Zeroizing<Vec<u8>>,
    public: PublicKey,
    engine: Engine,
}

enum Engine {
    AwsLc(RsaKeyPair),
    #[cfg(feature = "rsa")]
    Rsa(Box<rsa::pkcs1v15::SigningKey<rsa::sha2::Sha256>>),
}

impl PrivateKey {
    /// Reads the first private key of a PEM text: PKCS#1, PKCS#8, encrypted PKCS#8 (PBES2), or
    /// encrypted PKCS#1 of OpenSSL's traditional kind (`DEK-Info`; AES-CBC or DES-EDE3-CBC).
    ///
    /// Text around the key is passed over, such as the `OCI_API_KEY` line that Oracle's console
    /// has users append. A passphrase for a key that is not encrypted is ignored.
    pub fn from_pem(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        Self::from_pkcs1(pem::private_key(pem, passphrase)?)
    }

    /// Makes a new key of 2048, 3072, 4096 or 8192 bits. Takes from tens of milliseconds up to
    /// seconds: not for an async thread.
    pub fn generate(bits: usize) -> Result<Self, KeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            ..MIN_BITS => return Err(KeyError::TooSmall { bits }),
            _ => return Err(KeyError::Unsupported { what: format!("a key of {bits} bits") }),
        };
        let pkcs8 = RsaKeyPair::generate(size)
            .and_then(|pair| pair.as_der())
            .map_err(|_| KeyError::Malformed { what: "no key could be generated" })?;
        Self::from_pkcs1(pem::pkcs1_of(pkcs8.as_ref())?)
    }

    /// The key as unencrypted PKCS#8 in PEM.
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let info = pkcs8::PrivateKeyInfo::new(pkcs1::ALGORITHM_ID, &self.0.pkcs1);
        let der = Zeroizing::new(info.to_der().expect("a key that was read can be written"));
        pem::write("PRIVATE KEY", &der)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 over `message`: as long as the modulus, and the same each
    /// time. About a millisecond of CPU at 2048 bits: not for an async thread in numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0.engine {
            Engine::AwsLc(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError)?;
                Ok(signature)
            }
            #[cfg(feature = "rsa")]
            Engine::Rsa(key) => {
                use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
                key.try_sign_with_rng(&mut rsa::rand_core::OsRng, message)
                    .map(|signature| signature.to_vec())
                    .map_err(|_| SignError)
            }
        }
    }

    /// The same key, signing with another implementation.
    #[cfg(feature = "rsa")]
    pub fn with_provider(self, provider: Provider) -> Result<Self, KeyError> {
        let pkcs1 = self.0.pkcs1.clone();
        let engine = match provider {
            Provider::AwsLc => Engine::aws_lc(&pkcs1)?,
            Provider::Rsa => Engine::rsa(&pkcs1)?,
        };
        Ok(Self(Arc::new(Private { pkcs1, public: self.0.public.clone(), engine })))
    }

    fn from_pkcs1(pkcs1: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let parts = pkcs1::RsaPrivateKey::try_from(pkcs1.as_slice())
            .map_err(|_| KeyError::Malformed { what: "not an RSA private key in DER" })?;
        let public = PublicKey::from_uints(parts.modulus, parts.public_exponent)?;
        let engine = Engine::aws_lc(&pkcs1)?;
        Ok(Self(Arc::new(Private { pkcs1, public, engine })))
    }
}

impl Engine {
    fn aws_lc(pkcs1: &[u8]) -> Result<Self, KeyError> {
        RsaKeyPair::from_der(pkcs1)
            .map(Self::AwsLc)
            .map_err(|_| KeyError::Malformed { what: "the parts of the key do not fit together" })
    }

    #[cfg(feature = "rsa")]
    fn rsa(pkcs1: &[u8]) -> Result<Self, KeyError> {
        use rsa::pkcs1::DecodeRsaPrivateKey as _;
        rsa::RsaPrivateKey::from_pkcs1_der(pkcs1)
            .map(|key| Self::Rsa(Box::new(rsa::pkcs1v15::SigningKey::new(key))))
            .map_err(|_| KeyError::Malformed { what: "the parts of the key do not fit together" })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("fingerprint", &self.0.public.fingerprint())
            .finish_non_exhaustive()
    }
}

/// Whose RSA signs.
#[cfg(feature = "rsa")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// aws-lc-rs, the default.
    AwsLc,
    /// The `rsa` crate in pure Rust, with blinding.
    Rsa,
}

/// A public RSA key. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Public>);

struct Public {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    spki: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` or `RSA PUBLIC KEY` of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let block = pem::first(pem, |label| label.ends_with("PUBLIC KEY"))?;
        if block.label() == "RSA PUBLIC KEY" {
            return Self::from_pkcs1(&block.der()?);
        }
        Self::from_spki_der(&block.der()?)
    }

    /// Reads a DER `SubjectPublicKeyInfo`.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der)
            .map_err(|_| KeyError::Malformed { what: "not a SubjectPublicKeyInfo in DER" })?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(KeyError::not_rsa(info.algorithm.oid));
        }
        Self::from_pkcs1(info.subject_public_key.as_bytes().unwrap_or_default())
    }

    /// Makes a key of modulus and exponent, both big-endian, as a JWK's `n` and `e` hold them.
    pub fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let uint = |bytes| {
            UintRef::new(bytes).map_err(|_| KeyError::Malformed { what: "a number is too long" })
        };
        Self::from_uints(uint(modulus)?, uint(exponent)?)
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.0.modulus
    }

    /// The public exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.0.exponent
    }

    /// The key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki
    }

    /// OCI's name of a key: MD5 of the DER `SubjectPublicKeyInfo`, lower-case hex, colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Md5::digest(&self.0.spki)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(":")
    }

    /// Whether `signature` is this key's over `message` (RSASSA-PKCS1-v1_5, SHA-256).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.parsed.verify_sig(message, signature).is_ok()
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let parts = pkcs1::RsaPublicKey::try_from(der)
            .map_err(|_| KeyError::Malformed { what: "not an RSA public key in DER" })?;
        Self::from_uints(parts.modulus, parts.public_exponent)
    }

    fn from_uints(modulus: UintRef<'_>, public_exponent: UintRef<'_>) -> Result<Self, KeyError> {
        let bits = bits(modulus.as_bytes());
        if bits < MIN_BITS {
            return Err(KeyError::TooSmall { bits });
        }
        let malformed = KeyError::Malformed { what: "not a public key of RSA" };
        let pkcs1 = pkcs1::RsaPublicKey { modulus, public_exponent }
            .to_der()
            .map_err(|_| malformed.clone())?;
        let spki = aws_lc_rs::rsa::PublicKey::from_der(&pkcs1)
            .ok()
            .and_then(|key| key.as_der().ok())
            .ok_or_else(|| malformed.clone())?;
        Ok(Self(Arc::new(Public {
            modulus: modulus.as_bytes().to_vec(),
            exponent: public_exponent.as_bytes().to_vec(),
            spki: spki.as_ref().to_vec(),
            parsed: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &pkcs1)
                .map_err(|_| malformed)?,
        })))
    }
}

/// The length of a big-endian number in bits.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("bits", &bits(&self.0.modulus))
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.spki == other.0.spki
    }
}

impl Eq for PublicKey {}

/// Why a key cannot be read. None of them holds a part of the key or the passphrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM block with a key in the text.
    #[error("no key in PEM form (`-----BEGIN … PRIVATE KEY-----`)")]
    NotPem,
    /// The key is encrypted and no passphrase was given.
    #[error("the key is encrypted and needs a passphrase")]
    PassphraseNeeded,
    /// The passphrase does not decrypt the key.
    #[error("wrong passphrase for the key")]
    WrongPassphrase,
    /// A public key or a certificate where a private key is needed.
    #[error("this is a public key, not a private key")]
    PublicKeyGiven,
    /// A key of another algorithm. OCI signs with RSA only.
    #[error("the key is of algorithm {algorithm}, not RSA")]
    NotRsa {
        /// Its name, or its object identifier.
        algorithm: String,
    },
    /// A form of key, a cipher or a size that is not supported.
    #[error("not supported: {what}")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The text or its DER is damaged, or the numbers in it are no key.
    #[error("malformed key: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The modulus has less than 2048 bits.
    #[error("the key has {bits} bits, less than 2048")]
    TooSmall {
        /// Its bits.
        bits: usize,
    },
}

impl KeyError {
    pub(crate) fn not_rsa(oid: pkcs8::ObjectIdentifier) -> Self {
        let algorithm = match oid.to_string().as_str() {
            "1.2.840.10045.2.1" => "EC".into(),
            "1.2.840.10040.4.1" => "DSA".into(),
            "1.3.101.112" => "Ed25519".into(),
            "1.3.101.113" => "Ed448".into(),
            "1.2.840.113549.1.1.10" => "RSASSA-PSS".into(),
            other => other.to_owned(),
        };
        Self::NotRsa { algorithm }
    }
}

/// The key could not sign: out of memory or of randomness, never a matter of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign")]
pub struct SignError;
