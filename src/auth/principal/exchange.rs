// SPDX-License-Identifier: Apache-2.0
//! A token of somebody else's, exchanged at an identity domain for a session token of a key made for it (UPST).

use super::given::Given;
use super::instance::TokenAnswer;
use super::renewing::{Fetched, Fetching, Source};
use super::token;
use crate::auth::web::{Ask, Web};
use crate::config::{Config, Secret};
use crate::error::{Error, Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::AUTHORIZATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');

#[derive(Debug)]
pub(super) struct TokenExchange {
    web: Arc<Web>,
    url: String,
    client_id: String,
    client_secret: Secret,
    subject: Given,
}

impl TokenExchange {
    pub(super) fn new(config: &Config, web: &Arc<Web>) -> Result<TokenExchange> {
        let lacks = |name: &str| {
            let variable = name.to_ascii_uppercase();
            Error::config(format!("auth=token_exchange needs {name} (STORESCOPE_{variable})"))
        };
        let domain = config.identity_domain.as_deref().ok_or_else(|| lacks("identity_domain"))?;
        let file =
            config.subject_token_file.as_deref().ok_or_else(|| lacks("subject_token_file"))?;
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Ok(TokenExchange {
            web: Arc::clone(web),
            url: format!("{}/oauth2/v1/token", domain.trim_end_matches('/')),
            client_id: config
                .identity_client_id
                .clone()
                .ok_or_else(|| lacks("identity_client_id"))?,
            client_secret: config
                .identity_client_secret
                .clone()
                .ok_or_else(|| lacks("identity_client_secret"))?,
            subject: Given::new("subject_token_file", file.to_string_lossy().into_owned()),
        })
    }

    async fn exchange(&self) -> Result<Fetched, Failure> {
        let subject = self.subject.read()?;
        let session = token::session_key().await?;
        let key = STANDARD.encode(session.public_key().spki_der());
        let mut form = Zeroizing::new(String::with_capacity(1024 + subject.len() * 3));
        for (name, value) in [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:oci:token-type:oci-upst"),
            ("subject_token", subject.as_str()),
            ("subject_token_type", "jwt"),
            ("public_key", key.as_str()),
        ] {
            let and = if form.is_empty() { "" } else { "&" };
            form.extend([and, name, "="].into_iter().chain(utf8_percent_encode(value, FORM)));
        }
        let client = Zeroizing::new(format!("{}:{}", self.client_id, self.client_secret.reveal()));
        let client = Zeroizing::new(STANDARD.encode(client.as_bytes()));
        let answer = self.web.ask(Ask {
            what: "the identity domain",
            method: Method::POST,
            url: self.url.clone(),
            headers: vec![(AUTHORIZATION, Zeroizing::new(format!("Basic {}", *client)))],
            body: Some((
                "application/x-www-form-urlencoded",
                Zeroizing::new(form.as_bytes().to_vec()),
            )),
            signed: None,
        });
        let answer = answer.await?;
        let TokenAnswer { token } = answer.json()?;
        let fetched = token::identity(&token, session, answer.date)?;
        Ok(Fetched { half: true, ..fetched })
    }
}

impl Source for TokenExchange {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.exchange())
    }

    fn advice(&self) -> String {
        format!(
            "the request was signed with a token that {} gave for that of {}",
            self.url,
            self.subject.place()
        )
    }
}
