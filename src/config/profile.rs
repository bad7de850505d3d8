// SPDX-License-Identifier: Apache-2.0
//! A profile of the OCI configuration file, as Oracle's Python SDK and CLI read it.

use super::ini::{Ini, Malformed, Values, finished};
use super::{Config, expand_home};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The values of one profile, those it inherits from `DEFAULT` included, overlaid by the settings.
#[derive(Clone)]
pub(crate) struct Profile {
    name: String,
    file: Dated,
    /// Why there is no such file, where it may be missing.
    missing: Option<String>,
    values: BTreeMap<String, (Zeroizing<String>, Source)>,
}

/// A file, there or not, and its date before it was read.
#[derive(Clone, Debug)]
pub(crate) struct Dated {
    path: PathBuf,
    modified: Option<SystemTime>,
}

impl Dated {
    pub(crate) fn now(path: &Path) -> Dated {
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        Dated { path: path.to_owned(), modified }
    }

    pub(crate) fn has_changed(&self) -> bool {
        Dated::now(&self.path).modified != self.modified
    }
}

/// Where a value comes from. The earlier ones go first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Setting,
    Variable(String),
    File,
}

impl Profile {
    /// Reads the file and profile that `config` names. A file that nobody named may be absent, and any may be where the
    /// settings say who signs.
    pub(crate) fn load(config: &Config) -> Result<Profile> {
        let name = config.profile.clone().unwrap_or_else(|| "DEFAULT".to_owned());
        let file = config.config_file.clone().unwrap_or_else(default_file);
        let dated = Dated::now(&file);
        let named = config.config_file.is_some() || config.profile.is_some();
        let (found, missing) = match std::fs::read_to_string(&file) {
            Ok(text) => match Profile::parse(&Zeroizing::new(text), &file, &name) {
                Err(error) if config.identifies() => (BTreeMap::new(), Some(error.to_string())),
                parsed => (parsed?, None),
            },
            Err(e) if !named && e.kind() == std::io::ErrorKind::NotFound => {
                let absent = format!(
                    "there is no OCI configuration file {}: create one with `oci setup config`, or name it with config_file (STORESCOPE_CONFIG_FILE)",
                    file.display()
                );
                (BTreeMap::new(), Some(absent))
            }
            Err(e) => {
                // What the caller set goes before the variable.
                let by_caller =
                    config.config_file.is_some() && config.variable_of("config_file").is_none();
                let variable = if by_caller { "" } else { " (STORESCOPE_CONFIG_FILE)" };
                let unreadable = format!(
                    "the OCI configuration file {} cannot be read: {e}; create it with `oci setup config`, or name another with config_file{variable}",
                    file.display()
                );
                if !config.identifies() {
                    return Err(Error::config(unreadable));
                }
                (BTreeMap::new(), Some(unreadable))
            }
        };
        let mut values: BTreeMap<_, _> =
            found.into_iter().map(|(key, value)| (key, (value, Source::File))).collect();
        for (key, value) in config.principal() {
            let Some(value) = value else { continue };
            let source = match config.variable_of(key) {
                Some(variable) => Source::Variable(variable.to_owned()),
                None => Source::Setting,
            };
            values.insert(key.to_owned(), (value, source));
        }
        Ok(Profile { name, file: dated, missing, values })
    }

    /// Nothing of the file stays in memory but the values, which are zeroised.
    fn parse(text: &str, file: &Path, name: &str) -> Result<Values> {
        let mut ini = Ini::parse(text).map_err(|Malformed { line, why }| {
            Error::config(format!(
                "line {line} of the OCI configuration file {} {why}",
                file.display()
            ))
        })?;
        let known = ini.names().join(", ");
        let values = ini.section(name).ok_or_else(|| {
            Error::config(format!(
                "the OCI configuration file {} has no profile [{name}]; it has {}",
                file.display(),
                if known.is_empty() { "none" } else { &known }
            ))
        })?;
        let finished = |(key, value): (_, Zeroizing<String>)| {
            (key, Zeroizing::new(finished(&value).to_owned()))
        };
        Ok(values.into_iter().map(finished).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn file(&self) -> &Dated {
        &self.file
    }

    /// Where a value comes from, if there is one.
    pub(crate) fn source(&self, key: &str) -> Option<&Source> {
        self.get(key).and(self.values.get(key)).map(|(_, source)| source)
    }

    /// A value that must be there.
    pub(crate) fn require(&self, key: &str) -> Result<&str> {
        let variable = format!("STORESCOPE_{}", key.to_ascii_uppercase());
        self.get(key).ok_or_else(|| self.lacks(key, &format!("set {key} ({variable})")))
    }

    /// An error about a value that is missing, and the setting that may stand for it.
    pub(crate) fn lacks(&self, key: &str, mend: &str) -> Error {
        Error::config(match &self.missing {
            Some(missing) => format!("the settings lack {key:?}; {mend}. {missing}"),
            None => format!("{} lacks {key:?}; add `{key} = …`, or {mend}", self.describe()),
        })
    }

    /// An error in the value of a key, which says where that came from.
    pub(crate) fn error(&self, key: &str, what: &str) -> Error {
        Error::config(format!("{} {what}", self.sources(&[key])))
    }

    /// Why neither file nor profile says who signs.
    pub(crate) fn absence(&self) -> String {
        let missing = self.missing.clone();
        missing.unwrap_or_else(|| format!("{} names neither a key nor a token", self.describe()))
    }

    /// `profile [NAME] of FILE`, for other modules' errors.
    fn describe(&self) -> String {
        format!("profile [{}] of {}", self.name, self.file.path.display())
    }

    /// Where the values of some keys come from, each place once.
    pub(crate) fn sources(&self, keys: &[&str]) -> String {
        let mut places: Vec<String> = Vec::new();
        for key in keys {
            let place = match self.source(key) {
                Some(Source::Setting) => format!("setting {key}"),
                Some(Source::Variable(variable)) => format!("environment variable {variable}"),
                Some(Source::File) | None => self.describe(),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.join(", ")
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.name)
            .field("file", &self.file.path)
            .field("keys", &self.values.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The OCI configuration files that are looked for where no setting names one; `~/` is the home folder. The first that exists
/// is read.
pub const DEFAULT_FILES: [&str; 2] = ["~/.oci/config", "~/.oraclebmc/config"];

pub(super) fn default_file() -> PathBuf {
    let [usual, old] = DEFAULT_FILES.map(expand_home);
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
        let env = |name: &str| (name == "OCI_CLI_TENANCY").then(|| "from-env".to_owned());
        let config = Config::from_variables(env)?.config_file(file).profile(profile.to_owned());
        Profile::load(&config)
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
        let twice = load("DEFAULT", "[DEFAULT]\npass_phrase = s3cret\npass_phrase = s3cret\n");
        let twice = twice.unwrap_err().to_string();
        assert!(twice.contains("line 3") && !twice.contains("s3cret"), "{twice}");
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
        let absent = Profile::load(&absent).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/config") && absent.contains("config_file"), "{absent}");
    }

    #[test]
    fn each_value_says_where_it_came_from() {
        let mut lab = load("LAB", FILE).unwrap();
        assert_eq!(lab.sources(&["tenancy"]), "environment variable OCI_CLI_TENANCY");
        assert!(lab.sources(&["user", "region"]).starts_with("profile [LAB] of "));
        assert!(!lab.sources(&["user", "region"]).contains(','), "each place once");
        let mut config = Config::default().config_file(PathBuf::from("/nowhere/config"));
        for name in ["tenancy", "user", "fingerprint", "key_content"] {
            assert!(!config.identifies());
            config.set(name, "x").unwrap();
        }
        lab = Profile::load(&config).expect("the settings say all, the file is not needed");
        assert_eq!(lab.sources(&["user", "tenancy"]), "setting user, setting tenancy");
        let lacking = lab.require("region").unwrap_err().to_string();
        assert!(
            lacking.contains("STORESCOPE_REGION") && lacking.contains("/nowhere/config"),
            "{lacking}"
        );
    }
}
