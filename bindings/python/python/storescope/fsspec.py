# SPDX-License-Identifier: Apache-2.0
"""Stores as fsspec filesystems: `storescopeoci://bucket@namespace/key`, `storescopes3://bucket/key`.

The two protocols are there once the package is installed, in every process, and every library takes them for URLs; the
same with a `+` (`storescope+oci://`, `storescope+s3://`) is not in all libraries' patterns. `register("oci", "s3")` takes
over the short names, too. It lasts for the process, and those that it starts by multiprocessing from then on: of
concurrent.futures, joblib, loky, dask's local workers. Workers that are started otherwise must call it themselves.

`oci` belongs to the package ocifs in fsspec's own table, and ocifs registers itself when it is imported: without more,
that import would fail once we have the name, or would take it back. `register` sees to both: whoever imports ocifs
afterwards gets it, and `oci://` stays with us.

Listings are not cached. Where a bucket is written by others, what `ls` says is what is there.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.registry import register_implementation  # type: ignore[import-untyped]

from ._fsspec_calls import sync_wrapper
from ._fsspec_files import StoreFile, StoreUpdateFile, StoreWriteFile
from ._fsspec_map import StoreMap
from ._fsspec_names import prefix_below
from ._fsspec_ocifs import make_room
from ._fsspec_open import FileSystemFiles
from ._fsspec_options import oci_option, s3_option
from ._inherited import INHERITED, Registration
from ._storescope import create_bucket, delete_bucket

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "OciFileSystem",
    "S3FileSystem",
    "StoreFile",
    "StoreFileSystem",
    "StoreMap",
    "StoreUpdateFile",
    "StoreWriteFile",
    "register",
]


class StoreFileSystem(FileSystemFiles):
    """What both services have in common; use `OciFileSystem` or `S3FileSystem`.

    Parameters
    ----------
    options:
        The options of `storescope.open_store`, by their names. Those of ocifs or s3fs are taken where they mean
        something here; the others are ignored, and a warning says once which.
    timeout: float
        Seconds without a byte of an answer after which a request is given up (and tried again).
    """

    def setxattr(self, path: str, copy_kwargs: Any = None, **attributes: Any) -> None:
        raise NotImplementedError(
            "storescope does not change the metadata of an object that is there: write it anew with metadata={...}, "
            "as fs.pipe_file(path, fs.cat_file(path), metadata={...}) does"
        )

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        raise NotImplementedError(f"storescope makes no signed URLs: {self._signs}")

    def url(self, path: str, expires: int = 3600, **kwargs: Any) -> str:
        return self.sign(path, expiration=expires, **kwargs)

    _signs: ClassVar[str]

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        raise NotImplementedError(
            "storescope has no files of asyncio: await fs._cat_file(path, start, end), or a reader of "
            "storescope.open_store(...), whose read_at_async does the same with readahead"
        )

    # Buckets.

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        bucket, key = self.split(path)
        if not key:
            await asyncio.to_thread(create_bucket, self._bucket_url(bucket), **self.store_options)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        # `fsspec.open` asks for this before each write: who may write into a bucket need not be allowed to make one.
        if self.split(path)[1] or (exist_ok and await self._exists(path)):
            return
        try:
            await self._mkdir(path)
        except FileExistsError:
            if not exist_ok:
                raise

    async def _rmdir(self, path: str) -> None:
        bucket, key = self.split(path)
        if not key:
            await asyncio.to_thread(delete_bucket, self._bucket_url(bucket), **self.store_options)
        elif await self.store(bucket).list_async(prefix_below(key), limit=1):
            raise OSError(f"{path} is not empty")
        else:
            raise FileNotFoundError(path)

    rmdir: Callable[..., None] = sync_wrapper(_rmdir)


class OciFileSystem(StoreFileSystem):
    """OCI Object Storage: `bucket@namespace/key`. Without `@namespace`, that of the option `namespace`, else the
    tenancy's own.
    """

    protocol: ClassVar[tuple[str, ...]] = ("storescopeoci", "storescope+oci", "oci")
    scheme = "oci"
    _signs = "a pre-authenticated request is what OCI has for that, as `oci os preauth-request create` makes it"

    def __init__(self, *args: Any, namespace: str | None = None, **options: Any) -> None:
        self.namespace = namespace
        super().__init__(*args, **options)

    def _bucket_url(self, bucket: str) -> str:
        if self.namespace and "@" not in bucket:
            bucket = f"{bucket}@{self.namespace}"
        return super()._bucket_url(bucket)

    def _service_url(self) -> str:
        return f"oci://@{self.namespace}" if self.namespace else "oci://"

    def _bucket_path(self, name: str) -> str:
        return f"{name}@{self.namespace}" if self.namespace else name

    def _explain_no_buckets(self) -> None:
        where = self.store_options.get("compartment", "the tenancy's root compartment")
        warnings.warn(
            f"no bucket in {where}: OCI lists those of one compartment at a time, which the option compartment names",
            stacklevel=2,
        )

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        return oci_option(name, value)


class S3FileSystem(StoreFileSystem):
    """S3, and what speaks it: `bucket/key`."""

    protocol: ClassVar[tuple[str, ...]] = ("storescopes3", "storescope+s3", "s3", "s3a")
    scheme = "s3"
    _signs = "boto3's `generate_presigned_url` does, with the same credentials"

    def _bucket_path(self, name: str) -> str:
        return name

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        return s3_option(name, value)


#: How a process that this one starts registers the same.
_REGISTRATION = Registration("storescope.fsspec", "register")


def register(*protocols: str, clobber: bool = True) -> None:
    """Make fsspec open these protocols (`"oci"`, `"s3"`, `"s3a"`) by this package.

    With `clobber=False` it raises `ValueError` where another class has the name already.
    """
    for protocol in protocols:
        classes = {"oci": OciFileSystem, "s3": S3FileSystem, "s3a": S3FileSystem}
        if protocol not in classes:
            raise ValueError(f"there is no {protocol!r} to register: expected oci, s3 or s3a")
        register_implementation(protocol, classes[protocol], clobber=clobber)
        if protocol == "oci":
            make_room()
        INHERITED.carry(_REGISTRATION, {protocol})


# As the entry points of the package do, for a process that has it on its path only; and libraries ask what is registered.
for _class in (OciFileSystem, S3FileSystem):
    for _protocol in _class.protocol:
        if _protocol.startswith("storescope"):
            register_implementation(_protocol, _class, clobber=True)
