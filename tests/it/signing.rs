// SPDX-License-Identifier: Apache-2.0
//! Who asks: signatures, clocks, tokens and credentials, and access without any.

use crate::common::{
    self, BUCKET, Log, World, all_text, bucket_url, client, emulator, impatient, pattern, read,
    read_range, status, store_at,
};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storescope::timing::{Operation, Phase};
use storescope::{ErrorKind, GetOptions, ListOptions, PutOptions, RenameOptions, StoreOptions};
use storescope_emulator::{Action, Emulator, Fault};

/// Signatures made for successful reads so far.
fn signatures(world: &World) -> u64 {
    let seen = world.client.metrics().snapshot();
    seen.select(|key| key.operation == Operation::Get && key.phase == Phase::Sign)
        .map_or(0, |times| times.count())
}

#[tokio::test]
async fn one_signature_serves_many_ranged_reads() {
    let world = World::new();
    let bytes = world.object("k", 1_000).await;
    for n in 0..20_u64 {
        assert_eq!(
            read_range(&world.store, "k", n..n + 50).await.unwrap(),
            bytes[n as usize..][..50]
        );
    }
    assert_eq!((signatures(&world), world.record().len()), (1, 20));

    let afresh = World::with(|config| config.signature_reuse(Duration::ZERO));
    afresh.object("k", 1_000).await;
    for _ in 0..20 {
        read_range(&afresh.store, "k", 0..50).await.unwrap();
    }
    assert_eq!(signatures(&afresh), 20);
}

#[tokio::test]
async fn a_reused_signature_that_is_refused_is_made_afresh_and_reused_no_more() {
    let world = World::impatient(1);
    let bytes = world.object("k", 100).await;
    let (log, _listening) = Log::listen();
    read(&world.store, "k").await.unwrap();
    world.fault(Fault::new(Action::UnauthorizedOnce));
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);
    assert_eq!(signatures(&world), 2);
    let statuses: Vec<_> = world.record().into_iter().map(|line| line.status.unwrap()).collect();
    assert_eq!(statuses, [200, 401, 200]);
    for _ in 0..3 {
        read(&world.store, "k").await.unwrap();
    }
    assert_eq!(signatures(&world), 5, "each read is signed from now on");
    assert_eq!(log.count("WARN", "signature_reuse"), 1, "{:?}", log.lines());

    // A fresh signature that is refused is refused.
    world.fault(Fault::new(Action::UnauthorizedOnce));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "{error}");
}

#[tokio::test]
async fn reads_that_shared_a_refused_signature_all_recover() {
    let world = World::impatient(1);
    let bytes = world.object("k", 100).await;
    read(&world.store, "k").await.unwrap();
    // All four are there before the first is refused: no second try takes a refusal that is another's.
    world.fault(Fault::new(Action::Delay { ms: 200 }).method("GET").count(4));
    world.fault(status(401).method("GET").count(4));
    let reads = join_all((0..4).map(|_| read(&world.store, "k"))).await;
    for read in reads {
        assert_eq!(read.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_clock_six_minutes_off_is_made_up_for_with_a_warning() {
    for offset in [-360, 360] {
        let emulator =
            Emulator::builder().bucket(common::BUCKET).clock_offset(offset).start().unwrap();
        let world = World::on(emulator, |config| impatient(config, 1));
        let (log, _listening) = Log::listen();
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
        assert_eq!(log.count("WARN", "clock"), 1, "{:?}", log.lines());
        assert_eq!(read(&world.store, "k").await.unwrap(), b"x");
        let statuses: Vec<_> =
            world.record().into_iter().map(|line| line.status.unwrap()).collect();
        assert_eq!(statuses, [401, 200, 200]);
        assert_eq!(log.count("WARN", "clock"), 1, "{:?}", log.lines());
    }
}

#[tokio::test]
async fn calls_at_once_under_a_wrong_clock_all_recover() {
    let emulator = Emulator::builder().bucket(common::BUCKET).clock_offset(-360).start().unwrap();
    let world = World::on(emulator, |config| impatient(config, 1));
    let puts = join_all((0..8).map(|n| {
        let store = world.store.clone();
        async move { store.put(&format!("k{n}"), &b"x"[..], PutOptions::new()).await }
    }));
    for put in puts.await {
        put.unwrap();
    }
}

#[tokio::test]
async fn a_clock_six_minutes_off_is_told_where_it_is_not_adjusted() {
    let emulator = Emulator::builder().bucket(common::BUCKET).clock_offset(-360).start().unwrap();
    let world = World::on(emulator, |config| impatient(config, 3).adjust_clock(false));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "{error}");
    let hint = error.hint().unwrap();
    assert_eq!(hint.matches(" GMT").count(), 2, "both clocks: {hint}");
    assert!(hint.contains("adjust_clock"), "{hint}");
    assert_eq!(world.line_of(&error).status, Some(401));
}

fn with_profile(emulator: Emulator, profile: &str) -> World {
    World::on(emulator, |config| impatient(config, 2).profile(profile.to_owned()))
}

#[tokio::test]
async fn a_wrong_key_is_told_with_its_file_and_fingerprint() {
    let world = with_profile(common::emulator(), "WRONG");
    let (log, _listening) = Log::listen();
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    assert_eq!((error.attempts(), world.record().len()), (1, 1));
    let told = error.to_string();
    for part in ["wrong_key.pem", "fingerprint", "[WRONG]", &world.emulator.ready().oci.config_file]
    {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert_eq!(world.line_of(&error).status, Some(401));
    drop(log);
}

#[tokio::test]
async fn a_fingerprint_that_is_not_the_keys_is_told_with_the_one_that_is() {
    let emulator = common::emulator();
    let text = std::fs::read_to_string(&emulator.ready().oci.config_file).unwrap();
    let actual = text.lines().find_map(|line| line.strip_prefix("fingerprint = ")).unwrap();
    let other = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, text.replacen(actual, other, 1)).unwrap();
    let world = World::on(emulator, |config| impatient(config, 2).config_file(file.clone()));
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    let told = error.to_string();
    for part in [actual, other, "key.pem", file.to_str().unwrap()] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[tokio::test]
async fn a_session_token_signs_and_an_expired_one_is_told() {
    let world = with_profile(common::emulator(), "SESSION");
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    let world = with_profile(common::emulator(), "EXPIRED");
    let error = read(&world.store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, Some(401)));
    let told = error.to_string();
    for part in ["expired", "expired_token", "oci session", " GMT"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

fn state_folder(emulator: &Emulator) -> PathBuf {
    Path::new(&emulator.ready().oci.config_file).parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_renewed_token_is_read_again() {
    let world = with_profile(common::emulator(), "EXPIRED");
    read(&world.store, "k").await.unwrap_err();
    let folder = state_folder(&world.emulator);
    std::fs::copy(folder.join("token"), folder.join("expired_token")).unwrap();
    // At once, and all: each was signed with the old token, and hears of it.
    let puts = join_all((0..4).map(|n| {
        let store = world.store.clone();
        async move { store.put(&format!("k{n}"), &b"x"[..], PutOptions::new()).await }
    }));
    for put in puts.await {
        put.unwrap();
    }
}

/// The values of the emulator's DEFAULT profile, as settings.
fn by_settings(emulator: &Emulator) -> storescope::Config {
    let oci = &emulator.ready().oci;
    let text = std::fs::read_to_string(&oci.config_file).unwrap();
    let default = text.split("\n\n").next().unwrap();
    let mut config = storescope::Config::default().endpoint(oci.endpoint.clone());
    for line in default.lines().skip(1) {
        let (name, value) = line.split_once(" = ").unwrap();
        config.set(name, value).unwrap();
    }
    config.config_file(PathBuf::from("/nowhere/config"))
}

#[tokio::test]
async fn settings_sign_without_a_configuration_file() {
    let emulator = common::emulator();
    let config = by_settings(&emulator);
    let world = World::on(emulator, |_| impatient(config.clone(), 2));
    let bytes = world.object("k", 100).await;
    assert_eq!(read(&world.store, "k").await.unwrap(), bytes);

    // The same by a store's own options, with the key itself; then without a part of it.
    let client = client(impatient(storescope::Config::default(), 2));
    let key = std::fs::read_to_string(state_folder(&world.emulator).join("key.pem")).unwrap();
    let text = std::fs::read_to_string(&world.emulator.ready().oci.config_file).unwrap();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once(" = ").unwrap().1.to_owned()
    };
    let options = |user: &str| {
        StoreOptions::new()
            .set("endpoint", &world.emulator.ready().oci.endpoint)
            .set("config_file", "/nowhere/config")
            .set("tenancy", value("tenancy"))
            .set("user", user)
            .set("fingerprint", value("fingerprint"))
            .set("key_content", &key)
    };
    let url = bucket_url(&world.emulator).parse().unwrap();
    let store = client.store(&url, options(&value("user"))).unwrap();
    assert_eq!(read(&store, "k").await.unwrap(), bytes);
    let error = read(&client.store(&url, options("")).unwrap(), "k").await.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config, "{told}");
    assert!(told.contains("/nowhere/config"), "{told}");
    // Another's user: the 401 says where each value came from, and nothing of the key.
    let error = read(&client.store(&url, options("ocid1.user.oc1..x")).unwrap(), "k").await;
    let told = all_text(&error.unwrap_err());
    for part in ["401", "setting user", "setting key_content"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(!key.lines().any(|line| told.contains(line)), "{told}");
}

#[tokio::test]
async fn a_delegation_token_is_signed_with_every_request_and_read_again() {
    let world = with_profile(common::emulator(), "DELEGATED");
    let bytes = world.object("k", 100).await;
    // A listing, a ranged read twice (the second by a signature that is reused), a rename (its body is signed, too).
    let listed: Vec<_> = world.store.list("", ListOptions::new()).collect().await;
    assert_eq!(listed.len(), 1);
    for _ in 0..2 {
        assert_eq!(read_range(&world.store, "k", 10..20).await.unwrap(), bytes[10..20]);
    }
    world.store.rename("k", "l", RenameOptions::new()).await.unwrap();
    assert!(world.exchanges().iter().all(|(_, status)| status.unwrap() < 300));

    // A token that the emulator did not make is refused wherever it is sent: it was sent above.
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("token");
    std::fs::write(&bad, "bad.token.here").unwrap();
    let refused = World::on(common::emulator(), |config| {
        impatient(config, 2).delegation_token_file(bad.clone())
    });
    let error = read(&refused.store, "k").await.unwrap_err();
    let told = all_text(&error);
    assert_eq!(error.status(), Some(401), "{told}");
    assert!(told.contains(bad.to_str().unwrap()) && !told.contains("token.here"), "{told}");
    // Renewed by another, it is read again, and the 401 was the last word no longer.
    let theirs = state_folder(&refused.emulator).join("delegation_token");
    std::fs::copy(theirs, &bad).unwrap();
    assert!(read(&refused.store, "k").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn no_secret_is_told() {
    let (log, _listening) = Log::listen();
    let mut told = String::new();
    let mut secrets = Vec::new();
    for profile in ["DEFAULT", "WRONG", "SESSION", "EXPIRED", "DELEGATED"] {
        let world = with_profile(common::emulator(), profile);
        let folder = state_folder(&world.emulator);
        for name in [
            "key.pem",
            "wrong_key.pem",
            "session_key.pem",
            "token",
            "expired_token",
            "delegation_token",
        ] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('-')).collect();
            // Any line of it, and any part of a token, would be one too many.
            secrets.extend(body.iter().flat_map(|line| line.split('.')).map(str::to_owned));
        }
        for outcome in [
            read(&world.store, "absent").await.map(drop),
            world.store.put("k", &b"x"[..], PutOptions::new()).await.map(drop),
        ] {
            told += &outcome.err().map(|error| all_text(&error)).unwrap_or_default();
        }
        world.fault(status(503));
        told += &all_text(&read(&world.store, "k").await.unwrap_err());
        let World { client, store, .. } = &world;
        writeln!(told, "{client:?} {store:?} {:?}", client.metrics()).unwrap();
    }
    told += &log.lines().join("\n");
    assert!(told.len() > 1_000 && secrets.len() > 100);
    secrets.retain(|secret| secret.len() >= 16);
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret} is told");
    }
    for sign in ["Signature version", "rsa-sha256", "PRIVATE KEY"] {
        assert!(!told.contains(sign), "{sign} is told");
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_said_is_asked_for_once() {
    let world = World::new();
    world.object("k", 10).await;
    let store = store_at(&world.client, &format!("oci://{}/", common::BUCKET));
    for read in join_all((0..3).map(|_| read(&store, "k"))).await {
        assert_eq!(read.unwrap(), pattern(10));
    }
    let targets: Vec<String> = world.record().into_iter().map(|line| line.target).collect();
    let asked = targets.iter().filter(|target| matches!(target.as_str(), "/n" | "/n/")).count();
    assert_eq!((asked, targets.len()), (1, 4), "{targets:?}");

    let world = World::impatient(2);
    world.fault(status(503));
    let store = store_at(&world.client, &format!("oci://{}/", common::BUCKET));
    let error = read(&store, "k").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Server, Some(503)), "{error}");
    assert_eq!(world.record().len(), 2);
}

#[tokio::test]
async fn a_public_bucket_is_read_unsigned() {
    let world = World::new();
    world.object("open/k", 1_000).await;
    let anybody = client(
        storescope::Config::default()
            .endpoint(world.emulator.ready().oci.endpoint.clone())
            .auth(storescope::config::Auth::None),
    );
    let url = common::bucket_url(&world.emulator);
    let unsigned = store_at(&anybody, &url);
    let refused = unsigned.head("open/k").await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::BucketNotFound | ErrorKind::NotFound), "{refused}");
    let write = unsigned.put("k", &b"x"[..], PutOptions::new()).await.unwrap_err();
    assert_eq!(write.kind(), ErrorKind::Unauthenticated, "{write}");
    assert!(write.hint().unwrap().contains("unsigned"), "{write}");
    let namespace = &world.emulator.ready().oci.namespace;
    let bucket = format!("/n/{namespace}/b/{BUCKET}");
    common::signed_post(&world.emulator, &bucket, r#"{"publicAccessType":"ObjectRead"}"#);
    assert_eq!(read(&unsigned, "open/k").await.unwrap(), pattern(1_000));
    let listed: Vec<_> = unsigned.list("open/", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_pre_authenticated_request_is_a_source() {
    let world = World::new();
    let bytes = world.object("a b/é+", 1_000).await;
    let namespace = &world.emulator.ready().oci.namespace;
    let made = common::signed_post(
        &world.emulator,
        &format!("/n/{namespace}/b/{BUCKET}/p"),
        r#"{"name":"p","accessType":"ObjectRead","objectName":"a b/é+","timeExpires":"2100-01-01T00:00:00Z"}"#,
    );
    let par = made["accessUri"].as_str().unwrap();
    let url: storescope::StoreUrl =
        format!("{}{par}", world.emulator.ready().oci.endpoint).parse().unwrap();
    assert_eq!(url.key(), "a b/é+");
    let anybody = client(storescope::Config::default());
    let store = anybody.store(&url.with_key(""), StoreOptions::new()).unwrap();
    assert_eq!(read(&store, "a b/é+").await.unwrap(), bytes);
    let part = store.get("a b/é+", GetOptions::new().range(10..20)).await.unwrap();
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let other = store.head("other").await.unwrap_err();
    let token = par.split('/').nth(2).unwrap();
    assert!(!common::all_text(&other).contains(token), "{other}");
}

#[cfg(feature = "s3")]
mod s3_only {
    use super::*;
    use storescope::config::Secret;

    #[tokio::test]
    async fn a_wrong_secret_and_no_credentials_are_told() {
        let emulator = emulator();
        let wrong = common::s3_config(&emulator).secret_access_key(Secret::from("wrong"));
        let store = store_at(&client(wrong), &format!("s3://{BUCKET}/"));
        for error in [
            store.get("k", GetOptions::new()).await.unwrap_err(),
            store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
            assert!(
                !common::all_text(&error)
                    .contains(&emulator.ready().s3.as_ref().unwrap().secret_access_key)
            );
        }
    }

    #[tokio::test]
    async fn one_signature_serves_many_ranged_reads() {
        let emulator = emulator();
        let client = client(common::s3_config(&emulator));
        let store = store_at(&client, &format!("s3://{BUCKET}/"));
        store.put("k", pattern(100_000), PutOptions::new()).await.unwrap();
        for n in 0..20_u64 {
            let got = store.get("k", GetOptions::new().range(n * 10..n * 10 + 10)).await.unwrap();
            assert_eq!(
                got.bytes().await.unwrap(),
                pattern(100_000)[n as usize * 10..n as usize * 10 + 10]
            );
        }
        let snapshot = client.metrics().snapshot();
        let signed: u64 = snapshot
            .iter()
            .filter(|(key, _)| key.to_string().starts_with("attempt/get/sign/"))
            .map(|(_, times)| times.count())
            .sum();
        assert_eq!(signed, 1);
    }
}
