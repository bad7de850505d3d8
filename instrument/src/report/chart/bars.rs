// SPDX-License-Identifier: Apache-2.0
//! Stacked bars, each as wide as the others: shares of a whole.

use super::{Frame, RIGHT, WIDTH};
use crate::report::html::{Escaped, put};

/// From bar to bar.
const PITCH: f64 = 27.0;
const HEIGHT: f64 = 19.0;
const LEFT: f64 = 50.0;
/// Room for the total at the right.
const TOTAL: f64 = 58.0;

/// A bar.
#[derive(Clone, Debug)]
pub(in crate::report) struct Bar {
    /// At its left.
    pub(in crate::report) name: String,
    /// At its right.
    pub(in crate::report) total: String,
    /// The class, what is told of it, and the share (0 to 1) of each part.
    pub(in crate::report) parts: Vec<(&'static str, String, f64)>,
}

/// Stacked bars.
#[derive(Clone, Debug)]
pub(in crate::report) struct Bars(pub(in crate::report) Vec<Bar>);

impl Bars {
    pub(in crate::report) fn draw(&self, frame: &Frame, out: &mut String) {
        let mut content = String::new();
        for (at, bar) in self.0.iter().enumerate() {
            let y = at as f64 * PITCH + 4.0;
            let text = y + 13.5;
            put!(
                &mut content,
                "<text x=\"{}\" y=\"{text}\" class=\"end\">{}</text>",
                LEFT - 6.0,
                Escaped(&bar.name)
            );
            let mut x = LEFT;
            for (class, told, share) in &bar.parts {
                let width = share * (RIGHT - TOTAL - LEFT);
                if width >= 0.2 {
                    put!(
                        &mut content,
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{HEIGHT}\"><title>{}</title></rect>",
                        Escaped(told)
                    );
                }
                x += width;
            }
            put!(
                &mut content,
                "<text x=\"{}\" y=\"{text}\" class=\"end\">{}</text>",
                WIDTH - 2.0,
                Escaped(&bar.total)
            );
        }
        frame.draw(out, self.0.len() as f64 * PITCH + 4.0, "", &content);
    }
}
