// SPDX-License-Identifier: Apache-2.0
//! The syntax of the OCI configuration file: what Python's `configparser.ConfigParser(interpolation=None)` takes, with
//! the values that it finds, since that is how Oracle's SDK and CLI read it. A table of files that Python has read
//! (`fixtures/config-files.json`) is the test.

use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The values of one section by their keys, which are in lower case.
pub(super) type Values = BTreeMap<String, Zeroizing<String>>;

/// What a file holds.
#[derive(Default)]
pub(super) struct Ini {
    /// `[DEFAULT]`, from which every other section inherits.
    defaults: Option<Values>,
    sections: BTreeMap<String, Values>,
}

/// Where a file is malformed: the line's number, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) why: String,
}

const DEFAULT: &str = "DEFAULT";

impl Ini {
    pub(super) fn parse(text: &str) -> Result<Ini, Malformed> {
        let mut reading = Reading::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in lines(text).enumerate() {
            reading.line(line).map_err(|why| Malformed { line: number + 1, why })?;
        }
        Ok(reading.ini)
    }

    /// The values of a section, those that it inherits included.
    pub(super) fn section(&mut self, name: &str) -> Option<Values> {
        let own = match name {
            DEFAULT => self.defaults.clone()?,
            // Oracle's Java SDK takes spaces within the brackets for none of the name.
            _ => self.sections.remove(name).or_else(|| {
                let spaced = self.sections.keys().find(|known| strip(known) == name)?.clone();
                self.sections.remove(&spaced)
            })?,
        };
        let mut values = self.defaults.take().unwrap_or_default();
        values.extend(own);
        Some(values)
    }

    /// The names of the sections.
    pub(super) fn names(&self) -> Vec<&str> {
        let default = self.defaults.as_ref().map(|_| DEFAULT);
        default.into_iter().chain(self.sections.keys().map(String::as_str)).collect()
    }
}

#[derive(Default)]
struct Reading {
    ini: Ini,
    section: Option<String>,
    /// The key whose value a line that is indented further goes on with.
    key: Option<String>,
    indent: usize,
    /// The keys that each section has been given: a second value is refused.
    given: BTreeSet<(String, String)>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let text = strip(line);
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.is_empty() {
            self.go_on("");
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if indent > self.indent && self.go_on(text) {
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = header(text) {
            return self.begin(name);
        }
        let Some(section) = self.section.clone() else {
            return Err("stands before the first [PROFILE]".to_owned());
        };
        let (key, value) = text
            .split_once(['=', ':'])
            .map(|(key, value)| (strip(key).to_lowercase(), strip(value)))
            .filter(|(key, _)| !key.is_empty())
            .ok_or("is neither [PROFILE] nor key = value")?;
        if !self.given.insert((section.clone(), key.clone())) {
            return Err(format!("gives {key} in [{section}] a second value"));
        }
        if let Some(values) = self.ini.of(&section) {
            values.insert(key.clone(), Zeroizing::new(value.to_owned()));
        }
        self.key = Some(key);
        Ok(())
    }

    /// Appends a line to the value under way, if there is one.
    fn go_on(&mut self, text: &str) -> bool {
        let (Some(section), Some(key)) = (&self.section, &self.key) else { return false };
        let Some(value) = self.ini.of(section).and_then(|values| values.get_mut(key)) else {
            return false;
        };
        // Built anew: one that grows would leave its former place behind uncleared.
        let mut longer = Zeroizing::new(String::with_capacity(value.len() + 1 + text.len()));
        longer.extend([value.as_str(), "\n", text]);
        *value = longer;
        true
    }

    fn begin(&mut self, name: &str) -> Result<(), String> {
        if name == DEFAULT {
            self.ini.defaults.get_or_insert_default();
        } else if self.ini.sections.insert(name.to_owned(), Values::new()).is_some() {
            return Err(format!("begins [{name}] a second time"));
        }
        self.section = Some(name.to_owned());
        self.key = None;
        Ok(())
    }
}

impl Ini {
    fn of(&mut self, section: &str) -> Option<&mut Values> {
        match section {
            DEFAULT => self.defaults.as_mut(),
            _ => self.sections.get_mut(section),
        }
    }
}

/// The name in brackets, up to the last of them; what follows is a comment.
fn header(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let name = &rest[..rest.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// Lines that end in LF, CR or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match text.find(['\n', '\r']) {
            Some(end) => {
                let behind = &text[end..];
                rest = behind.strip_prefix("\r\n").or_else(|| behind.get(1..));
                Some(&text[..end])
            }
            // Nothing stands behind the last end of a line: no line.
            None => (!text.is_empty()).then_some(text),
        }
    })
}

fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python's idea of white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// A value as it is used: empty lines at its end are none of it.
pub(super) fn finished(value: &str) -> &str {
    value.trim_end_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        /// By section, those that it inherits included; none where Python refuses the file.
        sections: Option<BTreeMap<String, BTreeMap<String, String>>>,
    }

    /// Made by `tests/interop/config_files.py`, which asks Python.
    #[test]
    fn files_are_read_as_python_reads_them() {
        let cases = std::fs::read("fixtures/config-files.json").unwrap();
        let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
        let (mut taken, mut refused) = (0, 0);
        for Case { text, sections } in cases {
            let Some(sections) = sections else {
                assert!(Ini::parse(&text).is_err(), "Python refuses {text:?}");
                refused += 1;
                continue;
            };
            for (name, wanted) in sections {
                let mut ini = Ini::parse(&text).unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
                let values = ini.section(&name).unwrap_or_default();
                let values: BTreeMap<_, _> = values
                    .iter()
                    .map(|(key, value)| (key.clone(), finished(value).to_owned()))
                    .collect();
                assert_eq!(values, wanted, "[{name}] of {text:?}");
            }
            taken += 1;
        }
        assert!(taken > 100 && refused > 100, "{taken} files taken, {refused} refused");
    }

    #[test]
    fn what_is_malformed_is_told_with_its_line() {
        for (text, line, why) in [
            ("a = 1", 1, "before the first"),
            ("[A]\n\nnonsense", 3, "neither"),
            ("[A]\na = 1\nA: 2", 3, "a second value"),
            ("[A]\n[B]\r\n[A]", 3, "a second time"),
            ("[A]\n= 1", 2, "neither"),
        ] {
            let Err(malformed) = Ini::parse(text) else { panic!("{text:?} is taken") };
            assert_eq!(malformed.line, line, "{text:?}");
            assert!(malformed.why.contains(why), "{malformed:?}");
        }
    }

    #[test]
    fn spaces_within_the_brackets_are_none_of_the_name() {
        let mut ini = Ini::parse("[ LAB ]\na = 1\n").unwrap();
        assert_eq!(ini.section("LAB").unwrap()["a"].as_str(), "1");
        assert!(ini.section("OTHER").is_none());
    }
}
