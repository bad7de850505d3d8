// SPDX-License-Identifier: Apache-2.0
//! Signatures of version 4 that are not as they should be, and what S3 says of them.

use std::time::{Duration, SystemTime};

use storescope_emulator::Emulator;

use crate::s3::{Answer, S3, date, hex, hmac_sha256, send, sha256, start};

/// A signature by hand, each of whose parts may be another than it should be.
struct Hand<'a> {
    s3: &'a S3,
    method: &'a str,
    path: &'a str,
    /// All that are sent, and which of them are not signed.
    headers: Vec<(&'a str, String)>,
    unsigned: &'a [&'a str],
    scope: String,
    /// The date in the text to sign.
    time: String,
}

impl<'a> Hand<'a> {
    fn new(s3: &'a S3, method: &'a str, path: &'a str) -> Hand<'a> {
        let time = date(0);
        Hand {
            s3,
            method,
            path,
            headers: vec![
                ("host", s3.ready.endpoint.trim_start_matches("http://").to_owned()),
                ("x-amz-content-sha256", sha256(b"")),
                ("x-amz-date", time.clone()),
            ],
            unsigned: &[],
            scope: format!("{}/{}/s3/aws4_request", &time[..8], s3.region),
            time,
        }
    }

    fn header(mut self, name: &'a str, value: &str) -> Hand<'a> {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self.headers.sort_unstable();
        self
    }

    fn without(mut self, name: &str) -> Hand<'a> {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn unsigned(mut self, names: &'a [&'a str]) -> Hand<'a> {
        self.unsigned = names;
        self
    }

    fn scope(mut self, scope: &str) -> Hand<'a> {
        scope.clone_into(&mut self.scope);
        self
    }

    fn signed(&self) -> impl Iterator<Item = &(&'a str, String)> {
        self.headers.iter().filter(|(name, _)| !self.unsigned.contains(name))
    }

    fn canonical(&self) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let lines: Vec<_> =
            self.signed().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let hash = self.headers.iter().find(|(name, _)| *name == "x-amz-content-sha256");
        let hash = hash.map_or("UNSIGNED-PAYLOAD", |(_, hash)| hash);
        format!("{}\n{path}\n{query}\n{}\n{}\n{hash}", self.method, lines.concat(), self.names())
    }

    fn names(&self) -> String {
        self.signed().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }

    fn text(&self) -> String {
        let hash = sha256(self.canonical().as_bytes());
        format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.time, self.scope)
    }

    fn signature(&self) -> String {
        hex(&hmac_sha256(&self.s3.key(&self.scope), &self.text()))
    }

    fn send(&self) -> Answer {
        self.send_as(&format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.s3.ready.access_key_id,
            self.scope,
            self.names(),
            self.signature()
        ))
    }

    fn send_as(&self, authorization: &str) -> Answer {
        let sent = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{}authorization: \
             {authorization}\r\n\r\n",
            self.method,
            self.path,
            sent.collect::<Vec<_>>().concat(),
        );
        send(self.s3.ready.endpoint.trim_start_matches("http://"), &head, b"").unwrap()
    }
}

fn bytes(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn error(answer: &Answer) -> Vec<(String, String)> {
    let error = answer.error();
    error.into_iter().filter(|(name, _)| name != "Message").collect()
}

fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_signature_that_does_not_match_is_shown_what_was_signed_here() {
    let (_emulator, mut s3, _client) = start(Emulator::builder());
    let wrong = std::mem::replace(&mut s3.ready.secret_access_key, "wrong".into());
    let path = "/demo/a%20b?list-type=2&prefix=%2F%C3%BC";
    let hand = Hand::new(&s3, "GET", path).header("x-amz-meta-a", "b");
    let told = hand.send();
    assert_eq!(told.code(), (403, "SignatureDoesNotMatch".to_owned()));
    let (text, canonical) = (hand.text(), hand.canonical());
    let expected = pairs(&[
        ("Code", "SignatureDoesNotMatch"),
        ("AWSAccessKeyId", &s3.ready.access_key_id),
        ("StringToSign", &text),
        ("SignatureProvided", &hand.signature()),
        ("StringToSignBytes", &bytes(&text)),
        ("CanonicalRequest", &canonical),
        ("CanonicalRequestBytes", &bytes(&canonical)),
    ]);
    assert_eq!(error(&told), expected);
    assert_eq!(
        told.element("Message"),
        Some(
            "The request signature we calculated does not match the signature you provided. Check \
             your key and signing method."
        )
    );
    assert!(!told.text().contains(&wrong), "the secret key is nowhere");
    // The same text, signed with the key that is known, is good.
    s3.ready.secret_access_key = wrong;
    assert_eq!(Hand::new(&s3, "GET", "/demo?list-type=2&prefix=%2F%C3%BC").send().status, 200);
}

#[test]
fn a_presigned_request_is_shown_what_was_signed_here() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let target = s3.presigned("GET", "/demo/a%20b", 0, 60);
    let (unsigned, signature) = target.split_once("&X-Amz-Signature=").unwrap();
    let told = s3.open("HEAD", &target, b"");
    assert_eq!((told.status, told.text()), (403, ""));
    let told = s3.open("PUT", &target, b"");
    let canonical = told.element("CanonicalRequest").unwrap();
    let host = s3.ready.endpoint.trim_start_matches("http://");
    let query = unsigned.split_once('?').unwrap().1.replace('&', "&amp;");
    assert_eq!(
        canonical,
        format!("PUT\n/demo/a%20b\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD")
    );
    assert_eq!(told.element("SignatureProvided"), Some(signature));
}

#[test]
fn a_date_may_be_an_http_date_and_stand_in_the_header_of_http() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[], b"hello");
    let http_date = |skew: i64| {
        let now = SystemTime::now();
        let shift = Duration::from_secs(skew.unsigned_abs());
        httpdate::fmt_http_date(if skew < 0 { now - shift } else { now + shift })
    };
    let hand = |name: &'static str, sent: String, skew: i64| {
        let hand = Hand::new(&s3, "GET", "/demo/x").without("x-amz-date").header(name, &sent);
        let time = match httpdate::parse_http_date(&sent) {
            Ok(time) => {
                jiff::Timestamp::try_from(time).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
            }
            Err(_) => date(skew),
        };
        Hand { scope: format!("{}/{}/s3/aws4_request", &time[..8], s3.region), time, ..hand }
    };
    for name in ["x-amz-date", "date"] {
        for sent in [http_date(0), date(0)] {
            let got = hand(name, sent.clone(), 0).send();
            assert_eq!((got.status, got.text()), (200, "hello"), "{name}: {sent}");
        }
        for skew in [-910, 910] {
            for sent in [http_date(skew), date(skew)] {
                let told = hand(name, sent.clone(), skew).send();
                assert_eq!(told.code(), (403, "RequestTimeTooSkewed".to_owned()), "{name}: {sent}");
                assert_eq!(told.element("RequestTime"), Some(sent.as_str()));
                assert_eq!(told.element("MaxAllowedSkewMilliseconds"), Some("900000"));
                let server = told.element("ServerTime").unwrap();
                let off = server.parse::<jiff::Timestamp>().unwrap() - jiff::Timestamp::now();
                assert!(off.get_seconds().abs() < 20, "{server}");
            }
        }
        for sent in ["Bad Date", "", "2026-01-01T00:00:00Z", "Tue, 07 Jul 1950 21:53:04 GMT"] {
            let told = hand(name, sent.to_owned(), 0).send();
            assert_eq!(told.code(), (403, "AccessDenied".to_owned()), "{name}: {sent}");
            let message = "AWS authentication requires a valid Date or x-amz-date header";
            assert_eq!(told.element("Message"), Some(message), "{name}: {sent}");
        }
    }
    // Of two dates the one of S3 counts.
    let both = Hand::new(&s3, "GET", "/demo/x").header("date", "Bad Date");
    assert_eq!(both.send().text(), "hello");
    let none = Hand::new(&s3, "GET", "/demo/x").without("x-amz-date").send();
    assert_eq!(none.code(), (403, "AccessDenied".to_owned()));
    // A body in unsigned chunks is read after a date of HTTP, too.
    let sent = http_date(0);
    let put = hand("x-amz-date", sent, 0);
    let put = Hand { method: "PUT", path: "/demo/dated", ..put };
    assert_eq!(put.send().status, 200);
}

#[test]
fn a_header_that_says_something_must_be_signed() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    s3.put("/demo/x", &[], b"hello");
    let not_signed = |names: &str| pairs(&[("Code", "AccessDenied"), ("HeadersNotSigned", names)]);
    for unsigned in [["x-amz-meta-a"], ["x-amz-acl"], ["content-md5"], ["x-amz-security-token"]] {
        let hand = Hand::new(&s3, "GET", "/demo/x").header(unsigned[0], "b").unsigned(&unsigned);
        let told = hand.send();
        assert_eq!((told.status, error(&told)), (403, not_signed(unsigned[0])));
    }
    let told = Hand::new(&s3, "GET", "/demo/x").unsigned(&["host", "x-amz-date"]).send();
    assert_eq!((told.status, error(&told)), (403, not_signed("host, x-amz-date")));
    // Others need not be.
    let hand = Hand::new(&s3, "GET", "/demo/x").header("range", "bytes=1-2").unsigned(&["range"]);
    assert_eq!(hand.send().text(), "el");
    // A presigned request says how its body is signed; what else is added is refused.
    let target = s3.presigned("PUT", "/demo/y", 0, 60);
    let put = |name: &str, value: &str| {
        let host = s3.ready.endpoint.trim_start_matches("http://");
        let head = format!(
            "PUT {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\
             {name}: {value}\r\n\r\n"
        );
        send(host, &head, b"").unwrap()
    };
    let told = put("x-amz-meta-a", "b");
    assert_eq!((told.status, error(&told)), (403, not_signed("x-amz-meta-a")));
    assert_eq!(put("x-amz-content-sha256", "UNSIGNED-PAYLOAD").status, 200);
    assert_eq!(put("content-type", "text/plain").status, 200);
    let told = put("x-amz-content-sha256", &sha256(b""));
    assert_eq!(told.code(), (403, "SignatureDoesNotMatch".to_owned()), "it is part of the text");
}

#[test]
fn a_credential_that_is_none_is_malformed() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let day = date(0)[..8].to_owned();
    let header = "The authorization header is malformed; ";
    for (scope, why) in [
        (
            format!("{day}/mars/s3/aws4_request"),
            "the region 'mars' is wrong; expecting 'us-ashburn-1'",
        ),
        (
            format!("{day}/us-ashburn-1/sts/aws4_request"),
            "incorrect service \"sts\". This endpoint belongs to \"s3\".",
        ),
        (
            format!("{day}/us-ashburn-1/s3/aws5"),
            "incorrect terminal \"aws5\". This endpoint uses \"aws4_request\".",
        ),
        (
            "2026/us-ashburn-1/s3/aws4_request".to_owned(),
            "incorrect date format \"2026\". This date in the credential must be in the format \
             \"yyyyMMdd\".",
        ),
        (
            "20200101/us-ashburn-1/s3/aws4_request".to_owned(),
            &format!(
                "Invalid credential date \"20200101\". This date is not the same as X-Amz-Date: \"{day}\"."
            ),
        ),
        (
            "aws4_request".to_owned(),
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ),
    ] {
        let told = Hand::new(&s3, "GET", "/demo").scope(&scope).send();
        assert_eq!(told.code(), (400, "AuthorizationHeaderMalformed".to_owned()), "{scope}");
        let message = told.error().swap_remove(1).1;
        assert_eq!(message, format!("{header}{why}"), "{scope}");
        let region = scope.contains("mars").then_some("us-ashburn-1");
        assert_eq!(told.element("Region"), region);
    }
    let hand = Hand::new(&s3, "GET", "/demo");
    for (sent, status, code) in [
        ("AWS4-HMAC-SHA256 Credential=a, Signature=b", 400, "AuthorizationHeaderMalformed"),
        ("AWS key:signature", 400, "InvalidRequest"),
        ("Basic dTpw", 400, "InvalidArgument"),
        ("", 400, "InvalidArgument"),
    ] {
        assert_eq!(hand.send_as(sent).code(), (status, code.to_owned()), "{sent}");
    }
}

#[test]
fn tokens_and_hashes_that_are_none_are_refused() {
    let (_emulator, s3, _client) = start(Emulator::builder());
    let told = Hand::new(&s3, "GET", "/demo").header("x-amz-security-token", "t").send();
    assert_eq!(error(&told), pairs(&[("Code", "InvalidToken"), ("Token-0", "t")]));
    let told = Hand::new(&s3, "GET", "/demo").header("x-amz-content-sha256", "abc").send();
    let expected = [
        ("Code", "InvalidArgument"),
        ("ArgumentName", "x-amz-content-sha256"),
        ("ArgumentValue", "abc"),
    ];
    assert_eq!((told.status, error(&told)), (400, pairs(&expected)));
    let told = Hand::new(&s3, "GET", "/demo").without("x-amz-content-sha256").send();
    assert_eq!(told.code(), (400, "InvalidRequest".to_owned()));
    let mut other = s3.clone();
    other.ready.access_key_id = "nobody".into();
    let told = Hand::new(&other, "GET", "/demo").send();
    let expected = [("Code", "InvalidAccessKeyId"), ("AWSAccessKeyId", "nobody")];
    assert_eq!((told.status, error(&told)), (403, pairs(&expected)));
    let path = s3.presigned("GET", "/demo", 0, 60);
    let told = Hand::new(&s3, "GET", &path).send();
    assert_eq!(told.code(), (400, "InvalidArgument".to_owned()));
    assert_eq!(told.element("ArgumentName"), Some("Authorization"));
}

#[test]
fn a_presigned_request_is_good_for_a_week_at_most() {
    let (_emulator, s3, mut client) = start(Emulator::builder());
    client.put("x", b"hello");
    let week = 7 * 24 * 3600;
    assert_eq!(s3.open("GET", &s3.presigned("GET", "/demo/x", 0, week), b"").text(), "hello");
    let invalid = (400, "AuthorizationQueryParametersError".to_owned());
    let told = s3.open("GET", &s3.presigned("GET", "/demo/x", 0, week + 1), b"");
    assert_eq!(told.code(), invalid);
    let message = "X-Amz-Expires must be less than a week (in seconds) that is 604800";
    assert_eq!(told.element("Message"), Some(message));
    let good = s3.presigned("GET", "/demo/x", 0, 60);
    let missing = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                   X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
    let day = &date(0)[..8];
    for (from, to, message) in [
        ("X-Amz-Expires=60", "X-Amz-Expires=-1", "X-Amz-Expires must be non-negative"),
        ("X-Amz-Expires=60", "X-Amz-Expires=soon", "X-Amz-Expires should be a number"),
        ("&X-Amz-Expires=60", "", missing),
        ("&X-Amz-SignedHeaders=host", "", missing),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", missing),
        ("HMAC-SHA256", "HMAC-MD5", "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""),
        (
            &format!("X-Amz-Date={day}T"),
            "X-Amz-Date=T",
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ),
        (
            "%2Fs3%2F",
            "%252Fs3%252F",
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ),
        (
            "us-ashburn-1",
            "mars",
            "Error parsing the X-Amz-Credential parameter; the region 'mars' is wrong; expecting \
             'us-ashburn-1'",
        ),
    ] {
        let forged = good.replace(from, to);
        assert_ne!(forged, good, "{from}");
        let told = s3.open("GET", &forged, b"");
        if to == "mars" {
            // The region is part of the signature, which comes first.
            assert_eq!(told.code(), (403, "SignatureDoesNotMatch".to_owned()));
            let mars = S3 { region: "mars".into(), ..s3.clone() };
            let told = mars.open("GET", &mars.presigned("GET", "/demo/x", 0, 60), b"");
            assert_eq!(
                (told.code(), told.element("Region")),
                (invalid.clone(), Some("us-ashburn-1"))
            );
            assert_eq!(told.error()[1].1, message);
            continue;
        }
        assert_eq!(told.code(), invalid, "{forged}");
        assert_eq!(told.error()[1].1, message, "{forged}");
    }
    for query in ["Signature=x&Expires=1&AWSAccessKeyId=a", "AWSAccessKeyId=a"] {
        let told = s3.open("GET", &format!("/demo/x?{query}"), b"");
        assert_eq!(told.code(), (400, "InvalidRequest".to_owned()), "{query}");
    }
    let told = s3.open("GET", &s3.presigned("GET", "/demo/x", -70, 60), b"");
    assert_eq!(told.element("X-Amz-Expires"), Some("60"));
    let end = told.element("Expires").unwrap().parse::<jiff::Timestamp>().unwrap();
    let server = told.element("ServerTime").unwrap().parse::<jiff::Timestamp>().unwrap();
    let since = (server - end).get_seconds();
    assert!((8..30).contains(&since), "{since}");
}
