// SPDX-License-Identifier: Apache-2.0
//! What is known of an object.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::time::SystemTime;
use storescope::Checksum;

/// What is known of an object. Listings tell name, size, ETag and time; `head` and `get` tell all.
#[pyclass(frozen, eq, module = "storescope")]
#[derive(PartialEq)]
pub(crate) struct ObjectMeta(pub(crate) storescope::ObjectMeta);

#[pymethods]
impl ObjectMeta {
    /// The name, below the store's prefix.
    #[getter]
    fn key(&self) -> &str {
        &self.0.key
    }

    /// The size in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.0.size
    }

    /// The entity tag, as the store writes it.
    #[getter]
    fn etag(&self) -> Option<&str> {
        self.0.etag.as_deref()
    }

    /// When it was last written: a `datetime` in UTC.
    #[getter]
    fn last_modified(&self) -> Option<SystemTime> {
        self.0.last_modified
    }

    /// The media type.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.0.content_type.as_deref()
    }

    /// The content coding it was stored with; it is never decoded.
    #[getter]
    fn content_encoding(&self) -> Option<&str> {
        self.0.content_encoding.as_deref()
    }

    /// The language of the content.
    #[getter]
    fn content_language(&self) -> Option<&str> {
        self.0.content_language.as_deref()
    }

    /// How a browser is to present it.
    #[getter]
    fn content_disposition(&self) -> Option<&str> {
        self.0.content_disposition.as_deref()
    }

    /// How long caches may keep it.
    #[getter]
    fn cache_control(&self) -> Option<&str> {
        self.0.cache_control.as_deref()
    }

    /// The CRC32C of the whole object, where the store told it.
    #[getter]
    fn crc32c(&self) -> Option<u32> {
        match self.0.checksum {
            Some(Checksum::Crc32c(crc)) => Some(crc),
            _ => None,
        }
    }

    /// The MD5 of the whole object in hexadecimal digits, where the store told it.
    #[getter]
    fn md5(&self) -> Option<String> {
        match self.0.checksum {
            Some(Checksum::Md5(md5)) => Some(format!("{:032x}", u128::from_be_bytes(md5))),
            _ => None,
        }
    }

    /// The version, where the store told it.
    #[getter]
    fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// User metadata, names in lower case.
    #[getter]
    fn metadata(&self) -> BTreeMap<String, String> {
        self.0.metadata.clone()
    }

    /// All of it as a dict.
    fn as_dict<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(slf.py());
        for name in [
            "key",
            "size",
            "etag",
            "last_modified",
            "content_type",
            "content_encoding",
            "content_language",
            "content_disposition",
            "cache_control",
            "crc32c",
            "md5",
            "version",
            "metadata",
        ] {
            all.set_item(name, slf.getattr(name)?)?;
        }
        Ok(all)
    }

    fn __repr__(&self) -> String {
        let etag = self.0.etag.as_deref().unwrap_or("-");
        format!("ObjectMeta(key={:?}, size={}, etag={etag:?})", self.0.key, self.0.size)
    }
}
