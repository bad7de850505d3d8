# SPDX-License-Identifier: Apache-2.0
"""The features of events that were selected, and of their particles. Pure: numpy alone, vectorised over the events of a batch.

The isolation of a particle is the sum of the pT of the others in a cone of ΔR < 0.3 around it, over its own pT: of tracks,
of photons and of neutral hadrons. A particle itself is not among them. The pairs are found by cells of a grid in η and φ, so
that the work grows with the particles and not with their square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import EVENT_FEATURES, MOST_PARTICLES, NEUTRALS, PARTICLE_FEATURES, PHOTONS, TRACKS
from .selection import CONE, SAME, Events, Floats, Integers, Leptons, Lists, Selected, angle_between, distance_squared

#: Jets count above this pT in GeV, and within this |η|.
JET_PT, JET_ETA = 30.0, 2.6
#: The kinds of particles beside the lepton, in their order, and how many an event has at most.
KINDS = {"tracks": TRACKS, "photons": PHOTONS, "neutrals": NEUTRALS}

#: Bits of a number by which objects are sorted.
_BITS = 64
_COLUMN = {name: number for number, name in enumerate(PARTICLE_FEATURES)}
_FLAG = {"tracks": "isChHad", "photons": "isGamma", "neutrals": "isNeuHad"}
#: Columns of the isolation by the kind of those around.
_AROUND = {"tracks": "ChPFIso", "photons": "GammaPFIso", "neutrals": "NeuPFIso"}

assert len(EVENT_FEATURES) == 14 and len(PARTICLE_FEATURES) == 19 and 1 + sum(KINDS.values()) == MOST_PARTICLES


@dataclass
class Particles:
    """The particles of some events.

    Attributes:
        features: float32, of shape (particles, 19): :data:`PARTICLE_FEATURES`. Of each event the lepton, then tracks,
            photons and neutral hadrons, each by falling pT.
        counts: Particles of each event.
        kept: Of each kind, in all events.
        cut_off: Those that were beyond the limits of :data:`KINDS`.
    """

    features: NDArray[np.float32]
    counts: Integers
    kept: dict[str, int]
    cut_off: dict[str, int]


def event_features(selected: Selected) -> NDArray[np.float32]:
    """float32, of shape (events, 14): :data:`EVENT_FEATURES`."""
    events, leptons = selected.events, selected.leptons
    jets = events.jets.keep((events.jets["pt"] > JET_PT) & (np.abs(events.jets["eta"]) < JET_ETA))
    met, phi = (events.met[name][events.met.starts].astype(np.float64) for name in ("pt", "phi"))
    count = len(events)
    made = np.empty((count, len(EVENT_FEATURES)), np.float32)
    columns: Sequence[NDArray[Any]] = (
        np.bincount(jets.owners, weights=jets["pt"], minlength=count),
        met,
        phi,
        transverse_mass(met, phi, leptons),
        jets.counts,
        np.bincount(jets.owners[jets["tag"] > 0], minlength=count),
        *(leptons.pt, leptons.eta, leptons.phi),
        *(leptons.charged, leptons.photon, leptons.neutral),
        *(leptons.charge, leptons.is_electron),
    )
    with np.errstate(over="ignore"):
        for place, column in enumerate(columns):
            made[:, place] = column
    return made


def transverse_mass(met: Floats, phi: Floats, leptons: Leptons) -> Floats:
    """√(2 MET pT (1 - cos Δφ)) of the lepton and the missing transverse energy, in GeV. ``phi`` is the latter's.

    Written with 1 - cos x = 2 sin² x/2, which loses no digits where they are close."""
    # Two roots: the product may be too large where they are not. A negative MET, which is none, gives NaN.
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * np.sqrt(met) * np.sqrt(leptons.pt) * np.abs(np.sin(angle_between(leptons.phi, phi) / 2)))


def particle_features(selected: Selected) -> Particles:
    """The particles of the events, with their features."""
    events, leptons = selected.events, selected.leptons
    lists = {name: _by_falling_pt(getattr(events, name)) for name in KINDS}
    isolations = _isolations(list(lists.values()))
    kept, cut_off = {"lepton": len(events)}, {}
    blocks, counts = [_lepton_block(leptons)], [np.ones(len(events), np.int64)]
    for (name, limit), around in zip(KINDS.items(), isolations, strict=True):
        listed = Lists(lists[name].counts, {**lists[name].values, **dict(zip(_AROUND, around, strict=True))})
        if name == "tracks":
            listed = listed.keep(~_is_own(listed, leptons))
        within = listed.keep(listed.ranks < limit)
        kept[name] = int(within.counts.sum())
        cut_off[name] = int(listed.counts.sum()) - kept[name]
        blocks.append(_block(name, within))
        counts.append(within.counts)
    return Particles(_interleaved(blocks, counts), np.sum(counts, axis=0), kept, cut_off)


def _is_own(tracks: Lists, leptons: Leptons) -> NDArray[np.bool_]:
    """Which tracks are that of the event's lepton."""
    eta, phi = (np.repeat(values, tracks.counts) for values in (leptons.eta, leptons.phi))
    return distance_squared(tracks["eta"], tracks["phi"], eta, phi) <= SAME * SAME


def _by_falling_pt(lists: Lists) -> Lists:
    """The objects of each event by falling pT, of equal ones in their order."""
    most, events = int(lists.counts.max(initial=0)), len(lists.counts)
    if events.bit_length() + 32 + most.bit_length() > _BITS:
        return lists.reorder(np.lexsort((-lists["pt"], lists.owners)))
    # One number of 64 bits for each object: event, pT turned round, place. pT is positive: its bits order as it does.
    bits = np.ascontiguousarray(lists["pt"], np.float32).view(np.uint32)
    turned = (np.uint32(0xFFFFFFFF) - bits).astype(np.uint64)
    shift = np.uint64(most.bit_length())
    ranks = lists.ranks.astype(np.uint64)
    keys = (((lists.owners.astype(np.uint64) << np.uint64(32)) | turned) << shift) | ranks
    keys.sort()
    places = (keys & ((np.uint64(1) << shift) - np.uint64(1))).astype(np.int64)
    return lists.reorder(places + np.repeat(lists.starts, lists.counts))


def _lepton_block(leptons: Leptons) -> NDArray[np.float32]:
    block = np.zeros((len(leptons.pt), len(PARTICLE_FEATURES)), np.float32)
    _fill_momenta(block, leptons.pt, leptons.eta, leptons.phi)
    with np.errstate(over="ignore"):
        for name, values in (
            *(("ChPFIso", leptons.charged), ("GammaPFIso", leptons.photon), ("NeuPFIso", leptons.neutral)),
            *(("isEle", leptons.is_electron), ("isMu", ~leptons.is_electron), ("Charge", leptons.charge)),
        ):
            block[:, _COLUMN[name]] = values
    return block


def _block(kind: str, lists: Lists) -> NDArray[np.float32]:
    """The features of all objects of a kind, in the order of their events."""
    block = np.zeros((len(lists["pt"]), len(PARTICLE_FEATURES)), np.float32)
    _fill_momenta(block, lists["pt"], lists["eta"], lists["phi"])
    block[:, _COLUMN[_FLAG[kind]]] = 1
    with np.errstate(over="ignore"):
        for around, name in _AROUND.items():
            block[:, _COLUMN[name]] = lists[around]
    if kind == "tracks":
        for name, own in (("vtxX", "x"), ("vtxY", "y"), ("vtxZ", "z"), ("Charge", "charge")):
            block[:, _COLUMN[name]] = lists[own]
    return block


def _fill_momenta(block: NDArray[np.float32], pt: NDArray[Any], eta: NDArray[Any], phi: NDArray[Any]) -> None:
    """Energy and momentum of particles whose mass does not matter, and what they follow from."""
    transverse, across, around = (values.astype(np.float64) for values in (pt, eta, phi))
    with np.errstate(over="ignore"):
        block[:, _COLUMN["E"]] = transverse * np.cosh(across)
        block[:, _COLUMN["px"]] = transverse * np.cos(around)
        block[:, _COLUMN["py"]] = transverse * np.sin(around)
        block[:, _COLUMN["pz"]] = transverse * np.sinh(across)
    for name, values in (("pT", pt), ("eta", eta), ("phi", phi)):
        block[:, _COLUMN[name]] = values


def _interleaved(blocks: list[NDArray[np.float32]], counts: list[Integers]) -> NDArray[np.float32]:
    """Blocks of all events, a kind each, as blocks of all kinds, an event each."""
    total = np.sum(counts, axis=0)
    start = np.cumsum(total) - total
    order = np.empty(int(total.sum()), np.int64)
    before = 0
    for block, own in zip(blocks, counts, strict=True):
        places = np.arange(len(block)) - np.repeat(np.cumsum(own) - own, own) + np.repeat(start, own)
        order[places] = np.arange(before, before + len(block))
        start, before = start + own, before + len(block)
    return np.concatenate(blocks)[order]


# Isolation.

#: The grid: rows of η from -FAR on, so wide that two particles in a cone lie in one row or in two beside each other; those
#: beyond are in the first and the last. Columns of φ the same; and one at each end for copies of those at the other.
_WIDTH, _FAR = CONE + 1e-4, 5.1
_ROWS = int(2 * _FAR / _WIDTH) + 1
_TURN = 20
_COLUMNS = _TURN + 2

assert 2 * np.pi / _TURN > _WIDTH


def _isolations(kinds: Sequence[Lists]) -> list[list[NDArray[np.float64]]]:
    """For the objects of each kind: the sum of the pT of those of each kind in the cone around, over its own pT."""
    eta, phi, pt = (np.concatenate([lists[name] for lists in kinds]).astype(np.float64) for name in ("eta", "phi", "pt"))
    owners = np.concatenate([lists.owners for lists in kinds])
    sizes = [len(lists["pt"]) for lists in kinds]
    kind = np.repeat(np.arange(len(kinds)), sizes)
    first, second = _pairs(eta, phi, owners, len(kinds[0].counts))
    of = np.concatenate([first, second]) * len(kinds) + kind[np.concatenate([second, first])]
    sums = np.bincount(of, weights=pt[np.concatenate([second, first])], minlength=len(pt) * len(kinds))
    relative = sums.reshape(-1, len(kinds)) / pt[:, None]
    return [list(part.T) for part in np.split(relative, np.cumsum(sizes)[:-1])]


def _pairs(eta: Floats, phi: Floats, owners: Integers, events: int) -> tuple[Integers, Integers]:
    """All pairs of particles of one event with ΔR < CONE, each once.

    A particle is paired with those behind it in its own cell and the next one of its row, and with those of three cells of the
    next row. With cells sorted by event, row and column these are two ranges."""
    phi = phi - 2 * np.pi * np.rint(phi / (2 * np.pi))
    row = np.clip((eta + _FAR) / _WIDTH, 0, _ROWS - 1).astype(np.int64)
    column = np.clip((phi + np.pi) * (_TURN / (2 * np.pi)), 0, _TURN - 1).astype(np.int64)
    # One more row for each event, which stays empty.
    cell = (owners * (_ROWS + 1) + row) * _COLUMNS + column + 1
    low, high = np.flatnonzero(column == 0), np.flatnonzero(column == _TURN - 1)
    source = np.concatenate([np.arange(len(eta)), low, high])
    cells = np.concatenate([cell, cell[low] + _TURN, cell[high] - _TURN])
    around = np.concatenate([phi, phi[low] + 2 * np.pi, phi[high] - 2 * np.pi])
    order = np.argsort(cells, kind="stable")
    source, cells, around = source[order], cells[order], around[order]
    across = eta[source]
    ends = np.cumsum(np.bincount(cells, minlength=events * (_ROWS + 1) * _COLUMNS + 1))
    mine = np.flatnonzero(order < len(eta))
    at = cells[mine]
    below = at + _COLUMNS
    starts = np.concatenate([mine + 1, ends[below - 2]])
    stops = np.concatenate([ends[at + 1], ends[below + 1]])
    counts = stops - starts
    first = np.repeat(np.concatenate([mine, mine]), counts)
    second = np.arange(len(first)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    apart, turned = across[first] - across[second], around[first] - around[second]
    near = apart * apart + turned * turned < CONE * CONE
    return source[first[near]], source[second[near]]
