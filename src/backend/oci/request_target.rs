// SPDX-License-Identifier: Apache-2.0
//! What a request is sent to: the path, encoded once, as it is signed and sent.

use super::service::Service;
use super::{Oci, answer, promises};
use crate::backend::{Attempt, RequestFuture, http};
use crate::error::{ErrorKind, Failure};
use crate::timing::{AttemptTimer, Operation};
use crate::url::encode_into;
use hyper::HeaderMap;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestTarget<'a> {
    /// The tenancy's namespace.
    Namespace,
    /// The buckets of the namespace.
    Buckets,
    Bucket,
    /// The objects of the bucket.
    Objects,
    Object(&'a str),
    /// Something to be done in the bucket.
    Action(&'static str),
    /// The writes by parts of the bucket.
    Uploads,
    /// Those of an object.
    Upload(&'a str),
    /// A work request of the service.
    Work(&'a str),
    /// Why it failed.
    WorkErrors(&'a str),
}

impl Oci {
    /// The namespace: the URL's, or asked of the service, once.
    pub(super) async fn namespace(&self, timer: &AttemptTimer) -> Result<&str, Failure> {
        if let Some(known) = self.url.namespace().or(self.namespace.get().map(String::as_str)) {
            return Ok(known);
        }
        let asked = self.namespace.get_or_try_init(|| self.ask_namespace(timer));
        Ok(Box::pin(asked).await?)
    }

    /// Boxed: asking for the namespace is itself a request, and a request may have to ask for the namespace.
    fn ask_namespace(&self, timer: &AttemptTimer) -> RequestFuture<'_, String> {
        let attempt = Attempt { timer: timer.another(Operation::GetNamespace), fresh: false };
        Box::pin(async move {
            let promise = &promises::GET_NAMESPACE;
            let read = |headers: &HeaderMap, document: &[u8]| {
                answer::parsed::<String>(promise, headers, document)
            };
            self.answered(attempt, promise, RequestTarget::Namespace, |_, _| Ok(()), read).await
        })
    }

    /// The request target, path only, as it is signed and sent.
    pub(super) async fn target(
        &self,
        service: &Service,
        target: RequestTarget<'_>,
        timer: &AttemptTimer,
    ) -> Result<String, Failure> {
        if let (RequestTarget::Object(key), Some(objects)) = (target, self.objects.get()) {
            check_name(key)?;
            let mut path = String::with_capacity(objects.len() + key.len() + 32);
            path.push_str(objects);
            encode_into(&mut path, key);
            return Ok(path);
        }
        let mut path = service.base.clone();
        match target {
            RequestTarget::Namespace => {
                path.push_str("/n/");
                return Ok(path);
            }
            RequestTarget::Work(id) | RequestTarget::WorkErrors(id) => {
                path.push_str("/workRequests/");
                encode_into(&mut path, id);
                if let RequestTarget::WorkErrors(_) = target {
                    path.push_str("/errors");
                }
                return Ok(path);
            }
            _ => {}
        }
        if let Some(token) = self.url.token() {
            path.extend(["/p/", token]);
        }
        path.push_str("/n/");
        encode_into(&mut path, self.namespace(timer).await?);
        path.push_str("/b");
        if let RequestTarget::Buckets = target {
            return Ok(path);
        }
        path.push('/');
        encode_into(&mut path, self.bucket()?);
        match target {
            RequestTarget::Objects => path.push_str("/o"),
            RequestTarget::Object(key) => {
                check_name(key)?;
                path.push_str("/o/");
                self.objects.get_or_init(|| std::future::ready(path.clone())).await;
                encode_into(&mut path, key);
            }
            RequestTarget::Action(name) => path.extend(["/actions/", name]),
            RequestTarget::Uploads => path.push_str("/u"),
            RequestTarget::Upload(key) => {
                check_name(key)?;
                path.push_str("/u/");
                encode_into(&mut path, key);
            }
            _ => {}
        }
        Ok(path)
    }
}

/// Names the service does not take are refused before they are sent.
pub(super) fn check_name(key: &str) -> Result<(), Failure> {
    http::check_name(key)?;
    if key.contains(['\n', '\r', '\0']) {
        let why = "the object name holds LF, CR or NUL, which the service does not take";
        return Err(Failure::new(ErrorKind::InvalidInput).message(why));
    }
    Ok(())
}

/// `?a=b&c=d` of the parameters that have a value.
pub(super) fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        encode_into(&mut query, value);
    }
    query
}
