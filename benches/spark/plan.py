# SPDX-License-Identifier: Apache-2.0
"""The works: what is measured (works.py does them)."""

from __future__ import annotations

from dataclasses import dataclass

PREADS, PREAD_BYTES, THREADS = 2_000, 64 << 10, 16


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    # What of the data it reads, copied to another name for each run; nothing where it writes.
    reads: tuple[str, ...]
    # Seconds after which a row is stopped.
    limit: float

    @property
    def writes(self) -> bool:
        return not self.reads


WORKS = {
    work.name: work
    for work in [
        Work("W1", "3 of 20 columns of one parquet file of 122 MiB", ("wide.parquet",), 300),
        Work("W2a", "group by three of five columns, 8 files of 60 MB, 12,000,000 rows", ("sales",), 900),
        Work("W2b", "a filter on the sorted key: one of the 8 files matters", ("sales",), 120),
        Work("W2c", "join of the 8 files with 10,000 rows", ("sales", "items.parquet"), 900),
        Work("W3", "200 parquet files of 100 KB", ("small",), 180),
        Work("W4", "512 MiB in order, reads of 64 KiB", ("bytes.bin",), 120),
        Work("W5", f"{PREADS:,} positional reads of 64 KiB, {THREADS} threads", ("bytes.bin",), 120),
        Work("RN", "rename of a directory of 1,000 objects, and back", ("many",), 300),
        Work("O1", "overwrite of a partitioned table of 32 files, FileOutputCommitter v1", (), 300),
        Work("O2", "the same, FileOutputCommitter v2", (), 300),
        Work("OM", "the same, the manifest committer (S3A: the magic committer)", (), 300),
    ]
}
