// SPDX-License-Identifier: Apache-2.0
//! Writes of what a stream gives or a file holds.

use crate::backend::ObjectMeta;
use crate::error::{ErrorKind, Failure, Result};
use crate::options::PutOptions;
use crate::store::Store;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

/// What is read of a file at once.
const CHUNK: usize = 1 << 20;

impl Store {
    /// Writes what a stream gives. An error of the stream is `Source`, and leaves the object as it was.
    pub async fn put_stream(
        &self,
        key: &str,
        source: impl Stream<Item = io::Result<Bytes>> + Send,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let mut writer = self.writer(key, options);
        let mut source = pin!(source);
        while let Some(read) = source.next().await {
            match read {
                Ok(bytes) => writer.write(bytes).await?,
                Err(e) => {
                    writer.abort().await?;
                    return Err(self.unread(key, "its bytes could not be read", e));
                }
            }
        }
        writer.finish().await
    }

    /// Writes a file. One that becomes shorter or longer meanwhile is `Source`, and leaves the object as it was.
    pub async fn put_file(
        &self,
        key: &str,
        file: impl AsRef<Path>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let path = file.as_ref().to_owned();
        let name = path.display().to_string();
        let open = move || -> io::Result<(File, u64)> {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        let (file, size) = self
            .aside(open)
            .await?
            .map_err(|e| self.unread(key, &format!("{name} cannot be opened"), e))?;
        let this = self.clone();
        let chunks = futures_util::stream::try_unfold(file, move |mut file| {
            let this = this.clone();
            async move {
                let read = move || -> io::Result<Option<(Bytes, File)>> {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
                    Ok((!chunk.is_empty()).then(|| (chunk.into(), file)))
                };
                this.aside(read).await.map_err(io::Error::from)?
            }
        });
        self.put_stream(key, chunks, options.size(size)).await
    }

    /// Runs what blocks where it may.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let handle = self.client().handle()?;
        handle.spawn_blocking(work).await.map_err(|e| {
            Failure::new(ErrorKind::Source).message("the file's reader ended").source(e).into()
        })
    }

    fn unread(&self, key: &str, why: &str, error: io::Error) -> crate::Error {
        let failure = Failure::new(ErrorKind::Source).message(format!("{why}: {error}"));
        let object = self.backend().url(&self.full(key));
        failure.source(error).into_error(
            Some(crate::timing::Operation::Upload),
            Some(object),
            0,
            Duration::ZERO,
        )
    }
}
