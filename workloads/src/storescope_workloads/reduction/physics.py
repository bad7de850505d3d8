# SPDX-License-Identifier: Apache-2.0
"""From events to pairs of muons: applies the cuts of :mod:`.cuts`, one by one. numpy and awkward only: no I/O.

Lists are taken apart once: the values of all muons in a row, and the offsets at which events begin. All else is numpy
on flat columns, most of it on the few events with two muons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from ..scan.kernel import BadColumn
from .cuts import Column, Columns, Cuts
from .summary import CutFlow

__all__ = ["BadColumn", "Column", "Columns", "Cuts", "Reduced", "check_types", "reduce"]

Floats = NDArray[np.float64]

#: What is wrong with a kept column.
WITH_NULLS = "the column {name} has nulls, which {kind} cannot hold; keep it as float64"
TOO_LARGE = "the column {name} has values above 2^63 - 1, which int64 cannot hold; keep it as float64"


@dataclass
class Reduced:
    """What a batch of events came to.

    Attributes:
        rows: The output's columns by name (:meth:`Cuts.output`), one value for each pair that passed, in the order of
            the events.
        flow: Events in, and removed by each cut; muons seen, and removed by each cut.
    """

    rows: dict[str, NDArray[Any]]
    flow: CutFlow


def reduce(events: ak.Array, cuts: Cuts) -> Reduced:
    """Reduces events.

    Args:
        events: Records with the fields that :meth:`Cuts.columns` names; others are not looked at. A null list is an
            event without muons, a null value is NaN.

    Raises:
        BadColumn: A column is missing or of a wrong type, or lists of one event differ in length.
    """
    check_types({name: str(events[name].type.content) for name in events.fields}, cuts)
    counts, values = _flattened(events, cuts)
    removed, muons_removed = dict.fromkeys(cuts.event_cuts(), 0), dict.fromkeys(cuts.muon_cuts(), 0)
    flow = CutFlow(len(events), removed, int(counts.sum()), muons_removed)
    selected = _select(values, cuts, flow)
    pairs = _pairs(counts, values, selected)
    flow.removed["two_muons"] = len(events) - len(pairs.events)
    return Reduced(_cut_pairs(pairs, events, cuts, flow), flow)


def check_types(types: Mapping[str, str], cuts: Cuts) -> None:
    """Checks that columns are what the cuts need, before anything of them is read.

    Args:
        types: The type of each column as awkward writes it for one event: ``var * float32``, ``uint32``, ``string``.

    Raises:
        BadColumn: Of the first that is missing or wrong: its name, its type and what was expected.
    """
    for name, column in cuts.quantities().items():
        _check(column.name, types, _LIST, *_WANTED[name])
    for kept, kind in cuts.keep:
        _check(kept, types, _FLAT, *_KEPT[kind])


_NUMBER = r"\??(?:float(?:16|32|64)|u?int(?:8|16|32|64)|bool|unknown)"
_LIST = re.compile(rf"(?:option\[)?(?:var|\d+) \* ({_NUMBER})\]?")
_FLAT = re.compile(rf"({_NUMBER})")

_REAL = (re.compile(r"float\d+|u?int\d+|unknown"), "a list of numbers for each event, such as var * float32")
_WANTED = {
    **dict.fromkeys(("pt", "eta", "phi", "isolation"), _REAL),
    "charge": (re.compile(r"float\d+|int\d+|unknown"), "a list of signed numbers for each event, such as var * int32"),
    "is_global": (re.compile(r"bool|u?int\d+|unknown"), "a list of flags for each event, such as var * bool"),
}
_KEPT = {
    "int64": (re.compile(r"bool|u?int\d+|unknown"), "an integer for each event (keep: {NAME: float64} takes others)"),
    "float64": (re.compile(r"bool|u?int\d+|float\d+|unknown"), "a number for each event"),
    "bool": (re.compile(r"bool|unknown"), "a bool for each event"),
}


def _check(name: str, types: Mapping[str, str], shape: re.Pattern[str], kind: re.Pattern[str], wanted: str) -> None:
    if name not in types:
        raise BadColumn(f"there is no column {name}; there are {_some(list(types))}")
    found = shape.fullmatch(types[name])
    if found is None or not kind.fullmatch(found[1].removeprefix("?")):
        raise BadColumn(f"the column {name} has the type {types[name]}, but must be {wanted}")


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:20]) or "none"
    return f"{shown} and {len(names) - 20} others" if len(names) > 20 else shown


def _flattened(events: ak.Array, cuts: Cuts) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Muons in each event, and the quantities of all muons in a row."""
    counts: NDArray[np.int64] | None = None
    first = ""
    values = {}
    for name, column in cuts.quantities().items():
        lists = events[column.name]
        own = _numpy(ak.fill_none(ak.num(lists, axis=1), 0)).astype(np.int64, copy=False)
        if counts is None:
            counts, first = own, column.name
        elif not np.array_equal(own, counts):
            at = int(np.flatnonzero(own != counts)[0])
            raise BadColumn(
                f"the columns {first} and {column.name} have {counts[at]} and {own[at]} values in one event; "
                "they must be of one collection"
            )
        values[name] = _scaled(_numpy(ak.flatten(lists, axis=1)), column)
    assert counts is not None
    return counts, values


def _numpy(array: ak.Array) -> NDArray[Any]:
    """A flat array; nulls are NaN."""
    found: NDArray[Any] = ak.to_numpy(array)
    if isinstance(found, np.ma.MaskedArray):
        return np.ma.filled(found.astype(np.float64), np.nan) if found.mask.any() else found.data
    return found


def _scaled(values: NDArray[Any], column: Column) -> NDArray[Any]:
    return values if column.scale == 1.0 else values.astype(np.float64) * column.scale


def _above(values: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Compared in float64: numpy would otherwise round the threshold to the column's type, and numpy 1 does so even with
    a threshold of float64, as it is a scalar. NaN is not above."""
    return np.asarray(np.greater(values.astype(np.float64, copy=False), threshold))


def _below(values: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    return np.asarray(np.less(values.astype(np.float64, copy=False), threshold))


def _select(values: dict[str, NDArray[Any]], cuts: Cuts, flow: CutFlow) -> NDArray[np.bool_]:
    """Which muons pass the cuts on muons."""
    muons = cuts.muons
    selected = np.ones(flow.muons, np.bool_)

    def apply(name: str, passed: NDArray[np.bool_]) -> None:
        before = int(np.count_nonzero(selected))
        np.logical_and(selected, passed, out=selected)
        flow.muons_removed[name] = before - int(np.count_nonzero(selected))

    if muons.pt_min is not None:
        apply("muon_pt", _above(values["pt"], muons.pt_min))
    if muons.abs_eta_max is not None:
        apply("muon_eta", _below(np.abs(values["eta"]), muons.abs_eta_max))
    if muons.isolation_max is not None:
        apply("muon_isolation", _below(values["isolation"], muons.isolation_max))
    if muons.is_global:
        apply("muon_global", np.nan_to_num(values["is_global"]) != 0)
    return selected


@dataclass
class _Pairs:
    """The leading pair of each event with two selected muons: the event's number, the quantities of both."""

    events: NDArray[np.int64]
    first: dict[str, Floats]
    second: dict[str, Floats]


def _pairs(counts: NDArray[np.int64], values: dict[str, NDArray[Any]], selected: NDArray[np.bool_]) -> _Pairs:
    ends = np.cumsum(counts)
    passed = np.concatenate([[0], np.cumsum(selected)])
    left = passed[ends] - passed[ends - counts]
    events = np.flatnonzero(left >= 2)
    muons = np.flatnonzero(selected & np.repeat(left >= 2, counts))
    sizes = left[events]
    starts = np.cumsum(sizes) - sizes
    pt = values["pt"][muons]
    pt = np.where(np.isnan(pt), -np.inf, pt)
    candidates = np.ones(len(muons), np.bool_)
    first, second = (muons[_take_greatest(pt, candidates, starts, sizes)] for _ in range(2))
    return _Pairs(
        events,
        {name: column[first].astype(np.float64) for name, column in values.items()},
        {name: column[second].astype(np.float64) for name, column in values.items()},
    )


def _take_greatest(
    pt: NDArray[Any], candidates: NDArray[np.bool_], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The candidate of the greatest pT in each event, of equal ones the first; it is no candidate afterwards."""
    if len(starts) == 0:
        return starts
    greatest = np.maximum.reduceat(np.where(candidates, pt, -np.inf), starts)
    equal = candidates & (pt == np.repeat(greatest, sizes))
    numbers = np.flatnonzero(equal)
    taken = numbers[np.searchsorted(numbers, starts)]
    candidates[taken] = False
    return taken


def _cut_pairs(pairs: _Pairs, events: ak.Array, cuts: Cuts, flow: CutFlow) -> dict[str, NDArray[Any]]:
    """Applies the cuts on pairs: the rows that are left."""
    leading, first, second = cuts.leading, pairs.first, pairs.second
    left = np.ones(len(pairs.events), np.bool_)

    def apply(name: str, passed: NDArray[np.bool_]) -> None:
        before = int(np.count_nonzero(left))
        np.logical_and(left, passed, out=left)
        flow.removed[name] = before - int(np.count_nonzero(left))

    if leading.pt_min is not None:
        apply("leading_pt", _above(first["pt"], leading.pt_min))
    if leading.abs_eta_max is not None:
        apply("leading_eta", _below(np.abs(first["eta"]), leading.abs_eta_max))
    if leading.isolation_max is not None:
        apply("leading_isolation", _below(first["isolation"], leading.isolation_max))
    if cuts.opposite_sign:
        apply("opposite_sign", first["charge"] * second["charge"] < 0)
    mass = _mass(first, second)
    apply("finite_mass", np.isfinite(mass))
    rows: dict[str, NDArray[Any]] = {"mass_gev": mass[left]}
    for number, muon in enumerate((first, second), 1):
        rows.update({f"{name}{number}": muon[name][left].astype(np.float32) for name in ("pt", "eta", "phi")})
    chosen = pairs.events[left]
    rows.update({name: _kept(events[name][chosen], name, kind) for name, kind in cuts.keep})
    return rows


def _mass(first: dict[str, Floats], second: dict[str, Floats]) -> Floats:
    """√(2 pT₁ pT₂ (cosh Δη − cos Δφ)) in GeV: the mass of two particles whose own masses do not matter.

    Written with cosh x − cos y = 2 (sinh² x/2 + sin² y/2), which loses no digits where the muons are close."""
    with np.errstate(over="ignore", invalid="ignore"):
        eta, phi = (first["eta"] - second["eta"]) / 2, (first["phi"] - second["phi"]) / 2
        return np.asarray(2 * np.sqrt(first["pt"] * second["pt"] * (np.sinh(eta) ** 2 + np.sin(phi) ** 2)))


def _kept(column: ak.Array, name: str, kind: str) -> NDArray[Any]:
    values: NDArray[Any] = ak.to_numpy(column)
    if isinstance(values, np.ma.MaskedArray):
        if values.mask.any() and kind != "float64":
            raise BadColumn(WITH_NULLS.format(name=name, kind=kind))
        values = _numpy(column)
    if kind == "int64" and values.dtype == np.uint64 and np.any(values > np.iinfo(np.int64).max):
        raise BadColumn(TOO_LARGE.format(name=name))
    return values.astype(kind)
