# SPDX-License-Identifier: Apache-2.0
"""Workers read by this package as well: what was registered is inherited, and a handler needs nothing registered."""

from __future__ import annotations

import json
import multiprocessing.process
import os
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest
import uproot_files

import storescope
import storescope.fsspec

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for number in range(2):
        uproot_files.write_tree(folder / f"tree{number}.root", baskets=2, entries=500)
    return folder


@pytest.fixture(scope="module")
def url(bucket, options, made):
    """The URL of the first of two files."""
    prefix = f"{bucket}{uuid.uuid4().hex}/"
    store = storescope.open_store(prefix, **options)
    for path in made.iterdir():
        store.put(path.name, path.read_bytes())
    return f"{prefix}tree0.root"


@pytest.fixture
def run(options, seen):
    """Runs a function of inheriting.py, without anything registered before. All requests are ours."""

    def run(*arguments):
        settings = {f"STORESCOPE_{name.upper()}": str(value) for name, value in options.items()}
        script = str(Path(__file__).with_name("inheriting.py"))
        ended = subprocess.run(
            [sys.executable, script, *arguments],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    yield run
    assert all(line["user_agent"].startswith("storescope/") for line in seen())


@pytest.mark.parametrize(
    ("function", "method"),
    [*(("in_executor", method) for method in METHODS), ("in_pool", "spawn"), ("in_grandchildren", "forkserver")],
)
def test_what_is_installed_is_inherited(run, url, function, method, seen):
    before = len(seen())
    (found,) = run(function, method, url)
    assert len(seen()) > before
    assert found.pop("process") > 0
    assert found == {
        "entries": 1_000,
        "magic": "root",
        "source": "storescope.uproot.Source",
        "filesystem": "storescope.fsspec",
        "others": [],
    }


@pytest.mark.parametrize("method", METHODS)
def test_what_is_registered_is_inherited_and_nothing_else_is(run, url, method):
    assert run("registered_only", method, "oci://", "s3://") == ["storescope.fsspec"] * 2
    assert run("without_asking", method, "oci://", "s3://") == ["ocifs.core", "s3fs.core"]


def test_uninstall_is_inherited_too(run, url):
    (found,) = run("after_uninstall", "spawn", url)
    assert (found["source"], found["filesystem"]) == ("uproot.source.fsspec.FSSpecSource", "storescope.fsspec")


def test_a_handler_alone_imports_nobody_else(run, url):
    counts = [1_000, 1_000, 2_000, 2_000, 3_000, 2_000]
    assert run("by_handler", url) == {"counts": [counts], "others": []}
    assert run("by_handler", f"storescope{url}") == {"counts": [counts], "others": []}


def test_what_is_pickled_needs_nothing_registered(run, url):
    assert run("pickled", url) == {"magic": ["root"], "met": [1_000], "handler": "Source", "others": []}


def test_a_python_without_what_children_inherit_is_as_before(monkeypatch):
    monkeypatch.setattr(multiprocessing.process, "current_process", object)
    storescope.register("oci")
    assert fsspec.get_filesystem_class("oci") is storescope.fsspec.OciFileSystem
