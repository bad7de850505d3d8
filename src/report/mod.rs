// SPDX-License-Identifier: Apache-2.0
//! A report to look at: curves of percentiles, the share of each phase, a table (feature `report`). HTML with SVG in it, no
//! script and nothing to load; it takes on the colours of the page around it, light or dark.
//!
//! What is shown is here; `plot.rs` draws the curves as SVG, `text.rs` writes times, sizes and text as a page has them.
//!
//! It stands above [`timing`](crate::timing) and reads its snapshots; `timing` knows nothing of it.

mod plot;
mod text;

use crate::timing::{Distribution, Level, Operation, Outcome, Phase, Snapshot};
use plot::Plot;
use text::{bytes, escaped, tell, time};

/// Operations that have a figure each; the table has all.
const FIGURES: usize = 3;

const STYLE: &str = "\
.storescope{font:14px/1.45 system-ui,sans-serif;max-width:60rem}\
.storescope h2{font-size:1.25em;margin:.4em 0}.storescope h3{font-size:1em;margin:1.2em 0 .3em}\
.storescope svg{width:100%;max-width:44rem;height:auto;display:block}\
.storescope text{fill:currentColor;font-size:11px}.storescope .grid{stroke:currentColor;opacity:.18}\
.storescope polyline{fill:none;stroke-width:2}\
.storescope table{border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums}\
.storescope th,.storescope td{padding:.15em .7em;text-align:right;border-bottom:1px solid rgba(128,128,128,.3)}\
.storescope th:first-child,.storescope td:first-child{text-align:left}\
.storescope .bar{display:flex;height:1.3em;max-width:44rem;border-radius:3px;overflow:hidden}\
.storescope .key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}\
.storescope .note{opacity:.75}";

/// One a phase. Mid tones: they stand out on white and on black.
const COLOURS: [&str; Phase::PARTS.len()] = [
    "#3b82c4", "#e0812a", "#3f9e5a", "#c74a50", "#8f6cc0", "#9a7060", "#d070b0", "#808080",
    "#a8a232", "#2fa5b5", "#6a7fdb",
];

impl Snapshot {
    /// As a page to look at: curves of percentiles, phases, a table. One file without scripts, light or dark. Feature
    /// `report`.
    pub fn to_html(&self, title: &str) -> String {
        page(self, title)
    }

    /// The same to be put into another page, such as a notebook's. Feature `report`.
    pub fn to_html_fragment(&self, title: &str) -> String {
        fragment(self, title)
    }
}

/// A whole page.
fn page(snapshot: &Snapshot, title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>:root{{color-scheme:light dark}}body{{margin:2rem}}</style></head>\n<body>{}</body></html>\n",
        escaped(title),
        fragment(snapshot, title)
    )
}

/// What goes into a page of somebody else's, such as a notebook's.
fn fragment(snapshot: &Snapshot, title: &str) -> String {
    let mut out = format!("<div class=\"storescope\"><style>{STYLE}</style>");
    let mut operations: Vec<Measured<'_>> =
        Operation::ALL.iter().filter_map(|operation| Measured::of(snapshot, *operation)).collect();
    operations.sort_by_key(|measured| std::cmp::Reverse(measured.time()));
    tell(&mut out, format_args!("<h2>{}</h2>", escaped(title)));
    facts(&mut out, snapshot, &operations);
    if operations.is_empty() {
        out.push_str("<p>No request was recorded.</p></div>");
        return out;
    }
    for measured in operations.iter().take(FIGURES) {
        measured.figure(&mut out);
    }
    table(&mut out, &operations);
    out.push_str("</div>\n");
    out
}

/// One operation's requests and calls.
struct Measured<'a> {
    snapshot: &'a Snapshot,
    operation: Operation,
    /// Of all attempts, by how they ended.
    outcomes: Vec<(Outcome, u64)>,
}

impl<'a> Measured<'a> {
    fn of(snapshot: &'a Snapshot, operation: Operation) -> Option<Measured<'a>> {
        let outcomes: Vec<_> = snapshot.outcomes(Level::Attempt, operation).into_iter().collect();
        (!outcomes.is_empty()).then_some(Measured { snapshot, operation, outcomes })
    }

    fn times(&self, phase: Phase) -> Option<Distribution> {
        self.snapshot.attempts(self.operation, phase, Outcome::Ok)
    }

    /// What callers waited for, where calls keep that time.
    fn waits(&self) -> Option<Distribution> {
        self.snapshot.select(|key| {
            key.level == Level::Call && key.operation == self.operation && key.phase == Phase::Wait
        })
    }

    /// The time of all attempts, in nanoseconds.
    fn time(&self) -> u64 {
        self.times(Phase::Total).map_or(0, |total| total.sum())
    }

    fn bytes(&self, phase: Phase) -> u64 {
        let of_phase = self.snapshot.select(|key| {
            key.level == Level::Attempt && key.operation == self.operation && key.phase == phase
        });
        of_phase.map_or(0, |bytes| bytes.sum())
    }

    fn requests(&self) -> u64 {
        self.outcomes.iter().map(|(_, count)| count).sum()
    }

    fn figure(&self, out: &mut String) {
        let Some(total) = self.times(Phase::Total) else { return };
        let named = [
            ("first byte", self.times(Phase::Ttfb)),
            ("whole request", Some(total.clone())),
            ("caller's wait", self.waits()),
        ];
        let curves: Vec<_> = named
            .into_iter()
            .zip(COLOURS)
            .filter_map(|((name, times), colour)| {
                Some((name, times.filter(|t| t.count() > 0)?, colour))
            })
            .collect();
        tell(out, format_args!("<h3>{}: {} requests</h3>", self.operation, self.requests()));
        Plot::of(&curves).draw(out, &curves);
        self.phases(out, &total);
    }

    /// The share of each phase in the time of all successful attempts.
    fn phases(&self, out: &mut String, total: &Distribution) {
        let parts: Vec<_> = Phase::PARTS
            .iter()
            .zip(COLOURS)
            .filter_map(|(phase, colour)| {
                let part = self.times(*phase)?;
                let share = part.sum() as f64 / total.sum().max(1) as f64 * 100.0;
                Some((phase, part, share, colour))
            })
            .collect();
        out.push_str("<div class=\"bar\">");
        for (phase, _, share, colour) in &parts {
            tell(
                out,
                format_args!(
                    "<span style=\"width:{share:.2}%;background:{colour}\" title=\"{phase} {share:.1} %\"></span>"
                ),
            );
        }
        out.push_str("</div><table><tr><th>phase</th><th>share</th><th>p50</th><th>p99</th><th>max</th></tr>");
        for (phase, part, share, colour) in &parts {
            tell(
                out,
                format_args!(
                    "<tr><td><span class=\"key\" style=\"background:{colour}\"></span>{phase}</td><td>{share:.1} %</td>\
                 <td>{}</td><td>{}</td><td>{}</td></tr>",
                    time(part.quantile(0.5)),
                    time(part.quantile(0.99)),
                    time(part.max())
                ),
            );
        }
        out.push_str("</table>");
    }
}

fn facts(out: &mut String, snapshot: &Snapshot, operations: &[Measured<'_>]) {
    let sum = |phase| operations.iter().map(|measured| measured.bytes(phase)).sum::<u64>();
    let requests: u64 = operations.iter().map(Measured::requests).sum();
    let seconds = snapshot.elapsed().as_secs_f64();
    let (asked, received, vain) =
        (sum(Phase::BytesAsked), sum(Phase::BytesDelivered), sum(Phase::BytesDiscarded));
    tell(out, format_args!("<p>{requests} requests in {seconds:.2} s"));
    if received > 0 {
        tell(
            out,
            format_args!(
                ": {} asked for, {} over the wire, {} of them in vain",
                bytes(asked),
                bytes(received),
                bytes(vain)
            ),
        );
    }
    out.push_str(".</p>");
    if snapshot.dropped_keys() > 0 {
        tell(
            out,
            format_args!(
                "<p class=\"note\">{} values were not kept: the scope was at its limit of memory.</p>",
                snapshot.dropped_keys()
            ),
        );
    }
}

fn table(out: &mut String, operations: &[Measured<'_>]) {
    out.push_str(
        "<h3>All requests</h3><table><tr><th>operation</th><th>count</th><th>p50</th><th>p90</th><th>p99</th>\
         <th>p99.9</th><th>max</th></tr>",
    );
    for measured in operations {
        for (name, phase) in [("first byte", Phase::Ttfb), ("whole", Phase::Total)] {
            let Some(times) = measured.times(phase) else { continue };
            tell(
                out,
                format_args!(
                    "<tr><td>{} {name}</td><td>{}</td>",
                    measured.operation,
                    times.count()
                ),
            );
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                tell(out, format_args!("<td>{}</td>", time(times.quantile(quantile))));
            }
            tell(out, format_args!("<td>{}</td></tr>", time(times.max())));
        }
        for (outcome, count) in
            measured.outcomes.iter().filter(|(outcome, _)| *outcome != Outcome::Ok)
        {
            tell(
                out,
                format_args!(
                    "<tr><td>{} ended: {outcome}</td><td>{count}</td><td colspan=\"5\"></td></tr>",
                    measured.operation
                ),
            );
        }
    }
    out.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Key, Scope};

    #[test]
    fn a_report_is_a_page_of_its_own() {
        let empty = Scope::new("x").snapshot();
        let page = page(&empty, "a <b> & \"c\"");
        assert!(
            page.contains("a &lt;b&gt; &amp; &quot;c&quot;")
                && page.contains("No request was recorded")
        );
        assert!(!page.contains("<b>"));
    }

    #[test]
    fn curves_phases_and_failures_are_told() {
        let mut snapshot = Scope::new("x").snapshot();
        let mut hdr = hdrhistogram::Histogram::new_with_bounds(500, 3_600_000_000_000, 2).unwrap();
        (1..=100_000_u64).for_each(|n| hdr.record(n * 10_000).unwrap());
        let times = Distribution::from_hdr(Phase::Total, &hdr);
        let attempt = |phase, outcome| Key {
            level: Level::Attempt,
            ..Key::call(Operation::Get, phase, outcome)
        };
        for phase in [Phase::Ttfb, Phase::Body, Phase::Total] {
            snapshot.insert(attempt(phase, Outcome::Ok), times.clone());
        }
        snapshot.insert(attempt(Phase::Total, Outcome::Timeout), times);
        let told = fragment(&snapshot, "run");
        for part in
            ["first byte", "99.99 %", "ended: timeout", "<polyline", "200000 requests", "body"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(
            told.len() < 100_000 && !told.contains("NaN") && !told.contains("<script"),
            "{}",
            told.len()
        );
        #[cfg(feature = "s3")] // It brings the parser.
        let xml = told.split_once("<svg").unwrap().1.split_once("</svg>").unwrap().0;
        #[cfg(feature = "s3")]
        roxmltree::Document::parse(&format!("<svg{xml}</svg>")).unwrap();
    }
}
