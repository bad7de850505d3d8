# SPDX-License-Identifier: Apache-2.0
"""What a file's metadata tells: against uproot and pyarrow themselves, with the requests counted by the emulator."""

from __future__ import annotations

import dataclasses
import pickle
import re

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reduction_files as made
import storescope
import uproot
from reduction_files import FORMATS

from storescope_workloads.errors import BadFile, WorkloadError
from storescope_workloads.places import Folder, find
from storescope_workloads.scan import formats
from storescope_workloads.scan.layout import _layout, layout_of, layouts_of
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.reduction.physics import Cuts
from storescope_workloads.scan.source import source_of
from storescope_workloads.settings import StoreSettings


@pytest.fixture
def faults(server):
    """Adds faults that end with the test."""
    yield server.fault
    server.admin("DELETE", "/faults")


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path, place):
    return str(tmp_path / "in") if request.param == "disk" else place


def settings_for(folder, settings):
    return settings if "://" in folder else StoreSettings()


def bad(file, job=None) -> str:
    """Why a file is bad."""
    with pytest.raises(BadFile) as told:
        layout_of("data", file, job or made.job())
    again = pickle.loads(pickle.dumps(told.value))
    assert (again.url, again.why) == (file.url, told.value.why) and str(told.value).startswith(file.url)
    assert len(told.value.why) < 1000 and "\n" not in told.value.why
    return told.value.why


def needed_bytes(url, kind, names):
    """By uproot's and pyarrow's own words."""
    if kind == "parquet":
        metadata = pq.read_metadata(url)
        return sum(
            metadata.row_group(group).column(place).total_compressed_size
            for group in range(metadata.num_row_groups)
            for place in range(metadata.num_columns)
            if metadata.row_group(group).column(place).path_in_schema.partition(".")[0] in names
        )
    with uproot.open({url: "Events"}) as tree:
        if kind == "ttree":
            return sum(sum(tree[name].member("fBasketBytes")[: tree[name].num_baskets]) for name in names)
        before = tree.file.source.num_requested_bytes
        tree.page_link_list  # noqa: B018
        before = tree.file.source.num_requested_bytes
        # Pages of offsets are shared by columns, but asked for by each: they are read once.
        asked = set()
        for column in {
            int(c) for c in re.findall(r"column-(\d+)", str(tree.to_akform(filter_name=names)[0].to_dict()))
        }:
            for links in tree.page_link_list:
                asked |= {(page.locator.offset, page.locator.num_bytes) for page in links[column].pages}
        assert before == tree.file.source.num_requested_bytes
        return sum(size for _, size in asked)


@pytest.mark.parametrize("kind", FORMATS)
def test_clusters_and_the_bytes_of_their_columns(folder, settings, tmp_path, kind):
    settings = settings_for(folder, settings)
    file = made.make(folder, settings, events=1300, files=1, format=kind)[0]
    layout = layout_of("data", file, made.job(settings))
    assert [(cluster.start, cluster.stop) for cluster in layout.clusters] == [(0, 500), (500, 1000), (1000, 1300)]
    assert (layout.format, layout.tree) == (kind, "" if kind == "parquet" else "Events")
    assert (layout.dataset, layout.url, layout.size, layout.version) == ("data", file.url, file.size, file.version)
    local = made.make(str(tmp_path / "oracle"), StoreSettings(), events=1300, files=1, format=kind)[0]
    assert layout.needed == needed_bytes(local.url, kind, Cuts().columns()) > 0
    assert all(0 <= start < stop <= file.size for start, stop in layout.opening)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("tree", ["Events", "dir/Tree"])
def test_the_format_is_found_by_the_contents(tmp_path, kind, tree):
    path = made.write(tmp_path / "no-ending", kind, made.columns([2, 0, 2]), made.columns([1, 2]), tree=tree)
    layout = layout_of("data", made.source(path), made.job(tree=tree))
    assert (layout.format, layout.entries, len(layout.clusters)) == (kind, 5, 2)


@pytest.mark.parametrize("kind", FORMATS)
def test_requests_are_few_and_the_bytes_of_metadata(settings, place, seen, kind):
    """The first file of a folder tells how far metadata reaches in those beside it."""
    files = made.make(place, settings, events=24_000, files=3, format=kind, branches=100, cluster=4000)
    before = len(seen())
    layouts = [layout_of("data", file, made.job(settings)) for file in files]
    lines = seen()[before:]
    for number, (file, layout) in enumerate(zip(files, layouts, strict=True)):
        own = [line for line in lines if line["target"].endswith(file.url.rpartition("/")[2])]
        assert all(line["method"] == "GET" for line in own)
        opening = sum(stop - start for start, stop in layout.opening)
        most = {"ttree": (3, 1), "parquet": (3, 2), "rntuple": (6, 5)}[kind][min(number, 1)]
        assert len(own) <= most, (number, [line["range"] for line in own])
        assert sum(line["bytes_out"] for line in own) < opening + 40_000
        assert opening < file.size / 10


def test_layouts_keep_their_order_and_bad_files_their_place(tmp_path):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=1000, files=5)
    broken = tmp_path / "broken.root"
    broken.write_bytes(b"root" + bytes(1000))
    files.insert(2, made.source(broken))
    found, measured = layouts_of(
        [("one", file) for file in files[:3]] + [("two", file) for file in files[3:]], made.job()
    )
    assert [layout.url for layout in found] == [file.url for file in files]
    assert [layout.dataset for layout in found if not isinstance(layout, BadFile)] == [
        "one",
        "one",
        "two",
        "two",
        "two",
    ]
    assert isinstance(found[2], BadFile)
    assert measured.tasks == 1 and measured.read > 0 and measured.snapshot.requests == 0


def test_a_plan_tells_its_requests(settings, place, seen):
    files = made.make(place, settings, events=4000, files=4)
    before = len(seen())
    found, measured = layouts_of([("data", file) for file in files], made.job(settings))
    lines = seen()[before:]
    assert measured.snapshot.requests == len(lines)
    assert measured.snapshot.bytes_received == sum(line["bytes_out"] for line in lines)


# Real files.


@pytest.mark.parametrize(
    ("name", "entries"), [("nanoaod-v5-1000.root", 1000), ("nanoaod-v15-ttbar.root", 200), ("nanoaod-dimuon.root", 40)]
)
def test_real_nanoaod(real, name, entries):
    layout = layout_of("data", made.source(real(name)), made.job())
    assert (layout.format, layout.entries, len(layout.clusters)) == ("ttree", entries, 1)
    assert layout.needed == needed_bytes(real(name), "ttree", Cuts().columns())


def test_a_real_file_without_the_branches_is_named_with_what_it_has(real):
    why = bad(made.source(real("cms-opendata-dimuon-100k.root")))
    assert why == (
        "has no Muon_isGlobal, Muon_pfRelIso04_all in Events: "
        "it has Muon_charge, Muon_eta, Muon_mass, Muon_phi, Muon_pt, nMuon. "
        "The file of --cuts names other columns, or turns a cut off by null"
    )


def test_a_real_file_whose_baskets_are_in_the_tree(real):
    cuts = Cuts.load("muons: {isolation_max: null, global: false}\nleading: {isolation_max: null}\n")
    layout = layout_of(
        "data", made.source(real("cms-opendata-dimuon-100k.root")), dataclasses.replace(made.job(), kernel=Reduction(cuts))
    )
    assert (layout.entries, len(layout.clusters), layout.needed) == (100_000, 1, 0)


def test_a_real_ntuple_without_the_fields(real):
    why = bad(made.source(real("physlite-rntuple.root")), made.job(tree="EventData"))
    assert why.startswith("has no Muon_charge, Muon_eta, ") and " and " in why and " more" in why


def test_a_large_cluster_of_branches_that_are_not_aligned_is_read_in_parts(real, monkeypatch):
    """Each event and each basket once in the plan; each part reads what uproot reads of it."""
    file = made.source(real("physlite-rntuple.root"))
    monkeypatch.setattr(formats, "LARGE", 1000)
    source = source_of(file.url, file.size, file.version, StoreSettings())
    with uproot.open({file.url: "##Links"}) as oracle:
        opened = formats.TreeFile(
            source, oracle.keys(), uproot.open(file.url, handler=formats._Given, given=source)["##Links"]
        )
        whole = storescope.uproot.clusters(oracle)
        assert len(whole) == 1 and len(opened.clusters) > 5
        assert [cluster.entry_stop for cluster in opened.clusters[:-1]] == [
            cluster.entry_start for cluster in opened.clusters[1:]
        ]
        assert (opened.clusters[0].entry_start, opened.clusters[-1].entry_stop) == (0, oracle.num_entries)
        asked = []
        monkeypatch.setattr(
            source,
            "chunks",
            lambda ranges, notifications, was=source.chunks: (asked.extend(ranges), was(ranges, notifications))[1],
        )
        for cluster in opened.clusters:
            asked.clear()
            read = opened.read(cluster.entry_start, cluster.entry_stop)
            assert sorted(asked) == cluster.ranges
            assert ak.array_equal(read, oracle.arrays(entry_start=cluster.entry_start, entry_stop=cluster.entry_stop))
        opened.format = "ttree"
        layout = _layout("data", file, made.job(tree="##Links"), opened)
        assert layout.needed == sum(stop - start for start, stop in whole[0].ranges)
        assert len(layout.clusters) == len(opened.clusters)


# Bad input.


@pytest.mark.parametrize("kind", FORMATS)
def test_missing_columns_are_told_with_those_that_are_alike(tmp_path, kind):
    events = made.columns([2, 1])
    del events["Muon_pt"], events["Muon_isGlobal"]
    others = {f"Jet_{number}": np.zeros(2, "f4") for number in range(20)}
    path = made.write(tmp_path / "x", kind, {**others, **events, "muon_PT": events["Muon_eta"]})
    why = bad(made.source(path))
    where = "" if kind == "parquet" else " in Events"
    assert why.startswith(f"has no Muon_isGlobal, Muon_pt{where}: it has muon_PT, Muon_charge, Muon_eta, ")
    assert re.search(r"Jet_\d+ and \d+ more\. The file of --cuts ", why)


@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
def test_a_missing_tree_is_told_with_those_that_are_there(tmp_path, kind):
    path = made.write(tmp_path / "x.root", kind, made.columns([2]), tree="Other")
    assert bad(made.source(path)) == "has no tree 'Events': its trees are Other (--tree)"


def test_what_is_no_tree(tmp_path):
    with uproot.recreate(tmp_path / "x.root") as file:
        file["Events"] = np.histogram(np.zeros(3))
    assert bad(made.source(tmp_path / "x.root")) == "Events is a TH1D, not a tree"
    with uproot.recreate(tmp_path / "y.root") as file:
        file["h"] = np.histogram(np.zeros(3))
    assert bad(made.source(tmp_path / "y.root")) == "has no tree 'Events': its trees are none (--tree)"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_of_another_type(tmp_path, kind):
    events = {**made.columns([2, 1]), "Muon_pt": np.zeros(2, "f4")}
    why = bad(made.source(made.write(tmp_path / "x", kind, events)))
    assert "Muon_pt has the type float32, but must be a list of numbers" in why
    nested = ak.Array([[[1.0], [2.0]], [[3.0]]])
    if kind == "parquet":
        events["Muon_pt"] = nested
        table = pa.table({name: pa.array(ak.to_list(values)) for name, values in events.items()})
        pq.write_table(table, tmp_path / "nested")
        assert "Muon_pt has the type var * option[var * " in bad(made.source(tmp_path / "nested"))


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_tree_has_no_clusters(tmp_path, kind):
    layout = layout_of("data", made.source(made.write(tmp_path / "x", kind)), made.job())
    assert (layout.format, tuple(layout.clusters), layout.entries, layout.needed) == (kind, (), 0, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"roo", "is neither ROOT nor parquet: it begins with b'roo'"),
        (b"<html>" * 1000, "is neither ROOT nor parquet: it begins with b'<htm'"),
        (b"root", "is truncated: it has 4 bytes, fewer than the header of a ROOT file"),
        (b"root" + bytes(1), "is truncated: it has 5 bytes, fewer than the header of a ROOT file"),
        (b"root" + bytes(15), "is truncated: it has 19 bytes, fewer than the header of a ROOT file"),
        (b"root" + bytes(16), "cannot be read: "),
        (b"root" + bytes(5000), "has no tree 'Events': its trees are none"),
        (b"PAR1", "is truncated, or no parquet: it does not end as parquet does"),
        (
            b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1",
            "is truncated, or no parquet: it does not end as parquet does",
        ),
        (b"PAR1" + bytes(100) + b"\x20\0\0\0PAR1", "cannot be read: "),
    ],
)
def test_what_is_no_file_of_events(folder, settings, data, why):
    settings = settings_for(folder, settings)
    Folder(folder, settings).write("x.root", data)
    assert bad(find(f"{folder}/x.root", settings)[0], made.job(settings)).startswith(why)


@pytest.mark.parametrize(
    ("lengths", "entries", "why"),
    [
        ({"Muon_pt": 100}, 200, "has 100 entries in the branch Muon_pt, and 200 in Events"),
        (dict.fromkeys(made.MUON, 100), 200, "has 100 entries in the branch Muon_pt, and 200 in Events"),
        ({"Muon_pt": 0}, 200, "has 0 entries in the branch Muon_pt, and 200 in Events"),
        ({}, 300, "has 200 entries in the branch Muon_pt, and 300 in Events"),
        ({}, 100, "has 200 entries in the branch Muon_pt, and 100 in Events"),
    ],
)
def test_branches_that_do_not_reach_as_far_as_the_tree(tmp_path, lengths, entries, why):
    """ROOT lets branches be filled one by one. Their events are not left out in silence."""
    assert bad(made.source(made.write_uneven(tmp_path / "x.root", lengths, entries))) == why


def test_branches_that_are_not_read_may_be_shorter(tmp_path):
    layout = layout_of("data", made.source(made.write_uneven(tmp_path / "x.root", {"nMuon_pt": 100})), made.job())
    assert layout.entries == 200


@pytest.mark.parametrize("kind", FORMATS)
def test_clusters_that_end_before_the_entries_do(tmp_path, monkeypatch, kind):
    """Whatever the format: not a file is known that does."""
    path = made.write(tmp_path / "x", kind, made.columns([2, 0, 2]), made.columns([1, 2]))
    of = {"ttree": formats.TreeFile, "rntuple": formats.NtupleFile, "parquet": formats.ParquetFile}[kind]
    monkeypatch.setattr(of, "find_clusters", lambda self, was=of.find_clusters: was(self)[:-1])
    assert bad(made.source(path)) == "has 5 entries by its metadata, but columns of 3"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["a.root:b.root", "a.root:", "x:y", "[z]*?.root", "c;1.root", "q#r%20.root", " lead"])
def test_a_name_is_taken_as_it_is(folder, settings, tmp_path, kind, name):
    settings = settings_for(folder, settings)
    data = made.write(tmp_path / "made", kind, made.columns([2, 0, 2])).read_bytes()
    Folder(folder, settings).write(name, data)
    (file,) = find(f"{folder}/*", settings)
    assert file.url.endswith(name)
    assert layout_of("data", file, made.job(settings)).entries == 3


@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
def test_copies_of_a_file_are_read_each_by_itself(tmp_path, kind):
    """Copies share their UUID, by which uproot's caches know what they hold."""
    first = made.write(tmp_path / "a.root", kind, made.columns([2, 0, 2]))
    second = tmp_path / "b.root"
    second.write_bytes(first.read_bytes())
    columns = Cuts().columns()
    one, other = (
        formats.open_source(source_of(file.url, file.size, file.version, StoreSettings()), "Events", columns)
        for file in (made.source(first), made.source(second))
    )
    one.close()
    assert len(other.read(0, 3)) == 3
    other.close()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97, 0.9999])
def test_a_truncated_file(folder, settings, tmp_path, kind, kept):
    settings = settings_for(folder, settings)
    whole = made.make(str(tmp_path / "whole"), StoreSettings(), events=2000, files=1, format=kind)[0]
    with open(whole.url, "rb") as file:
        Folder(folder, settings).write("x", file.read(int(whole.size * kept)))
    why = bad(find(f"{folder}/x", settings)[0], made.job(settings))
    if kind == "parquet":
        assert why == "is truncated, or no parquet: it does not end as parquet does"
    else:
        assert why == f"is truncated: it was written with {whole.size:,} bytes, and has {int(whole.size * kept):,}"


def test_a_file_that_was_replaced_or_removed_since_it_was_listed(folder, settings):
    settings = settings_for(folder, settings)
    files = made.make(folder, settings, events=1000, files=2)
    out = Folder(folder, settings)
    out.write("dimuon-0000.root", out.read("dimuon-0001.root"))
    assert bad(files[0], made.job(settings)) == "was replaced since it was listed"
    out._fs.rm(f"{out._path}/dimuon-0001.root")
    assert bad(files[1], made.job(settings)) == "is gone since it was listed"


def test_a_file_that_changes_while_it_is_read(tmp_path):
    file = made.make(str(tmp_path), StoreSettings(), events=1000, files=1)[0]
    with open(file.url, "ab") as more:
        more.write(b"x")
    assert bad(file) == "was replaced since it was listed"


# The store is at fault, not the file.

REFUSED = {"status": {"status": 403, "code": "NotAllowed", "message": "no"}}
NO_BUCKET = {"status": {"status": 404, "code": "BucketNotFound", "message": "no"}}


@pytest.mark.parametrize("action", [REFUSED, NO_BUCKET])
def test_a_store_that_refuses_is_no_bad_file(settings, place, faults, action):
    files = made.make(place, settings, events=1000, files=2)
    faults({"method": "GET", "contains": "dimuon-0001", "action": action})
    with pytest.raises(WorkloadError) as told:
        layouts_of([("data", file) for file in files], made.job(settings, skip=True))
    assert not isinstance(told.value, BadFile) and "dimuon-0001.root" in str(told.value)
    assert isinstance(told.value.__cause__, storescope.StoreError)


def test_wrong_credentials_are_no_bad_file(settings, place):
    files = made.make(place, settings, events=1000, files=1)
    with pytest.raises(WorkloadError) as told:
        layout_of("data", files[0], made.job(dataclasses.replace(settings, profile="WRONG"), skip=True))
    assert not isinstance(told.value, BadFile)


def test_a_store_that_is_not_there_is_no_bad_file(settings, place):
    files = made.make(place, settings, events=1000, files=1)
    gone = dataclasses.replace(settings, endpoint="http://127.0.0.1:9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORESCOPE_ATTEMPTS", "1")
        with pytest.raises(WorkloadError) as told:
            layout_of("data", files[0], made.job(gone, skip=True))
    assert not isinstance(told.value, BadFile)


def test_an_object_that_is_archived_is_a_bad_file(settings, place, faults):
    files = made.make(place, settings, events=1000, files=1)
    faults(
        {
            "method": "GET",
            "contains": "dimuon-0000",
            "action": {"status": {"status": 409, "code": "NotRestored", "message": "cold"}},
        }
    )
    assert "archived" in bad(files[0], made.job(settings))
