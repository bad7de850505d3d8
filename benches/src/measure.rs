// SPDX-License-Identifier: Apache-2.0
//! How a figure is made: CPU by getrusage, rows by turns, medians with intervals, instructions by callgrind.

use nix::sys::resource::{UsageWho, getrusage};
use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

/// What some work cost this process.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
}

impl Cost {
    /// Does the work and tells what it cost.
    pub fn of(work: impl FnOnce()) -> Cost {
        let (cpu, wall) = (cpu(), Instant::now());
        work();
        Cost { wall: wall.elapsed(), cpu: self::cpu().saturating_sub(cpu) }
    }
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage");
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1_000)
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

/// What a server has answered, by its own count or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Requests.
    pub requests: u64,
    /// Bytes of the answers' bodies.
    pub bytes: u64,
}

/// Runs every row once a round, the order turned by one each round. The answer is by row, then by round.
pub fn by_turns<T>(rows: usize, rounds: usize, mut run: impl FnMut(usize) -> T) -> Vec<Vec<T>> {
    let mut results: Vec<Vec<T>> = (0..rows).map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        for turn in 0..rows {
            let row = (round + turn) % rows;
            results[row].push(run(row));
        }
    }
    results
}

/// What runs one slice of a row's work.
pub type Slice = Box<dyn FnMut()>;

/// Costs of rows that keep something open: in each round every row is opened anew, then all run one slice after the
/// other, by turns. Slices are short, so that what else the machine does meets all rows alike. The answer is by row,
/// then by slice.
pub fn by_slices(
    rows: usize,
    rounds: usize,
    slices: usize,
    open: impl Fn(usize) -> Slice,
) -> Vec<Vec<Cost>> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); rows];
    for _ in 0..rounds {
        let mut opened: Vec<Slice> = (0..rows).map(&open).collect();
        for (row, of_round) in
            by_turns(rows, slices, |row| Cost::of(&mut opened[row])).into_iter().enumerate()
        {
            costs[row].extend(of_round);
        }
    }
    costs
}

/// A median, and the interval that holds the true one in at least 95 of 100 cases, whatever the distribution: order
/// statistics, by the binomial distribution of how many samples lie below the median. Fewer than 6 samples have none;
/// then it is their range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub value: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
}

impl Median {
    /// The median of samples, of which there must be one.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Median {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let outside = outside(count);
        Median {
            value: f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
            low: sorted[outside],
            high: sorted[count - 1 - outside],
        }
    }

    /// The median of samples, of which there must be one, with the least and the most of them about it.
    pub fn in_range(samples: impl IntoIterator<Item = f64>) -> Median {
        let samples: Vec<f64> = samples.into_iter().collect();
        let (low, high) = samples
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &sample| (low.min(sample), high.max(sample)));
        Median { low, high, ..Median::of(samples) }
    }

    /// The median of ratios taken round by round.
    pub fn of_ratios(above: &[f64], below: &[f64]) -> Median {
        Median::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Median { value, low, high } = self;
        write!(f, "{value:.digits$} [{low:.digits$}, {high:.digits$}]")
    }
}

/// How many of the sorted samples lie outside the interval at each end: the most for which both tails together weigh at
/// most 5 %.
fn outside(count: usize) -> usize {
    let mut weight = 0.5f64.powi(count as i32);
    let mut tail = weight;
    let mut below = 0;
    while 2.0 * tail <= 0.05 {
        below += 1;
        weight *= (count - below + 1) as f64 / below as f64;
        tail += weight;
    }
    below.saturating_sub(1)
}

/// Instructions in user space of one more unit of work: this executable is run twice under callgrind, for `few` and for
/// `many` units, and the difference divided. `arguments` make it do the work; the number is put behind them. `None`
/// where there is no valgrind.
pub fn instructions(arguments: &[&str], few: u64, many: u64) -> Option<f64> {
    let difference = collected(arguments, many)? as f64 - collected(arguments, few)? as f64;
    Some(difference / (many - few) as f64)
}

fn collected(arguments: &[&str], units: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(arguments)
        .arg(units.to_string())
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "under callgrind: {told}");
    let (_, rest) = told.split_once("Collected : ")?;
    rest.lines().next()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_sign_test() {
        // Tables of the sign test: 5 %, two-sided.
        for (count, ranks) in [(6, 0), (8, 0), (9, 1), (12, 2), (20, 5), (24, 6), (30, 9)] {
            assert_eq!(outside(count), ranks, "{count} samples");
        }
        assert_eq!(outside(5), 0);
    }

    #[test]
    fn a_median_of_an_even_number_lies_between() {
        let median = Median::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((median.value, median.low, median.high), (2.5, 1.0, 4.0));
        assert_eq!(format!("{:.1}", Median::of([7.0])), "7.0 [7.0, 7.0]");
    }

    #[test]
    fn each_row_begins_a_round_in_turn() {
        let mut order = Vec::new();
        let results = by_turns(3, 2, |row| {
            order.push(row);
            row * 10
        });
        assert_eq!(order, [0, 1, 2, 1, 2, 0]);
        assert_eq!(results, [[0, 0], [10, 10], [20, 20]]);
    }
}
