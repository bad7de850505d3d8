// SPDX-License-Identifier: Apache-2.0
//! A model's draws against its published table, its seed, its TOML, and its errors.

use std::time::Duration;

use storescope_model::{FirstByte, Model, ModelError, Rate, Sampler, Stall, Stream};

const DRAWS: usize = 1_000_000;
const MIB: f64 = 1_048_576.0;

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() as f64 * q).ceil() as usize).max(1) - 1]
}

/// Sorted milliseconds of a whole request of so many bytes.
fn totals(name: &str, bytes: f64) -> Vec<f64> {
    let mut sampler = Sampler::new(&Model::named(name).unwrap(), 1);
    let mut totals: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let draw = sampler.draw();
            let body = draw.bytes_per_second.map_or(0.0, |rate| bytes / rate);
            (draw.ttfb.as_secs_f64() + body) * 1e3
        })
        .collect();
    totals.sort_by(f64::total_cmp);
    totals
}

/// The table is told in whole milliseconds: half of one is its own rounding. Beside it, one
/// million draws leave the standard error of a quantile: 0.1 % up to p99, 1 % at p99.9 (checked
/// at three of them), and 10 % at p99.99, where a hundred draws of a heavy tail stand above it.
#[test]
fn s3_standard_draws_the_published_table() {
    let table = [
        (0.0, [27.0, 58.0, 73.0, 117.0, 209.0, 760.0]),
        (MIB, [46.0, 78.0, 93.0, 137.0, 229.0, 809.0]),
        (8.0 * MIB, [173.0, 258.0, 289.0, 360.0, 469.0, 961.0]),
        (16.0 * MIB, [313.0, 474.0, 535.0, 671.0, 874.0, 1202.0]),
    ];
    for (bytes, row) in table {
        let sorted = totals("s3-standard", bytes);
        for ((q, relative), expected) in
            [(0.5, 0.004), (0.9, 0.004), (0.95, 0.004), (0.99, 0.01), (0.999, 0.03), (0.9999, 0.3)]
                .into_iter()
                .zip(row)
        {
            let got = quantile(&sorted, q);
            assert!(
                (got - expected).abs() <= 0.5 + relative * expected,
                "p{} of {bytes} bytes is {got:.1} ms, the table says {expected}",
                q * 100.0
            );
        }
    }
}

#[test]
fn the_tail_reaches_its_cap_and_not_beyond() {
    let sorted = totals("s3-standard", 0.0);
    // 2e-4 × (400 ms / 10 s)^1.1 of the draws are cut: about 5.8 in a million.
    let cut = sorted.iter().filter(|ms| **ms >= 10_000.0).count();
    assert!((1..=20).contains(&cut), "{cut} draws at the cap");
    assert!(*sorted.last().unwrap() <= 10_000.0);
    assert!(sorted[0] >= 8.0, "nothing is faster than the shift");
}

#[test]
fn the_other_profiles_have_their_median_and_p99() {
    for (name, p50, p99) in [
        ("s3-warm", 24.8, 37.25),
        ("s3-express", 5.0, 7.2),
        ("lan-minio", 1.3, 3.73),
        ("oci-native", 30.0, 119.8),
        ("oci-s3compat", 45.0, 179.7),
    ] {
        let sorted = totals(name, 0.0);
        for (q, expected) in [(0.5, p50), (0.99, p99)] {
            let got = quantile(&sorted, q);
            assert!((got / expected - 1.0).abs() < 0.01, "{name} p{q}: {got} for {expected}");
        }
    }
}

#[test]
fn no_stream_is_faster_than_its_cap() {
    let mut sampler = Sampler::new(&Model::named("s3-standard").unwrap(), 3);
    let rates: Vec<f64> = (0..10_000).map(|_| sampler.draw().bytes_per_second.unwrap()).collect();
    assert!(rates.iter().all(|rate| *rate <= 95e6));
    // P(LogN(60, 0.35) > 95) = 9.5 %: the cap is met.
    let capped = rates.iter().filter(|rate| **rate >= 95e6).count();
    assert!((850..=1050).contains(&capped), "{capped} of 10000 at the cap");
}

#[test]
fn equal_seeds_draw_equal_requests() {
    let model = Model::named("s3-standard").unwrap();
    let first = |seed: u64| {
        let mut sampler = Sampler::new(&model, seed);
        (0..1000).map(|_| sampler.draw()).collect::<Vec<_>>()
    };
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn every_profile_survives_its_toml() {
    for name in Model::names() {
        let model = Model::named(name).unwrap();
        assert_eq!(model.name, *name);
        assert_eq!(Model::from_toml(&model.to_toml()).unwrap(), model, "{}", model.to_toml());
    }
    assert!(Model::named("none").unwrap().is_free());
    assert!(!Model::named("lan-minio").unwrap().is_free());
}

#[test]
fn what_is_assumed_says_so() {
    for name in Model::names() {
        assert_eq!(
            Model::named(name).unwrap().assumed.is_some(),
            ["lan-minio", "oci-native", "oci-s3compat"].contains(name),
            "{name}"
        );
    }
}

#[test]
fn constants_and_ceilings_are_read() {
    let model = Model::from_toml(
        "name = \"flat\"\nttfb = \"20 ms\"\nstream = \"50MB/s\"\nnic = \"25Gbit/s\"\n\
         requests_per_second = 5500.0\ncold_connection = \"1.5ms\"\n\
         stall = { every = \"60s\", lasts = \"3s\" }\n",
    )
    .unwrap();
    assert_eq!(model.ttfb, Some(FirstByte::Constant(Duration::from_millis(20))));
    assert_eq!(model.stream, Some(Stream::Constant(Rate::from_bytes_per_second(50e6))));
    assert_eq!(model.nic, Some(Rate::from_bytes_per_second(3.125e9)));
    assert_eq!(model.cold_connection, Some(Duration::from_micros(1500)));
    let stall = Stall { every: Duration::from_mins(1), lasts: Duration::from_secs(3) };
    assert_eq!(model.stall, Some(stall));
    assert_eq!(Model::from_toml(&model.to_toml()).unwrap(), model);
    let draw = Sampler::new(&model, 0).draw();
    assert_eq!((draw.ttfb, draw.bytes_per_second), (Duration::from_millis(20), Some(50e6)));
}

#[test]
fn an_unknown_name_lists_the_known() {
    let error = Model::named("s4").unwrap_err();
    assert!(matches!(error, ModelError::Unknown { .. }));
    assert!(error.to_string().contains("\"s4\"") && error.to_string().contains("s3-express"));
}

#[test]
fn bad_toml_names_the_field() {
    for (toml, field) in [
        ("ttfb = 20", "ttfb"),
        ("ttfb = \"20 parsecs\"", "ttfb"),
        ("ttfb = { median = \"5ms\" }", "sigma"),
        ("ttfb = { median = \"5ms\", sigma = -0.1 }", "ttfb.sigma"),
        ("ttfb = { median = \"0s\", sigma = 1.0 }", "ttfb.median"),
        ("ttfb = { median = \"5ms\", sigma = 1.0, mode = 3 }", "mode"),
        (
            "[ttfb]\nmedian = \"5ms\"\nsigma = 1.0\ntail = { probability = 2.0, scale = \"1s\", \
             shape = 1.0 }",
            "ttfb.tail.probability",
        ),
        ("stream = \"0B/s\"", "stream"),
        ("stream = { median = \"5\", sigma = 1.0 }", "stream"),
        ("stream = { median = \"5MB/s\", sigma = nan }", "stream.sigma"),
        ("nic = \"fast\"", "nic"),
        ("requests_per_second = -1.0", "requests_per_second"),
        ("stall = { every = \"3s\", lasts = \"3s\" }", "stall.lasts"),
        ("stall = { every = \"3s\", lasts = \"0s\" }", "stall.lasts"),
        ("stall = { every = \"0s\", lasts = \"1s\" }", "stall.every"),
        ("stall = { every = \"60s\" }", "lasts"),
        ("colour = \"red\"", "colour"),
    ] {
        let error = Model::from_toml(toml).unwrap_err().to_string();
        assert!(error.contains(field), "{toml}: {error}");
    }
}

#[test]
fn a_bandwidth_at_which_nothing_ends_is_refused_and_never_drawn() {
    for text in [
        "stream = \"0.5B/s\"",
        "nic = \"0.0001B/s\"",
        "stream = { median = \"0B/s\", sigma = 1 }",
        "stream = { median = \"1MB/s\", sigma = 1, cap = \"0.1B/s\" }",
    ] {
        let error = Model::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("is less than 1 B/s"), "{text}: {error}");
    }
    let wide = Model::from_toml("stream = { median = \"1B/s\", sigma = 10.0 }").unwrap();
    let mut sampler = Sampler::new(&wide, 1);
    assert!((0..1_000).all(|_| sampler.draw().bytes_per_second.unwrap() >= 1.0));
}
