// SPDX-License-Identifier: Apache-2.0
//! The core's table of settings, for Java: what it must know of a setting to look its value up where Hadoop keeps it.

use storescope::config::{DEFAULT_FILES, SETTINGS};

/// Three texts for each setting: its name, `secret` or nothing, and its environment variables with a space between.
pub(crate) fn table() -> Vec<Option<String>> {
    let rows = SETTINGS.iter().flat_map(|setting| {
        let mut variables = setting.variable();
        for also in setting.also {
            variables.push(' ');
            variables.push_str(also);
        }
        let secret = if setting.secret { "secret" } else { "" };
        [setting.name.to_owned(), secret.to_owned(), variables]
    });
    rows.map(Some).collect()
}

/// The OCI configuration files that are looked for where nothing names one, with `~/` for the home folder.
pub(crate) fn config_files() -> Vec<Option<String>> {
    DEFAULT_FILES.map(|file| Some(file.to_owned())).to_vec()
}
