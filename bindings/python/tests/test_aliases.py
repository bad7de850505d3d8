# SPDX-License-Identifier: Apache-2.0
"""The names of the protocols: which libraries take them for URLs, and what a path is called as one."""

from __future__ import annotations

import pickle
import subprocess
import sys

import fsspec
import numpy
import pandas
import polars
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
import upath
import uproot
import uproot_files
import xarray
import zarr
from fsspec.utils import infer_storage_options

import storescope
import storescope.upath


@pytest.fixture(params=["storescope{}", "storescope+{}"], ids=["plain", "plus"])
def scheme(request, service):
    return request.param.format(service)


@pytest.fixture
def plain(service):
    return f"storescope{service}"


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


@pytest.fixture
def variables(options, monkeypatch):
    """The options from the environment, for what passes none."""
    for name, value in options.items():
        monkeypatch.setenv(f"STORESCOPE_{name.upper()}", value)


FRAME = pandas.DataFrame({"n": range(1000), "x": numpy.linspace(0, 1, 1000)})


def test_fsspec(scheme, root, options):
    with fsspec.open(f"{scheme}://{root}/k", "wb", **options) as file:
        file.write(b"data")
    (found,) = fsspec.open_files(f"{scheme}://{root}/*", **options)
    assert found.path == f"{root}/k"
    fs, path = fsspec.url_to_fs(f"{scheme}://{root}/k", **options)
    assert (path, fs.cat_file(path)) == (f"{root}/k", b"data")
    assert fsspec.get_mapper(f"{scheme}://{root}", **options)["k"] == b"data"
    with fsspec.open(f"simplecache::{scheme}://{root}/k", **{scheme: options}) as file:
        assert file.read() == b"data"
    assert infer_storage_options(f"{scheme}://{root}/k")["protocol"] == scheme


def test_pandas(scheme, root, options):
    url = f"{scheme}://{root}/t"
    FRAME.to_parquet(f"{url}.parquet", storage_options=options)
    FRAME.to_csv(f"{url}.csv", storage_options=options, index=False)
    assert pandas.read_parquet(f"{url}.parquet", storage_options=options).equals(FRAME)
    assert pandas.read_csv(f"{url}.csv", storage_options=options).n.sum() == FRAME.n.sum()


def test_polars(scheme, root, options):
    url = f"{scheme}://{root}/t"
    FRAME.to_parquet(f"{url}.parquet", storage_options=options)
    FRAME.to_feather(f"{url}.arrow", storage_options=options)
    FRAME.to_csv(f"{url}.csv", storage_options=options, index=False)
    for read, name in ((polars.read_parquet, "parquet"), (polars.read_ipc, "arrow"), (polars.read_csv, "csv")):
        assert read(f"{url}.{name}", storage_options=options, use_pyarrow=True)["n"].sum() == FRAME.n.sum()
    fs, path = fsspec.url_to_fs(f"{url}.parquet", **options)
    # By URL its lazy readers take only the schemes of stores of their own, such as s3.
    with fs.open(path) as file:
        assert polars.scan_parquet(file).select("n").sum().collect().item() == FRAME.n.sum()
    dataset = pyarrow.dataset.dataset(path, filesystem=fs)
    assert polars.scan_pyarrow_dataset(dataset).filter(polars.col("n") > 989).collect().height == 10


def test_pyarrow(scheme, root, variables):
    FRAME.to_parquet(f"{scheme}://{root}/t.parquet")
    url = f"fsspec+{scheme}://{root}/t.parquet"
    fs, path = pyarrow.fs.FileSystem.from_uri(url)
    assert path == f"{root}/t.parquet" and fs.get_file_info(path).is_file
    assert pyarrow.parquet.read_table(url).num_rows == 1000
    assert pyarrow.dataset.dataset(url).count_rows() == 1000


def test_zarr(scheme, root, options):
    url = f"{scheme}://{root}/array.zarr"
    array = zarr.create_array(url, shape=(100,), chunks=(10,), dtype="f8", storage_options=options)
    array[:] = numpy.arange(100)
    assert zarr.open(url, mode="r", storage_options=options)[95:].tolist() == [95, 96, 97, 98, 99]


def test_xarray(plain, root, options, variables):
    data = xarray.Dataset({"x": ("n", numpy.arange(100.0))})
    url = f"{plain}://{root}/data.zarr"
    data.to_zarr(url, storage_options=options, consolidated=False)
    assert xarray.open_zarr(url, storage_options=options, consolidated=False).equals(data)
    # Without an engine it looks whether the path is a URL, by a pattern of its own.
    assert xarray.open_dataset(url, storage_options=options, consolidated=False).equals(data)
    fs = fsspec.filesystem(plain, **options)
    with fs.open(f"{root}/data.nc", "wb") as file:
        file.write(bytes(data.to_netcdf(engine="h5netcdf")))
    assert xarray.open_dataset(f"{plain}://{root}/data.nc", engine="h5netcdf").equals(data)


def test_paths_of_universal_pathlib(plain, root, options, server, service):
    path = upath.UPath(f"{plain}://{root}/a/b.txt", **options)
    assert type(path) is storescope.upath.StorePath
    assert str(path) == f"{plain}://{root}/a/b.txt" and path.path == f"{root}/a/b.txt"
    assert (path.name, path.stem, path.suffix) == ("b.txt", "b", ".txt")
    assert str(path.parent / "c" / "d") == f"{plain}://{root}/a/c/d"
    path.write_text("text")
    assert path.read_text() == "text" and path.is_file() and path.parent.is_dir() and path.stat().st_size == 4
    top = path.parent.parent
    assert [str(found) for found in top.rglob("*.txt")] == [str(path)] and list(top.iterdir()) == [path.parent]
    assert [(str(at), folders, files) for at, folders, files in top.walk()] == [
        (str(top), ["a"], []),
        (f"{top}/a", [], ["b.txt"]),
    ]
    assert pickle.loads(pickle.dumps(path)) == path
    assert str(path.relative_to(top)) == "a/b.txt"
    moved = path.rename(path.with_name("c.txt"))
    assert moved.read_text() == "text" and not path.exists()
    with moved.open("rb") as file:
        assert file.read() == b"text"
    moved.unlink()
    assert not top.exists()
    made = upath.UPath(f"{plain}://made-by-path-{service}" + (f"@{server.oci['namespace']}" if service == "oci" else ""), **options)
    made.mkdir()
    assert made.is_dir() and list(made.iterdir()) == []
    made.fs.rmdir(made.path)
    assert not made.exists()


def test_uproot(scheme, root, options, store, tmp_path):
    uproot_files.write_tree(tmp_path / "t.root", baskets=2, entries=100)
    store.put("t.root", (tmp_path / "t.root").read_bytes())
    with uproot.open({f"{scheme}://{root}/t.root": "Events"}, **options) as tree:
        assert tree.num_entries == 200
    assert sum(len(step) for step in uproot.iterate(f"{scheme}://{root}/*.root:Events", ["met"], **options)) == 200


IN_A_FRESH_PROCESS = {
    "before": (
        "from fsspec.registry import known_implementations",
        "for name in ('storescopeoci', 'storescopes3', 'storescope+oci', 'storescope+s3'):",
        "    assert 'storescope.fsspec' in known_implementations[name]['class'], name",
        "assert 'storescope' not in sys.modules",
    ),
    "the path of a filesystem as a URL": (
        "import fsspec, storescope",
        "oci, s3 = fsspec.filesystem('storescope+oci'), fsspec.filesystem('storescopes3')",
        "assert (oci.unstrip_protocol('b@n/k'), s3.unstrip_protocol('b/k')) == ('storescopeoci://b@n/k', 'storescopes3://b/k')",
        "assert oci.unstrip_protocol('storescope+oci://b@n/k') == 'storescope+oci://b@n/k'",
        "storescope.register('oci')",
        "assert (oci.unstrip_protocol('b@n/k'), s3.unstrip_protocol('b/k')) == ('oci://b@n/k', 'storescopes3://b/k')",
        "storescope.register('s3')",
        "assert s3.unstrip_protocol('b/k') == 's3://b/k'",
        "assert fsspec.filesystem('oci').unstrip_protocol('b@n/k') == 'oci://b@n/k'",
        "import ocifs",
        "assert oci.unstrip_protocol('b@n/k') == 'oci://b@n/k'",
    ),
    "another's oci": (
        "import ocifs, fsspec",
        "fsspec.get_filesystem_class('oci')",
        "oci = fsspec.filesystem('storescopeoci')",
        "assert oci.unstrip_protocol('b@n/k') == 'storescopeoci://b@n/k'",
    ),
    "from json": (
        "import fsspec",
        "fs = fsspec.filesystem('storescope+oci', region='r')",
        "assert fsspec.AbstractFileSystem.from_json(fs.to_json()) is fs",
    ),
}


@pytest.mark.parametrize("lines", IN_A_FRESH_PROCESS.values(), ids=IN_A_FRESH_PROCESS)
def test_in_a_fresh_process(lines):
    script = "\n".join(["import sys", *lines])
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
