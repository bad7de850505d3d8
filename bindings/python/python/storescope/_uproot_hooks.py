# SPDX-License-Identifier: Apache-2.0
"""What uproot is about to read, learned where uproot itself has found it out.

A part of :mod:`storescope.uproot`."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import uproot  # type: ignore[import-untyped]
import uproot.behaviors.RNTuple  # type: ignore[import-untyped]
import uproot.behaviors.TBranch  # type: ignore[import-untyped]
import uproot.models.RNTuple  # type: ignore[import-untyped]
import uproot.reading  # type: ignore[import-untyped]
from uproot.version import __version__ as uproot_version  # type: ignore[import-untyped]

from ._uproot_clusters import Range, columns_of, located, numbers_of, pages

logger = logging.getLogger("storescope.uproot")


class PrefetchingSource:
    """A source that prefetches what it is told. Sources of others are none, and are left alone."""

    def _expect(self, ranges: Iterable[Range]) -> None:
        """Says what will be read, in this order."""
        raise NotImplementedError

    def _expect_keys(self, keys: Sequence[tuple[Range, Range]]) -> None:
        """Says which keys of baskets will be read at once: each with the range of its basket."""
        raise NotImplementedError

    def hint(self, ranges: Sequence[Range]) -> None:
        """Says which byte ranges will be read next, in this order."""
        raise NotImplementedError


# What uproot is about to read: each function below is called with what one of uproot's functions is called with, and
# tells the source. An error in it is told once, and costs time, never a result.


def _foresee_baskets(
    hasbranches: Any, step_size: Any, entry_start: int, entry_stop: int, chosen: Any
) -> None:
    if source := _source_of(hasbranches):
        baskets = sorted(_baskets(hasbranches, entry_start, entry_stop, chosen))
        source._expect([basket for _, basket in baskets])


def _foresee_keys(
    hasbranches: Any, target_num_bytes: Any, entry_start: int, entry_stop: int, chosen: Any
) -> None:
    if source := _source_of(hasbranches):
        length = uproot.reading._key_format_big.size
        baskets = _baskets(hasbranches, entry_start, entry_stop, chosen)
        source._expect_keys(
            [((start, start + length), (start, stop)) for _, (start, stop) in baskets]
        )


def _baskets(
    hasbranches: Any, entry_start: int, entry_stop: int, chosen: Any
) -> Iterable[tuple[int, Range]]:
    """The baskets that are not embedded in the tree: the entry each begins with, and its bytes."""
    for branch in hasbranches.itervalues(recursive=True):
        if branch.cache_key not in chosen:
            continue
        entries = branch.entry_offsets
        for number, basket in branch.entries_to_ranges_or_baskets(entry_start, entry_stop):
            if isinstance(basket, tuple):
                yield entries[number], (int(basket[0]), int(basket[1]))


def _foresee_page_lists(ntuple: Any) -> None:
    source = _source_of(ntuple)
    if source and not ntuple._page_list_envelopes:
        groups = ntuple.footer.cluster_group_records
        source.hint([located(group.page_list_link.locator) for group in groups])


def _foresee_column(
    ntuple: Any,
    col_idx: int,
    cluster_start: int,
    cluster_stop: int,
    missing_element_padding: int = 0,
    array_cache: Any = None,
    access_log: Any = None,
) -> None:
    if source := _source_of(ntuple):
        numbers = range(cluster_start, cluster_stop)
        source._expect(pages(ntuple, [col_idx], numbers, _cached(array_cache)))


def _foresee_steps(ntuple: Any, akform: Any, step: int, entry_start: int, entry_stop: int) -> None:
    source = _source_of(ntuple)
    if source is None:
        return
    # A cluster at the border of two steps is read again where uproot's cache of arrays has dropped it by then.
    columns, wanted = columns_of(akform), []
    cached = _cached(ntuple._file.array_cache)
    for start in range(entry_start, entry_stop, step):
        numbers = numbers_of(ntuple, start, min(start + step, entry_stop))
        wanted += pages(ntuple, columns, numbers, cached)
    source._expect(wanted)


def _foresee_arrays(ntuple: Any, akform: Any, entries: slice, array_cache: Any) -> None:
    if source := _source_of(ntuple):
        start, stop, _ = entries.indices(int(ntuple.num_entries))
        cache = ntuple._file.array_cache if array_cache == "inherit" else array_cache
        numbers = numbers_of(ntuple, start, stop)
        source._expect(pages(ntuple, columns_of(akform), numbers, _cached(cache)))


def _cached(array_cache: Any) -> Any:
    """What can be asked whether it holds an array."""
    return array_cache if hasattr(array_cache, "__contains__") else ()


def _source_of(model: Any) -> PrefetchingSource | None:
    """The source of a tree, a branch or an RNTuple, if it is one of ours."""
    source = getattr(getattr(model, "_file", None), "_source", None)
    return source if isinstance(source, PrefetchingSource) else None


def _tell(foresee: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    try:
        foresee(*args, **kwargs)
    except Exception:
        level = logging.DEBUG if foresee in _told else logging.WARNING
        _told.add(foresee)
        logger.log(level, "uproot %s: what it reads is not foreseen", uproot_version, exc_info=True)


_told: set[Callable[..., None]] = set()


def _before(foresee: Callable[..., None]) -> Callable[..., Any]:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            _tell(foresee, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return wrap


def _knowing_steps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def regularize(ntuple: Any, akform: Any, step_size: Any, start: int, stop: int) -> Any:
        step = function(ntuple, akform, step_size, start, stop)
        _tell(_foresee_steps, ntuple, akform, step, start, stop)
        return step

    return regularize


def _knowing_entries(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def arrays(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("virtual") or kwargs.get("interpreter", "cpu") != "cpu":
            return function(self, *args, **kwargs)
        entries = slice(kwargs.get("entry_start"), kwargs.get("entry_stop"))
        _eager.asked = entries, kwargs.get("array_cache", "inherit")
        try:
            return function(self, *args, **kwargs)
        finally:
            _eager.asked = None

    return arrays


def _knowing_form(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def to_akform(self: Any, *args: Any, **kwargs: Any) -> Any:
        akform, path = function(self, *args, **kwargs)
        asked, _eager.asked = getattr(_eager, "asked", None), None
        if asked is not None:
            _tell(_foresee_arrays, self.ntuple, akform, *asked)
        return akform, path

    return to_akform


#: What the call of ``arrays`` asks for that this thread is in, until its form is known.
_eager = threading.local()

#: Whose function, its name, its first parameters, and how it is to be wrapped. Once they are, the list is empty.
_hooks: list[tuple[str, str, tuple[str, ...], Callable[..., Any]]] = [
    (
        "behaviors.TBranch",
        "_regularize_step_size",
        ("hasbranches", "step_size", "entry_start", "entry_stop", "branchid_interpretation"),
        _before(_foresee_baskets),
    ),
    (
        "behaviors.TBranch",
        "_hasbranches_num_entries_for",
        ("hasbranches", "target_num_bytes", "entry_start", "entry_stop", "branchid_interpretation"),
        _before(_foresee_keys),
    ),
    (
        "models.RNTuple.Model_ROOT_3a3a_RNTuple",
        "page_list_envelopes",
        ("self",),
        _before(_foresee_page_lists),
    ),
    (
        "models.RNTuple.Model_ROOT_3a3a_RNTuple",
        "read_cluster_range",
        ("self", "col_idx", "cluster_start", "cluster_stop"),
        _before(_foresee_column),
    ),
    (
        "behaviors.RNTuple",
        "_regularize_step_size",
        ("ntuple", "akform", "step_size", "entry_start", "entry_stop"),
        _knowing_steps,
    ),
    ("behaviors.RNTuple.HasFields", "arrays", ("self",), _knowing_entries),
    ("behaviors.RNTuple.HasFields", "to_akform", ("self",), _knowing_form),
]


def takes(function: Any, parameters: tuple[str, ...]) -> bool:
    """Whether a function is the one known: these are its first parameters."""
    try:
        return tuple(inspect.signature(function).parameters)[: len(parameters)] == parameters
    except (TypeError, ValueError):
        return False


_placing = threading.Lock()


def place_hooks() -> None:
    with _placing:
        left, _hooks[:] = list(_hooks), []
    for owner_path, name, parameters, wrap in left:
        owner: Any = uproot
        for part in owner_path.split("."):
            owner = getattr(owner, part, None)
        known = vars(owner).get(name) if owner is not None else None
        function = known.fget if isinstance(known, property) else known
        if not takes(function, parameters):
            logger.warning(
                "uproot %s: %s.%s is not as known, what it reads is not foreseen",
                uproot_version,
                owner_path,
                name,
            )
            continue
        wrapped = wrap(function)
        setattr(owner, name, property(wrapped) if isinstance(known, property) else wrapped)
