// SPDX-License-Identifier: Apache-2.0
//! How far a figure can be trusted: intervals of quantiles, and of the difference of two runs.
//!
//! * `order.rs`: [`quantile_interval`], exact, for values that do not depend on each other.
//! * `bootstrap.rs`: [`Draws`], what a quantile or a rate could have been: blocks of a cell's intervals, drawn again.
//! * `blocks.rs`: how long a disturbance lasts, and the drawing. `counts.rs`: quantiles inside a bucket.
//! * `normal.rs`: quantiles of the normal distribution and of Student's.

mod blocks;
mod bootstrap;
mod counts;
mod normal;
mod order;

pub use bootstrap::{Change, Draws, quantile_draws, rate_draws};
pub(crate) use normal::normal_quantile;
pub use order::{least_count, quantile_interval};
