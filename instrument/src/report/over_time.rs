// SPDX-License-Identifier: Apache-2.0
//! A run over time: heat maps of its latency; throughput, concurrency and failures above each other.

use super::chart::{Frame, Heat, Line, Lines, STYLES, Scale};
use super::html::put;
use super::names::Names;
use super::units::{count, counted, number};
use crate::run::Run;
use crate::series::{Point, Series};
use storescope::timing::Distribution;

/// Runs that have heat maps.
const HEATS: usize = 3;

/// The points of a run, its cells one after another: where each cell begins, and its points.
struct Timeline {
    cells: Vec<(f64, Vec<Point>)>,
    seconds: f64,
}

impl Timeline {
    /// With at most as many points as a chart shows well.
    fn of(run: &Run) -> Timeline {
        let whole: f64 = run.cells.iter().map(|cell| length(&cell.series)).sum();
        let (mut cells, mut begin) = (Vec::new(), 0.0);
        for cell in &run.cells {
            let (mut series, length) = (cell.series.clone(), length(&cell.series));
            series.shorten((Series::MOST as f64 * length / whole.max(1e-9)).round() as usize);
            cells.push((begin, series.points().to_vec()));
            begin += length;
        }
        Timeline { cells, seconds: begin }
    }

    /// Where cells begin, other than the first.
    fn borders(&self) -> Vec<f64> {
        self.cells.iter().skip(1).map(|(begin, _)| *begin).collect()
    }

    /// A figure of each point at its middle, a line a cell.
    fn lines(&self, style: usize, name: &str, figure: impl Fn(&Point) -> f64) -> Vec<Line> {
        let cells = self.cells.iter().filter(|(_, points)| !points.is_empty());
        let middle = |point: &Point| point.at.as_secs_f64() + point.length.as_secs_f64() / 2.0;
        cells
            .map(|(begin, points)| {
                let points = points.iter().map(|point| (begin + middle(point), figure(point)));
                Line::new(style, name, points.collect())
            })
            .collect()
    }

    fn heat(&self, part: impl Fn(&Point) -> &Distribution) -> Option<Heat<'_>> {
        let intervals = self
            .cells
            .iter()
            .flat_map(|(begin, points)| points.iter().map(move |point| (begin, point)));
        let columns = intervals.map(|(begin, point)| {
            let from = begin + point.at.as_secs_f64();
            (from, from + point.length.as_secs_f64(), part(point))
        });
        Heat::of(columns, self.borders())
    }
}

fn length(series: &Series) -> f64 {
    series.points().last().map_or(0.0, |point| (point.at + point.length).as_secs_f64())
}

/// Both sections; nothing for runs that were not told over time.
pub(super) fn draw(out: &mut String, runs: &[Run], names: &Names) {
    let timelines: Vec<_> = runs.iter().map(Timeline::of).enumerate().collect();
    let timed: Vec<_> =
        timelines.into_iter().filter(|(_, timeline)| timeline.seconds > 0.0).collect();
    if timed.is_empty() {
        return;
    }
    heats(out, &timed, names);
    panels(out, &timed, names);
}

fn heats(out: &mut String, timed: &[(usize, Timeline)], names: &Names) {
    let mut figures = String::new();
    for (run, timeline) in timed.iter().take(HEATS) {
        let name = names.run(*run);
        let separator = if name.is_empty() { "" } else { ", " };
        if let Some(heat) = timeline.heat(|point| &point.first_byte) {
            heat_figure(&mut figures, &format!("First byte, ms{separator}{name}"), timeline, &heat);
        }
        if let Some(heat) = timeline.heat(|point| &point.response) {
            heat_figure(&mut figures, &format!("Response, ms{separator}{name}"), timeline, &heat);
        }
    }
    if figures.is_empty() {
        return;
    }
    put!(out, "<section><h2>Latency over time</h2><div class=\"charts\">\n{figures}</div>");
    if timed.len() > HEATS {
        put!(out, "<p class=\"note\">The first {HEATS} runs of {}.</p>", timed.len());
    }
    out.push_str("</section>\n");
}

fn heat_figure(out: &mut String, caption: &str, timeline: &Timeline, heat: &Heat<'_>) {
    let (above, end) = heat.above();
    let outliers = match above {
        0 => String::new(),
        above => {
            format!("{} above {} ms: the row at the top.", counted(above, "value"), number(end))
        }
    };
    let borders = match timeline.cells.len() {
        1 => String::new(),
        cells => format!("Dashed lines part the {cells} cells."),
    };
    let note = format!("{outliers} {borders}").trim().to_owned();
    let alt = format!(
        "Heat map of {} s by the logarithm of the time: {caption}. {} above {} ms.",
        number(timeline.seconds),
        counted(above, "value"),
        number(end)
    );
    heat.draw(&Frame { caption: caption.to_owned(), alt, note, ..Frame::default() }, out);
}

/// What a panel shows of a point.
type Figure = fn(&Point) -> f64;

const PANELS: [(&str, Figure); 5] = [
    ("calls a second", |point| rate(point, point.calls as f64)),
    ("MB/s", |point| rate(point, point.bytes as f64 / 1e6)),
    ("calls in flight", |point| f64::from(point.in_flight)),
    ("failed attempts a second", |point| rate(point, point.failed_attempts as f64)),
    ("failed calls a second", |point| rate(point, point.failed as f64)),
];

fn rate(point: &Point, amount: f64) -> f64 {
    amount / point.length.as_secs_f64().max(1e-9)
}

fn panels(out: &mut String, timed: &[(usize, Timeline)], names: &Names) {
    let seconds = timed.iter().map(|(_, timeline)| timeline.seconds).fold(0.0, f64::max);
    let mut chart = Lines::stacked(Scale::linear(0.0, seconds), "time, s", 56.0);
    let (mut alt, mut nothing) = (format!("Over {} s:", number(seconds)), Vec::new());
    for (title, figure) in PANELS {
        let line = |(run, timeline): &(usize, Timeline)| {
            timeline.lines(run % STYLES, &names.run(*run), figure)
        };
        let lines: Vec<_> = timed.iter().flat_map(line).collect();
        let most = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(0.0, f64::max);
        if most > 0.0 {
            put!(&mut alt, " {title} up to {};", number(most));
            chart.panel(title, Scale::from_zero(most), lines);
        } else {
            nothing.push(title.trim_end_matches(" a second"));
        }
    }
    if nothing.len() == PANELS.len() {
        return;
    }
    let points =
        timed.iter().flat_map(|(_, timeline)| &timeline.cells).flat_map(|(_, points)| points);
    let (failed, attempts) = points.fold((0, 0), |(failed, attempts), point| {
        (failed + point.failed, attempts + point.failed_attempts)
    });
    put!(&mut alt, " {} failed calls, {} failed attempts.", count(failed), count(attempts));
    let note =
        if nothing.is_empty() { String::new() } else { format!("None: {}.", nothing.join(", ")) };
    let legend = timed.iter().map(|(run, _)| (run % STYLES, names.run(*run))).collect();
    out.push_str(
        "<section><h2>Throughput, concurrency and failures</h2><div class=\"charts one\">\n",
    );
    chart.draw(&Frame { caption: "Over time".to_owned(), alt, legend, note }, out);
    out.push_str("</div></section>\n");
}
