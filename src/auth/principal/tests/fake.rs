// SPDX-License-Identifier: Apache-2.0
//! A server that answers what a test tells it to, and remembers what it was asked; and what Oracle's SDK was recorded
//! to ask.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use storescope_sign::{PublicKey, Rule, verify};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A member of the body.
    pub(super) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    /// Fails unless it is signed by this key, as that operation must be.
    pub(super) fn is_signed(&self, key_id: &str, key: &PublicKey, rule: Rule) {
        let header = |name: &str| self.header(name);
        let request = storescope_sign::Request {
            method: &self.method,
            target: &self.target,
            header: &header,
        };
        let body = (!self.body.is_empty()).then(|| storescope_sign::sha256(&self.body));
        let find = |id: &str| (id == key_id).then(|| key.clone());
        let proof = verify(&request, rule, body.as_ref(), find, Some(SystemTime::now()));
        assert_eq!(proof.unwrap().key_id(), key_id);
    }

    /// Fails unless it is as Oracle's SDK was recorded to ask: method, content type, what is signed in which order, and
    /// the members of the body. `target` is that of the recorded request.
    pub(super) fn is_as_recorded(&self, target: &str) {
        let Some(recorded) = recorded(target) else { return };
        let header = |name: &str| {
            let all = recorded["headers"].as_array().unwrap();
            let mut named =
                all.iter().filter(|one| one[0].as_str().unwrap().to_lowercase() == name);
            named.next().map(|one| one[1].as_str().unwrap().to_owned())
        };
        assert_eq!(self.method, recorded["method"].as_str().unwrap());
        assert_eq!(self.header("content-type"), header("content-type").as_deref(), "{target}");
        let names = header("authorization").unwrap();
        let signed = |text: &str| {
            let start = text.split("headers=\"").nth(1)?;
            Some(start.split('"').next().unwrap_or_default().to_owned())
        };
        let own = self.header("authorization").unwrap();
        assert_eq!(signed(own), signed(&names), "{target}");
        let scheme = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        assert_eq!(scheme(own), scheme(&names));
        let members = |body: &str| {
            let mut names: Vec<_> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            names.retain(|name| name.len() < 40 && body.contains(&format!("\"{name}\":")));
            names.sort_unstable();
            names
        };
        let text = String::from_utf8(self.body.clone()).unwrap();
        assert_eq!(members(&text), members(recorded["body"].as_str().unwrap()), "{target}");
    }
}

/// The recorded request for a target.
fn recorded(target: &str) -> Option<Value> {
    let file = std::path::Path::new("../shared/vectors/oci-auth-exchanges.json");
    let Ok(text) = std::fs::read(file) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", file.display());
        eprintln!("not compared: there is no {}", file.display());
        return None;
    };
    let all: Value = serde_json::from_slice(&text).unwrap();
    let found = all.as_array().unwrap().iter().find(|one| one["target"] == target);
    Some(found.unwrap_or_else(|| panic!("{target} is not recorded")).clone())
}

pub(super) struct Fake {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A status, more headers, a body.
pub(super) type Answer = (u16, String, String);

pub(super) fn ok(body: impl Into<String>) -> Answer {
    (200, String::new(), body.into())
}

pub(super) fn refused(status: u16) -> Answer {
    (status, String::new(), r#"{"code":"Refused","message":"by the test"}"#.to_owned())
}

impl Fake {
    pub(super) fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Fake { url, asked }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked for this target.
    pub(super) fn asked_for(&self, target: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.target == target).collect()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &impl Fn(&Asked) -> Answer) {
    let Some(asked) = read(&mut stream) else { return };
    log.lock().unwrap().push(asked.clone());
    let (status, headers, body) = answer(&asked);
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} S\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(text.as_bytes());
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let (mut bytes, mut block) = (Vec::new(), [0; 4096]);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let read = stream.read(&mut block).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&block[..read]);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, length)| length.parse().unwrap());
    while bytes.len() < head + length {
        let read = stream.read(&mut block).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&block[..read]);
    }
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    Some(Asked { method, target, headers, body: bytes[head..].to_vec() })
}

/// A token that ends in so many seconds, of the key in base64 DER that a request brought.
pub(super) fn token(seconds: u64, key: &str) -> String {
    let key = PublicKey::from_spki_der(&STANDARD.decode(key).unwrap()).unwrap();
    let number = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = serde_json::json!({ "n": number(key.modulus()), "e": number(key.exponent()) });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "exp": now + seconds, "iat": now, "res_tenant": "ocid1.tenancy.oc1..r", "jwk": jwk.to_string(),
    });
    format!("head.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), fastrand::u64(..))
}

/// The answer that gives out a token for the key that the member `name` of the body brought.
pub(super) fn gives_token(asked: &Asked, name: &str) -> Answer {
    ok(serde_json::json!({ "token": token(1200, &asked.text(name)) }).to_string())
}
