// SPDX-License-Identifier: Apache-2.0
//! A listing under way, a page ahead of who reads it.

use crate::runtime;
use crate::store::OpenStore;
use futures_util::StreamExt;
use std::sync::Arc;
use storescope::{ListEntry, ListOptions};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

/// Entries handed over at once, unless pages are smaller.
const PAGE: usize = 1000;

pub(crate) struct OpenListing {
    pub(crate) store: Arc<OpenStore>,
    pages: Mutex<mpsc::Receiver<storescope::Result<Vec<ListEntry>>>>,
    task: AbortHandle,
}

impl OpenListing {
    pub(crate) fn open(
        open: &Arc<OpenStore>,
        prefix: &str,
        start_after: Option<String>,
        flat: bool,
        page_size: u32,
    ) -> OpenListing {
        let mut options = ListOptions::new().delimiter(!flat);
        if let Some(key) = start_after {
            options = options.start_after(key);
        }
        if page_size > 0 {
            options = options.page_size(page_size);
        }
        let size = if page_size == 0 { PAGE } else { (page_size as usize).min(PAGE) };
        let mut pages = open.store.list(prefix, options).ready_chunks(size);
        let (give, take) = mpsc::channel(1);
        let task = runtime::handle().spawn(async move {
            while let Some(page) = pages.next().await {
                let page: storescope::Result<Vec<ListEntry>> = page.into_iter().collect();
                let failed = page.is_err();
                if give.send(page).await.is_err() || failed {
                    break;
                }
            }
        });
        OpenListing { store: Arc::clone(open), pages: Mutex::new(take), task: task.abort_handle() }
    }

    /// The next page; `None` after the last.
    pub(crate) async fn next(&self) -> storescope::Result<Option<Vec<ListEntry>>> {
        self.pages.lock().await.recv().await.transpose()
    }
}

impl Drop for OpenListing {
    fn drop(&mut self) {
        self.task.abort();
    }
}
