// SPDX-License-Identifier: Apache-2.0
//! What recording costs: one value into one histogram, an attempt into one, two and three scopes; beside the clocks.
//!
//! *One value* includes the look-up of its histogram: group by level, operation and outcome, then slot by phase, size
//! class and connection, then the thread's shard and page. *An attempt* is eight values a scope (five phases, the total,
//! bytes asked and delivered) and one look-up of the group; it reads no clock. Times are those of the wall, in rounds
//! shorter than a time slice, so that the median is of rounds that nothing interrupted; they include the loop, which is
//! told by itself. Instructions by callgrind.

use std::hint::black_box;
use std::time::Instant;
use storescope::timing::{Scope, bench};
use storescope_benches::measure::{Median, by_turns, instructions};
use storescope_benches::report;

const ONE_BAR_NS: f64 = 10.0;
const LEVEL_BAR_NS: f64 = 300.0;

/// A name, and what does the thing so many times.
type Row = (&'static str, fn(u64));

/// What is done `count` times. The loop stands inside, so that no call through a pointer is counted.
const ROWS: [Row; 7] = [
    ("one value, one histogram", |count| {
        let scope = Scope::new("bench");
        for number in 0..count {
            bench::record_one(black_box(&scope), value(number));
        }
    }),
    ("an attempt, 1 scope", |count| attempts(count, 1)),
    ("an attempt, 2 scopes", |count| attempts(count, 2)),
    ("an attempt, 3 scopes", |count| attempts(count, 3)),
    ("the loop by itself", |count| {
        for number in 0..count {
            black_box(value(number));
        }
    }),
    ("std Instant::now", |count| {
        for _ in 0..count {
            black_box(Instant::now());
        }
    }),
    ("tokio Instant::now", |count| {
        for _ in 0..count {
            black_box(tokio::time::Instant::now());
        }
    }),
];

/// From 50 µs to 115 µs, as times to the first byte from a near server are: two pages of a histogram.
fn value(number: u64) -> u64 {
    50_000 + (number.wrapping_mul(0x9E37_79B9) & 0xFFFF)
}

fn attempts(count: u64, scopes: usize) {
    let scopes: Vec<Scope> = (0..scopes).map(|_| Scope::new("bench")).collect();
    for number in 0..count {
        bench::record_attempt(black_box(&scopes), value(number));
    }
}

fn main() {
    if let Some(row) = report::argument::<usize>("--row") {
        return ROWS[row].1(report::argument("--times").expect("--times N"));
    }
    let rounds = report::argument("--rounds").unwrap_or(501);
    let count = report::argument("--count").unwrap_or(20_000);
    report::head(
        "record",
        &format!("{rounds} rounds of {count} each, rows by turns."),
        &["storescope", "tokio"],
    );
    let times = by_turns(ROWS.len(), rounds, |row| {
        let begun = Instant::now();
        ROWS[row].1(count);
        begun.elapsed().as_secs_f64() * 1e9 / count as f64
    });
    println!("| what | ns | instructions |");
    println!("| --- | --- | --- |");
    let counted: Vec<Option<f64>> = (0..ROWS.len())
        .map(|row| instructions(&["--row", &row.to_string(), "--times"], 10_000, 110_000))
        .collect();
    for (row, (name, _)) in ROWS.iter().enumerate() {
        print_row(name, Median::of(times[row].iter().copied()), counted[row]);
    }
    let level = Median::of(times[3].iter().zip(&times[1]).map(|(three, one)| (three - one) / 2.0));
    let level_counted = counted[3].zip(counted[1]).map(|(three, one)| (three - one) / 2.0);
    print_row("an attempt, each scope level more", level, level_counted);
    println!("\nMedians, with their 95 % intervals.");
    let one = Median::of(times[0].iter().zip(&times[4]).map(|(one, bare)| one - bare));
    report::bar(
        &format!("one value, less the loop, {one:.1} ns ≤ {ONE_BAR_NS} ns"),
        one.value <= ONE_BAR_NS,
    );
    report::bar(
        &format!("a scope level {level:.0} ns ≤ {LEVEL_BAR_NS} ns"),
        level.value <= LEVEL_BAR_NS,
    );
}

fn print_row(name: &str, time: Median, instructions: Option<f64>) {
    let instructions = instructions.map_or("–".to_owned(), |count| format!("{count:.0}"));
    println!("| {name} | {time:.1} | {instructions} |");
}
