# SPDX-License-Identifier: Apache-2.0
"""Names that others drop, directories, buckets, and the words that are said of them."""

from __future__ import annotations

import uuid

import fsspec
import pytest

import storescope

NAMES = ["a/b", "a//b", "a//c/d", "a///e", "/top", "//deep", "x/", "x/y", "z//", "a/t"]
# What ends in a slash stands for a directory, and is no file.
FILES = sorted(name for name in NAMES if not name.endswith("/"))


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def bucket_of_names(server, service, options, bucket):
    """A bucket of its own: names that begin with a slash lie at its top."""
    url = bucket.replace("tests-", f"names-{uuid.uuid4().hex[:8]}-")
    storescope.create_bucket(url, **options)
    store = storescope.open_store(url, **options)
    for name in NAMES:
        store.put(name, name.encode())
    yield url.partition("://")[2].rstrip("/")
    store.delete_many([entry.key for entry in store.list()])
    storescope.delete_bucket(url, **options)


def test_no_name_is_dropped(fs, bucket_of_names):
    top = bucket_of_names
    files = [f"{top}/{name}" for name in FILES]
    assert fs.find(top) == files
    assert sorted(fs.find(top, maxdepth=9)) == files
    walked = [path for path in fs.walk(top, detail=True)]
    assert sorted(info["name"] for _, _, infos in walked for info in infos.values()) == files
    assert fs.glob(f"{top}/**", detail=True).keys() >= set(files)
    assert {path: fs.cat_file(path) for path in files} == {f"{top}/{name}": name.encode() for name in FILES}
    assert fs.du(top) == sum(map(len, FILES))


def test_a_directory_of_an_empty_name_is_listed_by_its_path(fs, bucket_of_names):
    top = bucket_of_names
    assert fs.ls(top, detail=False) == [f"{top}//", f"{top}/a", f"{top}/x", f"{top}/z"]
    assert fs.ls(f"{top}//", detail=False) == [f"{top}///", f"{top}//top"]
    assert fs.ls(f"{top}/a", detail=False) == fs.ls(f"{top}/a/", detail=False) == [
        f"{top}/a//",
        f"{top}/a/b",
        f"{top}/a/t",
    ]
    assert fs.ls(f"{top}/a//", detail=False) == [f"{top}/a///", f"{top}/a//b", f"{top}/a//c"]
    assert fs.ls(f"{top}/a///", detail=False) == [f"{top}/a///e"]
    assert fs.ls(f"{top}/x", detail=False) == [f"{top}/x/y"] and fs.ls(f"{top}/z//") == []
    for info in fs.find(top, withdirs=True, detail=True).values():
        # Each path leads to what it is of, and not above it.
        assert fs.info(info["name"])["type"] == info["type"], info
        assert fs._strip_protocol(info["name"]) == info["name"]
    above = {"/a//b": "/a//", "/a//": "/a", "/a///": "/a//", "/a": ""}
    above |= {"//top": "//", "///": "//", "//": "", "/x/y": "/x"}
    assert {path: fs._parent(top + path).removeprefix(top) for path in above} == above


def test_walk_goes_there(fs, bucket_of_names):
    top = bucket_of_names
    told = {path.removeprefix(top): (sorted(dirs), sorted(files)) for path, dirs, files in fs.walk(top)}
    assert told == {
        "": (["", "a", "x", "z"], []),
        "//": ([""], ["top"]),
        "///": ([], ["deep"]),
        "/a": ([""], ["b", "t"]),
        "/a//": (["", "c"], ["b"]),
        "/a///": ([], ["e"]),
        "/a//c": ([], ["d"]),
        "/x": ([], ["y"]),
        "/z": ([""], []),
        "/z//": ([], []),
    }
    assert [path for path, _, _ in fs.walk(f"{top}/a", maxdepth=2)] == [f"{top}/a", f"{top}/a//"]


def test_patterns_find_them(fs, bucket_of_names):
    top = bucket_of_names
    assert fs.glob(f"{top}/a//*") == [f"{top}/a//b", f"{top}/a//c"]
    assert fs.glob(f"{top}/a/*") == [f"{top}/a/b", f"{top}/a/t"]
    assert fs.glob(f"{top}/a//c/*") == [f"{top}/a//c/d"] and fs.glob(f"{top}//t*") == [f"{top}//top"]


def test_they_go_and_move(fs, bucket_of_names):
    top = bucket_of_names
    fs.mv(f"{top}/a//", f"{top}/moved", recursive=True)
    assert [name.removeprefix(top) for name in fs.find(top)] == [
        "///deep",
        "//top",
        "/a/b",
        "/a/t",
        "/moved//e",
        "/moved/b",
        "/moved/c/d",
        "/x/y",
    ]
    fs.rm(f"{top}//", recursive=True)
    assert fs.ls(top, detail=False) == [f"{top}/a", f"{top}/moved", f"{top}/x", f"{top}/z"]


# Words.


def test_a_directory_is_said_to_be_one(fs, store):
    root = store.url.partition("://")[2].rstrip("/")
    store.put("d/x", b"1")
    for call in (
        lambda: fs.open(f"{root}/d"),
        lambda: fs.open(f"{root}/d/", "rt"),
        lambda: fs.read_text(f"{root}/d"),
        lambda: fs.head(f"{root}/d"),
        lambda: fs.rm(f"{root}/d"),
        lambda: fs.open(root.partition("/")[0]),
        lambda: fs.cat_file(root.partition("/")[0]),
        lambda: fs.pipe_file(root.partition("/")[0], b""),
    ):
        with pytest.raises(IsADirectoryError, match="this is a (directory|bucket)"):
            call()
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/none")
    assert store.exists("d/x") and not store.exists("d")


def test_a_missing_bucket_is_named(fs, server, service):
    namespace = f"@{server.oci['namespace']}" if service == "oci" else ""
    missing = f"no-such-bucket{namespace}"
    for call in (
        lambda: fs.open(f"{missing}/x"),
        lambda: fs.cat_file(f"{missing}/x"),
        lambda: fs.info(missing),
        lambda: fs.ls(missing),
        lambda: fs.pipe_file(f"{missing}/x", b""),
        lambda: fs.mv(f"{missing}/x", f"{missing}/y"),
        lambda: fs.rm(f"{missing}/x"),
    ):
        with pytest.raises(OSError, match="no-such-bucket.*bucket not found") as told:
            call()
        assert "object not found" not in str(told.value)


def test_buckets_are_listed_or_it_is_said_why_not(fs, server, service, options, bucket):
    name = bucket.partition("://")[2].rstrip("/").partition("@")[0]
    for path in ("", f"storescope+{service}://", "/"):
        assert name in [listed.partition("@")[0] for listed in fs.ls(path, detail=False)]
    if service == "oci":
        elsewhere = fsspec.filesystem("storescope+oci", compartment="ocid1.compartment.oc1..other", **options)
        with pytest.warns(UserWarning, match=r"no bucket in ocid1\.compartment\.oc1\.\.other: .*option compartment"):
            assert elsewhere.ls("storescope+oci://") == []


def test_what_exists(store, service, options):
    store.put("d/x", b"1")
    assert store.exists("d/x") and "d/x" in store
    assert not store.exists("d") and "d" not in store and "d/" not in store
    with pytest.raises(TypeError):
        _ = 7 in store
    nowhere = storescope.open_store(store.url, **{**options, "endpoint": "http://127.0.0.1:1", "attempts": 1})
    with pytest.raises(OSError) as told:
        nowhere.exists("d/x")
    assert not isinstance(told.value, FileNotFoundError)
    with pytest.raises(OSError):
        _ = "d/x" in nowhere


def test_hints_are_words_of_this_language(store):
    store.put("k", b"1")
    with pytest.raises(FileExistsError, match="write without the condition to replace it") as told:
        store.put("k", b"2", mode="create")
    assert "PutMode" not in str(told.value)
