// SPDX-License-Identifier: Apache-2.0
//! Entry points of the fuzz targets that read settings and the configuration file.

use super::ini::{Ini, Values};
use super::value::Value;
use super::{Config, Listen, SETTINGS, parse_duration, parse_size};
use std::collections::BTreeMap;

/// Sections are printed and read again to the same values.
pub(crate) fn ini(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(sections) = sections(text) else { return };
    let again = self::sections(&printed(&sections)).expect("what was printed is read");
    assert!(again == sections, "{text:?} is printed as another file");
}

/// The values of all sections, those that they inherit included.
fn sections(text: &str) -> Result<BTreeMap<String, Values>, String> {
    let read = || Ini::parse(text).map_err(|malformed| malformed.why);
    let names: Vec<String> = read()?.names().into_iter().map(str::to_owned).collect();
    let of = |name: String| -> Result<(String, Values), String> {
        let values = read()?.section(&name).ok_or_else(|| format!("there is no [{name}]"))?;
        Ok((name, values))
    };
    names.into_iter().map(of).collect()
}

fn printed(sections: &BTreeMap<String, Values>) -> String {
    let mut text = String::new();
    for (name, values) in sections {
        text.extend(["[", name.as_str(), "]\n"]);
        for (key, value) in values {
            text.extend([key.as_str(), " = ", &value.replace('\n', "\n\t"), "\n"]);
        }
    }
    text
}

/// `parse`, `show` and `parse` are one; no setting panics.
pub(crate) fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(size) = parse_size(text) {
        assert_eq!(parse_size(&Value::show(&size)), Ok(size));
    }
    if let Ok(time) = parse_duration(text)
        && time.subsec_nanos() == 0
    {
        assert_eq!(parse_duration(&Value::show(&time)), Ok(time));
    }
    if let Ok(listen) = text.parse::<Listen>() {
        assert_eq!(listen.to_string().parse::<Listen>(), Ok(listen));
    }
    let (mut config, mut secrets) = (Config::default(), Config::default());
    let secret = format!("pa55w0rd-of-fuzz{text}");
    for setting in SETTINGS {
        let _ = config.set(setting.name, text);
        if setting.secret {
            let _ = secrets.set(setting.name, &secret);
        }
    }
    assert!(!format!("{secrets:?}").contains("pa55w0rd-of-fuzz"));
}
