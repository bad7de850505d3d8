// SPDX-License-Identifier: Apache-2.0
//! Keys of a role by a login at IAM Identity Center (SSO): `aws sso login` leaves a token in a file, and one GET gives keys
//! for it. aws-config asks for this by two more SDKs; the token is renewed by the AWS command line alone.

use super::connector::Connector;
use crate::auth::AccessKey;
use crate::config::expand_home;
use crate::error::{ErrorKind, Failure};
use aws_lc_rs::digest;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use aws_types::os_shim_internal::{Env, Fs};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The endpoint, in place of the region's own.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_SSO";
const TOKEN: &str = "x-amz-sso_bearer_token";

/// What a profile says of a role.
struct Role {
    profile: String,
    account: String,
    name: String,
    region: String,
    /// What the file of the login is named after: the session, or the address of the portal.
    login: String,
}

/// The file that a login leaves.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    access_token: String,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    role_credentials: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds since 1970.
    expiration: u64,
}

/// The keys of the profile's role; `None` where the profile names none by a login.
pub(super) async fn keys(
    profile: Option<&str>,
    connector: &Connector,
) -> Result<Option<AccessKey>, Failure> {
    let Some(role) = Role::of(profile).await else { return Ok(None) };
    let token = role.token()?;
    role.ask(connector, &token).await.map(Some)
}

impl Role {
    #[expect(
        clippy::default_trait_access,
        reason = "the files' type has no name outside aws-runtime"
    )]
    async fn of(profile: Option<&str>) -> Option<Role> {
        let chosen = profile.map(|name| name.to_owned().into());
        let (fs, env) = (Fs::real(), Env::real());
        let files = aws_config::profile::load(&fs, &env, &Default::default(), chosen).await.ok()?;
        let session = files.get("sso_session");
        // What a session has goes before what the profile has of an older form.
        let of_session = |name: &'static str| files.sso_session(session?)?.get(name);
        let find =
            |name: &'static str| of_session(name).or_else(|| files.get(name)).map(str::to_owned);
        Some(Role {
            profile: files.selected_profile().to_owned(),
            account: find("sso_account_id")?,
            name: find("sso_role_name")?,
            region: find("sso_region")?,
            login: session.map(str::to_owned).or_else(|| find("sso_start_url"))?,
        })
    }

    fn file(&self) -> PathBuf {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.login.as_bytes());
        let mut name = String::with_capacity(45);
        for byte in hash.as_ref() {
            let _ = write!(name, "{byte:02x}");
        }
        expand_home("~/.aws/sso/cache").join(format!("{name}.json"))
    }

    /// The token of the login, while it is good.
    fn token(&self) -> Result<Zeroizing<String>, Failure> {
        let file = self.file();
        let text = std::fs::read(&file).map(Zeroizing::new);
        let text = text
            .map_err(|e| self.refused(format!("there is no login {}", file.display())).source(e))?;
        let login: Login = serde_json::from_slice(&text)
            .map_err(|_| self.refused(format!("{} is no login", file.display())))?;
        let token = Zeroizing::new(login.access_token);
        let ends = DateTime::from_str(&login.expires_at, Format::DateTime).ok();
        let ends = ends.and_then(|ends| SystemTime::try_from(ends).ok());
        if ends.is_some_and(|ends| ends <= SystemTime::now()) {
            return Err(self.refused(format!("the login expired at {}", login.expires_at)));
        }
        Ok(token)
    }

    async fn ask(&self, connector: &Connector, token: &str) -> Result<AccessKey, Failure> {
        let of_region = || format!("https://portal.sso.{}.amazonaws.com", self.region);
        let endpoint = std::env::var(ENDPOINT).ok().filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.unwrap_or_else(of_region);
        let [role, account] =
            [&self.name, &self.account].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
        let url = format!(
            "{}/federation/credentials?role_name={role}&account_id={account}",
            endpoint.trim_end_matches('/')
        );
        let mut request = HttpRequest::new(SdkBody::empty());
        request
            .set_uri(url)
            .map_err(|e| self.refused("its endpoint is no URL".to_owned()).source(e))?;
        request.headers_mut().insert(TOKEN, token.to_owned());
        let answer = connector.call(request).await;
        let answer = answer.map_err(|e| self.refused("no answer".to_owned()).source(e))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(self.refused(format!("answered {status}")));
        }
        let answer: Answer = serde_json::from_slice(answer.body().bytes().unwrap_or_default())
            .map_err(|_| self.refused("the answer is not the JSON that is expected".to_owned()))?;
        let Given { access_key_id, secret_access_key, session_token, expiration } =
            answer.role_credentials;
        Ok(AccessKey {
            id: access_key_id,
            secret: Zeroizing::new(secret_access_key),
            token: Some(Zeroizing::new(session_token)),
            ends: Some(UNIX_EPOCH + Duration::from_millis(expiration)),
        })
    }

    fn refused(&self, why: String) -> Failure {
        let Role { profile, account, name, .. } = self;
        let mut failure = Failure::new(ErrorKind::Unauthenticated)
            .message(format!("IAM Identity Center, role {name} of {account}: {why}"))
            .hint(format!("run `aws sso login --profile {profile}`"));
        failure.unsent = true;
        failure
    }
}
