// SPDX-License-Identifier: Apache-2.0
//! Principals whose identities are fetched: from instance metadata, the identity service, a cluster, an identity domain.

use crate::common::{
    self, Log, World, all_text, bucket_url, client, impatient, pattern, read, read_range, status,
    store_at,
};
use futures_util::future::join_all;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};
use storescope::config::{Auth, Secret};
use storescope::{
    Config, Credential, CredentialFuture, Credentials, ErrorKind, GetOptions, PutOptions,
    StoreOptions,
};
use storescope_emulator::{Action, Emulator, Fault, IdentityReady, Rotated};

fn identity(emulator: &Emulator) -> &IdentityReady {
    &emulator.ready().identity
}

/// Settings of a principal that has nothing of the configuration file.
fn settings(emulator: &Emulator, auth: Auth) -> Config {
    let endpoint = &identity(emulator).endpoint;
    Config::default()
        .auth(auth)
        .endpoint(emulator.ready().oci.endpoint.clone())
        .config_file(PathBuf::from("/nowhere/config"))
        .metadata_endpoint(format!("{endpoint}/opc/v2"))
        .auth_endpoint(endpoint.clone())
}

fn world(auth: Auth, more: impl FnOnce(Config, &Emulator) -> Config) -> World {
    let emulator = common::emulator();
    let config = more(impatient(settings(&emulator, auth), 3), &emulator);
    World::on(emulator, |_| config)
}

fn instance() -> World {
    world(Auth::InstancePrincipal, |config, _| config)
}

/// How often a target was asked for.
fn asked(world: &World, part: &str) -> usize {
    world.record().iter().filter(|line| line.target.contains(part)).count()
}

async fn works(world: &World) {
    let bytes = world.object("k", 1_000).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
}

#[tokio::test]
async fn an_instance_reads_and_writes_without_any_configuration() {
    let world = instance();
    works(&world).await;
    assert_eq!(asked(&world, "/v1/x509"), 0, "one token serves all");
    assert_eq!(read_range(&world.store, "k", 0..10).await.unwrap(), pattern(10));
}

#[tokio::test]
async fn fifty_readers_at_once_share_one_federation() {
    let world = instance();
    let reads = join_all((0..50).map(|n| {
        let store = world.store.clone();
        async move { read(&store, &format!("k{n}")).await }
    }));
    for read in reads.await {
        assert!(read.unwrap_err().is_not_found());
    }
    assert_eq!((asked(&world, "/v1/x509"), asked(&world, "cert.pem")), (1, 1));
}

#[tokio::test]
async fn stores_of_a_client_share_an_identity_and_another_client_has_its_own() {
    let world = instance();
    works(&world).await;
    let other = store_at(&world.client, &bucket_url(&world.emulator));
    assert_eq!(read(&other, "k").await.unwrap(), pattern(1_000));
    assert_eq!(asked(&world, "/v1/x509"), 0);
    let config = settings(&world.emulator, Auth::InstancePrincipal);
    let other = store_at(&client(config), &bucket_url(&world.emulator));
    assert_eq!(read(&other, "k").await.unwrap(), pattern(1_000));
    assert_eq!(asked(&world, "/v1/x509"), 1);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_read_costs_one_more_request() {
    let world = instance();
    let bytes = world.object("k", 1_000).await;
    read(&world.store, "k").await.unwrap();
    world.emulator.admin().clear_record();
    world.emulator.admin().expire_tokens();
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
    let statuses: Vec<_> = world
        .record()
        .iter()
        .filter(|line| line.target.starts_with("/n/"))
        .map(|line| line.status.unwrap())
        .collect();
    assert_eq!(statuses, [401, 200]);
    assert_eq!(asked(&world, "/v1/x509"), 1);
}

#[tokio::test]
async fn reads_at_once_whose_token_has_ended_share_one_renewal() {
    let world = instance();
    let bytes = world.object("k", 1_000).await;
    world.emulator.admin().expire_tokens();
    let reads = join_all((0..20).map(|_| read(&world.store, "k"))).await;
    for read in reads {
        assert_eq!(read.unwrap(), bytes);
    }
    assert_eq!(asked(&world, "/v1/x509"), 1);
}

#[tokio::test]
async fn short_tokens_are_renewed_ahead_of_their_end_and_no_read_is_refused() {
    let emulator = common::emulator();
    // Held for ten seconds at least: renewed after five.
    emulator.admin().set_token_lifetime(Duration::from_secs(10));
    let config = settings(&emulator, Auth::InstancePrincipal);
    let world = World::on(emulator, |_| config);
    let bytes = world.object("k", 100).await;
    let began = std::time::Instant::now();
    while asked(&world, "/v1/x509") < 2 {
        assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
        assert!(began.elapsed() < Duration::from_secs(30), "it is renewed each five seconds");
    }
    assert!(world.record().iter().all(|line| line.status == Some(200)));
}

#[tokio::test]
async fn an_instance_whose_certificate_was_renewed_federates_with_the_new_one() {
    let world = instance();
    works(&world).await;
    world.emulator.admin().rotate(Rotated::Instance).unwrap();
    world.emulator.admin().expire_tokens();
    assert_eq!(read(&world.store, "k").await.unwrap(), pattern(1_000));
}

#[tokio::test]
async fn a_store_that_refuses_each_identity_is_told_after_one_more() {
    let world = instance();
    world.fault(status(401).method("GET").contains("/n/"));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    assert_eq!(asked(&world, "/v1/x509"), 2, "once more, with a new token");
    let told = error.to_string();
    let tenancy = &identity(&world.emulator).tenancy;
    assert!(told.contains("this instance") && told.contains(tenancy), "{told}");
    let text = all_text(&error);
    assert!(!text.contains("ST$") && !text.contains("eyJ"), "{text}");
    read(&world.store, "k").await.unwrap_err();
    assert_eq!(asked(&world, "/v1/x509"), 2, "not for each call that is refused");
}

#[tokio::test]
async fn an_identity_service_that_fails_for_a_while_is_asked_again() {
    let world = instance();
    world.fault(status(503).contains("/v1/x509").count(1));
    world.fault(status(404).contains("key.pem").count(1));
    works(&world).await;
    let refusing = instance();
    refusing.fault(status(403).contains("/v1/x509"));
    let error = read(&refusing.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "{error}");
    assert!(error.to_string().contains("/v1/x509") && error.to_string().contains("403"), "{error}");
    assert_eq!(asked(&refusing, "/n/"), 0, "the store is not asked without an identity");
}

#[tokio::test]
async fn an_instance_with_a_wrong_clock_signs_by_the_servers() {
    let emulator = Emulator::builder().bucket(common::BUCKET).clock_offset(600).start().unwrap();
    let config = impatient(settings(&emulator, Auth::InstancePrincipal), 3);
    let world = World::on(emulator, |_| config);
    let (log, _listening) = Log::listen();
    works(&world).await;
    assert!(log.count("WARN", "clock") >= 1, "{:?}", log.lines());
}

#[tokio::test]
async fn buckets_are_made_in_the_tenancy_of_the_instance() {
    let world = instance();
    let url = format!("oci://made@{}/", world.emulator.ready().oci.namespace).parse().unwrap();
    world.client.create_bucket(&url, StoreOptions::new()).await.unwrap();
    let store = world.client.store(&url, StoreOptions::new()).unwrap();
    store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
}

#[tokio::test]
async fn an_instance_asks_on_behalf_of_whom_a_delegation_token_names() {
    let world = world(Auth::InstanceOboUser, |config, emulator| {
        let folder = PathBuf::from(&emulator.ready().oci.config_file);
        config.delegation_token_file(folder.with_file_name("delegation_token"))
    });
    works(&world).await;
}

#[tokio::test]
async fn a_workload_of_a_cluster_trusts_the_clusters_certificate() {
    let world = world(Auth::OkeWorkloadIdentity, |config, emulator| {
        let identity = identity(emulator);
        config
            .workload_endpoint(identity.tls_endpoint.clone())
            .service_account_token_file(PathBuf::from(&identity.service_account_token_file))
            .ca_bundle(PathBuf::from(&emulator.ready().oci.ca_bundle))
    });
    works(&world).await;
    // Kubernetes renews the account's token in its file.
    world.emulator.admin().rotate(Rotated::ServiceAccount).unwrap();
    world.emulator.admin().expire_tokens();
    assert_eq!(read(&world.store, "k").await.unwrap(), pattern(1_000));
}

#[tokio::test]
async fn a_token_of_another_provider_is_exchanged_at_the_domain() {
    let exchanging = |secret: &str| {
        let secret = Secret::from(secret);
        world(Auth::TokenExchange, |config, emulator| {
            let identity = identity(emulator);
            let secret = if secret == Secret::from("") {
                Secret::from(identity.domain.client_secret.clone())
            } else {
                secret
            };
            config
                .identity_domain(identity.endpoint.clone())
                .identity_client_id(identity.domain.client_id.clone())
                .identity_client_secret(secret)
                .subject_token_file(PathBuf::from(&identity.domain.subject_token_file))
        })
    };
    works(&exchanging("")).await;
    let error = read(&exchanging("wr0ng").store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.to_string().contains("invalid_client"), "{error}");
    assert!(!all_text(&error).contains("wr0ng"), "{error}");
}

/// A session of the emulator's profile: its token and key.
#[derive(Debug)]
struct Session {
    folder: PathBuf,
}

impl Credentials for Session {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            let text = |name: &str| std::fs::read_to_string(self.folder.join(name));
            let made = Credential::session(&text("token")?, &text("session_key.pem")?, None)?;
            Ok(made.ends(SystemTime::now() + Duration::from_mins(30)))
        })
    }
}

#[tokio::test]
async fn a_program_gives_out_identities_to_a_client_or_to_a_store() {
    let emulator = common::emulator();
    let folder = PathBuf::from(&emulator.ready().oci.config_file).parent().unwrap().to_owned();
    let session = || Session { folder: folder.clone() };
    let config = settings(&emulator, Auth::ApiKey);
    let client = storescope::Client::builder().config(config.clone()).credentials(session());
    let store = store_at(&client.build().unwrap(), &bucket_url(&emulator));
    store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    emulator.admin().rotate(Rotated::Session).unwrap();
    emulator.admin().expire_tokens();
    emulator.admin().rotate(Rotated::Session).unwrap();
    assert_eq!(read(&store, "k").await.unwrap(), b"x", "asked again after the 401");
    let url = bucket_url(&emulator).parse().unwrap();
    let options = StoreOptions::new().credentials(session());
    let store = common::client(config).store(&url, options).unwrap();
    assert_eq!(store.get("k", GetOptions::new()).await.unwrap().bytes().await.unwrap(), "x");
}

/// Runs in a process of its own, whose environment says who signs.
#[tokio::test]
#[ignore = "run by `a_resource_is_what_the_environment_says`"]
async fn as_the_environment_says() {
    let url = std::env::var("TEST_URL").unwrap();
    let store = store_at(&client(Config::from_env().unwrap()), &url);
    let name = std::env::var("TEST_NAME").unwrap();
    store.put(&name, pattern(100), PutOptions::new()).await.unwrap();
    assert_eq!(read(&store, &name).await.unwrap(), pattern(100));
}

#[test]
fn a_resource_is_what_the_environment_says() {
    let emulator = common::emulator();
    let home = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (name, variables) in &identity(&emulator).environment {
        let auth = match name.as_str() {
            "instance" => "instance_principal",
            // Oracle's SDKs have the port of a workload fixed, the emulator's is any.
            "workload" => continue,
            _ => "resource_principal",
        };
        for auth in [auth, "auto"] {
            let ran = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "principals::as_the_environment_says", "--ignored"])
                .env_clear()
                .envs(variables)
                .env("HOME", home.path())
                .env("STORESCOPE_AUTH", auth)
                .env("STORESCOPE_ENDPOINT", &emulator.ready().oci.endpoint)
                .env("TEST_URL", bucket_url(&emulator))
                .env("TEST_NAME", name)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(ran.status.success() && said.contains("1 passed"), "{name}, {auth}: {said}");
        }
        names.push(name.clone());
    }
    assert!(names.len() >= 6, "{names:?}");
    let version = |version: &str| names.contains(&format!("resource_{version}"));
    assert!(["1.1", "2.1", "2.1.1", "2.2", "3.0"].into_iter().all(version), "{names:?}");
}

#[tokio::test]
async fn a_session_is_renewed_by_the_identity_service() {
    let emulator = common::emulator();
    let oci = &emulator.ready().oci;
    let config = Config::default()
        .endpoint(oci.endpoint.clone())
        .config_file(PathBuf::from(&oci.config_file))
        .profile("SESSION".to_owned())
        .auth_endpoint(identity(&emulator).endpoint.clone());
    let file = PathBuf::from(&oci.config_file).with_file_name("token");
    let before = std::fs::read_to_string(&file).unwrap();
    // A token of ten seconds, in the session's own file, is renewed after five.
    emulator.admin().set_token_lifetime(Duration::from_secs(10));
    emulator.admin().rotate(Rotated::Session).unwrap();
    let short = std::fs::read_to_string(&file).unwrap();
    assert_ne!(before, short);
    let world = World::on(emulator, |_| config);
    works(&world).await;
    if asked(&world, "refresh") == 0 {
        common::until("the session is renewed", || asked(&world, "refresh") > 0).await;
    }
    common::until("its file is written", || std::fs::read_to_string(&file).unwrap() != short).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), pattern(1_000));
    assert_eq!(asked(&world, "expired"), 0);
}

#[tokio::test]
async fn an_identity_that_nobody_answers_for_ends_with_the_call() {
    let world = instance();
    world.fault(Fault::new(Action::Delay { ms: common::FOR_EVER }).contains("/v1/x509"));
    let within = GetOptions::new().deadline(Duration::from_millis(300));
    let error = world.store.get("k", within).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}
