# SPDX-License-Identifier: Apache-2.0
"""What could not be looked for is raised, and never told as absent: by each way to ask, fsspec's and that of others."""

from __future__ import annotations

import warnings

import fsspec
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
import uproot
import upath
import xarray
import zarr
from fsspec.implementations.dirfs import DirFileSystem

import storescope
import storescope.uproot

TROUBLES = ["refused", "no configuration", "nobody there", "no bucket"]


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(params=TROUBLES)
def trouble(request):
    return request.param


@pytest.fixture
def given(trouble, service, options):
    """The options of a store that cannot be looked into."""
    secret = {"oci": ("config_file", "/nowhere/config"), "s3": ("access_key_id", None)}[service]
    return {
        "refused": {**options, **({"profile": "WRONG"} if service == "oci" else {"secret_access_key": "wrong"})},
        "no configuration": {**options, secret[0]: secret[1]},
        "nobody there": {**options, "endpoint": "http://127.0.0.1:1", "attempts": "1"},
        "no bucket": options,
    }[trouble]


@pytest.fixture
def root(trouble, bucket, service, server):
    name = bucket.partition("://")[2].rstrip("/")
    missing = {"oci": f"no-such-bucket@{server.oci['namespace']}", "s3": "no-such-bucket"}[service]
    return f"{missing if trouble == 'no bucket' else name}/dir"


@pytest.fixture
def fs(service, given):
    return fsspec.filesystem(f"storescope{service}", **given)


def of_fsspec(fs, root, folder):
    mapper = fs.get_mapper(root)
    below = DirFileSystem(path=root, fs=fs)
    (folder / "file").write_text("x")
    return {
        "exists": lambda: fs.exists(root),
        "lexists": lambda: fs.lexists(root),
        "isfile": lambda: fs.isfile(root),
        "isdir": lambda: fs.isdir(root),
        "info": lambda: fs.info(root),
        "stat": lambda: fs.stat(root),
        "size": lambda: fs.size(root),
        "sizes": lambda: fs.sizes([root]),
        "checksum": lambda: fs.checksum(root),
        "modified": lambda: fs.modified(root),
        "ls": lambda: fs.ls(root),
        "listdir": lambda: fs.listdir(root),
        "tree": lambda: fs.tree(root),
        "find": lambda: fs.find(root),
        "find, one level": lambda: fs.find(root, maxdepth=1),
        "find, two levels with folders": lambda: fs.find(root, maxdepth=2, withdirs=True, detail=True),
        "find a prefix": lambda: fs.find(root, prefix="a"),
        "walk": lambda: list(fs.walk(root)),
        "walk up": lambda: list(fs.walk(root, topdown=False)),
        "walk, omit": lambda: list(fs.walk(root, on_error="omit")),
        "glob": lambda: fs.glob(f"{root}/*"),
        "glob **": lambda: fs.glob(f"{root}/**"),
        "glob ** to a depth": lambda: fs.glob(f"{root}/**", maxdepth=2),
        "glob []": lambda: fs.glob(f"{root}/[ab]/*"),
        "glob without a pattern": lambda: fs.glob(root),
        "glob with details": lambda: fs.glob(f"{root}/*", detail=True),
        "du": lambda: fs.du(root),
        "du of each": lambda: fs.du(root, total=False, maxdepth=1),
        "expand_path": lambda: fs.expand_path(f"{root}/*"),
        "expand_path, recursive": lambda: fs.expand_path(root, recursive=True),
        "expand_path, both": lambda: fs.expand_path(f"{root}/*", recursive=True, maxdepth=2),
        "cat": lambda: fs.cat(root),
        "cat, omit": lambda: fs.cat([root], on_error="omit"),
        "cat, recursive": lambda: fs.cat(root, recursive=True),
        "cat_file": lambda: fs.cat_file(root),
        "cat_ranges": lambda: fs.cat_ranges([root], 0, 1, on_error="raise"),
        "open": lambda: fs.open(root),
        "head": lambda: fs.head(root),
        "tail": lambda: fs.tail(root),
        "read_block": lambda: fs.read_block(root, 0, 1),
        "read_text": lambda: fs.read_text(root),
        "get": lambda: fs.get(root, str(folder / "got")),
        "get, recursive": lambda: fs.get(root, str(folder / "got"), recursive=True),
        "get of a pattern": lambda: fs.get(f"{root}/*", str(folder / "got")),
        "put": lambda: fs.put(str(folder / "file"), root),
        "put, recursive": lambda: fs.put(str(folder), root, recursive=True),
        "copy": lambda: fs.copy(root, f"{root}2"),
        "copy, recursive": lambda: fs.copy(root, f"{root}2", recursive=True),
        "copy, ignore": lambda: fs.copy(root, f"{root}2", on_error="ignore"),
        "mv": lambda: fs.mv(root, f"{root}2"),
        "mv, recursive": lambda: fs.mv(root, f"{root}2", recursive=True),
        "rm": lambda: fs.rm(root),
        "rm, recursive": lambda: fs.rm(root, recursive=True),
        "rm of a pattern": lambda: fs.rm(f"{root}/*"),
        "rm_file": lambda: fs.rm_file(root),
        "rmdir": lambda: fs.rmdir(root),
        "touch": lambda: fs.touch(root),
        "pipe": lambda: fs.pipe(root, b"x"),
        "in a mapper": lambda: "k" in mapper,
        "mapper[]": lambda: mapper["k"],
        "mapper.get": lambda: mapper.get("k"),
        "mapper.pop": lambda: mapper.pop("k", None),
        "mapper.getitems": lambda: mapper.getitems(["k"]),
        "mapper.getitems, omit": lambda: mapper.getitems(["k"], on_error="omit"),
        "del mapper[]": lambda: mapper.__delitem__("k"),
        "mapper.clear": mapper.clear,
        "list(mapper)": lambda: list(mapper),
        "len(mapper)": lambda: len(mapper),
        "get_mapper, check": lambda: fs.get_mapper(root, check=True),
        "dirfs.exists": lambda: below.exists("x"),
        "dirfs.isfile": lambda: below.isfile("x"),
        "dirfs.isdir": lambda: below.isdir("x"),
        "dirfs.glob": lambda: below.glob("*"),
        "dirfs.find": lambda: below.find(""),
        "dirfs.walk": lambda: list(below.walk("")),
    }


def by_url(url, given):
    protocol = url.partition("://")[0]
    return {
        "open_files": lambda: fsspec.open_files(f"{url}/*", **given),
        "open of a pattern": lambda: fsspec.open(f"{url}/*", expand=True, **given),
        "get_mapper": lambda: list(fsspec.get_mapper(url, **given)),
        "simplecache::": lambda: fsspec.open(f"simplecache::{url}", **{protocol: given}).open(),
        "filecache::": lambda: fsspec.open(f"filecache::{url}", **{protocol: given}).open(),
        "blockcache::": lambda: fsspec.open(f"blockcache::{url}", **{protocol: given}).open(),
    }


def of_others(fs, root, url, given):
    arrow = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))
    path = upath.UPath(url, **given)
    frame, table = pandas.DataFrame({"a": [1]}), pyarrow.table({"a": [1]})

    def select(recursive):
        return pyarrow.fs.FileSelector(root, allow_not_found=True, recursive=recursive)

    return {
        "pyarrow's info": lambda: arrow.get_file_info(root),
        "pyarrow's selection": lambda: arrow.get_file_info(select(False)),
        "pyarrow's recursive selection": lambda: arrow.get_file_info(select(True)),
        "pyarrow's delete_dir_contents": lambda: arrow.delete_dir_contents(root, missing_dir_ok=True),
        "pyarrow.dataset": lambda: pyarrow.dataset.dataset(root, filesystem=fs, format="parquet"),
        "pyarrow.parquet": lambda: pyarrow.parquet.read_table(root, filesystem=fs),
        "pyarrow.dataset.write": lambda: pyarrow.dataset.write_dataset(
            table, root, filesystem=fs, format="parquet", existing_data_behavior="delete_matching"
        ),
        "pandas.read_csv": lambda: pandas.read_csv(url, storage_options=given),
        "pandas.read_parquet": lambda: pandas.read_parquet(url, storage_options=given),
        # Below a folder: `fsspec.open` makes the parent of what it writes, a bucket, too.
        "pandas.to_csv": lambda: frame.to_csv(f"{url}/x.csv", storage_options=given),
        "pandas.to_parquet": lambda: frame.to_parquet(f"{url}/x.parquet", storage_options=given),
        "polars.read_parquet": lambda: polars.read_parquet(url, storage_options=given, use_pyarrow=True),
        "zarr.open, r": lambda: zarr.open(url, mode="r", storage_options=given),
        "zarr.open_group, a": lambda: zarr.open_group(url, mode="a", storage_options=given),
        "zarr.open_group, w-": lambda: zarr.open_group(url, mode="w-", storage_options=given),
        "xarray.open_zarr": lambda: xarray.open_zarr(url, storage_options=given),
        "xarray.open_dataset": lambda: xarray.open_dataset(url, engine="h5netcdf", storage_options=given),
        "uproot.open": lambda: uproot.open(f"{url}/x.root", **given),
        "uproot.iterate": lambda: list(uproot.iterate(f"{url}/*.root:E", allow_missing=True, **given)),
        "uproot.concatenate by our handler": lambda: uproot.concatenate(
            f"{url}/*.root:E", handler=storescope.uproot.Source, allow_missing=True, **given
        ),
        "UPath.exists": path.exists,
        "UPath.is_file": path.is_file,
        "UPath.is_dir": path.is_dir,
        "UPath.iterdir": lambda: list(path.iterdir()),
        "UPath.glob": lambda: list(path.glob("*")),
        "UPath.rglob": lambda: list(path.rglob("*")),
        "UPath.walk": lambda: list(path.walk()),
        "UPath.stat": path.stat,
        "UPath.unlink": lambda: path.unlink(missing_ok=True),
        "UPath.read_bytes": path.read_bytes,
    }


def all_raise(ways, kind):
    for name, ask in ways.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = ask()
            except storescope.StoreError as error:
                assert not isinstance(error, FileNotFoundError), name
                # pandas asks again without credentials where it was refused.
                assert error.kind in kind or (kind & {"unauthenticated"} and "pandas.read" in name), (name, error)
            else:
                raise AssertionError(f"{name} answered {answer!r}")


@pytest.fixture
def kind(trouble):
    return {
        "refused": {"unauthenticated", "permission_denied"},
        "no configuration": {"config"},
        "nobody there": {"connect"},
        "no bucket": {"bucket_not_found"},
    }[trouble]


def test_fsspec(fs, root, tmp_path, kind):
    all_raise(of_fsspec(fs, root, tmp_path), kind)


def test_fsspec_by_url(service, root, given, kind):
    all_raise(by_url(f"storescope{service}://{root}", given), kind)


def test_others(fs, service, root, given, kind):
    all_raise(of_others(fs, root, f"storescope{service}://{root}", given), kind)


@pytest.mark.parametrize("trouble", TROUBLES[:3], indirect=True)
def test_the_service_itself(fs, kind):
    ways = {
        "ls": lambda: fs.ls(""),
        "find": lambda: fs.find(""),
        "walk": lambda: list(fs.walk("")),
        "glob": lambda: fs.glob("*"),
        "glob of buckets": lambda: fs.glob("a*/x"),
    }
    all_raise(ways, kind)


def test_what_is_not_there_is_not_there(service, options, store, tmp_path):
    fs = fsspec.filesystem(f"storescope{service}", **options)
    root = store.url.partition("://")[2].rstrip("/")
    url = f"storescope{service}://{root}"
    path = upath.UPath(url, **options)
    assert not (fs.exists(root) or fs.isfile(root) or fs.isdir(root) or path.exists() or path.is_dir())
    assert fs.glob(f"{root}/*") == fs.find(root) == fs.find(root, maxdepth=1) == []
    assert list(fs.walk(root)) == [(root, [], [])] and list(path.walk()) == [] and fs.du(root) == 0
    assert fs.cat([root], on_error="omit") == {}
    fs.pipe_file(f"{root}/a", b"a")
    assert fs.cat([f"{root}/a", f"{root}/b"], on_error="omit") == {f"{root}/a": b"a"}
    mapper = fs.get_mapper(root)
    assert mapper.getitems(["a", "b"], on_error="omit") == {"a": b"a"}
    with pytest.raises(KeyError):
        mapper.getitems(["a", "b"])
    with pytest.raises(KeyError):
        mapper["b"]
    if service == "oci":  # S3 does not tell
        with pytest.raises(KeyError):
            del mapper["b"]
    del mapper["a"]
    assert list(mapper) == []
    mapper["c"] = b"c"
    mapper.clear()
    mapper.clear()
    assert not fs.exists(root)


def test_pandas_shows_the_refusal_beneath_what_it_asked_without_credentials(service, options, store):
    wrong = {**options, **({"profile": "WRONG"} if service == "oci" else {"secret_access_key": "wrong"})}
    with pytest.raises(storescope.StoreError, match=r"the request was not signed \(auth=none\)") as failed:
        pandas.read_csv(f"storescope{store.url}k.csv", storage_options=wrong)
    refused = failed.value.__context__
    assert isinstance(refused, PermissionError) and refused.kind == "unauthenticated"


def test_an_error_while_another_is_handled_keeps_it(store):
    with pytest.raises(FileNotFoundError) as failed:
        try:
            {}["none"]
        except KeyError:
            store.get("none")
    assert isinstance(failed.value.__context__, KeyError)
    with pytest.raises(FileNotFoundError) as failed:
        store.get("none")
    assert failed.value.__context__ is None


def test_a_write_by_fsspec_makes_no_bucket_that_is_there(service, options, bucket, seen):
    url = f"storescope{bucket}written.txt"
    before = len(seen())
    with fsspec.open(url, "w", **options) as file:
        file.write("text")
    asked = [(line["method"], line["status"]) for line in seen()[before:]]
    assert asked == [("GET", 200), ("PUT", 200)]
    with fsspec.open(url.replace("written", "below/written"), "w", **options) as file:
        file.write("text")
    assert len(seen()) == before + 3
