// SPDX-License-Identifier: Apache-2.0
//! Arguments of the native methods that need more than a conversion, checked: places, buffers, uploads and parts.

use crate::completions::{Memory, Target};
use crate::java;
use crate::raised::{Raised, Result};
use jni::Env;
use jni::objects::{JByteArray, JByteBuffer, JLongArray, JObject, JString};
use jni::sys::{jint, jlong};
use storescope::{Upload, UploadedPart};

/// An upload by parts, by its key and its id.
pub(crate) fn upload(env: &Env<'_>, key: &JString<'_>, id: &JString<'_>) -> Result<Upload> {
    Ok(Upload::new(java::string(env, key)?, java::string(env, id)?))
}

/// A part by the tag that `putPart` gave: size, CRC-32C, ETag.
pub(crate) fn part(number: jint, tag: &str) -> Result<UploadedPart> {
    let no_part = || Raised::Told(format!("{tag:?} is no tag of a part"));
    let mut fields = tag.splitn(3, ':');
    let mut field = || fields.next().ok_or_else(no_part);
    let (size, crc, etag) = (field()?, field()?, field()?);
    let size = size.parse().map_err(|_| no_part())?;
    let crc = if crc.is_empty() { None } else { Some(crc.parse().map_err(|_| no_part())?) };
    Ok(UploadedPart::new(number.unsigned_abs(), etag, crc, size))
}

/// A position in a file.
pub(crate) fn place(position: jlong) -> Result<u64> {
    u64::try_from(position).map_err(|_| Raised::Told(format!("{position} is no place in a file")))
}

/// So many numbers, none below zero.
pub(crate) fn longs<const N: usize>(env: &mut Env<'_>, array: &JLongArray<'_>) -> Result<[u64; N]> {
    let length = array.len(env)?;
    if length != N {
        return Err(Raised::Told(format!("{length} numbers where {N} belong")));
    }
    let mut numbers = [0; N];
    array.get_region(env, 0, &mut numbers)?;
    Ok(numbers.map(|number: i64| number.max(0).unsigned_abs()))
}

/// Some bytes of a direct buffer.
pub(crate) fn memory(
    env: &Env<'_>,
    buffer: &JByteBuffer<'_>,
    offset: jint,
    length: jint,
) -> Result<Memory> {
    let outside = || Raised::Told(format!("{length} bytes from {offset} lie outside the buffer"));
    let (from, length) = (
        usize::try_from(offset).map_err(|_| outside())?,
        usize::try_from(length).map_err(|_| outside())?,
    );
    if from
        .checked_add(length)
        .is_none_or(|end| env.get_direct_buffer_capacity(buffer).is_ok_and(|all| end > all))
    {
        return Err(outside());
    }
    let start = env.get_direct_buffer_address(buffer)?;
    #[allow(unsafe_code)]
    // SAFETY: the offset lies inside the buffer.
    Ok(Memory { start: unsafe { start.add(from) }, length })
}

/// Where a range goes: a direct buffer, or the array of a heap buffer; from which place of it on.
pub(crate) fn target(
    env: &mut Env<'_>,
    into: JObject<'_>,
    from: jint,
    length: jint,
) -> Result<Target> {
    #[allow(unsafe_code)]
    // SAFETY: it is only asked what it is before it is used as one.
    let array = unsafe { env.as_cast_unchecked::<JByteArray<'_>>(&into) };
    if env.is_instance_of(&into, jni::jni_str!("[B"))? {
        let outside = || Raised::Told(format!("{length} bytes from {from} lie outside the array"));
        let first = usize::try_from(from).map_err(|_| outside())?;
        if first + length.max(0) as usize > array.len(env)? {
            return Err(outside());
        }
        return Ok(Target::Heap { array: env.new_global_ref(&*array)?, from: first });
    }
    #[allow(unsafe_code)]
    // SAFETY: Java's side hands over arrays and direct buffers, and this is no array.
    let buffer = unsafe { env.as_cast_unchecked::<JByteBuffer<'_>>(&into) };
    let memory = memory(env, &buffer, from, length)?;
    Ok(Target::Direct { memory, _alive: env.new_global_ref(&into)? })
}
