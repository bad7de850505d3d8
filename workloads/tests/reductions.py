# SPDX-License-Identifier: Apache-2.0
"""A small job and what it came to, for tests of engines."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset

from storescope_workloads.places import Folder, filesystem
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import Dataset, Watch

EVENTS = 30_000


def datasets(files):
    return [Dataset("one", tuple(files[:2])), Dataset("two", tuple(files[2:]))]


def job_of(settings, **given):
    return Job(Reduction(Cuts()), settings=settings, piece_target=1 << 16, **given)


def rows(out: Folder) -> pa.Table:
    """All rows below a folder, in an order of their own."""
    fs, path = filesystem(f"{out.url}/pairs", out.settings)
    names = [f"{path}/{name}" for name in (out / "pairs").files() if name.endswith(".parquet")]
    table = pa.dataset.dataset(names, filesystem=fs, format="parquet", partitioning="hive", partition_base_dir=path).to_table()
    table = table.select(sorted(table.column_names)).replace_schema_metadata(None)
    return table.sort_by([(name, "ascending") for name in ("file", "mass_gev", "pt1", "pt2", "eta1")])


class Counting(Watch):
    """What was told of each stage."""

    def __init__(self):
        self.stages = []

    def stage(self, name, total, unit):
        told = [name, total, 0]
        self.stages.append(told)

        def count(done):
            told[2] += done

        return count
