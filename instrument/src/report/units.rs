// SPDX-License-Identifier: Apache-2.0
//! Numbers, times and sizes for people.

/// Nanoseconds as milliseconds.
pub(super) fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Three significant digits; thousands are grouped.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    // 9.996 has one digit more after rounding.
    let unit = 10_f64.powf(digits - 2.0);
    let value = if digits < 2.0 { (value / unit).round() * unit } else { value.round() };
    let decimals = (2.0 - digits).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        grouped(&text)
    }
}

/// A count, its thousands grouped.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if left.is_multiple_of(3) && at > usize::from(digits.starts_with('-')) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 call`, `12,000 calls`.
pub(super) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// A share (0 to 1) in per cent, without decimals from 10 % on.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        below if below > 0.0 && below < 0.05 => "<0.1 %".to_owned(),
        small if small < 9.95 => format!("{} %", number((small * 10.0).round() / 10.0)),
        large => format!("{} %", number(large.round())),
    }
}

/// A time in the unit that suits it.
pub(super) fn time(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{} µs", number(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", number(value / 1e6)),
        _ => format!("{} s", number(value / 1e9)),
    }
}

/// Bytes of an object or a range, in powers of 1024 where it is a multiple of one.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit / 4) {
            return format!("{} {name}", number(bytes as f64 / unit as f64));
        }
    }
    format!("{} B", count(bytes))
}

/// Bytes that were moved, in powers of 1000.
pub(super) fn bytes(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{} B", number(bytes)),
        ..1e6 => format!("{} kB", number(bytes / 1e3)),
        ..1e9 => format!("{} MB", number(bytes / 1e6)),
        _ => format!("{} GB", number(bytes / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        let told = [0.0, 0.012_345, 0.9996, 9.996, 27.14, 117.0, 1_234.5, 1_234_567.0].map(number);
        assert_eq!(told, ["0", "0.0123", "1", "10", "27.1", "117", "1,235", "1,234,567"]);
        assert_eq!(number(f64::NAN), "–");
    }

    #[test]
    fn shares_are_whole_per_cents_but_for_small_ones() {
        let told = [0.0, 0.000_1, 0.004_2, 0.06, 0.094_9, 0.099_9, 0.3749, 1.4, 20.0].map(percent);
        let expected =
            ["0 %", "<0.1 %", "0.4 %", "6 %", "9.5 %", "10 %", "37 %", "140 %", "2,000 %"];
        assert_eq!(told, expected);
    }

    #[test]
    fn units_suit_the_number() {
        assert_eq!([999, 27_140_000, 2_919_000_000].map(time), ["999 ns", "27.1 ms", "2.92 s"]);
        assert_eq!(
            [100, 65_536, 1 << 20, 1_500_000].map(size),
            ["100 B", "64 KiB", "1 MiB", "1,500,000 B"]
        );
        assert_eq!(bytes(1.5e9), "1.5 GB");
        assert_eq!([counted(1, "call"), counted(12_000, "call")], ["1 call", "12,000 calls"]);
    }
}
