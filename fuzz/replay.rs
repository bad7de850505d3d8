// SPDX-License-Identifier: Apache-2.0
//! Replays a fuzz target under `cargo test`: its seeds, then mutations of them by a generator with a fixed seed. Each crate that
//! has targets includes this file in its tests by `#[path]`.

use std::path::{Path, PathBuf};

/// Mutations of a target; `STORESCOPE_FUZZ_RUNS` sets another number.
const RUNS: u32 = 20_000;
/// Those of a target whose inputs take milliseconds: keys are decrypted.
const FEW_RUNS: (&str, u32) = ("key", 1_000);
/// Bytes of a mutation at most.
const LONGEST: usize = 4096;
/// Numbers at which parsers overflow.
const NUMBERS: [&str; 8] = [
    "0",
    "1",
    "-1",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999999999999999999999",
    "1e308",
];

/// Calls `check` with every seed of the target and with mutations of the seeds. A panic is a finding: the input is printed.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let folder = folder();
    let seeds = seeds(&folder.join("seeds").join(target));
    let words = words(&folder.join("dictionaries").join(format!("{target}.dict")));
    let runs = std::env::var("STORESCOPE_FUZZ_RUNS").ok();
    let usual = if target == FEW_RUNS.0 { FEW_RUNS.1 } else { RUNS };
    let runs = runs.map_or(usual, |runs| runs.parse().expect("STORESCOPE_FUZZ_RUNS is a number"));
    for seed in &seeds {
        run(target, seed, check);
    }
    let mut random = Random(0x5745_4544);
    for _ in 0..runs {
        run(target, &mutated(&seeds, &words, &mut random), check);
    }
}

/// The folder `fuzz` of the repository.
fn folder() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = crate_folder.ancestors().map(|folder| folder.join("fuzz"));
    found.find(|folder| folder.join("seeds").is_dir()).expect("the folder fuzz/seeds")
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no seed", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The words of a dictionary in libFuzzer's format, if there is one.
fn words(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).filter_map(word).collect()
}

/// The word of a line `"word"` or `name="word"`, with `\\`, `\"` and `\xAB` in it.
fn word(line: &str) -> Option<Vec<u8>> {
    let (start, end) = (line.find('"')? + 1, line.rfind('"')?);
    let mut rest = line.get(start..end)?.as_bytes();
    let mut word = Vec::new();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                word.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                word.push(*escaped);
                rest = after;
            }
            _ => word.push(*first),
        }
    }
    Some(word)
}

fn run(target: &str, input: &[u8], check: fn(&[u8])) {
    let told = Told { target, input };
    check(input);
    drop(told);
}

/// Prints the input whose check panics.
struct Told<'a> {
    target: &'a str,
    input: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the target {} fails on b\"{}\"", self.target, self.input.escape_ascii());
        }
    }
}

fn mutated(seeds: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.one_of(seeds).clone();
    for _ in 0..=random.below(5) {
        mutate(&mut input, seeds, words, random);
    }
    input.truncate(LONGEST);
    input
}

/// One change of the input.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(8)).min(input.len());
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next() as u8,
        2 => drop(input.splice(at..at, [random.next() as u8; 3])),
        3 if at < end => drop(input.drain(at..end)),
        4 => {
            let copied = input[at..end].to_vec();
            let to = random.below(input.len() + 1);
            drop(input.splice(to..to, copied));
        }
        5 if !words.is_empty() => drop(input.splice(at..at, random.one_of(words).iter().copied())),
        6 => {
            let digits = input[at..].iter().position(u8::is_ascii_digit).map(|first| at + first);
            let Some(from) = digits else { return };
            let length = input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            drop(input.splice(from..from + length, random.one_of(&NUMBERS).bytes()));
        }
        // The rest of another seed.
        _ => {
            let other = random.one_of(seeds);
            input.truncate(at);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
