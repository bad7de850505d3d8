// SPDX-License-Identifier: Apache-2.0
//! What the text of a setting may be: each kind parses itself, shows itself and says what it expects.

use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
pub use storescope_trace::Names as TraceNames;
use zeroize::Zeroizing;

/// What a setting's text may be.
pub(super) trait Value: Sized {
    const KIND: &'static str;
    fn parse(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
}

/// Which principal signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// What settings and profile name: a session token, else an API key, or the profile's `authentication_type`. Where
    /// they name none: the first that works of resource principal, OKE workload identity and instance principal.
    Auto,
    /// The profile's API key.
    ApiKey,
    /// The profile's session token (`oci session authenticate`).
    SecurityToken,
    /// The instance that this process runs on.
    InstancePrincipal,
    /// That instance, on behalf of whom a delegation token names.
    InstanceOboUser,
    /// The resource (function, job, notebook) that this process is, as `OCI_RESOURCE_PRINCIPAL_…` say it.
    ResourcePrincipal,
    /// The workload of an OKE cluster that this process belongs to.
    OkeWorkloadIdentity,
    /// A token of somebody else's, exchanged at an identity domain.
    TokenExchange,
    /// Nobody: requests go unsigned.
    None,
}

/// Each with its name.
const AUTHS: [(Auth, &str); 9] = [
    (Auth::Auto, "auto"),
    (Auth::ApiKey, "api_key"),
    (Auth::SecurityToken, "security_token"),
    (Auth::InstancePrincipal, "instance_principal"),
    (Auth::InstanceOboUser, "instance_obo_user"),
    (Auth::ResourcePrincipal, "resource_principal"),
    (Auth::OkeWorkloadIdentity, "oke_workload_identity"),
    (Auth::TokenExchange, "token_exchange"),
    (Auth::None, "none"),
];

impl Auth {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Result<Auth, String> {
        let found = AUTHS.iter().find(|(_, known)| *known == name).map(|(auth, _)| *auth);
        found.ok_or_else(|| format!("expected {}", Auth::KIND))
    }
}

/// Where an S3 request names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathStyle {
    /// In the path where an endpoint is set, else in the host name.
    Auto,
    /// In the path.
    On,
    /// In the host name.
    Off,
}

impl Value for PathStyle {
    const KIND: &'static str = "`auto`, `true` or `false`";

    fn parse(text: &str) -> Result<PathStyle, String> {
        match text {
            "auto" => Ok(PathStyle::Auto),
            _ => bool::parse(text)
                .map(|on| if on { PathStyle::On } else { PathStyle::Off })
                .map_err(|_| format!("expected {}", PathStyle::KIND)),
        }
    }

    fn show(&self) -> String {
        match self {
            PathStyle::Auto => "auto",
            PathStyle::On => "true",
            PathStyle::Off => "false",
        }
        .to_owned()
    }
}

/// Certificates in DER, given by the program and not by a setting.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificates(Arc<[Vec<u8>]>);

impl Certificates {
    pub(crate) fn new(der: impl IntoIterator<Item = Vec<u8>>) -> Certificates {
        Certificates(der.into_iter().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

/// A text that is neither shown nor logged, and cleared from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) Zeroizing<String>);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Value for Option<Secret> {
    const KIND: &'static str = "secret text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl Value for Auth {
    const KIND: &'static str = "`auto`, `api_key`, `security_token`, `instance_principal`, `instance_obo_user`, `resource_principal`, `oke_workload_identity`, `token_exchange`, `none`";

    fn parse(text: &str) -> Result<Auth, String> {
        Auth::named(text)
    }

    fn show(&self) -> String {
        let found = AUTHS.iter().find(|(auth, _)| auth == self);
        found.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
    }
}

impl Value for TraceNames {
    const KIND: &'static str = "`plain` or `hashed`";

    fn parse(text: &str) -> Result<TraceNames, String> {
        TraceNames::from_name(text).ok_or_else(|| format!("expected {}", TraceNames::KIND))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Value for Option<String> {
    const KIND: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn show(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Value for Option<PathBuf> {
    const KIND: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| expand_home(text)))
    }

    fn show(&self) -> String {
        self.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Value for bool {
    const KIND: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" => Ok(false),
            _ => Err(format!("expected {}", Self::KIND)),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    const KIND: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u64 {
    const KIND: &'static str = "size, such as `64KiB`";

    fn parse(text: &str) -> Result<Self, String> {
        parse_size(text)
    }

    fn show(&self) -> String {
        let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(unit, _)| *self >= *unit && self.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("{}{name}", self / unit),
            None => self.to_string(),
        }
    }
}

impl Value for Duration {
    const KIND: &'static str = "time, such as `5s`";

    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text)
    }

    fn show(&self) -> String {
        if self.subsec_nanos() == 0 {
            format!("{}s", self.as_secs())
        } else {
            format!("{}ms", self.as_millis())
        }
    }
}

/// A time such as `250ms`, `5s`, `2m`, `1h`.
///
/// ```
/// assert_eq!(storescope::config::parse_duration("1.5s"), Ok(std::time::Duration::from_millis(1500)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 0.0,
        _ => {
            return Err(format!(
                "{text:?} is no time: expected a number and us, ms, s, m or h, such as 5s"
            ));
        }
    };
    let number: f64 =
        number.parse().map_err(|_| format!("{text:?} is no time: expected a number first"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| format!("{text:?} is out of range"))
}

/// A size in bytes such as `64KiB`, `8MB`, `512`.
///
/// ```
/// assert_eq!(storescope::config::parse_size("64KiB"), Ok(65536));
/// assert_eq!(storescope::config::parse_size("8MB"), Ok(8_000_000));
/// ```
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let scale: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => {
            return Err(format!(
                "{text:?} is no size: expected a number and KiB, MiB, GiB, KB, MB or GB"
            ));
        }
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or_else(|| format!("{text:?} is out of range"));
    }
    let number: f64 =
        number.parse().map_err(|_| format!("{text:?} is no size: expected a number first"))?;
    let size = number * scale as f64;
    if size < u64::MAX as f64 { Ok(size as u64) } else { Err(format!("{text:?} is out of range")) }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A path with a leading `~` made the home folder, as OCI's own tools do.
pub(crate) fn expand_home(text: &str) -> PathBuf {
    match text.strip_prefix("~/").zip(std::env::home_dir()) {
        Some((rest, home)) => home.join(rest),
        None => Path::new(text).to_owned(),
    }
}
