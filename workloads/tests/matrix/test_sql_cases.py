# SPDX-License-Identifier: Apache-2.0
"""The engine spark-sql on local files, by many cuts and on bad input. Runs as it is on Spark 3.5 and 4."""

from __future__ import annotations

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql_cases import INF, NAN, agrees, events, write
from storescope_workloads.errors import BadFile, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.reduction import sql_text
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.datasets import of_files
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import Dataset, run
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.reduction.physics import reduce
from storescope_workloads.reduction.summary import EDGES
from storescope_workloads.settings import StoreSettings

# Py4J leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

LOCAL = StoreSettings()
OFF = ("muons: {pt_min: null, abs_eta_max: null, isolation_max: null, global: null}\n"
       "leading: {pt_min: null, abs_eta_max: null, isolation_max: null}\npair: {opposite_sign: null}\n")
CUTS = {
    "defaults": "keep: {event: int64, met: float64, flag: bool, huge: float64, score: float64}",
    "all off": OFF,
    "isolation and flags off": "muons: {isolation_max: null, global: null}\nleading: {isolation_max: null}",
    "only the leading muon": "muons: {pt_min: null, abs_eta_max: null, isolation_max: null, global: null}",
    "scaled": "columns: {pt: {column: Muon_pt, scale: 0.97}}\nkeep: [event]",
}


@pytest.fixture(scope="module")
def engine():
    from storescope_workloads.reduction.sql import SqlEngine
    from storescope_workloads.spark import session

    spark = session("local[1]", {"spark.sql.shuffle.partitions": "1", "spark.default.parallelism": "1"}, None, LOCAL, "test_sql")
    with SqlEngine(spark) as running:
        yield running


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Three files of names that URLs and globs would change, and what is in them."""
    folder = tmp_path_factory.mktemp("inputs")
    held = {"a b.parquet": events(1, 700), "c%20[1].parquet": events(2, 900), "é+x{2}.parquet": events(3, 0)}
    for name, table in held.items():
        write(folder / name, table, row_group_size=200)
    return folder, list(held.values())


def rows_of(out: Path, dataset: str = "data") -> pa.Table:
    folder = out / "pairs" / "batch=00000" / f"dataset={dataset}"
    return pa.concat_tables(pq.read_table(path, partitioning=None) for path in sorted(folder.glob("*.parquet")))


@pytest.mark.parametrize("name", CUTS)
def test_the_same_rows_and_counts_as_physics(engine, inputs, tmp_path, name):
    folder, held = inputs
    cuts = Cuts.load(CUTS[name])
    finished = run(engine, of_files([f"{folder}/*.parquet"], LOCAL).datasets, Job(Reduction(cuts)), Folder(str(tmp_path / "out"), LOCAL))
    assert finished.summaries["data"].pairs > 20
    agrees(finished.summaries["data"], rows_of(tmp_path / "out"), dict(enumerate(held)), cuts)
    measured = finished.measured["data"]
    assert measured.tasks > 0 and measured.wall_s > 0 and measured.cpu_s > 0 and measured.needed > 0
    assert engine.measured_plan().read > 0


def test_data_sets_have_their_own_rows_and_counts(engine, inputs, tmp_path):
    folder, held = inputs
    files = of_files([f"{folder}/*.parquet"], LOCAL).datasets[0].files
    datasets = [Dataset("one", files[:1]), Dataset("two", files[1:2]), Dataset("none", files[2:])]
    finished = run(engine, datasets, Job(Reduction(Cuts())), Folder(str(tmp_path / "out"), LOCAL))
    for name, table in zip(("one", "two", "none"), held, strict=True):
        assert finished.summaries[name].flow == reduce(table, Cuts()).flow
    assert len(rows_of(tmp_path / "out", "two")) == finished.summaries["two"].pairs
    # Rows are read as one table: the data set is a column by the folders' names.
    table = pq.read_table(tmp_path / "out" / "pairs")
    assert sorted(set(table["dataset"].to_pylist())) == ["one", "two"]


def test_bins_are_those_of_numpy(engine):
    masses = [value for edges in EDGES.values() for edge in edges for value in (np.nextafter(edge, 0), edge, np.nextafter(edge, INF))]
    masses += [0.0, 1e-300, 5e-324, 299.9999999, 300.0, 301.0, 1e300, *np.random.default_rng(0).lognormal(3, 1.5, 2000)]
    frame = engine.spark.createDataFrame([(float(mass),) for mass in masses], "mass_gev DOUBLE")
    found = frame.selectExpr(*sql_text.bins(EDGES)).collect()
    for name, edges in EDGES.items():
        count = len(edges) - 1
        places = np.array([row[name] for row in found])
        counts = [np.count_nonzero(places == place) for place in range(count)]
        assert counts == np.histogram(masses, edges)[0].tolist()
        assert np.count_nonzero(places == -1) == np.count_nonzero(masses < edges[0])
        assert np.count_nonzero(places == count) == np.count_nonzero(masses > edges[-1])


def test_nulls_are_no_muons_and_nan(engine, tmp_path):
    pair = [(50.0, 0.5, 0.0, 1, 0.01, 1), (40.0, -0.5, 2.5, -1, 0.2, 1)]
    names = ("Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge", "Muon_pfRelIso04_all", "Muon_isGlobal")
    kinds = (pa.float64(), pa.float32(), pa.float32(), pa.int16(), pa.float32(), pa.uint8())
    columns = {name: [[muon[place] for muon in pair] for _ in range(8)] for place, name in enumerate(names)}
    for place, name in enumerate(names):
        columns[name][place][0] = None
        columns[name][6] = None
    columns["Muon_charge"][3][1] = None
    table = pa.table({name: pa.array(columns[name], pa.list_(kind)) for name, kind in zip(names, kinds, strict=True)})
    pq.write_table(table, tmp_path / "nulls.parquet")
    finished = run(engine, of_files([str(tmp_path / "nulls.parquet")], LOCAL).datasets, Job(Reduction(Cuts())), Folder(str(tmp_path / "out"), LOCAL))
    flow = finished.summaries["data"].flow
    assert flow == reduce(ak.from_arrow(table), Cuts()).flow
    assert (flow.events, flow.muons, flow.passed) == (8, 14, 1)


def test_batches_leave_nothing_of_what_fails(engine, tmp_path):
    """Two files are fine when they are planned; the second is changed before it is read."""
    first, second = write(tmp_path / "a.parquet", events(1, 50)), write(tmp_path / "b.parquet", events(2, 50))
    datasets = of_files([str(tmp_path / "*.parquet")], LOCAL).datasets
    out = Folder(str(tmp_path / "out"), LOCAL)

    class Replacing(type(engine)):
        def run(self, *arguments):
            write(second, events(3, 50))
            return super().run(*arguments)

    with pytest.raises(BadFile, match="b.parquet: was replaced since it was listed"):
        run(Replacing(engine.spark), datasets, Job(Reduction(Cuts()), skip=True), out)
    assert not [name for name in out.files() if name.startswith("pairs/")]
    os.unlink(first)
    with pytest.raises(BadFile, match="a.parquet: is gone since it was listed"):
        next(engine_batches(engine, datasets, out))


def engine_batches(engine, datasets, out):
    from storescope_workloads.scan.pieces import Batch, FileLayout

    layouts = [(number, FileLayout("data", file.url, file.size, file.version, "parquet", "", ())) for number, file in enumerate(datasets[0].files)]
    yield engine.run(Batch(0, tuple(layouts)), Job(Reduction(Cuts())), out, lambda done: None)


def test_names_that_spark_hides(engine, tmp_path):
    write(tmp_path / "a.parquet", events(1, 20))
    write(tmp_path / "_b.parquet", events(2, 20))
    datasets = of_files([str(tmp_path / "*.parquet")], LOCAL).datasets
    with pytest.raises(BadFile, match="_b.parquet: is not read by Spark"):
        run(engine, datasets, Job(Reduction(Cuts())), Folder(str(tmp_path / "out"), LOCAL))


def test_a_truncated_row_group_names_its_file(engine, tmp_path):
    write(tmp_path / "a.parquet", events(1, 20))
    path = write(tmp_path / "b c.parquet", events(2, 2000), compression="snappy", use_dictionary=False)
    data = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    data[place : place + 400] = b"\xff" * 400
    path.write_bytes(data)
    datasets = of_files([str(tmp_path / "*.parquet")], LOCAL).datasets
    with pytest.raises(BadFile, match="b c.parquet: cannot be read"):
        run(engine, datasets, Job(Reduction(Cuts())), Folder(str(tmp_path / "out"), LOCAL))


def test_lists_of_different_lengths_are_refused(engine, tmp_path):
    table = ak.with_field(events(1, 3)[[0, 1, 2]], ak.Array([[1.0] * 9] * 3), "Jet_eta")
    write(tmp_path / "a.parquet", table)
    same = ak.with_field(events(1, 3), events(1, 3)["Muon_eta"], "Jet_eta")
    for name in ("0.parquet", "b.parquet"):
        write(tmp_path / name, same)
    with pytest.raises(BadFile, match=r"/a.parquet: the columns Muon_pt, Jet_eta, .* differ in length in one event; .* collection$"):
        run(engine, of_files([str(tmp_path / "*.parquet")], LOCAL).datasets, Job(Reduction(Cuts.load("columns: {eta: Jet_eta}"))),
            Folder(str(tmp_path / "out"), LOCAL))


def test_columns_of_a_wrong_type_are_named(engine, tmp_path):
    write(tmp_path / "a.parquet", ak.with_field(events(1, 5), np.array(["x"] * 5), "Muon_phi"))
    with pytest.raises(WorkloadError, match="Muon_phi has the type string"):
        run(engine, of_files([str(tmp_path / "a.parquet")], LOCAL).datasets, Job(Reduction(Cuts())), Folder(str(tmp_path / "out"), LOCAL))


#: Two muons that pass all cuts.
PAIR = {"Muon_pt": [50.0, 40.0], "Muon_eta": [0.5, -0.5], "Muon_phi": [0.0, 2.5], "Muon_charge": [1, -1],
        "Muon_pfRelIso04_all": [0.01, 0.2], "Muon_isGlobal": [True, True]}


def pairs(count: int, **columns) -> pa.Table:
    """Events that pass all cuts, and columns beside; those of muons take another type by their names in ``columns``."""
    kinds = {name: pa.float32() for name in PAIR} | {"Muon_charge": pa.int32(), "Muon_isGlobal": pa.bool_()}
    kinds |= {name: columns.pop(name) for name in PAIR if name in columns}
    lists = {name: pa.array([values] * count, pa.list_(kinds[name])) for name, values in PAIR.items()}
    return pa.table({**lists, **columns})


def both(engine, folder: Path, cuts: Cuts) -> dict[str, pa.Table | str]:
    """The rows, or the error, of the engines spark-sql and local for the files of a folder."""
    found = {}
    with LocalEngine(1) as local:
        for running in (engine, local):
            out = folder.parent / f"{folder.name}-{running.name}"
            try:
                run(running, of_files([f"{folder}/*.parquet"], LOCAL).datasets, Job(Reduction(cuts)), Folder(str(out), LOCAL))
                found[running.name] = rows_of(out).sort_by("file")
            except BadFile as error:
                found[running.name] = str(error)
    return found


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("int64", pa.array([1, 2**63 + 5, 3], pa.uint64()), "has values above 2^63 - 1, which int64 cannot hold"),
        ("int64", pa.array([1, None, 3], pa.uint64()), "has nulls, which int64 cannot hold"),
        ("int64", pa.array([1, None, 3], pa.int32()), "has nulls, which int64 cannot hold"),
        ("bool", pa.array([True, None, False]), "has nulls, which bool cannot hold"),
        ("int64", pa.array([0, 2**63 - 1, 3], pa.uint64()), None),
        ("int64", pa.array([-(2**63), 2**63 - 1, 3], pa.int64()), None),
        ("int64", pa.array([True, False, True]), None),
        ("float64", pa.array([2**64 - 1, 2**63 + 1025, None], pa.uint64()), None),
        ("float64", pa.array([0.1, None, NAN], pa.float32()), None),
        ("float64", pa.array([True, None, False]), None),
    ],
)
def test_kept_values_are_those_of_the_engine_local(engine, tmp_path, kind, values, message):
    (tmp_path / "in").mkdir()
    for name, held in (("a.parquet", values[:1]), ("it's b.parquet", values)):
        pq.write_table(pairs(len(held), **{"it's `k`": held}), tmp_path / "in" / name)
    found = both(engine, tmp_path / "in", Cuts.load(f'keep: {{"it\'s `k`": {kind}}}'))
    if message is None:
        assert found["spark-sql"].schema.types == found["local"].schema.types
        assert repr(found["spark-sql"].to_pylist()) == repr(found["local"].to_pylist())
        assert found["local"].num_rows == 1 + len(values)
    else:
        assert found["spark-sql"] == found["local"]
        assert f"/it's b.parquet: the column it's `k` {message}" in found["local"]


def test_what_is_not_written_may_be_null(engine, tmp_path):
    table = pairs(3, event=pa.array([None, 2, 3], pa.int64()))
    charges = pa.array([[1, 1], [1, -1], [1, -1]], pa.list_(pa.int32()))
    (tmp_path / "in").mkdir()
    pq.write_table(table.set_column(3, "Muon_charge", charges), tmp_path / "in" / "a.parquet")
    found = both(engine, tmp_path / "in", Cuts.load("keep: [event]"))
    assert found["spark-sql"]["event"].to_pylist() == found["local"]["event"].to_pylist() == [2, 3]


def test_names_of_columns_clash_with_nothing(engine, tmp_path):
    kept = ["Mass", "cut", "first", "muons", "left_0", "good", "_url", "url", "in_0", "kept_0", "muon", "i", "a.b", "ordered"]
    columns = {name: pa.array([number], pa.int64()) for number, name in enumerate(kept)}
    unread = {name: pa.array([1.0]) for name in ("file", "File", "muon_pt", "MUON_PT", "mass", "dataset", "_tally")}
    (tmp_path / "in").mkdir()
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pairs(1, **columns, **unread), tmp_path / "in" / name)
    found = both(engine, tmp_path / "in", Cuts.load(f"keep: {kept}"))
    assert found["spark-sql"].column_names == found["local"].column_names
    assert found["spark-sql"].select(kept).to_pylist() == [dict(zip(kept, range(len(kept)), strict=True))] * 2
    assert engine.spark.conf.get("spark.sql.caseSensitive") == "false"


def test_quantities_may_be_called_as_the_rows_are(engine, tmp_path):
    names = ["file", "url", "muons", "first", "cut", "left_0"]
    (tmp_path / "in").mkdir()
    pq.write_table(pairs(2).rename_columns(names), tmp_path / "in" / "a.parquet")
    columns = dict(zip(("pt", "eta", "phi", "charge", "isolation", "global"), names, strict=True))
    found = both(engine, tmp_path / "in", Cuts.load(f"columns: {columns}"))
    assert found["spark-sql"].num_rows == 2 and found["spark-sql"].column_names == found["local"].column_names


def test_files_of_other_widths(engine, tmp_path):
    (tmp_path / "in").mkdir()
    kinds = [(pa.float32(), pa.int32(), pa.int32()), (pa.float64(), pa.int8(), pa.int64()), (pa.float32(), pa.int32(), pa.int32()),
             (pa.float32(), pa.int64(), pa.uint64())]
    for number, (pt, charge, event) in enumerate(kinds):
        table = pairs(3, Muon_pt=pt, Muon_charge=charge, event=pa.array([number, 7, 8], event))
        pq.write_table(table, tmp_path / "in" / f"{number}.parquet")
    found = both(engine, tmp_path / "in", Cuts.load("keep: [event]"))
    for rows in found.values():
        assert rows["event"].to_pylist() == [0, 7, 8, 1, 7, 8, 2, 7, 8, 3, 7, 8]
    assert found["spark-sql"].drop_columns("mass_gev") == found["local"].drop_columns("mass_gev")
    np.testing.assert_allclose(found["spark-sql"]["mass_gev"], found["local"]["mass_gev"], rtol=1e-12)
