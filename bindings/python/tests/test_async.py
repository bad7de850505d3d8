# SPDX-License-Identifier: Apache-2.0
"""The awaited twins, and what happens to a call whose task is cancelled."""

from __future__ import annotations

import asyncio
import time

import pytest

import storescope

DATA = bytes(range(256)) * 400


def test_all_of_them(store):
    async def work():
        assert (await store.put_async("k", DATA, mode="create")).size == len(DATA)
        assert await store.get_async("k") == DATA
        assert await store.get_range_async("k", 1, 4) == DATA[1:4]
        assert await store.get_range_async("k", 4, 4) == b""
        assert await store.get_ranges_async("k", [(9, 11), (0, 2)]) == [DATA[9:11], DATA[0:2]]
        assert (await store.head_async("k")).size == len(DATA)
        assert [entry.key for entry in await store.list_async()] == ["k"]
        assert (await store.copy_async("k", "c")).size == len(DATA)
        assert (await store.rename_async("c", "r")).key == "r"
        await store.delete_async("r")
        reader = store.reader("k")
        assert await reader.read_at_async(5, 9) == DATA[5:9]
        assert await reader.read_ranges_async([(1, 3), (2, 5)]) == [DATA[1:3], DATA[2:5]]
        assert await store.delete_many_async(["k"]) == [("k", None)]
        return await store.list_async()

    assert asyncio.run(work()) == []


def test_an_error_is_raised_where_it_is_awaited(store):
    async def work():
        with pytest.raises(FileNotFoundError):
            await store.get_async("none")
        results = await asyncio.gather(*(store.head_async(f"none {n}") for n in range(20)), return_exceptions=True)
        assert all(isinstance(result, FileNotFoundError) for result in results)
        each = await store.get_each_range_async("none", [(0, 1), (5, 6)])
        assert [type(error) for error in each] == [type(results[0])] * 2

    asyncio.run(work())


def test_many_at_once(store):
    store.put("k", DATA)

    async def work():
        return await asyncio.gather(*(store.get_range_async("k", n, n + 10) for n in range(500)))

    assert asyncio.run(work()) == [DATA[n : n + 10] for n in range(500)]


def test_a_cancelled_task_drops_its_call(server, store):
    store.put("k", DATA)
    server.fault(
        {"method": "GET", "contains": store.url.split("/")[-2], "count": 1, "action": {"delay": {"ms": 60_000}}}
    )
    with storescope.profile() as profile:

        async def work():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.get_async("k"), 0.3)
            deadline = time.monotonic() + 20
            while "cancelled" not in profile.snapshot().failures:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

        asyncio.run(work())
    assert profile.snapshot().failures == {"cancelled": 1}
    assert store.get("k") == DATA


def test_outside_a_loop_there_is_nothing_to_await_by(store):
    with pytest.raises(RuntimeError, match="no running event loop"):
        store.get_async("k")


def test_a_loop_that_ended_is_told_nothing(store):
    store.put("k", DATA)

    async def work():
        store.get_async("k")  # nobody awaits it

    asyncio.run(work())
    assert store.get("k") == DATA
