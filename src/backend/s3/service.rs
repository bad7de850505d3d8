// SPDX-License-Identifier: Apache-2.0
//! What a store of S3 finds out before its first request: endpoint, region, credentials, by aws-config's chain.

use super::connector::Connector;
use super::keys::Keys;
use super::signer::Signer;
use crate::config::{Auth, Config, PathStyle};
use crate::error::{ErrorKind, Failure, causes};
use crate::payload::Payload;
use crate::transport::{BaseUrl, Endpoint, Origin, Transport};
use crate::url::Scheme;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_lc_rs::digest;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sigv4::http_request::SignableBody;
use aws_types::service_config::ServiceConfigKey;
use hyper::Uri;
use hyper::header::HeaderValue;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) client: Client,
    pub(super) endpoint: Arc<Endpoint>,
    /// Scheme and host of the bucket's endpoint.
    pub(super) origin: String,
    pub(super) host: HeaderValue,
    /// What stands before `/key` in a request's path: nothing, or `/bucket`.
    pub(super) base: String,
    https: bool,
    pub(super) region: String,
    /// None signs nothing.
    pub(super) signer: Option<Signer>,
}

impl Service {
    pub(super) async fn load(
        config: &Config,
        bucket: Option<&str>,
        transport: &Arc<Transport>,
        given: Option<Keys>,
    ) -> Result<Service, Failure> {
        // Looked at first: the chain may ask the network.
        let ours = config.endpoint_of(Scheme::S3).map(BaseUrl::parse).transpose()?;
        let sdk = Box::pin(chain(config, transport, given.is_some())).await;
        let endpoint = match ours {
            Some(ours) => Some(ours),
            None => theirs(&sdk)?,
        };
        let settings = settings(config, &sdk, endpoint.as_ref());
        let at = Located::of(&settings, bucket.unwrap_or("bucket")).await?;
        let origin = Origin::parse(&at.origin)?;
        let host = HeaderValue::from_str(origin.authority())
            .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
        let keys = match (config.auth, given) {
            (Auth::None, _) => None,
            (_, Some(given)) => Some(given),
            (_, None) => Some(Keys::named(config, &sdk, transport)?),
        };
        let client = match &keys {
            None => Client::from_conf(settings),
            Some(keys) => {
                // They are held already.
                let held = settings.to_builder().identity_cache(IdentityCache::no_cache());
                Client::from_conf(held.credentials_provider(keys.clone()).build())
            }
        };
        let signer = keys.map(|keys| Signer::new(keys, at.region.clone(), at.service, config));
        Ok(Service {
            client,
            endpoint: transport.endpoint(&origin),
            https: at.origin.starts_with("https:"),
            origin: at.origin,
            host,
            base: at.base,
            region: at.region,
            signer,
        })
    }

    /// What a signature says of a body: its SHA-256, or, under TLS, nothing.
    pub(super) fn signable(&self, body: &Payload) -> SignableBody<'static> {
        if self.https {
            return SignableBody::UnsignedPayload;
        }
        let mut sha256 = digest::Context::new(&digest::SHA256);
        for piece in body.pieces() {
            sha256.update(piece);
        }
        let mut hex = String::with_capacity(64);
        for byte in sha256.finish().as_ref() {
            write!(hex, "{byte:02x}").expect("writing to memory");
        }
        SignableBody::Precomputed(hex)
    }
}

/// What the tools of AWS would use here, with our settings over it. `given`: the program gives out the credentials.
async fn chain(config: &Config, transport: &Arc<Transport>, given: bool) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Connector::new(transport))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(profile) = &config.aws_profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = config.region_of(Scheme::S3) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if given || config.auth == Auth::None {
        loader = loader.no_credentials();
    }
    if let Ok(name) = AppName::new("storescope") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// The endpoint that the settings of the AWS tools name: S3's own, else the one of all services.
fn theirs(sdk: &SdkConfig) -> Result<Option<BaseUrl>, Failure> {
    let of_s3 = || {
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        sdk.service_config()?.load_config(key.ok()?)
    };
    let named = of_s3().or_else(|| sdk.endpoint_url().map(str::to_owned));
    Ok(named.map(|url| BaseUrl::parse(&url)).transpose()?)
}

/// The SDK's settings: everything of its own that sends more than was asked, or again, is off.
fn settings(config: &Config, sdk: &SdkConfig, endpoint: Option<&BaseUrl>) -> aws_sdk_s3::Config {
    let mut builder = aws_sdk_s3::config::Builder::from(sdk)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .disable_s3_express_session_auth(true);
    if sdk.region().is_none() {
        // What servers other than AWS take for any; AWS tells the bucket's own in its answer.
        builder = builder.region(Region::new("us-east-1"));
    }
    let path_style = match config.s3_path_style {
        PathStyle::On => true,
        PathStyle::Off => false,
        PathStyle::Auto => endpoint.is_some(),
    };
    if let Some(endpoint) = endpoint {
        // The SDK appends the bucket to the URL as it is: without a slash, to the last name of its path.
        builder = builder.endpoint_url(endpoint.folder());
    }
    if path_style {
        builder = builder.force_path_style(true);
    }
    builder.build()
}

/// Where a bucket's requests go.
struct Located {
    origin: String,
    base: String,
    region: String,
    service: String,
}

impl Located {
    /// Asks the SDK, whose rules for partitions, dual stack, access points and path style are many: it presigns a read
    /// of an object named `k`, and what stands around that name is the endpoint. Nothing is sent.
    async fn of(settings: &aws_sdk_s3::Config, bucket: &str) -> Result<Located, Failure> {
        let nobody = Credentials::new("nobody", "nothing", None, None, "endpoint");
        let client = Client::from_conf(settings.to_builder().credentials_provider(nobody).build());
        let expiry = PresigningConfig::builder()
            .expires_in(Duration::from_mins(1))
            .start_time(SystemTime::UNIX_EPOCH)
            .build()
            .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
        let presigned =
            client.get_object().bucket(bucket).key("k").presigned(expiry).await.map_err(|e| {
                Failure::new(ErrorKind::Config)
                    .message(format!("the endpoint of the bucket is not known: {}", causes(&e)))
                    .hint("set region or endpoint")
            })?;
        let uri: Uri = presigned.uri().parse().map_err(|e: hyper::http::uri::InvalidUri| {
            Failure::new(ErrorKind::Config).message("the endpoint is no URL").source(e)
        })?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Failure::new(ErrorKind::Config).message("the endpoint is no URL"));
        };
        let base = uri.path().strip_suffix("/k").unwrap_or_default().to_owned();
        let (region, service) = scope_of(uri.query().unwrap_or_default()).ok_or_else(|| {
            Failure::new(ErrorKind::Config).message("the SDK signed for no region")
        })?;
        Ok(Located { origin: format!("{scheme}://{authority}"), base, region, service })
    }
}

/// Region and service of `X-Amz-Credential=id/date/region/service/aws4_request`.
fn scope_of(query: &str) -> Option<(String, String)> {
    let credential = query.split('&').find_map(|item| item.strip_prefix("X-Amz-Credential="))?;
    let mut parts = credential.split("%2F").skip(2);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}
