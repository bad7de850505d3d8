// SPDX-License-Identifier: Apache-2.0
//! Times, sizes and text as a page has them.

use std::fmt::Write;

pub(super) fn tell(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all");
}

pub(super) fn time(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{} µs", three(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three(value / 1e6)),
        _ => format!("{} s", three(value / 1e9)),
    }
}

pub(super) fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", three(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", three(value / 1e6)),
        _ => format!("{} GB", three(value / 1e9)),
    }
}

/// Three digits that mean something.
fn three(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        let told = [999, 1_000, 27_140_000, 117_000_000, 3_600_000_000_000].map(time);
        assert_eq!(told, ["999 ns", "1 µs", "27.1 ms", "117 ms", "3600 s"]);
        assert_eq!([0, 12_500, 1_500_000_000].map(bytes), ["0 B", "12.5 kB", "1.5 GB"]);
    }
}
