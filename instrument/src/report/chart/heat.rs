// SPDX-License-Identifier: Apache-2.0
//! A heat map: time × logarithm of a value, the more the more opaque.

use super::{ABOVE, BELOW, Frame, LEFT, Plot, RIGHT, Scale, WIDTH};
use crate::report::html::{Escaped, put};
use crate::report::units::{ms, number};
use storescope::timing::Distribution;

/// Rows between the axis' ends.
const ROWS: usize = 30;
/// Steps of opacity (`h1` and so on in the style sheet).
const LEVELS: usize = 6;
/// What the whole width is counted in.
const UNITS: f64 = 1_000.0;
/// The row of what lies above the axis, and the gap below it.
const OUTLIERS: f64 = 10.0;
const GAP: f64 = 4.0;

/// An interval of a heat map.
pub(in crate::report) struct Column<'a> {
    /// Seconds.
    from: f64,
    to: f64,
    times: &'a Distribution,
}

/// A heat map of times.
pub(in crate::report) struct Heat<'a> {
    columns: Vec<Column<'a>>,
    y: Scale,
    /// Values above the axis.
    above: u64,
    /// Where other cells of a sweep begin, in seconds.
    borders: Vec<f64>,
}

impl<'a> Heat<'a> {
    /// Of intervals (from and to in seconds, and their times). `None` without any value.
    pub(in crate::report) fn of(
        intervals: impl Iterator<Item = (f64, f64, &'a Distribution)>,
        borders: Vec<f64>,
    ) -> Option<Heat<'a>> {
        let columns: Vec<_> =
            intervals.map(|(from, to, times)| Column { from, to, times }).collect();
        let mut sum = Distribution::nanoseconds();
        for column in &columns {
            sum.merge(column.times);
        }
        if sum.count() == 0 {
            return None;
        }
        // The axis ends where one in a thousand is above; a few far outliers would flatten the rest.
        let y = Scale::log(ms(sum.min()), ms(sum.quantile(0.999)) * 1.1);
        let end = y.end();
        let above = sum.buckets().filter(|(low, ..)| ms(*low) > end).map(|(.., n)| n).sum();
        Some(Heat { columns, y, above, borders })
    }

    /// How many lie above the axis, and where it ends, in ms.
    pub(in crate::report) fn above(&self) -> (u64, f64) {
        (self.above, self.y.end())
    }

    pub(in crate::report) fn draw(&self, frame: &Frame, out: &mut String) {
        let seconds = self.columns.iter().map(|column| column.to).fold(0.0, f64::max);
        let x = Scale::linear(0.0, seconds);
        let top = ABOVE + if self.above > 0 { OUTLIERS + GAP } else { 0.0 };
        let plot = Plot { x: &x, y: &self.y, top, bottom: top + 180.0 };
        let mut content = String::new();
        plot.grid_y(&mut content);
        plot.grid_x(&mut content, &x.ticks(6), "time, s");
        if self.above > 0 {
            let (x, y) = (LEFT - 5.0, ABOVE + OUTLIERS - 1.5);
            put!(
                &mut content,
                "<text x=\"{x}\" y=\"{y}\" class=\"end\">&gt;{}</text>",
                Escaped(&number(self.y.end()))
            );
        }
        for border in &self.borders {
            put!(
                &mut content,
                "<path class=\"border\" d=\"M{:.1} {ABOVE}V{}\"/>",
                plot.x(*border),
                plot.bottom
            );
        }
        let cells = self.cells(seconds);
        cells_at(&mut content, (plot.top, plot.bottom - plot.top), ROWS, &cells.rows);
        if self.above > 0 {
            cells_at(&mut content, (ABOVE, OUTLIERS), 1, &cells.outliers);
        }
        let height = plot.bottom + BELOW;
        let told = plot.told();
        frame.draw(out, height + 20.0, &told, &(content + &cells.key(height)));
    }

    /// What is drawn, a path for each level of opacity.
    fn cells(&self, seconds: f64) -> Cells {
        let counted: Vec<_> = self.columns.iter().map(|column| self.counted(column)).collect();
        let rates = counted.iter().zip(&self.columns).flat_map(|(rows, column)| {
            rows.iter().map(move |count| *count as f64 / (column.to - column.from).max(1e-9))
        });
        let (least, most) = rates
            .filter(|rate| *rate > 0.0)
            .fold((f64::MAX, 0.0), |(least, most), rate| (rate.min(least), rate.max(most)));
        let mut cells = Cells {
            rows: <[String; LEVELS]>::default(),
            outliers: <[String; LEVELS]>::default(),
            least,
            most,
        };
        for (rows, column) in counted.iter().zip(&self.columns) {
            let unit = |at: f64| (at / seconds.max(1e-9) * UNITS).round() as u32;
            let (from, to) = (unit(column.from), unit(column.to).max(unit(column.from) + 1));
            let level =
                |row: usize| cells.level(rows[row] as f64 / (column.to - column.from).max(1e-9));
            let levels: Vec<_> = (0..=ROWS).map(level).collect();
            cells.column((from, to - from), &levels);
        }
        cells
    }

    /// Values by row, the top one first; what is above comes last.
    fn counted(&self, column: &Column<'_>) -> Vec<u64> {
        let mut rows = vec![0; ROWS + 1];
        for (low, high, count) in column.times.buckets() {
            let row = if ms(low) > self.y.end() {
                ROWS
            } else {
                let share = self.y.share(ms(low.midpoint(high)));
                ROWS - 1 - ((share * ROWS as f64) as usize).min(ROWS - 1)
            };
            rows[row] += count;
        }
        rows
    }
}

/// Paths of a heat map, by level of opacity.
struct Cells {
    rows: [String; LEVELS],
    outliers: [String; LEVELS],
    /// Values a second in one cell, where there are any.
    least: f64,
    most: f64,
}

impl Cells {
    /// 1 to [`LEVELS`] by the logarithm; 0 for nothing.
    fn level(&self, rate: f64) -> usize {
        if rate <= 0.0 {
            return 0;
        }
        let share = (rate / self.least).ln() / (self.most / self.least).ln().max(1e-9);
        1 + ((share * LEVELS as f64) as usize).min(LEVELS - 1)
    }

    /// Adds a column: cells of one level that lie on each other are one rectangle.
    fn column(&mut self, (x, width): (u32, u32), levels: &[usize]) {
        let mut from = 0;
        while from < ROWS {
            let level = levels[from];
            let to = (from..ROWS).find(|row| levels[*row] != level).unwrap_or(ROWS);
            if level > 0 {
                put!(&mut self.rows[level - 1], "M{x} {from}h{width}v{}h-{width}z", to - from);
            }
            from = to;
        }
        if let Some(level) = levels[ROWS].checked_sub(1) {
            put!(&mut self.outliers[level], "M{x} 0h{width}v1h-{width}z");
        }
    }

    /// What the levels mean.
    fn key(&self, y: f64) -> String {
        let mut out = String::new();
        let (width, left) = (22.0, 150.0);
        put!(
            &mut out,
            "<text x=\"{}\" y=\"{}\" class=\"end\">{}/s</text>",
            left - 5.0,
            y + 9.0,
            number(self.least)
        );
        for level in 0..LEVELS {
            let x = left + width * level as f64;
            put!(
                &mut out,
                "<rect class=\"h{}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"10\"/>",
                level + 1
            );
        }
        let right = left + width * LEVELS as f64 + 5.0;
        put!(
            &mut out,
            "<text x=\"{right}\" y=\"{}\">{}/s in one cell</text>",
            y + 9.0,
            number(self.most)
        );
        out
    }
}

fn cells_at(out: &mut String, (top, height): (f64, f64), rows: usize, levels: &[String; LEVELS]) {
    debug_assert!(top + height < WIDTH, "heat maps are wider than high");
    put!(
        out,
        "<svg x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{height}\" viewBox=\"0 0 {UNITS} {rows}\" \
         preserveAspectRatio=\"none\">",
        RIGHT - LEFT
    );
    for (at, path) in levels.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        put!(out, "<path class=\"h{}\" d=\"{path}\"/>", at + 1);
    }
    out.push_str("</svg>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_cell_and_outliers_have_their_row() {
        let mut times = Distribution::nanoseconds();
        (0..10_000_u64).for_each(|n| times.record(20_000_000 + n * 1_000));
        (0..3).for_each(|_| times.record(9_000_000_000));
        let heat = Heat::of([(0.0, 1.0, &times)].into_iter(), Vec::new()).unwrap();
        assert_eq!(heat.above, 3);
        let rows = heat.counted(&heat.columns[0]);
        assert_eq!((rows.iter().sum::<u64>(), rows[ROWS]), (10_003, 3));
        let mut out = String::new();
        heat.draw(&Frame::default(), &mut out);
        assert!(
            out.contains("class=\"h6\"") && out.contains("&gt;") && !out.contains("NaN"),
            "{out}"
        );
        let nothing = Distribution::nanoseconds();
        assert!(Heat::of([(0.0, 1.0, &nothing)].into_iter(), Vec::new()).is_none());
    }

    #[test]
    fn equal_neighbours_are_one_rectangle() {
        let mut cells = Cells {
            rows: Default::default(),
            outliers: Default::default(),
            least: 1.0,
            most: 64.0,
        };
        assert_eq!([0.0, 1.0, 64.0].map(|rate| cells.level(rate)), [0, 1, LEVELS]);
        let mut levels = vec![0; ROWS + 1];
        (levels[4], levels[5], levels[7]) = (2, 2, 2);
        cells.column((10, 8), &levels);
        assert_eq!(cells.rows[1], "M10 4h8v2h-8zM10 7h8v1h-8z");
    }
}
