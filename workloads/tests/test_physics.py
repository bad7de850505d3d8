# SPDX-License-Identifier: Apache-2.0
"""The cuts against two oracles that share no code with them: awkward's combinations, and a loop over events."""

from __future__ import annotations

import math
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from storescope_workloads.errors import UsageError
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.physics import BadColumn, Reduced, check_types, reduce
from storescope_workloads.reduction.summary import CutFlow, Summary

#: What the educational skim of CMS's open data lacks is off.
SKIM = "muons: {isolation_max: null, global: null}\nleading: {isolation_max: null}\n"
PHYSLITE = SKIM + """
columns:
  pt: {column: "AnalysisMuonsAuxDyn:pt", scale: 0.001}
  eta: "AnalysisMuonsAuxDyn:eta"
  phi: "AnalysisMuonsAuxDyn:phi"
  charge: "AnalysisMuonsAuxDyn:charge"
keep: ["EventInfoAuxDyn:eventNumber"]
"""
NANOAOD = ("Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge", "Muon_pfRelIso04_all", "Muon_isGlobal")


def by_combinations(pt, eta, phi, charge, isolation=None, is_global=None):
    """The same physics in awkward alone: cuts as masks, the leading pair as the first of all pairs."""
    muons = ak.zip({"pt": ak.values_astype(pt, "float64"), "eta": ak.values_astype(eta, "float64"),
                    "phi": ak.values_astype(phi, "float64"), "q": ak.values_astype(charge, "int64")})
    counts = {"muons": int(ak.sum(ak.num(muons)))}
    masks = {"muon_pt": muons.pt > 10.0, "muon_eta": abs(muons.eta) < 2.4}
    if isolation is not None:
        muons["iso"] = ak.values_astype(isolation, "float64")
        masks["muon_isolation"] = muons.iso < 0.5
        masks["muon_global"] = ak.values_astype(is_global, "int64") > 0
    together = ak.ones_like(muons.pt) > 0
    for name, mask in masks.items():
        together = together & mask
        counts[name] = int(ak.sum(together))
    good = muons[together]
    good = good[ak.argsort(good.pt, ascending=False, stable=True)]
    first, second = ak.unzip(ak.firsts(ak.combinations(good, 2)))
    stages = {"two_muons": ~ak.is_none(first), "leading_pt": first.pt > 25.0, "leading_eta": abs(first.eta) < 2.1}
    if isolation is not None:
        stages["leading_isolation"] = first.iso < 0.12
    stages["opposite_sign"] = first.q != second.q
    passed = np.ones(len(pt), bool)
    for name, stage in stages.items():
        passed = passed & ak.to_numpy(ak.fill_none(stage, False))
        counts[name] = int(passed.sum())
    first, second = first[passed], second[passed]
    mass = np.sqrt(2 * first.pt * second.pt * (np.cosh(first.eta - second.eta) - np.cos(first.phi - second.phi)))
    return counts, ak.to_numpy(mass), passed


def by_loop(events, names=NANOAOD):
    """The same in plain Python, an event at a time, with the mass of four-momenta."""
    masses = []
    for event in events.tolist():
        muons = [dict(zip(names, values, strict=True)) for values in zip(*(event[name] for name in names), strict=True)]
        good = [m for m in muons if m[names[0]] > 10 and abs(m[names[1]]) < 2.4]
        if len(names) > 4:
            good = [m for m in good if m[names[4]] < 0.5 and m[names[5]]]
        good.sort(key=lambda m: -m[names[0]])
        if len(good) < 2:
            continue
        a, b = good[:2]
        if not (a[names[0]] > 25 and abs(a[names[1]]) < 2.1 and a[names[3]] * b[names[3]] < 0):
            continue
        if len(names) > 4 and not a[names[4]] < 0.12:
            continue
        total = [0.0] * 4
        for m in (a, b):
            pt, eta, phi = (m[name] for name in names[:3])
            for axis, part in enumerate((pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))):
                total[axis] += part
        masses.append(math.sqrt(total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2))
    return masses


def left(flow: CutFlow) -> dict[str, int]:
    """What each cut left, as the oracle counts."""
    counts = {"muons": flow.muons}
    for start, removed in ((flow.muons, flow.muons_removed), (flow.events, flow.removed)):
        for name, number in removed.items():
            start -= number
            counts[name] = start
    return counts


def agrees(reduced: Reduced, counts: dict[str, int], masses) -> None:
    found = left(reduced.flow)
    assert found.pop("finite_mass") == len(masses)
    assert found == counts
    np.testing.assert_allclose(reduced.rows["mass_gev"], masses, rtol=1e-9)


@pytest.mark.parametrize("name", ["nanoaod-v5-1000.root", "nanoaod-v15-ttbar.root", "nanoaod-dimuon.root"])
def test_nanoaod_as_it_is(real, name):
    with uproot.open(real(name)) as file:
        events = file["Events"].arrays([*NANOAOD, "run", "event"])
    reduced = reduce(events, Cuts.load("keep: [run, event]"))
    counts, masses, passed = by_combinations(*(events[name] for name in NANOAOD))
    agrees(reduced, counts, masses)
    np.testing.assert_allclose(reduced.rows["mass_gev"], by_loop(events), rtol=1e-9)
    assert reduced.rows["event"].tolist() == events["event"][passed].tolist()
    assert reduced.flow.muons > 0


def test_open_data(real):
    with uproot.open(real("cms-opendata-dimuon-100k.root")) as file:
        events = file["Events"].arrays(NANOAOD[:4])
    reduced = reduce(events, Cuts.load(SKIM))
    counts, masses, _ = by_combinations(*(events[name] for name in NANOAOD[:4]))
    agrees(reduced, counts, masses)
    assert reduced.flow.passed == 14302
    np.testing.assert_allclose(reduce(events[:5000], Cuts.load(SKIM)).rows["mass_gev"], by_loop(events[:5000], NANOAOD[:4]), rtol=1e-9)


def test_rntuple_of_atlas_in_mev(real):
    cuts = Cuts.load(PHYSLITE)
    with uproot.open(real("physlite-rntuple.root")) as file:
        events = file["EventData"].arrays(cuts.columns())
    pt, eta, phi, charge = (events[f"AnalysisMuonsAuxDyn:{name}"] for name in ("pt", "eta", "phi", "charge"))
    counts, masses, passed = by_combinations(ak.values_astype(pt, "float64") / 1000, eta, phi, charge)
    reduced = reduce(events, cuts)
    agrees(reduced, counts, masses)
    assert len(masses) == 2
    assert reduced.rows["EventInfoAuxDyn:eventNumber"].tolist() == events["EventInfoAuxDyn:eventNumber"][passed].tolist()


def test_pieces_add_up_to_the_whole(real):
    with uproot.open(real("nanoaod-v5-1000.root")) as file:
        events = file["Events"].arrays(NANOAOD)
    whole = reduce(events, Cuts())
    borders = [0, 1, 1, 300, 999, 1000]
    parts = [reduce(events[start:stop], Cuts()) for start, stop in zip(borders, borders[1:], strict=False)]
    assert sum((part.flow for part in parts), CutFlow()) == whole.flow
    assert np.concatenate([part.rows["mass_gev"] for part in parts]).tolist() == whole.rows["mass_gev"].tolist()
    added = sum((Summary.of(part.flow, part.rows["mass_gev"]) for part in parts), Summary())
    assert Summary.from_json(added.to_json()).flow == whole.flow
    assert added.mean_mass == pytest.approx(np.mean(whole.rows["mass_gev"]), rel=1e-12)


def muons(*events: list[tuple[float, float, float, int, float, bool]], **kept) -> ak.Array:
    """Events of muons (pT, η, φ, charge, isolation, global), in NanoAOD's types."""
    types = ("float32", "float32", "float32", "int32", "float32", "bool")
    counts = [len(event) for event in events]
    columns = {}
    for number, (name, kind) in enumerate(zip(NANOAOD, types, strict=True)):
        flat = np.array([muon[number] for event in events for muon in event], kind)
        columns[name] = ak.unflatten(flat, np.array(counts, np.int64))
    return ak.zip({**columns, **{name: np.asarray(values) for name, values in kept.items()}}, depth_limit=1)


PLUS, MINUS = (50.0, 0.5, 0.0, 1, 0.01, True), (40.0, -0.5, 2.5, -1, 0.2, True)
NAN = math.nan


def changed(muon, **values):
    keys = ("pt", "eta", "phi", "q", "iso", "glb")
    return tuple({**dict(zip(keys, muon, strict=True)), **values}.values())


def test_each_cut_removes_what_it_names_and_nothing_else():
    events = {
        None: [PLUS, MINUS],
        "two_muons": [PLUS],
        "leading_pt": [changed(PLUS, pt=25.0), changed(MINUS, pt=20.0)],
        "leading_eta": [changed(PLUS, eta=-2.2), MINUS],
        "leading_isolation": [changed(PLUS, iso=0.13), MINUS],
        "opposite_sign": [PLUS, changed(MINUS, q=1)],
        "finite_mass": [changed(PLUS, phi=NAN), MINUS],
    }
    reduced = reduce(muons(*events.values()), Cuts())
    assert reduced.flow.events == 7 and reduced.flow.passed == 1
    assert reduced.flow.removed == {name: 1 for name in events if name}


@pytest.mark.parametrize(
    ("change", "name"),
    [({"pt": 10.0}, "muon_pt"), ({"eta": -2.4}, "muon_eta"), ({"iso": 0.5}, "muon_isolation"), ({"glb": False}, "muon_global"),
     ({"pt": NAN}, "muon_pt"), ({"eta": NAN}, "muon_eta"), ({"iso": NAN}, "muon_isolation")],
)
def test_each_cut_on_muons(change, name):
    # 2.4 as float32 is above 2.4: the value that is equal in float64 is cut as well.
    reduced = reduce(muons([changed(PLUS, **change), PLUS, MINUS]), Cuts())
    assert reduced.flow.muons == 3 and reduced.flow.muons_passed == 2
    assert reduced.flow.muons_removed == {"muon_pt": 0, "muon_eta": 0, "muon_isolation": 0, "muon_global": 0, name: 1}
    assert reduced.rows["pt1"].tolist() == [50.0] and reduced.rows["pt2"].tolist() == [40.0]


def test_a_threshold_is_not_rounded_to_the_columns_type():
    # float32(0.12) and float32(0.7) are less than these, float32(10.1) is greater: numpy would compare them as equal.
    reduced = reduce(muons([changed(PLUS, iso=0.12), MINUS]), Cuts())
    assert reduced.flow.removed["leading_isolation"] == 0
    cuts = Cuts.load("muons: {pt_min: 10.1, isolation_max: 0.7}")
    reduced = reduce(muons([PLUS, changed(MINUS, pt=10.1)], [PLUS, changed(MINUS, iso=0.7)]), cuts)
    assert reduced.flow.passed == 2


def test_neutral_muons_are_of_no_sign():
    assert reduce(muons([PLUS, changed(MINUS, q=0)]), Cuts()).flow.removed["opposite_sign"] == 1


def test_ties_are_taken_in_the_events_order():
    def tie(number, q):
        return changed(PLUS, pt=30.0, eta=number / 10, phi=number, q=q)

    reduced = reduce(muons([tie(1, 1), tie(2, -1), tie(3, 1)], [changed(MINUS, pt=29.0), tie(1, 1), tie(2, -1)],
                           [tie(1, 1), changed(PLUS, pt=31.0, q=-1), tie(3, 1)]), Cuts())
    assert reduced.rows["phi1"].tolist() == [1.0, 1.0, 0.0]
    assert reduced.rows["phi2"].tolist() == [2.0, 2.0, 1.0]


def test_nan_is_last_where_no_cut_looks_at_it():
    cuts = Cuts.load("muons: {pt_min: null}\nleading: {pt_min: null}")
    nan = changed(PLUS, pt=NAN)
    reduced = reduce(muons([nan, PLUS, MINUS], [nan, nan, PLUS], [nan, nan, nan], [nan, nan]), cuts)
    assert reduced.flow.events == 4 and reduced.flow.passed == 1
    assert reduced.flow.removed["two_muons"] == 0
    # In the second event the pair is (PLUS, NaN) of one charge.
    assert reduced.flow.removed["opposite_sign"] == 3
    assert reduced.rows["pt1"].tolist() == [50.0] and reduced.rows["pt2"].tolist() == [40.0]
    both = reduce(muons([nan, PLUS, MINUS], [nan, changed(nan, q=-1)]), cuts)
    assert both.flow.removed["finite_mass"] == 1 and both.flow.passed == 1


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("quantity", ["pt", "eta", "phi", "iso"])
def test_no_value_makes_a_pair_vanish(quantity, value):
    off = Cuts.load("muons: {pt_min: null, abs_eta_max: null, isolation_max: null, global: null}\n"
                     "leading: {pt_min: null, abs_eta_max: null, isolation_max: null}\npair: {opposite_sign: null}")
    for cuts in (off, Cuts()):
        reduced = reduce(muons([changed(PLUS, **{quantity: value}), MINUS], [PLUS, MINUS], [PLUS, changed(MINUS, **{quantity: value})]), cuts)
        summary = Summary.of(reduced.flow, reduced.rows["mass_gev"])
        assert summary.pairs == len(reduced.rows["mass_gev"]) == summary.histograms["linear"].sum() == summary.histograms["log"].sum()
        assert math.isfinite(summary.mean_mass or 0.0)
        assert reduced.flow.events == 3


def test_cuts_that_are_off_read_nothing_and_remove_nothing():
    cuts = Cuts.load("muons: {pt_min: null, abs_eta_max: null, isolation_max: null, global: false}\n"
                      "leading: {pt_min: null, abs_eta_max: null, isolation_max: null}\npair: {opposite_sign: null}")
    assert cuts.columns() == ["Muon_pt", "Muon_eta", "Muon_phi"]
    assert (cuts.muon_cuts(), cuts.event_cuts()) == ([], ["two_muons", "finite_mass"])
    reduced = reduce(muons([changed(PLUS, pt=1.0), changed(PLUS, pt=2.0)], [PLUS])[cuts.columns()], cuts)
    assert reduced.flow == CutFlow(2, {"two_muons": 1, "finite_mass": 0}, 3, {})
    assert reduced.rows["pt1"].tolist() == [2.0]
    assert "Muon_pfRelIso04_all" in Cuts.load("muons: {isolation_max: null}").columns()
    assert "Muon_pfRelIso04_all" not in Cuts.load(SKIM).columns()


@pytest.mark.parametrize("events", [muons(), muons([]), muons([], [], []), muons([PLUS]), muons([], [PLUS], [])])
def test_events_without_pairs(events):
    cuts = Cuts()
    reduced = reduce(events, cuts)
    assert reduced.flow.events == reduced.flow.removed["two_muons"] == len(events)
    assert list(reduced.flow.removed) == cuts.event_cuts() and list(reduced.flow.muons_removed) == cuts.muon_cuts()
    assert {name: values.dtype.name for name, values in reduced.rows.items()} == cuts.output()
    assert all(len(values) == 0 for values in reduced.rows.values())
    assert Summary.of(reduced.flow, reduced.rows["mass_gev"]).mean_mass is None


def test_muons_that_are_close_keep_their_digits():
    near = [changed(PLUS, eta=0.5, phi=1.0), changed(MINUS, pt=40.0, eta=float(np.float32(0.5) + np.float32(2e-6)), phi=1.0)]
    eta = float(np.float32(near[1][1])) - 0.5
    assert eta != 0
    assert reduce(muons(near), Cuts()).rows["mass_gev"][0] == pytest.approx(math.sqrt(50 * 40) * eta, rel=1e-9)
    same = [PLUS, changed(PLUS, q=-1)]
    assert reduce(muons(same), Cuts()).rows["mass_gev"].tolist() == [0.0]


@pytest.mark.parametrize("charge", ["int8", "int16", "int64", "float32", "float64"])
@pytest.mark.parametrize("is_global", ["uint8", "int32", "bool"])
@pytest.mark.parametrize("number", ["float32", "float64"])
def test_types_of_other_widths(charge, is_global, number):
    events = muons([PLUS, MINUS], [PLUS, changed(MINUS, glb=False)], [PLUS, changed(PLUS, pt=30.0)])
    for name, kind in ((NANOAOD[3], charge), (NANOAOD[5], is_global), *((name, number) for name in (*NANOAOD[:3], NANOAOD[4]))):
        events = ak.with_field(events, ak.values_astype(events[name], kind), name)
    reduced = reduce(events, Cuts())
    assert (reduced.flow.removed["two_muons"], reduced.flow.removed["opposite_sign"], reduced.flow.passed) == (1, 1, 1)


@pytest.mark.parametrize("name", NANOAOD[:2] + NANOAOD[3:])
def test_a_null_value_passes_no_cut(name):
    events = muons([PLUS, MINUS], [PLUS, MINUS])
    lists = events[name].tolist()
    lists[1][0] = None
    reduced = reduce(ak.with_field(events, ak.Array(lists), name), Cuts())
    assert reduced.flow.events == 2 and reduced.flow.muons == 4 and reduced.flow.passed == 1
    assert reduced.flow.removed["opposite_sign" if name == "Muon_charge" else "two_muons"] == 1


def test_a_null_list_is_an_event_without_muons():
    events = muons([PLUS, MINUS], [PLUS, MINUS], [PLUS, MINUS])
    for name in NANOAOD:
        events = ak.with_field(events, ak.mask(events[name], [True, False, True]), name)
    flow = reduce(events, Cuts()).flow
    assert (flow.events, flow.muons, flow.removed["two_muons"], flow.passed) == (3, 4, 1, 2)


def test_sliced_and_masked_arrays():
    events = muons([PLUS, MINUS], [PLUS], [], [changed(MINUS, iso=0.0), changed(PLUS, pt=30.0)], event=[1, 2, 3, 4])
    cuts = Cuts.load("keep: [event]")
    assert reduce(events[[3, 0]], cuts).rows["event"].tolist() == [4, 1]
    assert reduce(events[1:], cuts).rows["event"].tolist() == [4]
    assert reduce(events[::-1], cuts).rows["pt1"].tolist() == [40.0, 50.0]


def test_lists_of_different_lengths_are_refused():
    events = muons([PLUS, MINUS], [PLUS])
    events = ak.with_field(events, ak.Array([[1.0, 2.0], [1.0, 2.0]]), "Jet_eta")
    with pytest.raises(BadColumn, match="Muon_pt and Jet_eta have 1 and 2 values in one event"):
        reduce(events, Cuts.load("columns: {eta: Jet_eta}"))


TYPES = {"Muon_pt": "var * float32", "Muon_eta": "var * float32", "Muon_phi": "var * float32", "Muon_charge": "var * int32",
         "Muon_pfRelIso04_all": "var * float32", "Muon_isGlobal": "var * bool", "run": "uint32", "MET_pt": "float32"}


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("Muon_pt", "float32", "the column Muon_pt has the type float32, but must be a list of numbers"),
        ("Muon_pt", "string", "Muon_pt has the type string"),
        ("Muon_eta", "var * string", "Muon_eta has the type var . string"),
        ("Muon_phi", "var * var * float32", "Muon_phi has the type var . var . float32"),
        ("Muon_charge", "var * uint8", "Muon_charge has the type var . uint8, but must be a list of signed numbers"),
        ("Muon_isGlobal", "var * float32", "Muon_isGlobal has the type var . float32, but must be a list of flags"),
        ("Muon_phi", None, "there is no column Muon_phi; there are MET_pt, Muon_charge"),
        ("run", "var * int32", "run has the type var . int32, but must be an integer for each event"),
        ("run", "float32", "run has the type float32, but must be an integer for each event"),
        ("MET_pt", "string", "MET_pt has the type string, but must be a number for each event"),
    ],
)
def test_columns_of_a_wrong_type_are_named(column, kind, message):
    cuts = Cuts.load("keep: {run: int64, MET_pt: float64}")
    check_types(TYPES, cuts)
    types = {**TYPES, column: kind}
    if kind is None:
        del types[column]
    with pytest.raises(BadColumn, match=message):
        check_types(types, cuts)


def test_types_of_arrow_and_of_arrays_without_muons():
    check_types({**TYPES, "Muon_pt": "option[var * ?float32]", "Muon_eta": "var * unknown", "Muon_phi": "3 * float64", "run": "?int64"},
                Cuts.load("keep: [run]"))


def test_reduce_checks_types_itself():
    events = ak.with_field(muons([PLUS, MINUS]), np.array([1.0]), "Muon_pt")
    with pytest.raises(BadColumn, match="Muon_pt has the type float64"):
        reduce(events, Cuts())
    with pytest.raises(BadColumn, match="there is no column run"):
        reduce(muons(), Cuts.load("keep: [run]"))


def test_kept_columns_have_the_types_that_the_cuts_say():
    events = muons([PLUS, MINUS], [PLUS], event=np.array([2**62, 1], np.uint64), met=np.array([1.5, 2.5], np.float32), flag=[True, False])
    cuts = Cuts.load("keep: {event: int64, met: float64, flag: bool}")
    rows = reduce(events, cuts).rows
    assert {name: values.dtype.name for name, values in rows.items()} == cuts.output()
    assert (rows["event"].tolist(), rows["met"].tolist(), rows["flag"].tolist()) == ([2**62], [1.5], [True])
    huge = muons([PLUS, MINUS], event=np.array([2**63], np.uint64))
    with pytest.raises(BadColumn, match="event has values above"):
        reduce(huge, Cuts.load("keep: [event]"))
    null = ak.with_field(muons([PLUS, MINUS], [PLUS, MINUS]), ak.Array([None, 3]), "event")
    with pytest.raises(BadColumn, match="event has nulls"):
        reduce(null, Cuts.load("keep: [event]"))
    unknown = ak.with_field(muons([PLUS, MINUS], [PLUS, MINUS]), ak.Array([True, None]), "flag")
    with pytest.raises(BadColumn, match="flag has nulls, which bool cannot hold"):
        reduce(unknown, Cuts.load("keep: {flag: bool}"))
    assert reduce(unknown[:1], Cuts.load("keep: {flag: bool}")).rows["flag"].tolist() == [True]
    kept = reduce(null, Cuts.load("keep: {event: float64}")).rows["event"]
    assert math.isnan(kept[0]) and kept[1] == 3.0


def test_the_example_file_holds_the_defaults_and_its_hints_are_cuts():
    path = Path(__file__).parents[1] / "examples" / "cuts.yaml"
    assert Cuts.load(path.read_text()) == Cuts() == Cuts.load("")
    hints, text = [], None
    for line in path.read_text().splitlines():
        body = line.removeprefix("#").removeprefix("   ")
        if line.startswith("#   "):
            text = body if text is None else f"{text}\n{body}"
        elif text is not None and line != "#":
            hints, text = [*hints, text], None
    hints = [hint for hint in [*hints, text] if hint]
    assert [Cuts.load(hint).columns()[0] for hint in hints] == ["Muon_pt", "AnalysisMuonsAuxDyn:pt"]


@pytest.mark.parametrize("text", ["", "keep: {run: int64, MET_pt: float64}", PHYSLITE, "muons: {pt_min: 3, global: false}"])
def test_cuts_are_told_as_yaml_has_them(text):
    cuts = Cuts.load(text)
    assert Cuts.from_dict(cuts.to_dict()) == cuts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("muon: {}", "c.yaml: muon is not a known key; known are muons, leading, pair, columns, keep"),
        ("muons: {pt: 3}", "c.yaml: muons.pt is not a known key; known are pt_min, abs_eta_max, isolation_max, global"),
        ("muons: {pt_min: '3'}", "c.yaml: muons.pt_min is the text '3', but must be a number or null"),
        ("muons: {pt_min: true}", "muons.pt_min is the flag true"),
        ("leading: {pt_min: .nan}", "leading.pt_min is the number nan"),
        ("leading: {abs_eta_max: 0}", "leading.abs_eta_max is the number 0, but must be greater than 0"),
        ("muons: {global: 1}", "muons.global is the number 1, but must be true, false or null"),
        ("muons: 3", "muons is the number 3, but must be a mapping"),
        ("pair: {same_sign: true}", "pair.same_sign is not a known key; known are opposite_sign"),
        ("columns: {pt: 3}", "columns.pt must be a column's name"),
        ("columns: {pt: {colum: x}}", "columns.pt.colum is not a known key; known are column, scale"),
        ("columns: {pt: {scale: 0}}", "columns.pt.scale is the number 0, but must be greater than 0"),
        ("columns: {mass: Muon_mass}", "columns.mass is not a known key; known are pt, eta, phi, charge, isolation, global"),
        ("keep: run", "keep is the text 'run'"),
        ("keep: [1]", "keep names 1, which is not a column's name"),
        ("keep: [run, run]", "keep names run twice"),
        ("keep: [file]", "keep names file, a name of the output"),
        ("keep: [pt1]", "keep names pt1, a name of the output"),
        ("keep: [File]", "keep names File, a name of the output's own, in any case of letters"),
        ("keep: [PT1]", "keep names PT1, a name of the output's own"),
        ("keep: [_tally]", "keep names _tally, a name of the output's own"),
        ("keep: [run, event, Run]", "keep names run and Run, which differ in case alone"),
        ("keep: {run: int32}", "keep.run is the text 'int32', but must be one of int64, float64, bool"),
        ("muons: {}\nmuons: {}", "is not valid YAML: the key 'muons' is there twice"),
        ("a: [", "is not valid YAML"),
        ("- 1", "c.yaml: the document is a list, but must be a mapping"),
        ("!!python/object:os.system {}", "is not valid YAML"),
    ],
)
def test_mistakes_in_yaml_are_named(text, message):
    with pytest.raises(UsageError) as told:
        Cuts.load(text, "c.yaml")
    assert message in str(told.value)
