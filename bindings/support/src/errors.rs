// SPDX-License-Identifier: Apache-2.0
//! Errors as text: the names of their kinds, and their causes.

use std::error::Error;
use std::iter;
use storescope::ErrorKind;

/// The name of a kind of error in snake case, such as `not_found`. A kind that this version does not know is `other`.
pub fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::BucketNotFound => "bucket_not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Precondition => "precondition",
        ErrorKind::Changed => "changed",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::Archived => "archived",
        ErrorKind::Throttled => "throttled",
        ErrorKind::Server => "server",
        ErrorKind::InvalidRange => "invalid_range",
        ErrorKind::Rejected => "rejected",
        ErrorKind::Connect => "connect",
        ErrorKind::Tls => "tls",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Reset => "reset",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Integrity => "integrity",
        ErrorKind::Exhausted => "exhausted",
        ErrorKind::Config => "config",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::Source => "source",
        ErrorKind::Misuse => "misuse",
        ErrorKind::Unsupported => "unsupported",
        _ => "other",
    }
}

/// The causes of an error, the nearest first, without the error itself.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = String> + 'a {
    // A cause may be an error of others, which does not escape the names in it.
    iter::successors(error.source(), |&cause| cause.source())
        .map(|cause| storescope::escaped(&cause.to_string()).into_owned())
}

/// An error and its causes on one line, `error: cause: cause`. A cause whose text is already there is left out.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{causes, kind_name, one_line};
    use std::error::Error;
    use std::fmt;
    use storescope::ErrorKind;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &(dyn Error + 'static))
        }
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (first, beneath) = texts.split_first().expect("at least one");
        Layer(first, (!beneath.is_empty()).then(|| Box::new(layers(beneath))))
    }

    #[test]
    fn causes_come_in_their_order_without_the_error() {
        let error = layers(&["no connection", "TLS", "certificate expired"]);
        assert_eq!(causes(&error).collect::<Vec<_>>(), ["TLS", "certificate expired"]);
        assert_eq!(causes(&layers(&["alone"])).count(), 0);
    }

    #[test]
    fn one_line_names_each_cause_once() {
        let error = layers(&["no connection", "TLS", "connection", "TLS", "expired"]);
        assert_eq!(one_line(&error), "no connection: TLS: expired");
        assert_eq!(one_line(&layers(&["alone"])), "alone");
    }

    /// The wheel makes the same names of the variants' own.
    #[test]
    fn names_are_the_variants_in_snake_case() {
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::BucketNotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Precondition,
            ErrorKind::Changed,
            ErrorKind::Unauthenticated,
            ErrorKind::PermissionDenied,
            ErrorKind::Archived,
            ErrorKind::Throttled,
            ErrorKind::Server,
            ErrorKind::InvalidRange,
            ErrorKind::Rejected,
            ErrorKind::Connect,
            ErrorKind::Tls,
            ErrorKind::Timeout,
            ErrorKind::Reset,
            ErrorKind::Protocol,
            ErrorKind::Integrity,
            ErrorKind::Exhausted,
            ErrorKind::Config,
            ErrorKind::InvalidInput,
            ErrorKind::Source,
            ErrorKind::Misuse,
            ErrorKind::Unsupported,
        ];
        for kind in kinds {
            let mut name = String::new();
            for letter in format!("{kind:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.extend(letter.to_lowercase());
            }
            assert_eq!(kind_name(kind), name);
        }
    }
}
