# SPDX-License-Identifier: Apache-2.0
"""Those who read by uproot: dask and coffea, on real NanoAOD and on trees with many baskets."""

from __future__ import annotations

import uuid

import coffea.nanoevents
import coffea.processor
import dask
import distributed
import joblib
import pytest
import uproot
import uproot_files

import storescope
import storescope.uproot

pytestmark = [
    pytest.mark.timeout(300),
    # They warn of each other, and of a NanoAOD that is no longer as it was.
    pytest.mark.filterwarnings("ignore"),
]

NANO = "nanoaod-v5-1000.root"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for number in range(3):
        uproot_files.write_tree(folder / f"tree{number}.root", baskets=10, entries=2_000)
    return folder


@pytest.fixture(scope="module")
def folder(bucket, options, made, service):
    """A prefix with the files."""
    storescope.register(service)
    prefix = f"{bucket}{uuid.uuid4().hex}/"
    store = storescope.open_store(prefix, **options)
    for path in (*made.iterdir(), uproot_files.real(NANO)):
        store.put(path.name, path.read_bytes())
    return prefix


@pytest.fixture
def chosen(options):
    return {**options, "handler": storescope.uproot.Source}


@pytest.fixture(autouse=True)
def all_read_by_storescope(seen):
    yield
    agents = {line["user_agent"] for line in seen()}
    assert agents
    assert all(agent.startswith("storescope/") for agent in agents)


# dask.


@pytest.mark.parametrize("steps", [{"steps_per_file": 3}, {"step_size": "200 kB"}])
def test_dask_reads_in_processes(folder, made, chosen, steps):
    files = {f"{folder}tree*.root": "Events"}
    array = uproot.dask(files, filter_name=["met", "Muon_pt"], open_files=True, **steps, **chosen)
    expected = uproot.concatenate(
        [{path: "Events"} for path in sorted(made.iterdir())], ["met", "Muon_pt"]
    )
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        met, pt = dask.compute(array.met, array.Muon_pt)
    uproot_files.assert_same(met, expected.met)
    uproot_files.assert_same(pt, expected.Muon_pt)


def test_a_source_is_pickled_into_processes(folder, made, chosen):
    with uproot.open({f"{folder}tree0.root": "Events"}, **chosen) as tree:
        sums = [dask.delayed(total)(tree, number) for number in range(4)]
        found = dask.compute(*sums, scheduler="processes", num_workers=2)
    met = uproot.open(made / "tree0.root")["Events/met"].array(library="np")
    assert [count for count, _ in found] == [5_000] * 4
    assert sum(value for _, value in found) == pytest.approx(float(met.sum(dtype="f8")))


def total(tree, number):
    met = tree["met"].array(
        library="np", entry_start=number * 5_000, entry_stop=(number + 1) * 5_000
    )
    assert tree.file.source.num_requests > 0
    return len(met), float(met.sum(dtype="f8"))


# coffea.


@pytest.mark.parametrize("mode", ["eager", "virtual"])
def test_nanoevents(folder, chosen, mode):
    def events(files, options):
        return coffea.nanoevents.NanoEventsFactory.from_root(
            files, schemaclass=coffea.nanoevents.NanoAODSchema, mode=mode, uproot_options=options
        ).events()

    found = events({folder + NANO: "Events"}, chosen)
    expected = events({str(uproot_files.real(NANO)): "Events"}, {})
    assert len(found) == len(expected) == 1_000
    for read in (lambda e: e.Muon.pt, lambda e: e.Jet[:, :2].mass, lambda e: e.HLT.IsoMu24):
        uproot_files.assert_same(read(found), read(expected))


class Counts(coffea.processor.ProcessorABC):
    def process(self, events):
        return {
            "events": len(events),
            "muons": int(events.nMuon.to_numpy().sum() if "nMuon" in events.fields else 0),
        }

    def postprocess(self, accumulator):
        return accumulator


@pytest.mark.parametrize(
    "executor",
    [coffea.processor.IterativeExecutor(), coffea.processor.FuturesExecutor(workers=2)],
    ids=["iterative", "futures"],
)
def test_runner_which_always_passes_a_timeout(folder, chosen, executor):
    run = coffea.processor.Runner(
        executor=executor,
        schema=coffea.nanoevents.BaseSchema,
        chunksize=300,
        savemetrics=True,
    )
    files = {"data": {"files": {folder + NANO: "Events"}}}
    found, metrics = run(files, Counts(), uproot_options=chosen)
    nano = uproot.open(uproot_files.real(NANO))["Events"]
    assert found == {"events": 1_000, "muons": int(nano["nMuon"].array(library="np").sum())}
    assert metrics["bytesread"] > 0


def test_dask_takes_the_plain_names(folder, options):
    import dask.bag
    import dask.bytes
    import dask.dataframe
    import pandas

    url = f"storescope{folder}table"
    frame = pandas.DataFrame({"n": range(1000)})
    made = dask.dataframe.from_pandas(frame, npartitions=2)
    made.to_parquet(url, storage_options=options)
    made.to_csv(f"{url}-*.csv", storage_options=options, index=False)
    assert dask.dataframe.read_parquet(url, storage_options=options).n.sum().compute() == frame.n.sum()
    assert dask.dataframe.read_csv(f"{url}-*.csv", storage_options=options).n.sum().compute() == frame.n.sum()
    _, blocks = dask.bytes.read_bytes(f"{url}-*.csv", **options)
    assert len(blocks) == 2
    lines = dask.bag.read_text(f"{url}-*.csv", storage_options=options)
    assert lines.count().compute(scheduler="processes", num_workers=1) == 1_002


# Without a handler: what was installed is inherited by workers of each kind.


@pytest.fixture
def installed(options, monkeypatch):
    """uproot reads by storescope, and workers take the settings from the environment."""
    for name, value in options.items():
        monkeypatch.setenv(f"STORESCOPE_{name.upper()}", str(value))
    storescope.uproot.install()
    yield
    storescope.uproot.uninstall()


@pytest.mark.parametrize("compute", ["processes", "cluster", "joblib"])
def test_workers_inherit_what_is_installed(folder, installed, compute):
    url = f"{folder}tree0.root"
    if compute == "processes":
        (found,) = dask.compute(dask.delayed(reader_of)(url), scheduler="processes", num_workers=1)
    elif compute == "joblib":
        found, _ = joblib.Parallel(2)(joblib.delayed(reader_of)(url) for _ in range(2))
        # It keeps its workers for the next call.
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    else:
        with (
            distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            found = client.submit(reader_of, url).result()
    assert found == ("storescope.uproot", "storescope.fsspec", 20_000)


def reader_of(url):
    import fsspec

    with uproot.open({url: "Events"}) as tree, fsspec.open(url) as file:
        return type(tree.file.source).__module__, type(file.fs).__module__, tree.num_entries


@pytest.mark.parametrize(
    "executor",
    [coffea.processor.IterativeExecutor(), coffea.processor.FuturesExecutor(workers=2)],
    ids=["iterative", "futures"],
)
def test_runner_by_what_is_installed(folder, installed, executor):
    run = coffea.processor.Runner(
        executor=executor, schema=coffea.nanoevents.BaseSchema, chunksize=300, savemetrics=True
    )
    found, metrics = run({"data": {"files": {folder + NANO: "Events"}}}, Counts())
    nano = uproot.open(uproot_files.real(NANO))["Events"]
    assert found == {"events": 1_000, "muons": int(nano["nMuon"].array(library="np").sum())}
    assert metrics["bytesread"] > 0


def test_dask_by_what_is_installed(folder, made, installed):
    array = uproot.dask({f"{folder}tree*.root": "Events"}, filter_name=["met"], steps_per_file=2)
    (met,) = dask.compute(array.met, scheduler="processes", num_workers=2)
    uproot_files.assert_same(met, uproot.concatenate([{path: "Events"} for path in sorted(made.iterdir())], ["met"]).met)
