// SPDX-License-Identifier: Apache-2.0
//! Names that cannot both be files: `a` and `a/b`.

/// Names that come in their order, of which one may be that of a folder of a later one. Those that begin alike stand
/// together in the order of names, so few are held.
#[derive(Debug, Default)]
pub(super) struct Ancestors(Vec<(String, String)>);

impl Ancestors {
    /// The earlier object whose name is that of a folder that this one lies in. `name` is held if it is a file's.
    pub(super) fn above(&mut self, name: &str, shown: &str) -> Option<String> {
        while self.0.last().is_some_and(|(earlier, _)| !name.starts_with(earlier.as_str())) {
            self.0.pop();
        }
        let above = self.0.iter().find(|(earlier, _)| name[earlier.len()..].starts_with('/'));
        let above = above.map(|(_, shown)| shown.clone());
        if above.is_none() && !name.ends_with('/') && !name.is_empty() {
            self.0.push((name.to_owned(), shown.to_owned()));
        }
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_place_of_a_folder_is_seen() {
        let mut names = Ancestors::default();
        let mut above = |name: &str| names.above(name, name);
        for free in ["a", "a!", "a-b", "a-b-c"] {
            assert_eq!(above(free), None, "{free}");
        }
        assert_eq!(above("a/b").as_deref(), Some("a"));
        assert_eq!(above("a/b/c").as_deref(), Some("a"));
        assert_eq!(above("a0"), None);
        assert_eq!(above("b/"), None, "a folder's own mark");
        assert_eq!(above("b/c"), None);
        assert_eq!(above("b/c/").as_deref(), Some("b/c"));
        assert_eq!(above("c"), None);
        assert_eq!(above("c//d").as_deref(), Some("c"));
    }
}
