// SPDX-License-Identifier: Apache-2.0
//! The methods of `storescope.Store`.

use crate::awaitable::{awaitable, awaitable_of};
use crate::blocking::{wait, wait_for};
use crate::buffer::{Buffer, shared};
use crate::call_options::{
    deleting, limited, listing, mode_of, of_vector, range_of, reading, spans, writing,
};
use crate::calls::{each_range, exists, get, meta, outcomes, results};
use crate::ending::Inside;
use crate::listing::{Listing, entry_of};
use crate::meta::ObjectMeta;
use crate::reader::Reader;
use crate::scope::Scope;
use crate::store::Store;
use crate::upload;
use crate::writer::Writer;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use storescope::{CopyOptions, ListEntry, RenameOptions};

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (url, *, scope=None, **options))]
    fn new(
        py: Python<'_>,
        url: &str,
        scope: Option<&Bound<'_, Scope>>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Store> {
        Store::with_options(py, url, scope, options)
    }

    /// The URL it was opened by.
    #[getter]
    fn url(&self) -> String {
        self.url.to_string()
    }

    /// The bytes of an object, in one `Buffer`. A whole object is checked against the store's checksum.
    ///
    /// `if_match`: only if it has this ETag. `deadline`: seconds for all of it.
    #[pyo3(signature = (key, *, if_match=None, deadline=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: &str,
        if_match: Option<&str>,
        deadline: Option<f64>,
    ) -> PyResult<Buffer> {
        let options = reading(None, if_match, deadline)?;
        wait_for(py, get(self.in_scope(py)?, key.to_owned(), options)).map(Buffer::from)
    }

    /// `get`, awaited.
    #[pyo3(signature = (key, *, if_match=None, deadline=None))]
    fn get_async<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        if_match: Option<&str>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = reading(None, if_match, deadline)?;
        awaitable_of(py, get(self.in_scope(py)?, key.to_owned(), options), shared)
    }

    /// The bytes from `start` to before `stop` of an object; without `stop` up to its end, with a negative `start` and no
    /// `stop` its last bytes. Fewer only where the object ends.
    #[pyo3(signature = (key, start, stop=None, *, if_match=None, deadline=None))]
    fn get_range(
        &self,
        py: Python<'_>,
        key: &str,
        start: i64,
        stop: Option<u64>,
        if_match: Option<&str>,
        deadline: Option<f64>,
    ) -> PyResult<Buffer> {
        let Some(range) = range_of(start, stop)? else { return Ok(Bytes::new().into()) };
        let options = reading(Some(range), if_match, deadline)?;
        wait_for(py, get(self.in_scope(py)?, key.to_owned(), options)).map(Buffer::from)
    }

    /// `get_range`, awaited.
    #[pyo3(signature = (key, start, stop=None, *, if_match=None, deadline=None))]
    fn get_range_async<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        start: i64,
        stop: Option<u64>,
        if_match: Option<&str>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(range) = range_of(start, stop)? else {
            return awaitable(py, std::future::ready(Bytes::new()), shared);
        };
        let options = reading(Some(range), if_match, deadline)?;
        awaitable_of(py, get(self.in_scope(py)?, key.to_owned(), options), shared)
    }

    /// The bytes of many ranges `(start, stop)` of an object, in their order: near ones share a request, far ones are
    /// asked for at once. Fails as soon as one does.
    #[pyo3(signature = (key, ranges, *, deadline=None))]
    fn get_ranges(
        &self,
        py: Python<'_>,
        key: &str,
        ranges: Vec<(u64, u64)>,
        deadline: Option<f64>,
    ) -> PyResult<Vec<Buffer>> {
        let reader = self.in_scope(py)?.reader(key, of_vector(deadline)?);
        let all = wait_for(py, async { reader.read_ranges(&spans(ranges)).all().await })?;
        Ok(all.into_iter().map(Buffer::from).collect())
    }

    /// `get_ranges`, awaited.
    #[pyo3(signature = (key, ranges, *, deadline=None))]
    fn get_ranges_async<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        ranges: Vec<(u64, u64)>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = self.in_scope(py)?.reader(key, of_vector(deadline)?);
        let all = async move { reader.read_ranges(&spans(ranges)).all().await };
        awaitable_of(py, all, |py, all| {
            let all: Vec<Buffer> = all.into_iter().map(Buffer::from).collect();
            Ok(all.into_pyobject(py)?.unbind())
        })
    }

    /// `get_ranges`, awaited, each range with its bytes or its exception.
    #[pyo3(signature = (key, ranges, *, deadline=None))]
    fn get_each_range_async<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        ranges: Vec<(u64, u64)>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = self.in_scope(py)?.reader(key, of_vector(deadline)?);
        awaitable(py, each_range(reader, spans(ranges)), results)
    }

    /// What an object is, without its bytes.
    fn head(&self, py: Python<'_>, key: &str) -> PyResult<ObjectMeta> {
        let store = self.in_scope(py)?;
        wait_for(py, store.head(key)).map(ObjectMeta)
    }

    /// `head`, awaited.
    fn head_async<'py>(&self, py: Python<'py>, key: String) -> PyResult<Bound<'py, PyAny>> {
        let store = self.in_scope(py)?;
        awaitable_of(py, async move { store.head(&key).await }, meta)
    }

    /// Whether an object is there. Only "it is not there" is `False`: a refusal, a missing bucket or a store that does not
    /// answer is raised. `key in store` asks the same.
    fn exists(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        let store = self.in_scope(py)?;
        wait_for(py, exists(store, key.to_owned()))
    }

    /// `exists`, awaited.
    fn exists_async<'py>(&self, py: Python<'py>, key: String) -> PyResult<Bound<'py, PyAny>> {
        let store = self.in_scope(py)?;
        awaitable_of(py, exists(store, key), |py, is_there| {
            Ok(is_there.into_pyobject(py)?.to_owned().into_any().unbind())
        })
    }

    fn __contains__(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        self.exists(py, key)
    }

    /// The objects whose names begin with `prefix`, in byte order of their names: an iterator of `ObjectMeta`. With
    /// `delimiter`, what lies below the next `/` is rolled up into its prefix, a `str` that ends with `/`. `start_after`:
    /// only names after this one. `limit`: so many entries at most.
    #[pyo3(signature = (prefix="", *, delimiter=false, start_after=None, limit=None))]
    fn list(
        &self,
        py: Python<'_>,
        prefix: &str,
        delimiter: bool,
        start_after: Option<&str>,
        limit: Option<u32>,
    ) -> PyResult<Listing> {
        let entries = self.in_scope(py)?.list(prefix, listing(delimiter, start_after, limit));
        Ok(Listing::new(limited(entries, limit)))
    }

    /// All that `list` gives, awaited: a list.
    #[pyo3(signature = (prefix="", *, delimiter=false, start_after=None, limit=None))]
    fn list_async<'py>(
        &self,
        py: Python<'py>,
        prefix: &str,
        delimiter: bool,
        start_after: Option<&str>,
        limit: Option<u32>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let entries = self.in_scope(py)?.list(prefix, listing(delimiter, start_after, limit));
        awaitable_of(py, limited(entries, limit).try_collect(), |py, all: Vec<ListEntry>| {
            let all = all.into_iter().map(|entry| entry_of(py, entry));
            Ok(all.collect::<PyResult<Vec<_>>>()?.into_pyobject(py)?.unbind())
        })
    }

    /// Writes an object; what it is then. `data`: anything with a buffer, by one request; `bytes` and `Buffer` are sent as they
    /// are, of others a copy is made, since their owner may change them meanwhile. Or an `os.PathLike`, or a binary file that
    /// is open for reading: its bytes are sent piece by piece, by parts where they are many. A path whose file changes
    /// meanwhile, and a file that fails, leave the object as it was.
    ///
    /// `mode`: `"overwrite"`, `"create"` (`FileExistsError` where it exists), or `{"update": etag}` (only if it still has
    /// this ETag). `content_type` and so on: the headers of these names, told to readers as they are. `metadata`: names and
    /// values of user metadata.
    #[pyo3(signature = (
        key, data, *, mode=None, content_type=None, content_encoding=None, content_language=None,
        content_disposition=None, cache_control=None, metadata=None, deadline=None
    ))]
    fn put<'py>(
        slf: &Bound<'py, Self>,
        key: &str,
        data: &Bound<'py, PyAny>,
        mode: Option<&Bound<'py, PyAny>>,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        content_language: Option<&str>,
        content_disposition: Option<&str>,
        cache_control: Option<&str>,
        metadata: Option<HashMap<String, String>>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let headers =
            [content_type, content_encoding, content_language, content_disposition, cache_control];
        upload::put(slf, key, data, writing(mode, headers, metadata, deadline)?)
    }

    /// `put`, awaited.
    #[pyo3(signature = (
        key, data, *, mode=None, content_type=None, content_encoding=None, content_language=None,
        content_disposition=None, cache_control=None, metadata=None, deadline=None
    ))]
    fn put_async<'py>(
        slf: &Bound<'py, Self>,
        key: String,
        data: &Bound<'py, PyAny>,
        mode: Option<&Bound<'py, PyAny>>,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        content_language: Option<&str>,
        content_disposition: Option<&str>,
        cache_control: Option<&str>,
        metadata: Option<HashMap<String, String>>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let headers =
            [content_type, content_encoding, content_language, content_disposition, cache_control];
        upload::put_async(slf, key, data, writing(mode, headers, metadata, deadline)?)
    }

    /// Removes an object. One that is not there is `FileNotFoundError`; S3 does not tell.
    #[pyo3(signature = (key, *, if_match=None))]
    fn delete(&self, py: Python<'_>, key: &str, if_match: Option<&str>) -> PyResult<()> {
        let store = self.in_scope(py)?;
        wait_for(py, store.delete(key, deleting(if_match)))
    }

    /// `delete`, awaited.
    #[pyo3(signature = (key, *, if_match=None))]
    fn delete_async<'py>(
        &self,
        py: Python<'py>,
        key: String,
        if_match: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (store, options) = (self.in_scope(py)?, deleting(if_match));
        awaitable_of(py, async move { store.delete(&key, options).await }, |py, ()| Ok(py.None()))
    }

    /// Removes objects by as few requests as the service takes. For each key, in their order, `(key, None)` or
    /// `(key, exception)`.
    fn delete_many(
        &self,
        py: Python<'_>,
        keys: Vec<String>,
    ) -> PyResult<Vec<(String, Option<Py<PyAny>>)>> {
        let deleted = self.in_scope(py)?.delete_many(stream::iter(keys).boxed());
        Ok(outcomes(py, wait(py, deleted.collect())?))
    }

    /// `delete_many`, awaited.
    fn delete_many_async<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let deleted = self.in_scope(py)?.delete_many(stream::iter(keys).boxed());
        awaitable(py, deleted.collect(), |py, deleted| {
            Ok(outcomes(py, deleted).into_pyobject(py)?.unbind())
        })
    }

    /// Gives an object another name; what it is then. OCI does it by one request; on S3 it is a copy and a removal, and not
    /// atomic. `mode`: as in `put`, of the new name.
    #[pyo3(signature = (source, target, *, mode=None))]
    fn rename(
        &self,
        py: Python<'_>,
        source: &str,
        target: &str,
        mode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<ObjectMeta> {
        let options = RenameOptions::new().mode(mode_of(mode)?);
        let store = self.in_scope(py)?;
        wait_for(py, store.rename(source, target, options)).map(ObjectMeta)
    }

    /// `rename`, awaited.
    #[pyo3(signature = (source, target, *, mode=None))]
    fn rename_async<'py>(
        &self,
        py: Python<'py>,
        source: String,
        target: String,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = RenameOptions::new().mode(mode_of(mode)?);
        let store = self.in_scope(py)?;
        awaitable_of(py, async move { store.rename(&source, &target, options).await }, meta)
    }

    /// Copies an object to another name, in this store or in `to`; what the copy is. Within one service the bytes stay
    /// inside it.
    #[pyo3(signature = (source, target, *, to=None, mode=None))]
    fn copy(
        &self,
        py: Python<'_>,
        source: &str,
        target: &str,
        to: Option<&Bound<'_, Store>>,
        mode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<ObjectMeta> {
        let options = CopyOptions::new().mode(mode_of(mode)?);
        let store = self.in_scope(py)?;
        let to = to.map_or_else(|| Ok(store.clone()), |to| to.get().in_scope(py))?;
        wait_for(py, store.copy(source, (&to, target), options)).map(ObjectMeta)
    }

    /// `copy`, awaited.
    #[pyo3(signature = (source, target, *, to=None, mode=None))]
    fn copy_async<'py>(
        &self,
        py: Python<'py>,
        source: String,
        target: String,
        to: Option<&Bound<'py, Store>>,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = CopyOptions::new().mode(mode_of(mode)?);
        let store = self.in_scope(py)?;
        let to = to.map_or_else(|| Ok(store.clone()), |to| to.get().in_scope(py))?;
        awaitable_of(py, async move { store.copy(&source, (&to, &target), options).await }, meta)
    }

    /// An object to read here and there, by ranges, with readahead. No I/O.
    ///
    /// `size`, `etag`: what is known of it; another one is an object that has changed. `policy`: `"adaptive"`,
    /// `"sequential"`, `"random"`, `"vector"`, `"whole-file"`, `"parquet"`, or a list of such names with commas between.
    /// `deadline`: seconds for each read.
    #[pyo3(signature = (key, *, size=None, etag=None, policy="adaptive", deadline=None))]
    fn reader(
        slf: &Bound<'_, Self>,
        key: String,
        size: Option<u64>,
        etag: Option<String>,
        policy: &str,
        deadline: Option<f64>,
    ) -> PyResult<Reader> {
        Reader::open(slf, key, size, etag, policy, deadline)
    }

    /// An object to be written piece by piece: one request where the pieces are few, parts where they are many. It is
    /// there once `close` has returned; in a `with` that ends by an exception nothing is left.
    #[pyo3(signature = (
        key, *, mode=None, content_type=None, content_encoding=None, content_language=None, content_disposition=None,
        cache_control=None, metadata=None, size=None
    ))]
    fn writer(
        &self,
        py: Python<'_>,
        key: &str,
        mode: Option<&Bound<'_, PyAny>>,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        content_language: Option<&str>,
        content_disposition: Option<&str>,
        cache_control: Option<&str>,
        metadata: Option<HashMap<String, String>>,
        size: Option<u64>,
    ) -> PyResult<Writer> {
        let headers =
            [content_type, content_encoding, content_language, content_disposition, cache_control];
        let mut options = writing(mode, headers, metadata, None)?;
        if let Some(size) = size {
            options = options.size(size);
        }
        Writer::new(py, self.in_scope(py)?.writer(key, options), self.url_of(key))
    }

    /// An object as a file: `"rb"` an `io.RawIOBase` that reads (full reads, never short ones but at the end), `"wb"` one
    /// that writes. `options`: those of `reader` or `writer`.
    #[pyo3(signature = (key, mode="rb", **options))]
    fn open<'py>(
        slf: &Bound<'py, Self>,
        key: &str,
        mode: &str,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = Inside::enter(slf.py())?;
        let file = slf.py().import("storescope._file")?;
        file.call_method("_open", (slf, key, mode), options)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, this) = (slf.py(), slf.get());
        let _inside = Inside::enter(py)?;
        let open = py.import("storescope._pickle")?.getattr("_open_store")?;
        let given = this.given.as_ref().map(|given| given.clone_ref(py));
        (open, (this.url(), given)).into_pyobject(py)
    }

    fn __repr__(&self) -> String {
        format!("<storescope.Store {}>", storescope::escaped(&self.url.to_string()))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Store>().is_ok_and(|other| self.is_same(other.get()))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}
