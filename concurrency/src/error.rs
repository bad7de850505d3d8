// SPDX-License-Identifier: Apache-2.0
//! Stands in for the library's errors.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Config,
    Connect,
    Exhausted,
    Protocol,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind) -> Failure {
        Failure { kind, message: String::new() }
    }

    pub(crate) fn message(self, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), ..self }
    }

    pub(crate) fn hint(self, _: &str) -> Failure {
        self
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Error(pub(crate) Failure);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error(failure)
    }
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
