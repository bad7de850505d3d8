// SPDX-License-Identifier: Apache-2.0
//! Options by the names of docs/CONFIG.md: those of a client, and those of a store.

use std::fmt;
use std::hash::{Hash, Hasher};
use storescope::config::{SETTINGS, Setting};
use storescope::{Config, StoreOptions};
use zeroize::Zeroizing;

/// Names and their texts, in the order of names. A text may be a secret: `Debug` shows the names alone, and the texts are
/// cleared from memory when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, Zeroizing<String>)>);

impl Hash for Options {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (name, text) in &self.0 {
            (name, text.as_str()).hash(state);
        }
    }
}

/// The setting of this name, spelled as in docs/CONFIG.md.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Options {
    /// Splits options into those of a client and those of a store. A name that is no setting goes to the store's, which
    /// refuses it when it is opened.
    pub fn split(given: impl IntoIterator<Item = (String, String)>) -> (Options, Options) {
        let (mut client, mut store): (Vec<_>, Vec<_>) = given
            .into_iter()
            .map(|(name, text)| (name, Zeroizing::new(text)))
            .partition(|(name, _)| setting(name).is_some_and(|setting| !setting.per_store));
        // Stable: of two with the same name the last counts.
        client.sort_by(|(one, _), (other, _)| one.cmp(other));
        store.sort_by(|(one, _), (other, _)| one.cmp(other));
        (Options(client), Options(store))
    }

    /// These over the settings of a configuration.
    pub fn over(&self, mut config: Config) -> storescope::Result<Config> {
        for (name, text) in &self.0 {
            config.set(name, text)?;
        }
        Ok(config)
    }

    /// These as options of a store.
    pub fn of_store(&self) -> StoreOptions {
        self.0
            .iter()
            .fold(StoreOptions::new(), |options, (name, text)| options.set(name, text.as_str()))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, setting};
    use storescope::Config;
    use storescope::config::SETTINGS;

    fn pairs<'a>(given: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
        given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
    }

    #[test]
    fn each_setting_goes_to_its_level() {
        for known in SETTINGS {
            let (client, store) = Options::split(pairs(&[(known.name, "x")]));
            assert_eq!(client.0.is_empty(), known.per_store, "{}", known.name);
            assert_eq!(store.0.is_empty(), !known.per_store, "{}", known.name);
        }
    }

    #[test]
    fn an_unknown_name_is_the_stores() {
        assert!(setting("colour").is_none());
        let (client, store) = Options::split(pairs(&[("colour", "red")]));
        assert_eq!((client.0.len(), store.0.len()), (0, 1));
    }

    #[test]
    fn the_order_in_which_options_are_given_does_not_matter() {
        let one =
            Options::split(pairs(&[("region", "r"), ("endpoint", "http://h"), ("profile", "p")]));
        let other =
            Options::split(pairs(&[("profile", "p"), ("endpoint", "http://h"), ("region", "r")]));
        assert_eq!(one, other);
    }

    #[test]
    fn options_replace_what_a_configuration_says_and_the_last_counts() {
        let (client, store) = Options::split(pairs(&[("region", "first"), ("region", "last")]));
        let config = client
            .over(store.over(Config::default().region("before".to_owned())).unwrap())
            .unwrap();
        assert_eq!(config, Config::default().region("last".to_owned()));
    }

    #[test]
    fn debug_shows_no_texts() {
        let (client, store) = Options::split(pairs(&[("region", "hidden"), ("colour", "hidden")]));
        let told = format!("{client:?} {store:?}");
        assert!(
            told.contains("region") && told.contains("colour") && !told.contains("hidden"),
            "{told}"
        );
    }
}
