// SPDX-License-Identifier: Apache-2.0
//! What goes wrong below HTTP, as a failure.

use crate::error::{ErrorKind, Failure};
use std::io;

/// Says what it was, what has run out included.
pub(super) fn unconnected(what: &dyn std::fmt::Display, error: io::Error) -> Failure {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let (kind, why) = match (error.raw_os_error(), error.kind()) {
        (Some(EMFILE), _) => (ErrorKind::Exhausted, "this process has no file descriptor left"),
        (Some(ENFILE), _) => (ErrorKind::Exhausted, "this machine has no file descriptor left"),
        (_, io::ErrorKind::AddrNotAvailable) => {
            (ErrorKind::Exhausted, "this machine has no local port left")
        }
        (_, io::ErrorKind::ConnectionRefused) => (ErrorKind::Connect, "nothing listens there"),
        _ => (ErrorKind::Connect, "the connection failed"),
    };
    Failure::new(kind).message(format!("{what}: {why}")).source(error)
}

/// A failure of hyper's, as one of ours.
pub(super) fn broken(error: hyper::Error, when: &str) -> Failure {
    let kind = if error.is_parse() { ErrorKind::Protocol } else { ErrorKind::Reset };
    let mut failure = Failure::new(kind).message(format!("the connection broke {when}"));
    // The connection's task was gone before it took the request.
    failure.unsent = error.is_canceled();
    failure.source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Origin;

    #[test]
    fn what_has_run_out_is_said() {
        let origin = Origin::parse("http://h:1").unwrap();
        let of = |e| unconnected(&origin, e);
        assert_eq!(of(io::Error::from_raw_os_error(24)).kind, ErrorKind::Exhausted);
        assert!(of(io::Error::from_raw_os_error(24)).message.contains("descriptor"));
        let ports = of(io::Error::from(io::ErrorKind::AddrNotAvailable));
        assert!(ports.kind == ErrorKind::Exhausted && ports.message.contains("port"));
        assert_eq!(of(io::Error::from(io::ErrorKind::ConnectionRefused)).kind, ErrorKind::Connect);
    }
}
