// SPDX-License-Identifier: Apache-2.0
//! What is kept with an object and told to its readers, so that it makes the round trip.
//!
//! A header holds visible ASCII, and no blanks at its ends. A value of user metadata that is anything else is written as
//! RFC 2047 has it (`=?UTF-8?B?w7xiZXI=?=`), which S3 stores and answers for such values, and is decoded when it is read.
//! So is one that looks encoded already. Names, and content headers such as `Content-Disposition`, have no such way:
//! what cannot stand in a header is refused.

use crate::error::{ErrorKind, Failure};
use crate::types::About;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The name under which our own mark is kept.
pub(in crate::backend) const MARK: &str = "storescope-write";

/// Names and values, as they are sent, longer than this are refused: no server takes such a head. S3 takes 2 KiB, and
/// says so itself.
const LIMIT: usize = 8 << 10;

/// An encoded word has at most 75 characters (RFC 2047, 2), its frame among them: 45 bytes in base64 are 60.
const WORD: usize = 45;

/// User metadata as it is sent: names in lower case, without their prefix, and values encoded where they must be.
pub(in crate::backend) fn sent(about: &About) -> Result<BTreeMap<String, String>, Failure> {
    let mut sent = BTreeMap::new();
    let mut length = 0;
    for (name, value) in &about.metadata {
        let lower = checked_name(name)?;
        let value = encoded(value).into_owned();
        length += lower.len() + value.len();
        if sent.insert(lower, value).is_some() {
            return Err(refused(format!(
                "{name:?} names user metadata twice: names are case-insensitive"
            )));
        }
    }
    if length > LIMIT {
        return Err(refused(format!("the user metadata has {length} bytes")).hint(
            "keep it below 2,048 bytes, which every service takes, and write the rest as an object",
        ));
    }
    if let Some(mark) = about.mark {
        sent.insert(MARK.to_owned(), mark.to_string());
    }
    Ok(sent)
}

/// A content header, such as `Content-Disposition`.
pub(in crate::backend) fn content(name: &'static str, text: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_str(text).ok();
    value.filter(|_| is_plain(text)).ok_or_else(|| {
        let refused = refused(format!("{text:?} cannot stand in the header {name}"));
        match name {
            "content-disposition" => refused
                .hint("write a name that is not ASCII as filename*=UTF-8''caf%C3%A9 (RFC 6266)"),
            _ => refused.hint("a header holds visible ASCII, and no blanks at its ends"),
        }
    })
}

/// What a header holds: UTF-8, as some servers answer, else Latin-1.
pub(in crate::backend) fn text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// A value of user metadata, as it was meant.
pub(in crate::backend) fn received(value: &HeaderValue) -> String {
    decoded(&text(value)).into_owned()
}

fn checked_name(name: &str) -> Result<String, Failure> {
    let lower = name.to_ascii_lowercase();
    if lower == MARK {
        return Err(refused(format!("the name {name:?} of user metadata is reserved")));
    }
    // A header's name is what it is sent as.
    match HeaderName::try_from(lower.as_str()) {
        Ok(_) => Ok(lower),
        Err(e) => Err(refused(format!("{name:?} cannot name user metadata"))
            .hint("a name has ASCII letters, digits, `-`, `_` and `.`")
            .source(e)),
    }
}

fn refused(why: String) -> Failure {
    Failure::new(ErrorKind::InvalidInput).message(why)
}

/// Visible ASCII and blanks between.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim_matches(' ') == text
}

fn encoded(value: &str) -> Cow<'_, str> {
    if is_plain(value) && decoded(value) == value {
        return Cow::Borrowed(value);
    }
    let mut words = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    Cow::Owned(words.join(" "))
}

/// The text that holds encoded words, decoded; what is none, or does not decode, stays as it is. Blanks between two words
/// are not text.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains("=?") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        match run_of_words(from) {
            Some((words, after)) => {
                out.push_str(&words);
                rest = after;
            }
            None => {
                out.push_str("=?");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The encoded words that a text begins with, put together, since a character may be cut between two; and what follows.
fn run_of_words(text: &str) -> Option<(String, &str)> {
    let (charset, mut bytes, mut after) = word(text)?;
    while let Some((_, more, rest)) = word(after.trim_start_matches([' ', '\t']))
        .filter(|(other, ..)| other.eq_ignore_ascii_case(charset))
    {
        bytes.extend(more);
        after = rest;
    }
    let read = if charset.eq_ignore_ascii_case("UTF-8") || charset.eq_ignore_ascii_case("US-ASCII")
    {
        String::from_utf8(bytes).ok()?
    } else if charset.eq_ignore_ascii_case("ISO-8859-1") {
        bytes.into_iter().map(char::from).collect()
    } else {
        return None;
    };
    Some((read, after))
}

/// `=?charset?encoding?text?=`: the charset, the bytes, and what follows.
fn word(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (word, after) = rest.split_once("?=")?;
    // A language may follow the charset (RFC 2231).
    let charset = charset.split('*').next()?;
    if word.contains([' ', '\t', '?']) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(word).ok()?,
        "Q" | "q" => quoted_printable(word)?,
        _ => return None,
    };
    Some((charset, bytes, after))
}

fn quoted_printable(word: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::RequestId;
    use proptest::prelude::*;

    fn about(metadata: &[(&str, &str)]) -> About {
        let metadata =
            metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        About { metadata: metadata.collect(), ..About::default() }
    }

    #[test]
    fn words_of_others_are_read() {
        for (word, text) in [
            ("=?UTF-8?B?w7xiZXI=?=", "\u{fc}ber"),
            ("=?utf-8?q?=C3=BCber_x?=", "\u{fc}ber x"),
            ("=?ISO-8859-1?Q?=FCber?=", "\u{fc}ber"),
            // A character cut between two words.
            ("=?UTF-8?B?w7xiw7w=?= =?UTF-8?Q?x?=", "\u{fc}b\u{fc}x"),
            ("=?UTF-8?B?ww==?=\t=?UTF-8?B?vA==?=", "\u{fc}"),
            ("a =?UTF-8?B?w7w=?= b", "a \u{fc} b"),
            ("=?UTF-8*de?B?w7w=?=", "\u{fc}"),
            ("=?UTF-8?B??=", ""),
        ] {
            assert_eq!(decoded(word), text, "{word}");
        }
        for text in
            ["=?", "=?x", "=?UTF-8?B?*?=", "=?KOI8-R?B?w7w=?=", "=?UTF-8?X?a?=", "=?UTF-8?B?/w==?="]
        {
            assert_eq!(decoded(text), text, "{text}");
        }
    }

    #[test]
    fn what_is_plain_is_sent_as_it_is() {
        for value in ["", "v", "a b  c", "=?", "x=1; y=\"2\""] {
            assert_eq!(encoded(value), value);
        }
        assert_eq!(encoded("\u{fc}ber"), "=?UTF-8?B?w7xiZXI=?=");
    }

    #[test]
    fn names_are_checked() {
        let sent_of = |name| sent(&about(&[(name, "v")]));
        assert_eq!(sent_of("Author").unwrap().into_keys().collect::<Vec<_>>(), ["author"]);
        for name in ["", "a b", "a:b", "\u{fc}", "a\n", "Storescope-Write"] {
            assert_eq!(sent_of(name).unwrap_err().kind, ErrorKind::InvalidInput, "{name:?}");
        }
        assert!(sent(&about(&[("a", "1"), ("A", "2")])).unwrap_err().message.contains("twice"));
        let long = sent(&about(&[("a", &"x".repeat(LIMIT))])).unwrap_err();
        assert!(
            long.message.contains("8193 bytes") && long.hint.as_ref().unwrap().contains("2,048")
        );
        let marked = About { mark: Some(RequestId::next()), ..about(&[]) };
        assert_eq!(sent(&marked).unwrap().len(), 1);
    }

    #[test]
    fn content_headers_are_checked() {
        assert_eq!(content("content-language", "de").unwrap(), "de");
        for text in ["\u{fc}", " a", "a ", "a\nb", "a\tb"] {
            assert_eq!(content("cache-control", text).unwrap_err().kind, ErrorKind::InvalidInput);
        }
        let named = content("content-disposition", "attachment; filename=\u{fc}").unwrap_err();
        assert!(named.hint.as_ref().unwrap().contains("filename*="));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in any::<String>()) {
            let sent = encoded(&value).into_owned();
            prop_assert!(is_plain(&sent), "{sent:?}");
            let header = HeaderValue::from_str(&sent).unwrap();
            prop_assert_eq!(received(&header), value);
        }

        #[test]
        fn words_among_text_come_back(value in "(=\\?UTF-8\\?[BQ]\\?[a-zA-Z0-9=]{0,6}\\?=|[ =?\u{fc}a]){0,6}") {
            let sent = encoded(&value).into_owned();
            prop_assert!(is_plain(&sent), "{sent:?}");
            prop_assert_eq!(decoded(&sent), value);
        }

        #[test]
        fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[=?BQ8UTF a_-]{0,40}") {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _ = received(&header);
            }
            let _ = decoded(&text);
        }
    }
}
