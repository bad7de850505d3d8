// SPDX-License-Identifier: Apache-2.0
//! Text as HTML has it.

use std::fmt;

/// Appends formatted text to a `String`.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {
        std::fmt::Write::write_fmt($out, format_args!($($text)*)).expect("a String takes all")
    };
}
pub(super) use put;

/// Displays a text so that HTML reads it as text, in elements and in attributes. Control characters other than white space,
/// which HTML forbids, are shown as the replacement character.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| is_escaped(*letter)) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + letter.len_utf8()..];
        }
        f.write_str(rest)
    }
}

fn is_escaped(letter: char) -> bool {
    let is_space = matches!(letter, '\n' | '\t' | '\r');
    matches!(letter, '&' | '<' | '>' | '"' | '\'')
        || (letter.is_control() && !is_space)
        || turns_the_direction(letter)
}

/// Overrides, embeddings, isolates and marks of direction: a name that holds one would be read as another.
fn turns_the_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_turns_the_direction_of_what_follows() {
        assert_eq!(
            Escaped("a\u{202e}gpj\u{2066}\u{200f}").to_string(),
            "a\u{fffd}gpj\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn nothing_ends_an_element_or_an_attribute() {
        let told = Escaped("</script><b>\"x\" & 'y'\0 ü\u{85}\u{1b}\n").to_string();
        let expected =
            "&lt;/script&gt;&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;\u{fffd} ü\u{fffd}\u{fffd}\n";
        assert_eq!(told, expected);
    }
}
