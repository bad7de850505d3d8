// SPDX-License-Identifier: Apache-2.0
//! Quantiles with their intervals, a row each.

use super::html::{Escaped, put};
use super::interval;
use super::measures::{Measured, What};
use super::names::Names;
use super::units::{count, ms, number};
use crate::run::Run;
use storescope::timing::Distribution;

const QUANTILES: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

/// A table of each kind of time; one of all kinds where each has one row.
pub(super) fn draw(out: &mut String, runs: &[Run], measured: &[Measured], names: &Names) {
    if measured.is_empty() {
        return;
    }
    out.push_str("<section><h2>Latency, ms</h2>\n");
    out.push_str("<p class=\"note\">Below each quantile is its 95 % interval; – is none, by too few samples.</p>");
    if measured.iter().any(|one| one.cell.is_none()) {
        out.push_str("<p class=\"note\">All stages of a job together.</p>");
    }
    let rows_of = |what| measured.iter().filter(move |one| one.what == what);
    let single = What::ALL.iter().all(|what| rows_of(*what).count() <= 1);
    if single {
        table(
            out,
            "Times of calls and requests",
            measured.iter().map(|one| (one.what.name().to_owned(), &one.times)),
        );
    }
    for what in What::ALL.into_iter().filter(|what| !single && rows_of(*what).count() > 0) {
        put!(out, "<h3>{}</h3><p class=\"note\">{}</p>", heading(what), what.explained());
        table(out, what.name(), rows_of(what).map(|one| (names.measured(runs, one), &one.times)));
    }
    out.push_str("</section>\n");
}

fn heading(what: What) -> String {
    let name = what.name();
    format!("{}{}", name[..1].to_uppercase(), &name[1..])
}

fn table<'a>(out: &mut String, name: &str, rows: impl Iterator<Item = (String, &'a Distribution)>) {
    put!(
        out,
        "<table class=\"quantiles\"><caption class=\"unseen\">{name}</caption><thead><tr><td></td><th>n</th>"
    );
    for (_, name) in QUANTILES {
        put!(out, "<th>{name}</th>");
    }
    out.push_str("<th>max</th></tr></thead><tbody>\n");
    for (label, times) in rows {
        put!(out, "<tr><th>{}</th><td>{}</td>", Escaped(&label), count(times.count()));
        for (quantile, _) in QUANTILES {
            let value = times.quantile(quantile).min(times.max());
            put!(out, "<td>{}<small>{}</small></td>", number(ms(value)), told(times, quantile));
        }
        put!(out, "<td>{}</td></tr>\n", number(ms(times.max())));
    }
    out.push_str("</tbody></table>\n");
}

fn told(times: &Distribution, quantile: f64) -> String {
    match interval(times, quantile) {
        Some((low, high)) => format!("{}–{}", number(ms(low)), number(ms(high))),
        None => "–".to_owned(),
    }
}
