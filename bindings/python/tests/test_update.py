# SPDX-License-Identifier: Apache-2.0
"""Objects that are read and written in place (`r+b`), as uproot writes ROOT files."""

from __future__ import annotations

import gc
import io
import logging
import os
import subprocess
import sys

import fsspec
import numpy
import pytest
import uproot
from test_processes import wait_for_records

from storescope import PreconditionError

DATA = bytes(range(256)) * 40
NEVER_CLOSED = "was not written: its writer was never closed"


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


def test_a_file_is_changed_in_place(fs, root, store):
    about = {"content_type": "x/y", "cache_control": "no-store", "metadata": {"a": "b"}}
    store.put("k", DATA, **about)
    with fs.open(f"{root}/k", "r+b") as file:
        assert (file.size, file.mode, file.tell(), file.loc) == (len(DATA), "r+b", 0, 0)
        assert file.readable() and file.writable() and file.seekable()
        assert file.read(3) == DATA[:3] and file.write(b"abc") == 3 and file.readline() == DATA[6:11]
        assert file.seek(-2, 2) == len(DATA) - 2 and file.write(b"xyz!") == 4 and file.size == len(DATA) + 2
        assert store.get("k") == DATA, "nothing is seen before it is closed"
    changed = DATA[:3] + b"abc" + DATA[6:-2] + b"xyz!"
    meta = store.head("k")
    assert store.get("k") == changed
    assert (meta.content_type, meta.cache_control, meta.metadata) == tuple(about.values())
    with fs.open(f"{root}/k", "rb+") as file:
        file.truncate(5)
    assert store.get("k") == changed[:5]
    with fs.open(f"{root}/k", "r+") as file:
        assert file.read() == changed[:5].decode()
        file.write("text")
    assert store.get("k") == changed[:5] + b"text"


def test_what_is_only_read_is_not_written(fs, root, store):
    etag = store.put("k", DATA).etag
    with fs.open(f"{root}/k", "r+b") as file:
        assert file.read() == DATA
    assert store.head("k").etag == etag
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/none", "r+b")
    with pytest.raises(ValueError, match="expected rb, r.b, wb, xb or ab"):
        fs.open(f"{root}/k", "w+b")


def test_an_empty_object_that_is_only_read_stays(fs, root, store):
    fs.touch(f"{root}/k")
    with fs.open(f"{root}/k", "r+b") as file:
        assert file.read() == b""
    assert store.head("k").size == 0


def test_a_forked_child_leaves_its_parents_object_alone(fs, root, store):
    fs.touch(f"{root}/k")
    with fs.open(f"{root}/k", "r+b") as file:
        child = os.fork()
        if child == 0:
            try:
                file._dealloc_warn(file)  # What the child's end calls.
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert store.head("k").size == 0
        file.write(b"data")
    assert store.get("k") == b"data"


@pytest.mark.parametrize("wrap", [lambda file: file, io.BufferedRandom, io.TextIOWrapper], ids=["", "buffered", "text"])
def test_an_exception_leaves_the_object(fs, root, store, wrap):
    store.put("k", DATA)
    half = "half" if wrap is io.TextIOWrapper else b"half"
    with pytest.raises(ZeroDivisionError):
        with wrap(fs.open(f"{root}/k", "r+b")) as file:
            file.write(half)
            1 / 0
    assert store.get("k") == DATA
    with wrap(fs.open(f"{root}/k", "r+b")) as file:
        file.write(half)
    assert store.get("k") == b"half" + DATA[4:]
    with pytest.raises(ZeroDivisionError):
        with fs.open(f"{root}/k", "r+") as file:
            file.write("none")
            1 / 0
    assert store.get("k") == b"half" + DATA[4:]
    with pytest.raises(ValueError, match="what is compressed is not changed in place"):
        fs.open(f"{root}/k", "r+b", compression="gzip")


def test_a_change_of_another_is_not_overwritten(fs, root, store):
    store.put("k", DATA)
    file = fs.open(f"{root}/k", "r+b")
    file.write(b"mine")
    store.put("k", b"theirs")
    with pytest.raises(PreconditionError):
        file.close()
    assert file.closed and store.get("k") == b"theirs"


def test_a_file_that_nobody_closes_is_an_error_in_the_log(fs, root, store, caplog):
    store.put("k", DATA)
    file = fs.open(f"{root}/k", "r+b")
    file.write(b"half")
    with caplog.at_level(logging.ERROR, "storescope"):
        del file
        gc.collect()
    assert store.get("k") == DATA
    wait_for_records(caplog, 1)
    assert [f"/k {NEVER_CLOSED}" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    # One that was only read is nobody's loss.
    fs.open(f"{root}/k", "r+b").read()
    gc.collect()
    assert caplog.records == []


# uproot: touches the object, opens it as r+b, and writes here and there.


@pytest.fixture
def configured(monkeypatch, service, options):
    """uproot 5.7.7 takes no options of the filesystem where it writes."""
    monkeypatch.setitem(fsspec.config.conf, f"storescope+{service}", options)


@pytest.mark.parametrize("write", [uproot.recreate, uproot.create])
def test_uproot_writes_objects(configured, service, options, root, store, write):
    url = f"storescope+{service}://{root}/d/made.root"
    values = {"x": numpy.arange(1000), "y": numpy.linspace(0, 1, 1000)}
    with write(url) as file:
        file["t"] = values
        file["h"] = numpy.histogram(values["y"])
    assert store.head("d/made.root").size > 1000
    with uproot.open(io.BytesIO(store.get("d/made.root"))) as file:
        assert set(file.keys(cycle=False)) == {"t", "h"} and (file["t/x"].array(library="np") == values["x"]).all()
    with uproot.update(url) as file:
        file["u"] = values
    with uproot.open({url: "u"}, **options) as tree:
        assert (tree["y"].array(library="np") == values["y"]).all()


def test_uproot_replaces_an_object_whole_or_not_at_all(configured, service, root, store):
    url = f"storescope+{service}://{root}/made.root"
    store.put("made.root", b"not ROOT, but not to be lost")
    with pytest.raises(FileExistsError):
        uproot.create(url)
    with uproot.recreate(url) as file:
        file["h"] = numpy.histogram([1.0, 2.0])
        assert store.get("made.root") == b"not ROOT, but not to be lost"
    written = store.get("made.root")
    assert written[:4] == b"root"
    with pytest.raises(ZeroDivisionError):
        with uproot.recreate(url) as file:
            file["h"] = numpy.histogram([1.0, 2.0])
            1 / 0
    assert store.get("made.root") == written
    for write in (uproot.recreate, uproot.create):
        with pytest.raises(ZeroDivisionError):
            with write(url + "2") as file:
                file["h"] = numpy.histogram([1.0, 2.0])
                1 / 0
        assert not store.exists("made.root2")


def test_nothing_is_left_of_an_update_of_what_is_not_there(configured, service, root, store):
    with pytest.raises(OSError, match="could not read"):
        uproot.update(f"storescope+{service}://{root}/made.root")
    gc.collect()
    assert not store.exists("made.root")


def test_nothing_is_left_of_a_file_that_was_never_closed(configured, service, root, store, caplog):
    url = f"storescope+{service}://{root}/made.root"
    for count, write in enumerate((uproot.recreate, uproot.create), start=1):
        file = write(url)
        file["t"] = {"x": numpy.arange(10)}
        assert store.head("made.root").size == 0
        with caplog.at_level(logging.ERROR, "storescope"):
            del file
            gc.collect()
        assert not store.exists("made.root")
        wait_for_records(caplog, count)
        assert NEVER_CLOSED in caplog.records[-1].getMessage()


def test_nothing_is_left_where_the_interpreter_ends(service, options, root, store):
    script = (
        "import fsspec, uproot, numpy\n"
        f"fsspec.config.conf[{f'storescope+{service}'!r}] = {options!r}\n"
        f"file = uproot.recreate({f'storescope+{service}://{root}/made.root'!r})\n"
        "file['t'] = {'x': numpy.arange(10)}\n"
        "keep = [file]; keep.append(keep)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert NEVER_CLOSED in ended.stderr
    assert not store.exists("made.root")


def test_an_empty_object_of_another_stays(fs, root, store):
    """Only what was made empty here was made for this file."""
    store.put("k", b"")
    with pytest.raises(ZeroDivisionError):
        with fs.open(f"{root}/k", "r+b") as file:
            file.write(b"half")
            1 / 0
    assert store.head("k").size == 0
    fs.touch(f"{root}/k")
    fs.open(f"{root}/k", "r+b").abort()
    assert store.head("k").size == 0
    fs.touch(f"{root}/new")
    fs.open(f"{root}/new", "r+b").abort()
    assert not store.exists("new")
