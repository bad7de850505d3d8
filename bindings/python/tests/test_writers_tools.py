# SPDX-License-Identifier: Apache-2.0
"""What tools write by one call: the object is whole, or an exception was raised and what was there before still is."""

from __future__ import annotations

import gc
import gzip
import io
import pickle
import tarfile
import zipfile

import fsspec
import h5py
import numpy
import pandas
import polars
import pyarrow.fs
import pyarrow.parquet
import pytest
import zarr

import storescope
import storescope.fsspec

OLD = b"good old"
COUNT = 30_000
NUMBERS = numpy.arange(COUNT)
FRAME = pandas.DataFrame({"n": NUMBERS, "text": ["some text"] * COUNT})


class Unwritable:
    """It breaks who writes it, and what was before it is written."""

    def __str__(self):
        raise RuntimeError("unwritable")

    __repr__ = __str__

    def __reduce__(self):
        raise RuntimeError("unwritable")


BROKEN = pandas.DataFrame({"n": [*range(COUNT), Unwritable()]})


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def path(store, fs):
    path = f"{store.url.partition('://')[2]}object"
    fs.pipe_file(path, OLD)
    return path


@pytest.fixture
def url(path, service):
    return f"storescope+{service}://{path}"


def columns(table):
    return table["n"].tolist(), table["text"].tolist()


def csv(data, **options):
    return columns(pandas.read_csv(io.BytesIO(data), **options))


WHOLE = columns(FRAME)

# By the URL: what writes a frame, and what reads its bytes.
BY_URL = {
    "to_csv": (lambda frame, url, **given: frame.to_csv(url, index=False, **given), csv),
    **{
        f"to_csv {name}": (
            lambda frame, url, name=name, **given: frame.to_csv(url, index=False, compression=name, **given),
            lambda data, name=name: csv(data, compression=name),
        )
        for name in ("gzip", "bz2", "xz", "zip", "tar", "zstd")
    },
    "to_pickle": (
        lambda frame, url, **given: frame.to_pickle(url, **given),
        lambda data: columns(pickle.loads(data)),
    ),
    "to_parquet": (
        lambda frame, url, **given: frame.to_parquet(url, **given),
        lambda data: columns(pandas.read_parquet(io.BytesIO(data))),
    ),
    "to_feather": (
        lambda frame, url, **given: frame.to_feather(url, **given),
        lambda data: columns(pandas.read_feather(io.BytesIO(data))),
    ),
    "to_json": (
        lambda frame, url, **given: frame.to_json(url, orient="records", lines=True, compression="gzip", **given),
        lambda data: columns(pandas.read_json(io.BytesIO(data), orient="records", lines=True, compression="gzip")),
    ),
}


@pytest.mark.parametrize("name", BY_URL)
def test_pandas_by_url(name, fs, path, url, options):
    write, read = BY_URL[name]
    write(FRAME, url, storage_options=options)
    assert read(fs.cat_file(path)) == WHOLE


@pytest.mark.parametrize("name", [name for name in BY_URL if name != "to_json"])
def test_pandas_by_url_with_what_breaks_it(name, fs, path, url, options):
    write, _ = BY_URL[name]
    with pytest.raises((RuntimeError, pyarrow.ArrowException), match="unwritable|Could not convert"):
        write(BROKEN, url, storage_options=options)
    gc.collect()
    assert fs.cat_file(path) == OLD


def tar(file, inside):
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("n")
        member.size = NUMBERS.nbytes
        archive.addfile(member, io.BytesIO(NUMBERS.tobytes()))
        inside()


def untar(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return numpy.frombuffer(archive.extractfile("n").read(), NUMBERS.dtype)


def zipped(file, inside):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("n", NUMBERS.tobytes())
        inside()


def unzip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return numpy.frombuffer(archive.read("n"), NUMBERS.dtype)


def chunks(file, inside):
    with pyarrow.parquet.ParquetWriter(file, pyarrow.schema([("n", pyarrow.int64())])) as writer:
        writer.write_table(pyarrow.table({"n": NUMBERS}))
        inside()


def parquet(data):
    return pyarrow.parquet.read_table(io.BytesIO(data))["n"].to_numpy()


def then(write):
    """Whatever goes wrong goes wrong after it."""

    def both(file, inside):
        write(file)
        inside()

    return both


LAZY = polars.LazyFrame({"n": NUMBERS})
EAGER = LAZY.collect()

# By a file of `fs.open(path, "wb")`: what writes numbers, with what happens on the way, and what reads them.
BY_FILE = {
    "pickle": (then(lambda file: pickle.dump(NUMBERS, file)), pickle.loads),
    "numpy.save": (then(lambda file: numpy.save(file, NUMBERS)), lambda data: numpy.load(io.BytesIO(data))),
    "numpy.savez": (then(lambda file: numpy.savez(file, n=NUMBERS)), lambda data: numpy.load(io.BytesIO(data))["n"]),
    "numpy.savetxt": (then(lambda file: numpy.savetxt(file, NUMBERS)), lambda data: numpy.loadtxt(io.BytesIO(data))),
    "pandas": (then(lambda file: FRAME.to_csv(file)), lambda data: pandas.read_csv(io.BytesIO(data))["n"]),
    "pandas gzip": (
        then(lambda file: FRAME.to_csv(file, compression="gzip")),
        lambda data: pandas.read_csv(io.BytesIO(data), compression="gzip")["n"],
    ),
    "polars.write_csv": (then(EAGER.write_csv), lambda data: polars.read_csv(data)["n"]),
    "polars.write_parquet": (then(EAGER.write_parquet), parquet),
    "polars.write_ipc": (then(EAGER.write_ipc), lambda data: polars.read_ipc(io.BytesIO(data))["n"]),
    "polars.sink_parquet": (then(LAZY.sink_parquet), parquet),
    "pyarrow": (chunks, parquet),
    "tarfile": (tar, untar),
    "zipfile": (zipped, unzip),
    "gzip": (
        then(lambda file: gzip.GzipFile(fileobj=file, mode="wb").close() or file.write(gzip.compress(NUMBERS.tobytes()))),
        lambda data: numpy.frombuffer(gzip.decompress(data), NUMBERS.dtype),
    ),
}


@pytest.mark.parametrize("name", BY_FILE)
def test_by_a_file(name, fs, path):
    write, read = BY_FILE[name]
    with fs.open(path, "wb") as file:
        write(file, lambda: None)
    assert numpy.array_equal(numpy.asarray(read(fs.cat_file(path))), NUMBERS)


@pytest.mark.parametrize("name", BY_FILE)
def test_by_a_file_with_an_exception_inside(name, fs, path):
    write, _ = BY_FILE[name]

    def inside():
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        with fs.open(path, "wb") as file:
            write(file, inside)
    gc.collect()
    assert fs.cat_file(path) == OLD


BREAKS = {
    "pickle": lambda file: pickle.dump([bytes(100_000), Unwritable()], file),
    "numpy.save": lambda file: numpy.save(file, numpy.array([0, Unwritable()], dtype=object)),
    "numpy.savez": lambda file: numpy.savez(file, a=NUMBERS, b=numpy.array([Unwritable()], dtype=object)),
    "pandas": lambda file: BROKEN.to_csv(file),
    "pandas gzip": lambda file: BROKEN.to_csv(file, compression="gzip"),
    "polars": lambda file: polars.DataFrame({"n": [object()]}).write_parquet(file),
    # HDF5 seeks while it writes, and says so.
    "h5py": lambda file: h5py.File(file, "w").close(),
    "numpy.tofile": NUMBERS.tofile,
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_in_the_middle(name, fs, path):
    with pytest.raises((RuntimeError, OSError, polars.exceptions.ComputeError)):
        with fs.open(path, "wb") as file:
            BREAKS[name](file)
    gc.collect()
    assert fs.cat_file(path) == OLD


def test_h5py_by_a_local_copy(fs, path, url, service, options, tmp_path):
    given = {"simplecache": {"cache_storage": str(tmp_path)}, f"storescope+{service}": options}
    with fsspec.open(f"simplecache::{url}", "wb", **given) as file, h5py.File(file, "w") as data:
        data["n"] = NUMBERS
    with h5py.File(io.BytesIO(fs.cat_file(path))) as data:
        assert numpy.array_equal(data["n"][:], NUMBERS)
    with fs.open(path) as file, h5py.File(file) as data:
        assert numpy.array_equal(data["n"][:], NUMBERS)
    # fsspec uploads the copy whatever happened, but not within a transaction.
    cached = fsspec.filesystem("simplecache", fs=fs, cache_storage=str(tmp_path))
    fs.pipe_file(path, OLD)
    with pytest.raises(RuntimeError, match="inside"):
        with cached.transaction, cached.open(path, "wb") as file, h5py.File(file, "w") as data:
            data["n"] = NUMBERS
            raise RuntimeError("inside")
    assert fs.cat_file(path) == OLD


def test_zarr(fs, path, url, options, server):
    opened = zarr.storage.FsspecStore.from_url(f"{url}.zarr", storage_options=options)
    zarr.save(opened, NUMBERS)
    assert numpy.array_equal(zarr.load(opened), NUMBERS)
    assert fs.exists(f"{path}.zarr/zarr.json")
    refused = {"status": {"status": 403, "code": "NotAllowed"}}
    server.fault({"method": "PUT", "contains": path.split("/")[-2], "count": 1, "action": refused})
    with pytest.raises(PermissionError):
        zarr.open_array(opened, mode="r+")[:] = NUMBERS[::-1]
    # Each of its objects is one request: whole, or as it was.
    assert numpy.array_equal(zarr.load(opened), NUMBERS)


def test_arrow_by_the_filesystem(fs, path):
    table = pyarrow.table({"n": NUMBERS})
    pyarrow.parquet.write_table(table, path, filesystem=fs)
    assert numpy.array_equal(parquet(fs.cat_file(path)), NUMBERS)
    EAGER.write_parquet(path, use_pyarrow=True, pyarrow_options={"filesystem": fs})
    assert numpy.array_equal(parquet(fs.cat_file(path)), NUMBERS)
    fs.pipe_file(path, OLD)
    with pytest.raises(ValueError, match="version"):
        pyarrow.parquet.write_table(table, path, filesystem=fs, version="none")
    gc.collect()
    assert fs.cat_file(path) == OLD
