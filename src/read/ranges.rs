// SPDX-License-Identifier: Apache-2.0
//! Many ranges as streams: each as a whole, or piece by piece.

use super::gather::{Event, Gather};
use super::handle::Handle;
use crate::error::{Error, Result};
use crate::timing::Recorders;
use bytes::Bytes;
use futures_core::Stream;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The ranges of one [`read_ranges`](super::Reader::read_ranges): a stream of each range's number and bytes, in the
/// order in which they arrive.
#[derive(Debug)]
pub struct Ranges {
    gather: Result<Gather, Option<Error>>,
    count: usize,
}

impl Ranges {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        ranges: &[Range<u64>],
    ) -> Ranges {
        Ranges {
            gather: Gather::whole(handle, recorders, ranges).map_err(Some),
            count: ranges.len(),
        }
    }

    /// All ranges, in the order in which they were asked for. Fails as soon as one does.
    pub async fn all(mut self) -> Result<Vec<Bytes>> {
        let mut all = vec![Bytes::new(); self.count];
        while let Some((number, bytes)) = self.next().await {
            all[number] = bytes?;
        }
        Ok(all)
    }

    /// The number of the next range that is there, and its bytes; `None` after the last.
    pub async fn next(&mut self) -> Option<(usize, Result<Bytes>)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Result<Bytes>)>> {
        let gather = match &mut self.gather {
            Ok(gather) => gather,
            Err(error) => return Poll::Ready(error.take().map(|error| (0, Err(error)))),
        };
        loop {
            match ready!(gather.poll(cx)) {
                None => return Poll::Ready(None),
                Some(Event::Bytes(..)) => {}
                Some(Event::End(number, ended)) => {
                    let bytes = ended.and_then(|()| gather.bytes(number));
                    return Poll::Ready(Some((number, bytes)));
                }
            }
        }
    }
}

/// What [`Reader::pieces`](super::Reader::pieces) tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Piece {
    /// Bytes of a range: its number, their place in the object, and they. No byte of a range comes twice.
    Bytes(usize, u64, Bytes),
    /// A range has ended: its number, and which bytes of it the object has.
    End(usize, Result<Range<u64>>),
}

/// The ranges of one [`pieces`](super::Reader::pieces): a stream of what arrives, as it arrives.
#[derive(Debug)]
pub struct Pieces {
    gather: Result<Gather, Option<Error>>,
}

impl Pieces {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        recorders: &Recorders,
        ranges: &[Range<u64>],
    ) -> Pieces {
        Pieces { gather: Gather::pieces(handle, recorders, ranges).map_err(Some) }
    }

    /// What comes next; `None` when all ranges have ended.
    pub async fn next(&mut self) -> Option<Piece> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match &mut self.gather {
            Ok(gather) => gather.poll(cx).map(|event| {
                Some(match event? {
                    Event::Bytes(number, at, bytes) => Piece::Bytes(number, at, bytes),
                    Event::End(number, ended) => {
                        Piece::End(number, ended.map(|()| gather.range(number)))
                    }
                })
            }),
            Err(error) => Poll::Ready(error.take().map(|error| Piece::End(0, Err(error)))),
        }
    }
}

impl Stream for Pieces {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.poll(cx)
    }
}

impl Stream for Ranges {
    type Item = (usize, Result<Bytes>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}
