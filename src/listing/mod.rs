// SPDX-License-Identifier: Apache-2.0
//! Listings of objects, buckets and uploads, page by page. Every page is held against what was asked, before an entry of
//! it is handed out: what is removed or copied recursively is what a listing names.
//!
//! ```text
//!  page ─▶ Names: each name lies within prefix, start and end, is rolled up as asked; names ascend, and none comes twice
//!       └▶ Chain: "there is more" comes with a place; no place comes twice; pages that bring nothing are bounded
//! ```
//!
//! Names are compared as UTF-8 bytes, after a backend has decoded them.
//!
//! What comes in no order, and may:
//!
//! * S3's directory buckets (S3 Express), by their documentation. Everything else is checked ([`Abilities::ordered_listings`]).
//! * A listing that is one page: it is put in order here. Older `rclone serve s3` orders by the time of modification.
//! * Buckets and uploads: OCI states no order, and directory buckets have none. What was named before is left out; a page of
//!   nothing else is an error.
//!
//! [`Abilities::ordered_listings`]: crate::backend::Abilities::ordered_listings

mod buckets;
mod chain;
mod names;
mod objects;
mod split;
mod uploads;

pub(crate) use buckets::buckets;
pub(crate) use chain::Once;
pub(crate) use objects::objects;
pub(crate) use uploads::uploads;
