# SPDX-License-Identifier: Apache-2.0
"""Stores: reads, writes, listings, errors, pickles."""

from __future__ import annotations

import copy
import datetime
import pickle

import pytest

import storescope

DATA = bytes(range(256)) * 400


def test_what_was_put_is_got(store, seen):
    told = store.put("a b/ü.bin", DATA, content_type="text/x", metadata={"run": "7"})
    got = store.get("a b/ü.bin")
    assert isinstance(got, storescope.Buffer) and got == DATA and bytes(got) == DATA
    assert told.etag and store.head("a b/ü.bin").etag == told.etag
    head = store.head("a b/ü.bin")
    assert (head.key, head.size, head.content_type, head.metadata) == ("a b/ü.bin", len(DATA), "text/x", {"run": "7"})
    age = datetime.datetime.now(datetime.UTC) - head.last_modified
    assert abs(age) < datetime.timedelta(minutes=5)
    agents = {line["user_agent"] for line in seen()}
    assert agents == {f"storescope/{storescope.__version__} (python)"}


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, storescope.Buffer])
def test_anything_with_a_buffer_can_be_put(store, make):
    data = make(DATA)
    store.put("k", data)
    assert store.get("k") == DATA
    if isinstance(data, bytearray):
        data.append(0)  # nobody holds it any more


def test_what_is_no_buffer_cannot_be_put(store):
    with pytest.raises(TypeError, match="bytes-like"):
        store.put("k", "text")


def test_ranges(store):
    store.put("k", DATA)
    assert store.get_range("k", 3, 10) == DATA[3:10]
    assert store.get_range("k", 3) == DATA[3:]
    assert store.get_range("k", -5) == DATA[-5:]
    assert store.get_range("k", 5, 5) == b""
    assert store.get_range("k", len(DATA) - 2, len(DATA) + 100) == DATA[-2:]
    ranges = [(90_000, 90_100), (0, 10), (5, 7), (50_000, 51_000)]
    assert store.get_ranges("k", ranges) == [DATA[start:stop] for start, stop in ranges]
    with pytest.raises(ValueError, match="past the end"):
        store.get_range("k", len(DATA), len(DATA) + 1)
    with pytest.raises(ValueError, match="reversed"):
        store.get_range("k", 7, 3)


def test_a_listing(store):
    for name in ["a", "d/1", "d/2", "e"]:
        store.put(name, b"x")
    assert [entry.key for entry in store.list()] == ["a", "d/1", "d/2", "e"]
    rolled = [entry if isinstance(entry, str) else entry.key for entry in store.list(delimiter=True)]
    assert rolled == ["a", "d/", "e"]
    assert [entry.key for entry in store.list("d/", start_after="d/1")] == ["d/2"]
    assert [entry.key for entry in store.list(limit=2)] == ["a", "d/1"]
    assert [entry.size for entry in store.list("a")] == [1]


def test_conditional_writes(store):
    first = store.put("k", b"1", mode="create")
    with pytest.raises(FileExistsError) as refused:
        store.put("k", b"2", mode="create")
    assert refused.value.kind == "already_exists"
    second = store.put("k", b"2", mode={"update": first.etag})
    with pytest.raises(storescope.PreconditionError):
        store.put("k", b"3", mode={"update": first.etag})
    assert store.get("k", if_match=second.etag) == b"2"
    with pytest.raises(TypeError, match="mode"):
        store.put("k", b"3", mode="append")


def test_moves(store, bucket, options):
    store.put("k", DATA)
    assert store.copy("k", "copy").size == len(DATA)
    assert store.rename("copy", "renamed").key == "renamed"
    assert [entry.key for entry in store.list()] == ["k", "renamed"]
    other = storescope.open_store(bucket + "elsewhere-", **options)
    store.copy("k", "k", to=other)
    assert other.get("k") == DATA
    assert store.delete_many(["k", "renamed"]) == [("k", None), ("renamed", None)]
    assert list(store.list()) == []


def test_a_missing_object_tells_what_was_asked(store, service):
    with pytest.raises(FileNotFoundError) as missing:
        store.get("no such key")
    error = missing.value
    assert isinstance(error, storescope.StoreError)
    assert (error.kind, error.operation, error.status, error.attempts) == ("not_found", "get", 404, 1)
    assert error.request_id and error.object.endswith("no such key") and "check the name" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert (again.request_id, again.errno, again.attempts) == (error.request_id, error.errno, 1)
    if service == "oci":
        with pytest.raises(FileNotFoundError):
            store.delete("no such key")


def test_a_wrong_key_is_a_permission_error(server, bucket, service, options):
    wrong = {"profile": "WRONG"} if service == "oci" else {"secret_access_key": "wrong"}
    with pytest.raises(PermissionError) as refused:
        storescope.open_store(bucket, **{**options, **wrong}).get("k")
    assert refused.value.status == (401 if service == "oci" else 403)
    if service == "s3":
        assert "wrong" not in str(refused.value)


def test_nobody_there_is_an_oserror_that_counts_its_attempts(bucket, options):
    elsewhere = {**options, "endpoint": "http://127.0.0.1:1", "attempts": 2, "backoff_base": 0.001}
    with pytest.raises(storescope.StoreError) as failed:
        storescope.open_store(bucket, **elsewhere).get("k")
    assert (failed.value.kind, failed.value.attempts) == ("connect", 2)
    assert failed.value.__notes__


def test_options_are_checked(bucket):
    with pytest.raises(TypeError, match="no option \"regoin\""):
        storescope.open_store(bucket, regoin="x")
    with pytest.raises(ValueError, match="attempts"):
        storescope.open_store(bucket, attempts="many")
    with pytest.raises(ValueError, match="store URL"):
        storescope.open_store("no url")
    assert {row["name"] for row in storescope.settings()} >= {"endpoint", "region", "attempts", "read_budget"}


def test_stores_and_readers_pickle_by_what_they_were_given(store, options):
    store.put("k", DATA)
    again = pickle.loads(pickle.dumps(store))
    assert again == store and hash(again) == hash(store) and again.get("k") == DATA
    assert copy.copy(store) == store
    with store.reader("k", size=len(DATA)) as reader:
        another = pickle.loads(pickle.dumps(reader))
    assert another.read_at(1, 5) == DATA[1:5]
    secret = options.get("secret_access_key")
    given = storescope.open_store(store.url, **{n: v for n, v in options.items() if n != "secret_access_key"})
    if secret:
        assert secret.encode() not in pickle.dumps(given)


def test_buffers(store):
    store.put("k", DATA)
    buffer = store.get("k")
    view = memoryview(buffer)
    assert view.readonly and view.nbytes == len(buffer) == len(DATA)
    assert buffer[0] == 0 and buffer[-1] == 255 and buffer[1:4] == b"\1\2\3" and buffer[4:2] == b""
    assert buffer == bytearray(DATA) and buffer != DATA[1:] and buffer != "text" and buffer != 7
    assert pickle.loads(pickle.dumps(buffer)) == DATA
    with pytest.raises(IndexError):
        buffer[len(DATA)]
    assert buffer[::2] == DATA[::2] and buffer[::-1] == DATA[::-1] and buffer[9:2:-3] == DATA[9:2:-3]
    with pytest.raises(TypeError):
        view[0] = 1
    del buffer
    assert bytes(view) == DATA


def test_files(store):
    with store.open("k", "wb") as file:
        for at in range(0, len(DATA), 1000):
            assert file.write(DATA[at : at + 1000]) == len(DATA[at : at + 1000])
        assert file.tell() == len(DATA)
        assert list(store.list()) == []
    with store.open("k") as file:
        assert file.read(3) == DATA[:3] and file.tell() == 3
        room = bytearray(10)
        assert file.readinto(room) == 10 and room == DATA[3:13]
        assert file.seek(-4, 2) == len(DATA) - 4
        assert file.read() == DATA[-4:] and file.read() == b"" and file.readinto(room) == 0
        assert file.seek(5) == 5 and file.seek(2, 1) == 7
        with pytest.raises(ValueError):
            file.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_a_write_that_fails_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError):
        with store.open("k", "wb") as file:
            file.write(DATA)
            1 / 0
    with pytest.raises(ZeroDivisionError):
        with store.writer("k") as writer:
            writer.write(DATA)
            1 / 0
    with pytest.raises(OSError, match="closed"):
        writer.write(DATA)
    dropped = store.open("k", "wb")
    dropped.write(DATA)
    del dropped
    assert list(store.list()) == []


def test_a_write_by_parts(store, bucket, options, seen):
    large = storescope.open_store(store.url, **{**options, "part_size": "5MiB"})
    block = DATA * 30
    with large.writer("k") as writer:
        for _ in range(4):
            writer.write(block)
    assert store.head("k").size == 4 * len(block)
    assert store.get("k") == block * 4
    assert sum(line["method"] == "PUT" and line["bytes_in"] > 1000 for line in seen()) >= 3
