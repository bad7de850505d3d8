// SPDX-License-Identifier: Apache-2.0
//! Charts as inline SVG: axes, lines, cells of a heat map, stacked bars. Colours are classes of the page's style sheet, so that
//! a chart follows the theme and prints. Each has a description in words.

mod bars;
mod heat;
mod lines;
mod scale;

pub(super) use bars::{Bar, Bars};
pub(super) use heat::Heat;
pub(super) use lines::{Line, Lines};
pub(super) use scale::{Scale, Tick};

use super::html::{Escaped, put};

/// Lines that the style sheet has a colour and a dash for (`s0` and so on).
pub(super) const STYLES: usize = 8;

/// Width of every chart in its own units; the page scales it.
const WIDTH: f64 = 400.0;
/// Where plots begin and end.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 390.0;
/// Room above a plot, and below it for the axis.
const ABOVE: f64 = 8.0;
const BELOW: f64 = 34.0;

/// What stands around a chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// Above it: what is shown, and its unit.
    pub(super) caption: String,
    /// What it shows, in words, for those who do not see it.
    pub(super) alt: String,
    /// The lines' names, by style.
    pub(super) legend: Vec<(usize, String)>,
    /// Below it.
    pub(super) note: String,
}

impl Frame {
    /// Writes the figure around an SVG's content.
    fn draw(&self, out: &mut String, height: f64, plot: &str, content: &str) {
        put!(out, "<figure><figcaption>{}</figcaption>", Escaped(&self.caption));
        if self.legend.len() > 1 {
            out.push_str("<p class=\"legend\">");
            for (style, name) in &self.legend {
                put!(
                    out,
                    "<span><svg class=\"key\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"s{style}\" \
                     d=\"M0 4h24\"/></svg>{}</span> ",
                    Escaped(name)
                );
            }
            out.push_str("</p>");
        }
        put!(
            out,
            "<div class=\"chart\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\"{plot}>{content}</svg></div>",
            Escaped(&self.alt)
        );
        if !self.note.is_empty() {
            put!(out, "<p class=\"note\">{}</p>", Escaped(&self.note));
        }
        out.push_str("</figure>\n");
    }
}

/// A rectangle with an axis below and one at its left.
struct Plot<'a> {
    x: &'a Scale,
    y: &'a Scale,
    top: f64,
    bottom: f64,
}

impl Plot<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.share(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.share(value)
    }

    fn grid_y(&self, out: &mut String) {
        let about = ((self.bottom - self.top) / 28.0) as usize;
        for (value, label) in self.y.ticks(about.max(2)) {
            let y = self.y(value);
            put!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
            put!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 5.0,
                y + 3.5,
                Escaped(&label)
            );
        }
    }

    fn grid_x(&self, out: &mut String, ticks: &[Tick], title: &str) {
        for (value, label) in ticks {
            let x = self.x(*value);
            put!(out, "<path class=\"grid\" d=\"M{x:.1} {}V{}\"/>", self.top, self.bottom);
            // A label never leaves the picture.
            let place = if x > RIGHT - 8.0 { "end" } else { "mid" };
            let at = if x > RIGHT - 8.0 { WIDTH - 1.0 } else { x };
            put!(
                out,
                "<text x=\"{at:.1}\" y=\"{}\" class=\"{place}\">{}</text>",
                self.bottom + 14.0,
                Escaped(label)
            );
        }
        if !title.is_empty() {
            let (x, y) = (LEFT.midpoint(RIGHT), self.bottom + 27.0);
            put!(out, "<text x=\"{x}\" y=\"{y}\" class=\"mid axis\">{}</text>", Escaped(title));
        }
    }

    /// What the script that shows values needs to know.
    fn told(&self) -> String {
        let Plot { x, y, top, bottom } = self;
        format!(
            " data-plot=\"{LEFT} {RIGHT} {bottom} {top}\" data-x=\"{}\" data-y=\"{}\"",
            x.told(),
            y.told()
        )
    }
}
