// SPDX-License-Identifier: Apache-2.0
//! What all fuzz targets share: the bound on memory. The targets themselves are functions of the crates that they test
//! (`fuzzing` modules, compiled under `cfg(fuzzing)`), so that the tests of those crates replay them without libFuzzer.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that any input may take: the largest histogram that an interval log can state has 50 MB, its merging as much again.
const CONSTANT: usize = 128 << 20;

/// Bytes for each byte of the input: an entry of a trace has 300 for a range that is written by six, and three readers hold it.
const FACTOR: usize = 1024;

/// Runs a target, and panics where it takes more memory than the input warrants: no length is believed before its bytes are there.
pub fn bounded(data: &[u8], check: fn(&[u8])) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    check(data);
    let most = ALLOCATOR.peak_usage().saturating_sub(before);
    let bound = CONSTANT + FACTOR * data.len();
    assert!(most <= bound, "{most} bytes for an input of {}, more than {bound}", data.len());
}

/// A target: `target!(crate::fuzzing::name);`.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::bounded(data, $check));
    };
}
