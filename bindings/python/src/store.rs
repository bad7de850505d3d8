// SPDX-License-Identifier: Apache-2.0
//! One bucket and prefix.

use crate::awaitable::{awaitable, awaitable_of};
use crate::buffer::{Buffer, bytes_of, shared};
use crate::ending::Inside;
use crate::error::raised;
use crate::listing::{Entries, Listing, entry_of};
use crate::meta::ObjectMeta;
use crate::options::{Options, seconds};
use crate::process::{Native, Process, locked, wait, wait_for};
use crate::reader::Reader;
use crate::scope::{self, Scope};
use crate::surroundings::{self, Surroundings};
use crate::writer::Writer;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use storescope::{
    CopyOptions, DeleteOptions, GetOptions, GetRange, ListEntry, ListOptions, PutMode, PutOptions,
    ReadOptions, RenameOptions, Result, StoreOptions, StoreUrl, timing,
};

/// One bucket, and the part of it below a prefix. Made by `storescope.open_store`; no I/O before the first call.
///
/// Any number of threads may use one. It pickles by its URL and options, and works on in a child made by fork, each time
/// with connections of its own. Keys are exact: nothing in them is decoded or normalised.
#[pyclass(frozen, weakref, module = "storescope")]
pub(crate) struct Store {
    url: StoreUrl,
    /// As given, for pickle.
    given: Option<Py<PyDict>>,
    client_options: Options,
    options: Options,
    scope: Option<timing::Scope>,
    opened: Mutex<Option<Native<Opened>>>,
}

/// The crate's store, and when it was opened.
#[derive(Clone)]
struct Opened {
    store: storescope::Store,
    surroundings: Surroundings,
    /// How many calls of the process had failed by then in a way that other surroundings may mend.
    failures: u64,
}

impl Store {
    /// The crate's store, of this process, recorded in the scope of the context that runs here.
    pub(crate) fn in_scope(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        match scope::current(py)? {
            Some(scope) => Ok(self.opened(py)?.with_scope(&scope)),
            None => self.by_itself(py),
        }
    }

    /// The crate's store, of this process, recorded in the store's own scope.
    pub(crate) fn by_itself(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        let store = self.opened(py)?;
        Ok(match &self.scope {
            Some(scope) => store.with_scope(scope),
            None => store,
        })
    }

    /// The crate's store, of this process. After a failure that other settings may mend, it is opened anew if the
    /// environment or a file of settings has changed since it was opened: what an error advises must help.
    fn opened(&self, py: Python<'_>) -> PyResult<storescope::Store> {
        let failures = surroundings::failures();
        let known = locked(&self.opened).as_ref().and_then(Native::get).cloned();
        if let Some(known) = &known
            && known.failures == failures
        {
            return Ok(known.store.clone());
        }
        let (client, config) = Process::current(py)?.client(py, &self.client_options)?;
        let all = self.options.over(config.clone()).map_err(|error| raised(py, &error))?;
        let surroundings = Surroundings::now(&all);
        let store = match known {
            Some(known) if known.surroundings == surroundings => known.store,
            _ => {
                let store = client.store(&self.url, self.options.of_store().config(config));
                store.map_err(|error| raised(py, &error))?
            }
        };
        let opened = Opened { store: store.clone(), surroundings, failures };
        *locked(&self.opened) = Some(Native::new(opened));
        Ok(store)
    }

    /// The URL of one of its objects.
    pub(crate) fn url_of(&self, key: &str) -> String {
        let key = [self.url.key(), key].concat();
        self.url.with_key(&key).to_string()
    }
}

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
        let (client_options, store_options) = Options::split(options.as_ref())?;
        let url: StoreUrl = url.parse().map_err(|error| raised(py, &error))?;
        let store = Store {
            url,
            given: options.map(Bound::unbind),
            client_options,
            options: store_options,
            scope: scope.map(|scope| scope.get().0.clone()),
            opened: Mutex::new(None),
        };
        store.opened(py)?;
        Ok(store)
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
        let each = async move {
            let mut each: Vec<Option<Result<Bytes>>> = ranges.iter().map(|_| None).collect();
            let mut arriving = reader.read_ranges(&spans(ranges));
            let mut last = None;
            while let Some((number, bytes)) = arriving.next().await {
                last = bytes.as_ref().err().cloned();
                each[number] = Some(bytes);
            }
            (each, last)
        };
        awaitable(py, each, |py, (each, last)| {
            let told = each.into_iter().map(|bytes| match (bytes, &last) {
                (Some(Ok(bytes)), _) => shared(py, bytes),
                (Some(Err(error)), _) => Ok(raised(py, &error).into_value(py).into_any()),
                // What failed as a whole is told once.
                (None, Some(error)) => Ok(raised(py, error).into_value(py).into_any()),
                (None, None) => Err(PyValueError::new_err("a range was not answered")),
            });
            let told = told.collect::<PyResult<Vec<_>>>()?;
            Ok(told.into_pyobject(py)?.unbind())
        })
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
        let options = writing(mode, headers, metadata, deadline)?;
        let (py, store) = (slf.py(), slf.get().in_scope(slf.py())?);
        let written = match Source::of(data)? {
            Source::Bytes(bytes) => wait_for(py, store.put(key, bytes, options)),
            Source::Path(path) => wait_for(py, store.put_file(key, path, options)),
            Source::File(file) => {
                let _inside = Inside::enter(py)?;
                let writer = Writer::new(py, store.writer(key, options), slf.get().url_of(key))?;
                return py.import("storescope._file")?.call_method1("_write_from", (writer, file));
            }
        };
        Ok(Bound::new(py, ObjectMeta(written?))?.into_any())
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
        let options = writing(mode, headers, metadata, deadline)?;
        let (py, store) = (slf.py(), slf.get().in_scope(slf.py())?);
        match Source::of(data)? {
            Source::Bytes(bytes) => {
                awaitable_of(py, async move { store.put(&key, bytes, options).await }, meta)
            }
            Source::Path(path) => {
                awaitable_of(py, async move { store.put_file(&key, path, options).await }, meta)
            }
            Source::File(file) => {
                let _inside = Inside::enter(py)?;
                let writer = Writer::new(py, store.writer(&key, options), slf.get().url_of(&key))?;
                let write = py.import("storescope._file")?.getattr("_write_from")?;
                py.import("asyncio")?.call_method1("to_thread", (write, writer, file))
            }
        }
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
        format!("<storescope.Store {}>", self.url)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Store>().is_ok_and(|other| self.is_same(other.get()))
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.url, &self.client_options, &self.options).hash(&mut hasher);
        hasher.finish()
    }
}

impl Store {
    fn is_same(&self, other: &Store) -> bool {
        self.url == other.url
            && self.client_options == other.client_options
            && self.options == other.options
    }
}

/// What an object is written of.
enum Source<'py> {
    Bytes(Bytes),
    Path(PathBuf),
    /// A file of Python's, to be read by its method.
    File(Bound<'py, PyAny>),
}

impl<'py> Source<'py> {
    fn of(data: &Bound<'py, PyAny>) -> PyResult<Source<'py>> {
        let py = data.py();
        if data.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "data: expected a bytes-like object, an os.PathLike or a binary file, not str: encode a text, name a file by pathlib.Path",
            ));
        }
        let _inside = Inside::enter(py)?;
        if data.hasattr(intern!(py, "__fspath__"))? {
            return Ok(Source::Path(data.extract()?));
        }
        match bytes_of(data) {
            Ok(bytes) => Ok(Source::Bytes(bytes)),
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                if data.hasattr(intern!(py, "read"))? {
                    return Ok(Source::File(data.clone()));
                }
                let kind = data.get_type().name()?;
                Err(PyTypeError::new_err(format!(
                    "data: expected a bytes-like object, an os.PathLike or a binary file, not {kind}"
                )))
            }
            Err(error) => Err(error),
        }
    }
}

async fn exists(store: storescope::Store, key: String) -> Result<bool> {
    match store.head(&key).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn get(store: storescope::Store, key: String, options: GetOptions) -> Result<Bytes> {
    store.get(&key, options).await?.bytes().await
}

fn reading(
    range: Option<GetRange>,
    if_match: Option<&str>,
    deadline: Option<f64>,
) -> PyResult<GetOptions> {
    let mut options = GetOptions::new();
    if let Some(range) = range {
        options = options.range(range);
    }
    if let Some(etag) = if_match {
        options = options.if_match(etag);
    }
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

/// The range that is asked for; `None` where it holds no byte.
fn range_of(start: i64, stop: Option<u64>) -> PyResult<Option<GetRange>> {
    match (u64::try_from(start), stop) {
        (Ok(start), Some(stop)) if start < stop => Ok(Some((start..stop).into())),
        (Ok(start), Some(stop)) if start == stop => Ok(None),
        (Ok(start), None) => Ok(Some((start..).into())),
        (Err(_), None) => Ok(Some(GetRange::Last(start.unsigned_abs()))),
        (Ok(start), Some(stop)) => {
            Err(PyValueError::new_err(format!("the range {start}..{stop} is reversed")))
        }
        (Err(_), Some(_)) => Err(PyValueError::new_err(
            "a range that begins with a negative number has no end: it is the object's last bytes",
        )),
    }
}

pub(crate) fn spans(ranges: Vec<(u64, u64)>) -> Vec<Range<u64>> {
    ranges.into_iter().map(|(start, stop)| start..stop).collect()
}

fn of_vector(deadline: Option<f64>) -> PyResult<ReadOptions> {
    let options = ReadOptions::new().policy(storescope::ReadPolicy::Vector);
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

fn listing(delimiter: bool, start_after: Option<&str>, limit: Option<u32>) -> ListOptions {
    let mut options = ListOptions::new().delimiter(delimiter);
    if let Some(key) = start_after {
        options = options.start_after(key);
    }
    // What the services give at once.
    match limit {
        Some(limit) => options.page_size(limit.clamp(1, 1000)),
        None => options,
    }
}

fn limited(entries: Entries, limit: Option<u32>) -> Entries {
    match limit {
        Some(limit) => entries.take(limit as usize).boxed(),
        None => entries,
    }
}

fn deleting(if_match: Option<&str>) -> DeleteOptions {
    if_match.map_or_else(DeleteOptions::new, |etag| DeleteOptions::new().if_match(etag))
}

/// `headers`: content type, encoding, language and disposition, and how long caches may keep it.
fn writing(
    mode: Option<&Bound<'_, PyAny>>,
    headers: [Option<&str>; 5],
    metadata: Option<HashMap<String, String>>,
    deadline: Option<f64>,
) -> PyResult<PutOptions> {
    let mut options = PutOptions::new().mode(mode_of(mode)?);
    let set: [fn(PutOptions, &str) -> PutOptions; 5] = [
        |options, value| options.content_type(value),
        |options, value| options.content_encoding(value),
        |options, value| options.content_language(value),
        |options, value| options.content_disposition(value),
        |options, value| options.cache_control(value),
    ];
    for (set, value) in set.iter().zip(headers) {
        if let Some(value) = value {
            options = set(options, value);
        }
    }
    for (name, value) in metadata.into_iter().flatten() {
        options = options.metadata(name, value);
    }
    Ok(match seconds(deadline)? {
        Some(deadline) => options.deadline(deadline),
        None => options,
    })
}

fn mode_of(mode: Option<&Bound<'_, PyAny>>) -> PyResult<PutMode> {
    let Some(mode) = mode else { return Ok(PutMode::Overwrite) };
    if let Ok(name) = mode.cast::<PyString>() {
        match name.to_string().as_str() {
            "overwrite" => return Ok(PutMode::Overwrite),
            "create" => return Ok(PutMode::Create),
            _ => {}
        }
    } else if let Ok(update) = mode.cast::<PyDict>()
        && let (1, Some(etag)) = (update.len(), update.get_item("update")?)
    {
        return Ok(PutMode::Update(etag.extract()?));
    }
    Err(PyTypeError::new_err(format!(
        "mode: expected \"overwrite\", \"create\" or {{\"update\": etag}}, not {}",
        mode.repr()?
    )))
}

fn meta(py: Python<'_>, meta: storescope::ObjectMeta) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, ObjectMeta(meta))?.into_any())
}

fn outcomes(
    py: Python<'_>,
    deleted: Vec<(String, Result<()>)>,
) -> Vec<(String, Option<Py<PyAny>>)> {
    let outcome = |(key, ended): (String, Result<()>)| {
        (key, ended.err().map(|error| raised(py, &error).into_value(py).into_any()))
    };
    deleted.into_iter().map(outcome).collect()
}

/// Makes the bucket that the URL names.
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn create_bucket(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let (client, url, of_store) = service(py, url, options)?;
    wait_for(py, client.create_bucket(&url, of_store))
}

/// Removes the bucket that the URL names. It must be empty.
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn delete_bucket(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let (client, url, of_store) = service(py, url, options)?;
    wait_for(py, client.delete_bucket(&url, of_store))
}

/// The names of a service's buckets (`oci://@namespace`, `s3://`).
#[pyfunction]
#[pyo3(signature = (url, **options))]
pub(crate) fn list_buckets(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<String>> {
    let (client, url, of_store) = service(py, url, options)?;
    let buckets = client.buckets(&url, of_store);
    wait_for(py, buckets.map_ok(|bucket| bucket.name).try_collect())
}

/// A URL as messages show it: without what is secret in it.
#[pyfunction]
pub(crate) fn _redacted(url: &str) -> String {
    StoreUrl::redacted(url)
}

fn service(
    py: Python<'_>,
    url: &str,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<(storescope::Client, StoreUrl, StoreOptions)> {
    let (of_client, of_store) = Options::split(options)?;
    let url = url.parse().map_err(|error| raised(py, &error))?;
    let (client, config) = Process::current(py)?.client(py, &of_client)?;
    let mut of_store = of_store.of_store().config(config);
    if let Some(scope) = scope::current(py)? {
        of_store = of_store.scope(&scope);
    }
    Ok((client, url, of_store))
}
