// SPDX-License-Identifier: Apache-2.0
//! A profile of the OCI configuration file, as Oracle's Python SDK and CLI read it.

use super::{Config, expand_home};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The values of one profile, those it inherits from `DEFAULT` included, overlaid by `OCI_CLI_…`.
#[derive(Clone)]
pub(crate) struct Profile {
    name: String,
    file: PathBuf,
    /// Whether there is no such file, and nobody said that there would be.
    absent: bool,
    values: BTreeMap<String, Zeroizing<String>>,
}

/// The values that `OCI_CLI_…` variables go before.
const OVERRIDES: [(&str, &str); 7] = [
    ("user", "OCI_CLI_USER"),
    ("tenancy", "OCI_CLI_TENANCY"),
    ("fingerprint", "OCI_CLI_FINGERPRINT"),
    ("key_file", "OCI_CLI_KEY_FILE"),
    ("key_content", "OCI_CLI_KEY_CONTENT"),
    ("pass_phrase", "OCI_CLI_PASSPHRASE"),
    ("security_token_file", "OCI_CLI_SECURITY_TOKEN_FILE"),
];

impl Profile {
    /// Reads the file and profile that `config` names. A file that nobody named may be absent; then the environment
    /// must have everything.
    pub(crate) fn load(
        config: &Config,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Profile> {
        let name = config.profile.clone().unwrap_or_else(|| "DEFAULT".to_owned());
        let (file, named) = match &config.config_file {
            Some(file) => (file.clone(), true),
            None => (default_file(), false),
        };
        let mut absent = false;
        let mut values = match std::fs::read_to_string(&file) {
            Ok(text) => Profile::parse(&Zeroizing::new(text), &file, &name)?,
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound
                    && !named
                    && config.profile.is_none() =>
            {
                absent = true;
                BTreeMap::new()
            }
            Err(e) => {
                return Err(Error::config(format!(
                    "the OCI configuration file {} cannot be read: {e}; create it with `oci setup config`, or name another with config_file (STORESCOPE_CONFIG_FILE)",
                    file.display()
                )));
            }
        };
        for (key, variable_name) in OVERRIDES {
            if let Some(value) = variable(variable_name).filter(|value| !value.is_empty()) {
                values.insert(key.to_owned(), Zeroizing::new(value));
            }
        }
        Ok(Profile { name, file, absent, values })
    }

    /// No profile at all: for requests that nobody signs.
    pub(crate) fn none() -> Profile {
        Profile {
            name: "DEFAULT".to_owned(),
            file: default_file(),
            absent: true,
            values: BTreeMap::new(),
        }
    }

    /// Sections and `key = value` lines, `#` and `;` comments on lines of their own, nothing quoted or interpolated: as
    /// Oracle's SDKs read it. Nothing of the file stays in memory but the values, which are zeroised.
    fn parse(text: &str, file: &Path, name: &str) -> Result<BTreeMap<String, Zeroizing<String>>> {
        let mut sections: BTreeMap<&str, BTreeMap<String, Zeroizing<String>>> = BTreeMap::new();
        let mut section = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(sections.entry(header.trim()).or_default());
                continue;
            }
            let (Some(section), Some(at)) = (&mut section, line.find(['=', ':'])) else {
                return Err(Error::config(format!(
                    "line {} of the OCI configuration file {} is neither [PROFILE] nor key = value",
                    number + 1,
                    file.display()
                )));
            };
            let value = Zeroizing::new(line[at + 1..].trim().to_owned());
            section.insert(line[..at].trim().to_ascii_lowercase(), value);
        }
        if !sections.contains_key(name) {
            let known: Vec<&str> = sections.keys().copied().collect();
            return Err(Error::config(format!(
                "the OCI configuration file {} has no profile [{name}]; it has {}",
                file.display(),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
        let mut values = sections.remove("DEFAULT").unwrap_or_default();
        values.extend(sections.remove(name).unwrap_or_default());
        Ok(values)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        self.get(key).map(expand_home)
    }

    /// A value that must be there.
    pub(crate) fn require(&self, key: &str) -> Result<&str> {
        self.get(key).ok_or_else(|| self.error(&format!("lacks {key:?}; add `{key} = …`")))
    }

    /// An error that names this profile and its file.
    pub(crate) fn error(&self, what: &str) -> Error {
        if self.absent {
            return Error::config(format!(
                "there is no OCI configuration file {}, and the environment {what}; create one with `oci setup config`, or name it with config_file (STORESCOPE_CONFIG_FILE)",
                self.file.display()
            ));
        }
        Error::config(format!("{} {what}", self.describe()))
    }

    /// `[NAME] of FILE`, for other modules' errors.
    pub(crate) fn describe(&self) -> String {
        format!("profile [{}] of {}", self.name, self.file.display())
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.name)
            .field("file", &self.file)
            .field("keys", &self.values.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn default_file() -> PathBuf {
    let usual = expand_home("~/.oci/config");
    let old = expand_home("~/.oraclebmc/config");
    if !usual.exists() && old.exists() { old } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[DEFAULT]\n# who\nuser = ocid1.user.oc1..a\nregion=us-ashburn-1\npass_phrase = a#b;c\\d\n\n[LAB]\nregion = eu-frankfurt-1\n";

    fn load(profile: &str, text: &str) -> Result<Profile> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, text).unwrap();
        let config = Config::default().config_file(file).profile(profile.to_owned());
        Profile::load(&config, |name| (name == "OCI_CLI_TENANCY").then(|| "from-env".to_owned()))
    }

    #[test]
    fn profiles_inherit_and_the_environment_goes_before_them() {
        let lab = load("LAB", FILE).unwrap();
        assert_eq!(lab.get("region"), Some("eu-frankfurt-1"));
        assert_eq!(lab.get("user"), Some("ocid1.user.oc1..a"));
        assert_eq!(lab.get("tenancy"), Some("from-env"));
        assert_eq!(lab.get("pass_phrase"), Some("a#b;c\\d"));
    }

    #[test]
    fn a_line_that_is_neither_is_told_by_its_number() {
        let error = load("DEFAULT", "[DEFAULT]\nuser = a\n\nnonsense\n").unwrap_err().to_string();
        assert!(error.contains("line 4"), "{error}");
        assert!(load("DEFAULT", "user = a\n").unwrap_err().to_string().contains("line 1"));
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(text in "(\\[[A-Z]{0,3}\\]?|\\PC{0,9}[=:]?\\PC{0,9}|\n){0,12}") {
            let _ = Profile::parse(&text, Path::new("f"), "DEFAULT");
        }
    }

    #[test]
    fn errors_name_file_profile_and_mend_but_no_secret() {
        let missing = load("NONE", FILE).unwrap_err().to_string();
        assert!(
            missing.contains("[NONE]") && missing.contains("LAB") && missing.contains("config"),
            "{missing}"
        );
        let lab = load("LAB", FILE).unwrap();
        let lacking = lab.require("key_file").unwrap_err().to_string();
        assert!(lacking.contains("[LAB]") && lacking.contains("key_file"), "{lacking}");
        assert!(!format!("{lab:?}").contains("a#b"));
        let absent = Config::default().config_file(PathBuf::from("/nowhere/config"));
        let absent = Profile::load(&absent, |_| None).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/config") && absent.contains("config_file"), "{absent}");
    }
}
