// SPDX-License-Identifier: Apache-2.0
//! What holds for any input: parsers return, what is signed is accepted, and any change to a
//! signed part is refused.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use storescope_sign::{
    Authorization, PrivateKey, PublicKey, Refusal, Request, Rule, authorization, sha256,
    signing_string, verify,
};

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());

proptest! {
    #[test]
    fn parsing_any_header_returns(value in ".*") {
        let _ = Authorization::parse(&value);
        let _ = Authorization::parse(&format!("Signature {value}"));
    }

    /// Text made of the grammar's own pieces goes deeper than text of any kind.
    #[test]
    fn parsing_the_grammars_pieces_returns(pieces in proptest::collection::vec(piece(), 0..24)) {
        let value = format!("Signature {}", pieces.concat());
        if let Ok(parsed) = Authorization::parse(&value) {
            prop_assert!(!parsed.key_id().is_empty());
        }
    }

    #[test]
    fn reading_any_text_as_a_key_returns(text: Vec<u8>, label in "[A-Z ]{0,12}(PRIVATE|PUBLIC) KEY", headers in "(Proc-Type: 4,ENCRYPTED\r?\nDEK-Info: (AES-128-CBC|DES-EDE3-CBC|X),?[0-9A-Fg]{0,33}\r?\n\r?\n)?", base64 in "[A-Za-z0-9+/\n]{0,200}={0,2}") {
        let mut pem = text;
        pem.extend(format!("-----BEGIN {label}-----\n{headers}{base64}\n-----END {label}-----\n").bytes());
        prop_assert!(PrivateKey::from_pem(&pem, Some(b"passphrase")).is_err());
        prop_assert!(PublicKey::from_pem(&pem).is_err());
        prop_assert!(PublicKey::from_spki_der(&pem).is_err());
    }

    /// Any order of parameters, with or without `version`, unknown ones among them.
    #[test]
    fn parameters_come_in_any_order(
        order in Just(vec![r#"algorithm="rsa-sha256""#, r#"headers="date Host""#, r#"keyId="a/b""#, r#"signature="QUJD""#, r#"version="1""#, r#"opaque="x""#]).prop_shuffle(),
        version: bool,
    ) {
        let kept = order.into_iter().filter(|one| version || !one.starts_with("version"));
        let parsed = Authorization::parse(&format!("Signature {}", kept.collect::<Vec<_>>().join(","))).unwrap();
        prop_assert_eq!(parsed.key_id(), "a/b");
        prop_assert_eq!(parsed.signed_headers(), ["date", "Host"]);
        prop_assert_eq!(parsed.signature(), b"ABC");
    }

    #[test]
    fn what_is_signed_is_accepted(sent in sent()) {
        prop_assert_eq!(sent.verify().map(|proof| proof.key_id().to_owned()), Ok("key".to_owned()));
    }

    #[test]
    fn a_byte_changed_in_a_signed_part_is_refused(sent in sent(), part: prop::sample::Index, at: prop::sample::Index, to in b'!'..=b'~') {
        let mut changed = sent.clone();
        let mut parts: Vec<(String, &mut String)> = changed
            .headers
            .iter_mut()
            .filter(|(name, _)| sent.rule.signed_headers().contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value))
            .collect();
        parts.push(("target".into(), &mut changed.target));
        let part = part.index(parts.len());
        let (name, value) = &mut parts[part];
        let at = at.index(value.len());
        prop_assume!(value.as_bytes()[at] != to);
        value.replace_range(at..=at, std::str::from_utf8(&[to]).unwrap());
        let name = name.clone();
        prop_assert_eq!(changed.verify().err(), Some(Refusal::BadSignature), "{}", name);
    }

    #[test]
    fn a_bit_flipped_in_the_signature_is_refused(sent in sent(), at in 0..256_usize, bit in 0..8) {
        let mut signature = sent.signature();
        signature[at] ^= 1_u8 << bit;
        let mut changed = sent;
        changed.authorize(&signature);
        prop_assert_eq!(changed.verify().err(), Some(Refusal::BadSignature));
    }

    #[test]
    fn a_changed_body_is_refused_where_it_is_signed(sent in sent(), more: u8) {
        let mut changed = sent;
        changed.body.push(more);
        let signed = changed.rule.signed_headers().contains(&"x-content-sha256");
        prop_assert_eq!(changed.verify().err(), signed.then_some(Refusal::BodyHash));
    }

    /// A server that was told the rule does not take less, however well it is signed.
    #[test]
    fn a_header_left_unsigned_is_refused(sent in sent(), left: prop::sample::Index) {
        let mut names = sent.rule.signed_headers().to_vec();
        let left = names.remove(left.index(names.len()));
        let mut changed = sent;
        changed.sign(&names);
        let expected = match left {
            "date" => Refusal::Unsigned { header: "date" },
            "host" => Refusal::Unsigned { header: "host" },
            "(request-target)" => Refusal::Unsigned { header: "(request-target)" },
            _ => Refusal::BodyHeadersUnsigned,
        };
        prop_assert_eq!(changed.verify().err(), Some(expected));
    }
}

#[test]
fn an_x_date_counts_before_date_and_must_be_signed() {
    let mut sent = Sent {
        rule: Rule::Generic,
        method: "GET".into(),
        target: "/n".into(),
        headers: BTreeMap::from([("date".into(), DATE.into()), ("host".into(), "h".into())]),
        body: Vec::new(),
    };
    sent.sign(&["date", "(request-target)", "host"]);
    assert!(sent.verify().is_ok());
    sent.headers.insert("x-date".into(), DATE.into());
    assert_eq!(sent.verify().err(), Some(Refusal::Unsigned { header: "x-date" }));
    sent.sign(&["X-Date", "(request-target)", "HOST"]);
    assert!(sent.verify().is_ok());
}

#[test]
fn headers_that_are_refused() {
    let good =
        r#"Signature version="1",headers="date",keyId="k",algorithm="rsa-sha256",signature="QUJD""#;
    assert!(Authorization::parse(good).is_ok());
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        Authorization::parse(&good.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(refused("Signature ", "Bearer "), Refusal::NotSigned);
    assert_eq!(refused("Signature ", "Signature"), Refusal::NotSigned);
    assert_eq!(refused(r#"version="1""#, r#"version="2""#), Refusal::Version);
    assert_eq!(refused("rsa-sha256", "hmac-sha256"), Refusal::Algorithm);
    for (from, to) in [
        (r#",algorithm="rsa-sha256""#, ""),
        (r#"headers="date","#, ""),
        (r#",keyId="k""#, ""),
        (r#"keyId="k""#, r#"keyId="""#),
        (r#",signature="QUJD""#, ""),
        ("QUJD", "QUJ"),
        (r#"keyId="k""#, r#"keyId="k",keyId="l""#),
        (r#"keyId="k""#, "keyId=k"),
        (r#""k","#, r#""k" "#),
        (r#""QUJD""#, r#""QUJD"#),
    ] {
        assert!(matches!(refused(from, to), Refusal::Malformed { .. }), "{from} → {to}");
    }
    assert_eq!(Authorization::parse("").unwrap_err(), Refusal::NotSigned);
}

const DATE: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

#[derive(Clone, Debug)]
struct Sent {
    rule: Rule,
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Sent {
    fn signature(&self) -> Vec<u8> {
        self.signature_over(self.rule.signed_headers())
    }

    fn signature_over(&self, names: &[&str]) -> Vec<u8> {
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        let request = Request { method: &self.method, target: &self.target, header: &header };
        KEY.sign(signing_string(&request, names).unwrap().as_bytes()).unwrap()
    }

    fn sign(&mut self, names: &[&str]) {
        let value = authorization("key", names, &self.signature_over(names));
        self.headers.insert("authorization".into(), value);
    }

    fn authorize(&mut self, signature: &[u8]) {
        let value = authorization("key", self.rule.signed_headers(), signature);
        self.headers.insert("authorization".into(), value);
    }

    fn verify(&self) -> Result<Authorization, Refusal> {
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        let request = Request { method: &self.method, target: &self.target, header: &header };
        let key = |_: &str| Some(KEY.public_key().clone());
        verify(&request, self.rule, Some(&sha256(&self.body)), key, None)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let rule = prop_oneof![
        Just((Rule::Generic, "GET")),
        Just((Rule::Body, "POST")),
        Just((Rule::BodyExcluded, "PUT")),
        Just((Rule::Federation, "POST")),
    ];
    (rule, "/[!-~]{0,40}", "[a-z0-9.:-]{1,20}", any::<Vec<u8>>()).prop_map(
        |((rule, method), target, host, body)| {
            let headers = BTreeMap::from([
                ("date".to_owned(), DATE.to_owned()),
                ("host".to_owned(), host),
                ("content-length".to_owned(), body.len().to_string()),
                ("content-type".to_owned(), "application/json".to_owned()),
                ("x-content-sha256".to_owned(), base64(&sha256(&body))),
            ]);
            let mut sent = Sent { rule, method: method.to_owned(), target, headers, body };
            sent.sign(rule.signed_headers());
            sent
        },
    )
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "algorithm|headers|keyId|signature|version|[a-z]{1,3}".prop_map(String::from),
        Just("=".to_owned()),
        Just("\"".to_owned()),
        Just(",".to_owned()),
        Just("=\"rsa-sha256\",".to_owned()),
        Just("=\"QUJD\",".to_owned()),
        "[ -~é]{0,4}",
    ]
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
