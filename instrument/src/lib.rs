// SPDX-License-Identifier: Apache-2.0
//! Measured runs of an object store: what `storescope bench` writes, and what is made of it afterwards.
//!
//! ```text
//!  bench ──▶ Run ──▶ folder: run.json + run.hlog ──▶ Run ──▶ report (one HTML file, which holds both)
//!             │       or one HTML file                 ├──▶ compare · merge
//!             └ Cell: one setup, measured              └──▶ fit ──▶ storescope_model::Model
//! ```
//!
//! It owns the form of those files and all arithmetic on them. It asks no store and reads no clock: a run is data.
//!
//! * `run.rs`: [`Run`], its [`Cell`]s and what each was set up to do. `series.rs`: a cell over time. `bands.rs`: phases of
//!   the attempts that took so long. `environment.rs`: the machine. `file.rs`: the files.
#![forbid(unsafe_code)]

mod bands;
mod environment;
mod file;
mod json;
mod run;
mod series;

pub use bands::{Band, Bands};
pub use environment::Environment;
pub use file::{RunError, embedded};
pub use run::{About, Arrivals, Behind, Calls, Cell, QUANTILES, Run, Setup};
pub use series::{Point, Series};
