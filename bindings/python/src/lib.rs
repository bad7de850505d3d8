// SPDX-License-Identifier: Apache-2.0
//! The Rust half of the Python package `storescope`.
//!
//! ```text
//!  Python thread ─ Store.get … ─▶ blocking.rs  the call runs, the GIL is free; a signal drops it
//!                                    │ process.rs: one runtime, one table of clients; a forked child begins anew
//!                                    ▼
//!                                 the crate `storescope`
//!                                    │ what ends in the background: parts of read_ranges, awaitables, log records
//!                                    ▼
//!  Python callbacks ◀── _calls.py ◀── dispatch.rs  one thread of Python's that calls for all that has arrived
//! ```
//!
//! It promises: no wait holds the GIL; a blocking call ends within a tenth of a second of Ctrl-C; every callback is
//! called exactly once; bytes are handed over without a copy ([`buffer`]); no lock of this crate is held while the GIL is
//! free, so that a child made by fork finds none taken; no thread meets the interpreter's end in a frame of this crate
//! ([`ending`] has the rules, which what calls Python must keep).

mod awaitable;
mod blocking;
mod buckets;
mod buffer;
mod call_options;
mod calls;
mod credentials;
mod dispatch;
mod ending;
mod environment;
mod error;
mod fork;
mod listing;
mod log;
mod meta;
mod model;
mod open_writer;
mod options;
mod process;
mod reader;
mod scope;
mod store;
mod store_methods;
mod task;
mod tfrecord;
mod upload;
mod writer;

#[pyo3::pymodule]
mod _storescope {
    #[pymodule_export]
    use crate::buckets::{_redacted, create_bucket, delete_bucket, list_buckets};
    #[pymodule_export]
    use crate::buffer::Buffer;
    #[pymodule_export]
    use crate::environment::_surroundings;
    #[pymodule_export]
    use crate::listing::Listing;
    #[pymodule_export]
    use crate::meta::ObjectMeta;
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::options::settings;
    #[pymodule_export]
    use crate::process::{_after_fork, _at_exit, _leave};
    #[pymodule_export]
    use crate::reader::{RangesRead, Reader};
    #[pymodule_export]
    use crate::scope::{_unrecorded, Scope, Snapshot};
    #[pymodule_export]
    use crate::store::Store;
    #[pymodule_export]
    use crate::task::{_in_task, _waited};
    #[pymodule_export]
    use crate::tfrecord::{_tfrecord_frame, _tfrecord_places};
    #[pymodule_export]
    use crate::writer::Writer;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Records are forwarded from the first on.
    #[pymodule_init]
    fn init() {
        crate::log::install();
    }
}
