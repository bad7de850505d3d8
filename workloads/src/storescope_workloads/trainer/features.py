# SPDX-License-Identifier: Apache-2.0
"""Names and orders of classes and features. Pure; imports nothing."""

from __future__ import annotations

#: The classes, by label: 0, 1, 2. Also the names of the data sets, and of the folders that ``generate trigger`` makes.
CLASSES = ("qcd", "ttbar", "wjets")

#: The features of an event, in this order. Momenta and energies in GeV, angles in radians.
EVENT_FEATURES = (
    "HT", "MET", "phiMET", "MT", "nJets", "nBjets", "LepPt", "LepEta", "LepPhi", "LepIsoCh", "LepIsoGamma", "LepIsoNeu",
    "LepCharge", "LepIsEle",
)

#: The features of a particle, in this order. Energies and momenta in GeV, angles in radians, vertices in mm.
PARTICLE_FEATURES = (
    "E", "px", "py", "pz", "pT", "eta", "phi", "vtxX", "vtxY", "vtxZ", "ChPFIso", "GammaPFIso", "NeuPFIso", "isChHad",
    "isNeuHad", "isGamma", "isEle", "isMu", "Charge",
)

#: Particles of an event at most: the lepton, 450 tracks, 150 photons, 200 neutral hadrons.
TRACKS, PHOTONS, NEUTRALS = 450, 150, 200
MOST_PARTICLES = 1 + TRACKS + PHOTONS + NEUTRALS
