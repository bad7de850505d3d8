// SPDX-License-Identifier: Apache-2.0
//! The curves of a figure, as SVG.

use super::text::{tell, time};
use crate::timing::Distribution;

/// Points of a curve.
const POINTS: u32 = 96;
/// Beyond five nines a curve is one request.
const MOST_NINES: f64 = 5.0;

/// The plot of a figure, in units of its SVG.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 220.0;

/// A name, its times and its colour.
pub(super) type Curve = (&'static str, Distribution, &'static str);

/// The scales of a figure: percentiles by their nines, times by their decades.
pub(super) struct Plot {
    nines: f64,
    /// Powers of ten of nanoseconds.
    least: i32,
    most: i32,
}

impl Plot {
    pub(super) fn of(curves: &[Curve]) -> Plot {
        let requests = curves.iter().map(|(_, times, _)| times.count()).max().unwrap_or(1);
        let shown = curves.iter().flat_map(|(_, times, _)| [times.quantile(0.0), times.max()]);
        let (least, most) = shown
            .fold((u64::MAX, 1), |(least, most), value| (least.min(value.max(1)), most.max(value)));
        let least = (least as f64).log10().floor() as i32;
        Plot {
            nines: (requests as f64).log10().clamp(1.0, MOST_NINES),
            least,
            most: ((most as f64).log10().ceil() as i32).max(least + 1),
        }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * nines / self.nines
    }

    fn y(&self, nanoseconds: f64) -> f64 {
        let decades = f64::from(self.most - self.least);
        BOTTOM - (BOTTOM - TOP) * (nanoseconds.max(1.0).log10() - f64::from(self.least)) / decades
    }

    pub(super) fn draw(&self, out: &mut String, curves: &[Curve]) {
        let names: Vec<_> = curves.iter().map(|(name, ..)| *name).collect();
        tell(
            out,
            format_args!(
                "<svg viewBox=\"0 0 660 252\" role=\"img\" aria-label=\"percentiles of {}\">",
                names.join(", ")
            ),
        );
        self.times(out);
        self.percentiles(out);
        self.names(out, curves);
        self.lines(out, curves);
        out.push_str("</svg>");
    }

    /// A line of the grid for each decade of time.
    fn times(&self, out: &mut String) {
        for decade in self.least..=self.most {
            let y = self.y(10_f64.powi(decade));
            tell(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 6.0,
                    y + 4.0,
                    time(10_u64.pow(decade.max(0) as u32))
                ),
            );
        }
    }

    /// A line of the grid for each percentile that has a name.
    fn percentiles(&self, out: &mut String) {
        let half = 2_f64.log10();
        let ticks = [
            (0.0, "min"),
            (half, "50 %"),
            (1.0, "90 %"),
            (2.0, "99 %"),
            (3.0, "99.9 %"),
            (4.0, "99.99 %"),
            (5.0, "99.999 %"),
        ];
        for (nines, label) in ticks.into_iter().filter(|(nines, _)| *nines <= self.nines) {
            let x = self.x(nines);
            tell(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                    BOTTOM + 18.0
                ),
            );
        }
    }

    /// The curves' names beside their ends, apart from each other.
    fn names(&self, out: &mut String, curves: &[Curve]) {
        let mut taken = f64::MAX;
        let mut ends: Vec<_> = curves
            .iter()
            .map(|(name, times, colour)| (self.y(times.max() as f64), name, colour))
            .collect();
        ends.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (y, name, colour) in ends {
            let y = (y + 4.0).min(taken - 13.0);
            taken = y;
            tell(
                out,
                format_args!(
                    "<text x=\"{}\" y=\"{y:.1}\" style=\"fill:{colour}\">{name}</text>",
                    RIGHT + 6.0
                ),
            );
        }
    }

    fn lines(&self, out: &mut String, curves: &[Curve]) {
        for (_, times, colour) in curves {
            let end = (times.count() as f64).log10().clamp(0.3, self.nines);
            let points: Vec<_> = (0..=POINTS)
                .map(|point| {
                    let nines = end * f64::from(point) / f64::from(POINTS);
                    let value = times.quantile(1.0 - 10_f64.powf(-nines));
                    format!("{:.1},{:.1}", self.x(nines), self.y(value as f64))
                })
                .collect();
            tell(
                out,
                format_args!(
                    "<polyline style=\"stroke:{colour}\" points=\"{}\"/>",
                    points.join(" ")
                ),
            );
        }
    }
}
