// SPDX-License-Identifier: Apache-2.0
//! Measured runs of an object store: what `storescope bench` writes, and what is made of it afterwards.
//!
//! ```text
//!  bench ──▶ Run ──▶ folder: run.json + run.hlog ──▶ Run ──▶ report (one HTML file, which holds both)
//!  job ────▶  │       or one HTML file                 ├──▶ compare · merge
//!             └ Cell: one setup, measured; or          └──▶ fit ──▶ storescope_model::Model
//!               a stage of a job, with its Tasks
//! ```
//!
//! It owns the form of those files and all arithmetic on them. It asks no store and reads no clock: a run is data.
//!
//! * `run.rs`: [`Run`], its [`Cell`]s and what each was set up to do. `series.rs`: a cell over time. `bands.rs`: phases of
//!   the attempts that took so long. `environment.rs`: the machine. `tasks.rs`: the [`Tasks`] of a stage. `job.rs`: runs of
//!   jobs ([`Run::of_stages`]), and what makes a stage slow. `file.rs`: the files.
//!   [`stats`]: how far a figure can be trusted. `compare/`: [`Comparison`] of two runs. `merge.rs`: several runs as one,
//!   [`merged`]. [`report`]: runs as a page.
#![forbid(unsafe_code)]

mod bands;
mod compare;
mod environment;
mod file;
pub mod fit;
mod job;
mod json;
#[cfg(test)]
mod made;
mod merge;
pub mod report;
mod run;
mod series;
pub mod stats;
mod tasks;

pub use bands::{Band, Bands};
pub use compare::{CellComparison, CompareOptions, Comparison, Figure, Verdict};
pub use environment::Environment;
pub use file::{RunError, embedded};
pub use job::{Job, Limit, Stage};
pub use json::QUANTILES;
pub use merge::{MergeError, merged, merged_named, merged_parts};
pub use run::{About, Arrivals, Behind, Calls, Cell, Run, Setup};
pub use series::{Point, Series};
pub use tasks::{Tasks, Worker};
