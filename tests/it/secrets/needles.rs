// SPDX-License-Identifier: Apache-2.0
//! Secrets in the forms in which a text may hold them, and a relay that sees what was sent.

use crate::common::raw_server;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// What is shorter stands in other texts by chance, some of its forms at least.
const SHORTEST: usize = 12;

/// What no text may hold.
#[derive(Default)]
pub(super) struct Needles(Vec<(String, String)>);

impl Needles {
    /// A secret, as it is and in every form.
    pub(super) fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= SHORTEST, "{what} is too short to be looked for");
        for (form, text) in forms(secret) {
            self.0.push((format!("{what} ({form})"), text));
        }
    }

    /// A private key in PEM, any line of which would be one too many, or a token, of which any part would be.
    pub(super) fn add_key_or_token(&mut self, what: &str, text: &str) {
        let lines = text.lines().filter(|line| !line.starts_with('-') && !line.contains(": "));
        for part in lines.flat_map(|line| line.trim().split('.')).filter(|part| part.len() >= 20) {
            self.add(what, part);
        }
    }

    /// What was sent to prove who asks; how many proofs there were.
    pub(super) fn add_sent(&mut self, relays: &[Relay]) -> usize {
        let mut proofs: Vec<String> = relays.iter().flat_map(Relay::proofs).collect();
        proofs.sort_unstable();
        proofs.dedup();
        for proof in &proofs {
            self.add("a proof that was sent", proof);
        }
        proofs.len()
    }

    /// The first of them that a text holds.
    pub(super) fn found_in(&self, text: &str) -> Option<&str> {
        let found = self.0.iter().find(|(_, needle)| text.contains(needle.as_str()));
        found.map(|(what, _)| what.as_str())
    }
}

fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let hex = |of: &dyn Fn(u8) -> String| secret.bytes().map(of).collect::<String>();
    let percent = |upper: bool| {
        hex(&|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b if upper => format!("%{b:02X}"),
            b => format!("%{b:02x}"),
        })
    };
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let debug = format!("{secret:?}");
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("hex", hex(&|byte| format!("{byte:02x}"))),
        ("hex in upper case", hex(&|byte| format!("{byte:02X}"))),
        ("bytes", format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned()),
        ("percent-coded", percent(true)),
        ("percent-coded in lower case", percent(false)),
        ("in JSON", json.clone()),
        ("in JSON with slashes escaped", json.replace('/', "\\/")),
        ("in JSON as JavaScript writes it", json.replace('+', "\\u002b").replace('=', "\\u003d")),
        ("in Debug", debug[1..debug.len() - 1].to_owned()),
    ];
    // As a part of a longer text it may begin at any of three places of a group.
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        let (begin, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        forms.push(("base64", STANDARD.encode(&bytes)[begin..end].to_owned()));
        forms.push(("base64 of URLs", URL_SAFE.encode(&bytes)[begin..end].to_owned()));
    }
    forms
}

#[test]
fn each_form_is_found() {
    const SECRET: &str = "s3cr+t/key=\"of\nours\u{e9}";
    let mut needles = Needles::default();
    needles.add("it", SECRET);
    let mut hex = String::new();
    SECRET.bytes().for_each(|byte| write!(hex, "{byte:02X}").unwrap());
    for text in [
        format!("a {SECRET} b"),
        serde_json::json!({ "a": SECRET }).to_string(),
        serde_json::json!({ "a": SECRET }).to_string().replace('/', "\\/"),
        format!("{:?}", Some(SECRET)),
        format!("{:?}", SECRET.as_bytes()),
        hex.to_lowercase(),
        hex,
        "s3cr%2Bt%2Fkey%3D%22of%0Aours%C3%A9".to_owned(),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("user:{SECRET}")),
        URL_SAFE.encode(format!("user1:{SECRET} and more")),
        STANDARD.encode(format!("user12:{SECRET}")),
    ] {
        assert!(needles.found_in(&text).is_some(), "{text}");
    }
    assert_eq!(needles.found_in("s3cr+t/key=\"of"), None);
}

/// A server before another, which keeps what was sent through it.
#[derive(Clone)]
pub(super) struct Relay {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Before a server of plain HTTP.
    pub(super) fn to(endpoint: &str) -> Relay {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let keeping = Arc::clone(&sent);
        let address = raw_server(move |client| relay(client, &server, &keeping));
        Relay { address, sent }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Signatures, tokens and passwords in the headers that were sent.
    fn proofs(&self) -> Vec<String> {
        let sent = String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned();
        let mut proofs = Vec::new();
        for line in sent.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "authorization" | "proxy-authorization" => proofs.extend(of_authorization(value)),
                "opc-obo-token" | "x-amz-security-token" => proofs.push(value.to_owned()),
                _ => {}
            }
        }
        // The bearer of instance metadata is the same for all, and told in Oracle's documentation.
        proofs.retain(|proof| proof != "Oracle");
        proofs
    }
}

fn of_authorization(value: &str) -> Vec<String> {
    let between = |begin: &str, end: char| {
        let (_, behind) = value.split_once(begin)?;
        Some(behind.split(end).next().unwrap_or_default().to_owned())
    };
    let parts = [
        between("signature=\"", '"'),
        between("keyId=\"ST$", '"'),
        between("Signature=", ','),
        between("Basic ", ' '),
        between("Bearer ", ' '),
    ];
    parts.into_iter().flatten().collect()
}

fn relay(mut client: TcpStream, server: &str, keeping: &Mutex<Vec<u8>>) {
    let mut server = TcpStream::connect(server).unwrap();
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 16 << 10];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        keeping.lock().unwrap().extend_from_slice(&buffer[..n]);
        if server.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}
