// SPDX-License-Identifier: Apache-2.0
//! Entity tags, as servers really write them: quoted, bare (OCI, and some servers of S3), weak, with other characters
//! than RFC 9110 allows.
//!
//! A tag is kept and sent in the form in which the server wrote it. Two tags are compared without their form. A weak
//! tag, and one that cannot stand in a header, is never a condition: `If-Match` compares strongly (RFC 9110, 13.1.1), so
//! that a weak one would fail always. A read then goes unconditionally, and its answer's tag is compared instead; a
//! write is refused.

use crate::error::{ErrorKind, Failure};
use hyper::header::HeaderValue;

/// Whether two tags name one version: their form does not count, nor does the case of a digest in hex.
pub(crate) fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (one, other) = (opaque(one), opaque(other));
    one == other || (is_digest(one) && is_digest(other) && one.eq_ignore_ascii_case(other))
}

/// Whether both are known, and name different versions.
pub(crate) fn differ(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_some_and(|(one, other)| !same(one, other))
}

/// The value of `If-Match` for a read; `None` where the answer's tag must be compared instead.
pub(crate) fn condition(tag: &str) -> Option<HeaderValue> {
    // RFC 9110 allows bytes above 0x7f in a tag; whether they were UTF-8 is not known here.
    (!is_weak(tag) && tag.is_ascii()).then(|| HeaderValue::from_str(tag).ok()).flatten()
}

/// The value of `If-Match` for what changes an object. Without a condition it could replace another version.
pub(crate) fn required(tag: &str) -> Result<HeaderValue, Failure> {
    condition(tag).ok_or_else(|| {
        let why = if is_weak(tag) { "is weak" } else { "cannot stand in a header" };
        Failure::new(ErrorKind::Unsupported)
            .message(format!("the entity tag {tag:?} {why}: no server compares it for a write"))
            .hint("write without the condition, or ask the store itself, without what weakens its tags on the way")
    })
}

/// The tag without what marks it as weak and without its quotes.
pub(crate) fn opaque(tag: &str) -> &str {
    let strong = strong(tag);
    strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(strong)
}

/// The tag without what marks it as weak.
pub(crate) fn strong(tag: &str) -> &str {
    if is_weak(tag) { &tag[2..] } else { tag }
}

#[cfg(feature = "s3")]
pub(crate) fn is_quoted(tag: &str) -> bool {
    tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
}

fn is_weak(tag: &str) -> bool {
    tag.starts_with("W/") || tag.starts_with("w/")
}

/// The MD5 that most servers make a tag of, with `-N` after it for one of parts, or a UUID.
fn is_digest(opaque: &str) -> bool {
    opaque.len() >= 32 && opaque.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_compared_without_their_form() {
        for (one, other) in [
            ("\"abc\"", "abc"),
            ("W/\"abc\"", "\"abc\""),
            ("W/abc", "abc"),
            ("\"a\"b\"", "a\"b"),
            ("0123456789ABCDEF0123456789abcdef-2", "\"0123456789abcdef0123456789abcdef-2\""),
            ("\"\"", ""),
        ] {
            assert!(same(one, other) && same(other, one), "{one} {other}");
        }
        for (one, other) in [("abc", "ABC"), ("\"abc\"", "\"abd\""), ("abc", "abc-1"), ("\"", "")] {
            assert!(!same(one, other), "{one} {other}");
        }
        assert!(
            !differ(None, Some("a")) && !differ(Some("a"), None) && differ(Some("a"), Some("b"))
        );
    }

    #[test]
    fn a_condition_has_the_servers_form_and_a_weak_tag_is_none() {
        for tag in ["\"abc\"", "abc", "\"a b,c\"", "\"a\"b\"", "\"W/x\""] {
            assert_eq!(condition(tag).unwrap(), tag);
            assert_eq!(required(tag).unwrap(), tag);
        }
        for tag in ["W/\"abc\"", "w/abc", "\"\u{fc}\"", "a\nb"] {
            assert!(condition(tag).is_none(), "{tag}");
            assert_eq!(required(tag).unwrap_err().kind, ErrorKind::Unsupported, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn any_form_of_a_tag_is_the_same_tag(tag in "[!#-~]{0,40}") {
            prop_assume!(!is_weak(&tag));
            for form in [format!("\"{tag}\""), format!("W/\"{tag}\""), tag.clone()] {
                prop_assert_eq!(opaque(&form), tag.as_str());
                prop_assert!(same(&form, &tag));
            }
        }
    }
}
