// SPDX-License-Identifier: Apache-2.0
//! Sizes and times, as they are printed; ages, as they are given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storescope::config::parse_duration;

/// `1.2 GB`.
pub(crate) fn size(bytes: f64) -> String {
    let units = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
    match units.iter().rev().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// `2026-11-22T06:00:00Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    jiff::Timestamp::from_second(seconds as i64).map(|time| time.to_string()).unwrap_or_default()
}

/// As durations are elsewhere, and days.
pub(crate) fn parse_age(text: &str) -> Result<Duration, String> {
    let Some(days) = text.strip_suffix('d') else {
        return parse_duration(text).map_err(|why| why.replace("or h", "h or d"));
    };
    let days: f64 = days.parse().map_err(|_| format!("{text:?} is no age: such as 1d or 12h"))?;
    Duration::try_from_secs_f64(days * 86_400.0).map_err(|_| format!("{text:?} is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(0.0), "0 bytes");
        assert_eq!(size(999.0), "999 bytes");
        assert_eq!(size(1_250_000.0), "1.2 MB");
        assert_eq!(size(3e12), "3.0 TB");
    }
    #[test]
    fn ages() {
        assert_eq!(parse_age("1d"), Ok(Duration::from_hours(24)));
        assert_eq!(parse_age("0.5d"), Ok(Duration::from_hours(12)));
        assert_eq!(parse_age("12h"), Ok(Duration::from_hours(12)));
        assert_eq!(parse_age("0s"), Ok(Duration::ZERO));
        for bad in ["d", "1", "-1d", "1w"] {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }
}
