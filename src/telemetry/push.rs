// SPDX-License-Identifier: Apache-2.0
//! OTLP metrics over HTTP: all that a client has recorded, each interval and at its end. What is pushed is cumulative, so a
//! push that failed is made up for by the next.

use super::worker;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Failure, Result, causes};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Gauges, Metrics, Moment, Operation, Recorders, RequestId};
use crate::transport::{BaseUrl, Endpoint, RequestBody, Transport};
use futures_util::future::{Either, select};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Where a receiver takes metrics, below its URL.
const PATH: &str = "/v1/metrics";
/// How long one push may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// Pushes in the background. Dropped, it pushes a last time without being waited for.
#[derive(Debug)]
pub(super) struct Push(mpsc::UnboundedSender<Ask>);

/// A push that is asked for out of turn; whether it was taken is answered.
#[derive(Debug)]
struct Ask {
    done: oneshot::Sender<bool>,
    last: bool,
}

impl Push {
    pub(super) fn start(
        url: &str,
        config: &Config,
        user_agent: &'static str,
        metrics: &Metrics,
    ) -> Result<Push> {
        let receiver = Receiver::new(url, config, user_agent, metrics)?;
        let (ask, asked) = mpsc::unbounded_channel();
        let interval = config.metrics_interval;
        let work = move || Ok(receiver.push_each(interval, asked));
        worker::start("storescope-otlp", work).map_err(|e| {
            Failure::new(ErrorKind::Exhausted)
                .message("no thread could be started for OTLP")
                .source(e)
        })?;
        Ok(Push(ask))
    }

    /// Pushes now; whether it was taken.
    pub(super) fn now(&self) -> oneshot::Receiver<bool> {
        self.ask(false)
    }

    /// Pushes a last time; whether it was taken.
    pub(super) fn last(self) -> oneshot::Receiver<bool> {
        self.ask(true)
    }

    fn ask(&self, last: bool) -> oneshot::Receiver<bool> {
        let (done, receiver) = oneshot::channel();
        // Where its thread is gone, `done` is dropped, which answers.
        let _ = self.0.send(Ask { done, last });
        receiver
    }
}

struct Receiver {
    url: String,
    target: Uri,
    host: HeaderValue,
    transport: Transport,
    endpoint: Arc<Endpoint>,
    metrics: Metrics,
    instance: String,
    failing: bool,
}

impl Receiver {
    fn new(
        url: &str,
        config: &Config,
        user_agent: &'static str,
        metrics: &Metrics,
    ) -> Result<Receiver> {
        let refused = |error: &dyn std::fmt::Display| {
            Error::config(format!("otlp_endpoint={:?}: {error}", crate::url::redacted(url)))
        };
        let base = BaseUrl::parse(url).map_err(|e| refused(&e))?;
        let path = base.path().strip_suffix(PATH).unwrap_or(base.path());
        let target: Uri = format!("{path}{PATH}").parse().map_err(|e| refused(&e))?;
        let host = HeaderValue::from_str(base.origin().authority()).map_err(|e| refused(&e))?;
        // The store's gauges and its limit of bytes a second are not those of its telemetry.
        let config = config.clone().bwlimit(0u64);
        let transport = Transport::new(&config, user_agent, &Arc::new(Gauges::default()));
        Ok(Receiver {
            url: format!("{}{target}", base.origin()),
            endpoint: transport.endpoint(base.origin()),
            target,
            host,
            transport,
            metrics: metrics.clone(),
            instance: RequestId::next().to_string(),
            failing: false,
        })
    }

    async fn push_each(mut self, interval: Duration, mut asked: mpsc::UnboundedReceiver<Ask>) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ask = {
                let (tick, ask) = (pin!(ticks.tick()), pin!(asked.recv()));
                match select(ask, tick).await {
                    Either::Left((ask, _)) => Some(ask),
                    Either::Right(_) => None,
                }
            };
            let taken = self.push().await;
            match ask {
                None => {}
                Some(Some(Ask { done, last })) => {
                    let _ = done.send(taken);
                    if last {
                        return;
                    }
                }
                Some(None) => return,
            }
        }
    }

    /// One push; whether it was taken. The first of several that fail is logged.
    async fn push(&mut self) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.send()).await;
        let sent = sent.unwrap_or_else(|_| {
            Err(Failure::new(ErrorKind::Timeout).message(format!("no answer within {PATIENCE:?}")))
        });
        match sent {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(url = self.url, "the OTLP receiver takes metrics again");
                }
                true
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        url = self.url,
                        error = causes(&Error::from(failure)),
                        "metrics cannot be pushed; each interval tries again, and nothing is lost"
                    );
                }
                false
            }
        }
    }

    async fn send(&self) -> Result<(), Failure> {
        let (snapshot, totals) = (self.metrics.snapshot(), self.metrics.totals());
        let moment = Moment { snapshot: &snapshot, totals: &totals, instance: &self.instance };
        let payload = Payload::from(moment.encode());
        let length = payload.len();
        let mut request = Request::new(RequestBody::new(payload));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        // A connection that is idle between two pushes may be dead: each has one of its own.
        let timer = AttemptTimer::start(&Recorders::off(), Operation::Put);
        let response = self.transport.send(&self.endpoint, request, timer, true).await?;
        let status = response.status;
        let text = response.body.collect(ANSWER).await?;
        if status.is_success() {
            return Ok(());
        }
        let mut failure = Failure::new(ErrorKind::Rejected);
        failure.status = Some(status.as_u16());
        let text: String = String::from_utf8_lossy(&text).chars().take(200).collect();
        Err(failure.message(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tracing::{Event, Metadata, Subscriber, span};

    /// Counts warnings.
    #[derive(Clone, Debug, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, about: &Metadata<'_>) -> bool {
            *about.level() == tracing::Level::WARN
        }

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Relaxed);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    fn receiver(url: &str) -> Result<Receiver> {
        let metrics = Metrics::new(Arc::new(Gauges::default()));
        Receiver::new(url, &Config::default(), "test", &metrics)
    }

    /// Answers one request.
    fn answer_one(listener: TcpListener) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut block = [0; 4096];
            // The name of the last metric ends the body, but for its point.
            while !request.windows(20).any(|window| window == b"storescope.read.held") {
                let read = stream.read(&mut block).unwrap();
                request.extend_from_slice(&block[..read]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        })
    }

    #[tokio::test]
    async fn a_receiver_that_stays_down_is_told_once_until_it_was_up() {
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let mut receiver = receiver(&format!("http://{at}")).unwrap();
        for _ in 0..3 {
            assert!(!receiver.push().await);
        }
        assert_eq!(warnings.0.load(Relaxed), 1);
        let served = answer_one(TcpListener::bind(at).unwrap());
        assert!(receiver.push().await);
        served.join().unwrap();
        assert!(!receiver.push().await);
        assert_eq!(warnings.0.load(Relaxed), 2);
    }

    #[test]
    fn the_path_is_that_of_metrics_once() {
        for (url, target) in [
            ("http://h:4318", "http://h:4318/v1/metrics"),
            ("http://h:4318/", "http://h:4318/v1/metrics"),
            ("https://h/otlp", "https://h/otlp/v1/metrics"),
            ("https://h/otlp/v1/metrics", "https://h/otlp/v1/metrics"),
        ] {
            assert_eq!(receiver(url).unwrap().url, target);
        }
        assert!(receiver("h:4318").is_err());
    }
}
