# SPDX-License-Identifier: Apache-2.0
"""fsspec's whole surface, by introspection of the fsspec that is installed: each public method with each of its
documented arguments works, or is refused with the reason. What a later fsspec adds fails here until it is decided."""

from __future__ import annotations

import gzip
import inspect
import io
import os
import pickle
from pathlib import Path

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.transaction import Transaction

import storescope

DATA = bytes(range(256)) * 40


class Watching:
    """A filesystem, and which arguments its methods were given, by fsspec's own names."""

    def __init__(self, fs):
        self._fs = fs
        self.given = {}

    def __getattr__(self, name):
        found = getattr(self._fs, name)
        if not callable(found):
            return found
        of_fsspec = getattr(AbstractFileSystem, name, None) or getattr(AsyncFileSystem, name)
        is_bound = isinstance(inspect.getattr_static(AsyncFileSystem, name), classmethod | staticmethod)
        signature = inspect.signature(of_fsspec)

        def called(*args, **kwargs):
            bound = signature.bind(*([] if is_bound else [self._fs]), *args, **kwargs)
            self.given.setdefault(name, set()).update(set(bound.arguments) - {"self", "kwargs"})
            return found(*args, **kwargs)

        return called


def arguments(name):
    """The documented arguments of a method of fsspec's."""
    of_fsspec = getattr(AbstractFileSystem, name, None) or getattr(AsyncFileSystem, name)
    parameters = inspect.signature(of_fsspec).parameters.values()
    return {p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"}


@pytest.fixture
def plain(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


@pytest.fixture
def tree(plain, root):
    """d/a, d/b, d/s/c, d/s/t/e."""
    for name in ("d/a", "d/b", "d/s/c", "d/s/t/e"):
        plain.pipe_file(f"{root}/{name}", name.encode())
    return f"{root}/d"


def below(fs, path):
    return [name.removeprefix(path + "/") for name in fs.find(path)]


# What each method does, with all that may be said to it.


def cat(fs, tree, tmp_path):
    assert fs.cat(f"{tree}/a") == b"d/a"
    whole = {f"{tree}/{name}": f"d/{name}".encode() for name in ("a", "b", "s/c", "s/t/e")}
    assert fs.cat(tree, recursive=True) == whole
    told = fs.cat([f"{tree}/a", f"{tree}/none"], on_error="return")
    assert told[f"{tree}/a"] == b"d/a" and isinstance(told[f"{tree}/none"], FileNotFoundError)
    assert fs.cat([f"{tree}/a", f"{tree}/none"], on_error="omit") == {f"{tree}/a": b"d/a"}
    with pytest.raises(FileNotFoundError):
        fs.cat([f"{tree}/a", f"{tree}/none"], on_error="raise")
    with pytest.raises(FileNotFoundError):
        fs.cat(f"{tree}/none", recursive=True)


def cat_file(fs, tree, tmp_path):
    assert fs.cat_file(f"{tree}/s/c", start=1, end=-1) == b"/s/"
    # Not the bytes of another version than the one that was asked for.
    with pytest.raises(TypeError, match="storescope has no option version_id here"):
        fs.cat_file(f"{tree}/a", version_id="1")


def cat_ranges(fs, tree, tmp_path):
    paths = [f"{tree}/a", f"{tree}/none"]
    got = fs.cat_ranges(paths, starts=[0, 0], ends=2, max_gap=10, on_error="return")
    assert got[0] == b"d/" and isinstance(got[1], FileNotFoundError)


def checksum(fs, tree, tmp_path):
    before = fs.checksum(f"{tree}/a")
    assert before == fs.checksum(f"{tree}/a") != fs.checksum(f"{tree}/b")
    fs.pipe_file(f"{tree}/a", b"other")
    assert fs.checksum(f"{tree}/a") != before


def copy(fs, tree, tmp_path):
    fs.copy(f"{tree}/a", f"{tree}/x")
    assert fs.cat_file(f"{tree}/x") == b"d/a"
    for name, options in [("new", {}), ("strict", {"on_error": "raise"}), ("lax", {"on_error": "ignore"})]:
        fs.copy(f"{tree}/s", f"{tree}/{name}", recursive=True, **options)
        assert below(fs, f"{tree}/{name}") == ["c", "t/e"]
    fs.copy(tree, f"{tree}-flat", recursive=True, maxdepth=1)
    assert below(fs, f"{tree}-flat") == ["a", "b", "x"]
    with pytest.raises(FileNotFoundError):
        fs.copy([f"{tree}/none"], [f"{tree}/y"])


def cp_file(fs, tree, tmp_path):
    fs.cp_file(f"{tree}/a", f"{tree}/x")
    assert fs.cat_file(f"{tree}/x") == b"d/a"
    with pytest.raises(FileNotFoundError):
        fs.cp_file(f"{tree}/none", f"{tree}/x")


def created(fs, tree, tmp_path):
    # An object is made anew by each write.
    assert fs.created(f"{tree}/a") == fs.modified(f"{tree}/a") == fs.info(f"{tree}/a")["LastModified"]


def du(fs, tree, tmp_path):
    assert fs.du(tree) == 18 and fs.du(tree, maxdepth=1) == 6
    told = fs.du(f"{tree}/s", total=False, withdirs=True)
    assert told == {f"{tree}/s": 0, f"{tree}/s/c": 5, f"{tree}/s/t": 0, f"{tree}/s/t/e": 7}


def exists(fs, tree, tmp_path):
    assert fs.exists(f"{tree}/a") and fs.exists(tree) and not fs.exists(f"{tree}/none")


def expand_path(fs, tree, tmp_path):
    assert fs.expand_path(f"{tree}/?") == [f"{tree}/a", f"{tree}/b", f"{tree}/s"]
    assert fs.expand_path(f"{tree}/s", recursive=True, maxdepth=1) == [f"{tree}/s", f"{tree}/s/c", f"{tree}/s/t"]
    assert fs.expand_path([f"{tree}/?"], assume_literal=True) == [f"{tree}/?"]


def find(fs, tree, tmp_path):
    assert fs.find(tree) == [f"{tree}/{name}" for name in ("a", "b", "s/c", "s/t/e")]
    assert fs.find(tree, maxdepth=1, withdirs=True) == [tree, f"{tree}/a", f"{tree}/b", f"{tree}/s"]
    told = fs.find(f"{tree}/s", detail=True)
    assert {name: info["size"] for name, info in told.items()} == {f"{tree}/s/c": 5, f"{tree}/s/t/e": 7}


def get(fs, tree, tmp_path):
    seen = Callback()
    fs.get(tree, str(tmp_path / "all"), recursive=True, callback=seen)
    assert (tmp_path / "all/s/t/e").read_bytes() == b"d/s/t/e" and seen.value == seen.size > 0
    fs.get(tree, str(tmp_path / "some"), recursive=True, maxdepth=1)
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["a", "b"]
    fs.get(f"{tree}/a", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == b"d/a"


def get_file(fs, tree, tmp_path):
    seen, into = Callback(), io.BytesIO()
    fs.get_file(f"{tree}/a", str(tmp_path / "a"), callback=seen)
    assert (tmp_path / "a").read_bytes() == b"d/a" and (seen.size, seen.value) == (3, 3)
    fs.get_file(f"{tree}/a", outfile=into)
    assert into.getvalue() == b"d/a"


def get_mapper(fs, tree, tmp_path):
    mapper = fs.get_mapper(f"{tree}", check=False, create=False, missing_exceptions=(FileNotFoundError,))
    mapper["x/y"] = b"1"
    assert mapper["x/y"] == b"1" and "x/y" in mapper and sorted(mapper) == ["a", "b", "s/c", "s/t/e", "x/y"]
    del mapper["x/y"]
    with pytest.raises(KeyError):
        mapper["x/y"]


def glob(fs, tree, tmp_path):
    assert fs.glob(f"{tree}/*") == [f"{tree}/a", f"{tree}/b", f"{tree}/s"]
    assert fs.glob(f"{tree}/**", maxdepth=1) == [tree, f"{tree}/a", f"{tree}/b", f"{tree}/s"]


def head(fs, tree, tmp_path):
    assert fs.head(f"{tree}/s/c", size=2) == b"d/" and fs.tail(f"{tree}/s/c", size=2) == b"/c"


def info(fs, tree, tmp_path):
    told = fs.info(f"{tree}/a")
    assert (told["name"], told["size"], told["type"]) == (f"{tree}/a", 3, "file")
    assert fs.info(tree)["type"] == "directory"


def invalidate_cache(fs, tree, tmp_path):
    fs.invalidate_cache(path=tree)  # nothing is cached
    assert fs.ls(tree, detail=False)


def ls(fs, tree, tmp_path):
    names = [f"{tree}/a", f"{tree}/b", f"{tree}/s"]
    assert [info["name"] for info in fs.ls(tree)] == fs.ls(tree, detail=False) == names
    assert fs.ls(f"{tree}/a", detail=False) == [f"{tree}/a"]


def made(fs):
    scheme, name = fs.scheme, f"surface-{os.urandom(6).hex()}"
    return f"{name}@{fs.namespace_of_the_test}" if scheme == "oci" else name


def mkdir(fs, tree, tmp_path):
    bucket = made(fs)
    fs.mkdir(bucket, create_parents=True)
    assert fs.isdir(bucket)
    # Directories within it are there by what they hold.
    fs.mkdir(f"{bucket}/d")
    assert not fs.exists(f"{bucket}/d")
    fs.rmdir(bucket)
    assert not fs.exists(bucket)


def makedirs(fs, tree, tmp_path):
    bucket = made(fs)
    fs.makedirs(bucket, exist_ok=False)
    fs.makedirs(bucket, exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.makedirs(bucket)
    fs.rmdir(bucket)


def mv(fs, tree, tmp_path):
    fs.mv(f"{tree}/s", f"{tree}/new", recursive=True)
    assert below(fs, tree) == ["a", "b", "new/c", "new/t/e"]
    fs.mv(f"{tree}/new", f"{tree}/flat", recursive=True, maxdepth=1)
    assert below(fs, tree) == ["a", "b", "flat/c", "new/t/e"]


def opened(fs, tree, tmp_path):
    with fs.open(f"{tree}/a", mode="rb", block_size=7, cache_options=None, compression=None) as file:
        assert file.read() == b"d/a" and file.blocksize == 7
    fs.pipe_file(f"{tree}/z.gz", gzip.compress("text".encode("utf-16")))
    with fs.open(f"{tree}/z.gz", "rt", compression="gzip", encoding="utf-16") as file:
        assert file.read() == "text"


def pipe(fs, tree, tmp_path):
    fs.pipe(f"{tree}/x", value=b"1")
    fs.pipe({f"{tree}/y": b"2"})
    assert fs.cat([f"{tree}/x", f"{tree}/y"]) == {f"{tree}/x": b"1", f"{tree}/y": b"2"}


def pipe_file(fs, tree, tmp_path):
    fs.pipe_file(f"{tree}/x", b"1", mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe_file(f"{tree}/x", b"2", mode="create")
    assert fs.cat_file(f"{tree}/x") == b"1"


def put(fs, tree, tmp_path):
    for name in ("a", "b", "s/c"):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    seen = Callback()
    fs.put(str(tmp_path / "here"), f"{tree}/up", recursive=True, callback=seen)
    assert below(fs, f"{tree}/up") == ["a", "b", "s/c"] and seen.value == seen.size > 0
    fs.put(tmp_path / "here", f"{tree}/part", recursive=True, maxdepth=1)
    assert below(fs, f"{tree}/part") == ["a", "b"]
    fs.put(tmp_path / "here/a", f"{tree}/one")
    assert fs.cat_file(f"{tree}/one") == b"a"


def put_file(fs, tree, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    seen = Callback()
    fs.put_file(tmp_path / "a", f"{tree}/x", callback=seen, mode="create")
    assert fs.cat_file(f"{tree}/x") == b"1" and (seen.size, seen.value) == (1, 1)
    with pytest.raises(FileExistsError):
        fs.put_file(tmp_path / "a", f"{tree}/x", mode="create")


def read_block(fs, tree, tmp_path):
    fs.pipe_file(f"{tree}/x", b"Alice, 100\nBob, 200\nCharlie, 300")
    assert fs.read_block(f"{tree}/x", offset=0, length=13) == b"Alice, 100\nBo"
    assert fs.read_block(f"{tree}/x", 0, 13, delimiter=b"\n") == b"Alice, 100\nBob, 200\n"


def text(fs, tree, tmp_path):
    fs.write_text(f"{tree}/x", "zwölf\n", encoding="latin-1", errors="strict", newline="\r\n")
    assert fs.cat_file(f"{tree}/x") == b"zw\xf6lf\r\n"
    assert fs.read_text(f"{tree}/x", encoding="ascii", errors="replace", newline="") == "zw\ufffdlf\r\n"


def rm(fs, tree, tmp_path):
    fs.rm(f"{tree}/a")
    fs.rm(f"{tree}/s", recursive=True, maxdepth=1)
    assert below(fs, tree) == ["b", "s/t/e"]
    fs.rm(tree, recursive=True)
    assert not fs.exists(tree)


def rm_file(fs, tree, tmp_path):
    fs.rm_file(f"{tree}/a")
    assert not fs.exists(f"{tree}/a")


def rmdir(fs, tree, tmp_path):
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir(tree)


def size(fs, tree, tmp_path):
    assert fs.size(f"{tree}/a") == 3 and fs.sizes([f"{tree}/a", f"{tree}/s/c"]) == [3, 5]


def as_json(fs, tree, tmp_path):
    for again in (fs.from_json(fs.to_json(include_password=True)), fs.from_dict(fs.to_dict(include_password=True))):
        assert again.cat_file(f"{tree}/a") == b"d/a"


def touch(fs, tree, tmp_path):
    fs.touch(f"{tree}/new", truncate=False)
    assert fs.size(f"{tree}/new") == 0
    with pytest.raises(NotImplementedError, match="an object's time is that of its last write"):
        fs.touch(f"{tree}/a", truncate=False)
    assert fs.size(f"{tree}/a") == 3
    fs.touch(f"{tree}/a", truncate=True)
    assert fs.size(f"{tree}/a") == 0


def transaction(fs, tree, tmp_path):
    fs.start_transaction()
    fs.pipe_file(f"{tree}/x", b"1")
    fs.end_transaction()
    assert fs.cat_file(f"{tree}/x") == b"1"


def drawn(fs, tree, tmp_path):
    shown = {"max_display": 2, "display_size": True, "prefix": "|", "is_last": True, "indent_size": 2}
    told = fs.tree(path=tree, recursion_limit=3, **shown)
    assert "a (3B)" in told and "1 more item(s) not displayed" in told and told.startswith(tree)
    assert not fs.tree(tree, first=False).startswith(tree)


def ukey(fs, tree, tmp_path):
    assert fs.ukey(f"{tree}/a") == fs.ukey(f"{tree}/a") != fs.ukey(f"{tree}/b")


def unstrip_protocol(fs, tree, tmp_path):
    url = fs.unstrip_protocol(name=tree)
    assert url.endswith(f"://{tree}") and fs.unstrip_protocol(url) == url


def walk(fs, tree, tmp_path):
    told = [(path.removeprefix(tree), dirs, files) for path, dirs, files in fs.walk(tree)]
    assert told == [("", ["s"], ["a", "b"]), ("/s", ["t"], ["c"]), ("/s/t", [], ["e"])]
    assert [path for path, _, _ in fs.walk(tree, topdown=False)] == [f"{tree}/s/t", f"{tree}/s", tree]
    assert [path for path, _, _ in fs.walk(tree, maxdepth=1)] == [tree]
    assert [dirs["s"]["type"] for _, dirs, _ in fs.walk(tree, maxdepth=1, detail=True)] == ["directory"]
    failed = []
    assert list(fs.walk(f"{tree}/none", on_error=failed.append)) == [(f"{tree}/none", [], [])]
    assert [type(error).__mro__[1] for error in failed] and isinstance(failed[0], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        list(fs.walk(f"{tree}/none", on_error="raise"))
    for _, dirs, _ in fs.walk(tree):
        assert "t" not in dirs
        dirs.clear()


def aliases(fs, tree, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/a").write_bytes(b"1")
    fs.upload(str(tmp_path / "here"), f"{tree}/up", recursive=True)
    fs.download(f"{tree}/up", str(tmp_path / "back"), recursive=True)
    assert (tmp_path / "back/a").read_bytes() == b"1"
    fs.cp(f"{tree}/a", f"{tree}/c")
    fs.move(f"{tree}/c", f"{tree}/e")
    fs.rename(f"{tree}/e", f"{tree}/f")
    fs.write_bytes(f"{tree}/g", b"123")
    assert fs.read_bytes(f"{tree}/g", start=1, end=2) == b"2" and fs.lexists(f"{tree}/f")
    fs.delete(f"{tree}/up", recursive=True, maxdepth=1)
    assert fs.stat(f"{tree}/g")["size"] == 3 and fs.disk_usage(f"{tree}/g", total=True, maxdepth=1) == 3
    assert fs.listdir(tree, detail=False) == [f"{tree}/{name}" for name in "abfgs"]
    bucket = made(fs)
    fs.makedir(bucket, create_parents=True)
    fs.mkdirs(bucket, exist_ok=True)
    fs.rmdir(bucket)


def kinds(fs, tree, tmp_path):
    assert fs.isdir(tree) and not fs.isdir(f"{tree}/a") and fs.isfile(f"{tree}/a") and not fs.isfile(tree)


def instances(fs, tree, tmp_path):
    assert fs.current().scheme == fs.scheme
    fs.clear_instance_cache()
    assert fs.current() is not None


WORKS = {
    name: scenario
    for scenario, names in [
        (cat, "cat"),
        (cat_file, "cat_file"),
        (cat_ranges, "cat_ranges"),
        (checksum, "checksum"),
        (copy, "copy"),
        (cp_file, "cp_file"),
        (created, "created modified"),
        (du, "du"),
        (exists, "exists"),
        (expand_path, "expand_path"),
        (find, "find"),
        (get, "get"),
        (get_file, "get_file"),
        (get_mapper, "get_mapper"),
        (glob, "glob"),
        (head, "head tail"),
        (info, "info"),
        (invalidate_cache, "invalidate_cache"),
        (ls, "ls"),
        (mkdir, "mkdir"),
        (makedirs, "makedirs"),
        (mv, "mv"),
        (opened, "open"),
        (pipe, "pipe"),
        (pipe_file, "pipe_file"),
        (put, "put"),
        (put_file, "put_file"),
        (read_block, "read_block"),
        (text, "read_text write_text"),
        (rm, "rm"),
        (rm_file, "rm_file"),
        (rmdir, "rmdir"),
        (size, "size sizes"),
        (as_json, "to_json from_json to_dict from_dict"),
        (touch, "touch"),
        (transaction, "start_transaction end_transaction"),
        (drawn, "tree"),
        (ukey, "ukey"),
        (unstrip_protocol, "unstrip_protocol"),
        (walk, "walk"),
        (aliases, "upload download cp move rename write_bytes read_bytes lexists"),
        (aliases, "delete stat disk_usage listdir makedir mkdirs"),
        (kinds, "isdir isfile"),
        (instances, "current clear_instance_cache"),
    ]
    for name in names.split()
}

REFUSED = {
    "sign": (
        lambda fs, path: fs.sign(path, expiration=60),
        "storescope makes no signed URLs: .*(preauth-request|generate_presigned_url)",
    ),
    "open_async": (
        lambda fs, path: fsspec.asyn.sync(fs.loop, fs.open_async, path, mode="rb"),
        "no files of asyncio: await fs._cat_file",
    ),
}

ATTRIBUTES = {
    "async_impl": True,
    "blocksize": 4 << 20,
    "cachable": True,
    "disable_throttling": False,
    "mirror_sync_methods": True,
    "root_marker": "",
    "sep": "/",
    "transaction_type": Transaction,
}
OF_INSTANCES = {"fsid", "loop", "protocol", "transaction"}


def test_no_name_of_fsspec_is_undecided():
    public = {name for name in dir(AsyncFileSystem) if not name.startswith("_")}
    assert public == WORKS.keys() | REFUSED.keys() | ATTRIBUTES.keys() | OF_INSTANCES


@pytest.mark.parametrize("name", sorted(WORKS))
def test_each_method_works_with_each_of_its_arguments(plain, server, tree, tmp_path, name):
    fs = Watching(plain)
    fs.namespace_of_the_test = server.oci["namespace"]
    WORKS[name](fs, tree, tmp_path)
    assert fs.given.get(name, set()) == arguments(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(plain, tree, name):
    call, why = REFUSED[name]
    with pytest.raises(NotImplementedError, match=why):
        call(plain, f"{tree}/a")


def test_attributes(plain):
    assert {name: getattr(plain, name) for name in ATTRIBUTES} == ATTRIBUTES
    assert plain.fsid.startswith(plain.scheme) and plain.loop.is_running() and isinstance(plain.protocol, tuple)
    assert isinstance(plain.transaction, Transaction)


# Files.


def public(instance_or_class):
    return {name for name in dir(instance_or_class) if not name.startswith("_")}


class Nothing(AbstractBufferedFile):
    """fsspec's own file, to see what it has."""

    def _upload_chunk(self, final=False):
        return True


# The innards of how fsspec gathers what is written.
INNARDS = {"buffer", "forced", "location", "offset"}


@pytest.mark.parametrize("mode", ["rb", "wb", "ab", "xb"])
def test_files_have_all_that_those_of_fsspec_have(plain, root, mode):
    of_fsspec = Nothing(plain, f"{root}/k", mode, cache_type="none", size=0)
    plain.pipe_file(f"{root}/k", DATA)
    file = plain.open(f"{root}/{'x' if mode == 'xb' else 'k'}", mode)
    assert public(of_fsspec) - INNARDS <= public(file)
    assert not INNARDS & public(file)
    assert file.mode == of_fsspec.mode and file.DEFAULT_BLOCK_SIZE == of_fsspec.DEFAULT_BLOCK_SIZE
    for name in ("readable", "writable", "seekable"):
        assert getattr(file, name)() == getattr(of_fsspec, name)(), name
    assert (file.blocksize, file.kwargs, file.start, file.end, file.autocommit) == (5 << 20, {}, None, None, True)
    assert file.loc == file.tell() == (len(DATA) if mode == "ab" else 0)
    file.close()
    of_fsspec.close()
    for name in ("readable", "writable", "seekable"):
        assert getattr(file, name)() is getattr(of_fsspec, name)() is False, name
    with pytest.raises(ValueError):
        file.flush()


def test_a_file_that_is_read(plain, root, seen):
    path = f"{root}/k"
    plain.pipe_file(path, DATA, metadata={"run": "7"}, content_type="application/x-demo")
    with plain.open(path, block_size=100) as file:
        assert file.info() == file.details == plain.info(path)
        assert file.size == len(DATA) and file.full_name.endswith(f"://{path}") and path in repr(file)
        assert file.readuntil(b"\x0a") == DATA[:11] and file.loc == 11
        # Across the border of two blocks.
        assert file.readuntil(b"\x63\x64\x65", blocks=89) == DATA[11:102]
        file.loc = 3
        assert file.read(2) == b"\x03\x04"
        into = bytearray(10)
        assert file.readinto1(into) == 10 and into == DATA[5:15]
        assert file.readinto(memoryview(bytearray(12)).cast("I")) == 12
        assert file.seek(-6, os.SEEK_END) and file.readlines() == [DATA[-6:]]
        file.flush()
        file.flush(force=True)
        file.commit()
        file.discard()
        with pytest.raises(io.UnsupportedOperation):
            file.truncate(1)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with plain.open(path) as other:
            assert file == other and hash(file) == hash(other)
        assert file.metadata() == {"run": "7"} and file.getxattr("run") == "7"
        plain.pipe_file(path, DATA[1:])
        with plain.open(path) as other:
            assert file != other
        # Three openings, fs.info, metadata and getxattr: what the file says of itself it knew from its opening.
        assert sum(line["method"] == "HEAD" and root.partition("/")[2] in line["target"] for line in seen()) <= 6


def test_a_file_that_is_written(plain, root):
    path = f"{root}/k"
    with plain.open(path, "wb", block_size=100) as file:
        assert file.write(b"123") == 3 and file.loc == 3 and file.blocksize == 100
        file.flush()
        file.flush(force=True)
        with pytest.raises(ValueError, match="Info not available while writing"):
            file.info()
        for refused in (lambda: file.seek(0), lambda: file.read(1), lambda: file.truncate(0)):
            with pytest.raises(io.UnsupportedOperation):
                refused()
        with pytest.raises(FileNotFoundError):
            _ = file.details
        assert file != plain and hash(file)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(file)
    assert plain.cat_file(path) == b"123"


# fsspec leaves the file of an MMapCache to the garbage collector.
left_open = pytest.mark.filterwarnings(
    "ignore:.*FileIO:pytest.PytestUnraisableExceptionWarning", "ignore:unclosed file:ResourceWarning"
)


@left_open
@pytest.mark.parametrize("cache_type", sorted(set(fsspec.caching.caches) - {None}))
def test_a_cache_of_fsspec_reads_what_it_is_asked_to(plain, root, cache_type, seen):
    path = f"{root}/k"
    plain.pipe_file(path, DATA)
    options = {"data": {(0, 10): DATA[:10], (30, 50): DATA[30:50]}} if cache_type == "parts" else {}
    before = len(seen())
    with plain.open(path, block_size=1000, cache_type=cache_type, cache_options=options) as file:
        assert file.cache.name == cache_type
        assert file.read(10) == DATA[:10] and file.seek(30) == 30 and file.read(20) == DATA[30:50]
        if cache_type == "parts":
            assert [line["method"] for line in seen()[before:]] == ["HEAD"]
            return
        into = bytearray(100)
        assert file.seek(5000) and file.readinto(into) == 100 and into == DATA[5000:5100]
        assert file.readline() == DATA[5100:5131]
        file.seek(0)
        assert file.read() == DATA


@left_open
@pytest.mark.parametrize("chain", ["simplecache", "filecache", "blockcache"])
def test_the_caches_of_fsspec(plain, service, options, root, tmp_path, chain, seen):
    path = f"{root}/k"
    plain.pipe_file(path, DATA)
    target = {f"storescope+{service}": options, chain: {"cache_storage": str(tmp_path / "cache")}}
    for round_trip in range(2):
        before = len(seen())
        with fsspec.open(f"{chain}::storescope+{service}://{path}", **target) as file:
            file.seek(100)
            assert file.read(50) == DATA[100:150]
            file.seek(0)
            assert file.read() == DATA
        gets = [line for line in seen()[before:] if line["method"] == "GET"]
        assert bool(gets) == (round_trip == 0), "the second time it is there"
    if chain != "blockcache":
        with fsspec.open(f"{chain}::storescope+{service}://{path}", "wb", **target) as file:
            file.write(b"new")
        assert plain.cat_file(path) == b"new"


def test_keywords_that_would_be_ignored_are_refused(plain, root):
    path = f"{root}/k"
    plain.pipe_file(path, DATA)
    for call in (
        lambda: plain.open(path, version_id="1"),
        lambda: plain.open(path, "wb", ACL="private"),
        lambda: plain.open(path, "wb", ServerSideEncryption="aws:kms"),
        lambda: plain.pipe_file(path, b"", StorageClass="GLACIER"),
        lambda: plain.cp_file(path, path + "2", Tagging="a=b"),
        lambda: plain.metadata(path, version_id="1"),
        lambda: plain.rm(path, version_id="1"),
    ):
        with pytest.raises(TypeError, match="storescope has no option"):
            call()
    assert plain.cat_file(path) == DATA
    with plain.open(path, fill_cache=False) as file:
        assert file.read(1) == b"\0"


def test_no_secret_is_in_a_description_without_password():
    fs = fsspec.filesystem(
        "storescope+s3",
        key="AKID",
        secret="hidden-1",
        secret_access_key="hidden-2",
        client_kwargs={"aws_secret_access_key": "hidden-3"},
        endpoint="http://127.0.0.1:1",
    )
    assert "hidden-1" in fs.to_json() and "hidden-3" in fs.to_json()
    told = fs.to_json(include_password=False)
    assert "hidden" not in told and "127.0.0.1:1" in told


def test_paths_of_pathlib(plain, root, tree):
    path = Path(tree) / "a"
    assert plain.cat_file(path) == b"d/a" and plain.exists(path) and path in plain
    assert plain.cat(path) == b"d/a"
    plain.mv(path, Path(tree) / "x")
    assert f"{tree}/a" not in plain and f"{tree}/x" in plain
    plain.rm(Path(tree) / "x")
    assert not plain.exists(f"{tree}/x")


def test_the_errors_are_ours(plain, tree):
    assert isinstance(storescope.BucketNotFoundError(), OSError)
    with pytest.raises(IsADirectoryError, match="this is a directory, and no object"):
        plain.open(tree)
    for mode in ("r+b", "rt"):
        with pytest.raises(IsADirectoryError):
            plain.open(tree, mode)
