// SPDX-License-Identifier: Apache-2.0
//! Text that a terminal or a log can show: names of objects and words of a server may hold characters that move the
//! cursor, change colours, or turn the direction of what follows.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A text with each control character, mark of direction, and end of line or paragraph escaped as `ls -b` does: `\n`,
/// `\033`, `\342\200\256`. [`Error`](crate::Error)'s messages are escaped so.
///
/// ```
/// assert_eq!(storescope::escaped("a\u{1b}[31m\n"), r"a\033[31m\n");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let _ = Escaping(&mut shown).write_str(text);
    Cow::Owned(shown)
}

/// Escapes what is written through it.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut written = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            self.0.write_str(&text[written..at])?;
            written = at + c.len_utf8();
            match c {
                '\u{7}' => self.0.write_str("\\a")?,
                '\u{8}' => self.0.write_str("\\b")?,
                '\t' => self.0.write_str("\\t")?,
                '\n' => self.0.write_str("\\n")?,
                '\u{b}' => self.0.write_str("\\v")?,
                '\u{c}' => self.0.write_str("\\f")?,
                '\r' => self.0.write_str("\\r")?,
                _ => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        write!(self.0, "\\{byte:03o}")?;
                    }
                }
            }
        }
        self.0.write_str(&text[written..])
    }
}

/// Whether a character does something to a terminal, or to how what follows it is read.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}'    // marks of direction
            | '\u{2028}' | '\u{2029}'              // ends of line and paragraph
            | '\u{202a}'..='\u{202e}'              // embeddings and overrides
            | '\u{2066}'..='\u{2069}'              // isolates
            | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(escaped("a\u{1b}[2J\r\n\t\u{7}\u{8}\u{b}\u{c}b"), r"a\033[2J\r\n\t\a\b\v\fb");
        assert_eq!(
            escaped("x\u{202e}gpj.exe\u{9b}31m\u{7f}"),
            r"x\342\200\256gpj.exe\302\23331m\177"
        );
        assert!(matches!(escaped("é/日本/100%/a\\b"), Cow::Borrowed("é/日本/100%/a\\b")));
    }
}
