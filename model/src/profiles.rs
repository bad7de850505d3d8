// SPDX-License-Identifier: Apache-2.0
//! The named profiles. [`Model::named`](crate::Model::named) tells their figures and sources.

use std::time::Duration;

use crate::{FirstByte, FirstByteSpread, Model, Rate, Stream, StreamSpread, Tail};

pub(crate) const NAMES: &[&str] =
    &["none", "s3-standard", "s3-warm", "s3-express", "lan-minio", "oci-native", "oci-s3compat"];

pub(crate) fn named(name: &str) -> Option<Model> {
    let model = match name {
        "none" => Model::default(),
        "s3-standard" => {
            cloud(FirstByteSpread { tail: Some(rare_and_slow()), ..spread(8_000, 19_000, 0.75) })
        }
        "s3-warm" => cloud(spread(20_000, 4_800, 0.55)),
        "s3-express" => cloud(spread(4_000, 1_000, 0.5)),
        "lan-minio" => Model {
            ttfb: Some(FirstByte::Spread(spread(500, 800, 0.6))),
            assumed: Some("a store in the next rack; nothing published".into()),
            ..Model::default()
        },
        "oci-native" => Model {
            assumed: Some("the shape of s3-standard; no published distribution".into()),
            ..cloud(spread(11_000, 19_000, 0.75))
        },
        "oci-s3compat" => Model {
            assumed: Some(
                "oci-native × 1.5, from one published ratio (AIStore 2025, 10 MB cold GETs); no \
                 published distribution"
                    .into(),
            ),
            ..cloud(spread(16_500, 28_500, 0.75))
        },
        _ => return None,
    };
    Some(Model { name: name.to_owned(), ..model })
}

fn cloud(first_byte: FirstByteSpread) -> Model {
    Model {
        ttfb: Some(FirstByte::Spread(first_byte)),
        stream: Some(Stream::Spread(StreamSpread {
            median: Rate::from_bytes_per_second(60e6),
            sigma: 0.35,
            cap: Some(Rate::from_bytes_per_second(95e6)),
        })),
        cold_connection: Some(Duration::from_millis(5)),
        ..Model::default()
    }
}

fn spread(shift_us: u64, median_us: u64, sigma: f64) -> FirstByteSpread {
    FirstByteSpread {
        shift: Duration::from_micros(shift_us),
        median: Duration::from_micros(median_us),
        sigma,
        cap: None,
        tail: None,
    }
}

fn rare_and_slow() -> Tail {
    Tail {
        probability: 2e-4,
        scale: Duration::from_millis(400),
        shape: 1.1,
        cap: Some(Duration::from_secs(10)),
    }
}
