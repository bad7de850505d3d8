// SPDX-License-Identifier: Apache-2.0
//! One table of settings, each with one name everywhere: builder, store option, command line, Python keyword and
//! environment variable `STORESCOPE_…`. `docs/CONFIG.md` is made from it.
//!
//! The order, first found first taken: what the caller set · `STORESCOPE_…` · the field's own environment
//! (`OCI_CLI_…`, `OCI_…`) · the profile in the OCI configuration file · the default.
//!
//! `value.rs` has what the text of a setting may be, `listen.rs` the address of a server, `profile.rs` a profile of the OCI configuration file, `ini.rs` the
//! file's syntax, `region.rs` the regions and their realms, `variables.rs` the variables `STORESCOPE_…` that name no setting.

use crate::error::{Error, Result};
use crate::url::{Scheme, redacted};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ini;
mod listen;
mod profile;
mod region;
mod value;
mod variables;

pub use listen::Listen;
pub use profile::DEFAULT_FILES;
pub(crate) use profile::{Dated, Profile, Source};
pub(crate) use region::{Region, RegionInfo, Regions};
use value::Value;
pub use value::{Auth, PathStyle, Secret, TraceNames, parse_duration, parse_size};
pub(crate) use value::{Certificates, expand_home};

/// A row of the table of settings.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// The name: builder, option (with `-` for `_`), Python keyword.
    pub name: &'static str,
    /// What its text may be.
    pub kind: &'static str,
    /// Other environment variables that are read, after `STORESCOPE_<NAME>`.
    pub also: &'static [&'static str],
    /// Whether a single store may have its own; otherwise it belongs to the client.
    pub per_store: bool,
    /// Whether it is a secret, which is taken from the environment or from code, and never from a command line.
    pub secret: bool,
    /// What it does, in Markdown.
    pub doc: &'static str,
    default: fn() -> String,
}

impl Setting {
    /// The environment variable of this setting.
    pub fn variable(&self) -> String {
        format!("STORESCOPE_{}", self.name.to_ascii_uppercase())
    }

    /// The text of its default; empty where there is none.
    pub fn default(&self) -> String {
        (self.default)()
    }
}

macro_rules! settings {
    ($($level:ident $name:ident: $type:ty = $default:expr, $also:expr, $doc:literal;)+) => {
        /// Every setting, typed. Made by [`Config::from_env`] or [`Config::default`], changed by [`Config::set`] or
        /// by the method of its name.
        #[derive(Clone, PartialEq)]
        pub struct Config {
            $(pub(crate) $name: $type,)+
            /// Settings that the environment gave, each with its variable.
            variables: Vec<(&'static str, String)>,
            /// What a client trusts where `ca_bundle` is not set.
            pub(crate) certificates: Option<Certificates>,
        }

        impl Default for Config {
            fn default() -> Config { Config { $($name: $default,)+ variables: Vec::new(), certificates: None } }
        }

        impl std::fmt::Debug for Config {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Secrets show nothing; an endpoint may be given with a password in it, and is refused only when used.
                f.debug_struct("Config")
                    $(.field(stringify!($name), &redacted(&Value::show(&self.$name))))+
                    .finish()
            }
        }

        impl Config {
            /// Sets one setting from text.
            pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
                let name = name.replace('-', "_");
                self.variables.retain(|(given, _)| *given != name);
                let parsed = match name.as_str() {
                    $(stringify!($name) => <$type as Value>::parse(text).map(|value| self.$name = value),)+
                    _ => return Err(Error::config(format!("there is no setting {name:?}; docs/CONFIG.md lists them"))),
                };
                parsed.map_err(|why| {
                    let secret = SETTINGS.iter().any(|setting| setting.name == name && setting.secret);
                    let text = if secret { "…" } else { text };
                    Error::config(format!("{name}={text:?}: {why}"))
                })
            }

            /// These settings with those of level *store* at their defaults: two configurations for which this is equal can
            /// share a client.
            #[must_use]
            pub fn of_client(&self) -> Config {
                let mut config = self.clone();
                $(settings!(@forget $level, config.$name, $default);)+
                config.variables.retain(|(given, _)| {
                    SETTINGS.iter().any(|setting| setting.name == *given && !setting.per_store)
                });
                config
            }

            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(mut self, value: impl Into<$type>) -> Config {
                    self.$name = value.into();
                    self.variables.retain(|(given, _)| *given != stringify!($name));
                    self
                }
            )+
        }

        /// The table of settings.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            kind: <$type as Value>::KIND,
            also: &$also,
            per_store: settings!(@level $level),
            secret: settings!(@secret $level),
            doc: $doc,
            default: || {
                let value: $type = $default;
                value.show()
            },
        },)+];
    };
    (@forget client, $value:expr, $default:expr) => {};
    (@forget client_secret, $value:expr, $default:expr) => {};
    (@forget $store:ident, $value:expr, $default:expr) => { $value = $default };
    (@level client) => { false };
    (@level client_secret) => { false };
    (@level $store:ident) => { true };
    (@secret secret) => { true };
    (@secret client_secret) => { true };
    (@secret $open:ident) => { false };
}

settings! {
    store endpoint: Option<String> = None, ["OCI_CLI_ENDPOINT"], "The service's URL, such as `http://127.0.0.1:8080` or `https://host/storage/v1`: all requests lie below its path. Without it, it is made from the region. `OCI_CLI_ENDPOINT` is not read for S3.";
    store oci_endpoint: Option<String> = None, [], "The endpoint of `oci://` stores alone, in place of `endpoint`.";
    store s3_endpoint: Option<String> = None, [], "The endpoint of `s3://` stores alone, in place of `endpoint`. Without both, that of the AWS tools (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, their profile), else it is made from the region.";
    store region: Option<String> = None, ["OCI_CLI_REGION", "OCI_REGION"], "The region, such as `us-ashburn-1` or its short code `iad`. Without it, the profile's. `OCI_CLI_REGION` and `OCI_REGION` are not read for S3.";
    store oci_region: Option<String> = None, [], "The region of `oci://` stores alone, in place of `region`.";
    store s3_region: Option<String> = None, [], "The region of `s3://` stores alone, in place of `region`. Without both, that of the AWS tools (`AWS_REGION`, their profile).";
    store config_file: Option<PathBuf> = None, ["OCI_CLI_CONFIG_FILE", "OCI_CONFIG_FILE"], "The OCI configuration file. Without it, `~/.oci/config`, then `~/.oraclebmc/config`.";
    store profile: Option<String> = None, ["OCI_CLI_PROFILE"], "The profile in that file. Without it, `DEFAULT`. Other profiles inherit from `DEFAULT` what they lack.";
    store auth: Auth = Auth::Auto, ["OCI_CLI_AUTH"], "Who signs, by the names of Oracle's tools: `api_key`, `security_token` (a session, renewed ahead of its end), `instance_principal`, `instance_obo_user` (the instance, with a delegation token), `resource_principal`, `oke_workload_identity`, `token_exchange` (a token of another identity provider, at an identity domain). `auto`: what the settings below name, else the profile (its `authentication_type`, else a session where it has a `security_token_file`, else its API key); where it names no key, the first that works of the resource principal (`OCI_RESOURCE_PRINCIPAL_VERSION`), the OKE workload identity and the instance. `none`: nobody, for public buckets and pre-authenticated requests. On S3 all but `none` mean the credentials below, then those of the AWS tools.";
    store tenancy: Option<String> = None, ["OCI_CLI_TENANCY"], "The tenancy's OCID. Without it and those down to `delegation_token_file`, the profile's; with all that the principal needs, no configuration file is needed.";
    store user: Option<String> = None, ["OCI_CLI_USER"], "The OCID of the user whose API key signs.";
    store fingerprint: Option<String> = None, ["OCI_CLI_FINGERPRINT"], "The fingerprint of that key.";
    store key_file: Option<PathBuf> = None, ["OCI_CLI_KEY_FILE"], "The PEM file of the private key.";
    secret key_content: Option<Secret> = None, ["OCI_CLI_KEY_CONTENT"], "The private key itself, in PEM, in place of `key_file`.";
    secret pass_phrase: Option<Secret> = None, ["OCI_CLI_PASSPHRASE"], "The passphrase of an encrypted private key.";
    store security_token_file: Option<PathBuf> = None, ["OCI_CLI_SECURITY_TOKEN_FILE"], "The file of a session token (`oci session authenticate`), read again when it changes.";
    store delegation_token_file: Option<PathBuf> = None, ["OCI_DELEGATION_TOKEN_FILE", "OCI_CLI_DELEGATION_TOKEN_FILE"], "The file of a delegation token (`opc-obo-token`): requests are made on behalf of whom it names. Read again when it changes.";
    store auth_endpoint: Option<String> = None, ["OCI_SDK_AUTH_CLIENT_REGION_URL", "OCI_CLI_FEDERATION_ENDPOINT"], "The URL of the identity service, for instances and sessions. Without it, `https://auth.REGION.DOMAIN`.";
    store metadata_endpoint: Option<String> = None, ["OCI_METADATA_BASE_URL"], "The URL of the instance's metadata service. Without it, `http://169.254.169.254/opc/v2`, and `http://[fd00:c1::a9fe:a9fe]/opc/v2` where there is no way to that.";
    store workload_endpoint: Option<String> = None, [], "The URL of an OKE cluster's token service. Without it, `https://$KUBERNETES_SERVICE_HOST:12250`. Trusted is the certificate of `OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH`, else of the pod's service account.";
    store service_account_token_file: Option<PathBuf> = None, [], "The file of a pod's service account token. Without it, `/var/run/secrets/kubernetes.io/serviceaccount/token`. Read again for each new session.";
    store identity_domain: Option<String> = None, [], "The URL of the identity domain that exchanges a token (`token_exchange`), such as `https://idcs-….identity.oraclecloud.com`.";
    store identity_client_id: Option<String> = None, [], "The id of the client that asks the domain.";
    secret identity_client_secret: Option<Secret> = None, [], "The secret of that client.";
    store subject_token_file: Option<PathBuf> = None, [], "The file of the token (JWT) that the domain is to exchange. Read again for each new session.";
    store realm_endpoint: bool = false, ["OCI_REALM_SPECIFIC_SERVICE_ENDPOINT_TEMPLATE_ENABLED"], "Make the endpoint from namespace and region as the realm has it: `https://NAMESPACE.objectstorage.REGION.oci.customer-oci.com`. In a realm without such endpoints, as without this.";
    store access_key_id: Option<String> = None, [], "S3: the access key's id. Without it, the chain of the AWS tools: environment, profile, web identity, container, instance.";
    secret secret_access_key: Option<Secret> = None, [], "S3: the secret of that key.";
    secret session_token: Option<Secret> = None, [], "S3: the session token of that key, where it has one.";
    store aws_profile: Option<String> = None, ["AWS_PROFILE"], "S3: the profile in the AWS tools' files.";
    store s3_path_style: PathStyle = PathStyle::Auto, [], "S3: `true` puts the bucket into the path, `false` into the host name, `auto` into the path where an endpoint is set.";
    store compartment: Option<String> = None, [], "The compartment's OCID for the creation and listing of buckets. Without it, the tenancy's root.";
    store signature_reuse: Duration = Duration::from_mins(1), [], "How long one signature serves the requests it covers: ranged reads of one object differ only in unsigned headers. `0s` signs each request. Not yet tried against the live service: a 401 on a reused signature turns the reuse off for that store.";
    store adjust_clock: bool = true, [], "When the store says 401 and its clock is more than 4 minutes from ours: sign by its clock, with a warning.";
    store verify: bool = true, [], "Check whole objects against the CRC32C or MD5 that the store sends, and send CRC32C with each write.";
    store part_size: u64 = 16 << 20, [], "The bytes of a part of a write by parts; smaller writes go by one request. Writes of unknown length grow it: twice as large after each thousand parts.";
    store part_concurrency: u32 = 4, [], "Parts of one write that are sent at once. A write holds at most one part more than these in memory.";
    store copy_part_size: u64 = 1 << 30, [], "On S3, larger objects are copied inside the service by parts of this size, at most 5 GiB.";
    client ca_bundle: Option<PathBuf> = None, ["OCI_CLI_CERT_BUNDLE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"], "Certificates to trust instead of the platform's: a file of any number in PEM or of one in DER, or a folder of such PEM files. Each is trusted as an authority; a server's own certificate that is among them is trusted for its names until it expires, whoever signed it. Without it, those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the platform's.";
    client_secret http_proxy: Option<Secret> = None, ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"], "The proxy of endpoints with http: `http://host:port` (CONNECT) or `socks5://host:port`, with `user:password@` where it asks for them. 127.0.0.1, ::1, localhost and 169.254.169.254 are never proxied.";
    client_secret https_proxy: Option<Secret> = None, ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"], "The proxy of endpoints with https.";
    client no_proxy: Option<String> = None, ["no_proxy", "NO_PROXY"], "Hosts (`store.example`, which means the names below it, too, as `.store.example` and `*.store.example` do), addresses and networks (`10.0.0.0/8`) that are not proxied, each with `:port` for that port alone, with commas or spaces between. `*` means all.";
    client plain_http: bool = false, [], "Permit requests without TLS (`http://`) to public addresses, with a warning for each server. Others on the way can read them, credentials that they carry included, and send them again. Addresses of this machine and of private networks (RFC 1918, 3927, 4193, 6598) need no permission; certificates of https are always verified.";
    client connect_timeout: Duration = Duration::from_secs(5), [], "Time for name resolution, connection and TLS handshake together.";
    client first_byte_timeout: Duration = Duration::from_secs(30), [], "Time from the request sent to the first byte of its answer.";
    client stall_timeout: Duration = Duration::from_secs(30), [], "Maximum time without progress while a body is received and the caller waits for it, or while a body is sent.";
    client stall_rate: u64 = 256, [], "Bytes a second that count as progress: a body that brings fewer than `stall_rate` × `stall_timeout` bytes (7,680 by default) while it was waited for `stall_timeout` has stalled. `0`: any byte is progress.";
    client call_timeout: Duration = Duration::from_mins(10), [], "Maximum time of a call without progress. A read that was broken off has made progress once it has brought `stall_rate` × `stall_timeout` bytes, or 64 KiB, since the last time. There is no limit on the whole.";
    client attempts: u32 = 8, [], "Maximum attempts of a call. Progress of a read (see `call_timeout`) resets the count.";
    client bwlimit: u64 = 0, [], "Bytes a second that the bodies of all the client's requests may take, such as `10MB`: those received and those sent, each. Stores that were handed over (`object_store`) are not limited. `0`: no limit.";
    client backoff_base: Duration = Duration::from_millis(100), [], "The first retry waits a random time up to this; each one after it up to twice the one before.";
    client backoff_cap: Duration = Duration::from_secs(20), [], "No retry waits longer, unless the server's `Retry-After` says so.";
    client retry_budget: u32 = 10, [], "Retries of the whole process, in percent of its requests; 100 more are free.";
    client max_connections: u32 = 256, [], "Connections to one host at most, for each runtime that asks it; a request beyond waits.";
    client idle_timeout: Duration = Duration::from_secs(8), [], "A connection unused for so long is not used again: balancers close them without a word. `0s`: each request opens a connection of its own.";
    client dns_ttl: Duration = Duration::from_secs(30), [], "How long a resolved name is kept. A failure to connect forgets it.";
    client read_budget: u64 = 256 << 20, [], "Memory for reads of the whole process, in bytes: from the request until the bytes are the caller's, blocks kept included. A read larger than that proceeds in parts.";
    client read_gap: u64 = 1 << 20, [], "The largest hole between two ranges that is read through rather than left out, in bytes. A hole that costs more than another request is left out sooner.";
    client read_waste: u32 = 25, [], "Bytes of such holes, in percent of the bytes asked for, at most.";
    client hedge_at: u32 = 97, [], "A read whose first byte is later than so many percent of those before gets a rival on another connection; the first answer wins. `0` sends none.";
    client hedge_budget: u32 = 5, [], "Such rivals, in percent of the process's reads, at most.";
    client timing: bool = true, [], "Record every call and attempt in histograms.";
    client metrics_endpoint: Option<Listen> = None, [], "Serve what was recorded over HTTP: `/metrics` (Prometheus text, OpenMetrics, or protobuf with native histograms, by the Accept header), `/hlog`, `/hgrm/KEY`, `/json`. `9464` and `:9464` mean 127.0.0.1; other addresses must be written out: `0.0.0.0:9464`. `9464-9479`: the first of these ports that is free, for several processes on a machine. `0`: any port (`Client::metrics_address` tells it). Clients of one process that name one address share it, and their numbers are added up; a port that another process has is an error when the client is built.";
    client metrics_log: Option<PathBuf> = None, [], "Append what each interval brought to this file, as an HdrHistogram interval log (`.hlog`): a tagged line for each operation, phase and outcome. The last interval is written when the client ends.";
    client metrics_interval: Duration = Duration::from_secs(10), [], "The interval of `metrics_log` and `otlp_endpoint`.";
    client otlp_endpoint: Option<String> = None, [], "Push metrics to this OTLP receiver, such as `http://127.0.0.1:4318`, each interval and at the client's shutdown: `POST …/v1/metrics`, protobuf, exponential histograms, cumulative.";
    client trace: Option<PathBuf> = None, [], "Write every call and attempt to this file, to be replayed by `storescope bench --trace` and told by `storescope trace`. `%p` is the process's id. A file that is there is never touched: the trace goes to one with `.PID` appended. On the command line `--trace-out`.";
    client trace_limit: u64 = 1 << 30, [], "Bytes of that file at most, compressed; what comes later is counted in its last line. The first client that names a file sets this and the next.";
    client trace_names: TraceNames = TraceNames::Plain, [], "Names of objects and buckets in that file. `hashed`: each part of a name between two `/` by a keyed hash whose key is not kept.";
}

impl Config {
    /// The defaults, overlaid by this process's environment. A variable whose name begins with `STORESCOPE_` and that
    /// names no setting is refused: a setting that is misspelt would otherwise be ignored.
    pub fn from_env() -> Result<Config> {
        let set = std::env::vars_os().filter(|(_, text)| !text.is_empty());
        let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
        variables::check(names, SETTINGS.iter().map(Setting::variable))?;
        Config::from_variables(|name| std::env::var(name).ok())
    }

    /// The defaults, overlaid by the environment that `variable` answers for.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let mut config = Config::default();
        for setting in SETTINGS {
            let own = setting.variable();
            let names = std::iter::once(own.as_str()).chain(setting.also.iter().copied());
            let found = names
                .filter_map(|name| Some((name, variable(name)?)))
                .find(|(_, text)| !text.is_empty());
            if let Some((name, text)) = found {
                config.set(setting.name, &text).map_err(|error| {
                    Error::config(format!("environment variable {name}: {error}"))
                })?;
                config.variables.push((setting.name, name.to_owned()));
            }
        }
        Ok(config)
    }

    /// The endpoint of this protocol's stores, where the settings name one.
    pub(crate) fn endpoint_of(&self, scheme: Scheme) -> Option<&str> {
        let own = match scheme {
            Scheme::S3 => ("s3_endpoint", &self.s3_endpoint),
            _ => ("oci_endpoint", &self.oci_endpoint),
        };
        self.counting(scheme, [own, ("endpoint", &self.endpoint)])
    }

    /// The region of this protocol's stores, where the settings name one.
    pub(crate) fn region_of(&self, scheme: Scheme) -> Option<&str> {
        let own = match scheme {
            Scheme::S3 => ("s3_region", &self.s3_region),
            _ => ("oci_region", &self.oci_region),
        };
        self.counting(scheme, [own, ("region", &self.region)])
    }

    /// The value that counts: what the caller set before what the environment gave, then the protocol's own setting
    /// before the one of all. Variables of OCI's tools say nothing to S3.
    fn counting<'a>(
        &'a self,
        scheme: Scheme,
        settings: [(&'static str, &'a Option<String>); 2],
    ) -> Option<&'a str> {
        let given = |(name, value): (&'static str, &'a Option<String>)| {
            let variable = self.variable_of(name);
            let foreign = scheme == Scheme::S3
                && variable.is_some_and(|variable| variable.starts_with("OCI_"));
            Some((variable.is_some(), value.as_deref().filter(|_| !foreign)?))
        };
        let given = settings.into_iter().filter_map(given);
        // The first of those that are least.
        given.min_by_key(|(by_environment, _)| *by_environment).map(|(_, value)| value)
    }

    /// Forgets the endpoint or region of one protocol, where a store is given one for itself.
    pub(crate) fn narrow(&mut self, name: &str) {
        match name {
            "endpoint" => (self.oci_endpoint, self.s3_endpoint) = (None, None),
            "region" => (self.oci_region, self.s3_region) = (None, None),
            _ => {}
        }
    }

    /// The environment variable that gave a setting.
    pub(crate) fn variable_of(&self, name: &str) -> Option<&str> {
        let given = self.variables.iter().find(|(given, _)| *given == name);
        given.map(|(_, variable)| variable.as_str())
    }

    /// Whether the settings alone say who signs, so that no profile is needed for it.
    pub(crate) fn identifies(&self) -> bool {
        let key = self.key_file.is_some() || self.key_content.is_some();
        let user = self.tenancy.is_some() && self.user.is_some() && self.fingerprint.is_some();
        let token = self.security_token_file.is_some();
        match self.auth {
            Auth::None
            | Auth::InstancePrincipal
            | Auth::InstanceOboUser
            | Auth::ResourcePrincipal
            | Auth::OkeWorkloadIdentity
            | Auth::TokenExchange => true,
            Auth::ApiKey => key && user,
            Auth::SecurityToken => key && token,
            Auth::Auto => key && (user || token),
        }
    }

    /// What the settings say of who signs, by the keys of a profile.
    fn principal(&self) -> [(&'static str, Option<Zeroizing<String>>); 8] {
        let text = |value: &Option<String>| value.clone().map(Zeroizing::new);
        let secret = |value: &Option<Secret>| value.clone().map(|Secret(text)| text);
        let path = |value: &Option<PathBuf>| {
            value.as_deref().map(|path| Zeroizing::new(path.to_string_lossy().into_owned()))
        };
        [
            ("tenancy", text(&self.tenancy)),
            ("user", text(&self.user)),
            ("fingerprint", text(&self.fingerprint)),
            ("key_file", path(&self.key_file)),
            ("key_content", secret(&self.key_content)),
            ("pass_phrase", secret(&self.pass_phrase)),
            ("security_token_file", path(&self.security_token_file)),
            ("delegation_token_file", path(&self.delegation_token_file)),
        ]
    }

    /// The files that stores of these settings read, there or not: the OCI configuration file, keys and tokens that
    /// settings name, the AWS tools' files, certificates. A store that was opened before one of them changed may know
    /// what it held then.
    pub fn files(&self) -> Vec<PathBuf> {
        let oci = self.config_file.clone().unwrap_or_else(profile::default_file);
        let keys = [
            &self.key_file,
            &self.security_token_file,
            &self.delegation_token_file,
            &self.service_account_token_file,
            &self.subject_token_file,
        ];
        let aws = [
            ("AWS_CONFIG_FILE", "~/.aws/config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        ];
        let aws = aws.into_iter().map(|(variable, usual)| {
            std::env::var_os(variable).map_or_else(|| expand_home(usual), PathBuf::from)
        });
        let keys = keys.into_iter().flatten().cloned();
        std::iter::once(oci).chain(keys).chain(aws).chain(self.certificate_files()).collect()
    }

    /// Those of them that hold the certificates to trust, where any are named: they belong to the client.
    pub fn certificate_files(&self) -> Vec<PathBuf> {
        let platform = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
        self.ca_bundle.clone().into_iter().chain(platform.map(PathBuf::from)).collect()
    }

    /// `docs/CONFIG.md`.
    pub fn markdown() -> String {
        use std::fmt::Write;
        let mut text = String::from(include_str!("config/head.md"));
        for setting in SETTINGS {
            let Setting { name, kind, also, per_store, doc, .. } = setting;
            let default = setting.default();
            let default =
                if default.is_empty() { "–".to_owned() } else { format!("`{default}`") };
            let level = if *per_store { "store" } else { "client" };
            let variables: Vec<String> = std::iter::once(setting.variable())
                .chain(also.iter().map(|&name| name.to_owned()))
                .map(|name| format!("`{name}`"))
                .collect();
            writeln!(
                text,
                "| `{name}` | {kind} | {default} | {level} | {} | {doc} |",
                variables.join(" ")
            )
            .expect("writing to memory");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_files_that_settings_read() {
        let files = Config::default().files();
        assert!(files.iter().any(|file| file.ends_with(".oci/config")), "{files:?}");
        let named = ["config_file", "key_file", "security_token_file", "ca_bundle"];
        let mut config = Config::default();
        for name in named {
            config.set(name, &format!("/{name}")).unwrap();
        }
        let files = config.files();
        for name in named {
            assert!(files.contains(&PathBuf::from(format!("/{name}"))), "{files:?}");
        }
        assert!(!files.iter().any(|file| file.ends_with(".oci/config")), "{files:?}");
        assert!(config.certificate_files().contains(&PathBuf::from("/ca_bundle")));
    }

    #[test]
    fn our_variable_goes_before_the_fields_own() {
        let env = |name: &str| match name {
            "STORESCOPE_REGION" => Some("eu-frankfurt-1".to_owned()),
            "OCI_CLI_REGION" | "OCI_REGION" => Some("us-phoenix-1".to_owned()),
            "OCI_CLI_PROFILE" => Some("LAB".to_owned()),
            "STORESCOPE_ATTEMPTS" => Some("3".to_owned()),
            _ => None,
        };
        let config = Config::from_variables(env).unwrap();
        assert_eq!(config.region.as_deref(), Some("eu-frankfurt-1"));
        assert_eq!(config.profile.as_deref(), Some("LAB"));
        assert_eq!(config.attempts, 3);
    }

    #[test]
    fn what_does_not_parse_names_the_variable_and_the_text() {
        let env = |name: &str| (name == "STORESCOPE_CONNECT_TIMEOUT").then(|| "soon".to_owned());
        let error = Config::from_variables(env).unwrap_err().to_string();
        assert!(error.contains("STORESCOPE_CONNECT_TIMEOUT") && error.contains("soon"), "{error}");
        assert!(Config::default().set("no_such", "1").unwrap_err().to_string().contains("no_such"));
    }

    /// Endpoint and region for OCI and for S3.
    fn places(config: &Config) -> [Option<&str>; 4] {
        let (oci, s3) = (Scheme::Oci, Scheme::S3);
        [
            config.endpoint_of(oci),
            config.endpoint_of(s3),
            config.region_of(oci),
            config.region_of(s3),
        ]
    }

    #[test]
    fn each_protocol_may_have_an_endpoint_and_a_region_of_its_own() {
        let env = |given: &'static [(&str, &str)]| {
            let variable = move |name: &str| {
                given.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
            };
            Config::from_variables(variable).unwrap()
        };
        let both = env(&[("STORESCOPE_ENDPOINT", "e"), ("STORESCOPE_REGION", "r")]);
        assert_eq!(places(&both), [Some("e"), Some("e"), Some("r"), Some("r")]);
        let own = env(&[
            ("STORESCOPE_ENDPOINT", "e"),
            ("STORESCOPE_S3_ENDPOINT", "s"),
            ("STORESCOPE_OCI_REGION", "o"),
            ("STORESCOPE_S3_REGION", "t"),
        ]);
        assert_eq!(places(&own), [Some("e"), Some("s"), Some("o"), Some("t")]);
        // What the caller says of all goes before what the environment says of one.
        let set = own.clone().endpoint("c".to_owned()).region("d".to_owned());
        assert_eq!(places(&set), [Some("c"), Some("c"), Some("d"), Some("d")]);
        let set = set.oci_endpoint("x".to_owned());
        assert_eq!(places(&set), [Some("x"), Some("c"), Some("d"), Some("d")]);
        let oci = env(&[("OCI_CLI_ENDPOINT", "e"), ("OCI_REGION", "r")]);
        assert_eq!(places(&oci), [Some("e"), None, Some("r"), None]);
        let oci = oci.s3_region("t".to_owned());
        assert_eq!(places(&oci), [Some("e"), None, Some("r"), Some("t")]);
    }

    #[test]
    fn no_setting_shows_a_secret() {
        let mut config = Config::default();
        for setting in SETTINGS.iter().filter(|setting| setting.secret) {
            config.set(setting.name, "pa55w0rd").unwrap();
        }
        for name in ["endpoint", "s3_endpoint", "oci_endpoint"] {
            config.set(name, "https://user:pa55w0rd@host/x?sig=pa55w0rd").unwrap();
        }
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("pa55w0rd") && shown.contains("@host/x"), "{shown}");
    }

    #[test]
    fn every_default_reads_back_as_itself() {
        let mut config = Config::default();
        for setting in SETTINGS {
            config.set(setting.name, &setting.default()).unwrap();
        }
        assert_eq!(config, Config::default());
    }

    /// Run with `STORESCOPE_BLESS=1` to write the file anew.
    #[test]
    fn the_document_is_the_table() {
        let path = Path::new("docs/CONFIG.md");
        if std::env::var_os("STORESCOPE_BLESS").is_some() {
            std::fs::write(path, Config::markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), Config::markdown());
    }
}
