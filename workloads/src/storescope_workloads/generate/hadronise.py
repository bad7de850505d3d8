# SPDX-License-Identifier: Apache-2.0
"""From partons to the particles of events, with those of the underlying event and of pile-up. Pure.

A parton becomes Poisson(2.5 + 3.4 ln(1 + pt)) particles (a gluon 25 % more; a tau 1 to 5), which share its momentum by a gamma
law and lie about its axis: the softer, the wider. Six of ten are charged, 25 % photons, 15 % neutral hadrons. Six of ten of
the charged particles of a b quark come from where its hadron decays, some mm off, one of ten of these is an electron or a
muon. Soft particles have an exponential spectrum with a tail; their number is negative binomial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .partons import BOTTOM, CHARM, GLUON, TAU, Floats, Leptons, Partons, flights

Values = NDArray[np.float32]

#: Kinds of particles.
TRACK, PHOTON, NEUTRAL = range(3)
#: Where events lie along the beam: the spread in mm, and the resolution of a track's origin in mm.
BEAM, RESOLUTION = 40.0, 0.02
#: Share of soft particles of the hard collision; other collisions of an event.
UNDERLYING, COLLISIONS = 0.2, 20
_PHOTONS, _NEUTRALS = 0.25, 0.15


@dataclass
class Particles:
    """Particles of all events, in the order of events: of each, the index of its event, and what it is.

    ``x``, ``y`` and ``z`` are the origin in mm. ``pid`` is 0 where ``kind`` is not :data:`TRACK`."""

    event: NDArray[np.uint16]
    kind: NDArray[np.int8]
    pt: Values
    eta: Values
    phi: Values
    x: Values
    y: Values
    z: Values
    pid: NDArray[np.int32]

    def pick(self, which: NDArray[Any]) -> Particles:
        """Some of them."""
        return Particles(*(values[which] for values in vars(self).values()))


def in_order(parts: list[Particles]) -> Particles:
    """All of them by the order of events."""
    whole = Particles(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))
    return whole.pick(np.argsort(whole.event, kind="stable"))


def single(values: Any) -> Values:
    """As float32."""
    return np.asarray(values, np.float32)


def turned(phi: Values) -> Values:
    """Azimuths that are at most a few turns off, between -pi and pi."""
    turn = np.float32(2 * np.pi)
    return np.asarray(phi - turn * np.rint(phi / turn), np.float32)


def fragments(rng: Generator, partons: Partons, z: Floats) -> Particles:
    """The particles of partons.

    Args:
        z: Where each event's collision is along the beam, mm.
    """
    mean = (2.5 + 3.4 * np.log1p(partons.pt)) * np.where(partons.kind == GLUON, 1.25, 1.0)
    counts = np.where(partons.kind == TAU, rng.integers(1, 6, len(mean)), np.maximum(rng.poisson(mean), 1))
    of = np.repeat(np.arange(len(counts)), counts)
    count = len(of)
    weights = rng.standard_gamma(0.8, count, dtype=np.float32)
    total = np.bincount(of, weights, minlength=len(counts))
    pt = single(weights * (partons.pt / total)[of])
    spread = single(np.where(partons.kind == GLUON, 0.42, 0.33))[of] / np.sqrt(1 + pt)
    width = single(np.where(partons.kind[of] == TAU, np.float32(0.03), spread))
    eta = single(single(partons.eta[of]) + width * rng.standard_normal(count, dtype=np.float32))
    phi = turned(single(single(partons.phi[of]) + width * rng.standard_normal(count, dtype=np.float32)))
    kind = kinds(rng, count)
    flight = single(flights(rng, partons))[of]
    own = single(np.select([partons.kind == BOTTOM, partons.kind == CHARM], [0.6, 0.4], 0.0))[of]
    displaced = (kind == TRACK) & (rng.random(count, dtype=np.float32) < own)
    flight = np.where(displaced, flight, np.float32(0))
    axis = single(partons.phi)[of]
    event = partons.event[of].astype(np.uint16)
    pid = identities(rng, kind, np.where(displaced, np.float32(0.1), np.float32(0.004)))
    return Particles(
        event, kind, pt, eta, phi,
        *origins(rng, kind, (flight * np.cos(axis), flight * np.sin(axis)),
                 single(single(z)[event] + flight * single(np.sinh(np.clip(partons.eta, -4, 4)))[of])),
        pid,
    )


def soft(rng: Generator, mean: float, z: Floats) -> Particles:
    """The particles of the underlying event and of pile-up, about ``mean`` of an event."""
    events = len(z)
    counts = rng.poisson(mean * rng.gamma(20, 1 / 20, events))
    event = np.repeat(np.arange(events, dtype=np.uint16), counts)
    count = len(event)
    kind = kinds(rng, count)
    least = np.array([0.4, 0.8, 0.8], np.float32)[kind]
    # An exponential whose scale varies has a tail.
    scale = np.float32(0.45) / (np.float32(0.35) + np.float32(0.65) * rng.random(count, dtype=np.float32))
    pt = least + scale * rng.standard_exponential(count, dtype=np.float32)
    reach = np.array([2.6, 3.2, 3.2], np.float32)[kind]
    eta = reach * (2 * rng.random(count, dtype=np.float32) - 1)
    phi = np.float32(np.pi) * (2 * rng.random(count, dtype=np.float32) - 1)
    places = single(np.hstack([rng.normal(0, BEAM, (events, COLLISIONS)), z[:, None]]))
    which = rng.integers(0, COLLISIONS, count, dtype=np.int8)
    which[rng.random(count, dtype=np.float32) < UNDERLYING] = COLLISIONS
    here = places[event, which]
    far = np.where(rng.random(count, dtype=np.float32) < 0.004, rng.standard_exponential(count, dtype=np.float32), 0)
    pid = identities(rng, kind, np.float32(0.003))
    return Particles(event, kind, pt, eta, phi, *origins(rng, kind, (far * np.cos(phi), far * np.sin(phi)), here), pid)


def kinds(rng: Generator, count: int) -> NDArray[np.int8]:
    """Tracks, photons and neutral hadrons by their shares."""
    u = rng.random(count, dtype=np.float32)
    return (u < _PHOTONS + _NEUTRALS).astype(np.int8) + (u < _NEUTRALS).astype(np.int8)


def origins(
    rng: Generator, kind: NDArray[np.int8], displaced: tuple[Any, Any], along: Values
) -> tuple[Values, Values, Values]:
    """Where particles come from, as it is measured; 0 for those that leave no track."""
    count = len(kind)
    track = kind == TRACK
    noise = np.float32(RESOLUTION) * rng.standard_normal((2, count), dtype=np.float32)
    longitudinal = along + np.float32(2 * RESOLUTION) * rng.standard_normal(count, dtype=np.float32)
    zero = np.float32(0)
    return (
        np.where(track, displaced[0] + noise[0], zero),
        np.where(track, displaced[1] + noise[1], zero),
        np.where(track, longitudinal, zero),
    )


def identities(rng: Generator, kind: NDArray[np.int8], leptons: Any) -> NDArray[np.int32]:
    """PDG numbers of tracks, of which a part are leptons; 0 of others. Pions, kaons and protons are as 84, 11 and 5."""
    u = rng.random(len(kind), dtype=np.float32)
    sign = 1 - 2 * (rng.integers(0, 2, len(kind), dtype=np.int8)).astype(np.int32)
    pid = np.array([2212, 321, 211], np.int32)[(u > 0.05).astype(np.int8) + (u > 0.16)]
    pid = np.where(u > 1 - leptons, np.where(u > 1 - leptons / 2, 11, 13), pid) * sign
    return np.where(kind == TRACK, pid, 0).astype(np.int32)


def tracks_of(rng: Generator, leptons: Leptons, z: Floats) -> Particles:
    """The tracks of leptons: they have the leptons' own momenta."""
    kind = np.full(len(leptons.pt), TRACK, np.int8)
    flight = single(leptons.flight)
    phi = single(leptons.phi)
    return Particles(
        leptons.event.astype(np.uint16), kind, single(leptons.pt), single(leptons.eta), phi,
        *origins(rng, kind, (flight * np.cos(phi), flight * np.sin(phi)),
                 single(z)[leptons.event] + flight * single(np.sinh(np.clip(leptons.eta, -4, 4)))),
        (-leptons.charge * np.where(leptons.electron, 11, 13)).astype(np.int32),
    )
