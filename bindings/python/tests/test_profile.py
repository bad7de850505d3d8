# SPDX-License-Identifier: Apache-2.0
"""Profiles: counted as the server counts, apart in threads, added up, saved."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

import storescope

DATA = bytes(range(256)) * 4000


def test_a_profile_counts_what_the_server_saw(store, seen):
    store.put("k", DATA)
    before = len(seen())
    with storescope.profile("reads") as profile:
        store.get("k")
        store.get_ranges("k", [(0, 100), (500_000, 500_100)])
        store.head("k")
    store.get("k")
    lines = seen()[before:-1]
    assert profile.requests == len(lines)
    assert profile.bytes_received == sum(line["bytes_out"] for line in lines if line["method"] == "GET")
    assert profile.bytes_asked == 200 and profile.bytes_wasted == 0
    assert 0 < profile.caller_wait < 10


def test_the_table(store):
    with storescope.profile("puts") as profile:
        store.put("k", DATA)
        store.get("k")
    table = profile.table()
    assert {row["operation"] for row in table} == {"put", "get"}
    (total,) = [row for row in table if (row["operation"], row["phase"]) == ("get", "total")]
    assert total["count"] == 1 and 0 < total["p50"] <= total["p99"] and total["mean"] == total["sum"]
    assert str(table).startswith("puts: 2 requests, ") and "ttfb" in str(table)
    assert "2 requests" in repr(profile)


def test_a_reader_older_than_its_profile(store):
    store.put("k", DATA)
    reader = store.reader("k")
    reader.read_at(0, 10)
    with storescope.profile() as profile:
        reader.read_at(500_000, 500_010)
    reader.read_at(900_000, 900_010)
    assert profile.requests == 1


def test_two_at_once_do_not_mix(store):
    store.put("k", DATA)
    profiles = {}
    turn = threading.Barrier(2)

    def work(count):
        with storescope.profile(str(count)) as profile:
            turn.wait()
            for _ in range(count):
                store.head("k")
            turn.wait()
        profiles[count] = profile

    threads = [threading.Thread(target=work, args=(count,)) for count in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {count: profile.requests for count, profile in profiles.items()} == {3: 3, 5: 5}


def test_tasks_and_fsspec_inherit(store, service, options):
    store.put("k", DATA)

    async def work():
        async def one(count):
            with storescope.profile() as profile:
                await asyncio.gather(*(store.head_async("k") for _ in range(count)))
            return profile.requests

        return await asyncio.gather(one(2), one(4))

    assert asyncio.run(work()) == [2, 4]
    fs = fsspec.filesystem(f"storescope+{service}", **options)
    with storescope.profile() as profile:
        fs.cat_file(store.url.partition("://")[2] + "k")
    assert profile.requests == 1


def test_one_inside_another_records_in_both(store):
    store.put("k", DATA)
    with storescope.profile("outer") as outer:
        store.head("k")
        with storescope.profile("inner") as inner:
            store.head("k")
    assert (outer.requests, inner.requests) == (2, 1)


def test_profiles_add_up_and_travel(store, tmp_path):
    store.put("k", DATA)
    profiles = []
    for count in (1, 2):
        with storescope.profile() as profile:
            for _ in range(count):
                store.get("k")
        profiles.append(pickle.loads(pickle.dumps(profile)))
    both = sum(profiles, start=storescope.Profile())
    assert both.requests == 3 and both.bytes_received == 3 * len(DATA)
    both.save(tmp_path / "run.hlog")
    read = storescope.Profile.load(tmp_path / "run.hlog")
    assert read.bytes_received == both.bytes_received and read.snapshot().rows() == both.snapshot().rows()
    with pytest.raises(ValueError, match="log"):
        storescope.Snapshot("no log")


def test_a_report_is_looked_at_in_a_page_a_notebook_and_a_plot(store, tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    store.put("k", DATA)
    with storescope.profile("a < b") as profile:
        for _ in range(20):
            store.get("k")
    profile.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    cell = profile._repr_html_()
    for told in (page, cell):
        assert "a &lt; b" in told and "20 requests" in told and "<polyline" in told and "<script" not in told
    assert page.startswith("<!doctype html>") and not cell.startswith("<!doctype")
    assert len(cell) < 100_000
    axes = profile.plot()
    assert [line.get_label() for line in axes.lines] == ["first byte", "whole request"]
    assert profile.plot(axes, operation="put") is axes and len(axes.lines) == 2
    assert "No request" in storescope.Profile()._repr_html_()


def test_snapshots(store):
    scope = storescope.Scope("mine")
    mine = pickle.loads(pickle.dumps(store))
    mine = storescope.Store(store.url, scope=scope, **store.__reduce__()[1][1])
    mine.put("k", DATA)
    earlier = scope.snapshot()
    mine.get("k")
    rest = scope.snapshot().since(earlier)
    assert (earlier.requests, rest.requests, rest.bytes_sent, earlier.bytes_sent) == (1, 1, 0, len(DATA))
    assert rest.quantile(0.5) > 0 and rest.quantile(0.5, "ttfb", "put") is None
    assert sum(count for _, _, count in rest.buckets("total")) == 1
    with pytest.raises(FileNotFoundError):
        mine.get("none")
    assert scope.snapshot().failures == {"not_found": 1}
    with pytest.raises(ValueError, match="phase"):
        rest.quantile(0.5, "thinking")


def test_what_other_threads_do_is_counted_and_told(store):
    store.put("k", DATA)
    with storescope.profile("pool") as profile, ThreadPoolExecutor(4) as pool:
        store.head("k")
        list(pool.map(store.get, ["k"] * 10))
    store.head("k")
    assert (profile.requests, profile.unrecorded) == (1, 10)
    told = "not recorded: 10 calls made meanwhile by other threads or tasks, in no profile; profile(threads=True) records them"
    assert str(profile.table()).splitlines()[1] == told and told in profile._repr_html_()
    assert "10 calls not recorded" in repr(profile)
    assert pickle.loads(pickle.dumps(profile)).unrecorded == 10
    assert (profile + profile).unrecorded == 20
    with storescope.profile() as alone:
        store.head("k")
    assert alone.unrecorded == 0 and "not recorded" not in str(alone.table()) + repr(alone) + alone._repr_html_()


def test_a_report_tells_it_too(store, tmp_path):
    with storescope.profile() as profile, ThreadPoolExecutor(1) as pool:
        pool.submit(store.list().__next__).exception()
        pool.submit(list, store.list()).result()
        pool.submit(store.put, "k", b"").result()
    profile.report(tmp_path / "report.html")
    assert "not recorded: 1 call made" in (tmp_path / "report.html").read_text()


def test_a_function_is_wrapped_into_a_profile(store):
    store.put("k", DATA)
    with storescope.profile() as profile, ThreadPoolExecutor(4) as pool:
        wrapped = profile.wrap(store.get)
        assert [len(data) for data in pool.map(wrapped, ["k"] * 10)] == [len(DATA)] * 10
        thread = threading.Thread(target=profile.wrap(store.head), args=("k",))
        thread.start()
        thread.join()
    assert (profile.requests, profile.unrecorded) == (11, 0)

    @profile.wrap
    def fails(name, *, times=1):
        """Its words."""
        raise KeyError(name * times)

    with pytest.raises(KeyError, match="xx"):
        fails("x", times=2)
    assert (fails.__name__, fails.__doc__) == ("fails", "Its words.")


def test_all_threads_are_recorded_where_that_is_asked_for(store, service, options):
    store.put("k", DATA)
    older = ThreadPoolExecutor(2)
    older.submit(store.head, "k").result()
    with storescope.profile(threads=True) as profile, ThreadPoolExecutor(2) as pool:
        store.head("k")
        list(pool.map(store.get, ["k"] * 5))
        older.submit(store.head, "k").result()
        with storescope.profile() as inner:
            store.head("k")

        def nested():
            with storescope.profile() as own:
                store.head("k")
            return own.requests

        assert pool.submit(nested).result() == 1

        async def in_executors():
            loop = asyncio.get_running_loop()
            await asyncio.gather(loop.run_in_executor(older, store.head, "k"), asyncio.to_thread(store.head, "k"))

        asyncio.run(in_executors())
        fs = fsspec.filesystem(f"storescope+{service}", **options)
        pool.submit(fs.cat_file, store.url.partition("://")[2] + "k").result()
        assert list(storescope._profile._OF_ALL_THREADS) == [profile._scope]
    older.submit(store.head, "k").result()
    older.shutdown()
    assert (profile.requests, inner.requests, profile.unrecorded) == (12, 1, 0)
    assert storescope._profile._OF_ALL_THREADS == []


def test_what_carries_the_context_is_recorded_and_what_does_not_is_counted(store):
    store.put("k", DATA)

    async def work():
        loop = asyncio.get_running_loop()
        with storescope.profile() as profile:
            await asyncio.to_thread(store.head, "k")
            await asyncio.create_task(head())
            await loop.run_in_executor(None, store.head, "k")
        return profile

    async def head():
        return await store.head_async("k")

    profile = asyncio.run(work())
    assert (profile.requests, profile.unrecorded) == (2, 1)


def test_one_profile_is_entered_by_many_threads(store):
    store.put("k", DATA)
    profile = storescope.Profile("shared")
    turn = threading.Barrier(4)

    def work():
        with profile:
            turn.wait()
            store.head("k")
            turn.wait()
        store.head("k")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert profile.requests == 4


def test_a_profile_is_left_in_another_context(store):
    store.put("k", DATA)
    profile = storescope.profile()
    contextvars.copy_context().run(profile.__enter__)
    contextvars.copy_context().run(profile.__exit__, None, None, None)
    store.head("k")
    assert (profile.requests, profile.unrecorded) == (0, 0)


def test_a_reader_that_outlives_its_profile(store):
    store.put("k", DATA)
    with storescope.profile() as profile:
        reader = store.reader("k", policy="random")
        reader.read_at(0, 10)
    reader.read_at(500_000, 500_010)
    with storescope.profile() as other:
        reader.read_at(900_000, 900_010)
    assert (profile.requests, other.requests) == (1, 1)


def test_sums(store):
    store.put("k", DATA)
    with storescope.profile("one") as profile:
        store.get("k")
    seen = profile.snapshot()
    assert sum([profile, profile]).requests == 2 and sum([profile]).name == "one"
    assert sum([seen, seen]).requests == 2 and sum([seen]) == seen
    for mixed in (profile + seen, seen + profile, sum([seen, profile]), sum([profile, seen])):
        assert isinstance(mixed, storescope.Profile) and (mixed.requests, mixed.name) == (2, "one")
    for other in (1, 0.0, None, "x", [], True):
        for left, right in ((profile, other), (other, profile), (seen, other), (other, seen)):
            with pytest.raises(TypeError):
                left + right


def test_buckets_are_recorded(server, service, options):
    url = f"oci://@{server.oci['namespace']}" if service == "oci" else "s3://"
    with storescope.profile() as profile:
        storescope.list_buckets(url, **options)
    assert (profile.requests, profile.unrecorded) == (1, 0)
    assert [row["operation"] for row in profile.table()][:1] == ["list_buckets"]


@pytest.mark.parametrize("by", ["handler", "fsspec"])
def test_what_uproot_reads_is_recorded(store, service, options, seen, tmp_path, by):
    import uproot
    import uproot_files

    import storescope.uproot

    uproot_files.write_tree(tmp_path / "t.root", baskets=4, entries=1_000)
    store.put("t.root", (tmp_path / "t.root").read_bytes())
    chosen = {"handler": storescope.uproot.Source} if by == "handler" else {}
    url = f"storescope{store.url}t.root"
    before = len(seen())
    with storescope.profile() as profile:
        with uproot.open({url: "Events"}, **options, **chosen) as tree:
            assert sum(len(step) for step in tree.iterate(["met", "Muon_pt"], step_size=500)) == 4_000
        assert len(list(uproot.iterate(f"storescope{store.url}*.root:Events", ["met"], **options, **chosen))) == 1
    assert (profile.requests, profile.unrecorded) == (len(seen()) - before, 0)
