// SPDX-License-Identifier: Apache-2.0
//! An object as `AsyncWrite`.

use crate::error::{Error, Result};
use crate::types::ObjectMeta;
use crate::write::Writer;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The most that one call of `poll_write` takes.
const PIECE: usize = 1 << 20;

/// An object under writing by tokio's traits. `shutdown` makes the object; dropped before, nothing is left behind. `flush`
/// waits until the writer takes more, and shows nobody anything.
///
/// ```no_run
/// # async fn f(store: storescope::Store) -> std::io::Result<()> {
/// use storescope::PutOptions;
/// use storescope::io::BufWriter;
/// use tokio::io::AsyncWriteExt;
///
/// let mut file = tokio::fs::File::open("day.csv").await?;
/// let mut object = BufWriter::new(store.writer("day.csv", PutOptions::new()));
/// tokio::io::copy(&mut file, &mut object).await?;
/// object.shutdown().await?;
/// println!("{:?}", object.meta().map(|meta| &meta.etag));
/// # Ok(())
/// # }
/// ```
pub struct BufWriter(State);

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum State {
    Open(Box<Writer>),
    Writing(Call<(Box<Writer>, Result<()>)>),
    Finishing(Call<Result<ObjectMeta>>),
    Made(Box<ObjectMeta>),
    Failed(Error),
}

impl BufWriter {
    /// Writes by `writer`, from where it stands.
    pub fn new(writer: Writer) -> BufWriter {
        BufWriter(State::Open(Box::new(writer)))
    }

    /// What the object is, once it was made.
    pub fn meta(&self) -> Option<&ObjectMeta> {
        match &self.0 {
            State::Made(meta) => Some(meta),
            _ => None,
        }
    }

    /// Waits for what was written before. A failure ends the write.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Writing(writing) = &mut self.0 {
            let (writer, written) = ready!(writing.as_mut().poll(cx));
            self.0 = match &written {
                Ok(()) => State::Open(writer),
                Err(error) => State::Failed(error.clone()),
            };
        }
        Poll::Ready(match &self.0 {
            State::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        })
    }

    /// The writer, where it is open; what the state is meanwhile.
    fn taken(&mut self) -> Option<Box<Writer>> {
        let finished = State::Failed(Error::misuse("the object was finished"));
        match std::mem::replace(&mut self.0, finished) {
            State::Open(writer) => Some(writer),
            other => {
                self.0 = other;
                None
            }
        }
    }
}

impl AsyncWrite for BufWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        let Some(mut writer) = self.taken() else {
            return Poll::Ready(Err(Error::misuse("the object was finished").into()));
        };
        let piece = Bytes::copy_from_slice(&bytes[..bytes.len().min(PIECE)]);
        let taken = piece.len();
        self.0 = State::Writing(Box::pin(async move {
            let written = writer.write(piece).await;
            (writer, written)
        }));
        // The bytes are taken, also where the writer waits for room: the next call waits with it.
        match self.poll_written(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx).map_err(Into::into)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        if let Some(writer) = self.taken() {
            self.0 = State::Finishing(Box::pin(writer.finish()));
        }
        if let State::Finishing(finishing) = &mut self.0 {
            let finished = ready!(finishing.as_mut().poll(cx));
            self.0 = match finished {
                Ok(meta) => State::Made(Box::new(meta)),
                Err(error) => State::Failed(error),
            };
        }
        self.poll_written(cx).map_err(Into::into)
    }
}

impl fmt::Debug for BufWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Open(_) => "open",
            State::Writing(_) => "writing",
            State::Finishing(_) => "finishing",
            State::Made(_) => "made",
            State::Failed(_) => "failed",
        };
        f.debug_tuple("BufWriter").field(&state).finish()
    }
}
