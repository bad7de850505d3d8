// SPDX-License-Identifier: Apache-2.0
//! Principals that ask services, held against what Oracle's SDK was recorded to ask.

use super::fake::{Answer, Asked, Fake, gives_token, ok, refused, token};
use crate::auth::principal::given::Variables;
use crate::auth::principal::metadata::Metadata;
use crate::auth::principal::{Identity, Principal, Principals};
use crate::config::{Auth, Config, Profile};
use crate::error::{ErrorKind, Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use storescope_sign::{Certificate, PrivateKey, PublicKey, Rule};

const TENANCY: &str = "ocid1.tenancy.oc1..t";

/// The key and the certificate of an instance.
static LEAF: LazyLock<(PrivateKey, String)> = LazyLock::new(|| {
    let key = PrivateKey::generate(2048).unwrap();
    let pair = rcgen::KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap();
    let mut leaf = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let unit = rcgen::DnType::OrganizationalUnitName;
    leaf.distinguished_name.push(unit, format!("opc-tenant:{TENANCY}"));
    let pem = leaf.self_signed(&pair).unwrap().pem();
    (key, pem)
});

/// What the metadata service of an instance answers; `None` for all else.
fn metadata(asked: &Asked) -> Option<Answer> {
    let path = asked.target.strip_prefix("/opc/v2")?;
    assert_eq!(asked.header("authorization"), Some("Bearer Oracle"));
    Some(match path {
        "/identity/cert.pem" | "/identity/intermediate.pem" => ok(LEAF.1.clone()),
        "/identity/key.pem" => ok(LEAF.0.to_pkcs8_pem().to_string()),
        "/instance/region" => ok("iad"),
        "/instance/id" => ok("ocid1.instance.oc1..i"),
        _ => refused(404),
    })
}

pub(super) fn services(asked: &Asked) -> Answer {
    if let Some(answer) = metadata(asked) {
        return answer;
    }
    match asked.target.as_str() {
        "/v1/x509" => gives_token(asked, "publicKey"),
        "/v1/resourcePrincipalSessionToken" => gives_token(asked, "sessionPublicKey"),
        target if target.starts_with("/20180711/") => {
            ok(r#"{"resourcePrincipalToken":"RPTBLOB","servicePrincipalSessionToken":"SPSTBLOB"}"#)
        }
        _ => refused(404),
    }
}

/// Settings under which all services are this one.
pub(super) fn config(auth: Auth, fake: &Fake) -> Config {
    Config::default()
        .auth(auth)
        .config_file(std::path::PathBuf::from("/nowhere/config"))
        .auth_endpoint(fake.url.clone())
        .metadata_endpoint(format!("{}/opc/v2", fake.url))
}

fn variables(given: &[(&str, String)]) -> Variables {
    let given: Vec<_> =
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Variables::new(Arc::new(move |name| {
        given.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }))
}

pub(super) fn load(config: &Config, given: &[(&str, String)]) -> Result<Box<dyn Principal>> {
    let principals = Principals::with_variables(&Config::default(), variables(given));
    principals.load(config, &Profile::load(config)?, None)
}

async fn identity(principal: &dyn Principal) -> Arc<Identity> {
    principal.identity().await.unwrap()
}

/// The public key that a request brought, in base64 DER.
fn public(text: &str) -> PublicKey {
    PublicKey::from_spki_der(&STANDARD.decode(text).unwrap()).unwrap()
}

fn federated() -> String {
    let leaf = Certificate::from_pem(LEAF.1.as_bytes()).unwrap().remove(0);
    format!("{TENANCY}/fed-x509/{}", leaf.fingerprint())
}

#[tokio::test]
async fn an_instance_exchanges_its_certificate_for_a_token() {
    let fake = Fake::new(services);
    let principal = load(&config(Auth::InstancePrincipal, &fake), &[]).unwrap();
    assert!(principal.current().is_none() && fake.asked().is_empty(), "nothing is asked before");
    let first = identity(&*principal).await;
    let asked = fake.asked_for("/v1/x509");
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    asked.is_as_recorded("/v1/x509");
    asked.is_signed(&federated(), LEAF.0.public_key(), Rule::Federation);
    let key = public(&asked.text("publicKey"));
    assert_eq!(key, *first.key.public_key(), "the session's key signs");
    assert!(first.key_id.starts_with("ST$head."));
    assert!(Arc::ptr_eq(&first, &principal.current().unwrap()), "held");
    let standing = principal.standing().await.unwrap();
    assert_eq!(standing.tenancy.as_deref(), Some(TENANCY));
    assert_eq!(standing.region.unwrap().name, "us-ashburn-1");
    // Refused once: fetched anew, with another key. Refused again: told.
    assert!(principal.refresh() && principal.current().is_none());
    let second = identity(&*principal).await;
    assert_ne!(first.key.public_key(), second.key.public_key());
    assert!(!principal.refresh());
    let shown = format!("{principal:?} {second:?} {}", principal.advice());
    assert!(!shown.contains("head.") && shown.contains(TENANCY), "{shown}");
}

#[tokio::test]
async fn stores_of_a_client_share_a_principal() {
    let fake = Fake::new(services);
    let principals = Principals::with_variables(&Config::default(), variables(&[]));
    let config = config(Auth::InstancePrincipal, &fake);
    let profile = Profile::load(&config).unwrap();
    let one = principals.load(&config, &profile, None).unwrap();
    let other = principals.load(&config.clone().part_size(1u64 << 20), &profile, None).unwrap();
    assert!(Arc::ptr_eq(&identity(&*one).await, &identity(&*other).await));
    assert_eq!(fake.asked_for("/v1/x509").len(), 1);
    let elsewhere = config.metadata_endpoint(format!("{}/opc/v2/", fake.url));
    let third = principals.load(&elsewhere, &profile, None).unwrap();
    assert!(!Arc::ptr_eq(&identity(&*one).await, &identity(&*third).await));
}

#[tokio::test]
async fn a_federation_that_is_refused_for_its_date_is_signed_by_the_servers_clock() {
    let refusals = AtomicUsize::new(0);
    let fake = Fake::new(move |asked: &Asked| {
        if asked.target == "/v1/x509" && refusals.fetch_add(1, Relaxed) == 0 {
            let date = std::time::SystemTime::now() + std::time::Duration::from_mins(10);
            let date = format!("date: {}\r\n", httpdate::fmt_http_date(date));
            return (401, date, String::new());
        }
        services(asked)
    });
    let principal = load(&config(Auth::InstancePrincipal, &fake), &[]).unwrap();
    identity(&*principal).await;
    let dates: Vec<_> = fake
        .asked_for("/v1/x509")
        .iter()
        .map(|asked| httpdate::parse_http_date(asked.header("date").unwrap()).unwrap())
        .collect();
    let [first, second] = dates.as_slice() else { panic!("{dates:?}") };
    assert!(second.duration_since(*first).unwrap() > std::time::Duration::from_mins(9));
}

#[tokio::test]
async fn what_a_service_refuses_is_told_and_what_may_pass_is_retried() {
    for (path, status, kind) in [
        ("/v1/x509", 401, ErrorKind::Unauthenticated),
        ("/v1/x509", 503, ErrorKind::Server),
        ("/v1/x509", 429, ErrorKind::Throttled),
        ("/opc/v2/identity/key.pem", 404, ErrorKind::Server),
    ] {
        let fake = Fake::new(
            move |asked: &Asked| {
                if asked.target == path { refused(status) } else { services(asked) }
            },
        );
        let principal = load(&config(Auth::InstancePrincipal, &fake), &[]).unwrap();
        let failure = principal.identity().await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.unsent && failure.status.is_none(), "the store was not asked");
        let is_passing = kind != ErrorKind::Unauthenticated;
        assert_eq!(crate::attempt::is_transient(&failure), is_passing);
        assert!(!crate::attempt::may_have_happened(&failure));
        let told = failure.message.clone();
        let expected = format!("answered {status} Refused: by the test");
        assert!(told.contains(path) && told.contains(&expected), "{told}");
    }
    let fake = Fake::new(|asked: &Asked| match asked.target.as_str() {
        "/v1/x509" => ok(r#"{"tokens":"s3cret"}"#),
        _ => services(asked),
    });
    let principal = load(&config(Auth::InstancePrincipal, &fake), &[]).unwrap();
    let failure = principal.identity().await.unwrap_err();
    assert!(failure.kind == ErrorKind::Protocol && !format!("{failure:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_resource_of_version_2_2_is_what_variables_or_their_files_say() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(2048).unwrap();
    let rpst = || token(1200, &STANDARD.encode(key.public_key().spki_der()));
    let (first, pem) = (rpst(), key.to_pkcs8_pem().to_string());
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("rpst"), format!("{first}\n")).unwrap();
    std::fs::write(path("pem"), &pem).unwrap();
    let region = ("OCI_RESOURCE_PRINCIPAL_REGION", "phx".to_owned());
    let version = ("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2".to_owned());
    let fake = Fake::new(services);
    let config = config(Auth::ResourcePrincipal, &fake);
    for (token, key) in [(first.clone(), pem.clone()), (path("rpst"), path("pem"))] {
        let given = [
            version.clone(),
            region.clone(),
            ("OCI_RESOURCE_PRINCIPAL_RPST", token.clone()),
            ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", key),
        ];
        let principal = load(&config, &given).unwrap();
        assert_eq!(*identity(&*principal).await.key_id, format!("ST${first}"));
        let standing = principal.standing().await.unwrap();
        assert_eq!(standing.region.unwrap().name, "us-phoenix-1");
        assert_eq!(standing.tenancy.as_deref(), Some("ocid1.tenancy.oc1..r"));
        if token != first {
            let second = rpst();
            std::fs::write(path("rpst"), &second).unwrap();
            assert!(principal.refresh());
            assert_eq!(*identity(&*principal).await.key_id, format!("ST${second}"));
        }
        let shown = format!("{principal:?} {}", principal.advice());
        assert!(!shown.contains("head.") && !shown.contains("PRIVATE KEY"), "{shown}");
    }
    let lacking = load(&config, &[version]).unwrap_err().to_string();
    assert!(lacking.contains("OCI_RESOURCE_PRINCIPAL_RPST is not set"), "{lacking}");
    let unknown = [("OCI_RESOURCE_PRINCIPAL_VERSION", "9".to_owned())];
    let unknown = load(&config, &unknown).unwrap_err().to_string();
    assert!(unknown.contains("\"9\"") && unknown.contains("2.1.1"), "{unknown}");
    assert!(fake.asked().is_empty());
}

/// The variables of a resource whose services are this one.
fn resource(fake: &Fake, version: &str, key: &PrivateKey) -> Vec<(&'static str, String)> {
    vec![
        ("OCI_RESOURCE_PRINCIPAL_VERSION", version.to_owned()),
        ("OCI_RESOURCE_PRINCIPAL_RPT_ENDPOINT", fake.url.clone()),
        ("OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT", format!("{}/", fake.url)),
        ("OCI_RESOURCE_PRINCIPAL_RESOURCE_ID", "ocid1.res.oc1..r".to_owned()),
        ("OCI_RESOURCE_PRINCIPAL_TENANCY_ID", TENANCY.to_owned()),
        ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", key.to_pkcs8_pem().to_string()),
        ("OCI_RESOURCE_PRINCIPAL_SECURITY_CONTEXT", "context".to_owned()),
    ]
}

#[tokio::test]
async fn a_resource_of_version_1_1_is_asked_for_by_its_instance() {
    let recorded = "/20180711/resourcePrincipalToken/resolve_deny:%20denied%20destination";
    let fake = Fake::new(services);
    let config = config(Auth::ResourcePrincipal, &fake);
    let given = resource(&fake, "1.1", &LEAF.0);
    let principal = load(&config, &given).unwrap();
    let made = identity(&*principal).await;
    let told = fake.asked_for("/20180711/resourcePrincipalToken/ocid1.instance.oc1..i");
    let [told] = told.as_slice() else { panic!("{told:?}") };
    told.is_as_recorded(recorded);
    let federated = fake.asked_for("/v1/x509");
    let instance = public(&federated[0].text("publicKey"));
    let key_id = told.header("authorization").unwrap().split("keyId=\"").nth(1).unwrap();
    let key_id = key_id.split('"').next().unwrap().to_owned();
    assert!(key_id.starts_with("ST$"));
    told.is_signed(&key_id, &instance, Rule::Generic);
    let exchanged = fake.asked_for("/v1/resourcePrincipalSessionToken");
    let [exchanged] = exchanged.as_slice() else { panic!("{exchanged:?}") };
    exchanged.is_as_recorded("/v1/resourcePrincipalSessionToken");
    exchanged.is_signed(&key_id, &instance, Rule::Body);
    assert_eq!(exchanged.text("resourcePrincipalToken"), "RPTBLOB");
    assert_eq!(exchanged.text("servicePrincipalSessionToken"), "SPSTBLOB");
    assert_eq!(public(&exchanged.text("sessionPublicKey")), *made.key.public_key());
    assert_eq!(principal.standing().await.unwrap().region.unwrap().name, "us-ashburn-1");
    let given: Vec<_> = given
        .into_iter()
        .chain([
            ("OCI_RESOURCE_PRINCIPAL_RPT_ID", "resolve_deny: denied destination".to_owned()),
            ("OCI_RESOURCE_PRINCIPAL_RPT_PATH", "/20180711/other/{id}/token".to_owned()),
        ])
        .collect();
    identity(&*load(&config, &given).unwrap()).await;
    assert_eq!(
        fake.asked_for("/20180711/other/resolve_deny:%20denied%20destination/token").len(),
        1
    );
}

#[tokio::test]
async fn a_resource_of_version_2_1_is_asked_for_by_its_own_key() {
    let path = "/20180711/resourcePrincipalTokenV2/ocid1.res.oc1..r";
    let key = PrivateKey::generate(2048).unwrap();
    for (version, path, key_id) in [
        ("2.1", path, "resource/v2.1/ocid1.res.oc1..r".to_owned()),
        ("2.1.1", path, format!("resource/v2.1.1/{TENANCY}/ocid1.res.oc1..r")),
        (
            "2.1.2",
            "/20180711/resourcePrincipalTokenV212/ocid1.res.oc1..r",
            format!("resource/v2.1.2/{TENANCY}/ocid1.res.oc1..r"),
        ),
    ] {
        let fake = Fake::new(services);
        let config = config(Auth::ResourcePrincipal, &fake);
        let principal = load(&config, &resource(&fake, version, &key)).unwrap();
        let made = identity(&*principal).await;
        let asked = fake.asked();
        let [told, exchanged] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!(told.target, path);
        told.is_as_recorded("/20180711/resourcePrincipalTokenV2/ocid1.res.oc1..r");
        told.is_signed(&key_id, key.public_key(), Rule::Generic);
        let context = (version == "2.1.2").then_some("context");
        assert_eq!(told.header("security-context"), context);
        exchanged.is_as_recorded("/v1/resourcePrincipalSessionToken");
        exchanged.is_signed(&key_id, key.public_key(), Rule::Body);
        assert_eq!(public(&exchanged.text("sessionPublicKey")), *made.key.public_key());
    }
}

/// A workload's settings: a service account's token that ends in so many seconds.
fn workload(fake: &Fake, dir: &std::path::Path, account: &str) -> Config {
    std::fs::write(dir.join("account"), account).unwrap();
    config(Auth::OkeWorkloadIdentity, fake)
        .workload_endpoint(fake.url.clone())
        .service_account_token_file(dir.join("account"))
}

#[tokio::test]
async fn a_workload_exchanges_the_token_of_its_service_account() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|asked: &Asked| {
        let token = token(1200, &asked.text("podKey"));
        let issued = serde_json::json!({ "token": format!("ST${token}") }).to_string();
        ok(format!("\"{}\"", STANDARD.encode(issued)))
    });
    let account = token(600, &STANDARD.encode(LEAF.0.public_key().spki_der()));
    let region = [("OCI_RESOURCE_PRINCIPAL_REGION", "fra".to_owned())];
    let principal = load(&workload(&fake, dir.path(), &account), &region).unwrap();
    let made = identity(&*principal).await;
    let asked = fake.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(asked.target, "/resourcePrincipalSessionTokens");
    asked.is_as_recorded("/resourcePrincipalSessionTokens");
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {account}").as_str()));
    let id: Vec<_> = asked.header("opc-request-id").unwrap().split('/').map(str::len).collect();
    assert_eq!(id, [32, 32, 32]);
    assert_eq!(public(&asked.text("podKey")), *made.key.public_key());
    assert!(made.key_id.starts_with("ST$head."));
    let region = principal.standing().await.unwrap().region.unwrap();
    assert_eq!(region.name, "eu-frankfurt-1");
}

#[tokio::test]
async fn a_workload_says_why_it_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_: &Asked| refused(403));
    let told = |failure: Failure| crate::error::Error::from(failure).to_string();
    let config = workload(&fake, dir.path(), "opaque");
    let failure = load(&config, &[]).unwrap().identity().await.unwrap_err();
    let basic = told(failure);
    assert!(basic.contains("403") && basic.contains("enhanced cluster"), "{basic}");
    let expired = token(0, &STANDARD.encode(LEAF.0.public_key().spki_der()));
    let config = workload(&fake, dir.path(), &expired);
    let failure = load(&config, &[]).unwrap().identity().await.unwrap_err();
    let expired = told(failure);
    assert!(expired.contains("expired") && expired.contains("account"), "{expired}");
    assert_eq!(fake.asked().len(), 1);
    let none = Config::default().auth(Auth::OkeWorkloadIdentity);
    let none = load(&none, &[]).unwrap_err().to_string();
    assert!(none.contains("KUBERNETES_SERVICE_HOST is not set"), "{none}");
}

#[tokio::test]
async fn a_token_of_another_provider_is_exchanged_at_a_domain() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new(|asked: &Asked| {
        let form = String::from_utf8(asked.body.clone()).unwrap();
        let key = form.split("public_key=").nth(1).unwrap().split('&').next().unwrap();
        let key = key.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        ok(serde_json::json!({ "token": token(600, &key) }).to_string())
    });
    std::fs::write(dir.path().join("jwt"), "a.b+c.d\n").unwrap();
    let secret = crate::config::Secret::from("pa55w0rd");
    let config = config(Auth::TokenExchange, &fake)
        .identity_domain(format!("{}/", fake.url))
        .identity_client_id("client".to_owned())
        .subject_token_file(dir.path().join("jwt"));
    let lacking = load(&config, &[]).unwrap_err().to_string();
    assert!(lacking.contains("identity_client_secret"), "{lacking}");
    let principal = load(&config.identity_client_secret(secret), &[]).unwrap();
    let made = identity(&*principal).await;
    let asked = fake.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/oauth2/v1/token"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let basic = format!("Basic {}", STANDARD.encode("client:pa55w0rd"));
    assert_eq!(asked.header("authorization"), Some(basic.as_str()));
    let form = String::from_utf8(asked.body.clone()).unwrap();
    let expected = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aoci%3Atoken-type%3Aoci-upst&subject_token=a.b%2Bc.d&subject_token_type=jwt&public_key=";
    assert!(form.starts_with(expected), "{form}");
    assert!(made.key_id.starts_with("ST$head."));
    let shown = format!("{principal:?} {}", principal.advice());
    assert!(!shown.contains("pa55w0rd") && !shown.contains("a.b+c.d"), "{shown}");
}

#[tokio::test]
async fn the_key_of_a_resource_may_be_encrypted() {
    let vectors = std::fs::read("fixtures/oci-signing.json").unwrap();
    let vectors: serde_json::Value = serde_json::from_slice(&vectors).unwrap();
    let key = |name: &str| vectors["keys"]["main"][name].as_str().unwrap().to_owned();
    let plain = PrivateKey::from_pem(key("private_pkcs1_pem").as_bytes(), None).unwrap();
    let rpst = token(1200, &STANDARD.encode(plain.public_key().spki_der()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("passphrase");
    std::fs::write(&file, "correct-horse\n").unwrap();
    let fake = Fake::new(services);
    let config = config(Auth::ResourcePrincipal, &fake);
    for (pem, passphrase) in [
        ("private_pkcs8_encrypted_pem", "correct-horse".to_owned()),
        ("private_pkcs1_encrypted_pem", file.to_string_lossy().into_owned()),
        ("private_pkcs8_encrypted_pem", "wrong".to_owned()),
    ] {
        let given = [
            ("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2".to_owned()),
            ("OCI_RESOURCE_PRINCIPAL_RPST", rpst.clone()),
            ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", key(pem)),
            ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE", passphrase.clone()),
        ];
        let made = load(&config, &given).unwrap().identity().await;
        if passphrase == "wrong" {
            let told = made.unwrap_err().message.clone();
            assert!(told.contains("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM gives a key"), "{told}");
        } else {
            assert_eq!(*made.unwrap().key.public_key(), *plain.public_key());
        }
    }
}

#[tokio::test]
async fn a_resource_inside_others_signs_as_the_outermost() {
    let key = PrivateKey::generate(2048).unwrap();
    let leaf = token(1200, &STANDARD.encode(key.public_key().spki_der()));
    let parents: Arc<std::sync::OnceLock<String>> = Arc::default();
    let base = Arc::clone(&parents);
    let fake = Fake::new(move |asked: &Asked| {
        let next = match asked.target.as_str() {
            "/parent" => Some("/around"),
            "/endless" => Some("/endless"),
            "/around" => None,
            _ => return services(asked),
        };
        let link =
            next.map(|next| format!("opc-parent-rpt-url: {}{next}\r\n", base.get().unwrap()));
        let told =
            r#"{"resourcePrincipalToken":"RPTBLOB","servicePrincipalSessionToken":"SPSTBLOB"}"#;
        (200, link.unwrap_or_default(), told.to_owned())
    });
    parents.set(fake.url.clone()).unwrap();
    let given = |parent: &str| {
        vec![
            ("OCI_RESOURCE_PRINCIPAL_VERSION", "3.0".to_owned()),
            ("OCI_RESOURCE_PRINCIPAL_VERSION_FOR_LEAF_RESOURCE", "2.2".to_owned()),
            ("OCI_RESOURCE_PRINCIPAL_RPST_FOR_LEAF_RESOURCE", leaf.clone()),
            (
                "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_FOR_LEAF_RESOURCE",
                key.to_pkcs8_pem().to_string(),
            ),
            ("OCI_RESOURCE_PRINCIPAL_REGION_FOR_LEAF_RESOURCE", "fra".to_owned()),
            ("OCI_RESOURCE_PRINCIPAL_RPT_URL_FOR_PARENT_RESOURCE", format!("{}{parent}", fake.url)),
            ("OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT_FOR_PARENT_RESOURCE", format!("{}/", fake.url)),
        ]
    };
    let config = config(Auth::ResourcePrincipal, &fake);
    let principal = load(&config, &given("/parent")).unwrap();
    let made = identity(&*principal).await;
    let asked = fake.asked();
    let [first, middle, second, outer] = asked.as_slice() else { panic!("{asked:?}") };
    let leaf_id = format!("ST${leaf}");
    first.is_signed(&leaf_id, key.public_key(), Rule::Generic);
    middle.is_signed(&leaf_id, key.public_key(), Rule::Body);
    let parent = public(&middle.text("sessionPublicKey"));
    let signed = second.header("authorization").unwrap().split("keyId=\"").nth(1).unwrap();
    second.is_signed(signed.split('"').next().unwrap(), &parent, Rule::Generic);
    assert_eq!((first.target.as_str(), second.target.as_str()), ("/parent", "/around"));
    assert_eq!(public(&outer.text("sessionPublicKey")), *made.key.public_key());
    assert_eq!(principal.standing().await.unwrap().region.unwrap().name, "eu-frankfurt-1");
    let lacking = load(&config, &given("/x")[..5]).unwrap_err().to_string();
    assert!(lacking.contains("RPST_ENDPOINT_FOR_PARENT_RESOURCE is not set"), "{lacking}");
    let lacking = load(&config, &given("/x")[..2]).unwrap_err().to_string();
    assert!(lacking.contains("RPST_FOR_LEAF_RESOURCE is not set"), "{lacking}");
    let endless = load(&config, &given("/endless")).unwrap().identity().await.unwrap_err();
    assert!(endless.message.contains("more than 10"), "{}", endless.message);
}

#[tokio::test]
async fn where_there_is_no_way_to_the_first_address_of_metadata_the_second_is_asked() {
    let fake = Fake::new(services);
    let (nowhere, second) = ("http://127.0.0.1:1/opc/v2", format!("{}/opc/v2", fake.url));
    let metadata = |endpoints: &[&str]| {
        let web = crate::auth::web::Web::near(&Config::default(), "test", None);
        Metadata::new(web, endpoints, crate::config::Regions::of_process())
    };
    let found = metadata(&[nowhere, &second]);
    assert_eq!(found.region().await.unwrap().name, "us-ashburn-1");
    assert_eq!(found.get("/instance/id").await.unwrap().text().unwrap(), "ocid1.instance.oc1..i");
    let asked = fake.asked();
    let id = |asked: &Asked| asked.header("opc-client-request-id").map(str::to_owned);
    assert!(asked.iter().all(|asked| id(asked).is_some_and(|id| id.len() == 32)));
    assert_ne!(id(&asked[0]), id(&asked[1]));
    let other = "http://127.0.0.1:2/opc/v2";
    let told = metadata(&[nowhere, other]).get("/instance/id").await.unwrap_err();
    assert!(told.message.contains(nowhere) && told.message.contains(other), "{}", told.message);
    // One that answers, whatever it says, is the one.
    let refusing = Fake::new(|_: &Asked| refused(401));
    let first = format!("{}/opc/v2", refusing.url);
    let refused = metadata(&[&first, &second]).get("/instance/id").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    assert_eq!(fake.asked().len(), asked.len());
}
