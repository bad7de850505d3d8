// SPDX-License-Identifier: Apache-2.0
//! The server behind a scrape endpoint: GET and HEAD, one request a connection.

use super::clients::Clients;
use crate::payload::Payload;
use crate::timing::{Distribution, Exposition, Key};
use crate::transport::RequestBody;
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How long a scrape may take, from its connection to the last byte of the answer: a client that is slower is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long its request's head may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);
/// Scrapes at once; further ones wait to be accepted.
const AT_ONCE: usize = 16;
/// Bytes of a request's head at most.
const HEAD: usize = 16 << 10;
/// Where nothing can be accepted (no descriptor is left).
const PAUSE: Duration = Duration::from_millis(100);

const INDEX: &str = "\
storescope

/metrics  Prometheus: text, OpenMetrics or protobuf with native histograms, by the Accept header
/hlog     HdrHistogram log (.hlog)
/hgrm/KEY HdrHistogram's percentile output (.hgrm) of one key, such as /hgrm/attempt/get/ttfb/ok/le64K/reused
/json     JSON
";

type Answer = Response<RequestBody>;

/// Serves until `stopped`; connections that are open then are closed.
pub(super) async fn serve(
    listener: TcpListener,
    clients: Arc<Clients>,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let next = pin!(next(&listener, &places));
        match select(next, &mut stopped).await {
            Either::Left((Some((stream, place)), _)) => {
                tokio::spawn(answer_one(stream, place, Arc::clone(&clients)));
            }
            Either::Left((None, _)) => tokio::time::sleep(PAUSE).await,
            Either::Right(_) => return,
        }
    }
}

/// The next connection, once there is a place for it. `None` where it could not be accepted.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, place))
}

async fn answer_one(stream: TcpStream, place: OwnedSemaphorePermit, clients: Arc<Clients>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&clients, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    // A scrape that breaks off, or is too slow, is its client's affair.
    let _ = tokio::time::timeout(PATIENCE, connection).await;
    drop(place);
}

fn answer(clients: &Clients, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/metrics" => metrics(clients, request),
        "/hlog" => {
            let log = clients.sums().map(|(snapshot, _)| snapshot.to_hlog());
            text(StatusCode::OK, log.unwrap_or_default())
        }
        "/json" => {
            let json = clients.sums().map(|(snapshot, _)| snapshot.to_json().to_string());
            body(StatusCode::OK, "application/json", json.unwrap_or_default())
        }
        "/" => text(StatusCode::OK, INDEX),
        path => match percentiles(clients, path) {
            Some(percentiles) => text(StatusCode::OK, percentiles),
            None => text(StatusCode::NOT_FOUND, INDEX),
        },
    }
}

/// Of the key that a path names, if it has values.
fn percentiles(clients: &Clients, path: &str) -> Option<String> {
    let key = Key::from_tag(path.strip_prefix("/hgrm/")?)?;
    let (snapshot, _) = clients.sums()?;
    snapshot.get(&key).map(Distribution::to_hgrm)
}

fn metrics(clients: &Clients, request: &Request<Incoming>) -> Answer {
    // A list may stand in several headers.
    let accept: Vec<&str> =
        request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let form = Exposition::accepted(&accept.join(","));
    let sums = clients.sums();
    let written = sums.map(|(snapshot, totals)| form.write(&snapshot, Some(&totals)));
    let mut answer = body(StatusCode::OK, form.content_type(), written.unwrap_or_default());
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    answer
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Answer {
    body(status, "text/plain; charset=utf-8", text)
}

fn body(status: StatusCode, kind: &'static str, bytes: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = Response::new(RequestBody::new(Payload::from(bytes.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
