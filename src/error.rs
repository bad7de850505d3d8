// SPDX-License-Identifier: Apache-2.0
//! The one error of this crate: opaque, cheap to clone, and able to say what to do.

mod kind;

pub use kind::ErrorKind;

use crate::escape::Escaping;
use crate::timing::{Operation, Outcome};
use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// Why a call failed: what was asked, of which object, what the store said, how often it was tried, what to do.
///
/// `Display` is one line; [`source`](StdError::source) has what lies beneath.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    failure: Failure,
    operation: Option<Operation>,
    object: Option<String>,
    attempts: u32,
    elapsed: Duration,
}

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.failure.kind
    }

    /// Whether the object (not the bucket) is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the object changed while it was read.
    pub fn is_changed(&self) -> bool {
        self.kind() == ErrorKind::Changed
    }

    /// Whether a condition did not hold, creation of what exists included.
    pub fn is_precondition(&self) -> bool {
        matches!(self.kind(), ErrorKind::Precondition | ErrorKind::AlreadyExists)
    }

    /// The operation that failed.
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// The URL of the object or bucket.
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// The HTTP status of the last answer.
    pub fn status(&self) -> Option<u16> {
        self.0.failure.status
    }

    /// The store's own code, such as `ObjectNotFound`.
    pub fn code(&self) -> Option<&str> {
        self.0.failure.code.as_deref()
    }

    /// The store's name for the last request (OCI's `opc-request-id`, S3's `x-amz-request-id`): what its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.0.failure.request_id.as_deref()
    }

    /// Our name for the last attempt (`opc-client-request-id`): found again in traces and in the server's log.
    pub fn client_request_id(&self) -> Option<&str> {
        self.0.failure.client_request_id.as_deref()
    }

    /// How many requests were made.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long the call took.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.failure.hint.as_deref().or(self.kind().hint())
    }

    /// The outcome that a call which ended so is recorded under.
    pub(crate) fn outcome(&self) -> Outcome {
        self.0.failure.outcome()
    }

    pub(crate) fn config(message: impl Into<String>) -> Error {
        Failure::new(ErrorKind::Config).message(message).into()
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Failure::new(ErrorKind::InvalidInput).message(message).into()
    }

    pub(crate) fn misuse(message: impl Into<String>) -> Error {
        Failure::new(ErrorKind::Misuse).message(message).into()
    }
}

/// An error that only its box is known of, as one that can be a source.
#[derive(Debug)]
pub(crate) struct Boxed(pub(crate) Box<dyn StdError + Send + Sync>);

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        failure.into_error(None, None, 0, Duration::ZERO)
    }
}

/// Names, and what a server says, are escaped ([`escaped`](crate::escaped)): the message is one line that a terminal can show.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Escaping(f);
        let Inner { failure, operation, object, attempts, elapsed } = &*self.0;
        match (operation, object) {
            (Some(operation), Some(object)) => write!(f, "{operation} {object}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(object)) => write!(f, "{object}: ")?,
            (None, None) => {}
        }
        f.write_str(failure.kind.text())?;
        match (failure.status, &failure.code) {
            (Some(status), Some(code)) => write!(f, " ({status} {code})")?,
            (Some(status), None) => write!(f, " ({status})")?,
            (None, _) => {}
        }
        if !failure.message.is_empty() {
            write!(f, ": {}", failure.message)?;
        }
        if *attempts > 0 {
            let plural = if *attempts == 1 { "" } else { "s" };
            write!(f, " [{attempts} attempt{plural}, {:.0} ms", elapsed.as_secs_f64() * 1e3)?;
            if let Some(id) = &failure.request_id {
                write!(f, ", request-id {id}")?;
            } else if let Some(id) = &failure.client_request_id {
                write!(f, ", client-request-id {id}")?;
            }
            f.write_str("]")?;
        }
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("message", &format_args!("{self}"))
            .field("source", &self.0.failure.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.failure.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// What one attempt failed with, before it is known how many were made. Boxed: it travels in every `Result`.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Details>);

#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) client_request_id: Option<String>,
    pub(crate) hint: Option<String>,
    /// The server's `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// The server's `Date`, on a refusal of who asks.
    pub(crate) server_date: Option<SystemTime>,
    /// What a request that got a 401 was signed with: the backend that signed it knows the type.
    pub(crate) presented: Option<Arc<dyn Any + Send + Sync>>,
    /// A reused connection died before a byte of the answer: the request may go once more, free of charge.
    pub(crate) stale_connection: bool,
    /// The store cannot have seen the request.
    pub(crate) unsent: bool,
    /// Requests that the attempt made besides its own, to learn why it failed.
    pub(crate) besides: u32,
    pub(crate) source: Option<Source>,
}

impl std::ops::Deref for Failure {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl std::ops::DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind) -> Failure {
        Failure(Box::new(Details {
            kind,
            status: None,
            code: None,
            message: String::new(),
            request_id: None,
            client_request_id: None,
            hint: None,
            retry_after: None,
            server_date: None,
            presented: None,
            stale_connection: false,
            unsent: false,
            besides: 0,
            source: None,
        }))
    }

    pub(crate) fn message(mut self, message: impl Into<String>) -> Failure {
        self.message = message.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn source(mut self, source: impl StdError + Send + Sync + 'static) -> Failure {
        self.source = Some(Arc::new(source));
        self
    }

    /// What went wrong, and what lies beneath; without what to do.
    pub(crate) fn reasons(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {}", self.message, causes(source.as_ref())),
            None => self.message.clone(),
        }
    }

    /// Whether the store said no because of what is there.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.kind, ErrorKind::AlreadyExists | ErrorKind::Precondition)
    }

    /// The outcome this failure is recorded under.
    pub(crate) fn outcome(&self) -> Outcome {
        if let Some(status) = self.status.filter(|status| *status >= 300) {
            return Outcome::of_status(status);
        }
        // No status, or that of a success whose document tells of a failure.
        match self.kind {
            ErrorKind::NotFound | ErrorKind::BucketNotFound => Outcome::NotFound,
            ErrorKind::AlreadyExists | ErrorKind::Precondition | ErrorKind::Changed => {
                Outcome::Precondition
            }
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => Outcome::Auth,
            ErrorKind::Throttled => Outcome::Throttled,
            ErrorKind::Server => Outcome::Server,
            ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Exhausted => Outcome::Connect,
            ErrorKind::Timeout => Outcome::Timeout,
            ErrorKind::Reset => Outcome::Reset,
            ErrorKind::Protocol | ErrorKind::Integrity => Outcome::Invalid,
            ErrorKind::InvalidRange
            | ErrorKind::Rejected
            | ErrorKind::Archived
            | ErrorKind::Config
            | ErrorKind::InvalidInput
            | ErrorKind::Source
            | ErrorKind::Misuse
            | ErrorKind::Unsupported => Outcome::Client,
        }
    }

    pub(crate) fn into_error(
        mut self,
        operation: Option<Operation>,
        object: Option<String>,
        attempts: u32,
        elapsed: Duration,
    ) -> Error {
        // It holds the key; errors live long.
        self.presented = None;
        Error(Arc::new(Inner { failure: self, operation, object, attempts, elapsed }))
    }
}

impl From<Error> for Failure {
    /// For an error made below an attempt (configuration, a principal): its context is added anew above.
    fn from(error: Error) -> Failure {
        match Arc::try_unwrap(error.0) {
            Ok(inner) => inner.failure,
            Err(shared) => shared.failure.clone(),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            // Of a bucket that is not there nobody knows what it holds.
            ErrorKind::NotFound => Io::NotFound,
            ErrorKind::AlreadyExists => Io::AlreadyExists,
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => Io::PermissionDenied,
            ErrorKind::Timeout => Io::TimedOut,
            ErrorKind::Reset => Io::ConnectionReset,
            ErrorKind::InvalidInput | ErrorKind::InvalidRange => Io::InvalidInput,
            ErrorKind::Protocol | ErrorKind::Integrity => Io::InvalidData,
            ErrorKind::Unsupported => Io::Unsupported,
            _ => Io::Other,
        };
        std::io::Error::new(kind, error)
    }
}

/// An error and what lies beneath it, in one line.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_outcome_that_its_status_would_have() {
        let of = |kind, status| {
            let mut failure = Failure::new(kind);
            failure.status = status;
            failure.outcome()
        };
        for (kind, outcome) in [
            (ErrorKind::NotFound, Outcome::NotFound),
            (ErrorKind::BucketNotFound, Outcome::NotFound),
            (ErrorKind::AlreadyExists, Outcome::Precondition),
            (ErrorKind::Changed, Outcome::Precondition),
            (ErrorKind::PermissionDenied, Outcome::Auth),
            (ErrorKind::Throttled, Outcome::Throttled),
            (ErrorKind::Server, Outcome::Server),
            (ErrorKind::Tls, Outcome::Connect),
            (ErrorKind::Timeout, Outcome::Timeout),
            (ErrorKind::Reset, Outcome::Reset),
            (ErrorKind::Protocol, Outcome::Invalid),
            (ErrorKind::Integrity, Outcome::Invalid),
            (ErrorKind::InvalidInput, Outcome::Client),
        ] {
            assert_eq!(of(kind, None), outcome, "{kind:?}");
            assert_eq!(of(kind, Some(200)), outcome, "{kind:?} in a success");
        }
        // A status that says more than the kind does.
        assert_eq!(of(ErrorKind::Rejected, Some(412)), Outcome::Precondition);
        assert_eq!(of(ErrorKind::Throttled, Some(503)), Outcome::Server);
    }

    #[test]
    fn the_text_names_the_request_alike_for_every_store() {
        let mut failure = Failure::new(ErrorKind::Server);
        failure.client_request_id = Some("ours".to_owned());
        let told = |failure: Failure| {
            failure.into_error(None, None, 2, Duration::from_millis(7)).to_string()
        };
        assert!(told(failure.clone()).contains("[2 attempts, 7 ms, client-request-id ours]"));
        failure.request_id = Some("theirs".to_owned());
        assert!(told(failure).contains("[2 attempts, 7 ms, request-id theirs]"));
    }
}
