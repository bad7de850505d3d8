# SPDX-License-Identifier: Apache-2.0
"""What small files cost, by the server's record, beside s3fs at its defaults: a file of known size is read by what it
holds."""

from __future__ import annotations

import gc
import io
import uuid

import awkward
import conftest
import fsspec
import numpy
import pandas
import pyarrow.csv
import pyarrow.parquet
import pytest
import s3fs
import uproot
import uproot_files
from fsspec.registry import _registry

import storescope
import storescope.fsspec
import storescope.uproot

pytestmark = [
    pytest.mark.timeout(180),
    # s3fs leaves its session to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

KIB = 1 << 10
# A second request for one that is late is a matter of the machine.
UNHEDGED = {"hedge_at": 0}


@pytest.fixture(scope="module")
def peer(server):
    """s3fs's options, and a bucket."""
    url, options = f"s3://small-{uuid.uuid4().hex[:8]}/", conftest.options_of(server, "s3")
    storescope.create_bucket(url, **options)
    theirs = {
        "key": options["access_key_id"],
        "secret": options["secret_access_key"],
        "endpoint_url": options["endpoint"],
        "client_kwargs": {"region_name": options["region"]},
        "skip_instance_cache": True,
    }
    return url, theirs, storescope.open_store(url, **options)


@pytest.fixture
def cost(server, monkeypatch):
    """What a call comes to, and its requests and bytes."""
    # Other tests may have taken the name.
    monkeypatch.setitem(_registry, "s3", s3fs.S3FileSystem)
    monkeypatch.setattr(storescope._uproot_source, "_before_keys", {})

    def cost(call, key):
        before = len(server.record())
        result = call()
        gc.collect()
        lines = [line for line in server.record()[before:] if line["target"].partition("?")[0].endswith(key)]
        return result, len(lines), sum(line["bytes_out"] for line in lines if line["method"] == "GET")

    return cost


def made(entries):
    """A file that uproot writes: its keys are at its beginning."""
    into = io.BytesIO()
    file = uproot.recreate(into)
    file["Events"] = {"x": numpy.arange(entries), "y": numpy.random.default_rng(1).normal(size=entries)}
    return into.getvalue(), "Events", ["x"]


def real(name, *columns):
    object_path = uproot_files.REAL[name][0]
    return uproot_files.real(name).read_bytes(), object_path, list(columns)


FILES = {
    "made-10.root": lambda: made(10),
    "made-1000.root": lambda: made(1_000),
    "made-20000.root": lambda: made(20_000),
    "made-60000.root": lambda: made(60_000),
    "nanoaod-dimuon.root": lambda: real("nanoaod-dimuon.root", "nMuon", "Muon_pt"),
    "nanoaod-v5-1000.root": lambda: real("nanoaod-v5-1000.root", "nMuon", "Muon_pt"),
    "nanoaod-v15-ttbar.root": lambda: real("nanoaod-v15-ttbar.root", "nMuon", "Muon_pt"),
    "cms-opendata-dimuon-100k.root": lambda: real("cms-opendata-dimuon-100k.root", "nMuon", "Muon_pt"),
    "tree-1M-200-baskets.root": lambda: real("tree-1M-200-baskets.root"),
    "physlite-rntuple.root": lambda: real("physlite-rntuple.root"),
}


# What s3fs came to, of each read once.
OF_S3FS = {}


@pytest.mark.parametrize("name", FILES)
def test_a_root_file_costs_what_is_read_of_it(bucket, options, peer, cost, name):
    data, object_path, columns = FILES[name]()
    url, theirs, store = peer
    store.put(name, data)
    storescope.open_store(bucket, **options).put(name, data)

    def keys(url, **options):
        with uproot.open(url + name, **options) as file:
            return file.keys()

    def read(url, **options):
        with uproot.open({url + name: object_path}, **options) as tree:
            arrays = [tree[column].array() for column in columns or tree.keys()[:1]]
            return [(len(array), float(awkward.sum(array, axis=None))) for array in arrays]

    ours = {"handler": storescope.uproot.Source, **UNHEDGED, **options}
    # Its plans follow the latencies that it measures.
    for what, spare in [(keys, storescope.uproot.BEFORE_KEYS + storescope.uproot.END), (read, 0)]:
        result, requests, received = cost(lambda: what(bucket, **ours), name)
        if (name, what.__name__) not in OF_S3FS:
            OF_S3FS[name, what.__name__] = cost(lambda: what(url, **theirs), name)
        expected, their_requests, their_bytes = OF_S3FS[name, what.__name__]
        assert result == expected and their_bytes > 0
        told = f"{what.__name__}: {requests} requests, {received} bytes; s3fs {their_requests}, {their_bytes}"
        print(told)
        assert requests <= their_requests + 2, told
        # One request for the beginning: of a file that is no larger, of all of it.
        assert received <= min(len(data), 1.25 * their_bytes + storescope.uproot.HEAD + spare), told


def test_the_next_file_of_a_data_set_costs_what_the_last_one_needed(bucket, options, cost):
    data = uproot_files.real("nanoaod-v5-1000.root").read_bytes()
    store = storescope.open_store(bucket, **options)
    received = []
    for key in ("one.root", "other.root"):
        store.put(key, data)

        def read(key=key):
            with uproot.open(f"{bucket}{key}:Events", handler=storescope.uproot.Source, **UNHEDGED, **options) as tree:
                return len(tree.keys())

        assert cost(read, key)[0] > 1000
        received.append(cost(read, key)[1:])
    assert received[0][0] <= 3 and received[1][0] == 2 and received[1][1] <= 1.25 * 89_182 + 64 * KIB + 16 * KIB


def table(rows):
    return pandas.DataFrame({"n": range(rows), "x": numpy.random.default_rng(rows).normal(size=rows)})


def pandas_csv(scheme, cls, path, options):
    return pandas.read_csv(f"{scheme}://{path}.csv", storage_options=options)


def pandas_parquet(scheme, cls, path, options):
    return pandas.read_parquet(f"{scheme}://{path}.parquet", storage_options=options)


def pyarrow_parquet(scheme, cls, path, options):
    return pyarrow.parquet.read_table(f"{path}.parquet", filesystem=cls(**options)).to_pandas()


def pyarrow_column(scheme, cls, path, options):
    return pyarrow.parquet.read_table(f"{path}.parquet", filesystem=cls(**options), columns=["n"]).to_pandas()


def pyarrow_csv(scheme, cls, path, options):
    with cls(**options).open(f"{path}.csv") as file:
        return pyarrow.csv.read_csv(file).to_pandas()


def lines(scheme, cls, path, options):
    with cls(**options).open(f"{path}.csv", "rt") as file:
        return pandas.Series([len(line) for line in file])


READS = [pandas_csv, pandas_parquet, pyarrow_parquet, pyarrow_column, pyarrow_csv, lines]


# From 1 KiB to 1 MiB.
@pytest.mark.parametrize("rows", [40, 1_000, 5_000, 30_000])
@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
def test_a_table_costs_what_it_costs_by_s3fs(service, bucket, options, peer, cost, rows, read):
    url, theirs, store = peer
    csv, parquet = table(rows).to_csv(index=False).encode(), io.BytesIO()
    table(rows).to_parquet(parquet)
    for one in (store, storescope.open_store(bucket, **options)):
        one.put(f"{rows}.csv", csv)
        one.put(f"{rows}.parquet", parquet.getvalue())
    key = f"{rows}.{'parquet' if 'parquet' in read.__name__ or read is pyarrow_column else 'csv'}"
    size = store.head(key).size
    cls = fsspec.get_filesystem_class(f"storescope+{service}")
    path, their_path = (f"{one.partition('://')[2]}{rows}" for one in (bucket, url))
    ours = {**options, **UNHEDGED, "skip_instance_cache": True}
    result, requests, received = cost(lambda: read(f"storescope+{service}", cls, path, ours), key)
    if (rows, read) not in OF_S3FS:
        OF_S3FS[rows, read] = cost(lambda: read("s3", s3fs.S3FileSystem, their_path, theirs), key)
    expected, their_requests, their_bytes = OF_S3FS[rows, read]
    told = f"{size} bytes: {requests} requests, {received} bytes; s3fs {their_requests}, {their_bytes}"
    print(told)
    assert result.equals(expected)
    # s3fs does not read the four bytes before the first column.
    assert received <= their_bytes + KIB, told
    # s3fs asks for 50 MiB at once; here the pieces grow.
    assert requests <= their_requests + 2 + size // (64 * KIB), told
