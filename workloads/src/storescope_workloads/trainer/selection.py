# SPDX-License-Identifier: Apache-2.0
"""Which events pass: those with an isolated electron or muon. Pure: numpy alone, vectorised over the events of a batch.

An event passes if it has an electron or a tight muon of pT > 23 GeV whose isolation is below 0.45, and at least one track of
pT > 0.5 GeV, one photon and one neutral hadron of ET > 1 GeV. The isolation is the sum of the pT of these tracks, and of the
ET of these photons and neutral hadrons, in a cone of ΔR < 0.3 around the lepton, divided by the lepton's pT. The lepton's own
track (ΔR <= 0.0001) is not in it.

Lists of objects are flat arrays of the objects of all events, and how many belong to each event (:class:`Lists`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: A lepton's pT must be above this, in GeV, and its isolation below.
LEPTON_PT, ISOLATION = 23.0, 0.45
#: Radius of the cone, and the distance up to which a track is the lepton's own.
CONE, SAME = 0.3, 1e-4
#: Tracks are of pT above this, photons and neutral hadrons of ET above this, in GeV.
TRACK_PT, NEUTRAL_ET = 0.5, 1.0

#: Why an event is cut, in the order in which it is looked at: an event counts for the first that holds.
REASONS = (
    "not_finite",  # a value that is read is NaN or infinite
    "no_met",  # no missing transverse energy
    "no_lepton",  # no electron, no muon
    "pt",  # none above LEPTON_PT
    "isolation",  # none of those isolated
    "empty_tracks",
    "empty_photons",
    "empty_neutrals",
    "overflow",  # a feature is no number of float32
)


@dataclass(frozen=True)
class Lists:
    """A list of objects for each event.

    Attributes:
        counts: Objects of each event.
        values: By the quantity's name, that of all objects of all events, one after another.
    """

    counts: Integers
    values: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    @cached_property
    def starts(self) -> Integers:
        """Where the objects of each event begin."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def owners(self) -> Integers:
        """The event of each object, counted from 0."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def ranks(self) -> Integers:
        """The place of each object in its event's list, counted from 0."""
        return np.arange(int(self.counts.sum())) - np.repeat(self.starts, self.counts)

    def keep(self, objects: Flags) -> Lists:
        """The lists without objects that are not flagged."""
        if objects.all():
            return self
        before = np.concatenate([[0], np.cumsum(objects)])
        starts = self.starts
        counts = before[starts + self.counts] - before[starts]
        return Lists(counts, {name: values[objects] for name, values in self.values.items()})

    def of(self, events: Flags) -> Lists:
        """The lists of the events that are flagged."""
        if events.all():
            return self
        objects = np.repeat(events, self.counts)
        return Lists(self.counts[events], {name: values[objects] for name, values in self.values.items()})

    def cut(self, first: int, last: int) -> Lists:
        """The lists of the events ``first`` up to ``last``, as views."""
        start = int(self.counts[:first].sum())
        stop = start + int(self.counts[first:last].sum())
        return Lists(self.counts[first:last], {name: values[start:stop] for name, values in self.values.items()})

    def reorder(self, order: Integers) -> Lists:
        """The objects in another order, by which no object changes its event."""
        return Lists(self.counts, {name: values[order] for name, values in self.values.items()})


@dataclass(frozen=True)
class Events:
    """Some events. All values are of float32; momenta and energies in GeV, angles in radians, vertices in mm.

    Attributes:
        tracks: ``pt``, ``eta``, ``phi``, ``x``, ``y``, ``z``, ``charge``.
        photons: ``pt`` (their ET), ``eta``, ``phi``.
        neutrals: The same, of neutral hadrons.
        electrons: ``pt``, ``eta``, ``phi``, ``charge``.
        muons: The same.
        jets: ``pt``, ``eta``, ``tag``.
        met: Missing transverse energy: ``pt``, ``phi``. The first of each event is taken.
    """

    tracks: Lists
    photons: Lists
    neutrals: Lists
    electrons: Lists
    muons: Lists
    jets: Lists
    met: Lists

    def __len__(self) -> int:
        return len(self.met.counts)

    @property
    def lists(self) -> dict[str, Lists]:
        """By their names."""
        return dict(vars(self))

    def of(self, events: Flags) -> Events:
        """Those that are flagged."""
        return Events(**{name: lists.of(events) for name, lists in self.lists.items()})

    def slices(self, size: int) -> Iterator[Events]:
        """All of them, ``size`` events at a time."""
        for first in range(0, len(self), size):
            yield Events(**{name: lists.cut(first, first + size) for name, lists in self.lists.items()})


@dataclass(frozen=True)
class Leptons:
    """One lepton for each event.

    Attributes:
        charged: The part of its isolation that tracks make.
        photon: The part of photons.
        neutral: The part of neutral hadrons.
    """

    pt: Floats
    eta: Floats
    phi: Floats
    charge: Floats
    is_electron: Flags
    charged: Floats
    photon: Floats
    neutral: Floats

    def of(self, chosen: NDArray[Any]) -> Leptons:
        """Those of some numbers or flags."""
        return Leptons(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass
class Selected:
    """The events that pass.

    Attributes:
        numbers: Which they are of those that came in.
        events: They themselves; tracks, photons and neutral hadrons below the thresholds are left out.
        leptons: The lepton of each.
        cut: Events that do not pass, by reason.
    """

    numbers: Integers
    events: Events
    leptons: Leptons
    cut: dict[str, int] = field(default_factory=dict)

    def of(self, chosen: Flags) -> Selected:
        """Those of them that are flagged."""
        return Selected(self.numbers[chosen], self.events.of(chosen), self.leptons.of(chosen), self.cut)


def select(events: Events) -> Selected:
    """Selects events. The lepton of an event is the isolated one of the greatest pT, electron or muon; of equal ones a muon, and
    of equal ones of one kind the first in the list."""
    flow = _Flow(len(events))
    flow.apply("not_finite", _are_finite(events))
    flow.apply("no_met", events.met.counts > 0)
    flow.apply("no_lepton", events.electrons.counts + events.muons.counts > 0)
    candidates = _candidates(events)
    flow.apply("pt", np.bincount(candidates.owners, minlength=len(events)) > 0)
    numbers = np.flatnonzero(flow.left)
    candidates, events = candidates.of(flow.left), _above_thresholds(events.of(flow.left))
    flow = flow.only()
    leptons = _leptons(candidates, events)
    isolated = leptons.charged + leptons.photon + leptons.neutral < ISOLATION
    first = _greatest(leptons.pt, candidates.owners, isolated)
    flow.apply("isolation", np.bincount(candidates.owners[first], minlength=len(events)) > 0)
    for name in ("tracks", "photons", "neutrals"):
        flow.apply(f"empty_{name}", events.lists[name].counts > 0)
    chosen = first[flow.left[candidates.owners[first]]]
    return Selected(numbers[flow.left], events.of(flow.left), leptons.of(chosen), flow.cut)


class _Flow:
    """Which events are left, and how many were cut for what."""

    def __init__(self, events: int) -> None:
        self.left = np.ones(events, np.bool_)
        self.cut = dict.fromkeys(REASONS, 0)

    def apply(self, reason: str, passed: Flags) -> None:
        """Cuts what is left and has not passed."""
        left = self.left & passed
        self.cut[reason] += int(np.count_nonzero(self.left)) - int(np.count_nonzero(left))
        self.left = left

    def only(self) -> _Flow:
        """For those that are left alone."""
        made = _Flow(int(np.count_nonzero(self.left)))
        made.cut = self.cut
        return made


def _are_finite(events: Events) -> Flags:
    """The events all of whose values are numbers."""
    finite = np.ones(len(events), np.bool_)
    for lists in events.lists.values():
        for values in lists.values.values():
            good = np.isfinite(values)
            if not good.all():
                finite[lists.owners[~good]] = False
    return finite


def _candidates(events: Events) -> Lists:
    """Leptons above the threshold: in each event muons, then electrons, each in the order of their list."""
    kinds = (events.muons, events.electrons)
    counts = kinds[0].counts + kinds[1].counts
    order = np.argsort(np.concatenate([lists.owners for lists in kinds]), kind="stable")
    values = {name: np.concatenate([lists[name] for lists in kinds]) for name in ("pt", "eta", "phi", "charge")}
    values["electron"] = np.repeat([False, True], [len(lists["pt"]) for lists in kinds])
    every = Lists(counts, values).reorder(order)
    return every.keep(every["pt"] > LEPTON_PT)


def _above_thresholds(events: Events) -> Events:
    lists = events.lists
    lists["tracks"] = events.tracks.keep(events.tracks["pt"] > TRACK_PT)
    for name in ("photons", "neutrals"):
        lists[name] = lists[name].keep(lists[name]["pt"] > NEUTRAL_ET)
    return Events(**lists)


def _leptons(candidates: Lists, events: Events) -> Leptons:
    """The candidates with their isolations: one for each candidate, not for each event."""
    values = {name: candidates[name].astype(np.float64) for name in ("pt", "eta", "phi", "charge")}
    return Leptons(
        **values,
        is_electron=candidates["electron"],
        charged=_isolation(candidates, events.tracks, apart=SAME),
        photon=_isolation(candidates, events.photons),
        neutral=_isolation(candidates, events.neutrals),
    )


def _isolation(candidates: Lists, others: Lists, apart: float | None = None) -> Floats:
    """The sum of the pT of others in the cone around each candidate, over the candidate's pT.

    Args:
        apart: Others at this distance or nearer are the candidate itself.
    """
    own = candidates.owners
    counts, starts = others.counts[own], others.starts[own]
    total = np.cumsum(counts)
    of = np.repeat(np.arange(len(own)), counts)
    other = np.arange(int(total[-1]) if len(total) else 0) + np.repeat(starts - (total - counts), counts)
    squared = distance_squared(candidates["eta"][of], candidates["phi"][of], others["eta"][other], others["phi"][other])
    inside = squared < CONE * CONE
    if apart is not None:
        inside &= squared > apart * apart
    sums = np.bincount(of[inside], weights=others["pt"][other[inside]], minlength=len(own))
    return np.asarray(sums / candidates["pt"].astype(np.float64))


def distance_squared(eta: NDArray[Any], phi: NDArray[Any], other_eta: NDArray[Any], other_phi: NDArray[Any]) -> Floats:
    """ΔR² of pairs: Δη² + Δφ²."""
    across = np.subtract(eta, other_eta, dtype=np.float64)
    around = angle_between(phi, other_phi)
    return np.asarray(across * across + around * around)


def angle_between(phi: NDArray[Any], other: NDArray[Any]) -> Floats:
    """Δφ of pairs, from -π to π."""
    apart = np.subtract(phi, other, dtype=np.float64)
    return np.asarray(apart - 2 * np.pi * np.rint(apart / (2 * np.pi)))


def _greatest(pt: Floats, owners: Integers, flagged: Flags) -> Integers:
    """The flagged candidate of the greatest pT in each event that has one, of equal ones the first."""
    numbers = np.flatnonzero(flagged)
    order = numbers[np.lexsort((-pt[numbers], owners[numbers]))]
    _, first = np.unique(owners[order], return_index=True)
    return np.asarray(order[first])
