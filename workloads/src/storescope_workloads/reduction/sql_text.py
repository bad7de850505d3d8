# SPDX-License-Identifier: Apache-2.0
"""The cuts of :mod:`.cuts` as SQL that Spark 3.5 and 4 understand. Texts alone: nothing here runs.

::

    inputs     in_0, in_1, …: the columns that are read
    events     file, kept_0, kept_1, …, muons: a list of structs of doubles            one row for each event
    selected   left_0, left_1, …: muons left by each cut
    paired     first, second: the pair; cut: the number of the cut that removed the event, mass
    totals     counts over all events         pairs     the rows that passed all cuts

Names of the user's are in the first select and the last: between them all names are those above, so that none clashes.

Spark takes NaN for greater than any number, and equal to itself: lower bounds look for it, upper bounds need not."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .cuts import PAIR_COLUMNS, Column, Cuts
from .physics import TOO_LARGE, WITH_NULLS

#: Names of types in Spark's SQL, by numpy's.
_TYPES = {"int32": "INT", "int64": "BIGINT", "float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOLEAN"}


def quoted(name: str) -> str:
    """A column's name, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fault_in(told: str) -> tuple[int, str] | None:
    """The file's number in the plan, and what is wrong with it, where an error of Spark holds a fault of these texts."""
    found = re.search(r"storescope: file (\d+): (.*?)(?: SQLSTATE: \w+)?\s*$", told, re.MULTILINE)
    return (int(found[1]), found[2]) if found else None


def _fault(message: str) -> str:
    """An error that names the event's file, for :func:`fault_in`."""
    return f"raise_error(concat('storescope: file ', CAST(file AS STRING), {text(f': {message}')}))"


def inputs(cuts: Cuts) -> list[str]:
    """The input's columns that are read, under names that are the same whatever they are called."""
    return [f"{quoted(name)} AS {place}" for name, place in _inputs(cuts).items()]


def _inputs(cuts: Cuts) -> dict[str, str]:
    return {name: f"in_{number}" for number, name in enumerate(cuts.columns())}


def events(cuts: Cuts) -> list[str]:
    """From :func:`inputs` and ``file``: the kept columns as they are, and all muons of an event.

    Lists of one event that differ in length are an error when it is read."""
    quantities, places = cuts.quantities(), _inputs(cuts)
    lists = [places[column.name] for column in quantities.values()]
    fields = ", ".join(f"'{name}', {_value(places[column.name], column)}" for name, column in quantities.items())
    muons = f"transform({lists[0]}, (muon, i) -> named_struct('i', i, {fields}))"
    sizes = [f"size(ifnull({one}, array()))" for one in lists]
    equal = " AND ".join(f"{sizes[0]} = {size}" for size in sizes[1:])
    named = ", ".join(column.name for column in quantities.values())
    fault = _fault(f"the columns {named} differ in length in one event; they must be of one collection")
    kept = [f"{_numbered(places[name], kind)} AS kept_{number}" for number, (name, kind) in enumerate(cuts.keep)]
    return ["file", *kept, f"IF({equal}, ifnull({muons}, array()), {fault}) AS muons"]


def _numbered(value: str, kind: str) -> str:
    """A kept column in a type that is the same for all files, and holds every value of theirs."""
    return value if kind == "bool" else f"CAST({value} AS {'DOUBLE' if kind == 'float64' else 'DECIMAL(20, 0)'})"


def _kept(value: str, name: str, kind: str) -> str:
    """A kept value of a row in the output: as :func:`.physics.reduce` has it, and refused where that refuses it."""
    if kind == "float64":
        return f"ifnull({value}, double('NaN'))"
    cases = f"WHEN {value} IS NULL THEN {_fault(WITH_NULLS.format(name=name, kind=kind))}"
    if kind == "int64":
        cases += f" WHEN {value} > {2**63 - 1}BD THEN {_fault(TOO_LARGE.format(name=name))}"
    return f"CASE {cases} ELSE CAST({value} AS {_TYPES[kind]}) END"


def _value(place: str, column: Column) -> str:
    """A quantity of the muon of index ``i`` as a double; null is NaN."""
    value = f"ifnull(CAST({place}[i] AS DOUBLE), double('NaN'))"
    return value if column.scale == 1.0 else f"{value} * {_double(column.scale)}"


def selected(cuts: Cuts) -> list[list[str]]:
    """Steps from ``muons`` to ``good``: each is a select of its own beside all columns that are there."""
    muons = cuts.muons
    conditions = {
        "muon_pt": _above("muon.pt", muons.pt_min),
        "muon_eta": _below("abs(muon.eta)", muons.abs_eta_max),
        "muon_isolation": _below("muon.isolation", muons.isolation_max),
        "muon_global": "NOT isnan(muon.is_global) AND muon.is_global != 0D",
    }
    steps = [["muons AS left_0"]]
    for number, name in enumerate(cuts.muon_cuts()):
        steps.append([f"filter(left_{number}, muon -> {conditions[name]}) AS left_{number + 1}"])
    return steps


def paired(cuts: Cuts) -> list[list[str]]:
    """Steps from ``left_N``, the muons that are left, to ``first``, ``second``, ``mass`` and ``cut``.

    ``cut`` is the place in :meth:`Cuts.event_cuts` of the first cut that the event failed; their number where it passed
    all."""
    left = f"left_{len(cuts.muon_cuts())}"
    # Greatest pT first, then the first in the event; NaN last.
    key = "IF(isnan(muon.pt), double('-Infinity'), muon.pt)"
    ordered = f"sort_array(transform({left}, muon -> struct({key} AS key, -muon.i AS place, muon)), false)"
    leading = cuts.leading
    conditions = {
        "two_muons": f"size({left}) >= 2",
        "leading_pt": _above("first.pt", leading.pt_min),
        "leading_eta": _below("abs(first.eta)", leading.abs_eta_max),
        "leading_isolation": _below("first.isolation", leading.isolation_max),
        "opposite_sign": "first.charge * second.charge < 0D",
        "finite_mass": "abs(mass) < double('Infinity')",
    }
    names = cuts.event_cuts()
    failed = " ".join(f"WHEN NOT ({conditions[name]}) THEN {number}" for number, name in enumerate(names))
    return [
        [f"IF(size({left}) >= 2, {ordered}, NULL) AS ordered"],
        ["try_element_at(ordered, 1).muon AS first", "try_element_at(ordered, 2).muon AS second"],
        ["2D * sqrt(first.pt * second.pt * (power(sinh((first.eta - second.eta) / 2D), 2D)"
         " + power(sin((first.phi - second.phi) / 2D), 2D))) AS mass"],
        [f"CASE {failed} ELSE {len(names)} END AS cut"],
    ]


def totals(cuts: Cuts) -> dict[str, str]:
    """Counts over all events, by their names here: ``events``, ``muons``, then those that each cut left or removed."""
    left = {f"left_{name}": f"sum(size(left_{number + 1}))" for number, name in enumerate(cuts.muon_cuts())}
    removed = {f"removed_{name}": f"count_if(cut = {number})" for number, name in enumerate(cuts.event_cuts())}
    return {"events": "count(1)", "muons": "sum(size(left_0))", **left, **removed}


def pairs(cuts: Cuts) -> tuple[str, list[str]]:
    """The condition for a row, and the output's columns."""
    values = {"mass_gev": "mass"}
    for number, muon in enumerate(("first", "second"), 1):
        values.update({f"{name}{number}": f"{muon}.{name}" for name in ("pt", "eta", "phi")})
    made = [f"CAST({values[name]} AS {_TYPES[kind]}) AS {name}" for name, kind in PAIR_COLUMNS.items()]
    kept = [f"{_kept(f'kept_{place}', name, kind)} AS {quoted(name)}" for place, (name, kind) in enumerate(cuts.keep)]
    return f"cut = {len(cuts.event_cuts())}", ["file", *made, *kept]


def bins(edges: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """The bin of ``mass_gev`` in each histogram, as a column of its name: as ``numpy.histogram`` counts.

    -1 is below the first edge, the number of bins above the last."""
    return [f"{_bin(values)} AS {quoted(name)}" for name, values in edges.items()]


def _bin(edges: NDArray[np.float64]) -> str:
    count = len(edges) - 1
    first, last = _double(edges[0]), _double(edges[-1])
    even = np.allclose(np.diff(edges), edges[1] - edges[0])
    scaled = f"(mass_gev - {first}) / {_double(edges[-1] - edges[0])}"
    if not even:
        scaled = f"ln(mass_gev / {first}) / {_double(float(np.log(edges[-1] / edges[0])))}"
    guess = f"CAST(least({count - 1}D, greatest(0D, floor({scaled} * {count}D))) AS INT)"
    array = f"array({', '.join(_double(edge) for edge in edges)})"
    # The guess is off by one at most: the edges themselves decide.
    lower, upper = f"element_at({array}, {guess} + 1)", f"element_at({array}, {guess} + 2)"
    above = f"mass_gev >= {upper} AND {guess} < {count - 1}"
    inside = f"{guess} + CASE WHEN mass_gev < {lower} THEN -1 WHEN {above} THEN 1 ELSE 0 END"
    return f"CASE WHEN mass_gev < {first} THEN -1 WHEN mass_gev > {last} THEN {count} ELSE {inside} END"


def _above(value: str, threshold: float | None) -> str:
    return "true" if threshold is None else f"{value} > {_double(threshold)} AND NOT isnan({value})"


def _below(value: str, threshold: float | None) -> str:
    return "true" if threshold is None else f"{value} < {_double(threshold)}"


def _double(value: float) -> str:
    return f"{float(value)!r}D"


def datashape(kind: Mapping[str, object] | str) -> str:
    """A type of Spark's schema (as its JSON has it) as awkward writes it, for :func:`.physics.check_types`."""
    if isinstance(kind, str):
        return _NAMES.get(kind, kind)
    if kind.get("type") == "array":
        element = kind["elementType"]
        assert isinstance(element, str | Mapping)
        return f"var * {datashape(element)}"
    return str(kind.get("type"))


#: Unsigned integers are the next wider signed ones in Spark, those of 64 bits decimals.
_NAMES = {"byte": "int8", "short": "int16", "integer": "int32", "long": "int64", "decimal(20,0)": "uint64",
          "float": "float32", "double": "float64", "boolean": "bool"}


