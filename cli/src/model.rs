// SPDX-License-Identifier: Apache-2.0
//! The latency model that an option names.

use crate::exit::Exit;
use std::path::Path;
use storescope_model::Model;

/// A model by name, or from a TOML file.
pub(crate) fn model(name: &str) -> Result<Model, Exit> {
    if !Path::new(name).exists() {
        return Model::named(name).map_err(|e| Exit::usage(format!("{e}; or give a TOML file")));
    }
    let text = std::fs::read_to_string(name)
        .map_err(|e| Exit::usage(format!("cannot read {name}: {e}")))?;
    Model::from_toml(&text).map_err(|e| Exit::usage(format!("{name}: {e}")))
}
