// SPDX-License-Identifier: Apache-2.0
//! The tracing span of an attempt, at level debug. Where no subscriber wants it, there is one look at that and nothing more.

use super::event::{AttemptEvent, RequestId};
use super::key::{Operation, Outcome, Phase};
use tracing::Span;
use tracing::field::{Empty, display};

/// A span under way.
#[derive(Clone, Debug)]
pub(super) struct AttemptSpan(Span);

/// What is known of an attempt when it begins.
pub(super) struct Beginning<'a> {
    pub(super) operation: Operation,
    pub(super) key: &'a str,
    pub(super) client_request_id: RequestId,
    pub(super) hedge: bool,
}

impl AttemptSpan {
    pub(super) fn begin(of: &Beginning<'_>) -> Option<AttemptSpan> {
        if !tracing::span_enabled!(tracing::Level::DEBUG) {
            return None;
        }
        let span = tracing::debug_span!(
            "attempt",
            operation = of.operation.as_str(),
            key = of.key,
            client_request_id = %of.client_request_id,
            hedge = of.hedge,
            outcome = Empty,
            connection = Empty,
            bytes = Empty,
            total_ns = Empty,
            queue_ns = Empty,
            prepare_ns = Empty,
            sign_ns = Empty,
            pool_ns = Empty,
            dns_ns = Empty,
            connect_ns = Empty,
            tls_ns = Empty,
            send_ns = Empty,
            ttfb_ns = Empty,
            body_ns = Empty,
            paused_ns = Empty,
        );
        Some(AttemptSpan(span))
    }

    pub(super) fn into_inner(self) -> Span {
        self.0
    }

    /// Tells how an attempt ended that was not timed.
    pub(super) fn end(&self, outcome: Outcome) {
        self.0.record("outcome", outcome.as_str());
    }

    /// Tells what an attempt came to; phases that it did not have stay empty.
    pub(super) fn end_timed(&self, event: &AttemptEvent<'_>) {
        self.end(event.outcome);
        self.0.record("connection", display(event.connection));
        self.0.record("bytes", event.bytes);
        self.0.record("total_ns", event.total_ns);
        for &phase in Phase::PARTS {
            if let Some(nanoseconds) = event.phase_ns(phase) {
                self.0.record(field_of(phase), nanoseconds);
            }
        }
    }
}

/// The field that a phase of an attempt is told in.
const fn field_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Queue => "queue_ns",
        Phase::Prepare => "prepare_ns",
        Phase::Sign => "sign_ns",
        Phase::Pool => "pool_ns",
        Phase::Dns => "dns_ns",
        Phase::Connect => "connect_ns",
        Phase::Tls => "tls_ns",
        Phase::Send => "send_ns",
        Phase::Ttfb => "ttfb_ns",
        Phase::Body => "body_ns",
        Phase::Paused => "paused_ns",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_of_an_attempt_has_its_field() {
        for &phase in Phase::PARTS {
            assert_eq!(field_of(phase), format!("{phase}_ns"));
        }
    }
}
