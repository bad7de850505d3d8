// SPDX-License-Identifier: Apache-2.0
//! What stands above every table: the command line, the machine, the date, the versions. And the arguments themselves.

use std::fmt::Write as _;

/// The value behind `--name`, where it is given. Panics on one that does not parse.
pub fn argument<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    let text = arguments.next()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} {text}: that is no value of it")))
}

/// Prints the bench's name, what it was run with and on; of `packages` the versions in the lock file.
pub fn head(bench: &str, settings: &str, packages: &[&str]) {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let mut text = format!("## {bench}\n\n`cargo bench -p storescope-benches --bench {bench}");
    if !arguments.is_empty() {
        let _ = write!(text, " -- {}", arguments.join(" "));
    }
    let versions: Vec<String> =
        packages.iter().map(|name| format!("{name} {}", version(name))).collect();
    println!(
        "{text}`\n\n{settings}\n\n{} · {} · load {} · {}\n",
        jiff::Zoned::now().strftime("%F %H:%M %Z"),
        machine(),
        load(),
        versions.join(", ")
    );
}

/// Prints whether a figure reaches its bar.
pub fn bar(what: &str, reached: bool) {
    println!("\nBar: {what}: {}", if reached { "reached." } else { "**missed**." });
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {cpu}, Linux {}", kernel.trim())
}

/// The load of the last minute: what else ran beside the bench.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a package by the lock file; where that holds several, the one that this crate depends on.
fn version(package: &str) -> &'static str {
    own_dependencies()
        .find_map(|dependency| dependency.strip_prefix(package)?.strip_prefix(' '))
        .or_else(|| {
            let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
            rest.split('"').next()
        })
        .unwrap_or("?")
}

/// The names in this crate's entry of the lock file, each with its version where the name alone is not enough.
fn own_dependencies() -> impl Iterator<Item = &'static str> {
    let begin = concat!("name = \"", env!("CARGO_PKG_NAME"), "\"\n");
    let entry = LOCK.split_once(begin).and_then(|(_, rest)| rest.split("\n\n").next());
    entry.into_iter().flat_map(|entry| entry.split('"')).skip(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert!(version("hyper").starts_with("1."));
        assert_eq!(version("no-such-package"), "?");
    }

    #[test]
    fn of_two_versions_the_one_that_this_crate_links_is_told() {
        assert!(LOCK.matches("name = \"object_store\"\n").count() > 1);
        assert!(version("object_store").starts_with("0.14."), "{}", version("object_store"));
    }
}
