// SPDX-License-Identifier: Apache-2.0
//! `bench --config FILE`: what is measured, as a TOML or YAML file.
//!
//! ```toml
//! url = "s3://lake/bench/"           # or on the command line, or --emulator
//!
//! [prepare]                          # objects that are made before, and removed at the end
//! objects = 200
//! size = "1MiB"                      # or sizes = [{ size = "64KiB", weight = 9 }, { size = "8MiB", weight = 1 }]
//!
//! [[stage]]
//! mix = { get = 70, put = 20, list = 10 }
//! size = ["64KiB", "1MiB"]           # a cell each; "64KiB..1MiB" doubles
//! concurrency = 16                   # or rate = 200
//! duration = "30s"
//! ```
//!
//! The form of the file alone: [`Workload::read`] refuses fields it does not know and values that make no sense, with the
//! line. What the command line says goes over it.

use super::grid::{self, Values};
use super::mix::Mix;
use super::pattern::Pattern;
use super::rules::{Until, Warmup};
use super::{Bench, Connections, Spread};
use crate::exit::Exit;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use storescope::StoreUrl;
use storescope::config::{parse_duration, parse_size};

/// A file: objects to be made, and stages that are measured one after another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    /// What is read or written, where the command line names nothing.
    #[serde(default)]
    url: Option<Parsed<StoreUrl>>,
    #[serde(default)]
    connections: Option<Named<Connections>>,
    #[serde(default)]
    prepare: Option<Prepare>,
    #[serde(rename = "stage", alias = "stages")]
    stages: Vec<Stage>,
}

/// Objects that are made before the first stage.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepare {
    /// How many.
    objects: u64,
    /// Behind the URL's prefix; it ends in `/`.
    #[serde(default)]
    prefix: Option<String>,
    /// Of each.
    #[serde(default)]
    size: Option<Size>,
    /// Of some each, by weight.
    #[serde(default)]
    sizes: Vec<Weighted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    size: Size,
    weight: u32,
}

/// What is measured at a time. Several sizes, concurrencies or rates are a cell each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    /// What is called, by weight.
    #[serde(default)]
    mix: Option<Weights>,
    /// Where reads go: a value of `--pattern`.
    #[serde(default)]
    pattern: Option<Named<Pattern>>,
    /// Bytes of a call.
    #[serde(default)]
    size: Option<Sizes>,
    #[serde(default)]
    concurrency: Option<Concurrencies>,
    /// Calls a second: an open loop.
    #[serde(default)]
    rate: Option<Rates>,
    #[serde(default)]
    arrivals: Option<Named<Spread>>,
    #[serde(default)]
    duration: Option<Time>,
    #[serde(default)]
    count: Option<u64>,
    /// A count, a time or `stable`.
    #[serde(default)]
    warmup: Option<Parsed<Warmup>>,
    /// Such as `p50:1%,p99:5%`.
    #[serde(default)]
    until: Option<Parsed<Until>>,
}

/// Operations by their weights.
#[derive(Clone, Debug, PartialEq)]
struct Weights(Mix);

/// A size in bytes: a number, or a text such as `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(u64);

/// A time such as `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time(Duration);

/// A value that is a text on the command line, or a number there.
#[derive(Clone, Debug, PartialEq)]
struct Parsed<T>(T);

/// A word of an option that has a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named<T>(T);

/// Values that are swept: one, a list, or a text as on the command line.
#[derive(Clone, Debug, PartialEq)]
struct Sizes(Values<u64>);

#[derive(Clone, Debug, PartialEq)]
struct Concurrencies(Values<u32>);

#[derive(Clone, Debug, PartialEq)]
struct Rates(Values<f64>);

/// Where the file is, and what the command line says itself.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConfigOptions {
    // First: it looks at all that was given before others take it.
    #[command(flatten)]
    given: Given,

    /// Measure what this TOML or YAML file says: a step that prepares objects, and stages with mixes, sizes and rates
    /// (docs/CLI.md). Options given on the command line go before those of the file.
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    pub(super) config: Option<PathBuf>,
}

/// The options that were given on the command line, by their names.
#[derive(Clone, Debug, Default)]
struct Given(BTreeSet<String>);

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        let names = matches.ids().map(clap::Id::as_str);
        let given =
            names.filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine));
        Ok(Given(given.map(str::to_owned).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ConfigOptions {
    /// Whether an option was given on the command line.
    pub(super) fn is_given(&self, option: &str) -> bool {
        self.given.0.contains(option)
    }
}

impl Bench {
    /// What is measured one after another: the stages of a file, or this alone.
    pub(super) fn stages(mut self) -> Result<Vec<Bench>, Exit> {
        let Some(file) = &self.config.config else { return Ok(vec![self]) };
        let workload = Workload::read(file)?;
        if self.url.is_none() && self.emulator.is_none() {
            let Some(url) = &workload.url else {
                return Err(Exit::usage(format!(
                    "{} names no url: give one there or on the command line, or --emulator",
                    file.display()
                )));
            };
            self.url = Some(url.0.clone());
        }
        if let Some(Named(connections)) = workload.connections
            && !self.config.is_given("connections")
        {
            self.connections = connections;
        }
        if let Some(prepare) = workload.prepare.filter(|_| !self.config.is_given("prepare")) {
            self.prepare = Some(prepare.objects);
            self.prepared_sizes = Some(prepare.sizes(self.seed).into());
            self.below = prepare.prefix;
        }
        Ok(workload.stages.into_iter().map(|stage| stage.over(&self)).collect())
    }
}

impl Stage {
    /// What the command line asks for, with this stage where it says nothing.
    fn over(self, bench: &Bench) -> Bench {
        let mut bench = bench.clone();
        let free = |option| !bench.config.is_given(option);
        let (op, pattern, size) = (free("op"), free("pattern"), free("size"));
        let (concurrency, rate, arrivals) = (free("concurrency"), free("rate"), free("arrivals"));
        let (ends, warmup) = (free("duration") && free("count") && free("until"), free("warmup"));
        bench.op = self.mix.filter(|_| op).map_or(bench.op, |Weights(mix)| mix);
        bench.pattern = self.pattern.filter(|_| pattern).map_or(bench.pattern, |Named(one)| one);
        bench.size = self.size.filter(|_| size).map(|Sizes(all)| all).or(bench.size);
        let many = self.concurrency.filter(|_| concurrency).map(|Concurrencies(all)| all);
        bench.concurrency = many.or(bench.concurrency);
        bench.rate = self.rate.filter(|_| rate).map(|Rates(all)| all).or(bench.rate);
        bench.arrivals =
            self.arrivals.filter(|_| arrivals).map_or(bench.arrivals, |Named(one)| one);
        bench.warmup = self.warmup.filter(|_| warmup).map(|Parsed(one)| one).or(bench.warmup);
        if ends {
            bench.duration = self.duration.map(|Time(duration)| duration);
            bench.count = self.count;
            bench.until = self.until.map(|Parsed(until)| until);
        }
        bench
    }
}

impl Workload {
    /// Reads a file: TOML or YAML by its extension, otherwise by its content.
    pub(super) fn read(path: &Path) -> Result<Workload, Exit> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Exit::usage(format!("cannot read {}: {e}", path.display())))?;
        let extension = path.extension().and_then(|extension| extension.to_str());
        let parsed = match extension {
            Some("toml") => of_toml(&text),
            Some("yaml" | "yml") => of_yaml(&text),
            _ if looks_like_toml(&text) => of_toml(&text),
            _ => of_yaml(&text),
        };
        parsed.map_err(|Wrong { line, why }| {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            Exit::usage(format!("{}{line}: {why}", path.display()))
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.stages.is_empty() {
            return Err("it has no stage: there is nothing to measure".to_owned());
        }
        if let Some(prepare) = &self.prepare {
            prepare.check()?;
        }
        for (at, stage) in self.stages.iter().enumerate() {
            stage.check().map_err(|why| format!("stage {}: {why}", at + 1))?;
        }
        Ok(())
    }
}

impl Prepare {
    fn check(&self) -> Result<(), String> {
        match (self.size, self.sizes.iter().map(|one| u64::from(one.weight)).sum::<u64>()) {
            _ if self.objects == 0 => Err("prepare: `objects` is 0".to_owned()),
            (Some(_), _) if !self.sizes.is_empty() => {
                Err("prepare: `size` and `sizes` exclude each other".to_owned())
            }
            (None, 0) => {
                Err("prepare: it needs a `size`, or `sizes` with weights above 0".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The size of each object: in proportion to the weights, in an order that the seed gives.
    pub(super) fn sizes(&self, seed: u64) -> Vec<u64> {
        if let Some(Size(size)) = self.size {
            return vec![size; self.objects as usize];
        }
        let sum: u64 = self.sizes.iter().map(|one| u64::from(one.weight)).sum();
        let of = |number: u64| {
            let mut rest = (u128::from(number) * u128::from(sum) / u128::from(self.objects)) as u64;
            let at = self.sizes.iter().find(|one| {
                let hit = rest < u64::from(one.weight);
                rest = rest.saturating_sub(u64::from(one.weight));
                hit
            });
            at.expect("the place lies within the sum").size.0
        };
        let mut sizes: Vec<_> = (0..self.objects).map(of).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut sizes);
        sizes
    }
}

impl Stage {
    fn check(&self) -> Result<(), String> {
        if self.arrivals.is_some() && self.rate.is_none() {
            return Err("`arrivals` needs a `rate`".to_owned());
        }
        if self.count.is_some() && (self.duration.is_some() || self.until.is_some()) {
            return Err("`count` excludes `duration` and `until`".to_owned());
        }
        Ok(())
    }
}

/// What is wrong with a file.
#[derive(Debug, PartialEq)]
struct Wrong {
    line: Option<u64>,
    why: String,
}

fn checked(workload: Workload) -> Result<Workload, Wrong> {
    workload.check().map_err(|why| Wrong { line: None, why })?;
    Ok(workload)
}

fn of_toml(text: &str) -> Result<Workload, Wrong> {
    toml::from_str(text)
        .map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() as u64 + 1);
            Wrong { line, why: error.message().replace('\n', ", ") }
        })
        .and_then(checked)
}

fn of_yaml(text: &str) -> Result<Workload, Wrong> {
    serde_saphyr::from_str(text)
        .map_err(|error: serde_saphyr::Error| {
            let line = error.location().map(|location| location.line());
            let whole = error.without_snippet().to_string();
            // The place stands in front of its message, and behind it.
            let why = whole.lines().next().unwrap_or_default();
            Wrong { line, why: why.split(" at line ").next().unwrap_or(why).to_owned() }
        })
        .and_then(checked)
}

/// Whether the first line that says something is a table, or a key with `=`.
fn looks_like_toml(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| {
        let key = line.split(['=', ':']).next().unwrap_or_default();
        line.starts_with('[') || line[key.len()..].starts_with('=')
    })
}

/// Reads a text by its parser, or a whole number as its text.
struct Word<F>(F, &'static str);

impl<T, F: Fn(&str) -> Result<T, String>> Visitor<'_> for Word<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.0(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.0(&number.to_string()).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.0(&number.to_string()).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
        from.deserialize_any(Word(parse_size, "a size such as \"64KiB\"")).map(Size)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        from.deserialize_any(Word(parse_duration, "a time such as \"30s\"")).map(Time)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Parsed<T>, D::Error> {
        let parse = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
        from.deserialize_any(Word(parse, "a text as on the command line")).map(Parsed)
    }
}

impl<'de, T: ValueEnum> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Named<T>, D::Error> {
        let name = String::deserialize(from)?;
        T::from_str(&name, false).map(Named).map_err(|_| {
            let all = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let all: Vec<_> = all.map(|value| value.get_name().to_owned()).collect();
            D::Error::custom(format!("{name:?} is none of {}", all.join(", ")))
        })
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Weights, D::Error> {
        let weights = BTreeMap::<String, u32>::deserialize(from)?;
        let text: Vec<_> = weights.iter().map(|(op, weight)| format!("{op}={weight}")).collect();
        text.join(",").parse().map(Weights).map_err(D::Error::custom)
    }
}

macro_rules! swept {
    ($($name:ident by $parse:path),+) => {
        $(impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                let text = from.deserialize_any(OneOrMany)?;
                $parse(&text).map($name).map_err(D::Error::custom)
            }
        })+
    };
}

swept!(Sizes by grid::sizes, Concurrencies by grid::concurrencies, Rates by grid::rates);

/// A value or a list of values, as the text that the command line takes.
struct OneOrMany;

/// One of them.
struct One(String);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<One, D::Error> {
        from.deserialize_any(OneOrMany).map(One)
    }
}

impl<'de> Visitor<'de> for OneOrMany {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a list of values")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        let mut all = Vec::new();
        while let Some(One(one)) = list.next_element()? {
            all.push(one);
        }
        if all.is_empty() {
            return Err(A::Error::custom("the list is empty"));
        }
        Ok(all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
# Such as in docs/CLI.md.
url = "s3://lake/bench/"
connections = "new"

[prepare]
objects = 200
sizes = [{ size = "64KiB", weight = 9 }, { size = 8388608, weight = 1 }]

[[stage]]
mix = { get = 70, put = 20, list = 10 }
size = ["64KiB", 1048576]
concurrency = 16
duration = "30s"
warmup = "stable"
until = "p50:1%,p99:5%"

[[stage]]
rate = 200
arrivals = "poisson"
count = 1000
warmup = 10
"#;

    const YAML: &str = r#"
url: s3://lake/bench/
connections: new
prepare:
  objects: 200
  sizes: [{size: 64KiB, weight: 9}, {size: 8388608, weight: 1}]
stages:
  - mix: {get: 70, put: 20, list: 10}
    size: [64KiB, 1048576]
    concurrency: 16
    duration: 30s
    warmup: stable
    until: "p50:1%,p99:5%"
  - rate: 200
    arrivals: poisson
    count: 1000
    warmup: 10
"#;

    #[test]
    fn both_languages_say_the_same() {
        let (toml, yaml) = (of_toml(TOML).unwrap(), of_yaml(YAML).unwrap());
        assert_eq!(toml, yaml);
        let [first, second] = &toml.stages[..] else { panic!("{toml:?}") };
        assert_eq!(first.mix, Some(Weights("get=70,list=10,put=20".parse().unwrap())));
        assert_eq!(first.size, Some(Sizes(grid::sizes("64KiB,1MiB").unwrap())));
        assert_eq!(first.warmup, Some(Parsed(Warmup::Stable)));
        assert_eq!(second.mix, None);
        assert_eq!(second.rate, Some(Rates(grid::rates("200").unwrap())));
        assert_eq!(toml.connections, Some(Named(Connections::New)));
        assert!(looks_like_toml(TOML) && !looks_like_toml(YAML));
        assert!(looks_like_toml("[prepare]") && !looks_like_toml("# a = b\nstages:\n  - {}"));
    }

    #[test]
    fn sizes_are_made_by_weight() {
        let prepare = of_toml(TOML).unwrap().prepare.unwrap();
        let sizes = prepare.sizes(7);
        assert_eq!(sizes.len(), 200);
        assert_eq!(sizes.iter().filter(|size| **size == 65_536).count(), 180);
        assert_eq!(sizes, prepare.sizes(7));
        assert_ne!(sizes, prepare.sizes(8));
        let few = Prepare { objects: 1, ..prepare };
        assert_eq!(few.sizes(7), [65_536]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let stage = "[[stage]]\n";
        for (text, line, word) in [
            ("[[stage]]\nsise = 1\n", Some(2), "unknown field `sise`, expected one of"),
            ("[prepare]\nobjects = 2\nsize = \"2 apples\"\n[[stage]]\n", Some(3), "is no size"),
            ("[[stage]]\n\nduration = \"soon\"\n", Some(3), "is no time"),
            (
                "[[stage]]\nmix = { get = 1, fetch = 2 }\n",
                Some(2),
                "\"fetch\" is no operation: there are get",
            ),
            ("[[stage]]\nmix = { get = -1 }\n", Some(2), "-1"),
            ("[[stage]]\nsize = []\n", Some(2), "the list is empty"),
            ("[[stage]]\nuntil = \"p50\"\n", Some(2), "such as p99:5%"),
            ("[[stage]\n", Some(1), ""),
            ("stage = []\n", None, "it has no stage"),
            ("[[stage]]\nmix = { get = 0 }\n", Some(2), "a weight is a number from 1"),
            (
                &format!("{stage}arrivals = \"poisson\"\n"),
                None,
                "stage 1: `arrivals` needs a `rate`",
            ),
            ("[[stage]]\nrate = 0\n", Some(2), "is no rate"),
            ("[[stage]]\nconcurrency = [1, 0]\n", Some(2), "is no number from 1"),
            ("[[stage]]\npattern = \"zigzag\"\n", Some(2), "is none of random, sequential"),
            (&format!("{stage}count = 1\nduration = \"1s\"\n"), None, "`count` excludes"),
            (&format!("[prepare]\nobjects = 3\n{stage}"), None, "prepare: it needs a `size`"),
            (&format!("[prepare]\nobjects = 0\nsize = 1\n{stage}"), None, "`objects` is 0"),
        ] {
            let told = of_toml(text).unwrap_err();
            assert_eq!(told.line, line, "{text}: {told:?}");
            assert!(told.why.contains(word) && !told.why.contains('\n'), "{text}: {told:?}");
        }
        for (text, line, word) in [
            ("stages:\n  - size: 1\n    sise: 1\n", 3, "unknown field `sise`"),
            ("stages:\n  - duration: soon\n", 2, "is no time"),
            ("stages:\n  - mix: {get: 1, fetch: 2}\n", 2, "\"fetch\" is no operation"),
            ("stages:\n  - size: [1\n", 3, ""),
        ] {
            let told = of_yaml(text).unwrap_err();
            assert!(told.line.is_some_and(|told| told.abs_diff(line) <= 1), "{text}: {told:?}");
            assert!(told.why.contains(word), "{text}: {told:?}");
        }
    }
}
