// SPDX-License-Identifier: Apache-2.0
//! Which form a scrape asks for: the header `Accept`, with its q-values.

use super::Exposition;

/// The form with the highest q-value; of equals the one that is named first. Where none is acceptable, or nothing is asked
/// for, the classic text, as Prometheus' own libraries do.
pub(super) fn chosen(accept: &str) -> Exposition {
    let mut best: Option<(f32, Exposition)> = None;
    for range in accept.split(',') {
        let Some((weight, form)) = offered(range) else { continue };
        if weight > best.map_or(0.0, |(weight, _)| weight) {
            best = Some((weight, form));
        }
    }
    best.map_or(Exposition::Text, |(_, form)| form)
}

/// One media range with its weight, if a form of ours is meant.
fn offered(range: &str) -> Option<(f32, Exposition)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let parameters: Vec<(String, &str)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
        .collect();
    let given = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, v)| *v);
    let is = |name: &str, only: &[&str]| given(name).is_none_or(|value| only.contains(&value));
    let form = match kind.as_str() {
        "application/vnd.google.protobuf"
            if given("proto") == Some("io.prometheus.client.MetricFamily")
                && given("encoding") == Some("delimited") =>
        {
            Exposition::Protobuf
        }
        "application/openmetrics-text" if is("version", &["1.0.0", "0.0.1"]) => {
            Exposition::OpenMetrics
        }
        "text/plain" if is("version", &["0.0.4"]) => Exposition::Text,
        "text/*" | "*/*" => Exposition::Text,
        _ => return None,
    };
    let weight = given("q").map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
    Some((weight.clamp(0.0, 1.0), form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_form_that_is_ours_is_taken() {
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, form) in [
            ("", Exposition::Text),
            ("*/*", Exposition::Text),
            ("application/json", Exposition::Text),
            ("text/plain;version=0.0.4", Exposition::Text),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Exposition::OpenMetrics),
            ("application/openmetrics-text;version=9.0.0,text/plain;q=0.1", Exposition::Text),
            // What Prometheus 2.42 sends, and what it sends without native histograms.
            (
                &format!(
                    "{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
                ),
                Exposition::Protobuf,
            ),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Exposition::OpenMetrics,
            ),
            (&format!("{PROTOBUF};q=0.3,text/plain;q=0.5"), Exposition::Text),
            (&format!("text/plain;q=0.3, {PROTOBUF} ; q=0.5"), Exposition::Protobuf),
            (&format!("{PROTOBUF};q=0,text/plain;q=0.1"), Exposition::Text),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited", Exposition::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Exposition::Text,
            ),
        ] {
            assert_eq!(chosen(accept), form, "{accept}");
        }
    }
}
