# SPDX-License-Identifier: Apache-2.0
"""A toy of CMS events with muons: resonances and backgrounds in the proportions of published spectra. Pure.

The mixture, per event:

=================  =====  ==============================================================================
Z                   10 %  Breit-Wigner of 91.1876 GeV and a width of 2.4952 GeV, 40 to 200 GeV
Drell-Yan           10 %  mass^-2.5 from 2 to 300 GeV
Upsilon 1S 2S 3S   3.3 %  9.4603, 10.0233 and 10.3552 GeV, as 62, 24 and 14
J/psi                6 %  3.0969 GeV
psi(2S)            0.6 %  3.6861 GeV
heavy flavour       15 %  two muons that are not isolated, 35 % of them of one sign
one muon            35 %  every third from a W, the others not isolated
none              20.1 %
=================  =====  ==============================================================================

A parent decays isotropically in its frame and is boosted by its transverse momentum and rapidity, N(0, 1.5). Muons are
measured to 0.9 % (barrel) or 1.8 % (endcaps) and kept above 3 GeV, within ``|eta| < 2.4``, with 97 % efficiency; 6 % of
the events have one more soft muon. Transverse momenta fall as ``pt (1 + pt^2 / p0^2)^-n``. For resonances of low mass
they are harder than those produced, as after a trigger, so that a cut at 25 GeV keeps some of J/psi and Upsilon.

Values are equal to the bit on one kind of CPU with one version of numpy; others may differ in the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .columns import Columns

#: Events of a chunk. A chunk is made as a whole, from the seed and its number; changing this changes all samples.
CHUNK = 10_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MUON_MASS = 0.1056583745
_Z, _DRELL_YAN, _UPSILON, _JPSI, _PSI2S, _HEAVY, _SINGLE, _NONE = range(8)
_SHARES = np.array([0.10, 0.10, 0.033, 0.06, 0.006, 0.15, 0.35, 0.201])
_EVENTS_PER_BLOCK = 1_000
_EVENTS_PER_RUN = 1_000_000
_FIRST_RUN = 193_833


def chunk(seed: int, number: int) -> Columns:
    """The :data:`CHUNK` events of a chunk, as :data:`storescope_workloads.generate.branches.BASIC` names their columns.

    Args:
        seed: Of the sample, 0 to 2^32 - 1.
        number: Of the chunk: it holds the events from ``number * CHUNK`` on.
    """
    rng = np.random.default_rng([seed, number])
    process = np.searchsorted(np.cumsum(_SHARES[:-1]), rng.random(CHUNK), side="right")
    jets = _jets(rng, process)
    muons = _measured(rng, _true(rng, process))
    return {
        **_numbers(number),
        **_event(rng, process),
        **_muon_columns(rng, muons, jets["nJet"]),
        **jets,
        **_triggers(rng, muons),
    }


@dataclass
class _Muons:
    """Muons of all events: of each, the event that it is in, and whether it comes straight from the collision."""

    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats
    charge: Ints
    prompt: Bools

    def pick(self, which: NDArray[Any]) -> _Muons:
        return _Muons(**{name: values[which] for name, values in vars(self).items()})


def _numbers(number: int) -> Columns:
    index = np.arange(number * CHUNK, (number + 1) * CHUNK, dtype=np.uint64)
    return {
        "run": (_FIRST_RUN + index // _EVENTS_PER_RUN).astype(np.uint32),
        "luminosityBlock": (1 + index % _EVENTS_PER_RUN // _EVENTS_PER_BLOCK).astype(np.uint32),
        "event": index + np.uint64(1),
    }


def _true(rng: Generator, process: Ints) -> _Muons:
    """Muons as they are born."""
    parts = [*_decays(rng, process), *_heavy_flavour(rng, np.flatnonzero(process == _HEAVY))]
    parts.append(_single(rng, np.flatnonzero(process == _SINGLE)))
    soft = np.flatnonzero(rng.random(len(process)) < 0.06)
    parts.append(_alone(rng, soft, 3 + rng.exponential(1.5, len(soft)), np.zeros(len(soft), bool)))
    return _Muons(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _falling(rng: Generator, count: int, p0: float | Floats, n: float) -> Floats:
    """Transverse momenta by ``pt (1 + pt^2 / p0^2)^-n``."""
    return np.asarray(p0 * np.sqrt((1 - rng.random(count)) ** (-1 / (n - 1)) - 1))


def _decays(rng: Generator, process: Ints) -> tuple[_Muons, _Muons]:
    """Both muons of all pairs from one parent."""
    event = np.flatnonzero(process <= _PSI2S)
    kind = process[event]
    mass, pt = _masses(rng, kind), _parents(rng, kind)
    count = len(event)
    rapidity, phi = rng.normal(0, 1.5, count), rng.uniform(-np.pi, np.pi, count)
    transverse = np.hypot(mass, pt)
    parent = np.stack([pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(rapidity)])
    energy = transverse * np.cosh(rapidity)
    cosine, azimuth = rng.uniform(-1, 1, count), rng.uniform(-np.pi, np.pi, count)
    sine = np.sqrt(1 - cosine**2)
    own = np.sqrt(mass**2 / 4 - MUON_MASS**2) * np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])
    along = np.einsum("ij,ij->j", own, parent) / (mass * (energy + mass))
    return (
        _moving(event, own + parent * (along + 0.5), np.ones(count, np.int64)),
        _moving(event, -own + parent * (0.5 - along), np.full(count, -1)),
    )


def _moving(event: Ints, momentum: Floats, charge: Ints) -> _Muons:
    x, y, z = momentum
    pt = np.hypot(x, y)
    return _Muons(event, pt, np.arcsinh(z / pt), np.arctan2(y, x), charge, np.ones(len(event), bool))


def _masses(rng: Generator, kind: Ints) -> Floats:
    u = rng.random(len(kind))
    width = 2.4952 / 2
    low, high = np.arctan((40 - 91.1876) / width), np.arctan((200 - 91.1876) / width)
    first, last = 2.0**-1.5, 300.0**-1.5
    return np.select(
        [kind == _Z, kind == _DRELL_YAN, kind == _UPSILON, kind == _JPSI],
        [
            91.1876 + width * np.tan(low + u * (high - low)),
            (first + u * (last - first)) ** (-1 / 1.5),
            np.array([9.4603, 10.0233, 10.3552])[np.searchsorted([0.62, 0.86], u)],
            3.0969,
        ],
        3.6861,
    )


def _parents(rng: Generator, kind: Ints) -> Floats:
    """Transverse momenta of the parents."""
    p0 = np.select([kind == _Z, kind == _DRELL_YAN, kind == _UPSILON], [13.0, 12.0, 14.0], 15.0)
    return _falling(rng, len(kind), p0, 2.6)


def _heavy_flavour(rng: Generator, event: Ints) -> tuple[_Muons, _Muons]:
    """Two muons of decays of two b or c quarks, about back to back."""
    count = len(event)
    first = _alone(rng, event, 3 + _falling(rng, count, 16.0, 3.0), np.zeros(count, bool))
    second = _alone(rng, event, 3 + _falling(rng, count, 16.0, 3.0), np.zeros(count, bool))
    second.phi = _wrapped(first.phi + np.pi + rng.normal(0, 0.7, count))
    second.charge = np.where(rng.random(count) < 0.35, first.charge, -first.charge)
    return first, second


def _single(rng: Generator, event: Ints) -> _Muons:
    count = len(event)
    prompt = rng.random(count) < 1 / 3
    pt = np.where(prompt, np.abs(rng.normal(36, 9, count)), 3 + _falling(rng, count, 5.0, 3.0))
    return _alone(rng, event, pt, prompt)


def _alone(rng: Generator, event: Ints, pt: Floats, prompt: Bools) -> _Muons:
    count = len(event)
    charge = 1 - 2 * rng.integers(0, 2, count)
    return _Muons(event, pt, rng.normal(0, 1.6, count), rng.uniform(-np.pi, np.pi, count), charge, prompt)


def _wrapped(phi: Floats) -> Floats:
    return np.asarray((phi + np.pi) % (2 * np.pi) - np.pi)


def _measured(rng: Generator, true: _Muons) -> _Muons:
    """Those that are found, as they are measured, by falling transverse momentum in each event."""
    count = len(true.event)
    resolution = np.where(np.abs(true.eta) < 1.2, 0.009, 0.018)
    true.pt = true.pt * (1 + resolution * rng.standard_normal(count))
    found = true.pick((true.pt > 3) & (np.abs(true.eta) < 2.4) & (rng.random(count) < 0.97))
    return found.pick(np.lexsort((-found.pt, found.event)))


def _muon_columns(rng: Generator, muons: _Muons, n_jets: NDArray[np.int32]) -> Columns:
    count = len(muons.event)
    prompt = muons.prompt
    isolation = np.where(
        prompt,
        np.where(rng.random(count) < 0.35, 0, rng.exponential(0.05, count)),
        rng.gamma(1.2, 0.6, count),
    )
    is_global = rng.random(count) < np.where(prompt | (muons.pt > 8), 0.975, 0.8)
    dxy_error = 0.0015 + 0.015 / muons.pt * rng.gamma(9, 1 / 9, count)
    dz_error = 1.6 * dxy_error * rng.gamma(16, 1 / 16, count)
    dxy = dxy_error * rng.standard_normal(count) + np.where(prompt, 0, rng.laplace(0, 0.012, count))
    dz = dz_error * rng.standard_normal(count) + np.where(prompt, 0, rng.laplace(0, 0.02, count))
    close = (np.abs(dxy) < 0.2) & (np.abs(dz) < 0.5)
    jets = n_jets[muons.event]
    in_jet = (jets > 0) & (rng.random(count) < np.where(prompt, 0.05, 0.8))
    return {
        "nMuon": np.bincount(muons.event, minlength=CHUNK).astype(np.int32),
        "Muon_pt": muons.pt.astype(np.float32),
        "Muon_eta": muons.eta.astype(np.float32),
        "Muon_phi": muons.phi.astype(np.float32),
        "Muon_mass": np.full(count, MUON_MASS, np.float32),
        "Muon_charge": muons.charge.astype(np.int32),
        "Muon_pfRelIso03_all": rounded(isolation * rng.uniform(0.6, 1, count), 12),
        "Muon_pfRelIso04_all": rounded(isolation, 12),
        "Muon_tightId": is_global & close & (rng.random(count) < np.where(prompt, 0.97, 0.8)),
        "Muon_softId": rng.random(count) < np.where(prompt, 0.98, 0.93),
        "Muon_isGlobal": is_global,
        "Muon_dxy": rounded(dxy, 10),
        "Muon_dxyErr": rounded(dxy_error, 6),
        "Muon_dz": rounded(dz, 10),
        "Muon_dzErr": rounded(dz_error, 6),
        "Muon_jetIdx": np.where(in_jet, (rng.random(count) * jets).astype(np.int32), -1).astype(np.int32),
    }


def rounded(values: NDArray[np.floating[Any]], bits: int) -> NDArray[np.float32]:
    """As float32 with so many bits of mantissa, as NanoAOD has them: what is not measured is not stored."""
    drop = 23 - bits
    raw = values.astype(np.float32).view(np.uint32)
    return ((raw + np.uint32(1 << (drop - 1))) & np.uint32(~((1 << drop) - 1) & 0xFFFFFFFF)).view(np.float32)


def _jets(rng: Generator, process: Ints) -> Columns:
    counts = rng.poisson(np.where(process == _HEAVY, 1.8, 0.8))
    event = np.repeat(np.arange(CHUNK), counts)
    count = len(event)
    pt = 15 + _falling(rng, count, 22.0, 3.0)
    order = np.lexsort((-pt, event))
    pt = pt[order]
    eta = np.clip(rng.normal(0, 2, count), -4.7, 4.7)
    tracked = (np.abs(eta) < 2.4) & (rng.random(count) < 0.97)
    return {
        "nJet": counts.astype(np.int32),
        "Jet_pt": rounded(pt, 10),
        "Jet_eta": rounded(eta, 12),
        "Jet_phi": rounded(rng.uniform(-np.pi, np.pi, count), 12),
        "Jet_mass": rounded(pt * (0.05 + rng.gamma(4, 0.025, count)), 10),
        "Jet_puId": rng.choice(np.array([0, 4, 6, 7], np.int32), count, p=[0.2, 0.1, 0.1, 0.6]),
        "Jet_btagCSVV2": rounded(np.where(tracked, rng.beta(1.2, 2.5, count), -10), 10),
    }


def _event(rng: Generator, process: Ints) -> Columns:
    """Of the event as a whole: vertices and missing transverse momentum."""
    vertices = 1 + rng.poisson(14, CHUNK)
    total = 60 + 45 * vertices * rng.gamma(12, 1 / 12, CHUNK)
    resolution = 0.55 * np.sqrt(total)
    neutrino = np.where((process == _SINGLE) & (rng.random(CHUNK) < 1 / 3), 32.0, 0.0)
    x, y = resolution * rng.standard_normal(CHUNK) + neutrino, resolution * rng.standard_normal(CHUNK)
    met = np.hypot(x, y)
    return {
        "PV_npvs": vertices.astype(np.int32),
        "PV_x": rounded(rng.normal(0.072, 0.0018, CHUNK), 10),
        "PV_y": rounded(rng.normal(0.062, 0.0018, CHUNK), 10),
        "PV_z": rounded(rng.normal(0.3, 5.2, CHUNK), 12),
        "MET_pt": rounded(met, 10),
        "MET_phi": rounded(_wrapped(np.arctan2(y, x) + rng.uniform(-np.pi, np.pi, CHUNK)), 12),
        "MET_sumEt": rounded(total, 10),
        "MET_significance": rounded((met / resolution) ** 2, 10),
    }


def _triggers(rng: Generator, muons: _Muons) -> Columns:
    def some(which: Bools, at_least: int = 1) -> Bools:
        """Events in which so many of these muons are."""
        return np.asarray(np.bincount(muons.event[which], minlength=CHUNK) >= at_least)

    isolated = (muons.pt > 24) & muons.prompt & (rng.random(len(muons.pt)) < 0.9)
    double = some(muons.pt > 17) & some(muons.pt > 8, 2)
    return {
        "HLT_IsoMu24_eta2p1": some(isolated & (np.abs(muons.eta) < 2.1)),
        "HLT_IsoMu24": some(isolated),
        "HLT_Mu17_Mu8": double & (rng.random(CHUNK) < 0.93),
    }
