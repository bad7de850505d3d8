// SPDX-License-Identifier: Apache-2.0
//! Who signs on S3 where no setting says it: what the AWS tools would use, each once. The store is the emulator; what gives
//! out keys is a server of the test's, which answers as AWS's services do. Each runs in a process of its own, whose
//! environment and files say who signs.

use crate::common::server::{reply, scripted};
use crate::common::{self, all_text, client, pattern, read, store_at};
use futures_util::TryStreamExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use storescope::{
    Config, Credential, CredentialFuture, Credentials, ErrorKind, ListOptions, PutOptions,
    StoreOptions,
};
use storescope_emulator::{Emulator, S3Ready};

fn s3(emulator: &Emulator) -> S3Ready {
    emulator.ready().s3.clone().expect("the emulator is built with S3")
}

/// The answer of AWS's security token service.
fn assumed(s3: &S3Ready, action: &str) -> Option<String> {
    let S3Ready { access_key_id, secret_access_key, session_token, .. } = s3;
    let xml = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{access_key_id}</AccessKeyId><SecretAccessKey>{secret_access_key}</SecretAccessKey>\
         <SessionToken>{session_token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>ARO:session</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
         </AssumedRoleUser></{action}Result></{action}Response>"
    );
    reply("200 OK", "content-type: text/xml\r\n", &xml)
}

/// The document that instances, containers and processes give.
fn document(s3: &S3Ready) -> String {
    serde_json::json!({
        "Version": 1, "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
        "AccessKeyId": s3.access_key_id, "SecretAccessKey": s3.secret_access_key,
        "Token": s3.session_token, "SessionToken": s3.session_token, "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

/// Runs in a process of its own, whose environment says who signs.
#[tokio::test]
#[ignore = "run by the other tests of this module"]
async fn as_the_aws_tools_would() {
    let store = store_at(&client(Config::from_env().unwrap()), "s3://bucket/");
    if let Ok(kind) = std::env::var("TEST_REFUSED") {
        let error = store.put("k", pattern(100), PutOptions::new()).await.unwrap_err();
        assert_eq!(format!("{:?}", error.kind()), kind, "{error}");
        println!("told: {}", all_text(&error).replace('\n', " "));
        return;
    }
    store.put("k", pattern(100), PutOptions::new()).await.unwrap();
    assert_eq!(read(&store, "k").await.unwrap(), pattern(100));
    let listed: Vec<_> = store.list("", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1, "requests of the SDK are signed by the same");
}

struct World {
    emulator: Emulator,
    s3: S3Ready,
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    fn new() -> World {
        let emulator = common::emulator();
        let s3 = s3(&emulator);
        World { emulator, s3, folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn set(mut self, name: &str, value: impl Into<String>) -> World {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Writes a file that a variable names.
    fn file(self, variable: &str, text: &str) -> World {
        let path = self.path(&variable.to_lowercase());
        std::fs::write(&path, text).unwrap();
        self.set(variable, path)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The process, and what it says.
    fn run(&self) -> String {
        let absent = self.path("absent");
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "aws_principals::as_the_aws_tools_would", "--ignored", "--nocapture"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("AWS_CONFIG_FILE", &absent)
            .env("AWS_SHARED_CREDENTIALS_FILE", &absent)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_REGION", &self.s3.region)
            .env("STORESCOPE_ENDPOINT", &self.s3.endpoint)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}{errors}");
        said
    }

    /// Whether the store was asked, and refused nothing.
    fn is_served(&self) -> bool {
        let requests = self.emulator.admin().record(None);
        !requests.is_empty() && requests.iter().all(|line| line.status == Some(200))
    }
}

#[test]
fn a_profile_has_keys() {
    let world = World::new();
    let s3 = &world.s3;
    let text = format!(
        "[default]\naws_access_key_id=wrong\naws_secret_access_key=wrong\n[lake]\naws_access_key_id={}\naws_secret_access_key={}\naws_session_token={}\n",
        s3.access_key_id, s3.secret_access_key, s3.session_token
    );
    let world = world.file("AWS_SHARED_CREDENTIALS_FILE", &text).set("AWS_PROFILE", "lake");
    world.run();
    assert!(world.is_served());
}

#[test]
fn a_profile_assumes_a_role_by_the_keys_of_another() {
    let world = World::new();
    let role = world.s3.clone();
    let (sts, asked) = scripted(move |asked| {
        // By the keys of the other profile.
        assert!(asked.header("authorization").unwrap().contains("Credential=SOURCE/"));
        assumed(&role, "AssumeRole")
    });
    let keys = "[source]\naws_access_key_id=SOURCE\naws_secret_access_key=secret\n";
    let profile = "[profile lake]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=source\n";
    let world = world
        .file("AWS_SHARED_CREDENTIALS_FILE", keys)
        .file("AWS_CONFIG_FILE", profile)
        .set("AWS_PROFILE", "lake")
        .set("AWS_ENDPOINT_URL_STS", sts);
    world.run();
    assert!(world.is_served());
    assert_eq!(asked.lock().unwrap().len(), 1, "once for all requests, ours and the SDK's");
}

#[test]
fn a_pod_assumes_a_role_by_its_web_identity() {
    let world = World::new();
    let role = world.s3.clone();
    let (sts, asked) = scripted(move |asked| {
        assert!(asked.header("authorization").is_none(), "the token says who asks");
        assumed(&role, "AssumeRoleWithWebIdentity")
    });
    let world = world
        .file("AWS_WEB_IDENTITY_TOKEN_FILE", "a.b.c")
        .set("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
        .set("AWS_ROLE_SESSION_NAME", "session")
        .set("AWS_ENDPOINT_URL_STS", sts);
    world.run();
    assert!(world.is_served());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_process_gives_keys() {
    let world = World::new();
    let given = world.path("given.json");
    std::fs::write(&given, document(&world.s3)).unwrap();
    let profile = format!("[default]\ncredential_process=cat {given}\n");
    let world = world.file("AWS_CONFIG_FILE", &profile);
    world.run();
    assert!(world.is_served());
}

#[test]
fn a_container_is_given_keys() {
    let world = World::new();
    let given = document(&world.s3);
    let (container, asked) = scripted(move |asked| {
        assert!(asked.is("GET", "/credentials") && asked.header("authorization") == Some("secret"));
        reply("200 OK", "content-type: application/json\r\n", &given)
    });
    let world = world
        .set("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{container}/credentials"))
        .set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret");
    world.run();
    assert!(world.is_served());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn an_instance_is_told_keys_by_its_metadata() {
    let world = World::new();
    let given = document(&world.s3);
    let (metadata, asked) = scripted(move |asked| {
        if asked.is("PUT", "/latest/api/token") {
            return reply("200 OK", "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", "t");
        }
        assert_eq!(asked.header("x-aws-ec2-metadata-token"), Some("t"), "version 2");
        match asked.target.trim_end_matches('/').rsplit('/').next() {
            Some("security-credentials") => reply("200 OK", "", "role"),
            Some("role") if asked.target.contains("security-credentials/") => {
                reply("200 OK", "", &given)
            }
            _ => reply("404 Not Found", "", ""),
        }
    });
    let world = world
        .set("AWS_EC2_METADATA_DISABLED", "false")
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    world.run();
    assert!(world.is_served());
    assert!(asked.lock().unwrap().iter().any(|asked| asked.target.ends_with("/role")));
}

/// The login of a profile, as `aws sso login` leaves it: its file is named by the SHA-1 of `dev`.
fn login(world: &World, ends: &str) {
    let cache = world.folder.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let login =
        serde_json::json!({ "accessToken": "login", "expiresAt": ends, "region": "us-east-1" });
    let file = cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    std::fs::write(file, login.to_string()).unwrap();
}

const SSO: &str = "[default]\nsso_session=dev\nsso_account_id=123\nsso_role_name=reads\n\
    [sso-session dev]\nsso_region=us-east-1\nsso_start_url=https://d.awsapps.com/start\n";

#[test]
fn a_login_at_the_identity_center_gives_the_keys_of_a_role() {
    let world = World::new();
    let S3Ready { access_key_id, secret_access_key, session_token, .. } = world.s3.clone();
    let (portal, asked) = scripted(move |asked| {
        assert_eq!(asked.target, "/federation/credentials?role_name=reads&account_id=123");
        assert_eq!(asked.header("x-amz-sso_bearer_token"), Some("login"));
        let given = serde_json::json!({ "roleCredentials": {
            "accessKeyId": access_key_id, "secretAccessKey": secret_access_key,
            "sessionToken": session_token, "expiration": 4_070_908_800_000_u64,
        }});
        reply("200 OK", "content-type: application/json\r\n", &given.to_string())
    });
    login(&world, "2099-01-01T00:00:00Z");
    let world = world.file("AWS_CONFIG_FILE", SSO).set("AWS_ENDPOINT_URL_SSO", portal);
    world.run();
    assert!(world.is_served());
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_login_that_is_not_there_or_has_ended_is_told() {
    let world = World::new().file("AWS_CONFIG_FILE", SSO).set("TEST_REFUSED", "Unauthenticated");
    assert!(world.run().contains("aws sso login --profile default"));
    login(&world, "2020-01-01T00:00:00Z");
    let told = world.run();
    assert!(told.contains("expired at 2020") && told.contains("aws sso login"), "{told}");
    assert!(!told.contains("accessToken"), "{told}");
}

#[test]
fn nobody_is_told() {
    let told = World::new().set("TEST_REFUSED", "Config").run();
    assert!(told.contains("no credentials for S3") && told.contains("AWS_ACCESS_KEY_ID"), "{told}");
}

/// Gives a role's keys, the first of which are refused.
#[derive(Debug)]
struct Vault {
    s3: S3Ready,
    asked: Arc<AtomicUsize>,
}

impl Credentials for Vault {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            let token = if self.asked.fetch_add(1, Relaxed) == 0 {
                "old"
            } else {
                self.s3.session_token.as_str()
            };
            let S3Ready { access_key_id, secret_access_key, .. } = &self.s3;
            let key = Credential::access_key(access_key_id, secret_access_key, Some(token));
            Ok(key.ends(SystemTime::now() + Duration::from_mins(30)))
        })
    }
}

#[tokio::test]
async fn a_program_gives_out_keys_itself() {
    let emulator = common::emulator();
    let s3 = s3(&emulator);
    let asked = Arc::new(AtomicUsize::new(0));
    let vault: Arc<dyn Credentials> = Arc::new(Vault { s3: s3.clone(), asked: Arc::clone(&asked) });
    let config = Config::default().endpoint(s3.endpoint.clone()).region(s3.region.clone());
    let client = client(config);
    let open = |vault: &Arc<dyn Credentials>| {
        let options = StoreOptions::new().shared_credentials(Arc::clone(vault));
        client.store(&"s3://bucket/".parse().unwrap(), options).unwrap()
    };
    let store = open(&vault);
    store.put("k", pattern(10), PutOptions::new()).await.unwrap();
    assert_eq!(asked.load(Relaxed), 2, "asked again after the refusal");
    let listed: Vec<_> = open(&vault).list("", ListOptions::new()).try_collect().await.unwrap();
    assert_eq!((listed.len(), asked.load(Relaxed)), (1, 2), "shared by stores, and by the SDK");
}

/// Has none.
#[derive(Debug)]
struct Sealed;

impl Credentials for Sealed {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async { Err(std::io::Error::other("sealed").into()) })
    }
}

#[tokio::test]
async fn what_a_program_fails_with_is_the_source_of_the_error() {
    let emulator = common::emulator();
    let s3 = s3(&emulator);
    for url in ["s3://bucket/".to_owned(), common::bucket_url(&emulator)] {
        let endpoint =
            if url.starts_with("s3") { &s3.endpoint } else { &emulator.ready().oci.endpoint };
        let client = client(Config::default().endpoint(endpoint.clone()).region(s3.region.clone()));
        let options = StoreOptions::new().credentials(Sealed);
        let store = client.store(&url.parse().unwrap(), options).unwrap();
        let listed = store.list("", ListOptions::new()).try_collect::<Vec<_>>().await;
        for error in [store.head("k").await.unwrap_err(), listed.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.downcast_ref::<std::io::Error>().is_some(), "{error:?}");
            assert!(error.to_string().contains("sealed"), "{error}");
        }
    }
}
