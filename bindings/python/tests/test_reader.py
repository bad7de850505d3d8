# SPDX-License-Identifier: Apache-2.0
"""Readers: ranges by callback, each told exactly once, whatever happens."""

from __future__ import annotations

import collections
import queue
import threading

import pytest

import storescope

DATA = bytes(range(256)) * 8000


@pytest.fixture
def reader(store):
    store.put("k", DATA)
    with store.reader("k") as reader:
        yield reader


class Told:
    """What `on_part` was told."""

    def __init__(self, count):
        self.results = collections.defaultdict(list)
        self.threads = set()
        self.left = threading.Semaphore(0)
        self.count = count

    def __call__(self, index, result):
        self.results[index].append(result)
        self.threads.add(threading.current_thread())
        self.left.release()

    def all(self):
        """Each range's result, once all were told."""
        for _ in range(self.count):
            assert self.left.acquire(timeout=30), f"{len(self.results)} of {self.count} ranges were told"
        assert sorted(self.results) == list(range(self.count))
        assert all(len(results) == 1 for results in self.results.values())
        return [self.results[index][0] for index in range(self.count)]


def test_reads(reader):
    assert reader.read_at(1000, 2000) == DATA[1000:2000]
    assert reader.size == len(DATA) and reader.etag
    room = bytearray(500)
    assert reader.read_into(7, room) == 500 and room == DATA[7:507]
    assert reader.read_into(len(DATA) - 3, room) == 3 and room[:3] == DATA[-3:]
    assert reader.read_into(len(DATA), room) == 0
    with pytest.raises(BufferError):
        reader.read_into(0, b"constant")
    with pytest.raises(ValueError, match="policy"):
        storescope.open_store("s3://b/").reader("k", policy="clever")


def test_each_range_is_told_once_from_another_thread(reader):
    ranges = [(start, start + 1000) for start in range(0, 2_000_000, 9_000)]
    told = Told(len(ranges))
    reader.read_ranges(ranges, told)
    assert all(result == DATA[a:b] for result, (a, b) in zip(told.all(), ranges, strict=True))
    assert threading.main_thread() not in told.threads


def test_overlapping_empty_and_impossible_ranges(reader):
    told = Told(5)
    reader.read_ranges([(0, 10), (5, 15), (7, 7), (len(DATA) + 5, len(DATA) + 9), (9, 3)], told)
    one, two, none, past, reversed_ = told.all()
    assert (one, two, none) == (DATA[0:10], DATA[5:15], b"")
    assert isinstance(past, ValueError) and isinstance(reversed_, ValueError)


def test_a_missing_object_is_told_to_each_range(store):
    told = Told(3)
    store.reader("no such key").read_ranges([(0, 10), (20, 30), (1_000_000, 1_000_001)], told)
    assert all(isinstance(result, FileNotFoundError) for result in told.all())


def test_a_failing_callback_stops_nobody(reader, monkeypatch):
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda about: unraisable.append(about.exc_value))
    told = Told(20)

    def on_part(index, result):
        told(index, result)
        raise ZeroDivisionError

    reader.read_ranges([(n * 50_000, n * 50_000 + 10) for n in range(20)], on_part)
    told.all()
    after = Told(1)
    reader.read_ranges([(0, 1)], after)
    after.all()
    assert [type(error) for error in unraisable] == [ZeroDivisionError] * 20


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_what_is_given_up_is_told(server, store, end):
    store.put("k", DATA)
    server.fault({"method": "GET", "contains": store.url.split("/")[-2], "count": 1, "action": {"delay": {"ms": 60_000}}})
    reader = store.reader("k")
    told = Told(2)
    reading = reader.read_ranges([(0, 10), (20, 30)], told)
    reading.cancel() if end == "cancel" else reader.close()
    results = told.all()
    assert all(isinstance(result, OSError) for result in results)
    if end == "close":
        assert all("is closed" in str(result) for result in results)
    else:
        assert {result.kind for result in results} == {"cancelled"}


def test_a_closed_reader(reader):
    reader.close()
    reader.close()
    for read in [
        lambda: reader.read_at(0, 1),
        lambda: reader.size,
        lambda: reader.hint([(0, 1)]),
        lambda: reader.read_ranges([(0, 1)], print),
    ]:
        with pytest.raises(OSError, match="is closed"):
            read()


def test_hinted_bytes_cost_no_request_more(reader, seen):
    reader.read_at(0, 1)
    # No run and no stride: nothing else is foreseen.
    ranges = [(n * n * 5000, n * n * 5000 + 1000) for n in range(20)]
    reader.hint(ranges)
    assert [reader.read_at(*span) for span in ranges] == [DATA[a:b] for a, b in ranges]
    asked = [line for line in seen() if line["method"] == "GET"]
    assert len(asked) <= len(ranges) + 1


def test_an_object_that_changes_is_an_error(store):
    store.put("k", DATA)
    reader = store.reader("k", policy="random")
    assert reader.read_at(0, 10) == DATA[:10]
    store.put("k", DATA[::-1])
    with pytest.raises(storescope.ObjectChangedError):
        reader.read_at(1_500_000, 1_500_010)


def test_threads_share_a_reader(reader):
    failed = queue.SimpleQueue()

    def read(begin):
        for start in range(begin, len(DATA), 40_000):
            if reader.read_at(start, start + 100) != DATA[start : start + 100]:
                failed.put(start)

    threads = [threading.Thread(target=read, args=(n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed.empty()
