// SPDX-License-Identifier: Apache-2.0
//! From PEM text to the DER of an RSA key. Own reader, so that every buffer that holds a secret
//! is zeroised and text around the blocks is passed over; the ciphers are RustCrypto's.

use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipher, BlockDecryptMut, KeyInit, KeyIvInit};
use md5::{Digest as _, Md5};
use pkcs8::der::{ErrorKind, Tag};
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo, pkcs5};
use zeroize::Zeroizing;

use crate::KeyError;

type Secret = Zeroizing<Vec<u8>>;

/// The PKCS#1 DER of the first private key in a text.
pub(crate) fn private_key(text: &[u8], passphrase: Option<&[u8]>) -> Result<Secret, KeyError> {
    let block = match first(text, |label| label.ends_with("PRIVATE KEY")) {
        Err(KeyError::NotPem) if public(text) => return Err(KeyError::PublicKeyGiven),
        found => found?,
    };
    match block.label {
        "RSA PRIVATE KEY" => match Traditional::of(&block)? {
            Some(cipher) => cipher.decrypt(&block.der()?, needed(passphrase)?),
            None => block.der(),
        },
        "PRIVATE KEY" => pkcs1_of(&block.der()?),
        "ENCRYPTED PRIVATE KEY" => decrypt_pkcs8(&block.der()?, passphrase),
        "EC PRIVATE KEY" => Err(KeyError::NotRsa { algorithm: "EC".into() }),
        "DSA PRIVATE KEY" => Err(KeyError::NotRsa { algorithm: "DSA".into() }),
        other => Err(KeyError::Unsupported { what: format!("PEM of kind `{other}`") }),
    }
}

/// The first block whose label suits.
pub(crate) fn first(text: &[u8], suits: impl Fn(&str) -> bool) -> Result<Block<'_>, KeyError> {
    blocks(text).find(|block| suits(block.label)).ok_or(KeyError::NotPem)?.closed()
}

/// All blocks whose label suits.
pub(crate) fn all(text: &[u8], suits: impl Fn(&str) -> bool) -> Result<Vec<Block<'_>>, KeyError> {
    blocks(text).filter(|block| suits(block.label)).map(Block::closed).collect()
}

/// The PKCS#1 DER inside an unencrypted PKCS#8 DER.
pub(crate) fn pkcs1_of(pkcs8: &[u8]) -> Result<Secret, KeyError> {
    let info = PrivateKeyInfo::try_from(pkcs8)
        .map_err(|_| KeyError::Malformed { what: "not a private key in PKCS#8 DER" })?;
    if info.algorithm.oid != pkcs1::ALGORITHM_OID {
        return Err(KeyError::not_rsa(info.algorithm.oid));
    }
    Ok(Zeroizing::new(info.private_key.to_vec()))
}

/// A DER as PEM, in lines of 64.
pub(crate) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut base64 = Zeroizing::new(vec![0; der.len().div_ceil(3) * 4]);
    STANDARD.encode_slice(der, &mut base64).expect("the buffer has base64's length");
    let mut text =
        Zeroizing::new(String::with_capacity(base64.len() * 65 / 64 + 64 + 2 * label.len()));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for line in base64.chunks(64) {
        text.push_str(str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// One `-----BEGIN label-----` and what stands up to its end.
pub(crate) struct Block<'a> {
    label: &'a str,
    headers: &'a str,
    base64: &'a [u8],
    closed: bool,
}

impl<'a> Block<'a> {
    pub(crate) fn label(&self) -> &'a str {
        self.label
    }

    /// The block's bytes.
    pub(crate) fn der(&self) -> Result<Secret, KeyError> {
        let malformed = |_| KeyError::Malformed { what: "the PEM block is not base64" };
        let packed: Secret = Zeroizing::new(packed(self.base64));
        let mut der = Zeroizing::new(vec![0; packed.len().div_ceil(4) * 3]);
        let length = STANDARD.decode_slice(&*packed, &mut der).map_err(malformed)?;
        der.truncate(length);
        Ok(der)
    }

    fn closed(self) -> Result<Self, KeyError> {
        if self.closed { Ok(self) } else { Err(KeyError::Malformed { what: "no END line" }) }
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Base64 without white space; allocated once, so that no half-filled copy is left behind.
fn packed(base64: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(base64.len());
    packed.extend(base64.iter().filter(|byte| !byte.is_ascii_whitespace()));
    packed
}

fn blocks(text: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = after(rest, b"-----BEGIN ")?;
        let (label, body) = split(rest, b"-----")?;
        let label = str::from_utf8(label).ok()?;
        let (body, closed) = match split(body, b"-----END ") {
            Some((body, _)) => (body, true),
            None => (body, false),
        };
        let (headers, base64) = headers(body);
        Some(Block { label, headers, base64, closed })
    })
}

/// RFC 1421 headers, which a blank line ends. Without a colon there are none.
fn headers(body: &[u8]) -> (&str, &[u8]) {
    if !body.contains(&b':') {
        return ("", body);
    }
    [b"\n\n".as_slice(), b"\r\n\r\n"]
        .into_iter()
        .find_map(|blank| split(body, blank))
        .map_or(("", body), |(headers, base64)| {
            (str::from_utf8(headers).unwrap_or_default(), base64)
        })
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..position], &text[position + at.len()..]))
}

fn after<'a>(text: &'a [u8], at: &[u8]) -> Option<&'a [u8]> {
    split(text, at).map(|(_, after)| after)
}

fn public(text: &[u8]) -> bool {
    blocks(text)
        .any(|block| block.label.ends_with("PUBLIC KEY") || block.label.ends_with("CERTIFICATE"))
}

/// OpenSSL writes no key with an empty passphrase: an empty one is none.
fn needed(passphrase: Option<&[u8]>) -> Result<&[u8], KeyError> {
    passphrase.filter(|given| !given.is_empty()).ok_or(KeyError::PassphraseNeeded)
}

fn decrypt_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<Secret, KeyError> {
    let info = EncryptedPrivateKeyInfo::try_from(der).map_err(scheme_error)?;
    let passphrase = needed(passphrase)?;
    check_cost(&info.encryption_algorithm)?;
    let plain = info.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            unsupported @ (pkcs5::Error::NoPbes1CryptSupport
            | pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::AlgorithmParametersInvalid { .. }),
        ) => KeyError::Unsupported { what: unsupported.to_string() },
        _ => KeyError::WrongPassphrase,
    })?;
    wrong_if_malformed(pkcs1_of(plain.as_bytes()))
}

/// Rounds of PBKDF2 at most: some seconds of CPU. OpenSSL asks for 2,048, password managers for less than a million.
const MOST_ROUNDS: u32 = if cfg!(fuzzing) { 4_096 } else { 10_000_000 };

/// Bytes that scrypt may take at most, and that it may work through. OpenSSL asks for 16 MiB.
const MOST_MEMORY: u64 = if cfg!(fuzzing) { 1 << 20 } else { 256 << 20 };

/// Refuses a derivation of the key that would take the program's time or memory: the file states its cost.
fn check_cost(scheme: &pkcs5::EncryptionScheme<'_>) -> Result<(), KeyError> {
    let is_fair = match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Pbkdf2(kdf)) => kdf.iteration_count <= MOST_ROUNDS,
        Some(Kdf::Scrypt(kdf)) => {
            let block = 128 * u64::from(kdf.block_size) * u64::from(kdf.parallelization);
            let memory = kdf.cost_parameter.checked_mul(block);
            kdf.cost_parameter >= 2 && memory.is_some_and(|memory| memory <= MOST_MEMORY)
        }
        _ => true,
    };
    if is_fair {
        return Ok(());
    }
    Err(KeyError::Unsupported { what: "the cost of its key derivation is out of bounds".into() })
}

/// A scheme that is not PBES2 with ciphers we have, told apart from DER that is none.
fn scheme_error(error: pkcs8::Error) -> KeyError {
    let pkcs8::Error::Asn1(asn1) = error else {
        return KeyError::Unsupported { what: error.to_string() };
    };
    match asn1.kind() {
        ErrorKind::OidUnknown { oid } => {
            KeyError::Unsupported { what: format!("encryption of kind {oid}") }
        }
        ErrorKind::Value { tag: Tag::ObjectIdentifier } => {
            KeyError::Unsupported { what: "encryption older than PBES2".into() }
        }
        _ => KeyError::Malformed { what: "not an encrypted private key in PKCS#8 DER" },
    }
}

/// One wrong passphrase in 256 gives valid padding: then the DER is not one.
fn wrong_if_malformed<T>(result: Result<T, KeyError>) -> Result<T, KeyError> {
    result.map_err(|error| match error {
        KeyError::Malformed { .. } => KeyError::WrongPassphrase,
        other => other,
    })
}

/// The cipher of a traditional encrypted key: `DEK-Info: AES-256-CBC,0123…`.
struct Traditional {
    cipher: Cipher,
    iv: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    DesEde3,
}

impl Traditional {
    fn of(block: &Block<'_>) -> Result<Option<Self>, KeyError> {
        if !block.header("Proc-Type").is_some_and(|value| value.ends_with("ENCRYPTED")) {
            return Ok(None);
        }
        let malformed = KeyError::Malformed { what: "no DEK-Info with cipher and salt" };
        let (name, iv) = block
            .header("DEK-Info")
            .and_then(|value| value.split_once(','))
            .ok_or_else(|| malformed.clone())?;
        let cipher = match name.trim().to_ascii_uppercase().as_str() {
            "AES-128-CBC" => Cipher::Aes128,
            "AES-192-CBC" => Cipher::Aes192,
            "AES-256-CBC" => Cipher::Aes256,
            "DES-EDE3-CBC" => Cipher::DesEde3,
            other => return Err(KeyError::Unsupported { what: format!("cipher `{other}`") }),
        };
        let iv = unhex(iv.trim()).filter(|iv| iv.len() == cipher.iv_length()).ok_or(malformed)?;
        Ok(Some(Self { cipher, iv }))
    }

    fn decrypt(&self, sealed: &[u8], passphrase: &[u8]) -> Result<Secret, KeyError> {
        let key = bytes_to_key(passphrase, &self.iv[..8], self.cipher.key_length());
        let plain = match self.cipher {
            Cipher::Aes128 => decrypt_cbc::<aes::Aes128>(&key, &self.iv, sealed),
            Cipher::Aes192 => decrypt_cbc::<aes::Aes192>(&key, &self.iv, sealed),
            Cipher::Aes256 => decrypt_cbc::<aes::Aes256>(&key, &self.iv, sealed),
            Cipher::DesEde3 => decrypt_cbc::<des::TdesEde3>(&key, &self.iv, sealed),
        };
        plain
            .filter(|der| pkcs1::RsaPrivateKey::try_from(der.as_slice()).is_ok())
            .ok_or(KeyError::WrongPassphrase)
    }
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::DesEde3 => 24,
            Self::Aes256 => 32,
        }
    }

    fn iv_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::DesEde3 => 8,
        }
    }
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round, the only one its PEM writer uses.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Secret {
    let mut key: Secret = Zeroizing::new(Vec::with_capacity(48));
    let mut digest = Zeroizing::new([0_u8; 16]);
    while key.len() < length {
        let chained: &[u8] = if key.is_empty() { &[] } else { &*digest };
        let next = Md5::new().chain_update(chained).chain_update(passphrase).chain_update(salt);
        *digest = next.finalize().into();
        key.extend_from_slice(&*digest);
    }
    key.truncate(length);
    key
}

fn decrypt_cbc<C>(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Secret>
where
    C: BlockCipher + BlockDecryptMut + KeyInit,
{
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = Decryptor::<C>::new_from_slices(key, iv)
        .ok()?
        .decrypt_padded_mut::<Pkcs7>(&mut buffer)
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() % 2 != 0 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pair = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}
