# SPDX-License-Identifier: Apache-2.0
"""The sample: the same events however it is made, physics as promised, and files that are whole or not there."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from click.testing import CliRunner

import storescope
from storescope_workloads.errors import UsageError, WorkloadError
from storescope_workloads.generate import dimuon
from storescope_workloads.generate import files as written_files
from storescope_workloads.generate.command import generate
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings

LOCAL = StoreSettings()
# Named anew here: what the package says is judged by it.
BASIC = """run luminosityBlock event HLT_IsoMu24_eta2p1 HLT_IsoMu24 HLT_Mu17_Mu8 PV_npvs PV_x PV_y PV_z
nMuon Muon_pt Muon_eta Muon_phi Muon_mass Muon_charge Muon_pfRelIso03_all Muon_pfRelIso04_all Muon_tightId Muon_softId
Muon_isGlobal Muon_dxy Muon_dxyErr Muon_dz Muon_dzErr Muon_jetIdx nJet Jet_pt Jet_eta Jet_phi Jet_mass Jet_puId Jet_btagCSVV2
MET_pt MET_phi MET_sumEt MET_significance""".split()


def made(folder, processes=1, **sample):
    """A sample in a local folder."""
    run_local(Sample(**sample), Folder(str(folder), LOCAL), processes, lambda events: None)
    return folder


def command(*arguments):
    """What the command printed; raises what it raised."""
    return CliRunner().invoke(generate, ["dimuon", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def refused(*arguments):
    ran = CliRunner().invoke(generate, ["dimuon", *map(str, arguments)])
    assert ran.exit_code != 0
    return ran.output + str(ran.exception)


def events(folder):
    """All events in a folder's files, in the files' order, as records with the formats' own types."""
    parts = [parquet(path) if path.suffix == ".parquet" else uproot.open(path)["Events"].arrays() for path in listed(folder)]
    return ak.concatenate(parts)


def parquet(path):
    table = pq.read_table(path)
    return ak.zip({name: ak.drop_none(ak.from_arrow(table[name])) for name in table.column_names}, depth_limit=1)


def listed(folder):
    return sorted(folder.iterdir())


def same(one, other, names=None):
    """Equal to the bit, in all columns or in those named."""
    if names is None:
        assert sorted(one.fields) == sorted(other.fields)
    for name in names or one.fields:
        a, b = one[name], other[name]
        assert len(a) == len(b), name
        if a.ndim > 1:
            assert ak.all(ak.num(a) == ak.num(b)), name
        a, b = (np.asarray(ak.flatten(values, axis=None)) for values in (a, b))
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """25,000 events in one file: what all others are compared with."""
    return events(made(tmp_path_factory.mktemp("reference"), events=25_000, seed=5))


@pytest.mark.parametrize(
    "sample, processes",
    [
        ({"files": 3}, 1),
        ({"files": 7, "cluster": 1_999}, 2),
        ({"files": 4, "cluster": 6_000, "format": "rntuple"}, 1),
        ({"files": 4, "cluster": 6_000, "format": "parquet"}, 1),
        ({"compression": "zstd"}, 1),
        ({"compression": "lz4", "format": "rntuple"}, 1),
        ({"compression": "none", "format": "parquet"}, 1),
    ],
    ids=str,
)
def test_the_same_events_however_they_are_divided(tmp_path, reference, sample, processes):
    folder = made(tmp_path / "other", processes, events=25_000, seed=5, **sample)
    assert len(listed(folder)) == sample.get("files", 1)
    same(events(folder), reference)


def test_a_larger_sample_begins_with_the_smaller(tmp_path, reference):
    small = events(made(tmp_path, events=12_345, seed=5, files=2))
    same(small, reference[:12_345])


def test_another_seed_makes_other_events(tmp_path, reference):
    other = events(made(tmp_path, events=25_000, seed=6))
    assert np.mean(np.asarray(other.MET_pt == reference.MET_pt)) < 0.01
    assert np.all(other.event == reference.event)


@pytest.mark.parametrize("format", ["ttree", "rntuple", "parquet"])
def test_a_hundred_branches_hold_the_37(tmp_path, reference, format):
    wide = events(made(tmp_path, events=25_000, seed=5, branches=100, format=format, files=2, cluster=7_000))
    assert len(wide.fields) == 100 and len(reference.fields) == 37
    same(wide, reference, BASIC)
    assert np.all(np.asarray(ak.flatten(wide.Muon_pdgId == -13 * wide.Muon_charge)))
    constant = [name for name in wide.fields if len(np.unique(np.asarray(ak.flatten(wide[name], axis=None)))) == 1]
    assert constant == ["run", "Muon_mass"]


def test_names_types_and_counters_are_nanoaods(tmp_path, real):
    """As a CMS file has them, but for Muon_isGlobal and HLT paths, which changed over the years; counters are signed here."""
    made(tmp_path, events=100)
    (path,) = listed(tmp_path)
    tree, cms = uproot.open(path)["Events"], uproot.open(real("nanoaod-v5-1000.root"))["Events"]
    assert sorted(tree.keys()) == sorted(BASIC)
    shared = [name for name in BASIC if name in cms and name not in ("nMuon", "nJet")]
    assert len(shared) >= 33
    assert {name: str(tree[name].interpretation) for name in shared} == {name: str(cms[name].interpretation) for name in shared}
    for name in ("Muon_pt", "Jet_mass"):
        counters = [source[name].member("fLeaves")[0].member("fLeafCount").member("fName") for source in (tree, cms)]
        assert counters == [f"n{name.partition('_')[0]}"] * 2


def test_each_cluster_is_a_basket_of_each_branch_at_zlib_1(tmp_path):
    made(tmp_path / "tree", events=10_000, files=2, cluster=2_000)
    for path in listed(tmp_path / "tree"):
        tree = uproot.open(path)["Events"]
        for branch in tree.branches:
            assert branch.entry_offsets == [0, 2_000, 4_000, 5_000], branch.name
        # ROOT's frame of a compressed basket, then zlib's header, whose second byte is 01 for level 1.
        key = tree["Muon_pt"].basket_key(0)
        data = path.read_bytes()[key.fSeekKey + key.fKeylen :]
        assert (data[:2], data[9:11]) == (b"ZL", b"\x78\x01")
    made(tmp_path / "parquet", events=10_000, cluster=4_000, format="parquet")
    told = pq.ParquetFile(listed(tmp_path / "parquet")[0]).metadata
    assert [told.row_group(at).num_rows for at in range(told.num_row_groups)] == [4_000, 4_000, 2_000]
    assert told.row_group(0).column(0).compression == "GZIP"
    made(tmp_path / "rntuple", events=10_000, cluster=4_000, format="rntuple")
    assert len(uproot.open(listed(tmp_path / "rntuple")[0])["Events"].cluster_summaries) == 3


@pytest.mark.parametrize(
    "compression, frame, codec",
    [("zlib", b"ZL", "GZIP"), ("zstd", b"ZS", "ZSTD"), ("lz4", b"L4", "LZ4"), ("none", b"", "UNCOMPRESSED")],
)
def test_files_are_compressed_as_asked(tmp_path, compression, frame, codec):
    sample = {"events": 5_000, "compression": compression}
    (path,) = listed(made(tmp_path / "tree", **sample))
    branch = uproot.open(path)["Events"]["Muon_charge"]
    key = branch.basket_key(0)
    at = key.fSeekKey + key.fKeylen
    assert (branch.compressed_bytes < branch.uncompressed_bytes) == (compression != "none")
    assert path.read_bytes()[at : at + len(frame)] == frame
    (path,) = listed(made(tmp_path / "rntuple", format="rntuple", **sample))
    data = path.read_bytes()
    assert [tag for tag in (b"ZL", b"ZS", b"L4") if len(re.findall(tag + rb"[\x01\x08]", data)) > 15] == [tag for tag in [frame] if tag]
    (path,) = listed(made(tmp_path / "parquet", format="parquet", **sample))
    assert pq.read_metadata(path).row_group(0).column(5).compression == codec


def test_no_chunk_is_like_another(reference):
    first, second = np.asarray(reference.MET_pt[:10_000]), np.asarray(reference.MET_pt[10_000:20_000])
    assert np.mean(first == second) < 0.01
    wide = Sample(20_000, seed=5, branches=100).columns(0, 20_000)
    # The first that is drawn of the filler's own stream: 0 or 1 most of the time.
    assert np.mean(wide["nElectron"][:10_000] == wide["nElectron"][10_000:]) < 0.65


def test_events_are_numbered_and_objects_ordered(reference):
    assert np.all(reference.event == np.arange(1, 25_001))
    assert np.all(np.asarray(reference.luminosityBlock) == 1 + np.arange(25_000) // 1_000)
    for name, counter in (("Muon_pt", "nMuon"), ("Jet_pt", "nJet")):
        assert np.all(ak.num(reference[name]) == reference[counter])
        assert ak.all(reference[name][:, 1:] <= reference[name][:, :-1])
    assert ak.all(reference.Muon_jetIdx < reference.nJet) and ak.all(reference.Muon_jetIdx >= -1)
    assert ak.min(reference.Muon_pt) > 3 and ak.max(abs(reference.Muon_eta)) < 2.4
    assert ak.max(abs(reference.Muon_phi)) <= np.float32(np.pi)
    assert ak.all(reference.Muon_pfRelIso03_all <= reference.Muon_pfRelIso04_all)


# The cuts of the original reduction, in numpy alone, for the physics below.


def pairs(columns):
    """Masses of the pairs that pass, and of those with one sign, by loops over flat arrays."""
    event = np.repeat(np.arange(len(columns["nMuon"])), columns["nMuon"])
    pt, eta, phi, iso = (columns[f"Muon_{name}"].astype("f8") for name in ("pt", "eta", "phi", "pfRelIso04_all"))
    keep = np.flatnonzero((pt > 10) & (abs(eta) < 2.4) & (iso < 0.5) & columns["Muon_isGlobal"])
    event, pt, eta, phi, iso, charge = (values[keep] for values in (event, pt, eta, phi, iso, columns["Muon_charge"]))
    first = np.flatnonzero(np.r_[True, event[1:] != event[:-1]])
    first = first[np.r_[np.diff(first), len(event) - first[-1]] >= 2]
    first = first[(pt[first] > 25) & (abs(eta[first]) < 2.1) & (iso[first] < 0.12)]
    second = first + 1
    mass = np.sqrt(2 * pt[first] * pt[second] * (np.cosh(eta[first] - eta[second]) - np.cos(phi[first] - phi[second])))
    opposite = charge[first] * charge[second] < 0
    return mass[opposite], mass[~opposite]


@pytest.fixture(scope="module")
def spectrum():
    """The masses of a million events, of both signs."""
    sample = Sample(1_000_000, seed=11)
    found = [pairs(sample.columns(start, start + 100_000)) for start in range(0, 1_000_000, 100_000)]
    return tuple(np.concatenate(masses) for masses in zip(*found, strict=True))


def test_the_share_that_the_cuts_keep(spectrum):
    opposite, same_sign = spectrum
    assert 0.054 < len(opposite) / 1e6 < 0.060
    assert 0.86 < np.mean((opposite > 80) & (opposite < 100)) < 0.90
    assert 0.99 < len(opposite) / (len(opposite) + len(same_sign)) < 0.999


def test_the_z_lies_where_it_should(spectrum):
    opposite, _ = spectrum
    counts, edges = np.histogram(opposite, np.arange(60, 121))
    assert edges[counts.argmax()] + 0.5 in (90.5, 91.5)
    assert abs(np.median(opposite[(opposite > 81) & (opposite < 101)]) - 91.19) < 0.15


@pytest.mark.parametrize(
    "mass, half, side", [(3.10, 0.15, 0.35), (3.686, 0.12, 0.1), (9.46, 0.25, 0.45), (10.02, 0.12, 0.0), (10.355, 0.12, 0.0)]
)
def test_the_resonances_stand_above_what_lies_beside(spectrum, mass, half, side):
    """Ten sigma above what a bin as wide has on both sides; between the Upsilons there is no side."""
    opposite, _ = spectrum
    at = np.count_nonzero(abs(opposite - mass) < half)
    low = np.count_nonzero(abs(opposite - (mass - 2 * half - side)) < half)
    high = np.count_nonzero(abs(opposite - (mass + 2 * half + side)) < half)
    beside = (low + high) / 2 if side else np.count_nonzero(abs(opposite - 11.5) < half)
    assert at > beside + 10 * np.sqrt(max(beside, 1)), (at, low, high)


def test_the_mixture_before_any_cut(reference):
    none, one, two, more = (float(np.mean(np.asarray(reference.nMuon) == count)) for count in range(4))
    assert 0.25 < none < 0.33 and 0.40 < one < 0.48 and 0.22 < two < 0.28 and 0 < more < 0.03
    with_two = reference[reference.nMuon == 2]
    opposite = float(np.mean(np.asarray(ak.prod(with_two.Muon_charge, axis=1)) < 0))
    assert 0.75 < opposite < 0.9


def test_the_command_writes_and_tells(tmp_path):
    ran = command("--events", 3_000, "--files", 2, "--out", tmp_path / "a", "--processes", 1)
    size = sum(path.stat().st_size for path in listed(tmp_path / "a"))
    assert f"2 files, 3,000 events, {size:,} bytes" in ran.stdout.splitlines()[-1]
    assert [path.name for path in listed(tmp_path / "a")] == ["dimuon-0000.root", "dimuon-0001.root"]
    ran = command("--events", 3_000, "--files", 2, "--out", tmp_path / "b", "--format", "parquet", "--json", "--branches", 100)
    told = json.loads(ran.stdout)
    assert told.pop("seconds") > 0
    assert told == {
        "out": str(tmp_path / "b"), "files": 2, "events": 3_000, "format": "parquet", "branches": 100, "seed": 1,
        "bytes": sum(path.stat().st_size for path in listed(tmp_path / "b")),
    }


def test_help_says_that_it_is_a_toy_and_where_the_data_are():
    told = " ".join(CliRunner().invoke(generate, ["dimuon", "--help"]).output.split())
    assert "toy" in told and "no simulation of a detector" in told
    for record in ("6004", "6030", "12342", "6021", "opendata.cern.ch"):
        assert record in told


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--events", 0], "--events"),
        (["--events", -5], "--events"),
        (["--files", 0], "--files"),
        (["--events", 3, "--files", 4], "more than there are events (3)"),
        (["--seed", 2**32], "--seed"),
        (["--branches", 38], "'37', '100'"),
        (["--format", "csv"], "--format"),
        (["--cluster", 0], "--cluster"),
        (["--compression", "lzma"], "--compression"),
        (["--conf", "spark"], "is not KEY=VALUE"),
        (["--processes", 0], "--processes"),
        (["--out", "gs://bucket/x"], "gs://"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(tmp_path, arguments, says):
    assert says in refused("--events", 10, "--out", tmp_path / "a", *arguments)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("wrong", [{"events": 0}, {"files": 0}, {"cluster": 0}, {"seed": -1}, {"branches": 36}, {"format": "csv"}])
def test_samples_that_cannot_be_are_no_samples(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sample(**{"events": 10, **wrong})


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty (1 files, such as notes.txt)" in refused("--events", 10, "--out", tmp_path)
    command("--events", 10, "--out", tmp_path, "--overwrite", "--processes", 1)
    command("--events", 20, "--files", 2, "--out", tmp_path, "--overwrite", "--processes", 1)
    assert [path.name for path in listed(tmp_path)] == ["dimuon-0000.root", "dimuon-0001.root", "notes.txt"]
    # One file less would leave the second as if it were of this sample.
    assert "dimuon-0001.root: is of another sample" in refused("--events", 10, "--out", tmp_path, "--overwrite")
    command("--events", 10, "--out", tmp_path, "--overwrite", "--format", "parquet", "--processes", 1)


class Inside(Exception):
    """What goes wrong in the midst of a file."""


@pytest.mark.parametrize("format", ["ttree", "rntuple", "parquet"])
@pytest.mark.parametrize("service", ["local", "oci", "s3"])
def test_a_file_that_fails_is_not_there(where, monkeypatch, format):
    folder = where()
    make = dimuon.chunk

    def failing(seed, number):
        if number == 2:
            raise Inside
        return make(seed, number)

    monkeypatch.setattr(dimuon, "chunk", failing)
    with pytest.raises(Inside):
        run_local(Sample(40_000, 2, cluster=10_000, format=format), folder, 1, lambda events: None)
    (name,) = folder.files()
    assert name.startswith("dimuon-0000")


@pytest.fixture
def where(service, tmp_path, server, settings, place, monkeypatch):
    """Makes a folder of its own on each kind of store."""
    if service == "local":
        return lambda: Folder(str(tmp_path / "out"), LOCAL)
    if service == "oci":
        return lambda: Folder(place, settings)
    s3 = server.ready["s3"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3["secret_access_key"])
    return lambda: Folder(f"s3://workloads/{uuid.uuid4().hex}", StoreSettings(endpoint=s3["endpoint"], region=s3["region"]))


@pytest.mark.parametrize("format", ["ttree", "rntuple", "parquet"])
@pytest.mark.parametrize("service", ["oci", "s3"])
def test_files_go_straight_to_the_store(where, tmp_path, seen, reference, format):
    folder = where()
    written = run_local(Sample(25_000, 2, seed=5, format=format), folder, 2, lambda events: None)
    assert folder.files() == [f"dimuon-000{number}.{'parquet' if format == 'parquet' else 'root'}" for number in range(2)]
    requests = seen()
    assert all(line["user_agent"].startswith("storescope/") and line["user_agent"].endswith("(python)") for line in requests)
    for name, one in zip(folder.files(), written, strict=True):
        puts = [line for line in requests if line["method"] == "PUT" and name in line["target"]]
        assert sum(line["bytes_in"] for line in puts) == one.bytes
        (tmp_path / name).write_bytes(folder.read(name))
    same(events(tmp_path), reference)


def test_the_command_takes_the_stores_options(place, server, settings):
    ran = command("--events", 100, "--out", place, "--endpoint", settings.endpoint, "--config-file", settings.config_file,
                  "--region", settings.region, "--json")
    assert json.loads(ran.stdout)["files"] == 1
    store = storescope.open_store(place + "/", **settings.options())
    assert [entry.key for entry in store.list()] == ["dimuon-0000.root"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_store_that_refuses_is_named_and_nothing_is_left(server, place, settings, processes):
    server.fault({"method": "PUT", "contains": place.rpartition("/")[2], "action": {"status": {"status": 404, "code": "BucketNotFound"}}})
    folder = Folder(place, settings)
    with pytest.raises(WorkloadError, match=r"oci://.*dimuon-000\d.root: was not written: ") as failed:
        run_local(Sample(2_000, 4), folder, processes, lambda events: None)
    assert "\n" not in str(failed.value)
    assert folder.files() == []


def test_a_disk_that_is_full_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written_files.shutil, "copyfileobj", full)
    with pytest.raises(WorkloadError, match="dimuon-0000.root: was not written: .*No space left"):
        made(tmp_path, events=10)
    assert listed(tmp_path) == []


def test_a_full_folder_of_temporary_files_is_named(tmp_path, monkeypatch):
    """/dev/full takes no byte; a file that grows past what memory holds goes there."""
    monkeypatch.setattr(written_files, "_IN_MEMORY", 1 << 16)
    monkeypatch.setattr(written_files.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "w+b", buffering=0))
    with pytest.raises(WorkloadError, match=r"dimuon-0000\.root: was not written: .*No space left on device: .*TMPDIR"):
        made(tmp_path / "out", events=25_000)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_in_memory_goes_by_a_temporary_file(tmp_path, monkeypatch, reference):
    monkeypatch.setattr(written_files, "_IN_MEMORY", 1 << 16)
    monkeypatch.setattr(written_files.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    same(events(made(tmp_path / "out", events=25_000, seed=5, cluster=5_000)), reference)
    assert listed(tmp_path / "temporary") == []


def test_one_cluster_is_held_at_a_time(tmp_path, monkeypatch):
    """Each cluster is written before the next is made."""
    told = []
    make = Sample.columns
    monkeypatch.setattr(Sample, "columns", lambda self, *span: told.append(span) or make(self, *span))
    run_local(Sample(10_000, 1, cluster=4_000), Folder(str(tmp_path), LOCAL), 1, told.append)
    assert told == [(0, 4_000), 4_000, (4_000, 8_000), 4_000, (8_000, 10_000), 2_000]


def test_progress_counts_every_event_once(tmp_path):
    told = []
    run_local(Sample(30_000, 3, cluster=3_000), Folder(str(tmp_path), LOCAL), 2, told.append)
    assert sum(told) == 30_000


@pytest.mark.parametrize("format", ["ttree", "parquet"])
def test_an_interrupt_gives_up_what_is_being_written(tmp_path, format):
    def interrupt(events):
        if events:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(Sample(4_000_000, 4, cluster=10_000, format=format), Folder(str(tmp_path), LOCAL), 2, interrupt)
    assert listed(tmp_path) == []


def test_ctrl_c_ends_the_command_without_a_traceback(tmp_path):
    """All processes of the terminal get it, as from the keyboard."""
    code = "from storescope_workloads.generate.command import generate; generate()"
    arguments = "dimuon --events 8000000 --files 4 --cluster 10000 --format parquet --processes 2 --out".split()
    command = [sys.executable, "-c", code, *arguments, tmp_path / "out"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(list(tmp_path.glob("out/*"))) < 2:
        assert child.poll() is None
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1 and "Aborted!" in said and "Traceback" not in said
    assert listed(tmp_path / "out") == []


def test_a_process_that_dies_ends_the_job(tmp_path):
    killed = []

    def kill(events):
        if events and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(WorkloadError, match="a process died"):
        run_local(Sample(20_000_000, 40, format="parquet", cluster=10_000), Folder(str(tmp_path), LOCAL), 2, kill)
    # The one that died may leave its part, the other does not.
    assert len(list(tmp_path.glob("*.part"))) <= 1
    for path in tmp_path.glob("*.parquet"):
        assert pq.read_metadata(path).num_rows == 500_000


def test_files_have_about_as_many_events_each():
    sample = Sample(1_000_003, 7)
    spans = [sample.span(number) for number in range(7)]
    assert spans[0][0] == 0 and spans[-1][1] == 1_000_003
    assert all(before[1] == after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert set(Counter(stop - start for start, stop in spans)) == {142_857, 142_858}
    assert Sample(200_000, 100_000).name(99_999) == "dimuon-99999.root" and Sample(10_001, 10_001).name(7) == "dimuon-00007.root"
