// SPDX-License-Identifier: Apache-2.0
//! A cell over time: a point an interval.

use crate::json;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use storescope::timing::Distribution;

/// What happened in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it began, since the cell's measuring began.
    #[serde(rename = "at_ms", with = "json::milliseconds")]
    pub at: Duration,
    /// How long it was.
    #[serde(rename = "length_ms", with = "json::milliseconds")]
    pub length: Duration,
    /// Calls that ended, failed ones included.
    pub calls: u64,
    /// Calls that failed for good.
    pub failed: u64,
    /// Attempts that ended otherwise than well: they may have been tried again.
    pub failed_attempts: u64,
    /// Payload of the calls that ended, in bytes.
    pub bytes: u64,
    /// Calls under way at its end; in points that were joined, the most.
    pub in_flight: u32,
    /// Calls that ended well, from their intended start (closed loop: from their start), in ns.
    #[serde(with = "json::times")]
    pub response: Distribution,
    /// The first byte of the attempts that ended well, in ns.
    #[serde(with = "json::times")]
    pub first_byte: Distribution,
}

/// Points in order of time. Never more than [`Series::MOST`]: then neighbours are joined, and the interval doubles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    points: Vec<Point>,
}

impl Series {
    /// Points that are kept at most: as many columns as a heat map shows well.
    pub const MOST: usize = 120;

    /// The points, the earliest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Adds the interval that came next.
    pub fn push(&mut self, point: Point) {
        self.points.push(point);
        if self.points.len() > Series::MOST {
            self.join(2);
        }
    }

    /// At most so many points (at least one), neighbours joined.
    pub fn shorten(&mut self, most: usize) {
        let most = most.max(1);
        if self.points.len() > most {
            self.join(self.points.len().div_ceil(most));
        }
    }

    fn join(&mut self, by: usize) {
        let join = |points: &[Point]| {
            let (first, rest) = points.split_first().expect("chunks are never empty");
            rest.iter().fold(first.clone(), Point::joined)
        };
        self.points = self.points.chunks(by).map(join).collect();
    }
}

impl Point {
    /// An interval without anything.
    pub fn new(at: Duration, length: Duration) -> Point {
        Point {
            at,
            length,
            calls: 0,
            failed: 0,
            failed_attempts: 0,
            bytes: 0,
            in_flight: 0,
            response: Distribution::nanoseconds(),
            first_byte: Distribution::nanoseconds(),
        }
    }

    /// Both, the other one being later.
    fn joined(mut self, later: &Point) -> Point {
        self.length = (later.at + later.length).saturating_sub(self.at);
        self.calls += later.calls;
        self.failed += later.failed;
        self.failed_attempts += later.failed_attempts;
        self.bytes += later.bytes;
        self.in_flight = self.in_flight.max(later.in_flight);
        self.response.merge(&later.response);
        self.first_byte.merge(&later.first_byte);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_and_nothing_is_lost() {
        let mut series = Series::default();
        for second in 0..1_000 {
            let mut point = Point::new(Duration::from_secs(second), Duration::from_secs(1));
            (point.calls, point.bytes) = (1, second);
            point.response.record(second);
            series.push(point);
        }
        let points = series.points();
        assert!(points.len() <= Series::MOST && points.len() > Series::MOST / 2);
        assert_eq!(points.iter().map(|point| point.calls).sum::<u64>(), 1_000);
        assert_eq!(points.iter().map(|point| point.bytes).sum::<u64>(), 499_500);
        assert_eq!(points.iter().map(|point| point.response.count()).sum::<u64>(), 1_000);
        assert!(points.windows(2).all(|two| two[0].at + two[0].length == two[1].at));
        series.shorten(7);
        assert!(series.points().len() <= 7);
        assert_eq!(series.points().iter().map(|point| point.calls).sum::<u64>(), 1_000);
    }
}
