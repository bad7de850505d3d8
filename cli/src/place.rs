// SPDX-License-Identifier: Apache-2.0
//! What stands on the command line for a source or a target: a path, a store's URL, or `-`; and how names of objects
//! become paths and paths become names.

use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use storescope::{Client, Scheme, Store, StoreOptions, StoreUrl};

/// A source or a target.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// `-`: standard input or output.
    Standard,
    /// A path of this machine.
    Local(PathBuf),
    /// An object, a prefix of names, or a bucket.
    Store(StoreUrl),
}

impl Place {
    /// What has `scheme://` in front is a URL (`file://` one of a path); what lacks only the slashes (`s3:/bucket/key`) is
    /// refused as one; all else is a path.
    pub(crate) fn parse(text: OsString) -> Result<Place, storescope::Error> {
        match text.to_str() {
            Some("-") => Ok(Place::Standard),
            Some(url) if StoreUrl::is_meant(url) => {
                let url: StoreUrl = url.parse()?;
                Ok(match url.scheme() {
                    // What files cannot have (content types, say) is nothing to fail for.
                    Scheme::File => Place::Local(format!("/{}", url.key()).into()),
                    _ => Place::Store(url),
                })
            }
            _ => Ok(Place::Local(text.into())),
        }
    }

    /// Whether things are put below it rather than in its place.
    pub(crate) fn is_folder(&self) -> bool {
        match self {
            Place::Standard => false,
            Place::Local(path) => {
                path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
            }
            Place::Store(url) => url.key().is_empty() || url.key().ends_with('/'),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Standard => f.write_str("-"),
            Place::Local(path) => path.display().fmt(f),
            Place::Store(url) => url.fmt(f),
        }
    }
}

/// A parser for clap: paths need not be UTF-8.
pub(crate) fn parser() -> impl clap::builder::TypedValueParser<Value = Place> {
    use clap::builder::{OsStringValueParser, TypedValueParser};
    OsStringValueParser::new().try_map(Place::parse)
}

/// The whole bucket of a URL: names in it are those of its objects, in full.
pub(crate) fn root(client: &Client, url: &StoreUrl) -> storescope::Result<Store> {
    client.store(&url.with_key(""), StoreOptions::new())
}

/// An object's URL.
pub(crate) fn url_of(store: &Store, key: &str) -> String {
    store.url().with_key(key).to_string()
}

/// The prefix of what is below a name.
pub(crate) fn prefix(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

/// What stands behind the last `/` of a name.
pub(crate) fn last(key: &str) -> Option<&str> {
    key.rsplit('/').next().filter(|name| !name.is_empty())
}

/// The path below `folder` of an object of this name, if the file system can have it, and nowhere else.
pub(crate) fn path_below(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let mut path = folder.to_owned();
    for segment in name.strip_suffix('/').unwrap_or(name).split('/') {
        let why = match segment {
            "" => "a name that begins with / or has // in it is no path below a folder",
            "." | ".." => "a name with . or .. for a folder leads elsewhere",
            _ if segment.contains('\0') => "a path has no NUL character",
            _ => {
                path.push(segment);
                continue;
            }
        };
        return Err(format!("the file system cannot hold the name {name:?}: {why}"));
    }
    Ok(path)
}

/// The name of an object for a path below a folder.
pub(crate) fn name_of(path: &Path) -> Result<String, String> {
    let unfit = || format!("{}: names of objects are UTF-8, this path is not", path.display());
    let mut name = String::new();
    for component in path.components() {
        let Component::Normal(part) = component else { continue };
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(part.to_str().ok_or_else(unfit)?);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn place(text: &str) -> Place {
        Place::parse(text.into()).unwrap()
    }

    #[test]
    fn urls_paths_and_the_standard_streams() {
        assert!(matches!(place("-"), Place::Standard));
        assert!(matches!(place("oci://b@ns/k"), Place::Store(_)));
        for path in
            ["a/b", "./oci://b", "a b://c", "://x", "/", "./s3:/b/x", "d/s3:b", "s4:/b", "s3", ":"]
        {
            assert!(matches!(place(path), Place::Local(_)), "{path}");
        }
        assert!(matches!(place("file:///a b"), Place::Local(path) if path == Path::new("/a b")));
        assert!(Place::parse("ftp://h/x".into()).is_err());
        for (url, right) in [
            ("s3:/b/x", "s3://b/x"),
            ("s3:b/x", "s3://b/x"),
            ("S3:/b/x", "s3://b/x"),
            ("oci:/b@ns/x", "oci://b@ns/x"),
            ("file:/a/b", "file:///a/b"),
            ("https:/h/n/ns/b/b", "https://h/n/ns/b/b"),
        ] {
            let refused = Place::parse(url.into()).unwrap_err().to_string();
            assert!(refused.contains(&format!("{right:?}")), "{url}: {refused}");
        }
        let bytes = OsStr::from_bytes(b"\xff").to_owned();
        assert!(matches!(Place::parse(bytes), Ok(Place::Local(_))));
        assert!(place("oci://b/").is_folder() && place("s3://b/a/").is_folder());
        assert!(!place("oci://b/a").is_folder() && place("x/").is_folder());
    }

    #[test]
    fn names_become_paths_below_and_nowhere_else() {
        let folder = Path::new("/t");
        for (name, path) in [
            ("a", "/t/a"),
            ("a/b c/d%2F", "/t/a/b c/d%2F"),
            ("a/", "/t/a"),
            ("...", "/t/..."),
            ("caf\u{e9}/\u{1f980}", "/t/caf\u{e9}/\u{1f980}"),
        ] {
            assert_eq!(path_below(folder, name).as_deref(), Ok(Path::new(path)));
        }
        for name in ["..", "a/../b", "/etc/passwd", "a//b", "a\0b", "", ".", "a/.", "//", "../x/"] {
            let refused = path_below(folder, name).unwrap_err();
            assert!(refused.contains(&format!("{name:?}")), "{refused}");
        }
    }

    #[test]
    fn paths_become_names() {
        assert_eq!(name_of(Path::new("a/b c/d")).as_deref(), Ok("a/b c/d"));
        assert!(name_of(Path::new(OsStr::from_bytes(b"a/\xff"))).is_err());
    }
}
