// SPDX-License-Identifier: Apache-2.0
//! What Java has open, by handle: stores, listings, writers, readers, scopes, what was gathered,
//! credentials.

use crate::credentials::Desk;
use crate::gathered::Gathered;
use crate::handles::Handles;
use crate::listing::OpenListing;
use crate::raised::{Raised, Result};
use crate::reader::OpenReader;
use crate::scopes::OpenScope;
use crate::store::OpenStore;
use crate::writer::OpenWriter;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) enum Opened {
    Store(Arc<OpenStore>),
    Listing(Arc<OpenListing>),
    Writer(Arc<OpenWriter>),
    Reader(Arc<OpenReader>),
    Scope(Arc<OpenScope>),
    Gathered(Arc<Gathered>),
    Credentials(Arc<Desk>),
}

static OPENED: Handles<Opened> = Handles::new();

pub(crate) fn add(opened: Opened) -> i64 {
    OPENED.add(opened)
}

pub(crate) fn remove(handle: i64) -> Option<Opened> {
    OPENED.remove(handle)
}

pub(crate) fn get(handle: i64) -> Option<Opened> {
    OPENED.get(handle)
}

/// How many stores are open.
pub(crate) fn stores() -> usize {
    OPENED.count(|opened| matches!(opened, Opened::Store(_)))
}

/// How many handles are open.
pub(crate) fn handles() -> usize {
    OPENED.count(|_| true)
}

pub(crate) fn store(handle: i64) -> Result<Arc<OpenStore>> {
    match get(handle) {
        Some(Opened::Store(store)) => Ok(store),
        _ => Err(Raised::Closed("the file system")),
    }
}

pub(crate) fn listing(handle: i64) -> Result<Arc<OpenListing>> {
    match get(handle) {
        Some(Opened::Listing(listing)) => Ok(listing),
        _ => Err(Raised::Closed("the listing")),
    }
}

pub(crate) fn writer(handle: i64) -> Result<Arc<OpenWriter>> {
    match get(handle) {
        Some(Opened::Writer(writer)) => Ok(writer),
        _ => Err(Raised::Closed("the stream")),
    }
}

pub(crate) fn reader(handle: i64) -> Result<Arc<OpenReader>> {
    match get(handle) {
        Some(Opened::Reader(reader)) => Ok(reader),
        _ => Err(Raised::Closed("the stream")),
    }
}

pub(crate) fn scope(handle: i64) -> Result<Arc<OpenScope>> {
    match get(handle) {
        Some(Opened::Scope(scope)) => Ok(scope),
        _ => Err(Raised::Closed("the scope")),
    }
}

pub(crate) fn desk(handle: i64) -> Result<Arc<Desk>> {
    match get(handle) {
        Some(Opened::Credentials(desk)) => Ok(desk),
        _ => Err(Raised::Closed("the credentials")),
    }
}

pub(crate) fn gathered(handle: i64) -> Result<Arc<Gathered>> {
    match get(handle) {
        Some(Opened::Gathered(gathered)) => Ok(gathered),
        _ => Err(Raised::Closed("what was gathered")),
    }
}
