// SPDX-License-Identifier: Apache-2.0
//! How principals get their tokens, and what the native API makes of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use storescope_emulator::{Action, Emulator, Fault, Rotated};
use storescope_sign::{PrivateKey, Rule};

use crate::client::{Client, Response, object, start};

const BEARER: [(&str, &str); 1] = [("authorization", "Bearer Oracle")];

/// A key of a session, made once.
fn session_key() -> PrivateKey {
    static KEY: std::sync::LazyLock<PrivateKey> =
        std::sync::LazyLock::new(|| PrivateKey::generate(2048).unwrap());
    KEY.clone()
}

fn spki(key: &PrivateKey) -> String {
    STANDARD.encode(key.public_key().spki_der())
}

fn variables(emulator: &Emulator, name: &str) -> BTreeMap<String, String> {
    emulator.ready().identity.environment[name].clone()
}

/// A client of the identity endpoints.
fn client(emulator: &Emulator, key_id: &str, key: &PrivateKey) -> Client {
    Client::at(&emulator.ready().identity.endpoint, None, key_id, key)
}

/// A client of the native API that signs with a token.
fn with_token(emulator: &Emulator, token: &str, key: &PrivateKey) -> Client {
    Client::at(&emulator.ready().oci.endpoint, None, &format!("ST${token}"), key)
}

fn metadata(emulator: &Emulator, name: &str) -> String {
    let mut client = client(emulator, "", &session_key());
    let response = client.unsigned("GET", &format!("/opc/v2/{name}"), &BEARER, "");
    assert_eq!(response.status, 200, "{name}: {}", response.text());
    response.text().to_owned()
}

fn without_armour(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// What an instance has: its key and certificates.
struct Instance {
    key: PrivateKey,
    certificate: String,
    intermediate: String,
}

impl Instance {
    fn of(emulator: &Emulator) -> Instance {
        let key = metadata(emulator, "identity/key.pem");
        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        Instance {
            key: PrivateKey::from_pem(key.as_bytes(), None).unwrap(),
            certificate: without_armour(&metadata(emulator, "identity/cert.pem")),
            intermediate: without_armour(&metadata(emulator, "identity/intermediate.pem")),
        }
    }

    /// The fingerprint of the certificate by SHA-1 (Python's SDK) or SHA-256 (those for Java and Go).
    fn key_id(&self, emulator: &Emulator, sha256: bool) -> String {
        let der = STANDARD.decode(&self.certificate).unwrap();
        let (scheme, algorithm) = if sha256 {
            ("fed-x509-sha256", &aws_lc_rs::digest::SHA256)
        } else {
            ("fed-x509", &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY)
        };
        let digest = aws_lc_rs::digest::digest(algorithm, &der);
        let hex: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{}/{scheme}/{}", emulator.ready().identity.tenancy, hex.join(":"))
    }

    fn body(&self) -> Value {
        json!({
            "certificate": self.certificate,
            "publicKey": spki(&session_key()),
            "intermediateCertificates": [self.intermediate],
        })
    }

    fn federate(&self, emulator: &Emulator, body: &Value) -> Response {
        let key_id = self.key_id(emulator, body.get("fingerprintAlgorithm").is_some());
        federate(&mut client(emulator, &key_id, &self.key), body)
    }

    fn token(&self, emulator: &Emulator) -> String {
        token_of(&self.federate(emulator, &self.body()))
    }
}

fn federate(client: &mut Client, body: &Value) -> Response {
    let body = body.to_string();
    let head = client.head_by(Rule::Federation, ("POST", "/v1/x509"), &[], body.as_bytes());
    let host = "host: ";
    assert!(head.contains(host) && !head.contains("(request-target) host"));
    client.send(format!("{head}{body}").as_bytes()).unwrap();
    client.receive("POST").unwrap()
}

fn token_of(response: &Response) -> String {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()["token"].as_str().unwrap().to_owned()
}

fn post(client: &mut Client, target: &str, body: &Value) -> Response {
    client.request("POST", target, &[], body.to_string().as_bytes())
}

fn assert_refused(response: &Response) {
    assert_eq!(response.code(), (401, "NotAuthenticated".to_owned()), "{}", response.text());
}

/// Reads an object with a token, and fails to with the same token and another key.
fn assert_reads(emulator: &Emulator, token: &str, key: &PrivateKey) {
    let mut own = Client::new(emulator, "DEFAULT");
    own.put("of-principals", b"read by a token");
    let other = PrivateKey::from_pem(
        &std::fs::read(
            Path::new(&emulator.ready().oci.config_file).with_file_name("wrong_key.pem"),
        )
        .unwrap(),
        None,
    );
    assert_refused(&with_token(emulator, token, &other.unwrap()).get(&object("of-principals")));
    let response = with_token(emulator, token, key).get(&object("of-principals"));
    assert_eq!((response.status, response.text()), (200, "read by a token"));
}

#[test]
fn metadata_asks_for_the_bearer_and_is_version_2() {
    let (emulator, _) = start();
    let mut client = client(&emulator, "", &session_key());
    for headers in [&[][..], &[("authorization", "Bearer oracle")], &[("authorization", "Oracle")]]
    {
        for name in ["identity/cert.pem", "identity/key.pem", "instance/region"] {
            assert_refused(&client.unsigned("GET", &format!("/opc/v2/{name}"), headers, ""));
        }
    }
    for header in ["forwarded", "x-forwarded-for", "x-forwarded-host"] {
        let headers = [BEARER[0], (header, "10.0.0.1")];
        assert_eq!(client.unsigned("GET", "/opc/v2/instance/region", &headers, "").status, 403);
    }
    for path in ["/opc/v1/instance/region", "/opc/v2/instance/nothing", "/opc/v2/identity/", "/"] {
        assert_eq!(client.unsigned("GET", path, &BEARER, "").status, 404, "{path}");
    }
    let region = client.unsigned("GET", "/opc/v2/instance/region", &BEARER, "");
    assert_eq!(region.header("content-type"), Some("text/plain"));
    assert_eq!(region.text(), "iad");
    assert_eq!(metadata(&emulator, "instance/id"), emulator.ready().identity.instance);
    let info: Value = serde_json::from_str(&metadata(&emulator, "instance/regionInfo")).unwrap();
    let expected = json!({
        "realmKey": "oc1",
        "realmDomainComponent": "oraclecloud.com",
        "regionKey": "IAD",
        "regionIdentifier": "us-ashburn-1",
    });
    assert_eq!(info, expected);
    // Of an instance, and so not over TLS.
    let ready = emulator.ready();
    let (url, ca) = (&ready.identity.tls_endpoint, Some(&*ready.oci.ca_bundle));
    let mut tls = Client::at(url, ca, "", &session_key());
    assert_eq!(tls.unsigned("GET", "/opc/v2/instance/region", &BEARER, "").status, 404);
}

#[test]
fn a_certificate_is_worth_a_token() {
    let (emulator, _) = start();
    let instance = Instance::of(&emulator);
    for algorithm in [None, Some("SHA256")] {
        let mut body = instance.body();
        if let Some(algorithm) = algorithm {
            body["fingerprintAlgorithm"] = algorithm.into();
            body["purpose"] = "DEFAULT".into();
        }
        let token = token_of(&instance.federate(&emulator, &body));
        let claims = claims(&token);
        assert_eq!(claims["sub"], emulator.ready().identity.instance);
        assert_eq!(claims["res_tenant"], emulator.ready().identity.tenancy);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 1200);
        let jwk: Value = serde_json::from_str(claims["jwk"].as_str().unwrap()).unwrap();
        assert_eq!(jwk["n"], URL_SAFE_NO_PAD.encode(session_key().public_key().modulus()));
        assert_reads(&emulator, &token, &session_key());
    }
    let (identity, mut tls) = (&emulator.ready().identity, None);
    let tls = tls.get_or_insert_with(|| {
        let ca = Some(&*emulator.ready().oci.ca_bundle);
        Client::at(&identity.tls_endpoint, ca, &instance.key_id(&emulator, false), &instance.key)
    });
    token_of(&federate(tls, &instance.body()));
}

#[test]
fn a_certificate_of_another_or_without_its_chain_is_refused() {
    let (emulator, _) = start();
    let instance = Instance::of(&emulator);
    let key_id = instance.key_id(&emulator, false);
    // Another key; another fingerprint; another tenancy.
    let body = instance.body();
    assert_refused(&federate(&mut client(&emulator, &key_id, &session_key()), &body));
    let other = key_id.replace("fed-x509/", "fed-x509/00:");
    assert_refused(&federate(&mut client(&emulator, &other, &instance.key), &body));
    let other = key_id.replace("emulatortenancy", "other");
    assert_refused(&federate(&mut client(&emulator, &other, &instance.key), &body));
    for change in [
        json!({"certificate": instance.intermediate}),
        json!({"intermediateCertificates": []}),
        json!({"intermediateCertificates": [instance.certificate]}),
        json!({"fingerprintAlgorithm": "SHA1"}),
    ] {
        let mut body = instance.body();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_refused(&instance.federate(&emulator, &body));
    }
    let mut body = instance.body();
    body["publicKey"] = "AAAA".into();
    let response = instance.federate(&emulator, &body);
    assert_eq!(response.code(), (400, "InvalidParameter".to_owned()));
}

#[test]
fn a_rotated_instance_is_another_and_the_old_certificate_is_refused() {
    let (emulator, _) = start();
    let old = Instance::of(&emulator);
    let token = old.token(&emulator);
    emulator.admin().rotate(Rotated::Instance).unwrap();
    assert_refused(&old.federate(&emulator, &old.body()));
    let new = Instance::of(&emulator);
    assert_ne!(new.certificate, old.certificate);
    // What was given out is good until it expires.
    for token in [token, new.token(&emulator)] {
        assert_reads(&emulator, &token, &session_key());
    }
}

#[test]
fn tokens_expire_as_told_by_the_clock_that_clients_see() {
    let (emulator, _) = start();
    let admin = emulator.admin();
    let instance = Instance::of(&emulator);
    let first = instance.token(&emulator);
    assert_reads(&emulator, &first, &session_key());
    admin.expire_tokens();
    assert_refused(&with_token(&emulator, &first, &session_key()).get("/n"));
    assert_refused(&Client::new(&emulator, "SESSION").get("/n"));
    assert_eq!(Client::new(&emulator, "DEFAULT").get("/n").status, 200);
    // In the same second, another one.
    let second = instance.token(&emulator);
    assert_reads(&emulator, &second, &session_key());

    admin.set_token_lifetime(Duration::from_secs(90));
    let short = instance.token(&emulator);
    let claims = claims(&short);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 90);
    let mut client = with_token(&emulator, &short, &session_key());
    for (offset, status) in [(60, 200), (120, 401), (0, 200)] {
        admin.set_clock_offset(offset);
        client.skew = offset;
        let response = client.get("/n");
        assert_eq!(response.status, status, "{offset}: {}", response.text());
    }
}

#[test]
fn the_clock_is_shifted_while_it_runs() {
    let (emulator, mut client) = start();
    assert_eq!(client.get("/n").status, 200);
    emulator.admin().set_clock_offset(-400);
    let response = client.get("/n");
    assert_refused(&response);
    let date = httpdate::parse_http_date(response.header("date").unwrap()).unwrap();
    let behind = std::time::SystemTime::now().duration_since(date).unwrap().as_secs();
    assert!((400..=402).contains(&behind), "the server's date is {behind} s behind");
    client.skew = -400;
    assert_eq!(client.get("/n").status, 200);
}

#[test]
fn a_resource_principal_of_version_2_2_is_two_files() {
    let (emulator, _) = start();
    let variables = variables(&emulator, "resource_2.2");
    let read = || {
        let file = |name: &str| std::fs::read(&variables[name]).unwrap();
        let token = String::from_utf8(file("OCI_RESOURCE_PRINCIPAL_RPST")).unwrap();
        let pem = file("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM");
        (token, PrivateKey::from_pem(&pem, None).unwrap())
    };
    let (token, key) = read();
    assert_eq!(claims(&token)["sub"], emulator.ready().identity.resource);
    assert_reads(&emulator, &token, &key);
    emulator.admin().expire_tokens();
    assert_refused(&with_token(&emulator, &token, &key).get("/n"));
    emulator.admin().rotate(Rotated::Resource).unwrap();
    let (token, new) = read();
    assert_ne!(new.public_key(), key.public_key());
    assert_reads(&emulator, &token, &new);
}

/// Both steps of a resource principal, with these answers.
fn two_steps(client: &mut Client, path: &str) -> Response {
    let response = client.get(path);
    if response.status != 200 {
        return response;
    }
    let mut body = response.json();
    let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["resourcePrincipalToken", "servicePrincipalSessionToken"]);
    body["sessionPublicKey"] = spki(&session_key()).into();
    post(client, "/v1/resourcePrincipalSessionToken", &body)
}

#[test]
fn a_resource_principal_of_version_1_1_is_asked_for_by_an_instance() {
    let (emulator, _) = start();
    let variables = variables(&emulator, "resource_1.1");
    let token = Instance::of(&emulator).token(&emulator);
    let mut client = client(&emulator, &format!("ST${token}"), &session_key());
    let id = &variables["OCI_RESOURCE_PRINCIPAL_RPT_ID"];
    let path = format!("/20180711/resourcePrincipalToken/{id}");
    let token = token_of(&two_steps(&mut client, &path));
    assert_eq!(claims(&token)["sub"], emulator.ready().identity.resource);
    assert_reads(&emulator, &token, &session_key());
    // Not of an unknown resource, and not by the resource itself.
    let other = two_steps(&mut client, "/20180711/resourcePrincipalToken/ocid1.none");
    assert_eq!(other.code(), (404, "NotAuthorizedOrNotFound".to_owned()));
    client.key_id = format!("ST${token}");
    assert_refused(&client.get(&path));
}

#[test]
fn a_resource_principal_of_version_2_1_signs_with_its_own_key() {
    let (emulator, _) = start();
    for (version, path) in [("2.1", "V2"), ("2.1.1", "V2"), ("2.1.2", "V212")] {
        let variables = variables(&emulator, &format!("resource_{version}"));
        let pem = std::fs::read(&variables["OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"]).unwrap();
        let key = PrivateKey::from_pem(&pem, None).unwrap();
        let id = &variables["OCI_RESOURCE_PRINCIPAL_RESOURCE_ID"];
        let names = match variables.get("OCI_RESOURCE_PRINCIPAL_TENANCY_ID") {
            Some(tenancy) => format!("{tenancy}/{id}"),
            None => id.clone(),
        };
        let key_id = format!("resource/v{version}/{names}");
        let path = format!("/20180711/resourcePrincipalToken{path}/{id}");
        assert_refused(&two_steps(&mut client(&emulator, &key_id, &session_key()), &path));
        let token = token_of(&two_steps(&mut client(&emulator, &key_id, &key), &path));
        assert_reads(&emulator, &token, &session_key());
        // The key itself reads nothing.
        let mut client = Client::at(&emulator.ready().oci.endpoint, None, &key_id, &key);
        assert_refused(&client.get("/n"));
    }
}

#[test]
fn a_resource_in_others_becomes_the_outermost() {
    let (emulator, _) = start();
    let variables = variables(&emulator, "resource_3.0");
    let of = |name: &str| &variables[&format!("OCI_RESOURCE_PRINCIPAL_{name}_RESOURCE")];
    let pem = std::fs::read(of("PRIVATE_PEM_FOR_LEAF")).unwrap();
    let key = PrivateKey::from_pem(&pem, None).unwrap();
    let token = std::fs::read_to_string(of("RPST_FOR_LEAF")).unwrap();
    let endpoint = &emulator.ready().identity.endpoint;
    let path = |url: &str| url.strip_prefix(endpoint.as_str()).unwrap().to_owned();
    let first = path(of("RPT_URL_FOR_PARENT"));
    let mut client = client(&emulator, &format!("ST${token}"), &key);
    let told = client.get(&first);
    let second = path(told.header("opc-parent-rpt-url").unwrap());
    client.key_id = format!("ST${}", token_of(&two_steps(&mut client, &first)));
    client.key = session_key();
    let told = client.get(&second);
    assert_eq!((told.status, told.header("opc-parent-rpt-url")), (200, None));
    let token = token_of(&two_steps(&mut client, &second));
    assert!(second.ends_with(claims(&token)["sub"].as_str().unwrap()));
    assert_reads(&emulator, &token, &session_key());
    let instance = Instance::of(&emulator).token(&emulator);
    client.key_id = format!("ST${instance}");
    assert_refused(&client.get(&first));
}

#[test]
fn the_tokens_of_the_first_step_are_no_session_and_no_other_signers() {
    let (emulator, _) = start();
    let token = Instance::of(&emulator).token(&emulator);
    let mut by_instance = client(&emulator, &format!("ST${token}"), &session_key());
    let id = &emulator.ready().identity.instance;
    let mut body = by_instance.get(&format!("/20180711/resourcePrincipalToken/{id}")).json();
    let rpt = body["resourcePrincipalToken"].as_str().unwrap().to_owned();
    assert_refused(&with_token(&emulator, &rpt, &session_key()).get("/n"));
    body["sessionPublicKey"] = spki(&session_key()).into();
    let path = "/v1/resourcePrincipalSessionToken";
    let variables = variables(&emulator, "resource_2.1");
    let pem = std::fs::read(&variables["OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"]).unwrap();
    let key = PrivateKey::from_pem(&pem, None).unwrap();
    let key_id = format!("resource/v2.1/{}", emulator.ready().identity.resource);
    assert_refused(&post(&mut client(&emulator, &key_id, &key), path, &body));
    let swapped = json!({
        "resourcePrincipalToken": body["servicePrincipalSessionToken"],
        "servicePrincipalSessionToken": body["resourcePrincipalToken"],
        "sessionPublicKey": body["sessionPublicKey"],
    });
    assert_refused(&post(&mut by_instance, path, &swapped));
    token_of(&post(&mut by_instance, path, &body));
}

#[test]
fn a_session_is_refreshed_while_it_is_good() {
    let (emulator, _) = start();
    let session = Client::new(&emulator, "SESSION");
    let path = "/v1/authentication/refresh";
    let mut client = client(&emulator, &session.key_id, &session.key);
    let old = session.key_id["ST$".len()..].to_owned();
    let new = token_of(&post(&mut client, path, &json!({ "currentToken": old })));
    assert_ne!(new, old);
    assert_eq!(claims(&new)["sess_exp"], claims(&old)["sess_exp"]);
    assert_reads(&emulator, &new, &session.key);
    // Not another token than the one that signs, nor one of an instance.
    assert_refused(&post(&mut client, path, &json!({ "currentToken": new })));
    let instance = Instance::of(&emulator).token(&emulator);
    let mut other = self::client(&emulator, &format!("ST${instance}"), &session_key());
    assert_refused(&post(&mut other, path, &json!({ "currentToken": instance })));
    // Not a day after it began, however often it was refreshed; not one that has expired.
    emulator.admin().set_token_lifetime(Duration::from_hours(48));
    let long = token_of(&post(&mut client, path, &json!({ "currentToken": old })));
    client.key_id = format!("ST${long}");
    for (hours, status) in [(23, 200), (25, 401)] {
        emulator.admin().set_clock_offset(hours * 3600);
        client.skew = hours * 3600;
        let response = post(&mut client, path, &json!({ "currentToken": long }));
        assert_eq!(response.status, status, "{hours}: {}", response.text());
    }
    emulator.admin().set_clock_offset(0);
    client.skew = 0;
    emulator.admin().expire_tokens();
    assert_refused(&post(&mut client, path, &json!({ "currentToken": long })));
    emulator.admin().rotate(Rotated::Session).unwrap();
    assert_eq!(Client::new(&emulator, "SESSION").get("/n").status, 200);
}

#[test]
fn a_token_of_others_is_exchanged_by_the_domains_client() {
    let (emulator, _) = start();
    let domain = &emulator.ready().identity.domain;
    let subject = std::fs::read_to_string(&domain.subject_token_file).unwrap();
    let basic = |secret: &str| {
        format!("Basic {}", STANDARD.encode(format!("{}:{secret}", domain.client_id)))
    };
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let key = spki(&session_key()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let form = format!(
        "grant_type={grant}&requested_token_type=urn%3Aoci%3Atoken-type%3Aoci-upst\
         &subject_token={subject}&subject_token_type=jwt&public_key={key}"
    );
    let mut client = client(&emulator, "", &session_key());
    let mut ask = |authorization: &str, form: &str| {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", authorization), kind];
        client.unsigned("POST", "/oauth2/v1/token", &headers, form)
    };
    let good = basic(&domain.client_secret);
    for (authorization, form, status, error) in [
        (&basic("wrong"), form.clone(), 401, "invalid_client"),
        (&"Bearer Oracle".into(), form.clone(), 401, "invalid_client"),
        (&good, form.replace("token-exchange", "password"), 400, "unsupported_grant_type"),
        (&good, form.replace("oci-upst", "other"), 400, "invalid_request"),
        (&good, form.replace(&subject, "a.b.c"), 400, "invalid_grant"),
        (&good, form.replace(&key, ""), 400, "invalid_request"),
    ] {
        let response = ask(authorization, &form);
        assert_eq!((response.status, &response.json()["error"]), (status, &json!(error)));
    }
    let token = token_of(&ask(&good, &form));
    assert_reads(&emulator, &token, &session_key());
    // The provider's token itself is no signature.
    assert_refused(&with_token(&emulator, &subject, &session_key()).get("/n"));
    emulator.admin().set_clock_offset(25 * 3600);
    assert_eq!(ask(&good, &form).json()["error"], "invalid_grant");
}

#[test]
fn a_pods_token_is_exchanged_over_tls() {
    let (emulator, _) = start();
    let ready = emulator.ready();
    let token = || std::fs::read_to_string(&ready.identity.service_account_token_file).unwrap();
    let body = json!({ "podKey": spki(&session_key()) }).to_string();
    let ca = Some(&*ready.oci.ca_bundle);
    let mut tls = Client::at(&ready.identity.tls_endpoint, ca, "", &session_key());
    let path = "/resourcePrincipalSessionTokens";
    let mut ask = |token: &str, body: &str| {
        let authorization = format!("Bearer {token}");
        tls.unsigned("POST", path, &[("authorization", &authorization)], body)
    };
    let old = token();
    assert_refused(&ask("Oracle", &body));
    assert_refused(&ask(&old[..old.len() - 8], &body));
    let session = ask(&old, &body);
    assert_eq!(session.header("content-type"), Some("application/json"));
    let read = |response: &Response| {
        let base64: String = serde_json::from_slice(&response.body).unwrap();
        let told: Value = serde_json::from_slice(&STANDARD.decode(base64).unwrap()).unwrap();
        told["token"].as_str().unwrap().strip_prefix("ST$").unwrap().to_owned()
    };
    assert_reads(&emulator, &read(&session), &session_key());
    // The Go SDK sends the armour, too.
    let der = spki(&session_key());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    read(&ask(&old, &json!({ "podKey": pem }).to_string()));
    emulator.admin().rotate(Rotated::ServiceAccount).unwrap();
    assert_refused(&ask(&old, &body));
    read(&ask(&token(), &body));
    // The service account's token is no signature, and there is no proxy without TLS.
    assert_refused(&with_token(&emulator, &old, &session_key()).get("/n"));
    let mut plain = client(&emulator, "", &session_key());
    let authorization = format!("Bearer {}", token());
    let headers = [("authorization", authorization.as_str())];
    assert_eq!(plain.unsigned("POST", path, &headers, &body).status, 404);
}

#[test]
fn a_principal_gets_a_token_of_a_scope() {
    let (emulator, _) = start();
    let mut body = json!({
        "scope": "read",
        "public_key": spki(&session_key()),
        "target_compartment": emulator.ready().oci.compartment,
    });
    let instance = Instance::of(&emulator).token(&emulator);
    let user = Client::new(&emulator, "DEFAULT");
    let id = &emulator.ready().identity.instance;
    for (key_id, key, caller) in [
        (format!("ST${instance}"), session_key(), id.as_str()),
        (user.key_id, user.key, "ocid1.user.oc1..aaaaaaaaemulatoruser"),
    ] {
        let mut client = client(&emulator, &key_id, &key);
        let token = token_of(&post(&mut client, "/v1/oauth2/scoped", &body));
        assert_eq!(claims(&token)["sub"], caller);
        assert_reads(&emulator, &token, &session_key());
    }
    body["scope"] = "".into();
    let user = Client::new(&emulator, "DEFAULT");
    let mut client = client(&emulator, &user.key_id, &user.key);
    assert_eq!(post(&mut client, "/v1/oauth2/scoped", &body).status, 400);
    client.key = session_key();
    assert_refused(&post(&mut client, "/v1/oauth2/scoped", &body));
}

#[test]
fn faults_fire_for_requests_that_were_good_and_the_record_has_all() {
    let (emulator, _) = start();
    let status = Action::Status { status: 503, code: None, message: None, retry_after: None };
    emulator.fault(Fault::new(status).contains("/opc/v2/instance/region").count(1));
    let mut client = client(&emulator, "", &session_key());
    for (headers, status) in [(&[][..], 401), (&BEARER, 503), (&BEARER, 200)] {
        let response = client.unsigned("GET", "/opc/v2/instance/region", headers, "");
        assert_eq!(response.status, status);
    }
    let lines = emulator.record();
    let statuses: Vec<_> = lines.iter().map(|line| line.status.unwrap()).collect();
    assert_eq!(statuses, [401, 503, 200]);
    assert!(lines.iter().all(|line| line.target == "/opc/v2/instance/region"));
}

#[test]
fn the_endpoints_stay_on_loopback_where_the_apis_are_opened() {
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    let emulator = Emulator::builder().address(everywhere).start().unwrap();
    let identity = &emulator.ready().identity;
    assert!(identity.endpoint.starts_with("http://127.0.0.1:"));
    assert!(identity.tls_endpoint.starts_with("https://127.0.0.1:"));
    let emulator = Emulator::builder().identity_address(everywhere).start().unwrap();
    assert!(emulator.ready().identity.endpoint.starts_with("http://0.0.0.0:"));
}
