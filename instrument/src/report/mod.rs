// SPDX-License-Identifier: Apache-2.0
//! Runs as one HTML file: a verdict, tables, charts, the environment, and the runs themselves. It loads nothing, is whole
//! without scripts, takes on the reader's theme and prints. It stays below [`MOST_BYTES`]: the embedded runs are shortened
//! where they must be, and the page says so (`embed`).
//!
//! ```text
//!  verdict · stages · table · curves · over_time · phases · sweep · about   a section each
//!                   job · names · measures                           what they show, and what it is called
//!                         chart/                                     SVG
//!                     html · units                                   text
//! ```

mod about;
mod chart;
mod curves;
mod embed;
mod html;
mod job;
mod measures;
mod names;
mod over_time;
mod phases;
mod stages;
mod sweep;
mod table;
mod units;
mod verdict;

use crate::run::Run;
use html::{Escaped, put};
use names::Names;
use storescope::timing::Distribution;

/// A page is smaller than this, in bytes.
pub const MOST_BYTES: usize = 300_000;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Of the intervals beside quantiles.
const CONFIDENCE: f64 = 0.95;

/// Nothing is loaded from anywhere, whatever stands in a run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page of one or more runs. Several are overlaid. It holds them, so that [`Run::read_all`] reads the page.
pub fn page(runs: &[Run], title: Option<&str>) -> String {
    let title = title.map_or_else(|| titled(runs), str::to_owned);
    let mut out = String::with_capacity(MOST_BYTES / 2);
    put!(
        &mut out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{0}</title>\n<style>{STYLE}</style></head>\n<body><main><h1>{0}</h1>\n",
        Escaped(&title)
    );
    sections(&mut out, runs);
    let end = format!("</main><script>{SCRIPT}</script></body></html>\n");
    let (runs, note) = embed::fitting(runs, MOST_BYTES.saturating_sub(out.len() + end.len()));
    put!(&mut out, "<p class=\"note\">{note}</p>\n{runs}{end}");
    out
}

/// The interval of a quantile, in the distribution's unit; `None` with too few values.
fn interval(times: &Distribution, quantile: f64) -> Option<(u64, u64)> {
    crate::stats::quantile_interval(times, quantile, CONFIDENCE)
}

fn titled(runs: &[Run]) -> String {
    match runs {
        [] => "No run".to_owned(),
        [run] => run.about.url.clone(),
        [first, rest @ ..] => {
            let same = rest.iter().all(|run| run.about.url == first.about.url);
            if same {
                format!("{}: {} runs", first.about.url, runs.len())
            } else {
                format!("{} runs", runs.len())
            }
        }
    }
}

fn sections(out: &mut String, runs: &[Run]) {
    let measured = measures::of(runs);
    let names = Names::of(runs, &measured);
    verdict::draw(out, runs, &names);
    stages::draw(out, runs, &names);
    table::draw(out, runs, &measured, &names);
    sweep::draw(out, runs, &names);
    curves::draw(out, runs, &measured, &names);
    over_time::draw(out, runs, &names);
    phases::draw(out, runs, &names);
    about::draw(out, runs);
}
