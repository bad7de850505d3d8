# SPDX-License-Identifier: Apache-2.0
"""Files of events that are open: ROOT's ``TTree`` and RNTuple, and parquet, with one face."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import storescope.uproot
import uproot  # type: ignore[import-untyped]

from .source import AsFile, DiskSource, Range, StoreSource, joined

#: The format of a tree by the name of its class in ROOT.
FORMATS = {"TTree": "ttree", "ROOT::RNTuple": "rntuple"}
#: How many names an error tells.
TOLD = 8
#: Bytes of a cluster of a ``TTree`` whose branches are not aligned, from which on it is read in parts.
LARGE = 32 << 20


class FormatError(ValueError):
    """What is wrong with a file's contents. The text names no file."""


class MissingColumns(FormatError):
    """The file has not all columns that are read."""


class Opened(ABC):
    """A file of events.

    Attributes:
        format: ``ttree``, ``rntuple`` or ``parquet``.
        source: Its bytes.
        opening: The byte ranges that opening it took.
    """

    format = ""

    def __init__(self, source: StoreSource | DiskSource, columns: Sequence[str]) -> None:
        self.source = source
        self.columns = list(columns)
        self.opening: list[Range] = []
        self._clusters: list[storescope.uproot.Cluster] | None = None

    def close(self) -> None:
        """Ends it. What is on its way is given up."""
        self.source.__exit__(None, None, None)

    @abstractmethod
    def names(self) -> list[str]:
        """The columns that it has."""

    @abstractmethod
    def types(self) -> dict[str, str]:
        """The types of the columns that are read, of one event each, as awkward writes them. No data is read for it."""

    @abstractmethod
    def count(self) -> int:
        """How many entries the file says that it has."""

    @abstractmethod
    def read(self, start: int, stop: int) -> ak.Array:
        """The columns of entries ``start`` up to ``stop``, as records. Waits for what is not there."""

    @abstractmethod
    def find_clusters(self) -> list[storescope.uproot.Cluster]:
        """Entries that are stored together, with the byte ranges of the columns that are read."""

    @property
    def clusters(self) -> list[storescope.uproot.Cluster]:
        """:meth:`find_clusters`, once."""
        if self._clusters is None:
            self._clusters = self.find_clusters()
        return self._clusters

    def ranges(self, start: int, stop: int) -> list[Range]:
        """The byte ranges that reading these entries asks for, sorted by place."""
        first = bisect_right(self.clusters, start, key=lambda cluster: cluster.entry_stop)
        last = bisect_left(self.clusters, stop, key=lambda cluster: cluster.entry_start)
        return sorted({wanted for cluster in self.clusters[first:last] for wanted in cluster.ranges})

    def hint(self, start: int, stop: int) -> None:
        """Has the bytes of these entries fetched. Does not wait."""
        self.source.hint(self.ranges(start, stop))


def open_source(source: StoreSource | DiskSource, tree: str, columns: Sequence[str]) -> Opened:
    """Opens a file by what it holds.

    Args:
        tree: The name of the tree in a ROOT file.
        columns: What is read of it.

    Raises:
        FormatError: It is neither ROOT nor parquet, is truncated, has no such tree or columns, or its columns do not
            reach as far as its entries.
    """
    size = int(source.num_bytes)
    head = bytes(source.chunk(0, min(size, 403)).raw_data) if size else b""
    if head[:4] == b"root":
        opened = _open_root(source, head, tree, columns)
    elif head[:4] == b"PAR1":
        opened = ParquetFile(source, columns)
    else:
        raise FormatError("is empty" if not size else f"is neither ROOT nor parquet: it begins with {head[:4]!r}")
    missing = sorted(set(columns) - set(opened.names()))
    if missing:
        raise MissingColumns(_without(missing, opened.names(), tree if opened.format != "parquet" else ""))
    reached = opened.clusters[-1].entry_stop if opened.clusters else 0
    if reached != opened.count():
        raise FormatError(f"has {opened.count():,} entries by its metadata, but columns of {reached:,}")
    opened.opening, source.asked = joined(source.asked or []), None
    return opened


def _without(missing: list[str], names: list[str], tree: str) -> str:
    """What is told of a file that lacks columns: what it has, those first that are alike."""
    alike = {name.lower() for name in missing}
    prefixes = {name.partition("_")[0] for name in alike}

    def likeness(name: str) -> tuple[bool, bool, str]:
        return name.lower() not in alike, name.partition("_")[0].lower() not in prefixes, name

    return (
        f"has no {', '.join(missing[:TOLD])}{' …' if len(missing) > TOLD else ''}{f' in {tree}' if tree else ''}: "
        f"it has {_some(sorted(names, key=likeness))}"
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - TOLD
    return (", ".join(names[:TOLD]) + (f" and {more} more" if more > 0 else "")) if names else "none"


class _Given(uproot.source.chunk.Source):  # type: ignore[misc]
    """Stands for a source that is there: uproot takes a class, and calls it."""

    def __new__(cls, file_path: str, *, given: Any, **options: Any) -> Any:
        return given


def _open_root(source: StoreSource | DiskSource, head: bytes, tree: str, columns: Sequence[str]) -> Opened:
    if len(head) < 20:
        raise FormatError(f"is truncated: it has {len(head)} bytes, fewer than the header of a ROOT file")
    version = struct.unpack_from(">i", head, 4)[0]
    end = struct.unpack_from(">q" if version >= 1_000_000 else ">i", head, 12)[0]
    if end > source.num_bytes:
        raise FormatError(f"is truncated: it was written with {end:,} bytes, and has {source.num_bytes:,}")
    # A name alone would be split at its colons.
    file = uproot.open({source.file_path: None}, handler=_Given, given=source)
    kinds = {name.partition(";")[0]: kind for name, kind in file.classnames(recursive=True).items()}
    if tree not in kinds:
        trees = sorted(name for name, kind in kinds.items() if kind in FORMATS)
        raise FormatError(f"has no tree {tree!r}: its trees are {_some(trees)} (--tree)")
    if kinds[tree] not in FORMATS:
        raise FormatError(f"{tree} is a {kinds[tree]}, not a tree")
    kind = TreeFile if FORMATS[kinds[tree]] == "ttree" else NtupleFile
    return kind(source, columns, file[tree])


class TreeFile(Opened):
    """A ``TTree``."""

    format = "ttree"

    def __init__(self, source: StoreSource | DiskSource, columns: Sequence[str], tree: Any) -> None:
        super().__init__(source, columns)
        self._tree = tree
        wanted = set(columns)
        self._is_wanted = lambda name: name in wanted

    def names(self) -> list[str]:
        return list(self._tree.keys(recursive=True, full_paths=False))

    def types(self) -> dict[str, str]:
        forms = {name: self._tree[name].interpretation.awkward_form(self._tree.file) for name in self.columns}
        return {name: str(form.type) for name, form in forms.items()}

    def count(self) -> int:
        return int(self._tree.num_entries)

    def find_clusters(self) -> list[storescope.uproot.Cluster]:
        # ROOT lets branches be filled one by one.
        for name in self.columns:
            if self._tree[name].num_entries != self.count():
                raise FormatError(
                    f"has {self._tree[name].num_entries:,} entries in the branch {name}, and {self.count():,} in "
                    f"{self._tree.name}"
                )
        found = storescope.uproot.clusters(self._tree, self._is_wanted)
        return [part for cluster in found for part in self._parts(cluster)]

    def _parts(self, cluster: storescope.uproot.Cluster) -> list[storescope.uproot.Cluster]:
        """A large cluster of branches that are not aligned, in parts of about :data:`LARGE` bytes. Each ends where a
        basket of the branch with the most of them does. Baskets of others that lie in two parts are read for both."""
        if _bytes(cluster.ranges) <= LARGE or len(cluster.ranges) <= len(self.columns):
            return [cluster]
        inside = [
            [basket for basket in baskets if cluster.entry_start <= basket.entry_start < cluster.entry_stop]
            for baskets in self._baskets()
        ]
        borders, start, held = [cluster.entry_start], 0, 0
        begins = sorted((basket.entry_start, _bytes(basket.ranges)) for baskets in inside for basket in baskets)
        for basket in max(inside, key=len):
            while start < len(begins) and begins[start][0] < basket.entry_stop:
                held += begins[start][1]
                start += 1
            if held >= LARGE or basket.entry_stop == cluster.entry_stop:
                borders.append(basket.entry_stop)
                held = 0
        return [
            storescope.uproot.Cluster(first, last, sorted(_overlapping(inside, first, last)))
            for first, last in pairwise(borders)
        ]

    def _baskets(self) -> list[list[storescope.uproot.Cluster]]:
        """The baskets of each branch, as clusters of that branch alone."""
        return [storescope.uproot.clusters(self._tree, lambda name, own=own: name == own) for own in self.columns]

    def read(self, start: int, stop: int) -> ak.Array:
        return self._tree.arrays(
            filter_name=self._is_wanted, entry_start=start, entry_stop=stop, array_cache=None, library="ak"
        )


def _bytes(ranges: Sequence[Range]) -> int:
    return sum(stop - start for start, stop in ranges)


def _overlapping(branches: list[list[storescope.uproot.Cluster]], first: int, last: int) -> set[Range]:
    return {
        wanted
        for baskets in branches
        for basket in baskets
        if basket.entry_start < last and basket.entry_stop > first
        for wanted in basket.ranges
    }


class NtupleFile(Opened):
    """An RNTuple."""

    format = "rntuple"

    def __init__(self, source: StoreSource | DiskSource, columns: Sequence[str], tree: Any) -> None:
        super().__init__(source, columns)
        self._tree = tree
        # uproot counts them once, by the clusters: before any are left out.
        self._entries = int(tree.num_entries)

    def names(self) -> list[str]:
        return list(self._tree.keys(recursive=False))

    def types(self) -> dict[str, str]:
        form, _ = self._tree.to_akform(filter_name=self.columns)
        return {name: str(form.content(name).type) for name in self.columns}

    def count(self) -> int:
        return self._entries

    def find_clusters(self) -> list[storescope.uproot.Cluster]:
        return storescope.uproot.clusters(self._tree, self.columns)

    def read(self, start: int, stop: int) -> ak.Array:
        with self._up_to(stop):
            return self._tree.arrays(
                filter_name=self.columns, entry_start=start, entry_stop=stop, array_cache=None
            )

    @contextmanager
    def _up_to(self, stop: int) -> Iterator[None]:
        """Without the clusters that begin at ``stop`` or later: uproot would read the first of them, too. An uproot
        that holds them elsewhere reads that one."""
        every: list[Any] = self._tree.cluster_summaries
        if getattr(self._tree, "_cluster_summaries", None) is not every:
            yield
            return
        try:
            self._tree._cluster_summaries = [cluster for cluster in every if cluster.num_first_entry < stop]
            yield
        finally:
            self._tree._cluster_summaries = every


class ParquetFile(Opened):
    """Parquet: row groups are its clusters."""

    format = "parquet"

    def __init__(self, source: StoreSource | DiskSource, columns: Sequence[str]) -> None:
        super().__init__(source, columns)
        self._metadata = self._footer()
        # Pages without a checksum are read as they are.
        self._file = pq.ParquetFile(
            AsFile(source), metadata=self._metadata, pre_buffer=False, page_checksum_verification=True
        )
        self._schema = self._file.schema_arrow
        groups = range(self._metadata.num_row_groups)
        self._ends = np.cumsum([self._metadata.row_group(number).num_rows for number in groups])

    def _footer(self) -> Any:
        size = int(self.source.num_bytes)
        tail = bytes(self.source.chunk(max(0, size - 8), size).raw_data)
        length = struct.unpack("<I", tail[:4])[0] if len(tail) == 8 else 0
        if tail[4:] != b"PAR1" or length + 12 > size:
            raise FormatError("is truncated, or no parquet: it does not end as parquet does")
        footer = bytes(self.source.chunk(size - 8 - length, size).raw_data)
        return pq.read_metadata(pa.BufferReader(footer))

    def names(self) -> list[str]:
        return list(self._schema.names)

    def types(self) -> dict[str, str]:
        empty = self._schema.empty_table()
        return {name: str(_awkward(empty.column(name)).type.content) for name in self.columns}

    def count(self) -> int:
        return int(self._metadata.num_rows)

    def find_clusters(self) -> list[storescope.uproot.Cluster]:
        found, entry = [], 0
        for number in range(self._metadata.num_row_groups):
            group = self._metadata.row_group(number)
            ranges = [
                _column_chunk(column)
                for column in (group.column(place) for place in range(group.num_columns))
                if self._is_of(column.path_in_schema)
            ]
            if group.num_rows:
                found.append(storescope.uproot.Cluster(entry, entry + group.num_rows, sorted(ranges)))
            entry += group.num_rows
        return found

    def _is_of(self, path: str) -> bool:
        """Whether a leaf is of a column that is read. Names of columns may have dots, as those between a path's parts."""
        return any(path == name or path.startswith(f"{name}.") for name in self.columns)

    def read(self, start: int, stop: int) -> ak.Array:
        first = int(np.searchsorted(self._ends, start, "right"))
        last = int(np.searchsorted(self._ends, stop, "left")) + 1
        # Threads of pyarrow's are in no profile.
        table = self._file.read_row_groups(list(range(first, last)), columns=self.columns, use_threads=False)
        table = table.slice(start - int(self._ends[first - 1] if first else 0), stop - start)
        return ak.Array({name: _awkward(table.column(name)) for name in self.columns})


def _column_chunk(column: Any) -> Range:
    start = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    return start, start + column.total_compressed_size


def _awkward(column: Any) -> ak.Array:
    """A column as awkward has it; numbers and lists of them without options, unless there are nulls."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    is_list = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
    values = array.values if is_list else array
    if array.null_count or values.null_count or not _is_number(values.type):
        return ak.from_arrow(array)
    content = ak.contents.NumpyArray(values.to_numpy(zero_copy_only=False))
    if not is_list:
        return ak.Array(content)
    offsets = ak.index.Index(array.offsets.to_numpy(zero_copy_only=False))
    return ak.Array(ak.contents.ListOffsetArray(offsets, content))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
