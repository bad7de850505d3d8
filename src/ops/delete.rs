// SPDX-License-Identifier: Apache-2.0
//! Removal of objects: of one, and of many by as few requests as the service takes.

use crate::attempt::{Call, Doubt, Settle, Verdict, is_lost, is_transient, settle, unsettled_by};
use crate::context::{Target, on_runtime};
use crate::error::{ErrorKind, Failure, Result};
use crate::options::DeleteOptions;
use crate::timing::Operation;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;

/// Batches of removals that are under way at once.
const BATCHES: usize = 4;

/// Single removals that are under way at once, where the service has no batches.
const SINGLES: usize = 16;

/// Removes an object.
pub(crate) async fn delete(target: &Target, key: &str, options: DeleteOptions) -> Result<()> {
    let call = target.begin(Operation::Delete, key, None)?;
    on_runtime!(target.context(), delete_by(call, options))
}

async fn delete_by(mut call: Box<Call>, options: DeleteOptions) -> Result<()> {
    let key = Arc::clone(call.key());
    let removal = Removal { key: &key, if_match: options.if_match.as_deref() };
    let deleted = settle(&mut call, removal).await;
    call.end(deleted)
}

/// A removal, repeated only once it is known not to have happened: a second answer of 404 would be the first one's success.
struct Removal<'a> {
    key: &'a str,
    if_match: Option<&'a str>,
}

impl Settle for Removal<'_> {
    type Output = ();

    async fn send(&mut self, call: &mut Call) -> Result<(), Failure> {
        call.delete(self.key, self.if_match).await
    }

    async fn decide(&mut self, call: &mut Call, doubt: Doubt) -> Result<Verdict<()>, Failure> {
        let Doubt { failure, lost } = doubt;
        if !lost {
            let gone = failure.kind == ErrorKind::NotFound;
            return if gone { Ok(Verdict::Done(())) } else { Err(failure) };
        }
        match call.head(self.key).await {
            Err(gone) if gone.kind == ErrorKind::NotFound => Ok(Verdict::Done(())),
            Err(unseen) => Err(unsettled_by(failure, unseen)),
            Ok(_) => Ok(Verdict::Again(failure)),
        }
    }
}

/// Removes many objects; one result a key, in their order.
pub(crate) fn delete_many(
    target: &Target,
    keys: BoxStream<'static, String>,
) -> BoxStream<'static, (String, Result<()>)> {
    let target = target.clone();
    let most = target.backend().abilities().delete_many;
    if most == 0 {
        return Box::pin(keys.map(move |key| delete_one(target.clone(), key)).buffered(SINGLES));
    }
    let batches = keys.chunks(most).map(move |keys| delete_batch(target.clone(), keys));
    Box::pin(batches.buffered(BATCHES).flat_map(stream::iter))
}

async fn delete_one(target: Target, key: String) -> (String, Result<()>) {
    let deleted = delete(&target, &key, DeleteOptions::new()).await;
    (key, deleted)
}

async fn delete_batch(target: Target, keys: Vec<String>) -> Vec<(String, Result<()>)> {
    let batch = async {
        let call = target.begin(Operation::DeleteMany, "", None)?;
        on_runtime!(target.context(), Batch::of(&target, &keys).run(call))
    };
    match batch.await {
        Ok(Some(results)) => keys.into_iter().zip(results).collect(),
        Ok(None) => {
            let one_by_one = keys.into_iter().map(|key| delete_one(target.clone(), key));
            stream::iter(one_by_one).buffered(SINGLES).collect().await
        }
        Err(error) => keys.into_iter().map(|key| (key, Err(error.clone()))).collect(),
    }
}

/// Objects that are removed by one request, and asked for again until each has its answer.
struct Batch<'a> {
    target: &'a Target,
    /// Full names.
    keys: Vec<String>,
    results: Vec<Option<Result<(), Failure>>>,
    /// What has no final answer, by its place.
    left: Vec<usize>,
    /// An answer was lost: what is not there any more may be this call's doing.
    in_doubt: bool,
}

impl Batch<'_> {
    fn of<'a>(target: &'a Target, keys: &[String]) -> Batch<'a> {
        Batch {
            target,
            keys: keys.iter().map(|key| target.full(key).to_string()).collect(),
            results: vec![None; keys.len()],
            left: (0..keys.len()).collect(),
            in_doubt: false,
        }
    }

    /// One result a key; `None` where the service has no batches.
    async fn run(mut self, mut call: Box<Call>) -> Result<Option<Vec<Result<()>>>> {
        loop {
            let asked: Vec<String> =
                self.left.iter().map(|&index| self.keys[index].clone()).collect();
            let trouble = match call.delete_many(&asked).await {
                Ok(answers) => self.take(answers),
                Err(failure) if failure.kind == ErrorKind::Unsupported => {
                    call.succeed(None);
                    return Ok(None);
                }
                Err(failure) if is_lost(&failure) => {
                    self.in_doubt = true;
                    Some(failure)
                }
                Err(failure) => return Err(call.fail(failure)),
            };
            let Some(trouble) = trouble else { break };
            if let Err(given_up) = call.back_off(trouble).await {
                if self.results.iter().any(Option::is_none) {
                    return Err(call.fail(given_up));
                }
                break;
            }
        }
        call.succeed(None);
        Ok(Some(self.told()))
    }

    /// Takes the answers for what is left; a failure among them after which it is asked for again.
    fn take(&mut self, answers: Vec<Result<(), Failure>>) -> Option<Failure> {
        let (mut trouble, mut lost, mut again) = (None, false, Vec::new());
        for (index, answer) in std::mem::take(&mut self.left).into_iter().zip(answers) {
            self.results[index] = Some(match answer {
                // The first try's doing.
                Err(gone) if self.in_doubt && gone.kind == ErrorKind::NotFound => Ok(()),
                Err(failure) if is_transient(&failure) => {
                    again.push(index);
                    lost |= is_lost(&failure);
                    trouble = Some(failure.clone());
                    Err(failure)
                }
                answer => answer,
            });
        }
        self.left = again;
        self.in_doubt |= lost;
        trouble
    }

    fn told(self) -> Vec<Result<()>> {
        let backend = self.target.backend();
        let told = self.keys.iter().zip(self.results).map(|(key, result)| {
            result.unwrap_or(Ok(())).map_err(|failure| {
                let object = Some(backend.url(key));
                failure.into_error(Some(Operation::DeleteMany), object, 1, Duration::ZERO)
            })
        });
        told.collect()
    }
}
