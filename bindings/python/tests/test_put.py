# SPDX-License-Identifier: Apache-2.0
"""What may be written as an object, and what is kept with it."""

from __future__ import annotations

import array
import asyncio
import io
import subprocess

import fsspec
import numpy
import pytest

from storescope import Buffer

DATA = bytes(range(256)) * 40
HEADERS = {
    "content_type": "text/x-demo",
    "content_encoding": "x-demo",
    "content_language": "de, en",
    "content_disposition": 'attachment; filename="a b.txt"',
    "cache_control": "max-age=60, private",
    "metadata": {"run": "7", "where": "Zürich"},
}


@pytest.fixture
def fs(service, options):
    return fsspec.filesystem(f"storescope+{service}", **options)


@pytest.fixture
def root(store):
    return store.url.partition("://")[2].rstrip("/")


def kept(meta):
    return {name: getattr(meta, name) for name in HEADERS}


BUFFERS = {
    "bytes": DATA,
    "bytearray": bytearray(DATA),
    "memoryview": memoryview(DATA),
    "part of a memoryview": memoryview(b"x" + DATA + b"x")[1:-1],
    "every second byte": memoryview(bytes(one for byte in DATA for one in (byte, 0)))[::2],
    "Buffer": Buffer(DATA),
    "array": array.array("B", DATA),
    "numpy": numpy.frombuffer(DATA, "<u4"),
    "numpy of two dimensions": numpy.frombuffer(DATA, "u1").reshape(40, 256),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_what_has_a_buffer_is_written(store, fs, root, kind):
    assert store.put("put", BUFFERS[kind]).size == len(DATA)
    with store.writer("writer") as writer:
        assert writer.write(BUFFERS[kind]) == len(DATA)
    fs.pipe_file(f"{root}/pipe", BUFFERS[kind])
    fs.pipe({f"{root}/pipes": BUFFERS[kind]})
    with fs.open(f"{root}/open", "wb") as file:
        file.write(BUFFERS[kind])
    for key in ("put", "writer", "pipe", "pipes", "open"):
        assert store.get(key) == DATA, key


class Reading(io.RawIOBase):
    """A file that gives little at once, and may fail."""

    def __init__(self, data, fails=False):
        self.beneath, self.fails = io.BytesIO(data), fails

    def readable(self):
        return True

    def readinto(self, into):
        if self.fails and self.beneath.tell() > 5000:
            raise OSError("the disk is broken")
        return self.beneath.readinto(memoryview(into)[:1000])


def test_paths_and_files_are_written(store, tmp_path):
    path = tmp_path / "here"
    path.write_bytes(DATA * 1000)
    large = DATA * 1000

    async def put_async(key, data, **about):
        return await store.put_async(key, data, **about)

    for put in (store.put, lambda *args, **about: asyncio.run(put_async(*args, **about))):
        meta = put("path", path, **HEADERS)
        assert (meta.key, meta.size) == ("path", len(large)) and store.get("path") == large
        assert kept(store.head("path")) == HEADERS
        with path.open("rb") as file:
            file.seek(7)
            assert put("file", file, **HEADERS).size == len(large) - 7 and store.get("file") == large[7:]
        assert kept(store.head("file")) == HEADERS
        assert put("BytesIO", io.BytesIO(DATA)).size == len(DATA) and store.get("BytesIO") == DATA
        assert put("raw", Reading(DATA)).size == len(DATA) and store.get("raw") == DATA
        assert put("empty", io.BytesIO()).size == 0
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as child:
            assert put("pipe", child.stdout).size == len(large) and store.get("pipe") == large
        with pytest.raises(FileExistsError):
            put("path", path, mode="create")
        with pytest.raises(FileExistsError):
            put("path", io.BytesIO(DATA), mode="create")
        assert store.get("path") == large


def test_what_fails_leaves_the_object_as_it_was(store, tmp_path):
    store.put("k", b"old")
    with pytest.raises(OSError, match="the disk is broken"):
        store.put("k", Reading(DATA, fails=True))
    with pytest.raises(OSError, match="cannot be opened"):
        store.put("k", tmp_path / "none")
    with pytest.raises(OSError):
        store.put("k", tmp_path)
    with pytest.raises(TypeError):
        store.put("k", io.StringIO("text"))
    assert store.get("k") == b"old"


def test_what_cannot_be_meant_is_refused(store, fs, root, tmp_path):
    for wrong in ("text", str(tmp_path), 7, None, [b"x"], {"a": 1}):
        with pytest.raises(TypeError, match="expected a bytes-like object, an os.PathLike or a binary file, not"):
            store.put("k", wrong)
        with pytest.raises(TypeError, match="bytes-like object"):
            with store.writer("k") as writer:
                writer.write(wrong)
        with pytest.raises(TypeError, match="expected bytes, not str|bytes-like object"):
            fs.pipe_file(f"{root}/k", wrong)
    assert not store.exists("k")


# What is kept with an object.


def test_all_headers_are_written_and_told(store, fs, root):
    writers = {
        "put": lambda key: store.put(key, DATA, **HEADERS),
        "writer": lambda key: closed(store.writer(key, **HEADERS)),
        "open": lambda key: closed(store.open(key, "wb", **HEADERS)),
        "fs": lambda key: closed(fs.open(f"{root}/{key}", "wb", **HEADERS)),
        "pipe": lambda key: fs.pipe_file(f"{root}/{key}", DATA, **HEADERS),
        "s3fs": lambda key: fs.pipe_file(
            f"{root}/{key}", DATA, **{name.title().replace("_", ""): value for name, value in HEADERS.items()}
        ),
    }
    for key, write in writers.items():
        write(key)
        assert kept(store.head(key)) == HEADERS, key
    told = store.head("put").as_dict()
    assert {name: told[name] for name in HEADERS} == HEADERS
    with store.open("put") as file:
        assert file.read(4) == DATA[:4], "a content coding is never decoded"


def closed(writer):
    with writer:
        writer.write(DATA)


def test_appending_keeps_what_is_kept_with_an_object(store, fs, root):
    store.put("k.txt", b"one", **HEADERS)
    with fs.open(f"{root}/k.txt", "ab") as file:
        file.write(b", two")
    with fs.open(f"{root}/k.txt", "at") as file:
        file.write(", three")
    assert store.get("k.txt") == b"one, two, three" and kept(store.head("k.txt")) == HEADERS
    # What is said goes before it.
    with fs.open(f"{root}/k.txt", "ab", content_type="text/csv") as file:
        file.write(b".")
    assert kept(store.head("k.txt")) == {**HEADERS, "content_type": "text/csv"}
    # One that is not there is made.
    with fs.open(f"{root}/new.txt", "ab") as file:
        file.write(b"1")
    assert store.head("new.txt").content_type == "text/plain"


def test_appending_to_what_changes_meanwhile_is_an_error(store, fs, root):
    store.put("k", b"one")
    with pytest.raises(OSError, match="condition does not hold"):
        with fs.open(f"{root}/k", "ab") as file:
            file.write(b", two")
            store.put("k", b"other")
    assert store.get("k") == b"other"


GUESSED = {
    "a.csv": "text/csv",
    "d.x/a.JSON": "application/json",
    "a.html": "text/html",
    "a.tar.gz": "application/gzip",
    "a.csv.gz": "application/gzip",
    "a.csv.bz2": "application/x-bzip2",
    "a.xz": "application/x-xz",
    "a.txt.Z": "application/octet-stream",
    "a.root": "application/octet-stream",
    "a": "application/octet-stream",
    "csv": "application/octet-stream",
    "data:text.csv": "text/csv",
}


def test_the_content_type_is_guessed_by_the_name_and_what_is_said_wins(store, fs, root, tmp_path):
    (tmp_path / "here.bin").write_bytes(b"1")
    for key, expected in GUESSED.items():
        path = f"{root}/{key}"
        fs.pipe_file(path, b"1")
        told = [store.head(key).content_type]
        fs.put_file(tmp_path / "here.bin", path)
        told.append(store.head(key).content_type)
        with fs.open(path, "wb") as file:
            file.write(b"1")
        told.append(store.head(key).content_type)
        fs.touch(path)
        told.append(store.head(key).content_type)
        assert told == [expected] * 4, key
        fs.pipe_file(path, b"1", content_type="x/y")
        assert store.head(key).content_type == "x/y" == fs.info(path)["ContentType"]
    # A store guesses nothing.
    assert store.put("b.csv", b"1").content_type == "application/octet-stream"


def test_user_metadata_is_read_as_s3fs_does(store, fs, root):
    store.put("k", b"1", metadata={"Run": "7", "my-tag": "x"})
    path = f"{root}/k"
    assert fs.metadata(path) == {"run": "7", "my-tag": "x"} == fs.metadata(path, refresh=True)
    assert fs.getxattr(path, "run") == "7" and fs.getxattr(path, "my_tag") == "x" and fs.getxattr(path, "none") is None
    with pytest.raises(FileNotFoundError):
        fs.metadata(f"{root}/none")
    with pytest.raises(NotImplementedError, match="the metadata of an object that is there: write it anew"):
        fs.setxattr(path, run="8")
    with fs.open(path) as file, pytest.raises(NotImplementedError, match="write it anew"):
        file.setxattr(run="8")
    # As it says.
    fs.pipe_file(path, fs.cat_file(path), metadata={**fs.metadata(path), "run": "8"})
    assert fs.getxattr(path, "run") == "8"


def test_signed_urls_are_refused_with_what_to_do_instead(fs, service, root):
    fs.pipe_file(f"{root}/k", b"1")
    instead = {"oci": "oci os preauth-request create", "s3": "generate_presigned_url"}[service]
    with fs.open(f"{root}/k") as file:
        for call in (lambda: fs.sign(f"{root}/k"), lambda: fs.url(f"{root}/k", expires=60), file.url):
            with pytest.raises(NotImplementedError, match=f"storescope makes no signed URLs: .*{instead}"):
                call()


def test_a_str_is_neither_text_nor_path(store):
    with pytest.raises(TypeError, match=r"not str: encode a text, name a file by pathlib.Path"):
        store.put("k", "/etc/hostname")
