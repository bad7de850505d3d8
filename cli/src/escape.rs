// SPDX-License-Identifier: Apache-2.0
//! Names of objects, and words of a server, as a terminal may show them: what would move the cursor, change colours, ring,
//! or turn the direction of the text is escaped as `ls -b` does, byte by byte (`\033`, `\342\200\256`).

use serde_json::Value;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A name: a `\` in it is doubled, so that it can be told what was escaped.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\\' || is_unsafe(c))
}

/// A line for people.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe)
}

/// Some lines for people.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unsafe(c))
}

/// A path for people: bytes that are no UTF-8 are escaped, too.
pub(crate) fn path(path: impl AsRef<OsStr>) -> String {
    let mut shown = String::new();
    for chunk in path.as_ref().as_encoded_bytes().utf8_chunks() {
        shown.push_str(&line(chunk.valid()));
        push_bytes(&mut shown, chunk.invalid());
    }
    shown
}

/// JSON of the same value that is as harmless to a terminal: within strings any character may be written by its number.
pub(crate) fn json(value: &Value) -> String {
    harmless(&value.to_string())
}

/// JSON over some lines.
pub(crate) fn json_lines(value: &Value) -> String {
    harmless(&format!("{value:#}"))
}

fn harmless(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // Those below U+0020 are escaped already; a line's end stands between strings.
        if c != '\n' && is_unsafe(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
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

fn event(text: &str) -> String {
    match text.strip_suffix('\n') {
        Some(event) => format!("{}\n", line(event)),
        None => line(text).into_owned(),
    }
}

fn escaped(text: &str, escapes: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let short = match c {
            _ if !escapes(c) => {
                shown.push(c);
                continue;
            }
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\\' => "\\\\",
            other => {
                push_bytes(&mut shown, other.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        shown.push_str(short);
    }
    Cow::Owned(shown)
}

fn push_bytes(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(shown, "\\{byte:03o}");
    }
}

/// Standard error for the log, whose lines hold names. An event is written at once, with one end of line: another in it is
/// that of a name, and would begin a line that looks like an event of its own.
#[derive(Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(event(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    const EVIL: &str = "a\u{1b}[31m\u{7}\n\u{9b}2J\u{202e}gpj.exe\u{2066}\\\u{7f}";

    #[test]
    fn what_a_terminal_would_act_on_is_escaped_as_ls_does() {
        let shown = name(EVIL);
        assert_eq!(
            shown,
            "a\\033[31m\\a\\n\\302\\2332J\\342\\200\\256gpj.exe\\342\\201\\246\\\\\\177"
        );
        assert_eq!(name("caf\u{e9} \u{1f980}/%41"), "caf\u{e9} \u{1f980}/%41");
        assert_eq!(line("a\\b\nc"), "a\\b\\nc");
        assert_eq!(lines("a\nb\u{1b}"), "a\nb\\033");
        assert_eq!(event("WARN key=a\nWARN b\n"), "WARN key=a\\nWARN b\n");
        assert_eq!(path(OsStr::from_bytes(b"a\xffb\x1b")), "a\\377b\\033");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "name": EVIL });
        for text in [json(&value), json_lines(&value)] {
            assert!(!text.chars().any(|c| c != '\n' && is_unsafe(c)), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }
}
