# SPDX-License-Identifier: Apache-2.0
"""The hard collisions of the trigger's toy: partons, leptons and neutrinos of W+jets, tt and QCD events. Pure.

=======  ==================================================================================================================
wjets    a W of a Breit-Wigner mass that decays to a lepton, against radiated partons
ttbar    two tops to W b; 47 % of the W decay to a lepton, the others to quarks
qcd      two partons back to back by a power law, half of them b or c; one gives a part of its momentum to a lepton (of a
         b or c hadron, or a wrong identification) and a smaller one to a neutrino
=======  ==================================================================================================================

All have radiation. Momenta and energies are in GeV, lengths in mm, angles in radians."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Kinds of partons. ``TAU`` is what is seen of a tau lepton's decay to hadrons.
LIGHT, GLUON, CHARM, BOTTOM, TAU = range(5)
#: Masses and widths.
W_MASS, W_WIDTH, TOP_MASS, BOTTOM_MASS = 80.38, 2.085, 172.5, 4.8
#: Of b and c hadrons: mass in GeV, mean decay length at rest in mm, share of the parton's momentum.
HADRONS = {CHARM: (1.87, 0.20, 0.6), BOTTOM: (5.28, 0.45, 0.75)}


@dataclass
class Partons:
    """Partons of all events: of each, the index of its event, and what it is."""

    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats
    kind: Ints


@dataclass
class Leptons:
    """Electrons and muons of all events, the same way. ``flight``: their transverse distance from the collision, in mm."""

    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats
    charge: Ints
    electron: Bools
    flight: Floats


@dataclass
class Hard:
    """A number of collisions.

    Attributes:
        neutrinos: The sum of the momenta of the neutrinos: x and y, of each event.
        boson: Of each event the invariant mass of the first W; 0 where there is none.
    """

    events: int
    partons: Partons
    leptons: Leptons
    neutrinos: Floats
    boson: Floats


_Table = TypeVar("_Table", Partons, Leptons)


def joined(tables: list[_Table]) -> _Table:
    """One after another."""
    return type(tables[0])(*(np.concatenate([vars(table)[field.name] for table in tables]) for field in fields(tables[0])))


def picked(table: _Table, which: NDArray[np.bool_] | Ints) -> _Table:
    """Some of the rows."""
    return type(table)(*(values[which] for values in vars(table).values()))


def wrapped(phi: Floats) -> Floats:
    """Between -pi and pi."""
    return np.asarray((phi + np.pi) % (2 * np.pi) - np.pi)


def vectors(pt: Floats, rapidity: Floats, phi: Floats, mass: Floats | float) -> Floats:
    """Momenta as E, x, y, z, by rows."""
    transverse = np.hypot(pt, mass)
    return np.stack([transverse * np.cosh(rapidity), pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(rapidity)])


def decay(
    rng: Generator, parent: Floats, mass: Floats, products: tuple[Floats | float, Floats | float]
) -> tuple[Floats, Floats]:
    """The momenta of two products, isotropic in the frame of a parent of this mass."""
    count = parent.shape[1]
    first, second = (np.square(product) for product in products)
    energy = (mass**2 + first - second) / (2 * mass)
    size = np.sqrt(np.maximum(energy**2 - first, 0))
    cosine, azimuth = rng.uniform(-1, 1, count), rng.uniform(-np.pi, np.pi, count)
    sine = np.sqrt(1 - cosine**2)
    own = size * np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])
    along = np.einsum("ij,ij->j", own, parent[1:])
    moved = own + parent[1:] * (along / (parent[0] + mass) + energy) / mass
    one = np.vstack([(parent[0] * energy + along) / mass, moved])
    return one, parent - one


def polar(momentum: Floats) -> tuple[Floats, Floats, Floats]:
    """Transverse momentum, pseudorapidity and azimuth."""
    _, x, y, z = momentum
    pt = np.maximum(np.hypot(x, y), 1e-6)
    return pt, np.arcsinh(z / pt), np.arctan2(y, x)


def resonance(rng: Generator, count: int) -> Floats:
    """Masses of W bosons: Breit-Wigner, within 30 GeV of the mass."""
    most = np.arctan(60 / W_WIDTH)
    return np.asarray(W_MASS + W_WIDTH / 2 * np.tan(rng.uniform(-most, most, count)))


def falling(rng: Generator, count: int, least: float, power: float) -> Floats:
    """Transverse momenta by ``pt^-power`` from the least to 20 times the least."""
    u = rng.random(count) * (1 - 20.0 ** (1 - power))
    return np.asarray(least * (1 - u) ** (-1 / (power - 1)))


def radiation(rng: Generator, events: int, mean: float) -> Partons:
    """Radiated partons: mostly gluons, now and then a c or b quark."""
    counts = rng.poisson(mean, events)
    event = np.repeat(np.arange(events), counts)
    count = len(event)
    kind = rng.choice(np.array([GLUON, LIGHT, CHARM, BOTTOM]), count, p=[0.58, 0.29, 0.08, 0.05])
    eta = np.clip(rng.normal(0, 1.9, count), -4.5, 4.5)
    return Partons(event, 10 + falling(rng, count, 12, 3.0), eta, rng.uniform(-np.pi, np.pi, count), kind)


def _recoil(rng: Generator, events: int, radiated: Partons) -> Floats:
    """The transverse momentum of what stands against radiation: x and y."""
    x, y = (
        -np.bincount(radiated.event, radiated.pt * turn(radiated.phi), minlength=events) for turn in (np.cos, np.sin)
    )
    return np.asarray(np.stack([x, y]) + rng.normal(0, 6, (2, events)))


class _Born:
    """Collects what W bosons decay to."""

    def __init__(self, rng: Generator, events: int) -> None:
        self.rng, self.events = rng, events
        self.partons: list[Partons] = []
        self.leptons: list[Leptons] = []
        self.neutrinos = np.zeros((2, events))

    def unseen(self, event: Ints, momentum: Floats) -> None:
        """Neutrinos; an event may have several."""
        self.neutrinos += np.stack([np.bincount(event, values, minlength=self.events) for values in momentum[1:3]])

    def jets(self, event: Ints, momentum: Floats, kind: int | Ints) -> None:
        """Partons."""
        self.partons.append(Partons(event, *polar(momentum), np.broadcast_to(np.asarray(kind), event.shape)))

    def leptonic(self, event: Ints, boson: Floats, mass: Floats, charge: Ints) -> None:
        """W to electrons and muons, of which a few come from taus; or to taus that decay to hadrons."""
        rng, count = self.rng, len(event)
        lepton, neutrino = decay(rng, boson, mass, (0.0, 0.0))
        flavour = rng.random(count)
        tau, electron = flavour > 0.94, flavour % 0.1 < 0.05
        hadronic = tau & (flavour < 0.98)
        share = np.where(tau, np.where(hadronic, rng.beta(3, 2, count), rng.beta(1.6, 2.4, count)), 1.0)
        self.unseen(event, neutrino + lepton * (1 - share))
        seen = lepton * share
        self.jets(event[hadronic], seen[:, hadronic], TAU)
        own = ~hadronic
        flight = np.where(tau, rng.exponential(0.08, count) * polar(lepton)[0] / 1.777, 0)[own]
        self.leptons.append(Leptons(event[own], *polar(seen[:, own]), charge[own], electron[own], flight))


def wjets(rng: Generator, events: int) -> Hard:
    """W bosons and what stands against them."""
    born = _Born(rng, events)
    radiated = radiation(rng, events, 1.6)
    x, y = _recoil(rng, events, radiated)
    mass = resonance(rng, events)
    boson = vectors(np.hypot(x, y), rng.normal(0, 1.1, events), np.arctan2(y, x), mass)
    charge = np.where(rng.random(events) < 0.57, 1, -1)
    born.leptonic(np.arange(events), boson, mass, charge)
    return Hard(events, joined([radiated, *born.partons]), joined(born.leptons), born.neutrinos, mass)


def ttbar(rng: Generator, events: int) -> Hard:
    """Pairs of top quarks."""
    born, every = _Born(rng, events), np.arange(events)
    radiated = radiation(rng, events, 0.9)
    recoil = _recoil(rng, events, radiated) / 2
    pt, phi = rng.gamma(2.1, 44, events), rng.uniform(-np.pi, np.pi, events)
    centre, half = rng.normal(0, 0.8, events), rng.normal(0, 0.55, events)
    charge = np.where(rng.random(events) < 0.5, 1, -1)
    masses = []
    for sign in (1, -1):
        x, y = recoil + sign * pt * np.stack([np.cos(phi), np.sin(phi)])
        top = vectors(np.hypot(x, y), centre + sign * half, np.arctan2(y, x), TOP_MASS)
        mass = resonance(rng, events)
        boson, bottom = decay(rng, top, np.full(events, TOP_MASS), (mass, BOTTOM_MASS))
        born.jets(every, bottom, BOTTOM)
        which = rng.random(events) < 0.47
        born.leptonic(every[which], boson[:, which], mass[which], sign * charge[which])
        one, other = decay(rng, boson[:, ~which], mass[~which], (0.0, 0.0))
        born.jets(every[~which], one, np.where(rng.random(one.shape[1]) < 0.5, CHARM, LIGHT))
        born.jets(every[~which], other, LIGHT)
        masses.append(mass)
    return Hard(events, joined([radiated, *born.partons]), joined(born.leptons), born.neutrinos, masses[0])


def qcd(rng: Generator, events: int) -> Hard:
    """Pairs of partons, one of which gives a lepton."""
    radiated = radiation(rng, events, 1.3)
    x, y = _recoil(rng, events, radiated) / 2
    kind = rng.choice(np.array([BOTTOM, CHARM, LIGHT, GLUON]), events, p=[0.36, 0.22, 0.14, 0.28])
    pt, phi = falling(rng, events, 28, 4.6), rng.uniform(-np.pi, np.pi, events)
    centre, half = rng.normal(0, 1.0, events), rng.normal(0, 0.7, events)
    sides = []
    for sign in (1, -1):
        px, py = x + sign * pt * np.cos(phi), y + sign * pt * np.sin(phi)
        sides.append((np.hypot(px, py), np.clip(centre + sign * half, -4.5, 4.5), np.arctan2(py, px)))
    heavy = (kind == BOTTOM) | (kind == CHARM)
    share = np.where(heavy, rng.beta(3, 2, events), rng.beta(4, 2, events))
    unseen = np.where(heavy, rng.beta(1.2, 4, events), 0) * (1 - share)
    mother, eta, angle = sides[0]
    every = np.arange(events)
    flight = np.where(heavy, _flight(rng, kind, mother), 0)
    electron = rng.random(events) < np.where(heavy, 0.5, 0.75)
    charge = np.where(rng.random(events) < 0.5, 1, -1)
    leptons = Leptons(every, share * mother, eta, angle, charge, electron, flight)
    rest = Partons(
        every, np.maximum((1 - share - unseen) * mother, 0.5), eta + rng.normal(0, 0.26, events),
        wrapped(angle + rng.normal(0, 0.26, events)), kind,
    )
    neutrinos = unseen * mother * np.stack([np.cos(angle), np.sin(angle)])
    partons = joined([radiated, rest, Partons(every, *sides[1], kind)])
    return Hard(events, partons, leptons, neutrinos, np.zeros(events))


def _flight(rng: Generator, kind: Ints, pt: Floats) -> Floats:
    """Transverse decay lengths of hadrons with a b or c quark; 0 of others."""
    length = np.zeros(len(kind))
    for quark, (mass, rest, share) in HADRONS.items():
        length = np.where(kind == quark, rest * share * pt / mass, length)
    return np.asarray(rng.exponential(1.0, len(kind)) * length)


def flights(rng: Generator, partons: Partons) -> Floats:
    """The transverse distance in mm from the collision at which the hadron of each parton decays; 0 for light ones."""
    return _flight(rng, partons.kind, partons.pt)


#: By the labels of :data:`storescope_workloads.trainer.features.CLASSES`.
PROCESSES = (qcd, ttbar, wjets)
