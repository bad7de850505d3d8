# SPDX-License-Identifier: Apache-2.0
"""Files found and folders written: on disk and in a store alike."""

from __future__ import annotations

import os

import pytest

from storescope_workloads.errors import UsageError
from storescope_workloads.places import Folder, find
from storescope_workloads.settings import StoreSettings

NAMES = ["a#1.root", "b%20.root", "c d.root", "e=f.root", "ü.root"]


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path, place, settings):
    return Folder(str(tmp_path / "in") if request.param == "disk" else place, settings)


def test_patterns_find_files_by_any_name(folder):
    for number, name in enumerate([*NAMES, "other.txt", "deeper/x.root"]):
        folder.write(name, bytes(number + 1))
    found = find(f"{folder.url}/*.root", folder.settings)
    assert [file.url for file in found] == [folder.path(name) for name in NAMES]
    assert [file.size for file in found] == [1, 2, 3, 4, 5]
    assert all(file.version for file in found)
    assert [file.url for file in find(f"{folder.url}/**/*.root", folder.settings)][-2:] == [
        folder.path(name) for name in ("e=f.root", "ü.root")
    ]


def test_a_name_goes_before_the_pattern_that_it_would_be(folder):
    folder.write("a[1].root", b"x")
    folder.write("a1.root", b"xy")
    assert [file.size for file in find(f"{folder.url}/a[1].root", folder.settings)] == [1]


def test_what_is_no_file_is_named(folder):
    folder.write("sub/a.root", b"x")
    for pattern, told in [("*.root", "no file matches"), ("none.root", "no file matches"), ("sub", "is a folder")]:
        with pytest.raises(UsageError, match=told):
            find(f"{folder.url}/{pattern}", folder.settings)


def test_links_of_a_disk_are_what_they_point_to(tmp_path):
    (tmp_path / "real").write_bytes(b"xyz")
    (tmp_path / "sub").mkdir()
    os.symlink("real", tmp_path / "link.root")
    os.symlink("none", tmp_path / "dangling.root")
    os.symlink("sub", tmp_path / "folder.root")
    (found,) = find(f"{tmp_path}/*.root", StoreSettings())
    assert (found.url, found.size) == (str(tmp_path / "link.root"), 3)
    assert find(str(tmp_path / "link.root"), StoreSettings()) == [found]


def test_a_scheme_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(UsageError, match="gs:// is not known; use oci://"):
        find("gs://bucket/a.root", StoreSettings())


def test_a_file_is_whole_or_not_there(folder):
    folder.write("x", b"first")
    with pytest.raises(RuntimeError), folder.open("x") as file:
        file.write(b"half")
        raise RuntimeError
    assert folder.read("x") == b"first" and folder.files() == ["x"]


def test_a_folder_is_listed_and_cleared(folder):
    assert folder.files() == [] and not folder.exists("a")
    folder.clear()
    for name in ("a", "b/c"):
        folder.write(name, b"x")
    beside = Folder(f"{folder.url}-beside", folder.settings)
    beside.write("kept", b"x")
    assert folder.files() == ["a", "b/c"] and folder.exists("b/c")
    assert folder.holds(folder.path("b/c")) and not folder.holds(beside.path("kept"))
    folder.clear()
    assert folder.files() == [] and beside.files() == ["kept"]


@pytest.mark.parametrize("url", ["/", "/tmp", "oci://workloads@emulator", "oci://workloads@emulator/"])
def test_the_top_of_a_store_or_a_disk_is_not_cleared(url, settings):
    with pytest.raises(UsageError, match="is not cleared"):
        Folder(url, settings).clear()
