# SPDX-License-Identifier: Apache-2.0
"""A toy of what a trigger sees of W+jets, tt and QCD events, in the proportions that published scores need. Pure.

:mod:`.partons` makes the collisions, :mod:`.hadronise` particles of them. Here they are measured:

- Tracks above 0.4 GeV within ``|eta| < 2.5``, photons and neutral hadrons above 0.7 GeV within 3.2.
- Electrons and muons above 10 GeV, within 2.5 and 2.4, to 1.5 % and 1 %; 92 % and 96 % are identified. Each is a track, too.
- Jets are partons, not clusters of particles: above 20 GeV, within 4.5, to 0.9/sqrt(pt) and 4 %; 68 % of b, 18 % of c and 1.5 %
  of other jets are tagged as b. One of three events has a jet of pile-up.
- Missing transverse momentum is that of the neutrinos, smeared by 0.5 sqrt(sum of ET) in x and in y.

The hard collision and the soft particles have random streams of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .columns import Columns
from .dimuon import rounded
from .hadronise import BEAM, NEUTRAL, PHOTON, TRACK, Particles, fragments, in_order, soft, tracks_of
from .partons import BOTTOM, CHARM, GLUON, PROCESSES, Floats, Hard, Leptons, Partons, joined, picked, wrapped

#: Events of a chunk. A chunk is made as a whole, from the seed, its class and its number; changing this changes all samples.
CHUNK = 500
#: Particles of the underlying event and of pile-up, of an event in the mean, and the most that can be asked for.
SOFT_PARTICLES, MOST_SOFT_PARTICLES = 320.0, 2_000.0
#: Efficiencies of the b tag: of b, of c and of others.
TAGS = (0.68, 0.18, 0.015)
#: What soft particles add to the sum of transverse energies that the resolution of the missing momentum is for, GeV.
_SOFT_ET = 120.0
_FLOW = (("EFlowTrack", TRACK, "PT"), ("EFlowPhoton", PHOTON, "ET"), ("EFlowNeutralHadron", NEUTRAL, "ET"))
#: Bits of mantissa of what particle-flow objects hold.
_BITS = {"PT": 12, "ET": 12, "Eta": 14, "Phi": 14, "X": 10, "Y": 10, "Z": 13}


def chunk(seed: int, label: int, number: int, soft_particles: float = SOFT_PARTICLES) -> Columns:
    """The :data:`CHUNK` events of a chunk, as :data:`storescope_workloads.generate.branches.TRIGGER` names their columns.

    Args:
        seed: Of the sample, 0 to 2^32 - 1.
        label: Of the class, an index of :data:`storescope_workloads.trainer.features.CLASSES`.
        number: Of the chunk: it holds the events of the class from ``number * CHUNK`` on.
        soft_particles: Their mean number in an event.
    """
    rng, other = (np.random.default_rng([seed, label, number, stream]) for stream in (2, 3))
    hard = PROCESSES[label](rng, CHUNK)
    along = rng.normal(0, BEAM, CHUNK)
    leptons = _measured(rng, hard.leptons)
    of_partons = fragments(rng, hard.partons, along)
    seen = in_order([tracks_of(rng, leptons, along), of_partons])
    columns: Columns = {"Event.Number": np.arange(number * CHUNK, (number + 1) * CHUNK, dtype=np.int64)}
    columns |= _leptons(rng, leptons)
    columns |= _jets(rng, hard.partons)
    particles = in_order([seen, soft(other, soft_particles, along)])
    columns |= _particles(particles)
    # Of soft particles a constant is taken: else their number would change the resolution.
    total = np.asarray(np.bincount(seen.event, seen.pt, minlength=CHUNK), np.float64)
    columns |= _missing(rng, hard, total)
    return columns


def _measured(rng: Generator, leptons: Leptons) -> Leptons:
    """Those that leave a track, by falling transverse momentum."""
    count = len(leptons.event)
    pt = leptons.pt * (1 + np.where(leptons.electron, 0.015, 0.01) * rng.standard_normal(count))
    # To the bits of tracks: a lepton and its track are equal.
    leptons.pt = rounded(pt, _BITS["PT"]).astype(np.float64)
    leptons.eta, leptons.phi = (rounded(values, _BITS["Eta"]).astype(np.float64) for values in (leptons.eta, leptons.phi))
    kept = picked(leptons, (leptons.pt > 0.5) & (np.abs(leptons.eta) < 2.5))
    return picked(kept, np.lexsort((-kept.pt, kept.event)))


def _leptons(rng: Generator, leptons: Leptons) -> Columns:
    u = rng.random(len(leptons.event))
    found = (leptons.pt > 10) & np.where(leptons.electron, u < 0.92, (u < 0.96) & (np.abs(leptons.eta) < 2.4))
    columns: Columns = {}
    for name, own in (("Electron", leptons.electron), ("MuonTight", ~leptons.electron)):
        these = picked(leptons, found & own)
        columns |= _collection(name, these.event, PT=these.pt, Eta=these.eta, Phi=these.phi)
        columns[f"{name}.Charge"] = these.charge.astype(np.int32)
    return columns


def _collection(name: str, event: NDArray[Any], **fields: NDArray[Any]) -> Columns:
    """The columns of objects; values become float32."""
    columns: Columns = {f"{name}_size": np.bincount(event, minlength=CHUNK).astype(np.int32)}
    return columns | {f"{name}.{field}": values.astype(np.float32) for field, values in fields.items()}


def _jets(rng: Generator, partons: Partons) -> Columns:
    extra = np.flatnonzero(rng.random(CHUNK) < 1 / 3)
    count = len(extra)
    pile_up = Partons(
        extra, 15 + rng.exponential(9, count), rng.uniform(-4.5, 4.5, count), rng.uniform(-np.pi, np.pi, count),
        np.full(count, GLUON),
    )
    jets = joined([partons, pile_up])
    count = len(jets.event)
    jets.pt = jets.pt * (1 + np.hypot(0.9 / np.sqrt(jets.pt), 0.04) * rng.standard_normal(count))
    jets.eta = jets.eta + rng.normal(0, 0.02, count)
    jets.phi = wrapped(jets.phi + rng.normal(0, 0.02, count))
    mass = jets.pt * (0.05 + rng.gamma(4, 0.025, count))
    efficiency = np.select([jets.kind == BOTTOM, jets.kind == CHARM], TAGS[:2], TAGS[2])
    tagged = (rng.random(count) < efficiency) & (np.abs(jets.eta) < 2.5)
    kept = np.flatnonzero((jets.pt > 20) & (np.abs(jets.eta) < 4.5))
    kept = kept[np.lexsort((-jets.pt[kept], jets.event[kept]))]
    jets = picked(jets, kept)
    columns = _collection(
        "Jet", jets.event, PT=rounded(jets.pt, 12), Eta=rounded(jets.eta, 12), Phi=rounded(jets.phi, 12),
        Mass=rounded(mass[kept], 12),
    )
    columns["Jet.BTag"] = tagged[kept].astype(np.uint32)
    return columns


def _particles(particles: Particles) -> Columns:
    reach = np.where(particles.kind == TRACK, np.float32(2.5), np.float32(3.2))
    least = np.where(particles.kind == TRACK, np.float32(0.4), np.float32(0.7))
    particles = particles.pick((particles.pt > least) & (np.abs(particles.eta) < reach))
    columns: Columns = {}
    for name, kind, first in _FLOW:
        these = particles.pick(np.flatnonzero(particles.kind == kind))
        fields = {first: these.pt, "Eta": these.eta, "Phi": these.phi}
        if kind == TRACK:
            fields |= {"X": these.x, "Y": these.y, "Z": these.z}
            columns["EFlowTrack.PID"] = these.pid
            # Of leptons the sign is against the charge.
            lepton = np.abs(these.pid) < 20
            columns["EFlowTrack.Charge"] = (np.sign(these.pid) * np.where(lepton, -1, 1)).astype(np.int32)
        columns |= _collection(name, these.event, **{field: rounded(values, _BITS[field]) for field, values in fields.items()})
    return columns


def _missing(rng: Generator, hard: Hard, total: Floats) -> Columns:
    resolution = 0.5 * np.sqrt(total + _SOFT_ET)
    x, y = hard.neutrinos + resolution * rng.standard_normal((2, CHUNK))
    met, phi = rounded(np.hypot(x, y), 12), rounded(np.arctan2(y, x), 12)
    return _collection("MissingET", np.arange(CHUNK), MET=met, Eta=np.zeros(CHUNK), Phi=phi)
