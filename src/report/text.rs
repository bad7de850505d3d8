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

/// Text within an element or an attribute. What would turn the direction of the text is escaped as in messages.
pub(super) fn escaped(text: &str) -> String {
    let text = crate::escape::escaped(text);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_text_and_nothing_else() {
        let told = escaped("<b a='1' c=\"2\">&\u{1b}\u{202e}");
        assert_eq!(told, r"&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\033\342\200\256");
    }

    #[test]
    fn three_digits() {
        let told = [999, 1_000, 27_140_000, 117_000_000, 3_600_000_000_000].map(time);
        assert_eq!(told, ["999 ns", "1 µs", "27.1 ms", "117 ms", "3600 s"]);
        assert_eq!([0, 12_500, 1_500_000_000].map(bytes), ["0 B", "12.5 kB", "1.5 GB"]);
    }
}
