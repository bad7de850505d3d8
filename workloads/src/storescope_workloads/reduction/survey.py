# SPDX-License-Identifier: Apache-2.0
"""What an estimate needs to know of real files: their metadata, and nothing of their data."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import BadFile
from ..places import SourceFile
from ..scan.engine import Job, Progress
from ..scan.layout import THREADS, layouts_of
from ..scan.pieces import FileLayout
from ..scan.read import blamed, opened
from .estimate import Sample
from .kernel import Reduction


def survey(files: Sequence[SourceFile], job: Job[Reduction], progress: Progress) -> list[Sample]:
    """The files' layouts, as a job's plan finds them, and the byte ranges of their clusters.

    Args:
        progress: Counts the files.

    Raises:
        BadFile: A file cannot be used.
    """
    found, _ = layouts_of([("", file) for file in files], job)
    bad = [error for error in found if isinstance(error, BadFile)]
    if bad:
        raise bad[0]
    layouts = [layout for layout in found if isinstance(layout, FileLayout)]
    samples = []
    with ThreadPoolExecutor(THREADS) as pool:
        for sample in pool.map(lambda layout: _sample(layout, job), layouts):
            progress(1)
            samples.append(sample)
    return samples


def _sample(layout: FileLayout, job: Job[Reduction]) -> Sample:
    source = SourceFile(layout.url, layout.size, layout.version)
    file = opened(source, job.tree, job.kernel.columns(), layout.opening, job.settings)
    try:
        with blamed(layout.url):
            return Sample(layout, tuple(tuple(cluster.ranges) for cluster in file.clusters))
    finally:
        file.close()
