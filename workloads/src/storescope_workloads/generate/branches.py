# SPDX-License-Identifier: Apache-2.0
"""The branches of the samples: what is in them and of which type. Dimuon's have the names of NanoAOD, trigger's those of
Delphes."""

from __future__ import annotations

from dataclasses import dataclass

#: NanoAOD's collections: ``nMuon`` is how many muons an event has, and each ``Muon_*`` has that many values in it.
COLLECTIONS = ("Muon", "Jet", "Electron")
#: Delphes's collections: ``Jet_size`` is how many jets an event has, and each ``Jet.*`` has that many values in it.
DELPHES_COLLECTIONS = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron", "Electron", "MuonTight", "Jet", "MissingET")


@dataclass(frozen=True)
class Branch:
    """A branch.

    Attributes:
        dtype: As numpy names it: of the value, or of the values in the list.
        what: What it holds, with its unit.
    """

    name: str
    dtype: str
    what: str

    @property
    def collection(self) -> str | None:
        """The collection whose objects it describes, or ``None`` where an event has one value."""
        separator, known = (".", DELPHES_COLLECTIONS) if "." in self.name else ("_", COLLECTIONS)
        head = self.name.partition(separator)[0]
        return head if head != self.name and head in known and not self.counts else None

    @property
    def field(self) -> str:
        """Its name without the collection's."""
        return self.name[len(self.collection) + 1 :] if self.collection else self.name

    @property
    def counts(self) -> str | None:
        """The collection whose objects it counts."""
        if self.name.endswith("_size") and self.name[:-5] in DELPHES_COLLECTIONS:
            return self.name[:-5]
        return self.name[1:] if self.name[:1] == "n" and self.name[1:] in COLLECTIONS else None


#: Those that every sample of dimuon has.
BASIC: tuple[Branch, ...] = (
    Branch("run", "uint32", "run number"),
    Branch("luminosityBlock", "uint32", "luminosity block of the run"),
    Branch("event", "uint64", "event number, from 1, different in all events of a sample"),
    Branch("HLT_IsoMu24_eta2p1", "bool", "trigger: an isolated muon of 24 GeV within |eta| < 2.1"),
    Branch("HLT_IsoMu24", "bool", "trigger: an isolated muon of 24 GeV"),
    Branch("HLT_Mu17_Mu8", "bool", "trigger: muons of 17 and 8 GeV"),
    Branch("PV_npvs", "int32", "number of vertices"),
    Branch("PV_x", "float32", "primary vertex, cm"),
    Branch("PV_y", "float32", "primary vertex, cm"),
    Branch("PV_z", "float32", "primary vertex, cm"),
    Branch("nMuon", "int32", "number of muons, by falling pt"),
    Branch("Muon_pt", "float32", "transverse momentum, GeV"),
    Branch("Muon_eta", "float32", "pseudorapidity"),
    Branch("Muon_phi", "float32", "azimuth, -pi to pi"),
    Branch("Muon_mass", "float32", "mass, GeV"),
    Branch("Muon_charge", "int32", "charge, 1 or -1"),
    Branch("Muon_pfRelIso03_all", "float32", "relative isolation in a cone of 0.3"),
    Branch("Muon_pfRelIso04_all", "float32", "relative isolation in a cone of 0.4"),
    Branch("Muon_tightId", "bool", "passes the tight selection"),
    Branch("Muon_softId", "bool", "passes the soft selection"),
    Branch("Muon_isGlobal", "bool", "is a global muon"),
    Branch("Muon_dxy", "float32", "transverse impact parameter, cm"),
    Branch("Muon_dxyErr", "float32", "its uncertainty, cm"),
    Branch("Muon_dz", "float32", "longitudinal impact parameter, cm"),
    Branch("Muon_dzErr", "float32", "its uncertainty, cm"),
    Branch("Muon_jetIdx", "int32", "index of the jet that it lies in, or -1"),
    Branch("nJet", "int32", "number of jets, by falling pt"),
    Branch("Jet_pt", "float32", "transverse momentum, GeV"),
    Branch("Jet_eta", "float32", "pseudorapidity"),
    Branch("Jet_phi", "float32", "azimuth, -pi to pi"),
    Branch("Jet_mass", "float32", "mass, GeV"),
    Branch("Jet_puId", "int32", "flags of the pile-up identification, 0 to 7"),
    Branch("Jet_btagCSVV2", "float32", "b-tagging discriminator, 0 to 1, or -10"),
    Branch("MET_pt", "float32", "missing transverse momentum, GeV"),
    Branch("MET_phi", "float32", "its azimuth, -pi to pi"),
    Branch("MET_sumEt", "float32", "scalar sum of transverse energies, GeV"),
    Branch("MET_significance", "float32", "significance of the missing transverse momentum"),
)

#: Those that ``--branches 100`` adds: plausible values that no selection reads.
FILLER: tuple[Branch, ...] = (
    Branch("Muon_ptErr", "float32", "uncertainty of pt, GeV"),
    Branch("Muon_ip3d", "float32", "impact parameter, cm"),
    Branch("Muon_sip3d", "float32", "its significance"),
    Branch("Muon_segmentComp", "float32", "segment compatibility, 0 to 1"),
    Branch("Muon_nStations", "int32", "matched muon stations"),
    Branch("Muon_nTrackerLayers", "int32", "tracker layers with a measurement"),
    Branch("Muon_pdgId", "int32", "13 or -13, against the charge"),
    Branch("Muon_pfRelIso03_chg", "float32", "relative isolation by charged particles"),
    Branch("Muon_miniPFRelIso_all", "float32", "relative isolation in a cone that shrinks with pt"),
    Branch("Muon_mvaTTH", "float32", "discriminator, -1 to 1"),
    Branch("Muon_mediumId", "bool", "passes the medium selection"),
    Branch("Muon_isTracker", "bool", "is a tracker muon"),
    Branch("Muon_isPFcand", "bool", "is a particle-flow muon"),
    Branch("Muon_tightCharge", "int32", "quality of the charge, 0 or 2"),
    Branch("Jet_area", "float32", "area"),
    Branch("Jet_nConstituents", "int32", "number of particles"),
    Branch("Jet_chEmEF", "float32", "fraction of energy: charged electromagnetic"),
    Branch("Jet_chHEF", "float32", "fraction of energy: charged hadrons"),
    Branch("Jet_neEmEF", "float32", "fraction of energy: neutral electromagnetic"),
    Branch("Jet_neHEF", "float32", "fraction of energy: neutral hadrons"),
    Branch("Jet_muEF", "float32", "fraction of energy: muons"),
    Branch("Jet_qgl", "float32", "quark-gluon likelihood, 0 to 1"),
    Branch("Jet_rawFactor", "float32", "1 - factor back to the raw pt"),
    Branch("Jet_jetId", "int32", "flags of the jet identification"),
    Branch("Jet_nMuons", "int32", "muons in the jet"),
    Branch("Jet_nElectrons", "int32", "electrons in the jet"),
    Branch("Jet_bRegCorr", "float32", "correction of pt for b jets"),
    Branch("Jet_btagDeepB", "float32", "b-tagging discriminator, 0 to 1"),
    Branch("Jet_btagDeepFlavB", "float32", "b-tagging discriminator, 0 to 1"),
    Branch("nElectron", "int32", "number of electrons"),
    Branch("Electron_pt", "float32", "transverse momentum, GeV"),
    Branch("Electron_eta", "float32", "pseudorapidity"),
    Branch("Electron_phi", "float32", "azimuth, -pi to pi"),
    Branch("Electron_mass", "float32", "mass, GeV"),
    Branch("Electron_charge", "int32", "charge, 1 or -1"),
    Branch("Electron_pfRelIso03_all", "float32", "relative isolation in a cone of 0.3"),
    Branch("Electron_dxy", "float32", "transverse impact parameter, cm"),
    Branch("Electron_dz", "float32", "longitudinal impact parameter, cm"),
    Branch("Electron_sip3d", "float32", "significance of the impact parameter"),
    Branch("Electron_hoe", "float32", "hadronic over electromagnetic energy"),
    Branch("Electron_sieie", "float32", "width of the shower in eta"),
    Branch("Electron_r9", "float32", "share of the energy in 3 x 3 crystals"),
    Branch("Electron_cutBased", "int32", "selection that it passes, 0 to 4"),
    Branch("MET_covXX", "float32", "covariance, GeV^2"),
    Branch("MET_covXY", "float32", "covariance, GeV^2"),
    Branch("MET_covYY", "float32", "covariance, GeV^2"),
    Branch("MET_MetUnclustEnUpDeltaX", "float32", "shift by unclustered energy, GeV"),
    Branch("MET_MetUnclustEnUpDeltaY", "float32", "shift by unclustered energy, GeV"),
    Branch("PV_ndof", "float32", "degrees of freedom of the primary vertex"),
    Branch("PV_chi2", "float32", "reduced chi2 of the primary vertex"),
    Branch("PV_score", "float32", "score of the primary vertex, GeV^2"),
    Branch("PV_npvsGood", "int32", "number of good vertices"),
    Branch("fixedGridRhoFastjetAll", "float32", "density of the event, GeV"),
    Branch("CaloMET_pt", "float32", "missing transverse momentum by calorimeters, GeV"),
    Branch("CaloMET_phi", "float32", "its azimuth, -pi to pi"),
    Branch("PuppiMET_pt", "float32", "missing transverse momentum by PUPPI, GeV"),
    Branch("PuppiMET_phi", "float32", "its azimuth, -pi to pi"),
    Branch("HLT_Mu40", "bool", "trigger: a muon of 40 GeV"),
    Branch("HLT_Ele27_WP80", "bool", "trigger: an electron of 27 GeV"),
    Branch("HLT_PFMET150", "bool", "trigger: missing transverse momentum of 150 GeV"),
    Branch("Flag_goodVertices", "bool", "has a good vertex"),
    Branch("Flag_HBHENoiseFilter", "bool", "no noise in the hadron calorimeter"),
    Branch("Flag_METFilters", "bool", "passes all filters"),
)


def _momenta(collection: str, first: str, what: str) -> tuple[Branch, ...]:
    return (
        Branch(f"{collection}.{first}", "float32", f"{what}, GeV"),
        Branch(f"{collection}.Eta", "float32", "pseudorapidity"),
        Branch(f"{collection}.Phi", "float32", "azimuth, -pi to pi"),
    )


#: Those of trigger.
TRIGGER: tuple[Branch, ...] = (
    Branch("Event.Number", "int64", "event number, from 0, different in all events of a class"),
    Branch("EFlowTrack_size", "int32", "number of tracks, in no order"),
    *_momenta("EFlowTrack", "PT", "transverse momentum"),
    Branch("EFlowTrack.X", "float32", "origin of the track, mm"),
    Branch("EFlowTrack.Y", "float32", "origin of the track, mm"),
    Branch("EFlowTrack.Z", "float32", "origin of the track, mm"),
    Branch("EFlowTrack.Charge", "int32", "charge, 1 or -1"),
    Branch("EFlowTrack.PID", "int32", "11 electron, 13 muon, 211 pion, 321 kaon, 2212 proton, or minus these"),
    Branch("EFlowPhoton_size", "int32", "number of photons, in no order"),
    *_momenta("EFlowPhoton", "ET", "transverse energy"),
    Branch("EFlowNeutralHadron_size", "int32", "number of neutral hadrons, in no order"),
    *_momenta("EFlowNeutralHadron", "ET", "transverse energy"),
    Branch("Electron_size", "int32", "number of electrons that are identified, by falling PT; each is a track, too"),
    *_momenta("Electron", "PT", "transverse momentum"),
    Branch("Electron.Charge", "int32", "charge, 1 or -1"),
    Branch("MuonTight_size", "int32", "number of muons that are identified, by falling PT; each is a track, too"),
    *_momenta("MuonTight", "PT", "transverse momentum"),
    Branch("MuonTight.Charge", "int32", "charge, 1 or -1"),
    Branch("Jet_size", "int32", "number of jets above 20 GeV, by falling PT"),
    *_momenta("Jet", "PT", "transverse momentum"),
    Branch("Jet.Mass", "float32", "mass, GeV"),
    Branch("Jet.BTag", "uint32", "1 where it is tagged as a b jet, else 0"),
    Branch("MissingET_size", "int32", "1"),
    Branch("MissingET.MET", "float32", "missing transverse momentum, GeV"),
    Branch("MissingET.Eta", "float32", "0: it is transverse"),
    Branch("MissingET.Phi", "float32", "its azimuth, -pi to pi"),
)


#: How many branches a sample of dimuon may have.
CHOICES = (len(BASIC), len(BASIC) + len(FILLER))


def branches(count: int) -> tuple[Branch, ...]:
    """The branches of a sample of dimuon of 37 or of 100."""
    if count not in CHOICES:
        raise ValueError(f"a sample has {CHOICES[0]} or {CHOICES[1]} branches, not {count}")
    return BASIC if count == CHOICES[0] else BASIC + FILLER
