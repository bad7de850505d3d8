// SPDX-License-Identifier: Apache-2.0
//! The library's integration tests, by subject: one binary, so that it is linked once. What needs a process of its own is
//! beside this folder.

mod absence;
mod adapters;
mod answers;
mod aws_principals;
mod below;
mod cancel;
mod capture;
mod common;
mod contract;
mod errors;
mod etags;
mod faults;
mod listing;
mod metadata;
mod phases;
mod plain_http;
mod principals;
mod reads;
mod renames_and_removals;
mod resume;
mod retry;
mod secrets;
mod settle;
mod signing;
mod spans;
mod telemetry;
mod timeouts;
mod tls;
mod transport;
mod uploads;
