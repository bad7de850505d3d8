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
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn version(package: &str) -> &'static str {
    const LOCK: &str = include_str!("../../Cargo.lock");
    LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("?", |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert!(version("hyper").starts_with("1."));
        assert_eq!(version("no-such-package"), "?");
    }
}
