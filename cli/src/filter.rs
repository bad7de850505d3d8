// SPDX-License-Identifier: Apache-2.0
//! `--include` and `--exclude`: which of the names below a source are meant.
//!
//! The last option whose pattern matches decides. A name that none matches is taken, unless the first option is an
//! `--include`: includes alone mean only what they name.

use crate::exit::Exit;
use crate::place::relative;
use crate::wildcard::Glob;
use clap::{Arg, ArgAction, ArgMatches, Command};
use storescope::ObjectMeta;

const HELP: &str = "may be given more than once, the last that matches decides. Without / it matches a file or folder \
                    anywhere below the source, with / a path from the source on; a folder brings what is in it";

/// The options, in their order on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    rules: Vec<Rule>,
}

/// One option.
#[derive(Clone, Debug)]
struct Rule {
    include: bool,
    glob: Glob,
    /// Whether the pattern is that of a whole path.
    anchored: bool,
    /// Whether it ends in `/`.
    folders_only: bool,
}

impl Filter {
    /// Whether a name relative to its source is meant.
    pub(crate) fn takes(&self, relative: &str) -> bool {
        let decides = self.rules.iter().rev().find(|rule| rule.is_match(relative));
        match (decides, self.rules.first()) {
            (Some(rule), _) => rule.include,
            (None, Some(first)) => !first.include,
            (None, None) => true,
        }
    }

    /// An object that was listed below a folder, if it is meant.
    pub(crate) fn chosen(
        &self,
        meta: ObjectMeta,
        folder: &str,
    ) -> Result<Option<ObjectMeta>, Exit> {
        Ok(if self.takes(relative(&meta.key, folder)?) { Some(meta) } else { None })
    }

    /// Whether neither a name nor anything below it can be meant: what cannot be read there does not matter.
    pub(crate) fn leaves_out_all_of(&self, relative: &str) -> bool {
        let mut latest = self.rules.iter().rev().take_while(|rule| !rule.include);
        latest.any(|rule| rule.is_match(relative))
    }
}

impl Rule {
    fn new(include: bool, text: &str) -> Result<Rule, String> {
        let folders_only = text.ends_with('/');
        let bare = text.trim_end_matches('/');
        let (anchored, path) = match bare.strip_prefix('/') {
            Some(path) => (true, path),
            None => (bare.contains('/') || bare.starts_with("**"), bare),
        };
        if path.is_empty() {
            return Err(format!("{text:?} matches nothing"));
        }
        Ok(Rule { include, glob: Glob::new(path)?, anchored, folders_only })
    }

    /// Whether the name, or a folder above it, matches.
    fn is_match(&self, name: &str) -> bool {
        let ends = name.match_indices('/').map(|(at, _)| (at, true));
        let whole = (!name.ends_with('/')).then_some((name.len(), false));
        let mut begin = 0;
        ends.chain(whole).any(|(end, is_folder)| {
            let part = if self.anchored { &name[..end] } else { &name[begin..end] };
            begin = end + 1;
            (is_folder || !self.folders_only) && self.glob.is_match(part)
        })
    }
}

impl clap::Args for Filter {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, what: &str| {
            Arg::new(name)
                .long(name)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .value_parser(|text: &str| Rule::new(true, text).map(|_| text.to_owned()))
                .help(format!("{what} names that match"))
                .long_help(format!("{what} names that match; {HELP}"))
        };
        command.arg(option("include", "Only")).arg(option("exclude", "Leave out"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Filter::augment_args(command)
    }
}

impl clap::FromArgMatches for Filter {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Filter, clap::Error> {
        let mut rules = Vec::new();
        for (name, include) in [("include", true), ("exclude", false)] {
            let at = matches.indices_of(name).into_iter().flatten();
            let texts = matches.get_many::<String>(name).into_iter().flatten();
            for (at, text) in at.zip(texts) {
                let rule = Rule::new(include, text).map_err(|why| {
                    clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{why}\n"))
                })?;
                rules.push((at, rule));
            }
        }
        rules.sort_by_key(|(at, _)| *at);
        Ok(Filter { rules: rules.into_iter().map(|(_, rule)| rule).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Filter::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn filter(args: &[&str]) -> Filter {
        let command = Filter::augment_args(Command::new("x").no_binary_name(true));
        Filter::from_arg_matches(&command.try_get_matches_from(args).unwrap()).unwrap()
    }

    fn taken(args: &[&str], names: &[&'static str]) -> Vec<&'static str> {
        let filter = filter(args);
        names.iter().copied().filter(|name| filter.takes(name)).collect()
    }

    const NAMES: [&str; 6] = ["a.csv", "a.log", "tmp/a.csv", "tmp/x/a.log", "x/tmp/b", "x/y.csv"];

    #[test]
    fn the_last_that_matches_decides() {
        assert_eq!(taken(&[], &NAMES), NAMES);
        assert_eq!(taken(&["--include", "*.csv"], &NAMES), ["a.csv", "tmp/a.csv", "x/y.csv"]);
        assert_eq!(taken(&["--exclude", "*.csv"], &NAMES), ["a.log", "tmp/x/a.log", "x/tmp/b"]);
        let all_but = ["--exclude", "*", "--include", "*.log"];
        assert_eq!(taken(&all_but, &NAMES), ["a.log", "tmp/x/a.log"]);
        let turned = ["--include", "*.log", "--exclude", "*"];
        assert_eq!(taken(&turned, &NAMES), [""; 0]);
        let kept = ["--exclude", "tmp", "--include", "/tmp/a.csv"];
        assert_eq!(taken(&kept, &NAMES), ["a.csv", "a.log", "tmp/a.csv", "x/y.csv"]);
        let narrowed = ["--include", "*.csv", "--exclude", "/tmp/"];
        assert_eq!(taken(&narrowed, &NAMES), ["a.csv", "x/y.csv"]);
    }

    #[test]
    fn folders_bring_what_is_in_them_and_a_slash_anchors() {
        assert_eq!(taken(&["--exclude", "tmp"], &NAMES), ["a.csv", "a.log", "x/y.csv"]);
        assert_eq!(taken(&["--include", "/tmp"], &NAMES), ["tmp/a.csv", "tmp/x/a.log"]);
        // As users of aws and rclone write it: all that is below, however deep.
        assert_eq!(taken(&["--include", "tmp/*"], &NAMES), ["tmp/a.csv", "tmp/x/a.log"]);
        assert_eq!(taken(&["--include", "tmp/**"], &NAMES), ["tmp/a.csv", "tmp/x/a.log"]);
        assert_eq!(
            taken(&["--include", "**/tmp/*"], &NAMES),
            ["tmp/a.csv", "tmp/x/a.log", "x/tmp/b"]
        );
        // A file is no folder; the marker of one is.
        assert_eq!(taken(&["--exclude", "a/"], &["a", "a/", "b/a", "a/b"]), ["a", "b/a"]);
        assert_eq!(taken(&["--exclude", "?"], &["", "x//y", "ab"]), ["", "ab"]);
    }

    #[test]
    fn a_folder_is_left_out_whole_where_no_later_include_may_name_what_is_in_it() {
        assert!(filter(&["--exclude", "tmp"]).leaves_out_all_of("x/tmp"));
        assert!(filter(&["--include", "*.csv", "--exclude", "tmp"]).leaves_out_all_of("tmp"));
        assert!(!filter(&["--exclude", "tmp", "--include", "*.csv"]).leaves_out_all_of("tmp"));
        // It is not taken, but its files may be.
        assert!(!filter(&["--include", "*.csv"]).leaves_out_all_of("tmp"));
        assert!(!filter(&[]).leaves_out_all_of("tmp"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let command = Filter::augment_args(Command::new("x").no_binary_name(true));
        for bad in ["[", "a**", "", "/"] {
            assert!(command.clone().try_get_matches_from(["--exclude", bad]).is_err(), "{bad}");
        }
    }
}
