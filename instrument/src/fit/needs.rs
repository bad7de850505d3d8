// SPDX-License-Identifier: Apache-2.0
//! What a store that a model describes costs: requests under way for a rate, processor time, money.

use storescope_model::{Model, Rate, Sampler};

/// Draws that a mean is taken of: it is known to 0.5 %.
const DRAWS: u32 = 100_000;

/// What a target rate asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// Bytes a second that are wanted.
    pub target: Rate,
    /// Bytes of a read.
    pub size: u64,
    /// The mean time of a read of that size by the model, in seconds.
    pub service: f64,
    /// Reads a second.
    pub requests_per_second: f64,
    /// Reads under way at a time, by Little's law.
    pub concurrency: u64,
    /// Why the store cannot give that, if a ceiling of the model is in the way.
    pub refused: Option<String>,
}

/// The mean time of a read of so many bytes on a used connection, in seconds: with the model's stalls, without its
/// ceilings.
pub fn mean_service(model: &Model, size: u64) -> f64 {
    let mut sampler = Sampler::new(model, 0);
    let one = |_| {
        let draw = sampler.draw();
        draw.ttfb.as_secs_f64() + draw.bytes_per_second.map_or(0.0, |rate| size as f64 / rate)
    };
    let mean = (0..DRAWS).map(one).sum::<f64>() / f64::from(DRAWS);
    let stalled = model.stall.map_or(0.0, |stall| stall.lasts.div_duration_f64(stall.every));
    mean / (1.0 - stalled)
}

impl Needs {
    /// What reads of `size` bytes at `target` ask of a store.
    pub fn new(model: &Model, target: Rate, size: u64) -> Needs {
        let service = mean_service(model, size);
        let requests_per_second = target.bytes_per_second() / size.max(1) as f64;
        let over = |nic: &Rate| nic.bytes_per_second() < target.bytes_per_second();
        let refused = match (model.nic.filter(over), model.requests_per_second) {
            (Some(nic), _) => Some(format!("the ceiling of bandwidth is {nic}")),
            (None, Some(most)) if most < requests_per_second => {
                let least = (target.bytes_per_second() / most).ceil();
                Some(format!(
                    "the ceiling is {most} requests a second: reads must have {least} bytes or more"
                ))
            }
            _ => None,
        };
        Needs {
            target,
            size,
            service,
            requests_per_second,
            concurrency: (requests_per_second * service).ceil().max(1.0) as u64,
            refused,
        }
    }
}

/// What requests of one size cost at a price for 10,000 of them, in the price's currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Bytes of a read.
    pub size: u64,
    /// 1,000,000 requests.
    pub per_million_requests: f64,
    /// A terabyte (10^12 bytes), read by requests of this size.
    pub per_terabyte: f64,
}

impl Price {
    /// From the price of 10,000 requests.
    pub fn new(per_10_000: f64, size: u64) -> Price {
        Price {
            size,
            per_million_requests: per_10_000 * 100.0,
            per_terabyte: 1e12 / size.max(1) as f64 * per_10_000 / 1e4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_s_law_and_the_ceilings() {
        let toml = "ttfb = \"20ms\"\nstream = \"100MB/s\"\n";
        let model = Model::from_toml(toml).unwrap();
        let gigabyte = Rate::from_bytes_per_second(1e9);
        let needs = Needs::new(&model, gigabyte, 8_000_000);
        assert!((needs.service - 0.1).abs() < 1e-6, "{needs:?}");
        // 125 reads a second of 0.1 s each.
        assert_eq!((needs.concurrency, needs.refused), (13, None));
        let with = |more: &str| {
            let model = Model::from_toml(&format!("{more}\n{toml}")).unwrap();
            Needs::new(&model, gigabyte, 8_000_000)
        };
        assert!(with("nic = \"500MB/s\"").refused.unwrap().contains("500MB/s"));
        let refused = with("requests_per_second = 100.0").refused.unwrap();
        assert!(refused.contains("10000000 bytes"), "{refused}");
        let stalled = with("stall = { every = \"10s\", lasts = \"5s\" }");
        assert!((stalled.service - 0.2).abs() < 1e-6, "half of the time nothing is done");
    }

    #[test]
    fn prices_are_by_the_million_and_by_the_terabyte() {
        let price = Price::new(0.004, 1_000_000);
        assert!((price.per_million_requests - 0.4).abs() < 1e-12);
        assert!((price.per_terabyte - 0.4).abs() < 1e-12, "a million requests of 1 MB");
    }
}
