# SPDX-License-Identifier: Apache-2.0
"""The files of rows: counted by their footers, readable where there is no row, and written in bounded steps."""

from __future__ import annotations

import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reduction_files as made
from storescope_workloads import places
from storescope_workloads.errors import WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan import parts, rows
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
    rows.fill_empty(folder, ["one", "t w/o=2", "one"], Reduction(cuts))
    table = pq.ParquetDataset(tmp_path).read()
    assert len(folder.files()) == 2 and len(table) == 0
    assert set(table.column_names) == {"batch", "dataset", "file", *cuts.output()}
    before = folder.files()
    rows.fill_empty(folder, ["three"], Reduction(cuts))
    assert folder.files() == before


class Table:
    """Counts how often its length is asked for."""

    asked = nbytes = 0

    def __len__(self):
        Table.asked += 1
        return 1


def test_a_table_is_counted_once(tmp_path):
    with parts.Rows(Folder(str(tmp_path), StoreSettings()), "part.parquet") as file:
        for _ in range(500):
            file.add(Table())
        file._held.clear()
    assert Table.asked == 500


def test_few_tables_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "TABLES", 10)
    with parts.Rows(Folder(str(tmp_path), StoreSettings()), "part.parquet") as file:
        for number in range(35):
            file.add(pa.table({"x": [number]}))
            assert len(file._held) < 10
    assert pq.read_table(tmp_path / "part.parquet")["x"].to_pylist() == list(range(35))


def test_few_bytes_are_held(tmp_path, monkeypatch):
    """Rows may be large: each row group has no more of them than :data:`parts.BYTES`, and one more table."""
    monkeypatch.setattr(parts, "BYTES", 10_000)
    with parts.Rows(Folder(str(tmp_path), StoreSettings()), "part.parquet") as file:
        for number in range(40):
            file.add(pa.table({"x": pa.array([[float(number)] * 300], pa.list_(pa.float32()))}))
            assert sum(table.nbytes for table in file._held) < 10_000
    read = pq.ParquetFile(tmp_path / "part.parquet")
    assert read.num_row_groups == 5 and [row[0] for row in read.read()["x"].to_pylist()] == list(range(40))


@pytest.mark.parametrize("when", ["add", "end"])
def test_a_disk_without_space_names_the_file_and_holds_none(tmp_path, monkeypatch, when):
    class Full:
        """As a disk is full when the last bytes come."""

        def __init__(self, file):
            self._file, self.closed = file, False

        def write(self, data):
            if len(bytes(data)) > 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._file.write(data)

        def __getattr__(self, name):
            return getattr(self._file, name)

    monkeypatch.setattr(places._Replacing, "__enter__", lambda self: Full(self._file))
    monkeypatch.setattr(parts, "ROWS", 10 if when == "add" else 10_000)
    folder = Folder(str(tmp_path), StoreSettings())
    with pytest.raises(WorkloadError, match=r"part\.parquet: was not written: .*No space left on device.*--resume"):
        with parts.Rows(folder, "part.parquet") as rows:
            rows.add(pa.table({"x": list(range(1000))}))
            assert when == "end"
    assert folder.files() == []


def test_attempts_at_one_file_do_not_meet(tmp_path):
    """The second begins and ends while the first writes: what is there is whole, and so it is when the first is killed."""
    folder, table = Folder(str(tmp_path), StoreSettings()), pa.table({"x": list(range(1000))})
    first, second = (parts.Rows(folder, "part.parquet", attempt) for attempt in (".1", ".2"))
    with pytest.raises(KeyboardInterrupt), first:
        first.add(table)
        first._write()
        with second:
            second.add(table)
        assert pq.read_table(tmp_path / "part.parquet").equals(table)
        raise KeyboardInterrupt
    assert folder.files() == ["part.parquet"] and pq.read_table(tmp_path / "part.parquet").equals(table)


def test_rows_of_bad_files_are_taken_out_a_row_group_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 10)
    folder = Folder(str(tmp_path), StoreSettings())
    with parts.Rows(folder, "part.parquet") as file:
        for number in range(6):
            file.add(pa.table({"file": pa.array([number // 2] * 10, pa.int32()), "x": [[float(number)]] * 10}))
    parts._leave_out(folder, "part.parquet", [1])
    read = pq.ParquetFile(tmp_path / "part.parquet")
    assert read.num_row_groups == 4 and set(read.read()["file"].to_pylist()) == {0, 2} and read.metadata.num_rows == 40
    assert read.metadata.row_group(0).column(0).compression == "ZSTD"
