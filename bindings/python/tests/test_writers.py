# SPDX-License-Identifier: Apache-2.0
"""However an object is written and however that ends: it is whole, or what was there before is, and that was said."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import fsspec
import pytest

import storescope
from writing import CLOSED_WHEN_DROPPED, WAYS, Place


class Inside(Exception):
    """What goes wrong inside a `with`."""


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


def place_of(way, fs, service, root, options):
    place = Place(fs, service, f"{root}/{uuid.uuid4().hex}{way.suffix}", options)
    if way.old is not None:
        fs.pipe_file(place.path, way.old)
    return place


def there(place):
    return place.fs.cat_file(place.path) if place.fs.exists(place.path) else None


@pytest.fixture
def said(caplog):
    """The errors that were logged of a place, once there are so many."""

    def said(place, count):
        deadline = time.monotonic() + 20
        while True:
            found = [
                record.getMessage()
                for record in caplog.records
                if (record.name, record.levelname) == ("storescope", "ERROR") and place.name in record.getMessage()
            ]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} records came"
            time.sleep(0.001)

    return said


every_way = pytest.mark.parametrize("way", [*WAYS.values(), *CLOSED_WHEN_DROPPED.values()], ids=[*WAYS, *CLOSED_WHEN_DROPPED])


@every_way
def test_left_normally_the_object_is_whole(way, fs, service, root, options, caplog):
    place = place_of(way, fs, service, root, options)
    with contextlib.ExitStack() as stack:
        way.write(way.opened(place, stack.enter_context))
    assert way.unpacked(there(place)) == way.whole
    gc.collect()
    assert not [record for record in caplog.records if place.name in record.getMessage()]


@every_way
def test_an_exception_inside_leaves_what_was_there(way, fs, service, root, options):
    place = place_of(way, fs, service, root, options)
    with pytest.raises(Inside):
        with contextlib.ExitStack() as stack:
            way.write(way.opened(place, stack.enter_context))
            raise Inside
    assert there(place) == way.old
    gc.collect()
    assert there(place) == way.old


@every_way
def test_a_store_that_refuses_is_an_exception(way, fs, service, root, options, server):
    place = place_of(way, fs, service, root, options)
    key = place.path.partition("/")[2]
    refused = {"status": {"status": 403, "code": "NotAllowed"}}
    server.fault({"method": "PUT", "contains": key.rpartition("/")[2], "count": 1, "action": refused})
    with pytest.raises(PermissionError):
        with contextlib.ExitStack() as stack:
            way.write(way.opened(place, stack.enter_context))
    assert there(place) == way.old


# A ZipFile that nobody closes says so itself.
of_its_own = pytest.mark.filterwarnings("ignore:.*ZipFile:pytest.PytestUnraisableExceptionWarning")
zips = ["fsspec.open wb zip", "fsspec.open .zip inferred"]


@pytest.mark.parametrize("way", [pytest.param(WAYS[name], id=name, marks=[of_its_own] * (name in zips)) for name in WAYS])
def test_never_closed_it_is_not_written_and_that_is_logged(way, fs, service, root, options, said):
    place = place_of(way, fs, service, root, options)
    kept = []
    way.write(way.opened(place, lambda context: kept.append(context) or context.__enter__()))
    kept.clear()
    gc.collect()
    assert f"{place.name} was not written: its writer was never closed" in said(place, 1)
    assert there(place) == way.old


@pytest.mark.parametrize("way", CLOSED_WHEN_DROPPED.values(), ids=CLOSED_WHEN_DROPPED)
def test_what_is_closed_when_it_is_dropped_is_whole(way, fs, service, root, options):
    place = place_of(way, fs, service, root, options)
    kept = []
    way.write(way.opened(place, lambda context: kept.append(context) or context.__enter__()))
    kept.clear()
    gc.collect()
    assert way.unpacked(there(place)) == way.whole


def test_open_when_the_interpreter_ends_it_is_not_written_and_that_is_logged(fs, service, root, options):
    ways = {**WAYS, **CLOSED_WHEN_DROPPED}
    for number, way in enumerate(ways.values()):
        if way.old is not None:
            fs.pipe_file(f"{root}/{number}{way.suffix}", way.old)
    about = json.dumps({"service": service, "root": root, "options": options})
    command = [sys.executable, str(Path(__file__).with_name("writing.py"))]
    ended = subprocess.run(command, env={**os.environ, "STORE": about}, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stdout) == (3, "written\n"), ended.stderr
    for number, (name, way) in enumerate(ways.items()):
        path = f"{root}/{number}{way.suffix}"
        assert f"{service}://{path} was not written: its writer was never closed\n" in ended.stderr, name
        assert (fs.cat_file(path) if fs.exists(path) else None) == way.old, name


def test_what_is_opened_while_an_exception_is_handled_is_written_there(fs, service, root, options):
    paths = [f"{root}/{number}" for number in range(3)]
    try:
        raise Inside
    except Inside:
        with fs.open(paths[0], "wt") as file:
            file.write("a report")
        with fsspec.open(f"storescope+{service}://{paths[1]}", "wt", **options) as file:
            file.write("a report")
        file = fs.open(paths[2], "wb")
        file.write(b"a report")
        file.close()
    assert fs.cat(paths) == dict.fromkeys(paths, b"a report")
    # Another exception is another matter.
    with pytest.raises(ZeroDivisionError):
        try:
            raise Inside
        except Inside:
            with fsspec.open(f"storescope+{service}://{paths[0]}", "wt", **options) as file:
                file.write("half a rep")
                1 / 0
    assert fs.cat(paths[0]) == b"a report"


@pytest.mark.parametrize("mode", ["wb", "wt"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_is_closed_by_hand_while_an_exception_is_handled_raises_it(fs, service, root, mode, compression):
    path = f"{root}/k"
    fs.pipe_file(path, b"old")
    piece = "new" if mode == "wt" else b"new"
    file = fs.open(path, mode, compression=compression)
    file.write(piece)
    with pytest.raises(KeyError) as raised:
        try:
            {}["missing"]
        except KeyError:
            file.close()
    assert raised.value.__notes__ == [f"{service}://{path} was not written: it was closed while this was handled"]
    assert file.closed and fs.cat_file(path) == b"old"
    # In `finally` it goes on as it would have.
    file = fs.open(path, mode, compression=compression)
    with pytest.raises(Inside):
        try:
            file.write(piece)
            raise Inside
        finally:
            file.close()
    assert fs.cat_file(path) == b"old"
    # On purpose:
    file = fs.open(path, mode, compression=compression)
    file.write(piece)
    try:
        {}["missing"]
    except KeyError:
        file.commit()
    assert file.closed
    with fs.open(path, compression=compression) as written:
        assert written.read() == b"new"
    file.close()


def test_a_writer_of_a_store_as_well(store):
    store.put("k", b"old")
    for end in ("close", "commit"):
        writer = store.writer("k")
        writer.write(b"new")
        try:
            raise Inside
        except Inside as inside:
            try:
                getattr(writer, end)()
            except Inside as again:
                assert again is inside and end == "close"
        assert writer.closed
        assert store.get("k") == (b"old" if end == "close" else b"new")


def test_an_exception_that_was_handled_meanwhile_is_none(fs, root):
    path = f"{root}/k"
    file = fs.open(path, "wt")
    try:
        raise Inside
    except Inside:
        file.write("handled")
    file.close()
    assert fs.cat_file(path) == b"handled"


def rows(fs, path):
    with fsspec.core.OpenFile(fs, path, "wt") as file:
        for number in range(3):
            file.write(f"{number}\n")
            yield number


def test_generators(fs, root):
    path = f"{root}/k"
    assert list(rows(fs, path)) == [0, 1, 2]
    assert fs.cat_file(path) == b"0\n1\n2\n"
    started = rows(fs, path)
    assert next(started) == 0
    started.close()
    assert fs.cat_file(path) == b"0\n1\n2\n"


def test_no_finalizer_writes_an_object(fs, service, root, said):
    place = Place(fs, service, f"{root}/k", {})
    fs.pipe_file(place.path, b"old")

    class Table:
        def __init__(self):
            self.file = fs.open(place.path, "wb")

        def close(self):
            if not self.file.closed:
                self.file.write(b"footer")
                self.file.close()

        def __del__(self):
            self.close()

    Table()
    assert said(place, 1) == [f"{place.name} was not written: its writer was never closed"]
    assert fs.cat_file(place.path) == b"old"
    table = Table()
    table.file.write(b"rows, ")
    table.close()
    assert fs.cat_file(place.path) == b"rows, footer"


def test_a_writer_in_a_cycle_with_an_exception_is_collected(fs, service, root, said):
    place = Place(fs, service, f"{root}/k", {})
    try:
        raise Inside
    except Inside as inside:
        inside.file = fs.open(place.path, "wb")
        inside.file.write(b"half")
    gc.collect()
    assert said(place, 1) == [f"{place.name} was not written: its writer was never closed"]
    assert not fs.exists(place.path)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("mode", ["wb", "wt"])
def test_transactions(fs, service, root, mode, compression):
    path, piece = f"{root}/k", "new" if mode == "wt" else b"new"
    fs.pipe_file(path, b"old")

    def read():
        with fs.open(path, compression=compression) as file:
            return file.read()

    with pytest.raises(OSError, match=f"{root}/k was not written: it was not closed when its transaction ended"):
        with fs.transaction:
            file = fs.open(path, mode, compression=compression)
            file.write(piece)
    assert fs.cat_file(path) == b"old"
    with fs.transaction:
        with contextlib.suppress(Inside), fs.open(path, mode, compression=compression) as file:
            file.write(piece)
            raise Inside
    assert fs.cat_file(path) == b"old"
    with pytest.raises(Inside), fs.transaction:
        with fs.open(path, mode, compression=compression) as file:
            file.write(piece)
        raise Inside
    assert fs.cat_file(path) == b"old"
    for close in ("with", "close"):
        fs.pipe_file(path, b"old")
        with fs.transaction:
            file = fs.open(path, mode, compression=compression)
            if close == "with":
                with file:
                    file.write(piece)
            else:
                file.write(piece)
                file.close()
            assert fs.cat_file(path) == b"old"
        assert read() == b"new"


def test_what_nobody_commits_is_logged(fs, service, root, said):
    place = Place(fs, service, f"{root}/k", {})
    with fs.open(place.path, "wb", autocommit=False) as file:
        file.write(b"new")
    # The filesystem keeps it for a transaction.
    fs.transaction.files.clear()
    del file
    assert said(place, 1) == [f"{place.name} was not written: its writer was never closed"]
    with fs.open(place.path, "wb", autocommit=False) as file:
        file.write(b"new")
    file.commit()
    assert fs.cat_file(place.path) == b"new"


def test_after_a_write_that_failed_a_close_is_no_success(server, store, options):
    by_parts = storescope.open_store(store.url, **options, part_size="5MiB", part_concurrency=1, attempts=1)
    for opened in (by_parts.writer, lambda key: by_parts.open(key, "wb")):
        file = opened("parts")
        server.fault({"method": "PUT", "contains": "parts", "count": 1, "action": {"status": {"status": 403}}})
        with pytest.raises(PermissionError):
            for _ in range(8):
                file.write(bytes(5 << 20))
        with pytest.raises(PermissionError):
            file.close()
        assert file.closed
        assert list(store.list()) == []


def test_half_an_upload_is_aborted(fs, service, options, store, seen):
    by_parts = type(fs)(**options, part_size="5MiB")
    path = f"{store.url.partition('://')[2]}parts"
    with pytest.raises(Inside):
        with fsspec.core.OpenFile(by_parts, path, "wt", compression=None) as file:
            file.write("x" * (18 << 20))
            raise Inside
    assert [line["method"] for line in seen() if line["method"] == "DELETE" and line["status"] == 204] == ["DELETE"]
    assert list(store.list()) == []


def test_what_cannot_be_wrapped_leaves_what_was_there(fs, root, caplog):
    path = f"{root}/k"
    fs.pipe_file(path, b"old")
    with pytest.raises(LookupError, match="no-such-encoding"):
        fs.open(path, "wt", encoding="no-such-encoding")
    with pytest.raises(ValueError, match="no-such-compression"):
        fs.open(path, "wb", compression="no-such-compression")
    with pytest.raises(UnicodeEncodeError), fs.open(path, "wt", encoding="ascii") as file:
        file.write("ä")
    gc.collect()
    assert fs.cat_file(path) == b"old"
    assert not [record for record in caplog.records if root in record.getMessage()]
