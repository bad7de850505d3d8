// SPDX-License-Identifier: Apache-2.0
//! Sizes and times, as they are printed.

use std::time::{SystemTime, UNIX_EPOCH};

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
}
