# SPDX-License-Identifier: Apache-2.0
"""The order of events: each once an epoch, whatever the streams, workers and the step that a run goes on from."""

from __future__ import annotations

import random

import numpy as np
import pytest

from storescope_workloads.trainer.order import Feed, Order, Part

#: What an order of the first release is: seed 7, epoch 3; and seed 7, epoch 0.
EXPECTED = [
    [(2, 3), (2, 1), (1, 1), (1, 2)],
    [(2, 0), (2, 2), (1, 3), (0, 0)],
    [(2, 4), (1, 0), (0, 2), (0, 1)],
]
ROWS = [7, 8, 5, 0, 3, 2, 1, 4, 9, 6]


def some_orders(count: int, seed: int) -> list[tuple[Order, int]]:
    """Orders of all sorts, with a number of workers each; few and empty shards among them."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        workers = draw.choice([1, 1, 2, 3, 4])
        streams = workers * draw.randint(1, 4)
        share = draw.choice([1, 2, 3, 7, 16, 50])
        shards = draw.choice([0, 1, 2, 3, 8, 20])
        largest = draw.choice([1, 5, 40, 200])
        counts = tuple(draw.choice([0, draw.randint(0, largest), draw.randint(0, largest)]) for _ in range(shards))
        found.append((Order(counts, share * streams, streams, draw.randint(0, 99), draw.random() < 0.8), workers))
    return found


def taken(order: Order, epoch: int, start: int, worker: int, workers: int) -> list[list[tuple[int, int]]]:
    """The events, as shard and row, that each step of a worker takes."""
    feed = Feed(order, epoch, start, range(worker, order.streams, workers))
    steps = []
    for step in range(start, order.steps):
        slices = feed.take(step)
        steps.append([(slice.part.shard, slice.part.start + int(row)) for slice in slices for row in slice.rows])
    return steps


def by_step(order: Order, epoch: int, start: int, workers: int) -> list[list[tuple[int, int]]]:
    """The same of all workers together, each step sorted."""
    of_all = [taken(order, epoch, start, worker, workers) for worker in range(workers)]
    return [sorted(sum(of_step, [])) for of_step in zip(*of_all, strict=True)]


@pytest.mark.parametrize("seed", range(10))
def test_each_event_is_taken_once_an_epoch(seed):
    for order, workers in some_orders(60, seed):
        every = sorted((shard, row) for shard, count in enumerate(order.counts) for row in range(count))
        for epoch in (0, 3):
            steps = by_step(order, epoch, 0, workers)
            assert sorted(sum(steps, [])) == every, order
            assert [len(step) for step in steps] == [order.total(step) for step in range(order.steps)]
            assert all(0 < len(step) <= order.batch for step in steps)
            # Only where streams end are batches short.
            assert all(len(step) == order.batch for step in steps[:-2])


@pytest.mark.parametrize("seed", range(10, 16))
def test_workers_change_nothing_of_a_global_batch(seed):
    for order, _ in some_orders(40, seed):
        alone = by_step(order, 1, 0, 1)
        for workers in (2, 3, 4):
            if order.streams % workers == 0:
                assert by_step(order, 1, 0, workers) == alone, order


@pytest.mark.parametrize("seed", range(20, 26))
def test_a_restart_takes_what_is_left(seed):
    for order, workers in some_orders(40, seed):
        whole = [taken(order, 2, 0, worker, workers) for worker in range(workers)]
        for start in {0, 1, order.steps // 2, order.steps - 1, order.steps} & set(range(order.steps + 1)):
            for worker in range(workers):
                assert taken(order, 2, start, worker, workers) == whole[worker][start:], (order, start)


@pytest.mark.parametrize("seed", range(30, 34))
def test_parts_are_fetched_in_the_order_in_which_they_are_needed(seed):
    """Else a part that is needed may have no room, and the epoch stands still for ever."""
    for order, workers in some_orders(60, seed):
        for start in {0, order.steps // 2}:
            feed = Feed(order, 5, start, range(0, order.streams, workers))
            used = [slice.part for step in range(start, order.steps) for slice in feed.take(step)]
            assert list(dict.fromkeys(used)) == feed.parts
            assert sum(len(part) for part in feed.parts) == sum(order.bounds(v)[1] - order.bounds(v)[0] for v in
                range(0, order.streams, workers)) or start


def test_parts_of_a_stream_lie_together_and_none_is_empty():
    order = Order((10, 0, 5, 25), 8, 4, shuffle=False)
    assert [order.parts(stream, 0) for stream in range(4)] == [
        [Part(0, 0, 10, 0)],
        [Part(2, 0, 5, 0), Part(3, 0, 5, 5)],
        [Part(3, 5, 15, 0)],
        [Part(3, 15, 25, 0)],
    ]
    assert [list(order.rows(part, 0)) for part in order.parts(1, 0)] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert order.steps == 5 and order.total(4) == 8


def test_epochs_and_seeds_differ_and_are_repeated():
    def events(seed, epoch):
        return sum(taken(Order((300, 200, 100), 20, 2, seed), epoch, 0, 0, 1), [])

    assert events(1, 0) == events(1, 0)
    assert events(1, 0) != events(1, 1) and events(1, 0) != events(2, 0)
    # Not the shards alone, nor the rows alone.
    shards = {tuple(Order((1,) * 30, 2, 2, 1).shards(epoch)) for epoch in range(4)}
    rows = {tuple(Order((50,), 2, 1, 1).rows(Part(0, 0, 50, 0), epoch)) for epoch in range(4)}
    assert len(shards) == len(rows) == 4
    two = Order((50, 50), 2, 1, 1)
    assert list(two.rows(Part(0, 0, 50, 0), 0)) != list(two.rows(Part(1, 0, 50, 50), 0))


def test_the_order_is_that_of_the_first_release():
    """A checkpoint of an older version goes on exactly there: the order must never change."""
    order = Order((3, 4, 5), 4, 2, seed=7)
    assert taken(order, 3, 0, 0, 1) == EXPECTED
    assert list(Order((10,), 2, 1, 7).rows(Part(0, 0, 10, 0), 0)) == ROWS


def test_a_shuffle_is_even():
    """Each row comes to each place about as often."""
    seen = np.zeros((20, 20))
    for epoch in range(4000):
        seen[np.arange(20), Order((20,), 1, 1, 3).rows(Part(0, 0, 20, 0), epoch)] += 1
    # 400 cells of 200 each in the mean, standard deviation 13.8.
    assert abs(seen - 200).max() < 70 and 10 < seen.std() < 18
