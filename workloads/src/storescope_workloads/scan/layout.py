# SPDX-License-Identifier: Apache-2.0
"""What a file's metadata tells: its clusters, and the bytes of each in the columns that are read."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import storescope

from ..errors import BadFile
from ..places import SourceFile
from .engine import Job
from .formats import MissingColumns, Opened
from .kernel import BadColumn
from .measured import Measured
from .pieces import Cluster, FileLayout
from .read import blamed, opened
from .source import Range, joined

#: Files that one process opens at once.
THREADS = 16
#: What is fetched of a file's beginning and end, in bytes, where nothing is known of those beside it; and at most.
HEAD, TAIL, MOST = 4 << 10, 32 << 10, 1 << 20
#: Holes in metadata at a file's ends, in bytes.
GAP = 8 << 10


def layout_of(dataset: str, file: SourceFile, job: Job[Any]) -> FileLayout:
    """Reads the metadata of one file. Its format is found by its contents.

    The first file of a folder takes up to four requests (an RNTuple: five, and one for each page list that is far from
    the others), the first two at once. Files beside one that this process has read take one or two, where their metadata
    reaches as far from their ends, and those of page lists.

    Raises:
        BadFile: It is no ROOT file and no parquet, is truncated or replaced, or lacks the tree or columns.
        WorkloadError: The store cannot be read.
    """
    return _measured_layout(dataset, file, job)[0]


def _measured_layout(dataset: str, file: SourceFile, job: Job[Any]) -> tuple[FileLayout, int, float]:
    """A file's layout, the bytes that it asked for, and the seconds that this stood still."""
    place = os.path.dirname(file.url)
    read = _opened(file, job, _reach.of(place, file.size))
    try:
        with blamed(file.url):
            job.kernel.check_types(read.types())
            _reach.learn(place, file.size, read.opening)
            layout = _layout(dataset, file, job, read)
            return layout, int(read.source.num_requested_bytes), read.source.waited
    except BadColumn as error:
        raise BadFile(file.url, str(error)) from error
    finally:
        read.close()


def _opened(file: SourceFile, job: Job[Any], expected: Sequence[Range]) -> Opened:
    try:
        return opened(file, job.tree, job.kernel.columns(), expected, job.settings)
    except BadFile as error:
        if isinstance(error.__cause__, MissingColumns):
            raise BadFile(error.url, f"{error.why}. {job.kernel.advice}") from error.__cause__
        raise


def _layout(dataset: str, file: SourceFile, job: Job[Any], read: Opened) -> FileLayout:
    clusters: list[Cluster] = []
    before: set[Range] = set()
    for found in read.clusters:
        # Parts of a cluster that is not aligned share baskets: they are needed once.
        own = set(found.ranges)
        needed = sum(stop - start for start, stop in own - before)
        clusters.append(Cluster(found.entry_start, found.entry_stop, needed))
        before = own
    tree = "" if read.format == "parquet" else job.tree
    # One text for all files that are alike: there may be very many of them.
    types = sys.intern(", ".join(f"{name}: {kind}" for name, kind in sorted(read.types().items())))
    return FileLayout(
        dataset, file.url, file.size, file.version, read.format, tree, tuple(clusters), tuple(read.opening), types
    )


def layouts_of(
    files: Sequence[tuple[str, SourceFile]], job: Job[Any], threads: int = THREADS
) -> tuple[list[FileLayout | BadFile], Measured]:
    """The layouts of (data set, file), in their order, or why a file is bad; and what this cost. Files are opened by
    ``threads`` at once."""
    wall, cpu = time.perf_counter(), time.process_time()

    def one(dataset: str, file: SourceFile) -> tuple[FileLayout | BadFile, int, float]:
        try:
            return _measured_layout(dataset, file, job)
        except BadFile as error:
            return error, 0, 0.0

    with storescope.profile("plan") as profile, ThreadPoolExecutor(max(1, min(threads, len(files)))) as pool:
        # The first tells how far metadata reaches: those beside it take one request then.
        found = [one(*first) for first in files[:1]]
        names, sources = [name for name, _ in files[1:]], [source for _, source in files[1:]]
        found += pool.map(profile.wrap(one), names, sources)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # Threads wait beside each other, and for each other's turn to compute.
    waited = min(max(0.0, wall - cpu), sum(seconds for _, _, seconds in found))
    read = sum(asked for _, asked, _ in found)
    return [layout for layout, _, _ in found], Measured(1, wall, cpu, waited, 0, read, profile.snapshot())


class _Reach:
    """How far metadata reaches from both ends of the files of a folder: those of a data set are alike."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def of(self, place: str, size: int) -> list[Range]:
        head, tail = self._known.get(place, (HEAD, TAIL))
        return joined([(0, min(head, size)), (max(0, size - tail), size)])

    def learn(self, place: str, size: int, opening: Sequence[Range]) -> None:
        """Notes what one file's ``opening`` took: what lies amid the file is not foreseen in others."""
        head, tail = HEAD, 0
        for start, stop in opening:
            head = max(head, stop) if start - head <= GAP and stop <= MOST else head
        for start, stop in reversed(opening):
            tail = max(tail, size - start) if size - tail - stop <= GAP and size - start <= MOST else tail
        with self._lock:
            if len(self._known) > 1000:
                self._known.clear()
            # With something to spare: numbers in metadata are of many lengths.
            self._known[place] = head * 17 // 16, tail * 17 // 16


_reach = _Reach()
