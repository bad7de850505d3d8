# SPDX-License-Identifier: Apache-2.0
"""The filesystem beyond fsspec's suite: ranges, names, options, registration, transactions."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import warnings

import fsspec
import pytest
from fsspec.callbacks import Callback

import storescope
import storescope.fsspec

DATA = bytes(range(256)) * 400


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


def test_cat_file_takes_what_slices_take(fs, root):
    fs.pipe_file(f"{root}/k", DATA)
    for start, end in [(None, None), (3, 10), (None, 7), (-5, None), (-5, -2), (100, -100), (7, 3), (len(DATA), None)]:
        assert fs.cat_file(f"{root}/k", start=start, end=end) == DATA[start:end], (start, end)


def test_cat_ranges_share_requests_and_keep_their_order(fs, root, seen):
    fs.pipe({f"{root}/a": DATA, f"{root}/b": DATA[::-1]})
    paths, starts, ends = [], [], []
    for n in range(200):
        paths.append(f"{root}/{'ab'[n % 2]}")
        starts.append(n * 400)
        ends.append(n * 400 + 300)
    before = len(seen())
    got = fs.cat_ranges(paths, starts, ends)
    whole = {f"{root}/a": DATA, f"{root}/b": DATA[::-1]}
    assert got == [whole[path][start:end] for path, start, end in zip(paths, starts, ends, strict=True)]
    assert len(seen()) - before < 40
    assert fs.cat_ranges([f"{root}/a"] * 3, [-3, 0, 99], [None, 2, 99]) == [DATA[-3:], DATA[:2], b""]


def test_cat_ranges_tells_or_raises(fs, root):
    fs.pipe_file(f"{root}/a", DATA)
    paths = [f"{root}/a", f"{root}/none"]
    got = fs.cat_ranges(paths, 0, 3)
    assert got[0] == DATA[:3] and isinstance(got[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, 0, 3, on_error="raise")
    with pytest.raises(ValueError, match="2 paths, 1 starts"):
        fs.cat_ranges(paths, [0], [1])


def test_what_is_there(fs, store, root, bucket):
    fs.pipe({f"{root}/{name}": b"123" for name in ["a.txt", "b.txt", "d/e.txt", "d/f/g.txt"]})
    store.put("e/", b"")
    assert fs.ls(root, detail=False) == [f"{root}/{name}" for name in ["a.txt", "b.txt", "d", "e"]]
    assert fs.find(root) == [f"{root}/{name}" for name in ["a.txt", "b.txt", "d/e.txt", "d/f/g.txt"]]
    assert fs.find(root, maxdepth=1) == [f"{root}/a.txt", f"{root}/b.txt"]
    assert fs.glob(f"{root}/**/*.txt") == fs.find(root)
    assert fs.glob(f"{root}/*.txt") == [f"{root}/a.txt", f"{root}/b.txt"]
    assert fs.isdir(f"{root}/d") and fs.isdir(f"{root}/e") and not fs.isfile(f"{root}/d")
    assert fs.exists(f"{root}/a.txt") and not fs.exists(f"{root}/a")
    assert fs.du(root) == 12 and fs.size(f"{root}/a.txt") == 3
    info = fs.info(f"{root}/a.txt")
    assert info["type"] == "file" and info["ETag"] and fs.modified(f"{root}/a.txt") == info["LastModified"]
    one, other = fs.checksum(f"{root}/a.txt"), fs.checksum(f"{root}/b.txt")
    assert one != other and one == fs.checksum(f"{root}/a.txt")
    name = bucket.partition("://")[2].rstrip("/")
    assert fs.info(name)["type"] == "directory"
    assert name.partition("@")[0] in [bucket.partition("@")[0] for bucket in fs.ls("", detail=False)]
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{root}/none")
    with pytest.raises(FileNotFoundError):
        fs.info(f"{root}/none")


def test_what_goes_away(fs, store, root):
    fs.pipe({f"{root}/{name}": b"123" for name in ["a", "d/e", "d/f/g"]})
    store.put("d/", b"")
    fs.mv(f"{root}/a", f"{root}/b")
    assert fs.find(root) == [f"{root}/b", f"{root}/d/e", f"{root}/d/f/g"]
    fs.rm_file(f"{root}/b")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir(f"{root}/d")
    fs.rm(f"{root}/d", recursive=True)
    assert not fs.exists(root)


def test_buckets(fs, server, service):
    namespace = f"@{server.oci['namespace']}" if service == "oci" else ""
    name = f"made-{service}{namespace}"
    fs.mkdir(name)
    with pytest.raises(FileExistsError):
        fs.makedirs(name)
    fs.makedirs(name, exist_ok=True)
    assert fs.ls(name) == []
    fs.rmdir(name)
    assert not fs.exists(name)


def asks(fs, root):
    """Each way to ask what is there."""
    return [
        lambda: fs.exists(f"{root}/x"),
        lambda: fs.isfile(f"{root}/x"),
        lambda: fs.isdir(f"{root}/x"),
        lambda: fs.info(f"{root}/x"),
        lambda: fs.glob(f"{root}/*.root"),
        lambda: fs.glob(f"{root}/x"),
        lambda: fs.find(root),
        lambda: fs.find(f"{root}/d", maxdepth=1),
        lambda: fs.find(f"{root}/d"),
        lambda: list(fs.walk(f"{root}/d")),
        lambda: fs.ls(f"{root}/d"),
        lambda: fs.ls(root),
        lambda: fs.du(f"{root}/d"),
        lambda: fs.expand_path(f"{root}/*.root"),
        lambda: fs.cat_file(f"{root}/x"),
        lambda: fs.open(f"{root}/x"),
    ]


def test_what_cannot_be_looked_for_is_not_absent(fs, service, server, options, bucket):
    namespace = f"@{server.oci['namespace']}" if service == "oci" else ""
    missing = f"no-such-bucket{namespace}"
    for ask in asks(fs, missing):
        with pytest.raises(storescope.BucketNotFoundError, match="no-such-bucket") as told:
            ask()
        assert not isinstance(told.value, FileNotFoundError) and told.value.kind == "bucket_not_found"
    # Asked about itself, it is the bucket that is not there.
    assert not fs.exists(missing) and not fs.isdir(missing)
    wrong = {"profile": "WRONG"} if service == "oci" else {"secret_access_key": "wrong"}
    root = bucket.partition("://")[2].rstrip("/")
    refused = type(fs)(**{**options, **wrong})
    for ask in asks(refused, root):
        with pytest.raises(PermissionError):
            ask()
    nowhere = type(fs)(**{**options, "endpoint": "http://127.0.0.1:1", "attempts": 1})
    for ask in asks(nowhere, root):
        with pytest.raises(OSError) as told:
            ask()
        assert not isinstance(told.value, FileNotFoundError)


class Progress(Callback):
    pass


def test_files_go_there_and_back_with_progress(fs, root, tmp_path):
    here, back = tmp_path / "here", tmp_path / "back"
    large = DATA * 200  # more than one piece
    here.write_bytes(large)
    up, down = Progress(), Progress()
    fs.put_file(str(here), f"{root}/k", callback=up)
    fs.get_file(f"{root}/k", str(back), callback=down)
    assert back.read_bytes() == large
    assert (up.size, up.value) == (down.size, down.value) == (len(large), len(large))
    with pytest.raises(FileNotFoundError):
        fs.get_file(f"{root}/none", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    fs.touch(f"{root}/empty")
    fs.get_file(f"{root}/empty", str(tmp_path / "empty"))
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_file_that_changes_on_its_way_up_is_not_stored(fs, root, tmp_path):
    here = tmp_path / "here"
    here.write_bytes(DATA * 200)

    class Rewriting(Callback):
        def relative_update(self, inc=1):
            with open(here, "r+b") as file:
                file.write(b"torn")

    fs.pipe_file(f"{root}/k", b"old")
    with pytest.raises(OSError, match="changed while it was read"):
        fs.put_file(str(here), f"{root}/k", callback=Rewriting())
    assert fs.cat_file(f"{root}/k") == b"old"


def test_files(fs, root):
    path = f"{root}/k"
    with fs.open(path, "wb") as file:
        file.write(b"one\ntwo\n")
    with fs.open(path, "ab") as file:
        file.write(b"three")
    with fs.open(path, "rt") as file:
        assert file.read() == "one\ntwo\nthree"
    with fs.open(path) as file:
        assert list(file) == [b"one\n", b"two\n", b"three"] and file.size == 13
        file.seek(1)
        assert file.readline(1) == b"n" and file.readline() == b"e\n" and file.read(3) == b"two"
        again = pickle.loads(pickle.dumps(file))
        assert again.tell() == 7 and again.read() == b"\nthree"
        assert file.cat_ranges([(0, 3), (8, 13)]) == [b"one", b"three"]
    lines = b"".join(b"%d\n" % n for n in range(50_000))
    fs.pipe_file(path, lines)
    with fs.open(path) as file:
        assert [int(line) for line in file] == list(range(50_000))
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/none")


def test_a_transaction_writes_all_or_nothing(fs, root):
    with fs.transaction:
        with fs.open(f"{root}/a", "wb") as file:
            file.write(b"a")
        fs.pipe_file(f"{root}/b", b"b")
        assert not fs.exists(f"{root}/a")
    assert fs.cat(f"{root}/a") == b"a"
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            with fs.open(f"{root}/c", "wb") as file:
                file.write(b"c")
            1 / 0
    assert not fs.exists(f"{root}/c")


def test_by_url_and_after_pickle(fs, root, service, options):
    fs.pipe_file(f"{root}/k", DATA)
    with fsspec.open(f"storescope+{service}://{root}/k", **options) as file:
        assert file.read(10) == DATA[:10]
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat_file(f"{root}/k") == DATA
    assert [file.path for file in fsspec.open_files(f"storescope+{service}://{root}/*", **options)] == [f"{root}/k"]


def test_on_a_loop_of_ones_own(service, options, root):
    async def work():
        fs = fsspec.filesystem(f"storescope+{service}", asynchronous=True, **options)
        await fs._pipe_file(f"{root}/k", DATA)
        return await fs._cat_ranges([f"{root}/k"], [1], [5])

    assert asyncio.run(work()) == [DATA[1:5]]


OCIFS = {
    "config": "/c",
    "profile": "P",
    "region": "r",
    "iam_type": "api_key",
    "compartment_id": "o",
    "config_kwargs": {"service_endpoint": "http://e", "retry_strategy": object()},
    "default_block_size": 5,
    "tenancy": "t",
    "timeout": 60,
}
S3FS = {
    "key": "k",
    "secret": "s",
    "token": "t",
    "endpoint_url": "http://e",
    "client_kwargs": {"region_name": "r", "verify": "/ca.pem", "use_ssl": True},
    "config_kwargs": {
        "max_pool_connections": 9,
        "s3": {"addressing_style": "path"},
        "retries": {"max_attempts": 3},
        "read_timeout": 7,
    },
    "profile": "p",
    "default_fill_cache": False,
    "anon": False,
}


@pytest.mark.parametrize(
    ("protocol", "given", "meant", "ignored"),
    [
        (
            "oci",
            OCIFS,
            {
                "config_file": "/c",
                "profile": "P",
                "region": "r",
                "auth": "api_key",
                "compartment": "o",
                "endpoint": "http://e",
                "tenancy": "t",
                "first_byte_timeout": 60,
                "stall_timeout": 60,
            },
            ["config_kwargs[retry_strategy]", "default_block_size"],
        ),
        (
            "s3",
            S3FS,
            {
                "access_key_id": "k",
                "secret_access_key": "s",
                "session_token": "t",
                "endpoint": "http://e",
                "region": "r",
                "ca_bundle": "/ca.pem",
                "max_connections": 9,
                "s3_path_style": True,
                "attempts": 3,
                "first_byte_timeout": 7,
                "stall_timeout": 7,
                "aws_profile": "p",
            },
            ["client_kwargs[use_ssl]", "default_fill_cache"],
        ),
    ],
)
def test_the_options_of_others_are_understood(protocol, given, meant, ignored, monkeypatch):
    monkeypatch.setattr(storescope._fsspec_base, "_warned", set())
    with pytest.warns(UserWarning) as told:
        fs = fsspec.filesystem(f"storescope+{protocol}", skip_instance_cache=True, **given)
    assert fs.store_options == meant
    (warning,) = told
    assert f"no use for {', '.join(ignored)};" in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fsspec.filesystem(f"storescope+{protocol}", skip_instance_cache=True, **given)


def test_anon_is_nobody(service):
    fs = fsspec.filesystem(f"storescope+{service}", anon=True)
    assert fs.store_options == {"auth": "none"}


def test_a_dict_of_keys_is_refused():
    with pytest.raises(ValueError, match="configuration file"):
        fsspec.filesystem("storescope+oci", config={"user": "u"})


ORDERS = {
    "register, then ocifs": ["storescope.register('oci')", "import ocifs"],
    "ocifs, then register": ["import ocifs", "storescope.register('oci')"],
    "used, then ocifs": ["storescope.register('oci')", "fsspec.get_filesystem_class('oci')", "import ocifs"],
    "ocifs used, then register": ["fsspec.get_filesystem_class('oci')", "storescope.register('oci')", "import ocifs"],
    "twice": ["storescope.register('oci', 's3')", "storescope.register('oci', 's3')", "import ocifs, s3fs"],
}


@pytest.mark.parametrize("lines", ORDERS.values(), ids=ORDERS)
def test_the_short_names_stay_ours_whoever_comes_first(lines):
    script = "\n".join(
        [
            "import fsspec, storescope",
            *lines,
            "assert fsspec.get_filesystem_class('oci').__module__ == 'storescope.fsspec'",
            "import ocifs",
            "assert ocifs.OCIFileSystem.__module__ == 'ocifs.core'",
            "assert fsspec.filesystem('oci').__class__.__module__ == 'storescope.fsspec'",
        ]
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_nothing_is_taken_without_asking():
    script = (
        "import fsspec, storescope, storescope.fsspec\n"
        "assert fsspec.get_filesystem_class('oci').__module__ == 'ocifs.core'\n"
        "assert fsspec.get_filesystem_class('storescope+oci').__module__ == 'storescope.fsspec'\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    with pytest.raises(ValueError, match="register"):
        storescope.register("gs")


def test_tables_are_read_by_those_who_know_fsspec(fs, root, service, options, tmp_path):
    import pandas
    import polars
    import pyarrow.dataset
    import pyarrow.parquet

    table = pandas.DataFrame({"n": range(100_000), "text": [f"row {n % 97}" for n in range(100_000)]})
    url = f"storescope+{service}://{root}/t.parquet"
    table.to_parquet(url, storage_options=options, row_group_size=20_000)
    assert pandas.read_parquet(url, storage_options=options).equals(table)
    path = f"{root}/t.parquet"
    with fs.open(path) as file:
        assert pyarrow.parquet.read_table(file).num_rows == 100_000
    dataset = pyarrow.dataset.dataset(path, filesystem=fs)
    assert dataset.to_table(columns=["n"], filter=pyarrow.dataset.field("n") > 99_989).num_rows == 10
    assert pyarrow.parquet.read_table(path, filesystem=fs, columns=["text"]).num_rows == 100_000
    with fs.open(path) as file:
        assert polars.read_parquet(file).height == 100_000
    assert polars.read_parquet(url, storage_options=options, use_pyarrow=True).height == 100_000
    table.head(10).to_csv(f"{root}/t.csv".join([f"storescope+{service}://", ""]), storage_options=options, index=False)
    read = pandas.read_csv(f"storescope+{service}://{root}/t.csv", storage_options=options)
    assert read.equals(table.head(10))


def test_an_instance_works_on_in_a_forked_child(fs, root):
    fs.pipe_file(f"{root}/k", DATA)
    child = os.fork()
    if child == 0:
        try:
            ok = fs.cat_file(f"{root}/k", 1, 5) == DATA[1:5]
        finally:
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
