// SPDX-License-Identifier: Apache-2.0
//! Environment variables that begin as ours do and name no setting.

use crate::error::{Error, Result};

const PREFIX: &str = "STORESCOPE_";

/// Names that the project's own build, tests and benchmarks use. docs/CONFIG.md lists them.
pub(super) const RESERVED: [&str; 8] = [
    "STORESCOPE_BIN",
    "STORESCOPE_BLESS",
    "STORESCOPE_COMMIT",
    "STORESCOPE_JARS",
    "STORESCOPE_NOTEBOOK_BUCKET",
    "STORESCOPE_READY",
    "STORESCOPE_SERVE",
    "STORESCOPE_VENV",
];

/// Refuses the first of `names` that is meant as a setting's variable and is none of `known`.
pub(super) fn check(
    names: impl Iterator<Item = String>,
    known: impl Iterator<Item = String> + Clone,
) -> Result<()> {
    let mut strange: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !is_others(name))
        .filter(|name| !known.clone().any(|known| known == *name))
        .collect();
    strange.sort_unstable();
    let Some(name) = strange.first() else { return Ok(()) };
    let nearest = known
        .map(|known| (distance(name, &known), known))
        .min()
        .filter(|(distance, known)| *distance * 3 <= known.len() - PREFIX.len());
    let mend = match nearest {
        Some((_, known)) => format!("did you mean {known}?"),
        None => "docs/CONFIG.md lists the settings".to_owned(),
    };
    Err(Error::config(format!("environment variable {name}: there is no such setting; {mend}")))
}

/// Whether a name is reserved, or one of those that Kubernetes gives to the pods beside a service whose name begins
/// with `storescope`: `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTP`, `…_PORT_80_TCP_ADDR`.
fn is_others(name: &str) -> bool {
    RESERVED.contains(&name)
        || name.starts_with("STORESCOPE_TEST_")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

/// How many letters must be put in, left out or changed to make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SETTINGS, Setting};

    fn checked(names: &[&str]) -> Result<()> {
        let names = names.iter().map(|&name| name.to_owned());
        check(names, SETTINGS.iter().map(Setting::variable))
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_nearest_one() {
        for (name, said) in [
            ("STORESCOPE_ENDPIONT", "did you mean STORESCOPE_ENDPOINT?"),
            ("STORESCOPE_END_POINT", "did you mean STORESCOPE_ENDPOINT?"),
            ("STORESCOPE_CABUNDLE", "did you mean STORESCOPE_CA_BUNDLE?"),
            ("STORESCOPE_ATTEMPT", "did you mean STORESCOPE_ATTEMPTS?"),
            ("STORESCOPE_endpoint", "docs/CONFIG.md"),
            ("STORESCOPE_", "docs/CONFIG.md"),
            ("STORESCOPE_SOMETHING_ELSE", "docs/CONFIG.md"),
        ] {
            let error = checked(&["PATH", name, "STORESCOPE_REGION"]).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Config);
            assert!(
                error.to_string().contains(name) && error.to_string().contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn settings_and_names_of_others_are_taken() {
        for setting in SETTINGS {
            checked(&[&setting.variable()]).unwrap();
            assert!(!is_others(&setting.variable()), "{} is a setting's", setting.variable());
        }
        checked(&RESERVED).unwrap();
        checked(&[
            "STORESCOPE_TEST_S3_SERVER",
            "STORESCOPE_SERVICE_HOST",
            "STORESCOPE_SERVICE_PORT_HTTP",
            "STORESCOPE_PORT",
            "STORESCOPE_EMULATOR_PORT_8080_TCP_ADDR",
            "storescope_endpoint",
            "MY_STORESCOPE_X",
        ])
        .unwrap();
    }
}
