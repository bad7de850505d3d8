# SPDX-License-Identifier: Apache-2.0
"""Batches of prepared events, from a store or a disk, while the shards that follow are on their way.

::

    Prepared.open    manifest, list of the folder, footers of all parquet shards: checked before a step is made
    threads          shard 7 ── shard 2 ── shard 9 ── …       a part each: fetch, check, decode
    epoch()          step 0 ─ step 1 ─ step 2 ─ …             takes rows of what is there; waits where it is not

Parts are fetched in the order in which steps need them (:mod:`.order`): those that the streams of this worker are in, and
:attr:`Split.prefetch` more. No more are in memory, and nothing is written to disk, but for :attr:`Split.cache`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import storescope
from numpy.typing import NDArray

from ..errors import BadFile, UsageError, WorkloadError
from ..places import Folder, SourceFile, filesystem, scheme_of, url_of
from ..scan.measured import Measured
from ..settings import StoreSettings
from .features import EVENT_FEATURES, PARTICLE_FEATURES
from .order import Feed, Order, Part, Slice
from .shard_cache import Cache
from .shard_reader import Block, Columns, Meter, ShardFile, ShardReader, Sources, read_footer
from .shards import FORMATS, MANIFEST, SPLITS, Manifest, Shard, read_manifest

#: Threads that read footers, and those that read shards at most.
OPENERS, THREADS = 32, 32


class Prepared:
    """An opened folder of shards: what is in it is what the manifest says, as far as names, sizes and footers tell.

    Attributes:
        folder: Where it is.
        manifest: What is in it.
        format: Of the shards that are read: ``parquet`` or ``tfrecord``.
        shards: Of each split, in the order of the manifest, each pinned to the version that was listed.
        measured: What opening it cost.
    """

    def __init__(self, folder: Folder, manifest: Manifest, format: str, shards: dict[str, tuple[ShardFile, ...]]) -> None:
        self.folder, self.manifest, self.format, self.shards = folder, manifest, format, shards
        self.measured = Measured()

    @classmethod
    def open(cls, url: str, settings: StoreSettings, format: str | None = None) -> Prepared:
        """Opens a folder that ``trainer prepare`` has written.

        Args:
            url: ``oci://``, ``s3://`` or a path.
            format: ``parquet`` or ``tfrecord``; ``None``: the first of these that the folder has.

        Raises:
            UsageError: The folder has no such format.
            WorkloadError: It is no such folder, or the store cannot be read.
            BadFile: A shard is missing, or has another size, other columns or another number of events than the manifest
                says.
        """
        meter, began = Meter(), time.perf_counter()
        cpu = time.process_time()

        def opened() -> Prepared:
            folder = Folder(url, settings)
            with ThreadPoolExecutor(len(SPLITS), thread_name_prefix="list") as pool:
                lists = {split: pool.submit(meter.profile.wrap(_listed), folder, split) for split in SPLITS}
                manifest = _manifest(folder)
            chosen = _format(manifest, format, folder.url)
            shards = {
                split: _shard_files(folder, manifest, split, chosen, lists[split].result()) for split in SPLITS
            }
            if chosen == "parquet":
                shards = _with_footers(shards, settings, meter)
            return cls(folder, manifest, chosen, shards)

        prepared = meter.profile.wrap(opened)()
        cost = Measured(tasks=1, wall_s=time.perf_counter() - began, cpu_s=time.process_time() - cpu)
        prepared.measured = meter.measured + cost
        return prepared


def _manifest(folder: Folder) -> Manifest:
    try:
        manifest = read_manifest(folder)
        every = [shard for split in SPLITS for shard in manifest.split(split)]
        if any(min(shard.events) < 0 for shard in every) or len({shard.name for shard in every}) < len(every):
            raise ValueError("a shard has fewer events than none, or is listed twice")
    except storescope.StoreError:
        # Some are ValueErrors, too: it is the store that cannot be asked.
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise WorkloadError(f"{folder.path(MANIFEST)}: cannot be read ({why}); run trainer prepare again") from error
    return manifest


def _format(manifest: Manifest, format: str | None, url: str) -> str:
    found = [known for known in FORMATS if known in manifest.formats]
    if not found or format not in (None, *found):
        raise UsageError(f"{url}: has no shards as {format or ' or '.join(FORMATS)}: it has {', '.join(found) or 'none'}")
    return format or found[0]


def _shard_files(
    folder: Folder, manifest: Manifest, split: str, format: str, there: dict[str, SourceFile]
) -> tuple[ShardFile, ...]:
    """The shards of a split as they are in the folder, of which ``there`` is the list."""
    files = []
    for shard in manifest.split(split):
        name = f"{shard.name}.{format}"
        url, size = folder.path(name), shard.sizes.get(format)
        if name not in there:
            raise BadFile(url, "is missing, and the manifest lists it; run trainer prepare again")
        if there[name].size != size:
            told = "no size" if size is None else f"{size:,} bytes"
            raise BadFile(url, f"has {there[name].size:,} bytes where the manifest says {told}; run trainer prepare again")
        if format == "tfrecord" and (size > 0) != (shard.count > 0):
            raise BadFile(url, f"has {size:,} bytes and, by the manifest, {shard.count:,} events; run trainer prepare again")
        files.append(ShardFile(shard, there[name], manifest.max_particles))
    return tuple(files)


def _listed(folder: Folder, split: str) -> dict[str, SourceFile]:
    """The files of a split by their names in the folder, with size and version."""
    scheme = scheme_of(folder.url)
    fs, path = filesystem(folder.url, folder.settings)
    try:
        found = fs.find(f"{path.rstrip('/')}/{split}", detail=True)
    except FileNotFoundError:
        return {}
    files = {}
    for name, info in found.items():
        name = str(name)
        version = str(os.stat(name).st_mtime_ns) if scheme == "file" else str(info.get("etag") or info.get("ETag") or "")
        files[name[len(path.rstrip("/")) + 1 :]] = SourceFile(url_of(scheme, name), int(info["size"]), version)
    return files


def _with_footers(
    shards: dict[str, tuple[ShardFile, ...]], settings: StoreSettings, meter: Meter
) -> dict[str, tuple[ShardFile, ...]]:
    """The shards with their footers, which are read at once, and are in memory from then on."""

    sources = Sources(settings)

    def read(shard: ShardFile) -> ShardFile:
        footer, read = read_footer(shard, sources)
        meter.add(Measured(read=read))
        return replace(shard, footer=footer)

    with ThreadPoolExecutor(OPENERS, thread_name_prefix="footer") as pool:
        try:
            # Those of all splits at once, and the first error by the order of the manifest.
            profiled = meter.profile.wrap(read)
            futures = {split: [pool.submit(profiled, shard) for shard in of_split] for split, of_split in shards.items()}
            return {split: tuple(future.result() for future in of_split) for split, of_split in futures.items()}
        finally:
            sources.close()
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Split:
    """Which events a process reads, and how.

    All processes of a training must have the same, but for ``worker``, ``prefetch`` and ``cache``; a run that goes on from a
    checkpoint, too, but for ``workers``.

    Attributes:
        split: ``train`` or ``test``.
        batch: Events of a step over all workers: the global batch. A multiple of ``streams``.
        streams: Streams of an epoch (:mod:`.order`). A multiple of ``workers``.
        worker: Number of this worker, from 0.
        workers: How many there are.
        seed: Chooses the order of an epoch.
        shuffle: Whether the order differs from that of the files, and from epoch to epoch.
        particles: To how many particles events are padded, or cut: the lepton and those of the greatest pT are kept. 0: particles
            are not read.
        event_features: Whether event features are read.
        prefetch: Shards that are fetched ahead of those that the streams of this worker are in.
        cache: A local folder that shards are copied to as a whole, and read from; ``None``: nothing is written to disk.
            A local folder of shards is read as it is.
    """

    split: str = "train"
    batch: int = 128
    streams: int = 4
    worker: int = 0
    workers: int = 1
    seed: int = 1
    shuffle: bool = True
    particles: int = 0
    event_features: bool = True
    prefetch: int = 4
    cache: str | None = None


@dataclass(frozen=True)
class Batch:
    """The events of one worker in one step: ``n`` of them, at most ``batch // workers``; 0 in a last step that is short.

    Padding is on the right, zeros: a mask of this form is one that Keras' GRU gives to cuDNN. Particles keep their order, the
    lepton last.

    Attributes:
        hlf: Event features, float32, n × 14; ``None`` where they are not read.
        particles: Particles, float32, n × P × 19; ``None`` where they are not read.
        mask: Which of them are particles, and not padding, bool, n × P; ``None`` where they are not read.
        label: Classes, int8, n.
        event: Numbers, unique in the data, int64, n.
        total: Events of the step over all workers. The loss of a step is the sum over all its events divided by this.
    """

    hlf: NDArray[np.float32] | None
    particles: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None
    label: NDArray[np.int8]
    event: NDArray[np.int64]
    total: int

    def __len__(self) -> int:
        return len(self.event)


class Loader:
    """The batches of one worker.

    Args:
        prepared: The shards.
        split: Which events of them.
        settings: How stores are opened.

    Attributes:
        order: Which events a step reads.
        split: As given.

    Raises:
        UsageError: ``split`` cannot be had of these shards.
    """

    def __init__(self, prepared: Prepared, split: Split, settings: StoreSettings) -> None:
        _check(split, prepared)
        self.split = split
        self._prepared, self._settings = prepared, settings
        self._shards = prepared.shards[split.split]
        counts = tuple(shard.shard.count for shard in self._shards)
        self.order = Order(counts, split.batch, split.streams, split.seed, split.shuffle)
        self._cache = None if split.cache is None else Cache(split.cache)
        self._meter = Meter()

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same for all workers."""
        return self.order.steps

    @property
    def events(self) -> int:
        """Events of the split, over all workers."""
        return self.order.events

    @property
    def measured(self) -> Measured:
        """What reading cost up to now, in all epochs: ``wait_s`` are the seconds in which :meth:`epoch` stood still for shards,
        ``wall_s`` those of all reads added, ``tasks`` the reads. Opening the folder is :attr:`Prepared.measured`."""
        return self._meter.measured

    @property
    def assemble_s(self) -> float:
        """Seconds in which :meth:`epoch` put batches together of shards that were there."""
        return self._meter.assemble_s

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, each event of it once.

        Closing it early (``close()``, or its last reference) gives up what is on its way.

        Args:
            number: Of the epoch, from 0.
            start: The step to begin with: the batches are those that an epoch from its start gives from there on.

        Raises:
            UsageError: The epoch has no such step.
            BadFile: A shard is corrupt, was replaced, or is not what the manifest says. None of the events was given of the part of
                it that was read: a stream's.
            WorkloadError: The store cannot be read, or the cache's folder not be written.
        """
        if number < 0 or not 0 <= start <= self.steps:
            raise UsageError(f"epoch {number}, step {start}: epochs have the steps 0 … {self.steps}")
        return self._batches(number, start)

    def _batches(self, number: int, start: int) -> Iterator[Batch]:
        own = range(self.split.worker, self.split.streams, self.split.workers)
        left = sum(self.order.taken(stream, step) for stream in own for step in range(start, self.steps))
        reader = ShardReader(_columns(self.split), self._settings, self._meter, self._cache)
        feed = Feed(self.order, number, start, own)
        ahead = _Ahead(feed.parts, self._shards, reader, len(own) + self.split.prefetch)
        try:
            for step in range(start, self.steps):
                batch = self._batch(feed.take(step), ahead, self.order.total(step))
                left -= len(batch)
                yield batch
        finally:
            ahead.close()
        if left:
            raise WorkloadError(f"{self._prepared.folder.url}: {left:,} events of epoch {number} were not read; report this")

    def _batch(self, slices: Sequence[Slice], ahead: _Ahead, total: int) -> Batch:
        count = sum(len(slice.rows) for slice in slices)
        batch = _empty_batch(count, self.split, total)
        place, waited, began = 0, 0.0, time.perf_counter()
        for slice in slices:
            asked = time.perf_counter()
            block = ahead.block(slice.part)
            waited += time.perf_counter() - asked
            _copy(block, slice.rows, batch, place)
            place += len(slice.rows)
            del block
            if slice.is_last:
                ahead.release(slice.part)
        self._meter.step(waited, time.perf_counter() - began - waited)
        return batch

    def dataset(self, number: int, start: int = 0) -> Any:
        """The same batches as a ``tf.data.Dataset`` of dicts: the fields of :class:`Batch` that are read, as tensors.

        Two batches are prepared ahead of the one that is used, so that :attr:`measured`'s ``wait_s`` is what this preparation
        waited, and the training no longer than that. Errors are TensorFlow's, with the text of those of :meth:`epoch`.
        """
        import tensorflow as tf  # type: ignore[import-untyped]

        shapes: dict[str, Any] = {"label": ((None,), tf.int8), "event": ((None,), tf.int64), "total": ((), tf.int64)}
        if self.split.event_features:
            shapes["hlf"] = (None, len(EVENT_FEATURES)), tf.float32
        if self.split.particles:
            shapes["particles"] = (None, self.split.particles, len(PARTICLE_FEATURES)), tf.float32
            shapes["mask"] = (None, self.split.particles), tf.bool

        def batches() -> Iterator[dict[str, Any]]:
            for batch in self.epoch(number, start):
                yield {name: getattr(batch, name) for name in shapes}

        signature = {name: tf.TensorSpec(shape, dtype) for name, (shape, dtype) in shapes.items()}
        made = tf.data.Dataset.from_generator(batches, output_signature=signature)
        return made.apply(tf.data.experimental.assert_cardinality(self.steps - start)).prefetch(2)


def _check(split: Split, prepared: Prepared) -> None:
    """Checks what is asked for: each error says what to change."""
    url, most = prepared.folder.url, prepared.manifest.max_particles
    wrong = [
        (split.split not in SPLITS, f"the split {split.split!r} is not known; use {' or '.join(SPLITS)}"),
        (split.workers < 1 or split.streams < 1 or split.batch < 1, "workers, streams and batch are at least 1"),
        (split.prefetch < 0 or split.particles < 0 or split.seed < 0, "prefetch, particles and seed are not negative"),
    ]
    if not any(is_wrong for is_wrong, _ in wrong):
        wrong += [
            (
                split.streams % split.workers != 0,
                f"{split.streams} streams are not shared evenly by {split.workers} workers; use a multiple of {split.workers}",
            ),
            (
                split.batch % split.streams != 0,
                f"a batch of {split.batch} is not taken evenly from {split.streams} streams; use a multiple of {split.streams}",
            ),
            (
                not 0 <= split.worker < split.workers,
                f"worker {split.worker} is not one of {split.workers}; their numbers begin with 0",
            ),
            (not split.particles and not split.event_features, "neither event features nor particles are read"),
            (
                split.particles > 0 and most == 0,
                f"{url}: the shards have no particles; run trainer prepare with particles, or train the event-feature model",
            ),
        ]
    for is_wrong, text in wrong:
        if is_wrong:
            raise UsageError(text)


def _columns(split: Split) -> Columns:
    return Columns(split.event_features, split.particles)


class _Ahead:
    """Parts that are read before they are needed: at most ``room`` of them are being read, or are in memory.

    A part is released before another of the same stream is needed, so that one is always in the order's front."""

    def __init__(self, parts: Sequence[Part], shards: Sequence[ShardFile], reader: ShardReader, room: int) -> None:
        self._waiting = list(parts)[::-1]
        self._shards, self._reader, self._room = shards, reader, room
        self._blocks: dict[Part, Future[Block]] = {}
        self._pool = ThreadPoolExecutor(min(room, THREADS), thread_name_prefix="shard")
        self._fill()

    def block(self, part: Part) -> Block:
        """The rows of a part. Waits for them."""
        return self._blocks[part].result()

    def release(self, part: Part) -> None:
        """The part is not needed any more."""
        del self._blocks[part]
        self._fill()

    def close(self) -> None:
        """Gives up what is not there, and waits for its threads."""
        self._reader.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._blocks.clear()

    def _fill(self) -> None:
        while self._waiting and len(self._blocks) < self._room:
            part = self._waiting.pop()
            self._blocks[part] = self._pool.submit(self._reader.read, self._shards[part.shard], part.start, part.stop)


def _empty_batch(count: int, split: Split, total: int) -> Batch:
    """A batch whose rows are to be written."""
    shape = count, split.particles
    return Batch(
        np.empty((count, len(EVENT_FEATURES)), np.float32) if split.event_features else None,
        np.empty((*shape, len(PARTICLE_FEATURES)), np.float32) if split.particles else None,
        np.empty(shape, np.bool_) if split.particles else None,
        np.empty(count, np.int8),
        np.empty(count, np.int64),
        total,
    )


def _copy(block: Block, rows: NDArray[np.int64], batch: Batch, place: int) -> None:
    """Copies rows of a block into a batch."""
    own = slice(place, place + len(rows))
    batch.event[own] = block.event[rows]
    batch.label[own] = block.label[rows]
    if batch.hlf is not None and block.hlf is not None:
        batch.hlf[own] = block.hlf[rows]
    if batch.particles is None or batch.mask is None or block.offsets is None or block.particles is None:
        return
    starts, room = block.offsets[rows], np.arange(batch.particles.shape[1])
    mask = room < (block.offsets[rows + 1] - starts)[:, None]
    batch.mask[own] = mask
    if len(block.particles):
        # What follows an event's particles is copied, too, and then made padding: that is faster than to leave it out.
        np.take(block.particles, starts[:, None] + room, axis=0, out=batch.particles[own], mode="clip")
    batch.particles[own][~mask] = 0
