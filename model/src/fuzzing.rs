// SPDX-License-Identifier: Apache-2.0
//! Entry point of the fuzz target in `fuzz/` that reads models. Compiled for tests and under `cfg(fuzzing)`.

use crate::{Model, Sampler};
use std::time::Duration;

/// A model is written and read again as the same; what it draws can be waited for.
pub fn model(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(model) = Model::from_toml(text) else { return };
    let printed = model.to_toml();
    assert_eq!(Model::from_toml(&printed).expect("a model that was written"), model, "{printed}");
    let mut sampler = Sampler::new(&model, 7);
    for _ in 0..4 {
        let draw = sampler.draw();
        assert!(draw.ttfb <= Duration::from_secs(86_400));
        let rate = draw.bytes_per_second.unwrap_or(1.0);
        // Of the largest object that stores take.
        let _ = Duration::from_secs_f64((10_u64 << 40) as f64 / rate);
        if let Some(stall) = model.stall {
            let begin = Duration::from_secs(1);
            assert!(stall.end(begin, draw.ttfb) >= begin + draw.ttfb);
        }
    }
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn model() {
        super::replay::replay("model", super::model);
    }
}
