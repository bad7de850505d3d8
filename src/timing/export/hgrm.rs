// SPDX-License-Identifier: Apache-2.0
//! HdrHistogram's percentile output (`.hgrm`): what its plotter and `hdr-plot` read, and `wrk2` prints.

use crate::timing::Distribution;
use std::fmt::Write;

/// Lines for each halving of the distance to 100 %, as HdrHistogram's own tools have them.
const TICKS: u32 = 5;

/// Values are divided by `divisor`.
pub(super) fn encode(distribution: &Distribution, divisor: f64) -> String {
    let hdr = distribution.to_hdr();
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut seen = 0;
    for step in hdr.iter_quantiles(TICKS).filter(|_| distribution.count() > 0) {
        seen += step.count_since_last_iteration();
        let value = hdr.highest_equivalent(step.value_iterated_to()) as f64 / divisor;
        let quantile = step.quantile_iterated_to();
        write!(text, "{value:12.6} {quantile:.12} {seen:10}").expect("writing to memory");
        if quantile < 1.0 {
            write!(text, " {:14.2}", 1.0 / (1.0 - quantile)).expect("writing to memory");
        }
        text.push('\n');
    }
    let (mean, deviation) = (distribution.mean() / divisor, hdr.stdev() / divisor);
    let max = distribution.max() as f64 / divisor;
    let (buckets, sub_buckets) = size(&hdr);
    writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")
        .and_then(|()| writeln!(text, "#[Max     = {max:12.3}, Total count    = {seen:12}]"))
        .and_then(|()| {
            writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")
        })
        .expect("writing to memory");
    text
}

/// Buckets and sub-buckets, as HdrHistogram counts them: each bucket covers twice what the one before does.
fn size(hdr: &hdrhistogram::Histogram<u64>) -> (u32, u64) {
    let sub_buckets = 1 << 8;
    let (mut buckets, mut untracked) = (1, sub_buckets << hdr.low().ilog2());
    while untracked <= hdr.high() {
        (buckets, untracked) = (buckets + 1, untracked << 1);
    }
    (buckets, sub_buckets)
}

#[cfg(test)]
mod tests {
    use crate::timing::{Operation, Outcome, Phase, Scope};

    #[test]
    fn percentiles_rise_to_the_count_and_the_maximum() {
        let scope = Scope::new("test");
        for milliseconds in 1..=1000u64 {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, milliseconds * 1_000_000);
        }
        let times = scope.snapshot().attempts(Operation::Get, Phase::Send, Outcome::Ok).unwrap();
        let text = times.to_hgrm();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
            .collect();
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] < b[1] && a[2] <= b[2]), "{text}");
        for row in &rows {
            // Twelve digits of a quantile may round to either side of a rank.
            let around = [row[1] - 1e-9, row[1] + 1e-9].map(|q| times.quantile(q) as f64 / 1e6);
            assert!((around[0]..=around[1]).contains(&row[0]), "{row:?} {around:?}");
        }
        assert_eq!((rows[0][1], rows.last().unwrap()[1..].to_vec()), (0.0, vec![1.0, 1000.0]));
        assert!(
            text.contains("#[Max     =     1000.000, Total count    =         1000]"),
            "{text}"
        );
    }

    #[test]
    fn nothing_has_no_rows() {
        let empty = scope_without_values();
        assert_eq!(empty.to_hgrm().lines().filter(|line| !line.starts_with('#')).count(), 2);
    }

    fn scope_without_values() -> crate::timing::Distribution {
        crate::timing::Distribution::from_hdr(
            Phase::Send,
            &hdrhistogram::Histogram::new_with_bounds(500, 3_600_000_000_000, 2).unwrap(),
        )
    }
}
