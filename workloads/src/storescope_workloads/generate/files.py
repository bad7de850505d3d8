# SPDX-License-Identifier: Apache-2.0
"""Writes columns of events as a file of ROOT or parquet: cluster by cluster, whole or not there. Knows no physics."""

from __future__ import annotations

import errno
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import uproot  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..places import Folder
from .branches import Branch
from .columns import Columns, offsets

#: Formats, and how their files' names end.
ENDINGS = {"ttree": "root", "rntuple": "root", "parquet": "parquet"}
COMPRESSIONS = ("zlib", "zstd", "lz4", "none")

_IN_MEMORY = 64 << 20
_COPY = 8 << 20
_ROOT_COMPRESSION: dict[str, Callable[[], Any]] = {
    "zlib": lambda: uproot.ZLIB(1),
    "zstd": lambda: uproot.ZSTD(3),
    "lz4": lambda: uproot.LZ4(1),
    "none": lambda: None,
}
_PARQUET_COMPRESSION = {"zlib": ("gzip", 1), "zstd": ("zstd", 3), "lz4": ("lz4", None), "none": ("none", None)}


@dataclass(frozen=True)
class Layout:
    """How a file holds its events.

    Attributes:
        format: ``ttree``, ``rntuple`` or ``parquet``.
        branches: Its branches, fields or columns, in this order.
        compression: One of :data:`COMPRESSIONS`; ``zlib`` is level 1.
        tree: The name of the TTree or RNTuple.
    """

    format: str
    branches: tuple[Branch, ...]
    compression: str = "zlib"
    tree: str = "Events"

    @functools.cached_property
    def counters(self) -> dict[str, str]:
        """By the name of a collection, that of the branch that counts its objects."""
        return {branch.counts: branch.name for branch in self.branches if branch.counts}

    @functools.cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """By the names of a collection and of a field in it, that of the branch."""
        return {(branch.collection, branch.field): branch.name for branch in self.branches if branch.collection}


def write(folder: Folder, name: str, layout: Layout, clusters: Iterable[Columns], attempt: str = "") -> int:
    """Writes a file, replacing one of this name. It is there when all of it is written, and not before.

    Each cluster becomes one basket of each branch, one page of each column or one row group. One cluster is held in
    memory at a time. ROOT's formats need a file that can be changed after it is written: it is made in memory up to
    64 MiB, beyond that in the folder for temporary files (``TMPDIR``), and copied to its place when it is complete.

    Args:
        attempt: Different for attempts at one file that may run at once.

    Returns:
        The file's size in bytes.
    """
    if layout.format == "parquet":
        with folder.open(name, attempt) as sink:
            _parquet(sink, layout, clusters)
            return sink.tell()
    with _Held(_IN_MEMORY) as held:
        try:
            _root(held, layout, clusters)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                folder_of_it = f"{tempfile.gettempdir()}, the folder for temporary files; TMPDIR names another"
                error.strerror = f"{error.strerror}: {folder_of_it}"
            raise
        size = held.seek(0, 2)
        held.seek(0)
        with folder.open(name, attempt) as sink:
            shutil.copyfileobj(held, sink, _COPY)
    return size


class _Held(tempfile.SpooledTemporaryFile[bytes]):
    """Stays open when uproot is done with it. The ``with`` that it was opened in closes it."""

    def close(self) -> None:
        self.flush()


def _root(sink: Any, layout: Layout, clusters: Iterable[Columns]) -> None:
    with uproot.recreate(sink, compression=_ROOT_COMPRESSION[layout.compression]()) as file:
        if layout.format == "ttree":
            tree = file.mktree(
                layout.tree, _tree_types(layout), counter_name=layout.counters.__getitem__,
                field_name=lambda collection, field: layout.names.get((collection, field), collection),
            )
            arrays = _tree_arrays
        else:
            tree = file.mkrntuple(layout.tree, _ntuple_form(layout))
            arrays = _ntuple_arrays
        for columns in clusters:
            tree.extend(arrays(layout, columns))


def _collections(layout: Layout) -> dict[str, list[Branch]]:
    return {
        counter.counts: [branch for branch in layout.branches if branch.collection == counter.counts]
        for counter in layout.branches
        if counter.counts
    }


def _tree_types(layout: Layout) -> dict[str, Any]:
    """Scalars by their names and collections as lists of records, whose counters uproot makes."""
    types: dict[str, Any] = {}
    collections = _collections(layout)
    for branch in layout.branches:
        if branch.counts:
            fields = ", ".join(f'"{own.field}": {own.dtype}' for own in collections[branch.counts])
            types[branch.counts] = f"var * {{{fields}}}"
        elif not branch.collection:
            types[branch.name] = np.dtype(branch.dtype)
    return types


def _tree_arrays(layout: Layout, columns: Columns) -> dict[str, Any]:
    collections = _collections(layout)
    arrays: dict[str, Any] = {}
    for branch in layout.branches:
        if branch.counts:
            own = collections[branch.counts]
            record = ak.contents.RecordArray(
                [ak.contents.NumpyArray(columns[field.name]) for field in own],
                [field.field for field in own],
            )
            arrays[branch.counts] = _lists(columns[branch.name], record)
        elif not branch.collection:
            arrays[branch.name] = columns[branch.name]
    return arrays


def _lists(counts: NDArray[Any], content: Any) -> ak.Array:
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets(counts)), content))


def _ntuple_form(layout: Layout) -> Any:
    fields = [
        ak.forms.ListOffsetForm("i64", ak.forms.NumpyForm(branch.dtype))
        if branch.collection
        else ak.forms.NumpyForm(branch.dtype)
        for branch in layout.branches
    ]
    return ak.forms.RecordForm(fields, [branch.name for branch in layout.branches])


def _ntuple_arrays(layout: Layout, columns: Columns) -> ak.Array:
    contents = []
    for branch in layout.branches:
        content = ak.contents.NumpyArray(columns[branch.name])
        if branch.collection:
            starts = ak.index.Index64(offsets(columns[layout.counters[branch.collection]]))
            content = ak.contents.ListOffsetArray(starts, content)
        contents.append(content)
    return ak.Array(ak.contents.RecordArray(contents, [branch.name for branch in layout.branches]))


def _parquet(sink: IO[bytes], layout: Layout, clusters: Iterable[Columns]) -> None:
    schema = pa.schema([pa.field(branch.name, _arrow_type(branch), nullable=False) for branch in layout.branches])
    codec, level = _PARQUET_COMPRESSION[layout.compression]
    with pq.ParquetWriter(
        sink, schema, compression=codec, compression_level=level, write_page_checksum=True
    ) as writer:
        for columns in clusters:
            table = pa.table([_arrow_array(layout, branch, columns) for branch in layout.branches], schema=schema)
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def _arrow_type(branch: Branch) -> Any:
    value = pa.from_numpy_dtype(np.dtype(branch.dtype))
    return pa.list_(pa.field("element", value, nullable=False)) if branch.collection else value


def _arrow_array(layout: Layout, branch: Branch, columns: Columns) -> Any:
    values = pa.array(columns[branch.name])
    if not branch.collection:
        return values
    starts = pa.array(offsets(columns[layout.counters[branch.collection]]).astype(np.int32))
    return pa.ListArray.from_arrays(starts, values, type=_arrow_type(branch))
