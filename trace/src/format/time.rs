// SPDX-License-Identifier: Apache-2.0
//! Times in tables: a number in the column's unit, or one with a unit of its own.

/// The unit that a column's name ends in, in nanoseconds: `time_ms`, `time_s`; seconds without one.
pub(super) fn unit_of(column: &str) -> f64 {
    match column.rsplit_once('_').map(|(_, unit)| unit) {
        Some("ns") => 1.0,
        Some("us") => 1e3,
        Some("ms") => 1e6,
        _ => 1e9,
    }
}

/// The largest time that is taken, in nanoseconds: of any two, the difference can be told.
const MOST: u128 = 1 << 100;

/// A time in nanoseconds.
pub(super) fn parse(text: &str, unit: f64) -> Result<i128, String> {
    let text = text.trim();
    let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    let own = units.iter().find_map(|(name, own)| Some((text.strip_suffix(name)?, *own)));
    let (number, unit) = own.unwrap_or((text, unit));
    let number = number.trim();
    // Whole nanoseconds since 1970 are more than a float holds.
    if unit < 2.0
        && let Ok(whole) = number.parse::<i128>()
        && whole.unsigned_abs() <= MOST
    {
        return Ok(whole);
    }
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && number.abs() < 1e12 => {
            Ok((number * unit).round() as i128)
        }
        _ => Err(format!("{text:?} is no time: expected a number, or one with ns, us, ms or s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_stand_in_the_column_or_behind_the_number() {
        for (column, text, expected) in [
            ("time", "1.5", Ok(1_500_000_000)),
            ("time_ms", "1.5", Ok(1_500_000)),
            ("time_us", "2", Ok(2_000)),
            ("time", "12ms", Ok(12_000_000)),
            ("time_ms", "3 s", Ok(3_000_000_000)),
            ("at_ns", "1764547200123456789", Ok(1_764_547_200_123_456_789)),
            ("time", "soon", Err(())),
            ("time", "nan", Err(())),
            ("at_ns", "170141183460469231731687303715884105727", Err(())),
            ("at_ns", "-170141183460469231731687303715884105728", Err(())),
            ("time", "", Err(())),
        ] {
            assert_eq!(parse(text, unit_of(column)).map_err(|_| ()), expected, "{column} {text}");
        }
    }
}
