# SPDX-License-Identifier: Apache-2.0
"""Where a tree's data is: entries that are stored together, and the byte ranges that reading them asks for.

A part of :mod:`storescope.uproot`, of trees in files of any source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import uproot  # type: ignore[import-untyped]
import uproot._util  # type: ignore[import-untyped]
import uproot.behaviors.RNTuple  # type: ignore[import-untyped]
from uproot.interpretation.grouped import AsGrouped  # type: ignore[import-untyped]
from uproot.interpretation.identify import UnknownInterpretation  # type: ignore[import-untyped]

Range = tuple[int, int]


class Cluster(NamedTuple):
    """Entries that are stored together in the columns that were chosen.

    ``ranges`` are the byte ranges that reading ``entry_start`` up to ``entry_stop`` of those columns asks for: baskets of
    a ``TTree``, pages of an RNTuple, each once and sorted by place. Baskets embedded in the tree are not among them.
    """

    entry_start: int
    entry_stop: int
    ranges: list[Range]


def clusters(tree: Any, filter_name: Any = None) -> list[Cluster]:
    """The clusters of a ``TTree`` or an RNTuple, in the order of entries and without gaps.

    Of a ``TTree`` they end where the baskets of all chosen branches end: branches that are not aligned have few clusters,
    large ones. Where the branches have different numbers of entries, as those that were filled one by one may, the clusters
    end with the shortest of them: entries beyond are in no cluster, though ``tree.num_entries`` counts them. This does no
    I/O. Of an RNTuple they are its own; its page lists are read.

    Args:
        tree: What ``uproot.open(…)[name]`` is, from a file of any source.
        filter_name: The branches or fields, as of uproot's ``arrays``; without it, all.

    Returns:
        The clusters; none where the tree is empty, or nothing matches.

    Raises:
        TypeError: for what is no tree.
    """
    chosen = uproot._util.no_filter if filter_name is None else filter_name
    if isinstance(tree, uproot.behaviors.RNTuple.HasFields):
        return _of_ntuple(tree, chosen)
    if isinstance(tree, uproot.TTree):
        return _of_tree(tree, chosen)
    raise TypeError(f"expected a TTree or an RNTuple, not {type(tree).__name__}")


def _of_tree(tree: Any, filter_name: Any) -> list[Cluster]:
    branches = list(_chosen(tree, filter_name).values())
    if not branches:
        return []
    offsets = [np.asarray(branch.entry_offsets) for branch in branches]
    # Branches that were filled one by one may differ in length: no entry beyond the shortest can be read of all.
    shortest = min(entries[-1] for entries in offsets)
    borders = np.unique(np.minimum(offsets[0], shortest))
    for others in offsets[1:]:
        borders = np.intersect1d(borders, np.minimum(others, shortest))
    ranges: list[list[Range]] = [[] for _ in borders[1:]]
    for branch, entries in zip(branches, offsets, strict=True):
        normal = branch.num_baskets - len(branch.embedded_baskets)
        starts, stops = entries[:normal], entries[1 : normal + 1]
        # A basket without entries is read with those around it, not at a border.
        is_read = (starts < shortest) & ((starts < stops) | ~np.isin(starts, borders))
        places = np.searchsorted(borders, starts, side="right") - 1
        seeks, sizes = branch.member("fBasketSeek"), branch.member("fBasketBytes")
        for number in np.flatnonzero(is_read):
            start = int(seeks[number])
            ranges[places[number]].append((start, start + int(sizes[number])))
    return [
        Cluster(int(start), int(stop), sorted(set(found)))
        for start, stop, found in zip(borders, borders[1:], ranges, strict=False)
    ]


def _chosen(tree: Any, filter_name: Any) -> dict[str, Any]:
    """The branches with baskets that uproot's ``arrays`` reads, by their cache keys."""
    chosen: dict[str, Any] = {}
    for _, branch in tree.iteritems(filter_name=filter_name, recursive=True, full_paths=False):
        _add(chosen, branch)
    return chosen


def _add(chosen: dict[str, Any], branch: Any) -> None:
    interpretation = branch.interpretation
    if isinstance(interpretation, AsGrouped):
        parts = interpretation.subbranches
        if not any(isinstance(part, UnknownInterpretation) for part in parts.values()):
            for name in parts:
                _add(chosen, branch[name])
    elif not isinstance(interpretation, UnknownInterpretation):
        chosen[branch.cache_key] = branch


def _of_ntuple(tree: Any, filter_name: Any) -> list[Cluster]:
    form, _ = tree.to_akform(filter_name=filter_name)
    columns = columns_of(form)
    if not columns:
        return []
    return [
        Cluster(
            int(cluster.num_first_entry),
            int(cluster.num_first_entry + cluster.num_entries),
            sorted(set(pages(tree.ntuple, columns, [number]))),
        )
        for number, cluster in enumerate(tree.ntuple.cluster_summaries)
        if cluster.num_entries
    ]


def pages(
    ntuple: Any, columns: Iterable[int], numbers: Iterable[int], cached: Any = ()
) -> list[Range]:
    """The pages of these columns and clusters in the order in which uproot reads them, without those that it has in a
    cache of arrays."""
    found = []
    for column in columns:
        for cluster in numbers:
            if cluster < 0 or f"{ntuple.cache_key}:{cluster}:{column}" in cached:
                continue
            lists = ntuple.page_link_list[cluster]
            place = column
            if place < len(lists) and lists[place].suppressed:
                field = ntuple.column_records[column].field_id
                others = ntuple._column_records_dict[field]
                place = next(other.idx for other in others if not lists[other.idx].suppressed)
            if place < len(lists):
                found += [located(page.locator) for page in lists[place].pages]
    return found


def located(locator: Any) -> Range:
    """The bytes that a locator of an RNTuple means."""
    return int(locator.offset), int(locator.offset + locator.num_bytes)


def numbers_of(ntuple: Any, entry_start: int, entry_stop: int) -> range:
    """The clusters that uproot reads for these entries of an RNTuple."""
    firsts: Sequence[int] = [cluster.num_first_entry for cluster in ntuple.cluster_summaries]
    return range(bisect_right(firsts, entry_start) - 1, bisect_right(firsts, entry_stop))


def columns_of(akform: Any) -> list[int]:
    """The columns of a form of an RNTuple, in the order in which uproot reads them."""
    keys: list[str] = []
    uproot.behaviors.RNTuple._recursive_find(akform, keys)
    return [int(key.split("-")[1]) for key in keys if key and "column" in key]
