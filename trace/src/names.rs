// SPDX-License-Identifier: Apache-2.0
//! Names of objects and buckets in a capture: as they are, or hashed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

/// How a capture writes names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// As they are.
    #[default]
    Plain,
    /// Each segment between two `/` replaced by a keyed hash. The key is random, belongs to one capture and is never
    /// written: a name cannot be found again by hashing guesses. Equal segments have equal hashes within a capture, so that
    /// folders, prefixes that end in `/`, and repeated reads stay visible.
    Hashed,
}

impl Names {
    /// The word in settings and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Names::Plain => "plain",
            Names::Hashed => "hashed",
        }
    }

    /// The one with this word.
    pub fn from_name(name: &str) -> Option<Names> {
        match name {
            "plain" => Some(Names::Plain),
            "hashed" => Some(Names::Hashed),
            _ => None,
        }
    }
}

/// Writes the names of one capture. The hash is the standard library's keyed SipHash, in 16 hexadecimal digits.
#[derive(Debug)]
pub(crate) struct NameWriter(Option<RandomState>);

impl NameWriter {
    pub(crate) fn new(names: Names) -> NameWriter {
        NameWriter((names == Names::Hashed).then(RandomState::new))
    }

    /// The name of an object.
    pub(crate) fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        let Some(hash) = &self.0 else { return Cow::Borrowed(key) };
        let mut hashed = String::with_capacity(key.len().max(16));
        for (number, segment) in key.split('/').enumerate() {
            if number > 0 {
                hashed.push('/');
            }
            if !segment.is_empty() {
                let _ = write!(hashed, "{:016x}", hash.hash_one(segment));
            }
        }
        Cow::Owned(hashed)
    }

    /// Where an object lies: the scheme stays.
    pub(crate) fn bucket<'a>(&self, bucket: &'a str) -> Cow<'a, str> {
        match (&self.0, bucket.split_once("://")) {
            (None, _) => Cow::Borrowed(bucket),
            (Some(hash), Some((scheme, place))) => {
                Cow::Owned(format!("{scheme}://{:016x}", hash.hash_one(place)))
            }
            (Some(_), None) => self.key(bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_keep_folders_and_tell_nothing_else() {
        let names = NameWriter::new(Names::Hashed);
        let (folder, one, two) = (names.key("a/b/"), names.key("a/b/one"), names.key("a/b/two"));
        assert!(one.starts_with(&*folder) && two.starts_with(&*folder), "{folder} {one} {two}");
        assert_ne!(one, two);
        assert_eq!(one, names.key("a/b/one"));
        assert_eq!(one.len(), 3 * 16 + 2);
        assert_eq!(names.key("//x/").matches('/').count(), 3);
        assert_eq!(names.key(""), "");
        // Another capture has another key.
        assert_ne!(NameWriter::new(Names::Hashed).key("a/b/one"), one);
        let bucket = names.bucket("oci://lake@ns");
        assert!(bucket.starts_with("oci://") && !bucket.contains("lake"), "{bucket}");
    }

    #[test]
    fn plain_names_stay() {
        let names = NameWriter::new(Names::Plain);
        assert_eq!((names.key("a/b"), names.bucket("s3://c")), ("a/b".into(), "s3://c".into()));
    }
}
