# SPDX-License-Identifier: Apache-2.0
"""The parquet files that ``trainer ingest`` wrote: which they are, what their footers tell, and their events. Each is read in the
version that was listed first."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..errors import UsageError
from ..places import Folder, SourceFile, find
from ..scan.formats import FormatError
from ..scan.read import blamed
from ..scan.source import AsFile, DiskSource, Range, StoreSource, joined, source_of
from ..settings import StoreSettings
from .choice import MOST_ENTRIES, event_numbers
from .events import Events
from .features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES

#: The folder of the events in what ``trainer ingest`` writes, and the file that it writes last.
EVENTS, COMPLETE = "events", "ingest.json"
#: Bytes of a file's end that are fetched at once for its footer.
TAIL = 32 << 10
#: Bytes of a row group above which it is read in parts, of so many bytes each.
LARGE, PART = 128 << 20, 8 << 20

_ADVICE = "is the folder the output of trainer ingest?"


@dataclass(frozen=True)
class Input:
    """A file of events of one class: an index of :data:`.features.CLASSES`."""

    label: int
    file: SourceFile


@dataclass(frozen=True)
class Group:
    """A row group.

    Attributes:
        events: How many there are in it.
        values: Values in the lists of particles.
        ranges: The bytes of the columns that are read.
    """

    events: int
    values: int
    ranges: tuple[Range, ...]

    @property
    def needed(self) -> int:
        """Bytes of the columns that are read."""
        return sum(stop - start for start, stop in self.ranges)


def find_inputs(url: str, settings: StoreSettings) -> list[Input]:
    """All files of events below ``url/events``, sorted by name.

    Raises:
        UsageError: The ingest did not finish, there are no files, or none of a class.
    """
    folder = Folder(url, settings)
    if not folder.exists(COMPLETE):
        raise UsageError(
            f"{folder.url}: holds no complete output of trainer ingest ({COMPLETE} is missing): name its --out, or run it again with "
            "--resume"
        )
    inputs = [_input(file) for file in find(f"{folder.url}/{EVENTS}/**/*.parquet", settings)]
    for label, name in enumerate(CLASSES):
        if not any(one.label == label for one in inputs):
            raise UsageError(
                f"{folder.url}: holds no events of the class {name} (no {EVENTS}/…/dataset={name}/*.parquet): ingest events of all "
                f"of {', '.join(CLASSES)}"
            )
    return inputs


def told_counts(url: str, settings: StoreSettings) -> dict[str, int]:
    """The events of each class that the ingest says it has written; empty where it does not say.

    Raises:
        UsageError: What it wrote last is no JSON.
    """
    folder = Folder(url, settings)
    try:
        classes = json.loads(folder.read(COMPLETE)).get("classes", [])
        return {one["name"]: int(one["events"]["out"]) for one in classes}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder.path(COMPLETE)}: is not what trainer ingest writes: {error}; ingest again") from error


def _input(file: SourceFile) -> Input:
    named = re.search(r"/dataset=([^/]*)/[^/]*$", file.url)
    if named is None or named[1] not in CLASSES:
        what = f"of the data set {named[1]!r}" if named else "in no folder dataset=CLASS"
        raise UsageError(f"{file.url}: is {what}; the classes are {', '.join(CLASSES)}: remove it, or ingest without it")
    return Input(CLASSES.index(named[1]), file)


class EventFile:
    """A file of events that is open; for a ``with``.

    Args:
        particles: Whether particles are read.

    Attributes:
        groups: Its row groups.
        source: Its bytes.

    Raises:
        BadFile: It was replaced, is no parquet or has other columns.
    """

    def __init__(self, file: SourceFile, particles: bool, settings: StoreSettings, keys_only: bool = False) -> None:
        self.url = file.url
        self.columns = ["file", "entry"] if keys_only else ["file", "entry", "hlf", *(["particles"] if particles else [])]
        with blamed(self.url):
            self.source = source_of(file.url, file.size, file.version, settings)
            try:
                self._footer = pq.read_metadata(pa.BufferReader(_footer(self.source)))
                _check_columns(self._footer.schema.to_arrow_schema())
                self.groups = [self._group(number) for number in range(self._footer.num_row_groups)]
            except BaseException:
                self.source.__exit__(None, None, None)
                raise

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.__exit__(None, None, None)

    def hint(self, number: int) -> None:
        """Has a row group fetched, unless it is large or there is none of this number. Does not wait."""
        if number < len(self.groups) and self.groups[number].needed <= LARGE:
            self.source.hint(self.groups[number].ranges)

    def batches(self, number: int, events: int) -> Iterator[pa.RecordBatch]:
        """A row group in batches of at most so many events.

        Raises:
            BadFile: It is corrupt, or was replaced.
        """
        options = {"buffer_size": PART} if self.groups[number].needed > LARGE else {}
        with blamed(self.url):
            file = pq.ParquetFile(
                AsFile(self.source), metadata=self._footer, pre_buffer=False, page_checksum_verification=True, **options
            )
            # Threads of pyarrow's are in no profile.
            batches = file.iter_batches(events, [number], self.columns, use_threads=False)
            count = 0
            for batch in batches:
                count += len(batch)
                yield batch
            if count != self.groups[number].events:
                raise FormatError(f"has {count:,} events in a row group where its metadata has {self.groups[number].events:,}")

    def _group(self, number: int) -> Group:
        group = self._footer.row_group(number)
        values, ranges = 0, []
        for column in (group.column(place) for place in range(group.num_columns)):
            name = column.path_in_schema.partition(".")[0]
            if name == "particles":
                values = column.num_values
            if name in self.columns:
                ranges.append(_column_chunk(column, int(self.source.num_bytes)))
        return Group(group.num_rows, values, tuple(joined(ranges)))


def _footer(source: StoreSource | DiskSource) -> bytes:
    size = int(source.num_bytes)
    source.hint([(max(0, size - TAIL), size)])
    tail = bytes(source.chunk(max(0, size - 8), size).raw_data)
    length = struct.unpack("<I", tail[:4])[0] if len(tail) == 8 else 0
    if tail[4:] != b"PAR1" or length + 12 > size:
        raise FormatError("is truncated, or no parquet: it does not end as parquet does")
    return bytes(source.chunk(size - 8 - length, size).raw_data)


def _column_chunk(column: Any, size: int) -> Range:
    start = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    if not 0 <= start <= start + column.total_compressed_size <= size:
        raise FormatError("has a corrupt footer: columns lie beyond its end")
    return start, start + column.total_compressed_size


def _check_columns(found: Any) -> None:
    """Checks names and types. Columns beside those that are needed are allowed."""
    lists = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list

    def is_list_of_floats(kind: Any) -> bool:
        return any(check(kind) for check in lists) and pa.types.is_float32(kind.value_type)

    expected = {
        "file": ("int32", pa.types.is_int32),
        "entry": ("int64", pa.types.is_int64),
        "hlf": (f"a list of {len(EVENT_FEATURES)} float32", is_list_of_floats),
        "particles": ("a list of float32", is_list_of_floats),
    }
    for name, (what, check) in expected.items():
        at = found.get_field_index(name)
        if at < 0:
            raise FormatError(f"has no column {name}; it has {', '.join(found.names) or 'none'}: {_ADVICE}")
        if not check(found.field(at).type):
            raise FormatError(f"has the column {name} as {found.field(at).type}, not as {what}: {_ADVICE}")


def keys_of(batch: pa.RecordBatch, url: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The numbers of files and of entries.

    Raises:
        BadFile: Some are null, negative, or too large.
    """
    with blamed(url):
        file, entry = (_numbers(batch.column(name), name) for name in ("file", "entry"))
        if len(file) and (file.min() < 0 or entry.min() < 0 or entry.max() >= MOST_ENTRIES):
            raise FormatError(f"has numbers of files or entries that are none: they are 0 … 2^31 - 1 and 0 … {MOST_ENTRIES - 1:,}")
        return file, entry


def events_of(batch: pa.RecordBatch, label: int, url: str) -> Events:
    """The events of a batch that :meth:`EventFile.batches` gave, with particles if it has those.

    Raises:
        BadFile: Values are null or not finite, or lists have other lengths than they should.
    """
    file, entry = keys_of(batch, url)
    with blamed(url):
        hlf = _lists(batch.column("hlf"), "hlf")
        if (np.diff(hlf[0]) != len(EVENT_FEATURES)).any():
            row = int(np.flatnonzero(np.diff(hlf[0]) != len(EVENT_FEATURES))[0])
            raise FormatError(f"has {np.diff(hlf[0])[row]} event features, not {len(EVENT_FEATURES)}, in {_where(file, entry, row)}")
        offsets = particles = None
        if "particles" in batch.schema.names:
            ends, values = _lists(batch.column("particles"), "particles")
            counts = np.diff(ends)
            wrong = np.flatnonzero((counts % len(PARTICLE_FEATURES) != 0) | (counts == 0))
            if len(wrong):
                raise FormatError(
                    f"has {counts[wrong[0]]} values of particles in {_where(file, entry, int(wrong[0]))}: they are "
                    f"{len(PARTICLE_FEATURES)} of each particle, and one particle at least, the lepton"
                )
            offsets, particles = ends // len(PARTICLE_FEATURES), values.reshape(-1, len(PARTICLE_FEATURES))
        labels = np.full(len(file), label, np.int8)
        events = Events(event_numbers(file, entry), labels, hlf[1].reshape(-1, len(EVENT_FEATURES)), offsets, particles)
        _refuse_not_finite(events, file, entry)
        return events


def _refuse_not_finite(events: Events, file: NDArray[Any], entry: NDArray[Any]) -> None:
    wrong: NDArray[np.bool_] = np.logical_not(np.isfinite(events.hlf).all(axis=1))
    if events.particles is not None and events.offsets is not None and not np.isfinite(events.particles).all():
        rows = np.flatnonzero(~np.isfinite(events.particles).all(axis=1))
        wrong[np.searchsorted(events.offsets, rows, "right") - 1] = True
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        of_event = np.flatnonzero(~np.isfinite(events.hlf[row]))
        name = f"the event feature {EVENT_FEATURES[of_event[0]]}" if len(of_event) else "particles"
        raise FormatError(
            f"has values that are not finite (NaN or infinite) in {int(wrong.sum()):,} of {len(wrong):,} events, such as {name} in "
            f"{_where(file, entry, row)}: ingest it again, or leave that input out"
        )


def _where(file: NDArray[Any], entry: NDArray[Any], row: int) -> str:
    return f"entry {entry[row]} of input file {file[row]} (column file)"


def _lists(column: Any, name: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where each list of a column begins, from 0 on, and the end of the last; and all values."""
    if column.null_count:
        raise FormatError(f"has events without {name} (null)")
    if pa.types.is_fixed_size_list(column.type):
        ends = np.arange(len(column) + 1, dtype=np.int64) * column.type.list_size
        return ends, _numbers(column.flatten(), name)
    ends = column.offsets.to_numpy().astype(np.int64)
    return ends - ends[0], _numbers(column.values.slice(ends[0], ends[-1] - ends[0]), name)


def _numbers(array: Any, name: str) -> NDArray[Any]:
    if array.null_count:
        raise FormatError(f"has values in {name} that are null")
    return array.to_numpy()  # type: ignore[no-any-return]


def total(groups: Sequence[Group]) -> tuple[int, int]:
    """The events and the values of particles in some row groups."""
    return sum(group.events for group in groups), sum(group.values for group in groups)
