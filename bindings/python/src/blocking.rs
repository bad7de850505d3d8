// SPDX-License-Identifier: Apache-2.0
//! Blocking calls: a thread of Python's waits without the GIL.

use crate::ending::{self, BlockingCall, Inside, refuse};
use crate::error::raised;
use crate::log;
use crate::process::Process;
use crate::task::Blocked;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a wait goes on before it looks for signals.
const SLICE: Duration = Duration::from_millis(100);

/// Waits for a call without the GIL. A signal whose handler raises (Ctrl-C) drops the call, and so does the interpreter's
/// end.
pub(crate) fn wait<T: Send>(py: Python<'_>, call: impl Future<Output = T> + Send) -> PyResult<T> {
    let process = Process::current(py)?;
    // Until the call is dropped: the end waits for what that begins.
    let _call = BlockingCall::begin(py)?;
    if Handle::try_current().is_ok() {
        return Err(PyOSError::new_err(
            "storescope: a blocking call on a thread of its own runtime",
        ));
    }
    log::refresh(py)?;
    let _blocked = Blocked::begin(py)?;
    let mut call = pin!(call);
    loop {
        if let Some(ended) = ending::detached(py, || wait_a_slice(process, call.as_mut())) {
            return Ok(ended);
        }
        refuse(py)?;
        let _inside = Inside::enter(py)?;
        py.check_signals()?;
    }
}

/// The same for a call of the crate, whose error becomes Python's.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    call: impl Future<Output = storescope::Result<T>> + Send,
) -> PyResult<T> {
    wait(py, call)?.map_err(|error| raised(py, &error))
}

/// Polls the call on this thread for a slice of time.
fn wait_a_slice<T>(process: &Process, call: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    process.handle().block_on(async { tokio::time::timeout(SLICE, call).await.ok() })
}
