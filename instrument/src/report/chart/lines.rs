// SPDX-License-Identifier: Apache-2.0
//! Lines over two axes, one plot or several above each other that share the axis below.

use super::{ABOVE, BELOW, Frame, LEFT, Plot, Scale, Tick};
use crate::report::html::{Escaped, put};

/// A line of a chart.
#[derive(Clone, Debug)]
pub(in crate::report) struct Line {
    /// Its colour and dash.
    pub(in crate::report) style: usize,
    pub(in crate::report) name: String,
    pub(in crate::report) points: Vec<(f64, f64)>,
    /// An area from the lower to the upper value at each place.
    pub(in crate::report) band: Vec<(f64, f64, f64)>,
    /// Whether each point is marked.
    pub(in crate::report) marked: bool,
}

impl Line {
    pub(in crate::report) fn new(style: usize, name: &str, points: Vec<(f64, f64)>) -> Line {
        Line { style, name: name.to_owned(), points, band: Vec::new(), marked: false }
    }
}

/// A plot of a chart of lines.
#[derive(Clone, Debug)]
pub(in crate::report) struct Panel {
    /// Above the plot, where there are several.
    title: String,
    y: Scale,
    lines: Vec<Line>,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(in crate::report) struct Lines {
    x: Scale,
    x_ticks: Vec<Tick>,
    x_title: String,
    height: f64,
    panels: Vec<Panel>,
}

impl Lines {
    /// One plot with such axes.
    pub(in crate::report) fn one(x: Scale, x_title: &str, y: Scale, lines: Vec<Line>) -> Lines {
        let panels = vec![Panel { title: String::new(), y, lines }];
        Lines { x_ticks: x.ticks(6), x, x_title: x_title.to_owned(), height: 200.0, panels }
    }

    /// Plots above each other; they come by [`Lines::panel`].
    pub(in crate::report) fn stacked(x: Scale, x_title: &str, height: f64) -> Lines {
        Lines { x_ticks: x.ticks(6), x, x_title: x_title.to_owned(), height, panels: Vec::new() }
    }

    /// Another plot below.
    pub(in crate::report) fn panel(&mut self, title: &str, y: Scale, lines: Vec<Line>) {
        self.panels.push(Panel { title: title.to_owned(), y, lines });
    }

    /// Other marks of the axis below.
    pub(in crate::report) fn with_x_ticks(mut self, ticks: Vec<Tick>) -> Lines {
        self.x_ticks = ticks;
        self
    }

    pub(in crate::report) fn draw(&self, frame: &Frame, out: &mut String) {
        let (mut content, mut top, mut told) = (String::new(), ABOVE, String::new());
        for (at, panel) in self.panels.iter().enumerate() {
            if !panel.title.is_empty() {
                top += 13.0;
                put!(
                    &mut content,
                    "<text x=\"{LEFT}\" y=\"{:.1}\" class=\"title\">{}</text>",
                    top - 5.0,
                    Escaped(&panel.title)
                );
            }
            let plot = Plot { x: &self.x, y: &panel.y, top, bottom: top + self.height };
            let last = at + 1 == self.panels.len();
            plot.grid_y(&mut content);
            if last {
                plot.grid_x(&mut content, &self.x_ticks, &self.x_title);
            }
            for line in &panel.lines {
                draw(&mut content, &plot, line);
            }
            if self.panels.len() == 1 {
                told = plot.told();
            }
            top = plot.bottom + if last { 0.0 } else { 10.0 };
        }
        frame.draw(out, top + BELOW, &told, &content);
    }
}

fn draw(out: &mut String, plot: &Plot<'_>, line: &Line) {
    if !line.band.is_empty() {
        put!(out, "<polygon class=\"band s{}\" points=\"", line.style);
        let there = line.band.iter().map(|(x, low, _)| (*x, *low));
        let back = line.band.iter().rev().map(|(x, _, high)| (*x, *high));
        for (x, y) in there.chain(back) {
            put!(out, "{:.1},{:.1} ", plot.x(x), plot.y(y));
        }
        out.push_str("\"/>");
    }
    put!(
        out,
        "<polyline class=\"s{}\" data-name=\"{}\" points=\"",
        line.style,
        Escaped(&line.name)
    );
    for (x, y) in &line.points {
        put!(out, "{:.1},{:.1} ", plot.x(*x), plot.y(*y));
    }
    out.push_str("\"/>");
    if line.marked || line.points.len() == 1 {
        for (x, y) in &line.points {
            put!(
                out,
                "<circle class=\"s{}\" r=\"2.5\" cx=\"{:.1}\" cy=\"{:.1}\"/>",
                line.style,
                plot.x(*x),
                plot.y(*y)
            );
        }
    }
}
