// SPDX-License-Identifier: Apache-2.0
//! A straight line through times by size.

/// `base + per_byte × bytes`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Seconds of a call without payload.
    pub base: f64,
    /// Seconds a byte.
    pub per_byte: f64,
    /// The share of the (relative) spread that the line explains, 0 to 1.
    pub r2: f64,
}

impl Line {
    /// Milliseconds that each MiB takes.
    pub fn ms_per_mib(&self) -> f64 {
        self.per_byte * f64::from(1 << 20) * 1e3
    }
}

/// The line through (bytes, seconds) with the least squares of relative errors, so that 1 % of a small call counts as
/// much as 1 % of a large one. `None` with fewer than two sizes, or times that are not above 0.
pub fn line(points: &[(u64, f64)]) -> Option<Line> {
    if points.iter().any(|(_, seconds)| !seconds.is_finite() || *seconds <= 0.0) {
        return None;
    }
    let weighted = |term: fn(f64, f64) -> f64| -> f64 {
        let terms = points.iter().map(|&(x, y)| term(x as f64, y) / (y * y));
        terms.sum()
    };
    let weight = weighted(|_, _| 1.0);
    let (x, y) = (weighted(|x, _| x) / weight, weighted(|_, y| y) / weight);
    let spread = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|&(px, py)| term(px as f64 - x, py - y) / (py * py)).sum()
    };
    let (xx, xy, yy) =
        (spread(&|dx, _| dx * dx), spread(&|dx, dy| dx * dy), spread(&|_, dy| dy * dy));
    let first = points.first()?.0;
    if points.iter().all(|(bytes, _)| *bytes == first) {
        return None;
    }
    let per_byte = xy / xx;
    let r2 = if yy > 0.0 { (xy * xy / (xx * yy)).min(1.0) } else { 1.0 };
    Some(Line { base: y - per_byte * x, per_byte, r2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_a_single_size_is_none() {
        let points: Vec<_> =
            (4..26).map(|n| (1_u64 << n, 0.03 + (1_u64 << n) as f64 / 60e6)).collect();
        let found = line(&points).unwrap();
        assert!((found.base - 0.03).abs() < 1e-9, "{found:?}");
        assert!((found.per_byte * 60e6 - 1.0).abs() < 1e-9 && found.r2 > 0.999_999, "{found:?}");
        assert!((found.ms_per_mib() - 17.476).abs() < 0.001);
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(1, 1.0), (1, 2.0)]), None);
        assert_eq!(line(&[(1, 1.0), (2, 0.0)]), None);
    }
}
