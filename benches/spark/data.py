# SPDX-License-Identifier: Apache-2.0
"""Writes what the works read: `python data.py FOLDER`. Equal seeds make equal bytes.

wide.parquet            800,000 rows of 20 float64 columns, 4 row groups: 122 MiB
sales/part-*.parquet    12,000,000 rows in 8 files of 60 MB, ordered by `key`; one row group a file, as Spark writes it
items.parquet           10,000 rows, one for each `item` of sales
small/part-*.parquet    200 files of 100 KB
bytes.bin               512 MiB
many/                   1,000 files of 1 KiB
wanted.json             the bytes that a work cannot do without, where that is plain
warm/                   the same on a small scale: what a process reads before it counts
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet

SEED = 20261122


def main(folder: Path) -> None:
    write(folder, wide=800_000, sales=(8, 1_500_000), small=200, megabytes=512, many=1_000)
    (folder / "wanted.json").write_text(json.dumps({"W1": of_columns(folder / "wide.parquet", ("c2", "c9", "c16"))}))
    write(folder / "warm", wide=40_000, sales=(2, 60_000), small=8, megabytes=8, many=10)


def write(folder: Path, *, wide: int, sales: tuple[int, int], small: int, megabytes: int, many: int) -> None:
    random = numpy.random.default_rng(SEED)
    for name in ("sales", "small", "many"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parquet(folder / "wide.parquet", {f"c{n}": random.random(wide) for n in range(20)}, groups=4)
    files, rows = sales
    for n in range(files):
        parquet(folder / f"sales/part-{n:05}.parquet", sold(random, n * rows, rows))
    items = {
        "item": numpy.arange(ITEMS, dtype=numpy.int32),
        "category": random.integers(0, 40, ITEMS, dtype=numpy.int32),
        "price": random.random(ITEMS),
    }
    parquet(folder / "items.parquet", items)
    for n in range(small):
        columns = {"id": numpy.arange(n * 3_500, (n + 1) * 3_500), **{name: random.random(3_500) for name in "xyz"}}
        parquet(folder / f"small/part-{n:05}.parquet", columns)
    with (folder / "bytes.bin").open("wb") as file:
        for _ in range(megabytes):
            file.write(random.bytes(1 << 20))
    for n in range(many):
        (folder / f"many/{n:04}").write_bytes(random.bytes(1 << 10))


def of_columns(path: Path, names: tuple[str, ...]) -> int:
    about = pyarrow.parquet.read_metadata(path)
    groups = [about.row_group(n) for n in range(about.num_row_groups)]
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    return about.serialized_size + sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in names)


ITEMS = 10_000


def sold(random: numpy.random.Generator, first: int, rows: int) -> dict[str, object]:
    def few(values: int) -> numpy.ndarray:
        return random.integers(0, values, rows, dtype=numpy.int32)

    amount = pyarrow.array(random.random(rows), mask=random.random(rows) < 0.25)
    return {
        "key": first + numpy.arange(rows),
        "store": few(8),
        "channel": few(4),
        "quantity": few(8),
        "item": few(ITEMS),
        "amount": amount,
        "promotion": few(4),
        "tax": random.random(rows),
        "discount": random.random(rows),
        "postcode": few(100_000),
        "customer": random.integers(0, 1 << 62, rows),
    }


def parquet(path: Path, columns: dict[str, object], *, groups: int = 1) -> None:
    """As parquet-java writes it: snappy, dictionaries, pages of so many bytes, and a page index."""
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(
        table,
        path,
        compression="snappy",
        row_group_size=len(table) // groups,
        use_dictionary=[name for name in table.column_names if table.schema.field(name).type == pyarrow.int32()],
        data_page_size=128 << 10,
        write_page_index=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
