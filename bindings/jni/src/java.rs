// SPDX-License-Identifier: Apache-2.0
//! The Java classes that are made or asked here, looked up once when the library is loaded: a thread that looks later may
//! have another class loader.

use crate::raised::{Raised, Result};
use jni::ids::{JMethodID, JStaticMethodID};
use jni::objects::{JByteArray, JClass, JLongArray, JObject, JObjectArray, JString, JThrowable};
use jni::refs::{Global, IntoAuto};
use jni::signature::{Primitive, ReturnType};
use jni::{Env, JValue, jni_sig, jni_str};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;
use storescope::{Checksum, ListEntry, ObjectMeta};

struct Known {
    failures: Global<JClass<'static>>,
    failure_of: JStaticMethodID,
    entries: Global<JClass<'static>>,
    new_entries: JMethodID,
    thread: Global<JClass<'static>>,
    current_thread: JStaticMethodID,
    is_interrupted: JMethodID,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// Looks the classes up, in the loader that loads the library.
pub(crate) fn look_up(env: &mut Env<'_>) -> jni::errors::Result<()> {
    let failures = env.find_class(jni_str!("io/github/storescope/hadoop/Failures"))?;
    let entries = env.find_class(jni_str!("io/github/storescope/hadoop/Entries"))?;
    let thread = env.find_class(jni_str!("java/lang/Thread"))?;
    let known = Known {
        failure_of: env.get_static_method_id(
            &failures,
            jni_str!("of"),
            jni_sig!((JString, JString, JString, jlong) -> java.io.IOException),
        )?,
        new_entries: env.get_method_id(
            &entries,
            jni_str!("<init>"),
            jni_sig!((JString[], jlong[], jlong[], JString[], jlong[]) -> void),
        )?,
        current_thread: env.get_static_method_id(
            &thread,
            jni_str!("currentThread"),
            jni_sig!(() -> java.lang.Thread),
        )?,
        is_interrupted: env.get_method_id(
            &thread,
            jni_str!("isInterrupted"),
            jni_sig!(() -> jboolean),
        )?,
        failures: env.new_global_ref(failures)?,
        entries: env.new_global_ref(entries)?,
        thread: env.new_global_ref(thread)?,
    };
    let _ = KNOWN.set(known);
    Ok(())
}

fn known() -> &'static Known {
    KNOWN.get().expect("set when the library was loaded")
}

/// The exception for what was raised.
pub(crate) fn failure<'a>(
    env: &mut Env<'a>,
    raised: &Raised,
) -> jni::errors::Result<JThrowable<'a>> {
    let (kind, object, message) = raised.told();
    let kind = JString::new(env, kind)?;
    let object = object.map(|object| JString::new(env, object)).transpose()?.unwrap_or_default();
    let message = JString::new(env, message)?;
    let known = known();
    let arguments = [
        JValue::Object(&kind),
        JValue::Object(&object),
        JValue::Object(&message),
        JValue::Long(raised.thrown()),
    ];
    let arguments = arguments.map(|argument| argument.as_jni());
    #[allow(unsafe_code)]
    // SAFETY: the method was looked up with these four arguments and this result.
    let failure = unsafe {
        env.call_static_method_unchecked(
            &known.failures,
            known.failure_of,
            ReturnType::Object,
            &arguments,
        )
    }?;
    #[allow(unsafe_code)]
    // SAFETY: the method answers an IOException.
    Ok(unsafe { JThrowable::from_raw(env, failure.l()?.into_raw()) })
}

/// Whether the Java thread that runs here was interrupted; the flag stays.
pub(crate) fn is_interrupted(env: &mut Env<'_>) -> Result<bool> {
    let known = known();
    #[allow(unsafe_code)]
    // SAFETY: the methods were looked up without arguments and with these results.
    let interrupted = unsafe {
        let thread = env
            .call_static_method_unchecked(
                &known.thread,
                known.current_thread,
                ReturnType::Object,
                &[],
            )?
            .l()?;
        env.call_method_unchecked(
            &thread,
            known.is_interrupted,
            ReturnType::Primitive(Primitive::Boolean),
            &[],
        )?
        .z()?
    };
    Ok(interrupted)
}

/// Objects and prefixes as Java's `Entries`.
pub(crate) fn entries<'a>(env: &mut Env<'a>, found: &[ListEntry]) -> Result<JObject<'a>> {
    let keys = JObjectArray::<JString<'_>>::new(env, found.len(), JString::null())?;
    let etags = JObjectArray::<JString<'_>>::new(env, found.len(), JString::null())?;
    let (mut sizes, mut modified, mut crc32c) = (Vec::new(), Vec::new(), Vec::new());
    for (at, entry) in found.iter().enumerate() {
        let (key, size, time, etag, crc) = match entry {
            ListEntry::Object(meta) => (
                &meta.key,
                meta.size as i64,
                millis(meta),
                meta.etag.as_deref(),
                match meta.checksum {
                    Some(Checksum::Crc32c(crc)) => i64::from(crc),
                    _ => -1,
                },
            ),
            ListEntry::Prefix(prefix) => (prefix, -1, 0, None, -1),
            _ => continue,
        };
        // Freed at once: a page of 1,000 would outgrow the frame.
        let text = JString::new(env, key)?.auto();
        keys.set_element(env, at, &text)?;
        if let Some(etag) = etag {
            let text = JString::new(env, etag)?.auto();
            etags.set_element(env, at, &text)?;
        }
        sizes.push(size);
        modified.push(time);
        crc32c.push(crc);
    }
    let [sizes, modified, crc32c] = [sizes, modified, crc32c].map(|column| longs(env, &column));
    let (sizes, modified, crc32c) = (sizes?, modified?, crc32c?);
    let arguments = [
        JValue::Object(&keys),
        JValue::Object(&sizes),
        JValue::Object(&modified),
        JValue::Object(&etags),
        JValue::Object(&crc32c),
    ]
    .map(|argument| argument.as_jni());
    let known = known();
    #[allow(unsafe_code)]
    // SAFETY: the constructor was looked up with these five arguments.
    Ok(unsafe { env.new_object_unchecked(&known.entries, known.new_entries, &arguments) }?)
}

/// One object as Java's `Entries`.
pub(crate) fn entry<'a>(env: &mut Env<'a>, meta: ObjectMeta) -> Result<JObject<'a>> {
    entries(env, &[ListEntry::Object(meta)])
}

/// One object as Java's `Entries`, or null.
pub(crate) fn entry_or_null<'a>(
    env: &mut Env<'a>,
    meta: Option<ObjectMeta>,
) -> Result<JObject<'a>> {
    match meta {
        Some(meta) => entries(env, &[ListEntry::Object(meta)]),
        None => Ok(JObject::null()),
    }
}

fn millis(meta: &ObjectMeta) -> i64 {
    let since = meta.last_modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_millis() as i64)
}

/// An array of whole numbers.
pub(crate) fn longs<'a>(env: &mut Env<'a>, values: &[i64]) -> Result<JLongArray<'a>> {
    let array = JLongArray::new(env, values.len())?;
    array.set_region(env, 0, values)?;
    Ok(array)
}

/// The strings of an array.
pub(crate) fn strings(
    env: &mut Env<'_>,
    array: &JObjectArray<'_, JString<'_>>,
) -> Result<Vec<String>> {
    if array.is_null() {
        return Ok(Vec::new());
    }
    let length = array.len(env)?;
    let mut strings = Vec::with_capacity(length);
    for at in 0..length {
        let element = array.get_element(env, at)?.auto();
        strings.push(element.try_to_string(env)?);
    }
    Ok(strings)
}

/// An array of arrays of bytes.
pub(crate) fn byte_arrays(
    env: &mut Env<'_>,
    arrays: &JObjectArray<'_, JByteArray<'_>>,
) -> Result<Vec<Vec<u8>>> {
    let mut copies = Vec::new();
    for at in 0..arrays.len(env)? {
        let array = arrays.get_element(env, at)?.auto();
        let length = array.len(env)?;
        copies.push(bytes(env, &array, 0, length as i32)?);
    }
    Ok(copies)
}

/// An array of strings; `None` is null.
pub(crate) fn string_array<'a, S: AsRef<str>>(
    env: &mut Env<'a>,
    strings: &[Option<S>],
) -> Result<JObjectArray<'a, JString<'a>>> {
    let array = JObjectArray::<JString<'_>>::new(env, strings.len(), JString::null())?;
    for (at, text) in strings.iter().enumerate() {
        if let Some(text) = text {
            let text = JString::new(env, text)?.auto();
            array.set_element(env, at, &text)?;
        }
    }
    Ok(array)
}

/// A string, which must be one.
pub(crate) fn string(env: &Env<'_>, text: &JString<'_>) -> Result<String> {
    if text.is_null() {
        return Err(Raised::Told("a name is missing".to_owned()));
    }
    Ok(text.try_to_string(env)?)
}

/// A string, or null.
pub(crate) fn optional(env: &Env<'_>, text: &JString<'_>) -> Result<Option<String>> {
    if text.is_null() { Ok(None) } else { string(env, text).map(Some) }
}

/// A copy of some bytes of an array.
pub(crate) fn bytes(
    env: &Env<'_>,
    array: &JByteArray<'_>,
    offset: i32,
    length: i32,
) -> Result<Vec<u8>> {
    let outside = || Raised::Told(format!("{length} bytes from {offset} lie outside the array"));
    let whole = array.len(env)?;
    let (from, count) = (
        usize::try_from(offset).map_err(|_| outside())?,
        usize::try_from(length).map_err(|_| outside())?,
    );
    if from.checked_add(count).is_none_or(|end| end > whole) {
        return Err(outside());
    }
    let mut copy: Vec<u8> = vec![0; count];
    array.get_region(env, offset, signed_mut(&mut copy))?;
    Ok(copy)
}

/// Java's bytes have a sign.
#[allow(unsafe_code)]
pub(crate) fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: i8 and u8 have the same size and alignment, and every bit pattern is one of either.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

#[allow(unsafe_code)]
fn signed_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: as above, and the borrow is the only one.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}
