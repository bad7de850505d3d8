# SPDX-License-Identifier: Apache-2.0
"""The trigger's sample: the same events however it is made, names as Delphes has them, separation as published."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from click.testing import CliRunner
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from storescope_workloads.errors import UsageError, WorkloadError
from storescope_workloads.generate import columns as of_events
from storescope_workloads.generate import partons, trigger
from storescope_workloads.generate.command import generate
from storescope_workloads.generate.job import run_local
from storescope_workloads.generate.samples import TriggerSample
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from trigger_features import NAMES, features, of_each

LOCAL = StoreSettings()
CLASSES = ("qcd", "ttbar", "wjets")
# Named anew here: what the package says is judged by it.
LISTS = {
    "EFlowTrack": "PT Eta Phi X Y Z Charge PID",
    "EFlowPhoton": "ET Eta Phi",
    "EFlowNeutralHadron": "ET Eta Phi",
    "Electron": "PT Eta Phi Charge",
    "MuonTight": "PT Eta Phi Charge",
    "Jet": "PT Eta Phi Mass BTag",
    "MissingET": "MET Eta Phi",
}
TYPES = {"Charge": "int32_t[]", "PID": "int32_t[]", "BTag": "uint32_t[]"}
#: A sample that is made in a moment.
SMALL = {"events": 1_300, "seed": 5, "soft_particles": 12.0}


def made(folder, processes=1, **sample):
    """A sample in a local folder."""
    run_local(TriggerSample(**{**SMALL, **sample}), Folder(str(folder), LOCAL), processes, lambda events: None)
    return folder


def command(*arguments):
    """What the command printed; raises what it raised."""
    return CliRunner().invoke(generate, ["trigger", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def refused(*arguments):
    ran = CliRunner().invoke(generate, ["trigger", *map(str, arguments)])
    assert ran.exit_code != 0
    return ran.output + str(ran.exception)


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def events(folder, name):
    """All events of a class, in the files' order, as records with the formats' own types."""
    paths = sorted((folder / name).iterdir())
    return ak.concatenate([parquet(path) if path.suffix == ".parquet" else tree(path).arrays() for path in paths])


def tree(path):
    return uproot.open(path)["Delphes"]


def parquet(path):
    table = pq.read_table(path)
    return ak.zip({name: ak.drop_none(ak.from_arrow(table[name])) for name in table.column_names}, depth_limit=1)


def same(one, other):
    """Equal to the bit in all columns."""
    assert sorted(one.fields) == sorted(other.fields)
    for name in one.fields:
        a, b = one[name], other[name]
        assert len(a) == len(b), name
        if a.ndim > 1:
            assert ak.all(ak.num(a) == ak.num(b)), name
        a, b = (np.asarray(ak.flatten(values, axis=None)) for values in (a, b))
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """1,300 events of each class in one file each: what all others are compared with."""
    folder = made(tmp_path_factory.mktemp("reference"))
    return {name: events(folder, name) for name in CLASSES}


@pytest.mark.parametrize(
    "sample, processes",
    [
        ({"files": 3, "compression": "zstd"}, 1),
        ({"files": 4, "cluster": 199}, 2),
        ({"files": 2, "cluster": 300, "format": "parquet", "compression": "none"}, 2),
    ],
    ids=str,
)
def test_the_same_events_however_they_are_divided(tmp_path, reference, sample, processes):
    folder = made(tmp_path / "other", processes, **sample)
    end, count = "parquet" if "format" in sample else "root", sample.get("files", 1)
    assert listed(folder) == [f"{name}/trigger-{number:04}.{end}" for name in CLASSES for number in range(count)]
    for name in CLASSES:
        same(events(folder, name), reference[name])


def test_a_larger_sample_begins_with_the_smaller(tmp_path, reference):
    folder = made(tmp_path, events=777, files=2)
    for name in CLASSES:
        same(events(folder, name), reference[name][:777])


def test_no_two_of_seeds_classes_and_chunks_are_alike():
    chunks = [(5, 0, 0), (5, 0, 1), (5, 1, 0), (5, 2, 0), (6, 0, 0)]
    seen = [trigger.chunk(*which, 3.0)["MissingET.MET"] for which in chunks]
    for at, one in enumerate(seen):
        for other in seen[at + 1 :]:
            assert np.mean(one == other) < 0.02
    tracks = [trigger.chunk(5, 2, number, 30.0)["EFlowTrack.Phi"][-500:] for number in (0, 1)]
    assert np.mean(tracks[0] == tracks[1]) < 0.02, "soft particles, too"


def test_soft_particles_change_nothing_else():
    few, many = (trigger.chunk(5, 1, 3, mean) for mean in (0.0, 100.0))
    for name in few:
        if not name.startswith("EFlow"):
            assert few[name].tobytes() == many[name].tobytes(), name
    flow = [f"{name}_size" for name in LISTS if name.startswith("EFlow")]
    more = sum(np.mean(many[name] - few[name]) for name in flow)
    assert 92 < more < 104
    assert np.all(np.isin(few["EFlowTrack.PT"], many["EFlowTrack.PT"]))


@pytest.mark.parametrize("label", range(3))
def test_particles_of_an_event_by_default(label):
    columns = trigger.chunk(1, label, 0)
    total = sum(columns[f"{name}_size"].mean() for name in ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron"))
    assert 310 < total < 385


def test_names_types_and_counters_are_delphess(tmp_path):
    path = made(tmp_path, events=100) / "ttbar" / "trigger-0000.root"
    types = {branch.name: branch.typename for branch in tree(path).branches}
    expected = {"Event.Number": "int64_t"}
    for name, fields in LISTS.items():
        expected[f"{name}_size"] = "int32_t"
        for field in fields.split():
            expected[f"{name}.{field}"] = TYPES.get(field, "float[]")
    assert types == expected
    for name, fields in LISTS.items():
        for field in fields.split():
            counter = tree(path)[f"{name}.{field}"].member("fLeaves")[0].member("fLeafCount").member("fName")
            assert counter == f"{name}_size"


def test_each_cluster_is_a_basket_or_a_row_group(tmp_path):
    made(tmp_path / "tree", files=1, cluster=500)
    for branch in tree(tmp_path / "tree" / "qcd" / "trigger-0000.root").branches:
        assert branch.entry_offsets == [0, 500, 1_000, 1_300], branch.name
    made(tmp_path / "parquet", files=1, cluster=500, format="parquet")
    told = pq.ParquetFile(tmp_path / "parquet" / "wjets" / "trigger-0000.parquet").metadata
    assert [told.row_group(at).num_rows for at in range(told.num_row_groups)] == [500, 500, 300]


def test_events_are_numbered_and_objects_ordered(reference):
    for name in CLASSES:
        own = reference[name]
        assert np.all(own["Event.Number"] == np.arange(1_300))
        for collection, fields in LISTS.items():
            for field in fields.split():
                values = own[f"{collection}.{field}"]
                assert ak.all(ak.num(values) == own[f"{collection}_size"])
                assert np.all(np.isfinite(np.asarray(ak.flatten(values))))
        for collection in ("Electron", "MuonTight", "Jet"):
            pt = own[f"{collection}.PT"]
            assert ak.all(pt[:, 1:] <= pt[:, :-1])
        assert np.all(own["MissingET_size"] == 1)
        assert ak.max(abs(own["EFlowTrack.Phi"])) < 3.1420 and ak.max(abs(own["EFlowTrack.Eta"])) <= 2.5
        assert ak.min(own["EFlowTrack.PT"]) >= 0.4 and ak.min(own["Jet.PT"]) >= 20
        assert ak.all((own["EFlowTrack.Charge"] == 1) | (own["EFlowTrack.Charge"] == -1))
        assert ak.all((own["Jet.BTag"] == 0) | (own["Jet.BTag"] == 1))
    tags = {name: np.mean(np.asarray(ak.sum(reference[name]["Jet.BTag"], axis=1))) for name in CLASSES}
    assert tags["ttbar"] > 1 > tags["qcd"] > 3 * tags["wjets"]


@pytest.mark.parametrize("collection, number", [("Electron", 11), ("MuonTight", 13)])
def test_a_lepton_is_one_of_the_tracks(collection, number):
    """With the same momentum to the bit, and a number of PDG's against its charge."""
    columns = trigger.chunk(1, 1, 0, 50.0)
    tracks = of_each(columns, "EFlowTrack")
    names = ("PT", "Eta", "Phi", "Charge")
    leptons = (columns[f"{collection}.{name}"] for name in names)
    for event, *values in zip(of_each(columns, collection), *leptons, strict=True):
        own = tracks == event
        equal = [columns[f"EFlowTrack.{name}"][own] == value for name, value in zip(names, values, strict=True)]
        (at,) = np.flatnonzero(np.all(equal, axis=0))
        assert columns["EFlowTrack.PID"][own][at] == -number * values[-1]
    assert len(columns[f"{collection}.PT"]) > 100
    charges = columns["EFlowTrack.Charge"] * np.sign(columns["EFlowTrack.PID"])
    assert np.all(charges == np.where(np.isin(np.abs(columns["EFlowTrack.PID"]), (11, 13)), -1, 1))


# Physics.


def test_a_decay_keeps_momentum_and_masses():
    rng = np.random.default_rng(1)
    mass = rng.uniform(100, 200, 2_000)
    parent = partons.vectors(rng.gamma(2, 50, 2_000), rng.normal(0, 1, 2_000), rng.uniform(-np.pi, np.pi, 2_000), mass)
    products = partons.decay(rng, parent, mass, (partons.W_MASS, partons.BOTTOM_MASS))
    np.testing.assert_allclose(sum(products), parent, rtol=1e-9)
    for one, expected in zip(products, (partons.W_MASS, partons.BOTTOM_MASS), strict=True):
        square = one[0] ** 2 - np.sum(one[1:] ** 2, axis=0)
        np.testing.assert_allclose(square, expected**2, atol=1e-3)


def test_the_w_has_its_mass_and_the_edge_of_the_transverse_mass():
    """Lepton and neutrino as they are born: their transverse mass ends at the mass of the W."""
    hard = partons.wjets(np.random.default_rng(2), 20_000)
    assert abs(np.median(hard.boson) - 80.38) < 0.1
    assert abs(np.mean(np.abs(hard.boson - 80.38) < 1.04) - 0.5) < 0.03, "half of them within half of the width"
    direct = hard.leptons.flight == 0
    event, pt, phi = (values[direct] for values in (hard.leptons.event, hard.leptons.pt, hard.leptons.phi))
    x, y = hard.neutrinos[:, event]
    mass = np.sqrt(2 * (pt * np.hypot(x, y) - pt * (np.cos(phi) * x + np.sin(phi) * y)))
    assert len(event) > 18_000 and np.all(mass <= hard.boson[event] * (1 + 1e-9))
    edges = np.histogram(mass, np.arange(40, 121, 10))
    assert edges[1][edges[0].argmax()] == 70, "a peak below the mass"


@pytest.fixture(scope="module")
def selected():
    """Of each class 3,500 events that pass, by default: their features, the share that passed, and tracks from elsewhere."""
    found = {}
    for label, name in enumerate(CLASSES):
        rows, made, number = [], 0, 0
        while sum(map(len, rows)) < 3_500:
            columns = trigger.chunk(1, label, number)
            passed, table = features(columns)
            far = np.hypot(columns["EFlowTrack.X"], columns["EFlowTrack.Y"]) > 0.1
            displaced = np.bincount(of_each(columns, "EFlowTrack")[far], minlength=trigger.CHUNK)[passed]
            rows.append(np.column_stack([table, displaced]))
            made, number = made + trigger.CHUNK, number + 1
        table = np.concatenate(rows)
        found[name] = (table[:3_500], len(table) / made)
    return found


def test_the_shares_that_pass(selected):
    """As published (68 %, 54 %), but for QCD (10 %), of which the toy makes only events with a lepton."""
    assert abs(selected["wjets"][1] - 0.68) < 0.03
    assert abs(selected["ttbar"][1] - 0.54) < 0.03
    assert 0.1 < selected["qcd"][1] < 0.5


def test_features_of_each_class(selected):
    mean = {name: dict(zip(NAMES, table.mean(axis=0), strict=False)) for name, (table, _) in selected.items()}
    assert mean["ttbar"]["nBjets"] > 1 > 4 * mean["qcd"]["nBjets"] > 8 * mean["wjets"]["nBjets"]
    assert mean["ttbar"]["HT"] > 150 and mean["wjets"]["HT"] < 45
    assert mean["qcd"]["MT"] < 35 and 60 < mean["wjets"]["MT"] < 75
    assert mean["qcd"]["LepIsoCh"] > 1.6 * mean["wjets"]["LepIsoCh"]
    assert 0.08 < mean["wjets"]["LepCharge"] < 0.2 and abs(mean["ttbar"]["LepCharge"]) < 0.06
    table = selected["wjets"][0]
    transverse = table[:, NAMES.index("MT")]
    assert np.mean(transverse > 110) < 0.03 < np.mean(transverse > 80), "it ends above the mass of the W"


def scored(tables):
    """AUC by class of a gradient-boosted tree on seven of ten events, by the others."""
    rows, labels = np.concatenate(tables), np.repeat(range(3), [len(table) for table in tables])
    order = np.random.default_rng(0).permutation(len(rows))
    rows, labels, cut = rows[order], labels[order], len(rows) * 7 // 10
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(rows[:cut], labels[:cut])
    scores = model.predict_proba(rows[cut:])
    return [roc_auc_score(labels[cut:] == label, scores[:, label]) for label in range(3)]


def test_the_classes_are_as_far_apart_as_published(selected):
    """Published by the 14 features: 0.987, 0.985, 0.981. One number of tracks from elsewhere adds to it."""
    tables = [selected[name][0] for name in CLASSES]
    by_features = scored([table[:, :14] for table in tables])
    assert all(0.972 < one < 0.993 for one in by_features), by_features
    by_more = scored(tables)
    assert by_more[1] > by_features[1] + 0.001 and by_more[0] > by_features[0], (by_features, by_more)


# The command.


def test_the_command_writes_and_tells(tmp_path):
    small = ["--events", 60, "--files", 2, "--soft-particles", 5, "--processes", 1]
    ran = command(*small, "--out", tmp_path / "a")
    names = [f"{name}/trigger-000{number}.root" for name in CLASSES for number in range(2)]
    assert listed(tmp_path / "a") == names
    size = sum((tmp_path / "a" / name).stat().st_size for name in names)
    assert f"6 files, 180 events, {size:,} bytes" in ran.stdout.splitlines()[-1]
    ran = command(*small, "--out", tmp_path / "b", "--format", "parquet", "--json", "--seed", 3)
    told = json.loads(ran.stdout)
    assert told.pop("seconds") > 0
    assert told == {
        "out": str(tmp_path / "b"), "files": 6, "events": 180, "format": "parquet", "seed": 3, "soft_particles": 5.0,
        "classes": {name: 60 for name in CLASSES},
        "bytes": sum(path.stat().st_size for path in (tmp_path / "b").glob("*/*")),
    }
    for name in CLASSES:
        assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "b" / name).iterdir()) == 60


def test_help_says_that_it_is_a_toy_and_where_the_data_are():
    told = " ".join(CliRunner().invoke(generate, ["trigger", "--help"]).output.split())
    assert "toy" in told and "no simulation of a detector" in told and "sparkdltrigger.web.cern.ch" in told
    assert "Events of each class" in told


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--events", 0], "--events"),
        (["--files", 0], "--files"),
        (["--events", 3, "--files", 4], "more than there are events (3)"),
        (["--seed", 2**32], "--seed"),
        (["--soft-particles", -1], "--soft-particles"),
        (["--soft-particles", "nan"], "--soft-particles"),
        (["--soft-particles", 1e9], "--soft-particles"),
        (["--format", "rntuple"], "field names may not hold dots"),
        (["--format", "csv"], "--format csv: must be one of ttree, parquet"),
        (["--cluster", 0], "--cluster"),
        (["--compression", "lzma"], "--compression"),
        (["--conf", "spark"], "is not KEY=VALUE"),
        (["--out", "gs://bucket/x"], "gs://"),
        (["--branches", 37], "--branches"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(tmp_path, arguments, says):
    assert says in refused("--events", 10, "--out", tmp_path / "a", *arguments)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("wrong", [{"events": 0}, {"seed": -1}, {"format": "rntuple"}, {"soft_particles": float("nan")}])
def test_samples_that_cannot_be_are_no_samples(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", "-")):
        TriggerSample(**{"events": 10, **wrong})


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    small = ["--soft-particles", 2, "--processes", 1, "--out", tmp_path]
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty (1 files, such as notes.txt)" in refused("--events", 10, *small)
    command("--events", 10, *small, "--overwrite", "--files", 2)
    command("--events", 20, *small, "--overwrite", "--files", 2)
    assert len(listed(tmp_path)) == 7 and len(events(tmp_path, "qcd")) == 20
    # One file less would leave the second as if it were of this sample.
    assert "qcd/trigger-0001.root: is of another sample" in refused("--events", 10, *small, "--overwrite")


class Inside(Exception):
    """What goes wrong in the midst of a file."""


@pytest.mark.parametrize("format", ["ttree", "parquet"])
def test_a_file_that_fails_is_not_there(tmp_path, monkeypatch, format):
    make = trigger.chunk

    def failing(seed, label, number, soft):
        if (label, number) == (1, 1):
            raise Inside
        return make(seed, label, number, soft)

    monkeypatch.setattr(trigger, "chunk", failing)
    with pytest.raises(Inside):
        made(tmp_path, cluster=500, format=format)
    assert [name.partition(".")[0] for name in listed(tmp_path)] == ["qcd/trigger-0000"]


def test_one_cluster_is_held_at_a_time(tmp_path, monkeypatch):
    """Each cluster is written before the next is made."""
    told = []
    make = TriggerSample.columns
    monkeypatch.setattr(TriggerSample, "columns", lambda self, *span: told.append(span) or make(self, *span))
    sample = TriggerSample(1_000, 1, cluster=600, soft_particles=2)
    run_local(sample, Folder(str(tmp_path), LOCAL), 1, told.append)
    spans = [(start, min(start + 600, stop)) for stop in (1_000, 2_000, 3_000) for start in (stop - 1_000, stop - 400)]
    assert told == [told for start, stop in spans for told in ((start, stop), stop - start)]


def test_a_chunk_is_cut_at_any_event():
    sample = TriggerSample(1_200, seed=4, soft_particles=4)
    whole = sample.columns(1_200, 2_400)
    branches = sample.layout.branches
    parts = [sample.columns(1_200 + start, 1_200 + stop) for start, stop in ((0, 1), (1, 499), (499, 501), (501, 1_200))]
    joined = of_events.join(parts, branches)
    assert all(whole[branch.name].tobytes() == joined[branch.name].tobytes() for branch in branches)
    assert whole["Event.Number"].tolist() == list(range(1_200))
    first = trigger.chunk(4, 1, 0, 4.0)
    for name in ("Jet.PT", "EFlowTrack.Phi", "MissingET.MET"):
        assert np.array_equal(whole[name][: len(first[name])], first[name]), "of the second class"


def test_files_have_about_as_many_events_each():
    sample = TriggerSample(1_001, 4)
    spans = [sample.span(number) for number in range(sample.count)]
    assert sample.count == 12 and sample.total == 3_003
    assert all(before[1] == after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert {stop - start for start, stop in spans} == {250, 251} and spans[4][0] == 1_001
    assert [sample.name(number) for number in (0, 7, 8)] == [
        "qcd/trigger-0000.root", "ttbar/trigger-0003.root", "wjets/trigger-0000.root",
    ]


# Stores.


def test_files_go_straight_to_the_store(place, settings, tmp_path, seen, reference):
    folder = Folder(place, settings)
    run_local(TriggerSample(**SMALL, files=2), folder, 2, lambda events: None)
    names = [f"{name}/trigger-000{number}.root" for name in CLASSES for number in range(2)]
    assert folder.files() == names
    assert all(line["user_agent"].startswith("storescope/") for line in seen())
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(folder.read(name))
    for name in CLASSES:
        same(events(tmp_path, name), reference[name])


def test_a_store_that_refuses_is_named_and_nothing_is_left(server, place, settings):
    refusal = {"status": {"status": 404, "code": "BucketNotFound"}}
    server.fault({"method": "PUT", "contains": place.rpartition("/")[2], "action": refusal})
    folder = Folder(place, settings)
    with pytest.raises(WorkloadError, match=r"oci://.*/qcd/trigger-0000\.root: was not written: "):
        run_local(TriggerSample(**SMALL), folder, 1, lambda events: None)
    assert folder.files() == []
