// SPDX-License-Identifier: Apache-2.0
//! Names, options and metadata, from object_store's to ours and back.

use super::super::object_store::path::{self, Path};
use super::super::object_store::{
    Attribute, AttributeValue, Attributes, Error, GetOptions, GetRange, ObjectMeta, PutMode, Result,
};
use super::error;

/// What is known of an object of the store below a prefix.
pub(super) fn meta(below: &str, meta: &storescope::ObjectMeta) -> Result<ObjectMeta> {
    let location = location(below, &meta.key)?;
    let Some(modified) = meta.last_modified else {
        let untold = format!("the store does not say when {location} was last written");
        return Err(error::generic(untold));
    };
    // No version: none can be asked for.
    Ok(ObjectMeta {
        location,
        last_modified: modified.into(),
        size: meta.size,
        e_tag: meta.etag.clone(),
        version: None,
    })
}

/// A common prefix, as object_store has it: without its last `/`.
pub(super) fn prefix(below: &str, name: &str) -> Result<Path> {
    let held = name.strip_suffix('/').and_then(|folder| Path::parse(folder).ok());
    match held {
        Some(path)
            if !path.as_ref().is_empty() && name.strip_suffix('/') == Some(path.as_ref()) =>
        {
            Ok(path)
        }
        _ => Err(unfit(below, name)),
    }
}

/// A name as a path that is that name again, or an error that names it.
fn location(below: &str, name: &str) -> Result<Path> {
    match Path::parse(name) {
        Ok(path) if !name.is_empty() && path.as_ref() == name => Ok(path),
        Ok(_) => Err(unfit(below, name)),
        Err(source) => Err(Error::InvalidPath { source }),
    }
}

fn unfit(below: &str, name: &str) -> Error {
    Error::InvalidPath { source: path::Error::EmptySegment { path: format!("{below}{name}") } }
}

/// What the names in a folder begin with.
pub(super) fn folder(prefix: Option<&Path>) -> String {
    match prefix.map_or("", Path::as_ref) {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

pub(super) fn mode(mode: PutMode) -> Result<storescope::PutMode> {
    Ok(match mode {
        PutMode::Overwrite => storescope::PutMode::Overwrite,
        PutMode::Create => storescope::PutMode::Create,
        PutMode::Update(version) => match version.e_tag {
            Some(etag) => storescope::PutMode::Update(etag),
            None => {
                return Err(error::generic("an update needs the entity tag of what it replaces"));
            }
        },
    })
}

pub(super) fn put_options(attributes: &Attributes) -> Result<storescope::PutOptions> {
    let mut options = storescope::PutOptions::new();
    for (attribute, value) in attributes {
        let value = value.as_ref();
        options = match attribute {
            Attribute::ContentType => options.content_type(value),
            Attribute::ContentEncoding => options.content_encoding(value),
            Attribute::ContentLanguage => options.content_language(value),
            Attribute::ContentDisposition => options.content_disposition(value),
            Attribute::CacheControl => options.cache_control(value),
            Attribute::Metadata(name) => options.metadata(name.as_ref(), value),
            unknown => return Err(error::not_implemented(format!("the attribute {unknown:?}"))),
        };
    }
    Ok(options)
}

pub(super) fn attributes(meta: &storescope::ObjectMeta) -> Attributes {
    let fixed = [
        (Attribute::ContentType, &meta.content_type),
        (Attribute::ContentEncoding, &meta.content_encoding),
        (Attribute::ContentLanguage, &meta.content_language),
        (Attribute::ContentDisposition, &meta.content_disposition),
        (Attribute::CacheControl, &meta.cache_control),
    ];
    let fixed = fixed.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    let user = meta.metadata.iter();
    let user = user.map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
    fixed.chain(user).map(|(name, value)| (name, AttributeValue::from(value))).collect()
}

/// What the store is asked for, and the conditions that are left to be judged on its answer.
pub(super) fn get_options(options: GetOptions) -> (storescope::GetOptions, GetOptions) {
    let (mut asked, mut left) = (storescope::GetOptions::new(), options);
    if let Some(range) = left.range.take() {
        asked = asked.range(match range {
            GetRange::Bounded(range) => storescope::GetRange::Bounded(range),
            GetRange::Offset(start) => storescope::GetRange::From(start),
            GetRange::Suffix(bytes) => storescope::GetRange::Last(bytes),
        });
    }
    let one_tag = |tags: &mut String| *tags != "*" && is_one_tag(tags);
    if let Some(etag) = left.if_match.take_if(one_tag) {
        asked = asked.if_match(etag);
        // It goes before the date (RFC 9110, 13.2.2).
        left.if_unmodified_since = None;
    }
    (asked, left)
}

/// Whether it is one entity tag, rather than a list of them: a comma may be part of a tag, between its quotes.
fn is_one_tag(tags: &str) -> bool {
    let strong = tags.strip_prefix("W/").unwrap_or(tags);
    let quoted = strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.map_or(!tags.contains(','), |inner| !inner.contains('"'))
}

/// Whether there is a byte where a range begins. Our stores read an empty object as empty, whatever is asked.
pub(super) fn begins_within(range: &GetRange, size: u64) -> Result<()> {
    let (GetRange::Bounded(std::ops::Range { start, .. }) | GetRange::Offset(start)) = range else {
        return Ok(());
    };
    if *start < size {
        return Ok(());
    }
    Err(error::generic(format!("the range begins at byte {start} of an object of {size}")))
}
