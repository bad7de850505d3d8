# SPDX-License-Identifier: Apache-2.0
"""The 63 branches that ``--branches 100`` adds: plausible values, about as compressible as CMS's. Pure.

They have a random stream of their own, so that the other 37 are the same with and without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .branches import FILLER
from .columns import Columns
from .dimuon import CHUNK, chunk, rounded

Values = NDArray[Any]
Law = Callable[[Generator, int], Values]


def extended_chunk(seed: int, number: int) -> Columns:
    """The events of a chunk with all 100 columns; the arguments are those of :func:`dimuon.chunk`."""
    columns = chunk(seed, number)
    rng = np.random.default_rng([seed, number, 1])
    electrons = rng.poisson(0.35, CHUNK).astype(np.int32)
    counts = {
        "Muon": len(columns["Muon_pt"]),
        "Jet": len(columns["Jet_pt"]),
        "Electron": int(electrons.sum()),
        None: CHUNK,
    }
    columns["nElectron"] = electrons
    columns["Muon_pdgId"] = -13 * columns["Muon_charge"]
    for branch in FILLER:
        if branch.name not in columns:
            columns[branch.name] = _LAWS[branch.name](rng, counts[branch.collection]).astype(branch.dtype)
    return columns


def _falling(start: float, scale: float, bits: int = 10) -> Law:
    return lambda rng, count: rounded(start + rng.exponential(scale, count), bits)


def _normal(mean: float, width: float, bits: int = 10) -> Law:
    return lambda rng, count: rounded(rng.normal(mean, width, count), bits)


def _gamma(shape: float, scale: float, bits: int = 8) -> Law:
    return lambda rng, count: rounded(rng.gamma(shape, scale, count), bits)


def _share(a: float, b: float, absent: float = 0.0, bits: int = 6) -> Law:
    """Between 0 and 1, and exactly 0 where it is absent."""
    return lambda rng, count: rounded(np.where(rng.random(count) < absent, 0, rng.beta(a, b, count)), bits)


def _azimuth(rng: Generator, count: int) -> Values:
    return rounded(rng.uniform(-np.pi, np.pi, count), 12)


def _one_of(*weights: float, values: tuple[int, ...] | None = None) -> Law:
    """A whole number: from 0 on, or of ``values``."""
    chosen = np.array(values if values else range(len(weights)), np.int32)
    edges = np.cumsum(weights[:-1])
    return lambda rng, count: chosen[np.searchsorted(edges, rng.random(count), side="right")]


def _poisson(mean: float) -> Law:
    return lambda rng, count: rng.poisson(mean, count)


def _flag(share: float) -> Law:
    return lambda rng, count: rng.random(count) < share


_LAWS: dict[str, Law] = {
    "Muon_ptErr": _gamma(4, 0.08),
    "Muon_ip3d": _falling(0, 0.006),
    "Muon_sip3d": _falling(0, 1.8),
    "Muon_segmentComp": _share(6, 1.2),
    "Muon_nStations": _one_of(0.05, 0.15, 0.3, 0.3, 0.2),
    "Muon_nTrackerLayers": _one_of(0.05, 0.1, 0.15, 0.3, 0.25, 0.15, values=(8, 9, 10, 11, 12, 13)),
    "Muon_pfRelIso03_chg": _share(0.7, 5, absent=0.45, bits=10),
    "Muon_miniPFRelIso_all": _share(0.7, 6, absent=0.4, bits=10),
    "Muon_mvaTTH": _normal(0.3, 0.5),
    "Muon_mediumId": _flag(0.93),
    "Muon_isTracker": _flag(0.98),
    "Muon_isPFcand": _flag(0.97),
    "Muon_tightCharge": _one_of(0.03, 0.97, values=(0, 2)),
    "Jet_area": _normal(0.5, 0.03),
    "Jet_nConstituents": _poisson(18),
    "Jet_chEmEF": _share(1, 12, absent=0.6),
    "Jet_chHEF": _share(4, 3),
    "Jet_neEmEF": _share(2, 6, absent=0.05),
    "Jet_neHEF": _share(1, 9, absent=0.2),
    "Jet_muEF": _share(1, 12, absent=0.85),
    "Jet_qgl": _share(1, 1, bits=10),
    "Jet_rawFactor": _normal(0.05, 0.06, 6),
    "Jet_jetId": _one_of(0.02, 0.08, 0.9, values=(0, 2, 6)),
    "Jet_nMuons": _one_of(0.85, 0.13, 0.02),
    "Jet_nElectrons": _one_of(0.9, 0.09, 0.01),
    "Jet_bRegCorr": _normal(1.02, 0.12),
    "Jet_btagDeepB": _share(0.6, 3, bits=10),
    "Jet_btagDeepFlavB": _share(0.5, 4, bits=10),
    "Electron_pt": _falling(5, 14),
    "Electron_eta": lambda rng, count: rounded(rng.uniform(-2.5, 2.5, count), 12),
    "Electron_phi": _azimuth,
    "Electron_mass": _normal(0.0, 0.012),
    "Electron_charge": _one_of(0.5, 0.5, values=(-1, 1)),
    "Electron_pfRelIso03_all": _falling(0, 0.3, 12),
    "Electron_dxy": _normal(0, 0.015),
    "Electron_dz": _normal(0, 0.04),
    "Electron_sip3d": _falling(0, 2.2),
    "Electron_hoe": _falling(0, 0.03),
    "Electron_sieie": _gamma(9, 0.0015),
    "Electron_r9": _share(8, 1.5, bits=10),
    "Electron_cutBased": _one_of(0.45, 0.15, 0.1, 0.1, 0.2),
    "MET_covXX": _gamma(6, 40),
    "MET_covXY": _normal(0, 25, 8),
    "MET_covYY": _gamma(6, 40),
    "MET_MetUnclustEnUpDeltaX": _normal(0, 6),
    "MET_MetUnclustEnUpDeltaY": _normal(0, 6),
    "PV_ndof": _gamma(3, 25),
    "PV_chi2": _gamma(20, 0.05),
    "PV_score": _gamma(0.8, 2500),
    "PV_npvsGood": _poisson(12),
    "fixedGridRhoFastjetAll": _gamma(9, 1.3, 10),
    "CaloMET_pt": _gamma(2, 13, 10),
    "CaloMET_phi": _azimuth,
    "PuppiMET_pt": _gamma(2, 11, 10),
    "PuppiMET_phi": _azimuth,
    "HLT_Mu40": _flag(0.02),
    "HLT_Ele27_WP80": _flag(0.05),
    "HLT_PFMET150": _flag(0.003),
    "Flag_goodVertices": _flag(0.999),
    "Flag_HBHENoiseFilter": _flag(0.998),
    "Flag_METFilters": _flag(0.995),
}
