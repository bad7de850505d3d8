# SPDX-License-Identifier: Apache-2.0
"""Rows of a shard as numpy arrays: the needed columns of the needed row groups alone, and each of them checked.

A parquet shard takes one vectored read, since its footer was read when the folder was opened. A TFRecord shard is read
whole."""

from __future__ import annotations

import io
import queue
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import storescope
from numpy.typing import NDArray
from storescope import tfrecord

from ..errors import BadFile
from ..places import SourceFile
from ..scan.formats import FormatError
from ..scan.measured import Measured
from ..scan.read import blamed
from ..scan.source import DiskSource, Range, StoreSource, joined, source_of
from ..settings import StoreSettings
from .example import BadExample, decode
from .features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES
from .shard_cache import Cache
from .shards import Shard, row_schema

#: Bytes of a file's end that are read for its footer at first. A longer footer takes another request.
TAIL = 8 << 10
_PT = PARTICLE_FEATURES.index("pT")


@dataclass(frozen=True)
class Columns:
    """What is read of an event, beside its number and its class.

    Attributes:
        event_features: Whether its features are.
        particles: How many of its particles at most: the last, which is the lepton, and of the others those of the greatest pT.
            0: none.
    """

    event_features: bool
    particles: int

    def names(self) -> list[str]:
        """The columns of a shard."""
        wanted = {"hlf": self.event_features, "particles": self.particles > 0}
        return ["event", "label", *(name for name, is_wanted in wanted.items() if is_wanted)]


@dataclass(frozen=True)
class ShardFile:
    """A shard in one format, as it was listed.

    Attributes:
        shard: What the manifest tells of it.
        file: Its file, pinned to the version that was listed.
        max_particles: Particles that an event has at most; 0: none are stored.
        footer: The metadata of a parquet shard; ``None`` of a TFRecord.
    """

    shard: Shard
    file: SourceFile
    max_particles: int
    footer: Any = None


@dataclass(frozen=True)
class Block:
    """Rows of a shard, in the order of its file. What was not asked for is ``None``.

    Attributes:
        event: Their numbers, int64.
        label: Their classes, int8.
        hlf: Event features, float32, n × 14.
        offsets: Where the particles of each event begin in :attr:`particles`, and the end of the last: int64, n + 1.
        particles: The particles of all of them, float32, m × 19.
    """

    event: NDArray[np.int64]
    label: NDArray[np.int8]
    hlf: NDArray[np.float32] | None
    offsets: NDArray[np.int64] | None
    particles: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.event)


class Meter:
    """Adds up what reading costs, in all threads of a loader.

    Attributes:
        profile: Records the requests to stores.
        assemble_s: Seconds in which batches were put together.
    """

    def __init__(self) -> None:
        self.profile = storescope.profile("data")
        self._lock = threading.Lock()
        self._sum = Measured()
        self._wait_s = 0.0
        self.assemble_s = 0.0

    def add(self, cost: Measured) -> None:
        """Adds what something cost. Its snapshot is not used."""
        with self._lock:
            self._sum += cost

    def step(self, wait_s: float, assemble_s: float) -> None:
        """Adds the seconds in which a batch was waited for, and those in which it was put together."""
        with self._lock:
            self._wait_s += wait_s
            self.assemble_s += assemble_s

    @property
    def measured(self) -> Measured:
        """All of it up to now."""
        with self._lock:
            own = self._sum + Measured(wait_s=self._wait_s)
        return own + Measured(snapshot=self.profile.snapshot())


class Sources:
    """Files that are open for reading, in all threads: to be closed at once."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open: set[StoreSource] = set()
        self._closed = False

    @contextmanager
    def opened(self, file: SourceFile) -> Iterator[StoreSource | DiskSource]:
        """A file of the version that was listed, for a ``with``."""
        source = source_of(file.url, file.size, file.version, self._settings)
        with source:
            with self._lock:
                if self._closed:
                    raise BadFile(file.url, "is not read any more: the epoch was left")
                if isinstance(source, StoreSource):
                    self._open.add(source)
            try:
                yield source
            finally:
                with self._lock:
                    self._open -= {source}

    def close(self) -> None:
        """Gives up what is on its way from stores: reads of other threads end with an error."""
        with self._lock:
            self._closed = True
            left = list(self._open)
        for source in left:
            source.__exit__(None, None, None)


class ShardReader:
    """Reads parts of shards, in any thread.

    Args:
        wanted: The columns.
        settings: How stores are opened.
        meter: What reads cost is added there.
        cache: Where objects are copied to before they are read; ``None``: nothing is kept.
    """

    def __init__(self, wanted: Columns, settings: StoreSettings, meter: Meter, cache: Cache | None = None) -> None:
        self._wanted, self._settings, self._meter, self._cache = wanted, settings, meter, cache
        self._sources = Sources(settings)

    def read(self, shard: ShardFile, start: int, stop: int) -> Block:
        """Rows ``start`` up to ``stop`` of a shard.

        Raises:
            BadFile: The shard was replaced, is gone, is corrupt, or is not what the manifest says.
            WorkloadError: The store cannot be read, or there is no space for a copy.
        """
        return self._meter.profile.wrap(self._read)(shard, start, stop)

    def close(self) -> None:
        """Gives up what is on its way from stores: reads of other threads end with an error."""
        self._sources.close()

    def _read(self, shard: ShardFile, start: int, stop: int) -> Block:
        wall, cpu = time.perf_counter(), time.thread_time()
        cost = Measured(tasks=1)
        try:
            file = shard.file if self._cache is None else self._cache.copy_of(shard.file, self._settings)
            with blamed(file.url), self._sources.opened(file) as source:
                try:
                    read = _parquet if shard.footer is not None else _tfrecord
                    block, cost.needed = read(source, shard, (start, stop), self._wanted)
                finally:
                    cost.read = int(source.num_requested_bytes)
                _check(block, shard, (start, stop))
            return block if not self._wanted.particles else _with_hardest(block, self._wanted.particles)
        finally:
            cost.wall_s, cost.cpu_s = time.perf_counter() - wall, time.thread_time() - cpu
            self._meter.add(cost)


def read_footer(shard: ShardFile, sources: Sources) -> tuple[Any, int]:
    """The footer of a parquet shard, checked against the manifest; and the bytes that were asked for.

    Raises:
        BadFile: It is no parquet file, has other columns than the manifest says, or another number of events.
    """
    file = shard.file
    with blamed(file.url):
        with sources.opened(file) as source:
            footer = pq.read_metadata(pa.BufferReader(_footer_bytes(source)))
            read = int(source.num_requested_bytes)
        _check_schema(footer.schema.to_arrow_schema(), shard.max_particles > 0)
        groups = sum(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
        if not footer.num_rows == groups == shard.shard.count:
            raise FormatError(f"has {groups:,} events where the manifest says {shard.shard.count:,}; run trainer prepare again")
    return footer, read


def _footer_bytes(source: StoreSource | DiskSource) -> bytes:
    size = int(source.num_bytes)
    begin = max(0, size - TAIL)
    tail = bytes(_bytes(source, [(begin, size)])[0])
    length = int.from_bytes(tail[-8:-4], "little")
    if tail[-4:] != b"PAR1" or length + 12 > size:
        raise FormatError("is truncated, or no parquet: it does not end as parquet does")
    if length + 8 > len(tail):
        (before,) = _bytes(source, [(size - 8 - length, begin)])
        return bytes(before) + tail
    return tail[-8 - length :]


def _check_schema(found: Any, particles: bool) -> None:
    expected = row_schema(particles)
    if found.equals(expected):
        return
    for field in expected:
        at = found.get_field_index(field.name)
        if at < 0:
            raise FormatError(f"has no column {field.name}, which the manifest says that it has; run trainer prepare again")
        kind = found.field(at).type
        if not found.field(at).equals(field):
            raise FormatError(f"has the column {field.name} as {kind}, not as {field.type}; run trainer prepare again")
    names = sorted(set(found.names) - set(expected.names)) or found.names
    raise FormatError(f"has other columns than the manifest says ({', '.join(names)}); run trainer prepare again")


def _parquet(
    source: StoreSource | DiskSource, shard: ShardFile, span: Range, wanted: Columns
) -> tuple[Block, int]:
    """The rows of a span, and the bytes of the column chunks that they are in."""
    groups, before = _row_groups(shard.footer, span)
    ranges = [needed for number in groups for needed in _column_chunks(shard.footer.row_group(number), wanted.names())]
    fetched = _fetch(source, joined(ranges))
    file = pq.ParquetFile(fetched, metadata=shard.footer, pre_buffer=False, page_checksum_verification=True)
    # Threads of pyarrow's would be more than were asked for.
    try:
        table = file.read_row_groups(groups, columns=wanted.names(), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"is corrupt: {' '.join(str(error).split())}; run trainer prepare again") from error
    table = table.slice(span[0] - before, span[1] - span[0])
    return _block(table, wanted), sum(stop - start for start, stop in ranges)


def _row_groups(footer: Any, span: Range) -> tuple[list[int], int]:
    """The numbers of the row groups that a span of rows touches, and the rows before the first of them."""
    ends = np.cumsum([footer.row_group(number).num_rows for number in range(footer.num_row_groups)])
    first = int(np.searchsorted(ends, span[0], "right"))
    last = int(np.searchsorted(ends, span[1], "left"))
    return list(range(first, last + 1)), int(ends[first - 1]) if first else 0


def _column_chunks(group: Any, names: Sequence[str]) -> list[Range]:
    ranges = []
    for column in (group.column(place) for place in range(group.num_columns)):
        if column.path_in_schema.partition(".")[0] in names:
            start = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                start = min(start, column.dictionary_page_offset)
            ranges.append((start, start + column.total_compressed_size))
    return ranges


def _fetch(source: StoreSource | DiskSource, ranges: Sequence[Range]) -> _Fetched:
    """The bytes of some ranges, as a file."""
    size = int(source.num_bytes)
    if any(not 0 <= start <= stop <= size for start, stop in ranges):
        raise FormatError("has a corrupt footer: columns lie beyond its end")
    return _Fetched([(start, data) for (start, _), data in zip(ranges, _bytes(source, ranges), strict=True)], size)


def _bytes(source: StoreSource | DiskSource, ranges: Sequence[Range]) -> list[memoryview]:
    """The bytes of some ranges, by one vectored read. Ends with an error when the source is closed meanwhile."""
    return [memoryview(chunk.raw_data) for chunk in source.chunks(list(ranges), queue.Queue())]


class _Fetched(io.RawIOBase):
    """Ranges of a file that are in memory, as a file that pyarrow reads. Others are an error."""

    def __init__(self, parts: Sequence[tuple[int, memoryview]], size: int) -> None:
        self._starts = [start for start, _ in parts]
        self._parts = [data for _, data in parts]
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence] + offset
        return self._place

    def read(self, size: int | None = -1, /) -> Any:
        """Shares the memory of the part."""
        number = bisect_right(self._starts, self._place) - 1
        left = self._size - self._place
        size = left if size is None or size < 0 else min(size, left)
        start = self._place - self._starts[number] if number >= 0 else 0
        if number < 0 or start + size > len(self._parts[number]):
            raise FormatError(f"has a corrupt footer: {size:,} bytes from {self._place:,} on are of no column")
        self._place += size
        return self._parts[number][start : start + size]


def _block(table: Any, wanted: Columns) -> Block:
    hlf = offsets = particles = None
    if wanted.event_features:
        hlf = _numbers(_whole(table["hlf"]).flatten()).reshape(-1, len(EVENT_FEATURES))
    if wanted.particles:
        lists = _whole(table["particles"])
        ends = lists.offsets.to_numpy().astype(np.int64)
        particles = _numbers(lists.values)[ends[0] : ends[-1]]
        offsets = ends - ends[0]
        if (offsets % len(PARTICLE_FEATURES)).any():
            raise FormatError(f"has particles with other than {len(PARTICLE_FEATURES)} features")
        offsets, particles = offsets // len(PARTICLE_FEATURES), particles.reshape(-1, len(PARTICLE_FEATURES))
    return Block(_numbers(_whole(table["event"])), _numbers(_whole(table["label"])), hlf, offsets, particles)


def _whole(column: Any) -> Any:
    """A column in one piece."""
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _numbers(array: Any) -> NDArray[Any]:
    if array.null_count:
        raise FormatError("has values that are null")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _tfrecord(
    source: StoreSource | DiskSource, shard: ShardFile, span: Range, wanted: Columns
) -> tuple[Block, int]:
    """The rows of a span, and the bytes of the file: no record's place is known before all those before it were read."""
    size = int(source.num_bytes)
    (data,) = _bytes(source, [(0, size)])
    try:
        records = tfrecord.records(data)
    except tfrecord.CorruptRecord as error:
        raise FormatError(f"{error.why} (record {error.number}); run trainer prepare again") from error
    if len(records) != shard.shard.count:
        raise FormatError(
            f"has {len(records):,} events where the manifest says {shard.shard.count:,}; run trainer prepare again"
        )
    try:
        found = decode(records[span[0] : span[1]], wanted.particles > 0, span[0])
    except BadExample as error:
        raise FormatError(str(error)) from error
    hlf = found.hlf if wanted.event_features else None
    return Block(found.event, found.label, hlf, found.offsets, found.particles), size


def _with_hardest(block: Block, most: int) -> Block:
    """The same events, with ``most`` particles each at most, in their order: as ``trainer prepare --max-particles`` keeps them."""
    assert block.offsets is not None and block.particles is not None
    counts = np.diff(block.offsets)
    if counts.max(initial=0) <= most:
        return block
    starts = np.repeat(block.offsets[:-1], counts)
    # Scaled values order as those before.
    hardness = block.particles[:, _PT].copy()
    hardness[block.offsets[1:][counts > 0] - 1] = np.inf
    by_hardness = np.lexsort((-hardness, starts))
    keep = np.zeros(len(hardness), np.bool_)
    keep[by_hardness[np.arange(len(hardness)) - starts < most]] = True
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, most))])
    return replace(block, offsets=offsets, particles=block.particles[keep])


def _check(block: Block, shard: ShardFile, span: Range) -> None:
    """Checks rows against the manifest, as far as it tells them."""
    if len(block) != span[1] - span[0]:
        raise FormatError(f"has {len(block):,} events where its metadata has {span[1] - span[0]:,}")
    strange = (block.label < 0) | (block.label >= len(CLASSES))
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        raise FormatError(f"has the label {block.label[row]} in event {span[0] + row:,}; it is one of 0 … {len(CLASSES) - 1}")
    if len(block) == shard.shard.count:
        found = tuple(int(count) for count in np.bincount(block.label, minlength=len(CLASSES)))
        if found != tuple(shard.shard.events):
            raise FormatError(
                f"has {found} events of {', '.join(CLASSES)} where the manifest says {tuple(shard.shard.events)}; "
                "run trainer prepare again"
            )
    if block.offsets is not None and len(block):
        most = int(np.diff(block.offsets).max())
        if most > shard.max_particles:
            raise FormatError(f"has an event of {most} particles where the manifest says {shard.max_particles} at most")
