# SPDX-License-Identifier: Apache-2.0
"""The selection and the 14 event features of the trigger, in numpy alone: what the package computes is not used here.

A lepton passes above 23 GeV with an isolation below 0.45: the sum over tracks above 0.5 GeV and over photons and neutral
hadrons above 1 GeV, within 0.3 of it, divided by its own transverse momentum. The lepton's own track is not counted."""

from __future__ import annotations

import numpy as np

NAMES = """HT MET phiMET MT nJets nBjets LepPt LepEta LepPhi LepIsoCh LepIsoGamma LepIsoNeu LepCharge LepIsEle""".split()


def apart(phi, other):
    """Differences of azimuths, between -pi and pi."""
    return (phi - other + np.pi) % (2 * np.pi) - np.pi


def of_each(columns, collection):
    """The index of each object's event."""
    counts = columns[f"{collection}_size"]
    return np.repeat(np.arange(len(counts)), counts)


def cones(columns, event, eta, phi, collection, size, least):
    """Of leptons, the sum in the cone over one collection."""
    counts = columns[f"{collection}_size"].astype(np.int64)
    starts = np.cumsum(counts) - counts
    number = counts[event]
    lepton = np.repeat(np.arange(len(event)), number)
    within = np.arange(len(lepton)) - np.repeat(np.cumsum(number) - number, number)
    at = starts[event][lepton] + within
    pt, its_eta, its_phi = (columns[f"{collection}.{name}"][at] for name in (size, "Eta", "Phi"))
    distance = np.hypot(its_eta - eta[lepton], apart(its_phi, phi[lepton]))
    inside = (distance < 0.3) & (distance > 1e-4) & (pt > least)
    return np.bincount(lepton, pt * inside, minlength=len(event))


def leptons(columns):
    """All electrons and muons: event, pt, eta, phi, charge, whether an electron, and three relative isolations."""
    parts = []
    for collection, electron in (("Electron", 1.0), ("MuonTight", 0.0)):
        event = of_each(columns, collection)
        pt, eta, phi, charge = (columns[f"{collection}.{name}"].astype(float) for name in ("PT", "Eta", "Phi", "Charge"))
        sums = [
            cones(columns, event, eta, phi, *what)
            for what in (("EFlowTrack", "PT", 0.5), ("EFlowPhoton", "ET", 1.0), ("EFlowNeutralHadron", "ET", 1.0))
        ]
        parts.append([event, pt, eta, phi, charge, np.full(len(pt), electron), *(one / pt for one in sums)])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def features(columns):
    """Indices of the events that pass, and their 14 features."""
    table = leptons(columns)
    passed = (table[1] > 23) & (table[6] + table[7] + table[8] < 0.45)
    table = [values[passed] for values in table]
    order = np.lexsort((-table[1], table[0]))
    table = [values[order] for values in table]
    event, first = np.unique(table[0], return_index=True)
    pt, eta, phi, charge, electron, charged, photons, neutrals = (values[first] for values in table[1:])
    events = len(columns["Jet_size"])
    jets = (columns["Jet.PT"] > 30) & (np.abs(columns["Jet.Eta"]) < 2.6)
    of, momentum, tag = of_each(columns, "Jet")[jets], columns["Jet.PT"][jets], columns["Jet.BTag"][jets]
    total, number, tagged = (np.bincount(of, weights, minlength=events)[event] for weights in (momentum, None, tag > 0))
    met, its_phi = (columns[f"MissingET.{name}"][event].astype(float) for name in ("MET", "Phi"))
    transverse = np.sqrt(2 * met * pt * (1 - np.cos(apart(its_phi, phi))))
    rows = [total, met, its_phi, transverse, number, tagged, pt, eta, phi, charged, photons, neutrals, charge, electron]
    return event, np.stack(rows, axis=1)
