// SPDX-License-Identifier: Apache-2.0
//! The access keys that requests are signed with: of the settings, of the AWS tools' chain, or of the program's own
//! `Credentials`. Held and renewed ahead of their end as OCI's identities are (`auth/principal/renewing.rs`), for our own
//! requests and for those of the SDK.

use super::connector::Connector;
use super::sso;
use crate::auth::{AccessKey, Fetching, Renewing, Source};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Failure, causes};
use crate::transport::Transport;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What aws-config says of a profile that it would need a feature for.
const UNBUILT: &str = "cargo feature";

/// What keys come from.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) renewing: Renewing<AccessKey>,
    /// Whether the program gives them out: it may give another in place of one that is refused.
    pub(super) of_program: bool,
}

impl Keys {
    /// Those that the program gives out.
    pub(super) fn of_program(renewing: Renewing<AccessKey>) -> Keys {
        Keys { renewing, of_program: true }
    }

    /// Those of the settings, else what the AWS tools would use.
    pub(super) fn named(
        config: &Config,
        sdk: &SdkConfig,
        transport: &Arc<Transport>,
    ) -> Result<Keys, Failure> {
        let renewing = match Set::of(config) {
            Some(set) => {
                let first = set.0.clone().fetched();
                Renewing::holding(Box::new(set), first)
            }
            None => {
                let chain = Chain {
                    provider: sdk.credentials_provider().ok_or_else(|| lacking(None))?,
                    profile: config.aws_profile.clone(),
                    connector: Connector::new(transport),
                };
                Renewing::new(Box::new(chain))
            }
        };
        Ok(Keys { renewing, of_program: false })
    }

    pub(super) async fn held_or_asked(&self) -> Result<Arc<AccessKey>, Failure> {
        match self.renewing.held() {
            Some(key) => Ok(key),
            None => self.renewing.obtain().await,
        }
    }

    /// Whether another key may be given in place of one that was refused, for its session token or not.
    pub(super) fn may_differ(&self, of_token: bool) -> bool {
        let ends = || self.renewing.held().is_none_or(|key| key.ends.is_some());
        self.of_program || of_token && ends()
    }
}

/// A key as the SDK has it.
pub(super) fn credentials(key: &AccessKey) -> Credentials {
    let token = key.token.as_ref().map(|token| token.to_string());
    Credentials::new(key.id.as_str(), key.secret.as_str(), token, key.ends, "storescope")
}

/// The same keys for the SDK's requests.
impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            match self.held_or_asked().await {
                Ok(key) => Ok(credentials(&key)),
                Err(failure) => Err(CredentialsError::provider_error(Error::from(failure))),
            }
        })
    }
}

/// A key of the settings.
#[derive(Debug)]
struct Set(AccessKey);

impl Set {
    fn of(config: &Config) -> Option<Set> {
        let (id, secret) = (config.access_key_id.as_ref()?, config.secret_access_key.as_ref()?);
        let token = config.session_token.as_ref();
        Some(Set(AccessKey {
            id: id.clone(),
            secret: Zeroizing::new(secret.reveal().to_owned()),
            token: token.map(|token| Zeroizing::new(token.reveal().to_owned())),
            ends: None,
        }))
    }
}

impl Source<AccessKey> for Set {
    fn fetch(&self) -> Fetching<'_, AccessKey> {
        Box::pin(std::future::ready(Ok(self.0.clone().fetched())))
    }

    fn mends(&self) -> bool {
        false
    }

    fn advice(&self) -> String {
        String::new()
    }
}

/// None of them had any.
fn lacking(error: Option<CredentialsError>) -> Failure {
    let mut failure = Failure::new(ErrorKind::Config)
        .message("there are no credentials for S3")
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile of the AWS tools, or auth=none");
    failure.unsent = true;
    match error {
        Some(error) => failure.source(error),
        None => failure,
    }
}

/// What the AWS tools would use: environment, profile, web identity, container, instance.
#[derive(Debug)]
struct Chain {
    provider: SharedCredentialsProvider,
    profile: Option<String>,
    connector: Connector,
}

impl Source<AccessKey> for Chain {
    fn fetch(&self) -> Fetching<'_, AccessKey> {
        Box::pin(async {
            let given = match self.provider.provide_credentials().await {
                Ok(given) => given,
                // A profile of IAM Identity Center: aws-config is built without it.
                Err(error) if causes(&error).contains(UNBUILT) => {
                    let key = sso::keys(self.profile.as_deref(), &self.connector).await?;
                    return key.map(AccessKey::fetched).ok_or_else(|| lacking(Some(error)));
                }
                Err(error) => return Err(lacking(Some(error))),
            };
            let token = given.session_token();
            let key = AccessKey {
                id: given.access_key_id().to_owned(),
                secret: Zeroizing::new(given.secret_access_key().to_owned()),
                token: token.map(|token| Zeroizing::new(token.to_owned())),
                ends: given.expiry(),
            };
            Ok(key.fetched())
        })
    }

    fn advice(&self) -> String {
        String::new()
    }
}
