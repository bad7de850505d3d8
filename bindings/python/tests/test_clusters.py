# SPDX-License-Identifier: Apache-2.0
"""Where a tree's data is, against what uproot asks for when it reads it; and sources of one version, and hints."""

from __future__ import annotations

import pickle

import pytest
import uproot
import uproot_fake
import uproot_files
from uproot_files import Noting

import storescope
import storescope.uproot
from storescope import _uproot_source
from storescope.uproot import Cluster, Source, clusters

pytestmark = pytest.mark.timeout(60)

URL = "oci://bucket@namespace/"


@pytest.fixture
def store(tmp_path, monkeypatch):
    fake = uproot_fake.FakeStore(tmp_path)
    monkeypatch.setattr(_uproot_source, "store_of", lambda base, settings: fake)
    monkeypatch.setattr(_uproot_source, "_before_keys", {})
    return fake


def asked(tree, filter_name, start, stop):
    """The ranges that uproot asks for, with the order and repeats taken out."""
    Noting.asked.clear()
    tree.arrays(filter_name=filter_name, entry_start=start, entry_stop=stop, array_cache=None)
    return sorted((int(start), int(stop)) for start, stop in Noting.asked)


def assert_without_gaps(found, entries):
    assert [cluster.entry_stop for cluster in found] == [*(cluster.entry_start for cluster in found[1:]), entries]
    assert found[0].entry_start == 0


TREES = [
    ("cms-opendata-dimuon-100k.root", "Events", ["nMuon", "Muon_pt"], 1),
    ("nanoaod-dimuon.root", "Events", "Muon_*", 1),
    ("nanoaod-v15-ttbar.root", "Events", ["nJet", "Jet_pt", "run"], 1),
    ("nanoaod-v5-1000.root", "Events", "/(n?)Muon.*/", 1),
    ("tree-1M-200-baskets.root", "test", None, 100),
    ("tree-1M-200-baskets.root", "test", ["b2"], 100),
    ("physlite-rntuple.root", "##Links", None, 1),
    ("physlite-rntuple.root", "##Shapes", lambda name: True, 1),
]


@pytest.mark.parametrize(("name", "tree", "filter_name", "count"), TREES)
def test_ranges_are_what_uproot_asks_for_of_real_trees(name, tree, filter_name, count):
    with uproot.open({uproot_files.real(name): tree}, handler=Noting) as opened:
        Noting.asked.clear()
        found = clusters(opened, filter_name)
        assert not Noting.asked, "the tables of baskets are in the tree"
        assert len(found) == count
        assert_without_gaps(found, opened.num_entries)
        for cluster in found[:: max(1, count // 5)]:
            assert cluster.ranges == asked(opened, filter_name, cluster.entry_start, cluster.entry_stop)
            assert all(type(place) is int for span in cluster.ranges for place in span)


def test_embedded_baskets_cost_nothing_further():
    path = uproot_files.real("cms-opendata-dimuon-100k.root")
    with uproot.open({path: "Events"}) as opened:
        assert clusters(opened) == [Cluster(0, 100_000, [])]


def test_branches_that_are_not_aligned_have_the_borders_that_they_share():
    """The borders of the branches alone are more than those of both."""
    with uproot.open({uproot_files.real("physlite-rntuple.root"): "##Links"}) as opened:
        counts = {name: len(clusters(opened, [name])) for name in opened.keys()}
        assert sorted(counts.values()) == [1, 26]
        assert len(clusters(opened)) == 1
        assert len(clusters(opened)[0].ranges) == 27


def test_the_clusters_of_a_written_tree(tmp_path):
    path = uproot_files.write_tree(tmp_path / "tree.root", baskets=7, entries=300)
    with uproot.open({path: "Events"}, handler=Noting) as opened:
        found = clusters(opened, ["met", "Muon_pt"])
        assert [(cluster.entry_start, cluster.entry_stop) for cluster in found] == [
            (number * 300, number * 300 + 300) for number in range(7)
        ]
        for cluster in found:
            assert len(cluster.ranges) == 2
            assert cluster.ranges == asked(opened, ["met", "Muon_pt"], cluster.entry_start, cluster.entry_stop)
        both = sorted(found[2].ranges + found[3].ranges)
        assert both == asked(opened, ["met", "Muon_pt"], found[2].entry_start, found[3].entry_stop)


def test_the_clusters_of_a_written_ntuple(tmp_path):
    path = uproot_files.write_ntuple(tmp_path / "ntuple.root", clusters=5, entries=400)
    with uproot.open({path: "Events"}, handler=Noting) as opened:
        found = clusters(opened, ["met", "Muon_pt"])
        assert [(cluster.entry_start, cluster.entry_stop) for cluster in found] == [
            (number * 400, number * 400 + 400) for number in range(5)
        ]
        for cluster in found:
            # uproot reads the cluster that begins at `entry_stop`, too.
            inside = asked(opened, ["met", "Muon_pt"], cluster.entry_start, cluster.entry_stop - 1)
            assert cluster.ranges == inside
            assert len(cluster.ranges) == 3
        every = sorted(span for cluster in found for span in cluster.ranges)
        assert every == asked(opened, ["met", "Muon_pt"], 0, 2000)


@pytest.mark.parametrize(
    ("lengths", "entries", "found"),
    [
        ({"Muon_pt": 100}, 200, [(0, 100)]),
        ({"Muon_pt": 100, "met": 100}, 200, [(0, 100)]),
        ({"Muon_pt": 0}, 200, []),
        ({}, 300, [(0, 100), (100, 200)]),
        ({"Muon_charge": 100}, 200, [(0, 100), (100, 200)]),
    ],
)
def test_clusters_end_with_the_shortest_of_the_chosen_branches(tmp_path, lengths, entries, found):
    """ROOT lets branches be filled one by one."""
    path = uproot_files.write_uneven(tmp_path / "x.root", lengths, entries)
    with uproot.open({path: "Events"}, handler=Noting) as opened:
        made = clusters(opened, ["met", "Muon_pt"])
        assert opened.num_entries == entries
        assert [(cluster.entry_start, cluster.entry_stop) for cluster in made] == found
        for cluster in made:
            assert len(cluster.ranges) == 2
            assert cluster.ranges == asked(opened, ["met", "Muon_pt"], cluster.entry_start, cluster.entry_stop)


def test_a_basket_that_reaches_beyond_the_shortest_branch_is_among_the_ranges(tmp_path, monkeypatch):
    path = uproot_files.write_uneven(tmp_path / "x.root", {"Muon_pt": 100}, 200)
    with uproot.open({path: "Events"}) as opened:
        monkeypatch.setattr(
            type(opened["met"]),
            "entry_offsets",
            property(lambda branch: [0, 50, 200] if branch.name == "met" else [0, 100]),
        )
        found = clusters(opened, ["met", "Muon_pt"])
    assert [(cluster.entry_start, cluster.entry_stop, len(cluster.ranges)) for cluster in found] == [(0, 100, 3)]


@pytest.mark.parametrize("filter_name", [None, "EventInfoAuxDyn:*", ["index_ref"]])
def test_the_clusters_of_a_real_ntuple(filter_name):
    with uproot.open({uproot_files.real("physlite-rntuple.root"): "EventData"}, handler=Noting) as opened:
        found = clusters(opened, filter_name)
        assert [(cluster.entry_start, cluster.entry_stop) for cluster in found] == [(0, 100)]
        assert found[0].ranges == asked(opened, filter_name, 0, 100)


@pytest.mark.parametrize("write", [uproot_files.write_tree, uproot_files.write_ntuple])
def test_nothing_that_matches_has_no_clusters(tmp_path, write):
    with uproot.open({write(tmp_path / "x.root", 2, 100): "Events"}) as opened:
        assert clusters(opened, "none_of_them") == []


def test_an_empty_tree_has_no_clusters(tmp_path):
    with uproot.recreate(tmp_path / "x.root") as file:
        file.mktree("tree", {"x": "f4"})
        file.mkrntuple("ntuple", {"x": "f4"})
    with uproot.open(tmp_path / "x.root") as file:
        assert clusters(file["tree"]) == clusters(file["ntuple"]) == []


def test_what_is_no_tree_is_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a TTree or an RNTuple, not str"):
        clusters("Events")


# Sources of one version.


@pytest.fixture
def data(store):
    (store.folder / "x").write_bytes(bytes(range(256)) * 400)
    return "x"


def test_a_version_goes_to_the_reader(store, data):
    Source(URL + data, size=102_400, etag="abc")
    assert (store.last.options["size"], store.last.options["etag"]) == (102_400, "abc")


def test_uproot_hands_the_version_on(store, caplog):
    path = uproot_files.write_tree(store.folder / "tree.root", 3, 100)
    size = path.stat().st_size
    with uproot.open(URL + "tree.root", handler=Source, size=size, etag="abc") as opened:
        assert opened["Events"].num_entries == 300
    assert (store.last.options["size"], store.last.options["etag"]) == (size, "abc")
    assert not caplog.records


def test_a_version_travels(store, data):
    source = pickle.loads(pickle.dumps(Source(URL + data, size=102_400, etag="abc")))
    assert (store.last.options["size"], store.last.options["etag"]) == (102_400, "abc")
    # It has read nothing yet: its first bytes are foreseen as those of a new one.
    source.chunk(0, 403)
    assert store.last.hints == [[(0, storescope.uproot.HEAD)]]


def test_another_version_is_an_error_at_the_first_read(bucket, options):
    """Of a real service's objects."""
    real = storescope.open_store(bucket, **options)
    meta = real.put("versions", bytes(5000))
    url = bucket + "versions"
    first = Source(url, size=meta.size, etag=meta.etag, **options)
    assert first.chunk(0, 10).raw_data.tobytes() == bytes(10)
    real.put("versions", bytes([1]) * 5000)
    with pytest.raises(storescope.ObjectChangedError):
        Source(url, size=meta.size, etag=meta.etag, **options).chunk(0, 10)
    with pytest.raises(storescope.ObjectChangedError):
        uproot.open(url, handler=Source, size=meta.size, etag=meta.etag, **options)
    assert Source(url, **options).chunk(0, 2).raw_data.tobytes() == b"\1\1"


# Hints.


def test_a_hint_before_the_first_read_takes_the_place_of_guesses(store):
    path = uproot_files.write_tree(store.folder / "tree.root", 20, 3000)
    source = Source(URL + "tree.root", size=path.stat().st_size)
    source.hint([(0, 2000)])
    reader = store.last
    source.chunk(0, 403)
    assert (reader.hints, reader.waits) == ([[(0, 2000)]], [])
    source.hint([(5000, 6000)])
    assert reader.hints[1:] == [[(5000, 6000)]]


def test_without_a_hint_the_first_reads_are_guessed_where_size_and_version_are_known(store):
    path = uproot_files.write_tree(store.folder / "tree.root", 20, 3000)
    source = Source(URL + "tree.root", size=path.stat().st_size, etag="abc")
    source.chunk(0, 403)
    assert store.last.hints[0] == [(0, storescope.uproot.HEAD)]


def test_a_closed_source_takes_hints_in_silence(store, data):
    source = Source(URL + data)
    source.close()
    source.hint([(0, 10)])
    assert store.last.hints == []
