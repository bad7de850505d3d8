# SPDX-License-Identifier: Apache-2.0
"""The files of rows: counted by their footers, readable where there is no row, and written in bounded steps."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

import reduction_files as made
from storescope_workloads.places import Folder
from storescope_workloads.reduction import local, rows
from storescope_workloads.settings import StoreSettings


def test_rows_are_counted_on_disks_and_stores(tmp_path, place, settings):
    for folder in (Folder(str(tmp_path), StoreSettings()), Folder(place, settings)):
        assert rows.count_rows(folder) == 0
        for number in range(3):
            with folder.open(f"dataset=a b/part-{number}.parquet") as file:
                pq.write_table(pa.table({"x": list(range(number))}), file)
        folder.write("_SUCCESS", b"")
        assert rows.count_rows(folder) == 3


def test_what_stands_for_no_rows_has_the_columns(tmp_path):
    folder, cuts = Folder(str(tmp_path / "batch=00000"), StoreSettings()), made.Cuts(keep=(("run", "int64"),))
    rows.fill_empty(folder, ["one", "t w/o=2", "one"], cuts)
    table = pq.ParquetDataset(tmp_path).read()
    assert len(folder.files()) == 2 and len(table) == 0
    assert set(table.column_names) == {"batch", "dataset", "file", *cuts.output()}
    before = folder.files()
    rows.fill_empty(folder, ["three"], cuts)
    assert folder.files() == before


class Table:
    """Counts how often its length is asked for."""

    asked = 0

    def __len__(self):
        Table.asked += 1
        return 1


def test_a_table_is_counted_once(tmp_path):
    with local._Rows(Folder(str(tmp_path), StoreSettings()), "part.parquet") as file:
        for _ in range(500):
            file.add(Table())
        file._held.clear()
    assert Table.asked == 500


def test_few_tables_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "TABLES", 10)
    with local._Rows(Folder(str(tmp_path), StoreSettings()), "part.parquet") as file:
        for number in range(35):
            file.add(pa.table({"x": [number]}))
            assert len(file._held) < 10
    assert pq.read_table(tmp_path / "part.parquet")["x"].to_pylist() == list(range(35))
