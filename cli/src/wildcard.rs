// SPDX-License-Identifier: Apache-2.0
//! The syntax of wildcards: `*` and `?` within a folder, `**` across folders, `[a-z]` for one character.

use glob::MatchOptions;

/// `*`, `?` and `[…]` do not match `/`. A dot at the beginning of a name is a character as any other.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The characters that mean something in a pattern.
pub(crate) const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Whether a name holds one of them.
pub(crate) fn has_wildcard(name: &str) -> bool {
    name.contains(WILDCARDS)
}

/// A checked pattern for one component, or for a path of components.
#[derive(Clone, Debug)]
pub(crate) struct Glob(glob::Pattern);

impl Glob {
    pub(crate) fn new(text: &str) -> Result<Glob, String> {
        glob::Pattern::new(text)
            .map(Glob)
            .map_err(|error| format!("{text:?} is not a pattern: {} at {}", error.msg, error.pos))
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.matches_with(text, OPTIONS)
    }
}
