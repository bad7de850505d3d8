// SPDX-License-Identifier: Apache-2.0
//! A worker's share of a bench, and the moment when all begin.

use crate::exit::{Ended, Exit};
use crate::progress::{self, Show};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use storescope::config::parse_duration;

/// The `index`-th (from 1) of `of` processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Worker {
    index: u32,
    of: u32,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker { index: 1, of: 1 }
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Worker {
    type Err = String;

    fn from_str(text: &str) -> Result<Worker, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| {
            Some(Worker { index: index.parse().ok()?, of: of.parse().ok()? })
        });
        numbers.filter(|worker| (1..=worker.of).contains(&worker.index)).ok_or_else(|| {
            format!(
                "{text:?} is no worker: expected its number and how many there are, such as 2/4"
            )
        })
    }
}

impl Worker {
    /// `index` from 1.
    pub(super) fn new(index: u32, of: u32) -> Worker {
        Worker { index, of }
    }

    pub(in super::super) fn index(self) -> u32 {
        self.index
    }

    pub(in super::super) fn of(self) -> u32 {
        self.of
    }

    /// Of so many: the shares of all workers are these, and differ by one at most.
    pub(in super::super) fn share(self, all: u64) -> u64 {
        let (index, of) = (u64::from(self.index), u64::from(self.of));
        all / of + u64::from(index <= all % of)
    }

    /// Of so many calls a second.
    pub(in super::super) fn rate(self, all: f64) -> f64 {
        all / f64::from(self.of)
    }

    /// How much later than the first worker this one begins, so that constant arrivals of all together are evenly apart.
    pub(in super::super) fn offset(self, rate: f64) -> Duration {
        Duration::from_secs_f64(f64::from(self.index - 1) / rate)
    }

    /// A seed for what must not be alike in two workers. The first one's is the seed itself.
    pub(in super::super) fn seed(self, seed: u64) -> u64 {
        seed.wrapping_add(u64::from(self.index - 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Whether this worker has to do with a name: each name is one worker's.
    pub(in super::super) fn has(self, name: &str) -> bool {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash >> 16) % u64::from(self.of) == u64::from(self.index - 1)
    }
}

/// A moment by the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum StartAt {
    At(SystemTime),
    In(Duration),
}

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<StartAt, String> {
        if let Some(rest) = text.strip_prefix('+') {
            return parse_duration(rest).map(StartAt::In);
        }
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.map(|time| StartAt::At(time.into())).map_err(|_| {
            format!("{text:?} is no time: expected one such as 2026-03-01T12:00:00Z, or +10s")
        })
    }
}

impl StartAt {
    /// As a moment. One that is past already is refused: two hosts would not begin together.
    pub(in super::super) fn moment(self, now: SystemTime) -> Result<SystemTime, Exit> {
        let at = match self {
            StartAt::In(duration) => now + duration,
            StartAt::At(time) => time,
        };
        match now.duration_since(at) {
            Ok(late) if !late.is_zero() => Err(Exit::usage(format!(
                "--start-at was {} ago by this host's clock: give a later time",
                seconds(late)
            ))),
            _ => Ok(at),
        }
    }
}

/// Waits for the moment, and tells how long that takes. All must have been prepared before it.
pub(in super::super) async fn wait(show: Show, at: SystemTime) -> Ended {
    if let Ok(late) = SystemTime::now().duration_since(at) {
        return Err(Exit::failed(format!(
            "all was prepared {} after --start-at: give a later time",
            seconds(late)
        )));
    }
    let text = || format!("begins in {}", seconds(left(at)));
    progress::shown(show, text, until(at)).await;
    Ok(())
}

/// The host's clock may be set while one waits: it is asked each second.
pub(super) async fn until(at: SystemTime) {
    loop {
        let left = left(at);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

fn left(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::now()).unwrap_or_default()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(of: u32) -> impl Iterator<Item = Worker> {
        (1..=of).map(move |index| Worker::new(index, of))
    }

    #[test]
    fn shares_add_up() {
        for of in [1, 2, 3, 7] {
            for count in [7, 8, 100, 1_001] {
                let shares: Vec<_> = all(of).map(|worker| worker.share(count)).collect();
                assert_eq!(shares.iter().sum::<u64>(), count);
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
            let rate: f64 = all(of).map(|worker| worker.rate(250.0)).sum();
            assert!((rate - 250.0).abs() < 1e-9);
            for name in (0..100).map(|number| format!("data/{number}.bin")) {
                assert_eq!(all(of).filter(|worker| worker.has(&name)).count(), 1);
            }
        }
        let names = |worker: Worker| (0..1_000).filter(|n| worker.has(&n.to_string())).count();
        assert!(all(4).map(names).all(|names| (200..300).contains(&names)));
    }

    #[test]
    fn constant_arrivals_of_all_are_evenly_apart() {
        let offsets: Vec<_> = all(4).map(|worker| worker.offset(100.0)).collect();
        assert_eq!(offsets, [0, 10, 20, 30].map(Duration::from_millis));
        let seeds: std::collections::BTreeSet<_> = all(256).map(|worker| worker.seed(7)).collect();
        assert_eq!((seeds.len(), Worker::new(1, 9).seed(7)), (256, 7));
    }

    #[test]
    fn workers_and_moments_are_read() {
        assert_eq!("2/4".parse(), Ok(Worker::new(2, 4)));
        assert_eq!(Worker::new(2, 4).to_string(), "2/4");
        for wrong in ["0/4", "5/4", "4", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Worker>().unwrap_err().contains("such as 2/4"), "{wrong}");
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(492_324);
        let at = |text: &str| text.parse::<StartAt>().unwrap().moment(now);
        assert_eq!(at("2026-03-01T12:00:00Z").unwrap(), now);
        assert_eq!(at("2026-03-01T13:00:10+01:00").unwrap(), now + Duration::from_secs(10));
        assert_eq!(at("+10s").unwrap(), now + Duration::from_secs(10));
        let past = at("2026-03-01T11:59:57Z").unwrap_err();
        assert!(past.message().contains("was 3.0 s ago"), "{}", past.message());
        for wrong in ["noon", "+", "10s", "2026-03-01"] {
            assert!(wrong.parse::<StartAt>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_moment_that_passed_meanwhile_is_told() {
        let past = SystemTime::now() - Duration::from_secs(2);
        let told = wait(Show::Never, past).await.unwrap_err();
        assert!(told.message().contains("after --start-at: give a later time"));
        wait(Show::Never, SystemTime::now() + Duration::from_millis(20)).await.unwrap();
    }
}
