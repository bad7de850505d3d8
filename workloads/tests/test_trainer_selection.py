# SPDX-License-Identifier: Apache-2.0
"""The selection and the features: against an oracle in plain Python, one event at a time; and where the Spark DL Trigger's
formulas give another value, that ours is the specification's."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import trigger_events as made

from storescope_workloads.trainer import extract
from storescope_workloads.trainer.extract import event_features, particle_features
from storescope_workloads.trainer.features import EVENT_FEATURES, MOST_PARTICLES, PARTICLE_FEATURES
from storescope_workloads.trainer.selection import REASONS, select

EVENT = {name: place for place, name in enumerate(EVENT_FEATURES)}
PARTICLE = {name: place for place, name in enumerate(PARTICLE_FEATURES)}


def all_of(events):
    """The selection, the events' features and the particles of each."""
    selected = select(made.batch(events))
    particles = particle_features(selected)
    return selected, event_features(selected), np.split(particles.features, np.cumsum(particles.counts)[:-1]), particles


def one_of(event):
    """The features of an event that passes, and of its particles, after they were held against the oracle."""
    selected, hlf, (particles,), _ = all_of([event])
    assert selected.numbers.tolist() == [0]
    wanted = made.oracle(event)
    assert hlf[0] == pytest.approx(wanted[0], rel=1e-5, abs=1e-5)
    assert particles == pytest.approx(np.array(wanted[1]), rel=1e-5, abs=1e-5)
    return dict(zip(EVENT_FEATURES, hlf[0].tolist(), strict=True)), particles


def with_lepton(kind="MuonTight", around=(), **lepton):
    """An event of this lepton, with its track, and of other tracks."""
    lepton = {"PT": 40, "Eta": 0.5, "Phi": 1, "Charge": -1, **lepton}
    own = {"MuonTight": [], kind: [lepton]}
    return made.event(EFlowTrack=[lepton, dict(PT=5, Eta=-2, Phi=-1.5, Charge=1), *around], **own)


# The whole.


@pytest.mark.parametrize(("count", "particles", "least"), [(250, 12, 80), (90, 120, 40)])
def test_batches_are_as_single_events_in_plain_python(count, particles, least):
    events = made.random_events(count, seed=particles, particles=particles)
    selected, hlf, groups, told = all_of(events)
    wanted = [made.oracle(event) for event in events]
    cut = Counter(one for one in wanted if isinstance(one, str))
    passed = [number for number, one in enumerate(wanted) if not isinstance(one, str)]
    assert len(passed) > least and {"no_lepton", "pt"} <= cut.keys()
    assert selected.cut == {reason: cut[reason] for reason in REASONS}
    assert selected.numbers.tolist() == passed
    features = np.array([wanted[number][0] for number in passed])
    assert hlf.dtype == np.float32 and hlf == pytest.approx(features, rel=1e-5, abs=2e-5)
    for particles, number in zip(groups, passed, strict=True):
        assert particles.dtype == np.float32
        assert particles == pytest.approx(np.array(wanted[number][1]), rel=1e-5, abs=1e-5)
    assert told.kept["lepton"] == len(passed) and sum(told.kept.values()) == len(told.features)
    assert told.cut_off == dict.fromkeys(("tracks", "photons", "neutrals"), 0)


def test_rows_do_not_depend_on_the_events_beside_them():
    """To the bit: tasks may be cut anywhere."""
    events = made.random_events(60, particles=60)
    _, hlf, _, particles = all_of(events)
    parts = [all_of(events[start : start + 7]) for start in range(0, 60, 7)]
    assert np.concatenate([part[1] for part in parts]).tobytes() == hlf.tobytes()
    assert np.concatenate([part[3].features for part in parts]).tobytes() == particles.features.tobytes()


def test_no_events_and_none_that_pass():
    for events in ([], [made.event(MuonTight=[])] * 3):
        selected, hlf, _, particles = all_of(events)
        assert len(selected.numbers) == 0 and hlf.shape == (0, 14) and particles.features.shape == (0, 19)
        assert sum(selected.cut.values()) == len(events)


# Each reason, and which comes first.

FAR = dict(PT=5, Eta=-2, Phi=-1.5)


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("not_finite", made.event(EFlowTrack=[dict(PT=math.nan), FAR])),
        ("not_finite", made.event(MuonTight=[dict(PT=math.inf, Eta=0.5, Phi=1)])),
        ("not_finite", made.event(Jet=[dict(PT=40, Eta=-math.inf)])),
        ("not_finite", made.event(MissingET=[dict(MET=math.nan)], MuonTight=[])),
        ("no_met", made.event(MissingET=[], MuonTight=[])),
        ("no_lepton", made.event(MuonTight=[], EFlowTrack=[])),
        ("pt", made.event(MuonTight=[dict(PT=23, Eta=0.5, Phi=1)], EFlowPhoton=[])),
        ("isolation", with_lepton(around=[dict(PT=18.01, Eta=0.6, Phi=1)])),
        ("isolation", made.event(EFlowPhoton=[dict(ET=10, Eta=0.6, Phi=1)], EFlowNeutralHadron=[dict(ET=9, Eta=0.5, Phi=0.8)])),
        ("empty_tracks", made.event(EFlowTrack=[dict(PT=0.5, Eta=1, Phi=1)], EFlowPhoton=[])),
        ("empty_photons", made.event(EFlowPhoton=[dict(ET=1, Eta=1, Phi=2)], EFlowNeutralHadron=[])),
        ("empty_neutrals", made.event(EFlowNeutralHadron=[])),
    ],
)
def test_an_event_is_cut_for_the_first_reason_that_holds(reason, event):
    good = made.event()
    selected = select(made.batch([good, event, good]))
    assert selected.numbers.tolist() == [0, 2]
    assert {name: count for name, count in selected.cut.items() if count} == {reason: 1}
    assert made.oracle(event) == reason and not isinstance(made.oracle(good), str)


def test_thresholds_are_exclusive_and_isolation_counts_what_is_above_them():
    around = [dict(PT=0.5, Eta=0.6, Phi=1), dict(PT=0.51, Eta=0.4, Phi=1)]
    features, particles = one_of(with_lepton(around=around))
    assert features["LepIsoCh"] == pytest.approx(0.51 / 40)
    assert len(particles) == 1 + 2 + 1 + 1


def test_limits_cut_the_softest_and_are_counted():
    rng = np.random.default_rng(5)

    def some(count, member, low):
        # Far from the lepton.
        return [{member: low + 20 * rng.random(), "Eta": rng.uniform(-5, -1), "Phi": rng.uniform(-3, 3)} for _ in range(count)]

    event = made.event(
        EFlowTrack=[dict(PT=40, Eta=0.5, Phi=1), *some(452, "PT", 0.6)],
        EFlowPhoton=some(153, "ET", 1.1),
        EFlowNeutralHadron=some(200, "ET", 1.1),
    )
    _, particles = one_of(event)
    assert len(particles) == MOST_PARTICLES
    *_, told = all_of([event, made.event()])
    assert told.cut_off == {"tracks": 2, "photons": 3, "neutrals": 0}
    assert told.kept == {"lepton": 2, "tracks": 451, "photons": 151, "neutrals": 201}
    softest = sorted(one["PT"] for one in event["EFlowTrack"][1:])[2]
    tracks = particles[particles[:, PARTICLE["isChHad"]] == 1]
    assert tracks[-1, PARTICLE["pT"]] == np.float32(softest) and (np.diff(tracks[:, PARTICLE["pT"]]) <= 0).all()


def test_equal_pt_keep_their_order():
    around = [dict(PT=3, Eta=-2 - number / 100, Phi=-1) for number in range(40)]
    _, particles = one_of(with_lepton(around=around))
    eta = particles[particles[:, PARTICLE["pT"]] == 3][:, PARTICLE["eta"]]
    assert (np.diff(eta[:40]) < 0).all()


@pytest.mark.parametrize("bits", [64, 0])
def test_pt_is_sorted_as_by_two_keys(bits, monkeypatch):
    """In the way that takes one number for each object; and in the other, where a number has too few bits."""
    monkeypatch.setattr(extract, "_BITS", bits)
    lists = made.batch(made.random_events(40, seed=9, particles=50)).tracks
    wanted = lists.reorder(np.lexsort((-lists["pt"], lists.owners)))
    ordered = extract._by_falling_pt(lists)
    assert all(np.array_equal(ordered[name], wanted[name]) for name in lists.values)


# What the Spark DL Trigger's code has otherwise. The old formula, ours, and an event that tells them apart.


def old_mt(met, pt, lepton_phi, met_phi):
    return 2.0 * met * pt * (1 - math.cos(lepton_phi - met_phi))


def test_mt_is_a_mass_and_not_its_square():
    features, _ = one_of(with_lepton(PT=40, Phi=1))
    old = old_mt(30, 40, 1, -2)
    assert features["MT"] == pytest.approx(math.sqrt(old), rel=1e-6)
    assert abs(features["MT"] - old) > 1000


def old_delta_phi(apart):
    return apart - 2 * math.pi * (apart > 2 * math.pi) + 2 * math.pi * (apart < -2 * math.pi)


def old_isolation(lepton, tracks):
    """The charged part, with the lepton's own track subtracted as 1."""
    near = [one for one in tracks if (one["Eta"] - lepton["Eta"]) ** 2 + old_delta_phi(one["Phi"] - lepton["Phi"]) ** 2 < 0.09]
    return sum(one["PT"] for one in near) / lepton["PT"] - 1


@pytest.mark.parametrize("side", [1, -1])
def test_cones_reach_across_pi(side):
    """A track at φ = -3.1 is 0.08 away from a lepton at 3.1."""
    event = with_lepton(Phi=3.1 * side, around=[dict(PT=10, Eta=0.5, Phi=-3.1 * side)])
    features, particles = one_of(event)
    assert features["LepIsoCh"] == pytest.approx(10 / 40, rel=1e-6)
    assert old_isolation(event["MuonTight"][0], event["EFlowTrack"]) == pytest.approx(0, abs=1e-6)
    # So for the particles around, the lepton's track among them.
    track = particles[particles[:, PARTICLE["pT"]] == 10][0]
    assert track[PARTICLE["ChPFIso"]] == pytest.approx(40 / 10, rel=1e-6)


def test_an_event_passes_or_not_by_what_is_across_pi():
    event = with_lepton(Phi=3.1, around=[dict(PT=30, Eta=0.5, Phi=-3.1)])
    assert old_isolation(event["MuonTight"][0], event["EFlowTrack"]) < 0.45
    assert select(made.batch([event])).cut["isolation"] == 1 and made.oracle(event) == "isolation"


def old_priority(electron, muon):
    """By η, which is at the place that was taken for pT's."""
    return "electron" if electron["Eta"] > muon["Eta"] else "muon"


@pytest.mark.parametrize(("electron", "muon", "wanted"), [((50, -1), (30, 1), "electron"), ((30, 1), (50, -1), "muon")])
def test_of_two_leptons_that_of_the_greater_pt_is_taken(electron, muon, wanted):
    leptons = [dict(PT=pt, Eta=eta, Phi=0, Charge=1) for pt, eta in (electron, muon)]
    event = made.event(Electron=leptons[:1], MuonTight=leptons[1:], EFlowTrack=leptons)
    assert old_priority(*leptons) != wanted
    features, particles = one_of(event)
    assert (features["LepPt"], features["LepIsEle"]) == (50, float(wanted == "electron"))
    lepton = particles[0]
    assert (lepton[PARTICLE["isEle"]], lepton[PARTICLE["isMu"]]) == ((1, 0) if wanted == "electron" else (0, 1))
    # The other one's track is a particle.
    assert 30 in particles[1:, PARTICLE["pT"]] and 50 not in particles[1:, PARTICLE["pT"]]


def test_a_lepton_that_is_not_isolated_gives_way():
    """The harder of two muons lies in a jet."""
    muons = [dict(PT=60, Eta=0.5, Phi=1, Charge=1), dict(PT=30, Eta=-1.5, Phi=-1, Charge=-1)]
    event = made.event(MuonTight=muons, EFlowTrack=[*muons, dict(PT=40, Eta=0.6, Phi=1.1)])
    features, _ = one_of(event)
    assert features["LepPt"] == 30


def test_equal_leptons_are_taken_in_an_order():
    same = dict(PT=40, Eta=0.5, Phi=1, Charge=1)
    other = {**same, "Eta": -1}
    features, _ = one_of(made.event(Electron=[same], MuonTight=[other, {**other, "Eta": 1.9}]))
    assert (features["LepIsEle"], features["LepEta"]) == (0, -1)


def old_order(particles, lepton):
    """801 rows, pads among them, by falling ΔR from the lepton."""
    padded = [*particles, *[[0.0] * 19 for _ in range(801 - len(particles))]]
    return sorted(padded, key=lambda row: -math.hypot(row[5] - lepton["Eta"], made.delta_phi(row[6], lepton["Phi"])))


def test_no_row_stands_for_no_particle():
    """The old rows of an event have pads among particles: those at η = φ = 0 come before what is nearer to the lepton."""
    event = with_lepton(around=[dict(PT=7, Eta=0.9, Phi=1.2), dict(PT=6, Eta=-4, Phi=-2)])
    _, particles = one_of(event)
    old = np.array(old_order(made.oracle(event)[1], event["MuonTight"][0]))
    pads = np.flatnonzero((old == 0).all(axis=1))
    assert len(old) == 801 and np.flatnonzero((old != 0).any(axis=1)).max() > pads.min()
    assert len(particles) == 1 + 3 + 1 + 1 and (particles[:, PARTICLE["E"]] > 0).all()


def old_charge(track):
    """The sign of the PDG number, which for leptons is against the charge."""
    return float(np.sign(track["PID"]))


def test_the_charge_is_the_tracks_own():
    electron = dict(PT=9, Eta=-1, Phi=-1, Charge=-1, PID=11)
    _, particles = one_of(with_lepton(around=[electron]))
    track = particles[particles[:, PARTICLE["pT"]] == 9][0]
    assert track[PARTICLE["Charge"]] == -1 and old_charge(electron) == 1


def test_isolation_leaves_out_the_particle_itself_and_no_more():
    """The old one takes 1 from the charged part of all, which is negative for photons and leptons without a track, and counts a
    photon among those around itself."""
    event = made.event(EFlowTrack=[dict(PT=5, Eta=-1, Phi=2)], EFlowPhoton=[dict(ET=3, Eta=-2, Phi=-2)])
    features, particles = one_of(event)
    assert old_isolation(event["MuonTight"][0], event["EFlowTrack"]) == -1
    assert features["LepIsoCh"] == 0
    photon = particles[particles[:, PARTICLE["isGamma"]] == 1][0]
    assert [photon[PARTICLE[name]] for name in ("ChPFIso", "GammaPFIso", "NeuPFIso")] == [0, 0, 0]


def test_isolation_counts_each_kind_in_its_column():
    event = made.event(
        EFlowTrack=[dict(PT=40, Eta=0.5, Phi=1), dict(PT=2, Eta=0.6, Phi=1), dict(PT=5, Eta=-1, Phi=2)],
        EFlowPhoton=[dict(ET=3, Eta=0.5, Phi=1.2), dict(ET=8, Eta=-1.2, Phi=2)],
        EFlowNeutralHadron=[dict(ET=4, Eta=0.7, Phi=1), dict(ET=6, Eta=-1, Phi=2.2)],
    )
    features, particles = one_of(event)
    assert [features[name] for name in ("LepIsoCh", "LepIsoGamma", "LepIsoNeu")] == pytest.approx([2 / 40, 3 / 40, 4 / 40])
    track = particles[particles[:, PARTICLE["pT"]] == 5][0]
    assert [track[PARTICLE[name]] for name in ("ChPFIso", "GammaPFIso", "NeuPFIso")] == pytest.approx([0, 8 / 5, 6 / 5])


# The grid that finds pairs.


def brute_pairs(eta, phi, owners):
    across = eta[:, None] - eta
    around = phi[:, None] - phi
    around -= 2 * np.pi * np.rint(around / (2 * np.pi))
    near = (across**2 + around**2 < 0.09) & (owners[:, None] == owners)
    return {(one, other) for one, other in zip(*np.nonzero(near), strict=True) if one < other}


@pytest.mark.parametrize("spread", [0.3, 2.0, 8.0])
@pytest.mark.parametrize("turned", [0.0, 1.9, 2 * np.pi])
def test_pairs_are_all_there_and_each_once(spread, turned):
    """Dense and thin, beyond the grid's ends, and with φ from 0 to 2π."""
    rng = np.random.default_rng(int(spread * 10))
    owners = np.sort(rng.integers(0, 4, 700))
    eta, phi = rng.normal(0, spread, 700), rng.uniform(-np.pi, np.pi, 700) + turned
    phi[:3], eta[:3] = [np.pi, -np.pi, np.float32(np.pi)], 0.1
    eta[3:6], phi[3:6] = [1e6, 1e6 + 0.1, -1e6], 0.0
    first, second = extract._pairs(eta, phi, owners, 4)
    found = [tuple(sorted(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)]
    assert len(found) == len(set(found)) and set(found) == brute_pairs(eta, phi, owners)


def test_values_that_no_float32_holds_are_not_finite():
    huge = made.event(EFlowNeutralHadron=[dict(ET=4, Eta=200, Phi=1)])
    _, _, (particles,), _ = all_of([huge])
    assert not np.isfinite(particles[:, PARTICLE["E"]]).all() and np.isfinite(particles[:-1]).all()
