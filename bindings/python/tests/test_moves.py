# SPDX-License-Identifier: Apache-2.0
"""What moves and what goes: a tree leaves no second one, a name that is there is no pattern, nothing else is touched."""

from __future__ import annotations

import uuid

import fsspec
import pytest

import conftest
import storescope


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


@pytest.fixture
def put(store):
    """Makes objects, each of its own name's bytes."""

    def put(*keys):
        for key in keys:
            store.put(key, key.encode())

    return put


@pytest.fixture
def keys(store):
    """The names that are there, those that stand for directories too, each with the name it had first."""

    def keys():
        return {entry.key: store.get(entry.key).decode() for entry in store.list()}

    return keys


# Moves.


def test_a_tree_moves_and_leaves_no_second_one(fs, root, put, keys):
    put("s/f1", "s/sub/f2", "s/", "s/empty/", "s/a//b", "s/[x]*", "sx", "s")
    fs.mv(f"{root}/s", f"{root}/new", recursive=True)
    names = ("new", "new/", "new/f1", "new/sub/f2", "new/empty/", "new/a//b", "new/[x]*")
    moved = {name: "s" + name[3:] for name in names}
    assert keys() == {**moved, "sx": "sx"}


def test_where_a_tree_goes(fs, root, put, keys):
    put("s/f", "there/x")
    fs.mv(f"{root}/s", f"{root}/there", recursive=True)
    assert keys() == {"there/x": "there/x", "there/s/f": "s/f"}
    fs.mv(f"{root}/there/s/", f"{root}/there", recursive=True)
    assert keys() == {"there/x": "there/x", "there/f": "s/f"}
    fs.mv(f"{root}/there", f"{root}/far/off/", recursive=True)
    assert keys() == {"far/off/there/x": "there/x", "far/off/there/f": "s/f"}


def test_files_move(fs, root, put, keys):
    put("a", "b", "d/x", "c1", "c2")
    fs.mv(f"{root}/a", f"{root}/e")
    fs.mv(f"{root}/e", f"{root}/d")
    fs.mv(f"{root}/b", f"{root}/d/")
    assert keys() == {"d/x": "d/x", "d/e": "a", "d/b": "b", "c1": "c1", "c2": "c2"}
    fs.mv([f"{root}/c1", f"{root}/c2"], f"{root}/new")
    fs.mv([f"{root}/d/x", f"{root}/d/e"], [f"{root}/1", f"{root}/2"])
    assert keys() == {"new/c1": "c1", "new/c2": "c2", "1": "d/x", "2": "a", "d/b": "b"}
    fs.mv(f"{root}/new/c?", f"{root}/newer")
    assert keys() == {"newer/c1": "c1", "newer/c2": "c2", "1": "d/x", "2": "a", "d/b": "b"}
    fs.mv(f"{root}/1", f"{root}/1")
    assert fs.cat_file(f"{root}/1") == b"d/x"


def test_lists_of_trees_move_each_by_its_name(fs, root, put, keys):
    put("a/1/x", "b/1/x", "c")
    fs.mv([f"{root}/a", f"{root}/b", f"{root}/c"], f"{root}/into", recursive=True)
    assert keys() == {"into/a/1/x": "a/1/x", "into/b/1/x": "b/1/x", "into/c": "c"}


def test_a_name_that_is_there_moves_and_not_what_it_would_match(fs, root, put, keys):
    put("f?.csv", "f1.csv", "f2.csv", "d[1]/x", "d1/x")
    fs.mv(f"{root}/f?.csv", f"{root}/moved.csv")
    fs.mv(f"{root}/d[1]", f"{root}/d", recursive=True)
    assert keys() == {"moved.csv": "f?.csv", "f1.csv": "f1.csv", "f2.csv": "f2.csv", "d/x": "d[1]/x", "d1/x": "d1/x"}


def test_moves_that_would_lose_an_object_are_refused_before_the_first(fs, root, put, keys):
    put("a/x", "b/x", "c", "d")
    before = keys()
    for paths, target, recursive, why in [
        ([f"{root}/a/x", f"{root}/b/x"], f"{root}/into", False, "would both become"),
        ([f"{root}/c", f"{root}/d"], [f"{root}/d", f"{root}/e"], False, "is to be moved itself"),
        (f"{root}/a", f"{root}/a/deeper", True, "into itself"),
    ]:
        with pytest.raises(ValueError, match=why):
            fs.mv(paths, target, recursive=recursive)
    with pytest.raises(IsADirectoryError, match="recursive=True"):
        fs.mv(f"{root}/a", f"{root}/z")
    with pytest.raises(FileNotFoundError):
        fs.mv([f"{root}/c", f"{root}/none"], f"{root}/into")
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{root}/none*", f"{root}/into")
    assert keys() == before


def test_a_tree_moves_to_another_bucket(fs, server, service, options, root, put, keys, bucket):
    put("s/f", "s/t/g")
    other = conftest.bucket_url(server, service, f"other-{uuid.uuid4().hex[:12]}")
    storescope.create_bucket(other, **options)
    name = other.partition("://")[2].rstrip("/")
    fs.mv(f"{root}/s", f"{name}/s", recursive=True)
    assert keys() == {} and fs.find(name) == [f"{name}/s/f", f"{name}/s/t/g"]
    fs.rm(name, recursive=True)
    fs.rmdir(name)


# Removals.


def test_a_pattern_removes_what_it_matches_and_raises_nothing(fs, root, put, keys):
    put("d/f1", "d/f2", "d/sub/f", "dx")
    fs.rm(f"{root}/d/*")
    assert keys() == {"d/sub/f": "d/sub/f", "dx": "dx"}
    with pytest.raises(FileNotFoundError, match="only directories match this pattern"):
        fs.rm(f"{root}/d/*")
    fs.rm(f"{root}/d/*", recursive=True)
    assert keys() == {"dx": "dx"}
    with pytest.raises(FileNotFoundError, match="nothing matches this pattern"):
        fs.rm(f"{root}/d/*", recursive=True)


def test_a_name_that_is_there_goes_and_not_what_it_would_match(fs, root, put, keys):
    put("f?.csv", "f1.csv", "f2.csv", "[a]/x", "a/x", "*")
    fs.rm(f"{root}/f?.csv")
    fs.rm(f"{root}/[a]", recursive=True)
    fs.rm(f"{root}/*")
    assert keys() == {name: name for name in ("f1.csv", "f2.csv", "a/x")}
    fs.rm(f"{root}/f?.csv")
    assert keys() == {"a/x": "a/x"}


def test_lists_are_removed(fs, root, put, keys):
    put("a", "b?", "b1", "c1", "c2", "d/x", "d/y/z", "e")
    fs.rm([f"{root}/a", f"{root}/b?", f"{root}/c*"])
    assert keys() == {name: name for name in ("b1", "d/x", "d/y/z", "e")}
    fs.rm([f"{root}/b1", f"{root}/d"], recursive=True)
    assert keys() == {"e": "e"}


def test_what_is_not_there_is_told(fs, service, root, put, keys):
    put("a", "d/x")
    for missing in (f"{root}/none", [f"{root}/none*"]):
        with pytest.raises(FileNotFoundError):
            fs.rm(missing)
        with pytest.raises(FileNotFoundError):
            fs.rm(missing, recursive=True)
    with pytest.raises(IsADirectoryError, match="this is a directory: recursive=True takes all of it"):
        fs.rm(f"{root}/d")
    with pytest.raises(IsADirectoryError, match="bucket"):
        fs.rm(root.partition("/")[0])
    assert keys() == {"a": "a", "d/x": "d/x"}
    # S3 answers a deletion alike, whether there was anything.
    if service == "oci":
        with pytest.raises(FileNotFoundError):
            fs.rm([f"{root}/a", f"{root}/none"])
        with pytest.raises(IsADirectoryError, match="this is a directory, and no object"):
            fs.rm_file(f"{root}/d")
        with pytest.raises(FileNotFoundError):
            fs.rm_file(f"{root}/none")


def test_a_tree_goes_with_what_stands_for_its_directories_and_nothing_beside_it(fs, root, put, keys):
    put("d", "d/", "d/x", "d/e/", "d/a//b", "d//", "dd/x", "d.txt")
    fs.rm(f"{root}/d", recursive=True)
    assert keys() == {"dd/x": "dd/x", "d.txt": "d.txt"}


def test_depth_limits_what_goes(fs, root, put, keys):
    put("d/x", "d/e/", "d/e/y", "d/e/f/z")
    fs.rm(f"{root}/d", recursive=True, maxdepth=2)
    assert keys() == {"d/e/f/z": "d/e/f/z"}
    with pytest.raises(ValueError, match="maxdepth"):
        fs.rm(f"{root}/d", recursive=True, maxdepth=0)


def test_a_removal_costs_few_requests(fs, root, put, seen):
    put(*(f"d/{number:03}" for number in range(50)))
    before = len(seen())
    fs.rm([f"{root}/d/{number:03}" for number in range(25)])
    assert len(seen()) - before <= 25
    before = len(seen())
    fs.rm(f"{root}/d", recursive=True)
    assert len(seen()) - before <= 25 + 3
