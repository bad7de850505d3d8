# SPDX-License-Identifier: Apache-2.0
"""Peaks and resonances of spectra that were made to have them, of real data, and of those without; and their picture."""

from __future__ import annotations

import io

import awkward as ak
import numpy as np
import pytest
import uproot

from storescope_workloads.reduction import spectrum
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.physics import reduce
from storescope_workloads.reduction.plot import draw_spectrum, save_spectrum
from storescope_workloads.reduction.summary import EDGES, CutFlow, Summary

PDG = {"ω": 0.78266, "φ": 1.01946, "J/ψ": 3.0969, "ψ(2S)": 3.6861, "Υ(1S)": 9.4604, "Υ(2S)": 10.0234, "Υ(3S)": 10.3551, "Z": 91.188}


def summary(masses) -> Summary:
    masses = np.asarray(masses, np.float64)
    return Summary.of(CutFlow(len(masses)), masses)


def counts(masses, name="log"):
    return summary(masses).histograms[name]


def found(masses) -> set[str]:
    return {seen.resonance.name for seen in spectrum.resonances(counts(masses)) if seen.found}


def background(number: int, seed: int = 1) -> np.ndarray:
    """As smooth as a falling spectrum is: flat in the logarithm of the mass."""
    return np.exp(np.random.default_rng(seed).uniform(np.log(0.3), np.log(250), number))


def test_the_table_holds_published_masses_in_their_windows():
    assert {one.name: one.mass for one in spectrum.RESONANCES} == pytest.approx(PDG, rel=1e-4)
    for one in spectrum.RESONANCES:
        low, high = one.window
        assert low < one.place < high
        assert one.sides[0][0] < one.sides[0][1] <= low and high <= one.sides[1][0] < one.sides[1][1]
    # The sum of two momenta, as physics.py has it, of a φ at rest that decays to muons.
    momentum = np.sqrt((PDG["φ"] / 2) ** 2 - 0.10566**2)
    assert next(one for one in spectrum.RESONANCES if one.name == "φ").place == pytest.approx(2 * momentum, rel=1e-4)


@pytest.mark.parametrize("one", spectrum.RESONANCES, ids=lambda one: one.name)
def test_each_is_found_where_it_is_alone(one):
    drawn = np.random.default_rng(2).normal(one.place, 0.01 * one.place, 400)
    names = found(np.concatenate([background(4000), drawn]))
    near = {other.name for other in spectrum.RESONANCES if abs(other.place / one.place - 1) < 0.06}
    assert one.name in names and names <= near
    seen = next(seen for seen in spectrum.resonances(counts(drawn)) if seen.resonance == one)
    assert seen.peak == pytest.approx(one.place, rel=0.02)
    assert 0.6 * 400 < seen.pairs <= 400 and seen.background < 40


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("number", [0, 30, 3000, 300_000])
def test_none_is_found_in_a_smooth_spectrum(number, seed):
    masses = background(number, seed)
    assert found(masses) == set()
    assert found(masses**2 / 300) == set()


def test_background_is_that_beside_the_window():
    seen = spectrum.resonances(counts(background(1_000_000)))
    for one in seen:
        assert one.pairs == pytest.approx(one.background, abs=5 * one.deviation)
        assert one.deviation > np.sqrt(one.background)
    empty = spectrum.resonances(counts([]))
    assert all((one.peak, one.pairs, one.background, one.deviation, one.found) == (None, 0, 0, 1, False) for one in empty)


def test_a_bump_of_a_twentieth_of_many_pairs_is_no_resonance():
    # Millions of pairs make any bend of a smooth spectrum significant.
    smooth = background(4_000_000)
    bump = np.random.default_rng(6).normal(3.09, 0.03, int(0.05 * np.count_nonzero((smooth > 2.95) & (smooth < 3.25))))
    seen = next(one for one in spectrum.resonances(counts(np.concatenate([smooth, bump]))) if one.resonance.name == "J/ψ")
    assert seen.pairs - seen.background > 5 * seen.deviation and not seen.found
    assert "J/ψ" in found(np.concatenate([smooth, *[bump] * 4]))


def test_the_peak_is_the_centre_of_the_fullest_bin():
    assert spectrum.peak(counts([], "linear")) is None
    assert spectrum.peak(counts([91.2, 91.9, 3.1], "linear")) == 91.5
    assert spectrum.peak(counts([3.1, 91.2], "linear")) == 3.5
    assert spectrum.peak(counts([400.0] * 9 + [91.2], "linear")) == 91.5


def test_the_median_is_that_of_the_window():
    masses = np.concatenate([np.random.default_rng(3).normal(91.2, 2.5, 5000), background(2000)])
    inside = masses[(masses > 81) & (masses < 101)]
    assert spectrum.median(counts(masses), (81.0, 101.0)) == pytest.approx(np.median(inside), abs=0.1)
    assert spectrum.median(counts([3.0]), (81.0, 101.0)) is None


def test_real_data_show_them(real):
    loose = Cuts.load("muons: {pt_min: null, isolation_max: null, global: null}\n"
                      "leading: {pt_min: null, abs_eta_max: null, isolation_max: null}")
    with uproot.open(real("cms-opendata-dimuon-100k.root")) as file:
        reduced = reduce(file["Events"].arrays(loose.columns()), loose)
    log = Summary.of(reduced.flow, reduced.rows["mass_gev"]).histograms["log"]
    seen = {one.resonance.name: one for one in spectrum.resonances(log)}
    assert {name for name, one in seen.items() if one.found} == set(PDG)
    assert seen["J/ψ"].peak == pytest.approx(3.09, abs=0.03) and seen["Z"].peak == pytest.approx(90.9, abs=0.8)
    same_sign = spectrum.resonances(counts(same_sign_masses(real)))
    assert not [one for one in same_sign if one.found]


def same_sign_masses(real):
    """Of the two first muons, where their charges are equal: no resonance decays to these."""
    with uproot.open(real("cms-opendata-dimuon-100k.root")) as file:
        events = file["Events"].arrays(["Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge"])
    events = events[ak.num(events["Muon_pt"]) == 2]
    pt, eta, phi, charge = (ak.to_numpy(events[name]).astype(np.float64) for name in events.fields)
    same = charge[:, 0] * charge[:, 1] > 0
    cosh, cos = np.cosh(eta[:, 0] - eta[:, 1]), np.cos(phi[:, 0] - phi[:, 1])
    return np.sqrt(2 * pt[:, 0] * pt[:, 1] * (cosh - cos))[same]


def told(name, one: Summary, kind="data", weight: float | None = 1.0) -> dict:
    histograms = {name: {"counts": values[:-2].tolist()} for name, values in one.histograms.items()}
    return {"name": name, "kind": kind, "weight": weight, "histograms": histograms}


Z = np.random.default_rng(4).normal(91.2, 2.5, 3000)


@pytest.mark.parametrize(
    "datasets",
    [
        [],
        [told("none", Summary())],
        [told("one", summary([91.2]))],
        [told("outside", summary([0.1, 400.0]))],
        [told("data", summary(np.concatenate([Z, background(5000)])))],
        [told("a", summary(Z)), told("b", summary(background(100)))],
        [told("mu", summary(Z)), *(told(f"mc {number}", summary(Z), "mc", 0.5 / (number + 1)) for number in range(14))],
        [told("mu", summary(Z)), told("counted", summary(Z), "mc", None), told("empty", Summary(), "mc", 0.1)],
        [told("mc", summary(Z), "mc", 1e-6)],
        [told("large", Summary(histograms={name: np.full(len(edges) + 1, 10**7) for name, edges in EDGES.items()}))],
        [told("$x_{", summary(Z)), told("_hidden", summary(Z))],
    ],
    ids=lambda datasets: " ".join(one["name"] for one in datasets)[:30] or "no data set",
)
def test_a_picture_of_anything(datasets):
    edges = {name: values.tolist() for name, values in EDGES.items()}
    file = io.BytesIO()
    save_spectrum({"edges": edges, "luminosity_pb": 11467.0, "datasets": datasets}, file)
    assert file.getvalue().startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(file.getvalue()[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (1500, 900)


def axes_of(*datasets: dict, luminosity: float | None = None):
    edges = {name: values.tolist() for name, values in EDGES.items()}
    (axes,) = draw_spectrum({"edges": edges, "luminosity_pb": luminosity, "datasets": list(datasets)}).axes
    return axes


def words(axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def test_both_axes_are_logarithmic_and_hold_all_that_is_drawn():
    axes = axes_of(told("data", summary(np.concatenate([Z, background(5000)]))))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    low, high = axes.get_ylim()
    values = axes.patches[-1].get_data().values
    assert 0 < low < values[values > 0].min() and high > values.max()
    assert axes.get_xlim() == pytest.approx((0.25, 300.0))


def test_simulated_events_count_by_their_weight():
    axes = axes_of(told("mu", summary(Z)), told("dy", summary(Z), "mc", 0.25), luminosity=11467.0)
    drawn = {patch.get_label(): patch.get_data() for patch in axes.patches}
    below, above = np.maximum(drawn["dy"].baseline, 0), drawn["dy"].values
    assert np.maximum(above - below, 0).sum() == pytest.approx(0.25 * len(Z), rel=1e-3)
    points = axes.containers[0].lines[0].get_ydata()
    assert points.sum() == len(Z)
    assert axes.get_title(loc="right") == "simulation scaled to 11.5 fb⁻¹"


def test_only_what_is_found_has_a_label():
    assert words(axes_of(told("data", summary(np.concatenate([Z, background(5000)]))))) == {"Z"}
    assert words(axes_of(told("data", summary(background(5000))))) == set()
    assert words(axes_of(told("none", Summary()))) == {"no pair passed"}
    upsilon = np.random.default_rng(8).normal(9.46, 0.09, 3000)
    both = np.concatenate([Z, upsilon, background(5000)])
    assert words(axes_of(told("data", summary(both)))) == {"Z", "Υ(nS)"}


def test_the_same_picture_twice():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        save_spectrum({"edges": {"log": EDGES["log"].tolist()}, "datasets": [told("data", summary(Z))]}, file)
    assert files[0].getvalue() == files[1].getvalue()
