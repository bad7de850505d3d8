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

/// Displays a text so that HTML reads it as text, in elements and in attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\0']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_element_or_an_attribute() {
        let told = Escaped("</script><b>\"x\" & 'y'\0 ü").to_string();
        assert_eq!(told, "&lt;/script&gt;&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;\u{fffd} ü");
    }
}
