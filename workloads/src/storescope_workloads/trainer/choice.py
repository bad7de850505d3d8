# SPDX-License-Identifier: Apache-2.0
"""Which events are used, for what, and where they go: by hashes of their numbers alone. Pure.

::

    event number ── hash by (seed, class) ──▶ rank in the class:  0 … test │ … training │ … left out
                └── hash by (seed)        ──▶ rank in the split:  shard 0 │ shard 1 │ …; in a shard, the order of the events

An event's number is made of the number of its file and of its entry there, so that nothing depends on how events lie in the files
that are read, on their order, or on the number of processes. Both hashes are one-to-one: equal hashes are equal events."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError, WorkloadError
from .features import CLASSES
from .shards import SPLITS

Hashes = NDArray[np.uint64]

#: Entries of a file at most.
MOST_ENTRIES = 1 << 32
#: The multipliers of splitmix64's finalizer, and their inverses modulo 2^64.
_FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_INVERSES = pow(_FACTORS[0], -1, 1 << 64), pow(_FACTORS[1], -1, 1 << 64)


def event_numbers(file: NDArray[Any], entry: NDArray[Any]) -> NDArray[np.int64]:
    """The numbers of events: ``file · 2^32 + entry``, int64.

    Args:
        file: Numbers of files, 0 to 2^31 - 1.
        entry: Numbers of entries, 0 to 2^32 - 1.
    """
    return (file.astype(np.int64) << 32) | entry.astype(np.int64)


def rank_hashes(seed: int, label: int, event: NDArray[np.int64]) -> Hashes:
    """The hashes by which the events of a class are ranked: the first are test events, those after them training events."""
    return _hash(event.view(np.uint64), _key(f"rank {seed} {CLASSES[label]}"))


def order_hashes(seed: int, event: NDArray[np.int64]) -> Hashes:
    """The hashes by which the events of a split are ordered."""
    return _hash(event.view(np.uint64), _key(f"order {seed}"))


def _events_of(seed: int, label: int, hashes: Hashes) -> NDArray[np.int64]:
    """The events that have these hashes: the inverse of :func:`rank_hashes`."""
    return _unhash(hashes, _key(f"rank {seed} {CLASSES[label]}")).view(np.int64)


def _key(name: str) -> tuple[np.uint64, np.uint64]:
    digest = hashlib.sha256(name.encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:16], "little"))


def _hash(values: Hashes, key: tuple[np.uint64, np.uint64]) -> Hashes:
    """Two rounds of splitmix64's finalizer, with a key before each."""
    for part in key:
        values = values ^ part
        values = (values ^ (values >> np.uint64(30))) * np.uint64(_FACTORS[0])
        values = (values ^ (values >> np.uint64(27))) * np.uint64(_FACTORS[1])
        values = values ^ (values >> np.uint64(31))
    return values


def _unhash(values: Hashes, key: tuple[np.uint64, np.uint64]) -> Hashes:
    for part in reversed(key):
        values = values ^ (values >> np.uint64(31)) ^ (values >> np.uint64(62))
        values = values * np.uint64(_INVERSES[1])
        values = values ^ (values >> np.uint64(27)) ^ (values >> np.uint64(54))
        values = values * np.uint64(_INVERSES[0])
        values = values ^ (values >> np.uint64(30)) ^ (values >> np.uint64(60))
        values = values ^ part
    return values


@dataclass(frozen=True)
class Rule:
    """How events are chosen.

    Attributes:
        seed: Another one chooses others, and orders them otherwise.
        test: The share of each class's chosen events that are test events, 0 or more, below 1.
        balance: As many events of each class as the smallest has; else all.
        shard: Bytes that a shard has about, as its values are in memory.
    """

    seed: int = 1
    test: float = 0.2
    balance: bool = True
    shard: int = 64 << 20


@dataclass(frozen=True)
class Count:
    """Events of a class: ``found = train + test + left_out``."""

    found: int
    train: int
    test: int

    @property
    def left_out(self) -> int:
        """Those that balancing leaves out."""
        return self.found - self.train - self.test

    def to_json(self) -> dict[str, int]:
        """As JSON has it: ``in``, ``train``, ``test``, ``left_out``."""
        return {"in": self.found, "train": self.train, "test": self.test, "left_out": self.left_out}


@dataclass(frozen=True)
class Choice:
    """Where each event goes. It pickles, and takes 8 bytes a shard.

    Attributes:
        seed: That of the :class:`Rule`.
        counts: By class.
        last: Of each class, the largest hash of a test event and of a training event; -1 where there is none.
        borders: Of each split, the largest hash of the order in each shard.
        events: Of each split, how many there are.
    """

    seed: int
    counts: tuple[Count, ...]
    last: tuple[tuple[int, int], ...]
    borders: dict[str, Hashes]
    events: dict[str, int]

    @property
    def shards(self) -> int:
        """Shards of both splits. They are numbered through: those of ``train`` come first."""
        return sum(len(borders) for borders in self.borders.values())

    def place(self, event: NDArray[np.int64], label: int) -> NDArray[np.int32]:
        """The number of the shard of each event of a class, -1 of those that are left out."""
        rank, order = rank_hashes(self.seed, label, event), order_hashes(self.seed, event)
        last_test, last_train = self.last[label]
        is_test = rank <= np.uint64(last_test) if last_test >= 0 else np.zeros(len(event), bool)
        found = np.full(len(event), -1, np.int32)
        for split, first, chosen in (
            ("train", 0, ~is_test & (rank <= np.uint64(last_train))),
            ("test", len(self.borders["train"]), is_test),
        ):
            found[chosen] = first + np.searchsorted(self.borders[split], order[chosen], "left")
        return found

    def split_of(self, number: int) -> tuple[str, int]:
        """The split of a shard, and its number there."""
        first = len(self.borders["train"])
        return ("train", number) if number < first else ("test", number - first)

    def size_of(self, number: int) -> int:
        """The events of a shard."""
        split, at = self.split_of(number)
        start, stop = _span(self.events[split], len(self.borders[split]), at)
        return stop - start


def _span(events: int, shards: int, number: int) -> tuple[int, int]:
    return number * events // shards, (number + 1) * events // shards


def choose(rule: Rule, hashes: Sequence[Hashes], widths: Sequence[float]) -> Choice:
    """Chooses events, splits them and cuts the splits into shards. Holds 16 bytes an event.

    Args:
        hashes: Of each class, what :func:`rank_hashes` gives of all its events, in any order. They are sorted in place.
        widths: Of each class, the mean bytes of an event.

    Raises:
        UsageError: A class has too few events.
        WorkloadError: An event is there twice.
    """
    for label, own in enumerate(hashes):
        own.sort()
        _refuse_twice(rule, label, own)
    counts = _counts(rule, [len(own) for own in hashes])
    last = tuple(
        (int(own[count.test - 1]) if count.test else -1, int(own[count.test + count.train - 1]))
        for own, count in zip(hashes, counts, strict=True)
    )
    borders: dict[str, Hashes] = {}
    events = {}
    for split in SPLITS:
        sizes = [getattr(count, split) for count in counts]
        events[split] = sum(sizes)
        width = sum(size * width for size, width in zip(sizes, widths, strict=True))
        shards = min(events[split], max(1, int(-(-width // rule.shard))))
        borders[split] = _borders(_orders(rule, hashes, counts, split), shards)
    return Choice(rule.seed, counts, last, borders, events)


def _counts(rule: Rule, found: Sequence[int]) -> tuple[Count, ...]:
    counts = []
    for name, own in zip(CLASSES, found, strict=True):
        used = min(found) if rule.balance else own
        test = int(used * rule.test + 0.5)
        if used - test < 1 or (rule.test > 0 and test < 1):
            missing = "test" if test < 1 else "training"
            raise UsageError(
                f"class {name}: of its {used:,} events none is a {missing} event with --test {rule.test:g}; ingest more events, or "
                "give another --test"
            )
        counts.append(Count(own, used - test, test))
    return tuple(counts)


def _refuse_twice(rule: Rule, label: int, hashes: Hashes) -> None:
    twice = np.flatnonzero(hashes[1:] == hashes[:-1])
    if len(twice):
        event = int(_events_of(rule.seed, label, hashes[twice[:1]])[0])
        raise WorkloadError(
            f"class {CLASSES[label]}: {len(twice):,} events are there more than once, such as entry {event & (MOST_ENTRIES - 1)} of "
            f"file {event >> 32}; give the output of one trainer ingest"
        )


def _orders(rule: Rule, hashes: Sequence[Hashes], counts: Sequence[Count], split: str) -> Hashes:
    """The hashes of the order of a split's events, sorted."""
    orders = np.empty(sum(getattr(count, split) for count in counts), np.uint64)
    at = 0
    for label, (own, count) in enumerate(zip(hashes, counts, strict=True)):
        ranks = own[: count.test] if split == "test" else own[count.test : count.test + count.train]
        orders[at : at + len(ranks)] = order_hashes(rule.seed, _events_of(rule.seed, label, ranks))
        at += len(ranks)
    orders.sort()
    return orders


def _borders(orders: Hashes, shards: int) -> Hashes:
    lasts = [_span(len(orders), shards, number)[1] - 1 for number in range(shards)]
    return orders[np.array(lasts, np.int64)]
