// SPDX-License-Identifier: Apache-2.0
//! A fit as TOML with comments, as lines for people, as JSON.

use super::{Fit, Goodness, Needs, Part, Price};
use crate::json::rounded;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The version of the JSON. Members may be added under it; a change of meaning is another version.
const SCHEMA: u64 = 1;

impl Fit {
    /// The model's TOML, with where each part comes from as comments; `more` is added as comments at the end.
    pub fn to_toml(&self, more: &[String]) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = String::new();
        comment(&mut text, &format!("Fitted by storescope {version} from:"));
        self.sources.iter().for_each(|source| comment(&mut text, &format!("  {source}")));
        comment(
            &mut text,
            "Times are those that the client measured, its own share and the network's included: a replay adds its own to \
             them (0.1 to 0.3 ms on a loopback).",
        );
        for line in self.model.to_toml().lines() {
            let field = line.trim_start_matches('[').split([' ', ']', '=']).next();
            if let Some(part) = self.parts.iter().find(|part| Some(part.name) == field) {
                text.push('\n');
                for line in part_lines(part) {
                    comment(&mut text, &line);
                }
            }
            if !line.is_empty() {
                writeln!(text, "{line}").expect("writing to memory");
            }
        }
        let rest: Vec<_> = self.rest().into_iter().chain(more.iter().cloned()).collect();
        if !rest.is_empty() {
            text.push('\n');
        }
        for line in rest {
            comment(&mut text, &line);
        }
        text
    }

    /// What was fitted and how well, a line each.
    pub fn lines(&self) -> Vec<String> {
        let parts = self.parts.iter().flat_map(|part| {
            let lines = part_lines(part).into_iter().enumerate();
            lines.map(|(at, line)| match at {
                0 => format!("{:<20} {line}", part.name),
                _ => format!("{:<20} {line}", ""),
            })
        });
        parts.chain(self.rest()).collect()
    }

    /// What is no part of the model.
    fn rest(&self) -> Vec<String> {
        let line = self.line.map(|line| {
            format!(
                "time by size (medians): {:.2} ms and {:.2} ms per MiB (r² {:.4})",
                line.base * 1e3,
                line.ms_per_mib(),
                line.r2
            )
        });
        let cpu = self.cpu_seconds_per_gb.iter().map(|(size, seconds)| {
            format!("processor time of the client: {seconds:.2} s per GB at {size} bytes a call")
        });
        let missing = self.missing.iter().map(|missing| format!("not fitted: {missing}"));
        line.into_iter().chain(cpu).chain(missing).collect()
    }

    /// All of it, for programs.
    pub fn to_json(&self, needs: Option<&Needs>, price: Option<&Price>) -> Value {
        let line = self.line.map(|line| {
            json!({ "base_ms": rounded(line.base * 1e3), "ms_per_mib": rounded(line.ms_per_mib()), "r2": rounded(line.r2) })
        });
        let cpu: Map<_, _> = self
            .cpu_seconds_per_gb
            .iter()
            .map(|(size, seconds)| (size.to_string(), rounded(*seconds)))
            .collect();
        json!({
            "schema": SCHEMA,
            "model": self.model,
            "sources": self.sources,
            "parts": self.parts.iter().map(part_json).collect::<Vec<_>>(),
            "not_fitted": self.missing,
            "time_by_size": line,
            "cpu_seconds_per_gb": cpu,
            "target": needs.map(|needs| json!({
                "bytes_per_second": needs.target.bytes_per_second(),
                "size": needs.size,
                "service_ms": rounded(needs.service * 1e3),
                "requests_per_second": rounded(needs.requests_per_second),
                "concurrency": needs.concurrency,
                "cpus": self.cpus(needs).map(rounded),
                "refused": needs.refused,
            })),
            "price": price.map(|price| json!({
                "size": price.size,
                "per_million_requests": rounded(price.per_million_requests),
                "per_terabyte": rounded(price.per_terabyte),
            })),
        })
    }

    /// Processors that the client keeps busy at a target, by the measured size nearest to the target's.
    fn cpus(&self, needs: &Needs) -> Option<f64> {
        let far = |size: &u64| ((*size).max(1) as f64 / needs.size.max(1) as f64).ln().abs();
        let nearest = self.cpu_seconds_per_gb.iter().min_by(|a, b| far(a.0).total_cmp(&far(b.0)));
        nearest.map(|(_, seconds)| seconds * needs.target.bytes_per_second() / 1e9)
    }

    /// What a target asks for, as lines.
    pub fn needs_lines(&self, needs: &Needs) -> Vec<String> {
        let mut lines = vec![format!(
            "for {} by reads of {} bytes: {} under way at a time ({:.1} a second, {:.2} ms each on average)",
            needs.target,
            needs.size,
            needs.concurrency,
            needs.requests_per_second,
            needs.service * 1e3
        )];
        if let Some(cpus) = self.cpus(needs) {
            lines.push(format!("and {cpus:.2} processors of a client like the measured one"));
        }
        lines.extend(needs.refused.iter().map(|why| format!("this store cannot give that: {why}")));
        lines
    }
}

impl Price {
    /// As a line.
    pub fn told(&self) -> String {
        format!(
            "requests cost {:.4} per million, and {:.4} per TB read by requests of {} bytes",
            self.per_million_requests, self.per_terabyte, self.size
        )
    }
}

fn comment(text: &mut String, line: &str) {
    // A URL may hold any character; a comment ends with its line.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(text, "# {line}").expect("writing to memory");
}

fn part_lines(part: &Part) -> Vec<String> {
    let mut lines = vec![part.origin.clone()];
    lines.extend(part.notes.iter().cloned());
    if let Some(goodness) = &part.goodness {
        lines.extend(goodness_lines(part, goodness));
    }
    lines
}

fn goodness_lines(part: &Part, goodness: &Goodness) -> Vec<String> {
    let (scale, unit) = unit(part);
    let told = goodness.quantiles.iter().map(|quantile| {
        format!(
            "{} {:.2} {unit} fitted, {:.2} measured ({:+.1} %)",
            quantile.name,
            quantile.fitted * scale,
            quantile.measured * scale,
            quantile.percent()
        )
    });
    let mut lines: Vec<_> = told.collect();
    if let Some(distance) = goodness.distance {
        lines.push(format!(
            "Kolmogorov-Smirnov distance {distance:.4} (chance alone stays below {:.4})",
            goodness.expected_distance()
        ));
    }
    lines.extend(goodness.missing.iter().cloned());
    lines
}

fn unit(part: &Part) -> (f64, &'static str) {
    if part.name == "stream" { (1e-6, "MB/s") } else { (1e3, "ms") }
}

fn part_json(part: &Part) -> Value {
    let quantile = |quantile: &super::Quantile| {
        let (scale, _) = unit(part);
        let told = json!({
            "measured": rounded(quantile.measured * scale),
            "fitted": rounded(quantile.fitted * scale),
            "percent": rounded(quantile.percent()),
        });
        (quantile.name.to_owned(), told)
    };
    let goodness = part.goodness.as_ref().map(|goodness| {
        json!({
            "samples": goodness.samples,
            "distance": goodness.distance.map(rounded),
            "expected_distance": rounded(goodness.expected_distance()),
            "unit": unit(part).1,
            "quantiles": goodness.quantiles.iter().map(quantile).collect::<Map<_, _>>(),
            "missing": goodness.missing,
        })
    });
    json!({ "name": part.name, "origin": part.origin, "notes": part.notes, "goodness": goodness })
}
