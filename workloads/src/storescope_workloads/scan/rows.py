# SPDX-License-Identifier: Apache-2.0
"""The rows of a batch as files: their columns, how many they are, and what stands for none."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..places import Folder, filesystem
from .kernel import Kernel

#: Footers that are read at once.
THREADS = 16


def row_schema(kernel: Kernel) -> pa.Schema:
    """The columns of the rows: the file's number in the plan, the data set, and what the kernel gives."""
    return pa.schema([("file", pa.int32()), ("dataset", pa.string()), *kernel.schema()])


def dataset_folder(dataset: str) -> str:
    """The name of a data set's folder."""
    return f"dataset={quote(dataset, safe=' +')}"


def count_rows(folder: Folder) -> int:
    """How many rows the parquet files below a folder have, by their footers."""
    fs, path = filesystem(folder.url, folder.settings)

    def count(name: str) -> int:
        with fs.open(f"{path}/{name}", "rb") as file:
            return int(pq.read_metadata(file).num_rows)

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(count, _parts(folder)))


def fill_empty(folder: Folder, datasets: Iterable[str], kernel: Kernel) -> None:
    """Writes a file without rows for each data set where the folder has no file of rows, so that readers find columns."""
    if _parts(folder):
        return
    schema = row_schema(kernel)
    schema = schema.remove(schema.get_field_index("dataset"))
    for dataset in sorted(set(datasets)):
        with folder.open(f"{dataset_folder(dataset)}/part-00000.parquet") as file:
            pq.write_table(schema.empty_table(), file, compression="zstd", write_page_checksum=True)


def _parts(folder: Folder) -> list[str]:
    return [name for name in folder.files() if name.endswith(".parquet")]
