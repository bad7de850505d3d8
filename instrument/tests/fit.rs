// SPDX-License-Identifier: Apache-2.0
//! Models are given, runs are drawn from them, and the fit must find the models again: no server, all seeded.

use std::time::Duration;

use storescope::timing::{Distribution, Snapshot};
use storescope_instrument::fit::{FitError, Needs, Price, fit};
use storescope_instrument::{Arrivals, Calls, Cell, Point, Run, Setup};
use storescope_model::{FirstByte, Model, Rate, Sampler, Stall, Stream};

const MIB: u64 = 1 << 20;

fn setup(size: u64, concurrency: u32) -> Setup {
    Setup {
        name: None,
        mix: [("get".to_owned(), 1)].into(),
        pattern: "random".into(),
        size: Some(size),
        concurrency,
        rate: None,
        arrivals: None,
        new_connections: false,
    }
}

/// A run as `bench` writes it, read back from its files.
fn run(cells: Vec<Cell>) -> Run {
    let json = serde_json::json!({
        "version": "0.1.0", "url": "oci://demo@ns/object", "seed": 1, "started_at": "2026-01-02T03:04:05Z",
    });
    Run { about: serde_json::from_value(json).unwrap(), cells }
}

/// Attempts by their tags.
fn attempts(tagged: &[(&str, &Distribution)]) -> Snapshot {
    let line = |(tag, times): &(&str, &Distribution)| {
        let encoded = times.encode();
        let histogram = encoded.rsplit(' ').next().unwrap();
        format!("Tag={tag},0.000,10.000,1.000,{histogram}\n")
    };
    Snapshot::from_hlog(&tagged.iter().map(line).collect::<String>()).unwrap()
}

/// What reads of one size took.
struct Drawn {
    first_byte: Distribution,
    rates: Distribution,
    service: Distribution,
    seconds: f64,
}

fn draws(model: &Model, seed: u64, count: u32, size: u64, slower: f64) -> Drawn {
    let mut sampler = Sampler::new(model, seed);
    let mut drawn = Drawn {
        first_byte: Distribution::nanoseconds(),
        rates: Distribution::bytes(),
        service: Distribution::nanoseconds(),
        seconds: 0.0,
    };
    for _ in 0..count {
        let draw = sampler.draw();
        let body = draw.bytes_per_second.map_or(0.0, |rate| slower * size as f64 / rate);
        if body > 0.0 {
            drawn.rates.record((size as f64 / body) as u64);
        }
        let service = draw.ttfb.as_secs_f64() + body;
        drawn.first_byte.record(draw.ttfb.as_nanos() as u64);
        drawn.service.record((service * 1e9) as u64);
        drawn.seconds += service;
    }
    drawn
}

/// A cell of a closed loop.
fn cell(model: &Model, seed: u64, count: u32, size: u64, concurrency: u32) -> Cell {
    cell_of(&draws(model, seed, count, size, 1.0), size, concurrency)
}

fn cell_of(drawn: &Drawn, size: u64, concurrency: u32) -> Cell {
    let mut cell = Cell::new(setup(size, concurrency));
    cell.elapsed = Duration::from_secs_f64(drawn.seconds / f64::from(concurrency));
    cell.cpu = cell.elapsed / 10;
    let mut bytes = Distribution::bytes();
    (0..drawn.service.count()).for_each(|_| bytes.record(size));
    cell.attempts = attempts(&[
        ("attempt/get/ttfb/ok/le1M/reused", &drawn.first_byte),
        ("attempt/get/total/ok/le1M/reused", &drawn.service),
        ("attempt/get/bytes_delivered/ok/-/-", &bytes),
    ]);
    let calls = Calls {
        count: drawn.service.count(),
        failed: 0,
        bytes: drawn.service.count() * size,
        response: drawn.service.clone(),
        service: drawn.service.clone(),
    };
    cell.calls.insert("get".into(), calls);
    if size >= MIB / 4 {
        cell.stream = drawn.rates.clone();
    }
    cell
}

fn alike(what: &str, got: f64, expected: f64, share: f64) {
    assert!((got / expected - 1.0).abs() <= share, "{what}: {got} for {expected}");
}

#[test]
fn models_are_found_again() {
    let own = "name = \"own\"\n[ttfb]\nshift = \"2ms\"\nmedian = \"40ms\"\nsigma = 0.3\n\
               tail = { probability = 0.01, scale = \"300ms\", shape = 1.5, cap = \"5s\" }\n\
               [stream]\nmedian = \"25MB/s\"\nsigma = 0.2\n";
    let models = [
        Model::named("s3-standard").unwrap(),
        Model::named("s3-express").unwrap(),
        Model::named("s3-warm").unwrap(),
        Model::from_toml(own).unwrap(),
    ];
    for model in models {
        for (seed, count) in [(1, 3_000), (2, 30_000)] {
            let cells =
                vec![cell(&model, seed, count, 65_536, 8), cell(&model, seed, count, 4 * MIB, 2)];
            let fit = fit(&[run(cells)], "fitted").unwrap();
            let text = fit.to_toml(&[]);
            let fitted = Model::from_toml(&text).unwrap();
            assert_eq!(fitted, fit.model, "{text}");
            let (given, found) =
                (draws(&model, 77, 200_000, MIB, 1.0), draws(&fitted, 78, 200_000, MIB, 1.0));
            for quantile in [0.1, 0.5, 0.9, 0.99] {
                let what =
                    |part: &str| format!("{} {count}: {part} {quantile}\n{text}", model.name);
                let of = |times: &Distribution| times.quantile(quantile) as f64;
                let got = of(&found.first_byte);
                // 3,000 samples leave a p99 of a lognormal of sigma 0.75 with an error of 3.5 %.
                let share = if count < 10_000 && quantile > 0.9 { 0.1 } else { 0.05 };
                alike(&what("first byte"), got, of(&given.first_byte), share);
                alike(&what("bandwidth"), of(&found.rates), of(&given.rates), 0.05);
            }
            if count > 10_000 {
                let p999 = |drawn: &Drawn| drawn.first_byte.quantile(0.999) as f64;
                alike(&format!("{} p99.9\n{text}", model.name), p999(&found), p999(&given), 0.15);
            }
        }
    }
}

#[test]
fn the_fit_tells_how_good_it_is() {
    let model = Model::named("s3-standard").unwrap();
    let cells = vec![cell(&model, 3, 20_000, 65_536, 8), cell(&model, 4, 2_000, 8 * MIB, 2)];
    let fit = fit(&[run(cells)], "told").unwrap();
    let part = |name: &str| fit.parts.iter().find(|part| part.name == name).unwrap();
    let goodness = part("ttfb").goodness.as_ref().unwrap();
    assert_eq!(goodness.samples, 22_000);
    assert!(goodness.distance.unwrap() < 0.015, "{goodness:?}");
    for quantile in &goodness.quantiles {
        // 22 samples lie above p99.9.
        let most = if quantile.name == "p99.9" { 20.0 } else { 5.0 };
        assert!(quantile.percent().abs() < most, "{goodness:?}");
    }
    let stream = part("stream").goodness.as_ref().unwrap();
    assert_eq!(stream.missing, ["not enough samples for p99.9: 10000 needed"]);
    let line = fit.line.unwrap();
    alike("ms per MiB", line.ms_per_mib(), 17.5, 0.1);
    let text = fit.to_toml(&["for people".to_owned()]);
    for told in [
        "# Fitted by storescope",
        "oci://demo@ns/object, 2026-01-02T03:04:05Z, 2 cells",
        "# 22000 attempts of get on used connections",
        "Kolmogorov-Smirnov distance",
        "# time by size",
        "# not fitted: nic: no closed loop over three concurrencies",
        "# not fitted: cold_connection: 0 attempts on new connections, not enough samples: 30 needed",
        "# for people",
        "s per GB at 8388608 bytes a call",
    ] {
        assert!(text.contains(told), "{told} in\n{text}");
    }
    let needs = Needs::new(&fit.model, Rate::from_bytes_per_second(1.25e9), 8 * MIB);
    // 149 reads a second of 0.19 s each.
    alike("concurrency", needs.concurrency as f64, 1.25e9 / 8_388_608.0 * 0.19, 0.1);
    let json = fit.to_json(Some(&needs), Some(&Price::new(0.004, 8 * MIB)));
    assert_eq!(json["target"]["concurrency"], needs.concurrency);
    assert_eq!(json["model"]["name"], "told");
    assert!(json["parts"][0]["goodness"]["quantiles"]["p99"]["percent"].is_f64(), "{json:#}");
}

#[test]
fn a_constant_is_told_as_one_and_a_few_bodies_as_none() {
    let model = Model::from_toml("ttfb = \"20ms\"\nstream = \"50MB/s\"\n").unwrap();
    let fitted = |count| fit(&[run(vec![cell(&model, 1, count, MIB, 1)])], "").unwrap();
    let many = fitted(100);
    let Some(FirstByte::Constant(ttfb)) = many.model.ttfb else { panic!("{many:?}") };
    alike("ttfb", ttfb.as_secs_f64(), 0.02, 0.01);
    let Some(Stream::Constant(rate)) = many.model.stream else { panic!("{many:?}") };
    alike("stream", rate.bytes_per_second(), 50e6, 0.01);
    let one = fitted(1);
    assert!(matches!(one.model.ttfb, Some(FirstByte::Constant(_))) && one.model.stream.is_none());
    let text = one.to_toml(&[]);
    assert!(text.contains("# not enough samples for a distribution: 30 needed"), "{text}");
    assert!(text.contains("# not enough samples for p50: 20 needed"), "{text}");
    assert!(text.contains("stream: 1 bodies of 256 KiB or more, not enough samples"), "{text}");
}

#[test]
fn new_connections_tell_what_they_cost() {
    let model = Model::named("s3-standard").unwrap();
    let used = cell(&model, 1, 5_000, 65_536, 8);
    let cold = Duration::from_millis(5);
    let mut times = Distribution::nanoseconds();
    let mut sampler = Sampler::new(&model, 9);
    (0..300).for_each(|_| times.record((sampler.draw().ttfb + cold).as_nanos() as u64));
    let mut connect = Distribution::nanoseconds();
    (0..300).for_each(|n| connect.record(100_000 + n * 100));
    let mut fresh = Cell::new(Setup { new_connections: true, ..setup(65_536, 8) });
    fresh.attempts = attempts(&[
        ("attempt/get/ttfb/ok/le64K/new", &times),
        ("attempt/get/total/ok/le64K/new", &times),
        ("attempt/get/connect/ok/-/-", &connect),
    ]);
    let fit = fit(&[run(vec![used]), run(vec![fresh])], "").unwrap();
    let found = fit.model.cold_connection.unwrap();
    alike("cold connection", found.as_secs_f64(), 0.005_115, 0.15);
}

#[test]
fn a_sweep_tells_the_ceiling_of_bandwidth() {
    let toml =
        "[ttfb]\nmedian = \"20ms\"\nsigma = 0.3\n[stream]\nmedian = \"40MB/s\"\nsigma = 0.2\n";
    let model = Model::from_toml(toml).unwrap();
    let (ceiling, size) = (200e6, 8 * MIB);
    let sweep = |most: u32| {
        let cells = (0..).map(|n| 1_u32 << n).take_while(|c| *c <= most).map(|concurrency| {
            // Streams share what there is: bodies take so much longer.
            let free = draws(&model, 5, 1_000, size, 1.0);
            let alone = f64::from(concurrency) * 1_000.0 * size as f64 / free.seconds;
            let slower = if alone > ceiling { alone / ceiling * 1.12 } else { 1.0 };
            let mut cell = cell_of(&draws(&model, 5, 1_000, size, slower), size, concurrency);
            if alone > ceiling {
                cell.elapsed = Duration::from_secs_f64(1_000.0 * size as f64 / ceiling);
            }
            cell
        });
        run(cells.collect())
    };
    let found = fit(&[sweep(32)], "").unwrap();
    alike("nic", found.model.nic.expect("a plateau").bytes_per_second(), ceiling, 0.03);
    let Some(Stream::Spread(stream)) = &found.model.stream else { panic!("{found:?}") };
    alike("a free stream", stream.median.bytes_per_second(), 40e6, 0.05);
    let text = found.to_toml(&[]);
    assert!(text.contains(" MB/s from 8 to 32 at a time"), "{text}");

    let short = fit(&[sweep(4)], "").unwrap();
    assert_eq!(short.model.nic, None);
    assert!(
        short.missing.iter().any(|line| line.contains("still grew at 4 at a time")),
        "{short:?}"
    );

    let mut busy = sweep(32);
    busy.about.environment = serde_json::from_str("{\"processors\": 2}").unwrap();
    busy.cells.iter_mut().for_each(|cell| cell.cpu = cell.elapsed * 2);
    let busy = fit(&[busy], "").unwrap();
    assert_eq!(busy.model.nic, None);
    assert!(busy.missing.iter().any(|line| line.contains("this machine's ceiling")), "{busy:?}");
}

#[test]
fn throttled_attempts_tell_the_request_rate() {
    let model = Model::named("s3-express").unwrap();
    let mut one = cell(&model, 1, 5_000, 65_536, 64);
    one.elapsed = Duration::from_secs(10);
    let drawn = draws(&model, 1, 5_000, 65_536, 1.0);
    let refused = draws(&model, 2, 700, 0, 1.0).first_byte;
    one.attempts = attempts(&[
        ("attempt/get/ttfb/ok/le64K/reused", &drawn.first_byte),
        ("attempt/get/total/ok/le64K/reused", &drawn.service),
        ("attempt/get/total/throttled/-/reused", &refused),
    ]);
    let found = fit(&[run(vec![one])], "").unwrap();
    assert_eq!(found.model.requests_per_second, Some(500.0));
    assert!(found.to_toml(&[]).contains("# 700 attempts were throttled (429;"));
}

#[test]
fn s3_throttles_by_503() {
    let drawn = draws(&Model::named("s3-express").unwrap(), 1, 3_000, 65_536, 1.0);
    let mut one = cell_of(&drawn, 65_536, 16);
    one.elapsed = Duration::from_secs(10);
    one.attempts = attempts(&[
        ("attempt/get/total/ok/le64K/reused", &drawn.service),
        ("attempt/get/ttfb/ok/le64K/reused", &drawn.first_byte),
        ("attempt/get/total/server/le64K/reused", &drawn.service),
    ]);
    let mut measured = run(vec![one]);
    assert_eq!(fit(std::slice::from_ref(&measured), "").unwrap().model.requests_per_second, None);
    measured.about.url = "s3://bucket/object".into();
    assert_eq!(fit(&[measured], "").unwrap().model.requests_per_second, Some(300.0));
}

/// Calls of a store that stalls, in steps of time; in an open loop each comes on its own.
fn stalled(stall: Stall, seconds: u64, rate: Option<f64>) -> Cell {
    let model = Model::named("s3-standard").unwrap();
    let mut sampler = Sampler::new(&model, 6);
    let concurrency = 8;
    let mut points: Vec<Point> = (0..=seconds + 5)
        .map(|second| Point::new(Duration::from_secs(second), Duration::from_secs(1)))
        .collect();
    let mut all = Distribution::nanoseconds();
    let mut one = |begin: Duration| {
        let end = stall.end(begin, sampler.draw().ttfb);
        let took = end.saturating_sub(begin).as_nanos() as u64;
        let point = &mut points[end.as_secs() as usize];
        point.calls += 1;
        point.first_byte.record(took);
        point.in_flight = concurrency;
        all.record(took);
        end
    };
    if let Some(rate) = rate {
        for n in 0..(seconds as f64 * rate) as u64 {
            one(Duration::from_secs_f64(n as f64 / rate));
        }
    } else {
        for _ in 0..concurrency {
            let mut now = Duration::ZERO;
            while now < Duration::from_secs(seconds) {
                now = one(now);
            }
        }
    }
    let arrivals = rate.map(|_| Arrivals::Constant);
    let mut cell = Cell::new(Setup { rate, arrivals, ..setup(65_536, concurrency) });
    cell.elapsed = Duration::from_secs(seconds);
    cell.attempts = attempts(&[
        ("attempt/get/ttfb/ok/le64K/reused", &all),
        ("attempt/get/total/ok/le64K/reused", &all),
    ]);
    points.into_iter().take(seconds as usize).for_each(|point| cell.series.push(point));
    cell
}

#[test]
fn stalls_are_found_and_left_out_of_the_first_byte() {
    let seconds = Duration::from_secs;
    let stall = Stall { every: seconds(30), lasts: seconds(3) };
    for rate in [None, Some(20.0)] {
        let found = fit(&[run(vec![stalled(stall, 115, rate)])], "").unwrap();
        let got = found.model.stall.unwrap_or_else(|| panic!("{rate:?}: {:?}", found.missing));
        alike("lasts", got.lasts.as_secs_f64(), 3.0, 0.05);
        alike("every", got.every.as_secs_f64(), 30.0, 0.05);
        let p99 = draws(&found.model, 1, 100_000, 0, 1.0).first_byte.quantile(0.99);
        alike("p99 without the stalls", p99 as f64 / 1e9, 0.117, 0.08);
        let once = fit(&[run(vec![stalled(stall, 50, rate)])], "").unwrap();
        assert_eq!(once.model.stall, None);
        assert!(once.missing.iter().any(|line| line.contains("never two in one cell")), "{once:?}");
    }
    // Connections that were opened in a stall tell it, and not what a connection costs.
    let mut opened = stalled(stall, 115, Some(20.0));
    let mut late = Distribution::nanoseconds();
    (0..60).for_each(|n| late.record(n * 50_000_000));
    let mut connect = Distribution::nanoseconds();
    (0..60).for_each(|_| connect.record(100_000));
    let ttfb = opened.attempts.select(|key| key.phase == storescope::timing::Phase::Ttfb).unwrap();
    opened.attempts = attempts(&[
        ("attempt/get/ttfb/ok/le64K/reused", &ttfb),
        ("attempt/get/total/ok/le64K/reused", &ttfb),
        ("attempt/get/ttfb/ok/le64K/new", &late),
        ("attempt/get/connect/ok/-/-", &connect),
    ]);
    let cold = fit(&[run(vec![opened])], "").unwrap().model.cold_connection.unwrap();
    assert!(cold < Duration::from_millis(1), "{cold:?}");
    // A short pause of all calls is the machine's; rare slow requests are none.
    let pause = Stall { every: seconds(10), lasts: Duration::from_millis(180) };
    assert_eq!(fit(&[run(vec![stalled(pause, 115, None)])], "").unwrap().model.stall, None);
    let model = Stall { every: seconds(10_000), lasts: seconds(1) };
    let none = fit(&[run(vec![stalled(model, 115, None)])], "").unwrap();
    assert_eq!(none.model.stall, None);
    assert!(!none.missing.iter().any(|line| line.starts_with("stall")), "{none:?}");
}

#[test]
fn what_cannot_be_fitted_is_said() {
    assert_eq!(fit(&[run(Vec::new())], ""), Err(FitError::NoCells));
    assert_eq!(fit(&[run(vec![Cell::new(setup(1, 1))])], ""), Err(FitError::NoAttempts));
    let mut times = Distribution::nanoseconds();
    (0..7).for_each(|_| times.record(1_000_000));
    let mut failed = Cell::new(setup(1, 1));
    failed.attempts = attempts(&[("attempt/get/total/server/-/reused", &times)]);
    let said = fit(&[run(vec![failed])], "").unwrap_err().to_string();
    assert_eq!(said, "there is nothing to fit: all 7 attempts failed (server 7)");

    let mut put = Cell::new(Setup { mix: [("put".into(), 1)].into(), ..setup(MIB, 1) });
    put.attempts = attempts(&[
        ("attempt/put/ttfb/ok/le1M/reused", &times),
        ("attempt/put/total/ok/le1M/reused", &times),
    ]);
    let text = fit(&[run(vec![put])], "").unwrap().to_toml(&[]);
    assert!(text.contains("# 7 attempts of put on used connections"), "{text}");
    assert!(text.contains("# no get was measured; reads may differ"), "{text}");
    assert!(text.contains("no cell with bodies of 256 KiB or more"), "{text}");
}
