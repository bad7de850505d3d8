# SPDX-License-Identifier: Apache-2.0
"""``storescope-workloads generate``."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

import click

from ..options import properties, store_options
from ..places import Folder
from ..progress import Bars
from ..settings import StoreSettings
from .branches import CHOICES
from .files import COMPRESSIONS, ENDINGS
from .job import Progress, Sample, Written, refuse, run_local


@click.group()
def generate() -> None:
    """Make data to try the workloads on."""


_HELP = """Make events with muons, as CMS's NanoAOD names them.

This is a toy: resonances, backgrounds and their proportions are matched to published spectra. It is no simulation of a
detector, and nothing can be measured from it but what was put in. Real data are at https://opendata.cern.ch: records
6004 and 6030 (DoubleMuParked, 2012), 12342 (the same, reduced to muons: 2 GB), 6021 (SingleMu, 2012, for the ADL
benchmarks).

An event depends only on --seed and its number. So the events are the same whatever the number of files, processes or
tasks, a larger sample begins with the smaller one, and --branches 100 adds to the 37 without changing them. (Other
versions of numpy and other CPUs may differ in the last bit of a value.)

The files in the folder are dimuon-0000.root and so on. A file is in the store when it is complete, and not before. ROOT
files pass through the folder for temporary files (TMPDIR) where they are larger than 64 MiB.

\b
Examples:
  storescope-workloads generate dimuon --events 1000000 --files 8 --out oci://lake@my-namespace/dimuon
  storescope-workloads generate dimuon --events 200000 --format parquet --out /tmp/dimuon
  storescope-workloads generate dimuon --events 10000000000 --files 5000 --branches 100 \\
      --engine spark --master spark://head:7077 --out s3://lake/dimuon-100
"""


@generate.command(help=_HELP)
@click.option("--events", type=click.IntRange(1), default=1_000_000, show_default=True, help="Events in all files.")
@click.option("--files", type=click.IntRange(1), default=1, show_default=True,
              help="Files of about as many events each.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
              help="Another seed makes other events.")
@click.option("--branches", type=click.Choice([str(count) for count in CHOICES]), default=str(CHOICES[0]),
              show_default=True,
              help="100 adds plausible values that no selection reads, so that less of each file is needed.")
@click.option("--format", type=click.Choice(list(ENDINGS)), default="ttree", show_default=True,
              help="Format of the files.")
@click.option("--cluster", type=click.IntRange(1), default=100_000, show_default=True,
              help="Events of a cluster: one basket of each branch, one page of each column or one row group.")
@click.option("--compression", type=click.Choice(COMPRESSIONS), default="zlib", show_default=True,
              help="zlib is level 1.")
@click.option("--out", required=True, help="Folder: a path, oci://BUCKET@NAMESPACE/PREFIX or s3://BUCKET/PREFIX.")
@click.option("--overwrite", is_flag=True,
              help="Write into a folder that is not empty; files of the same names are replaced.")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True,
              help="Where the work is done.")
@click.option("--processes", type=click.IntRange(1), help="Engine local: processes.  [default: one for each core]")
@click.option("--master", metavar="URL",
              help="Spark: local[N], spark://…, k8s://…  [default: spark-submit's, else local[*]]")
@click.option("--conf", multiple=True, metavar="KEY=VALUE", help="Spark: a property; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@store_options
def dimuon(settings: StoreSettings, out: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    conf = properties(options.pop("conf"))
    where = _Where(options.pop("engine"), options.pop("processes"), options.pop("master"), conf)
    sample = Sample(**{**options, "branches": int(options["branches"])})
    folder = Folder(out, settings)
    refuse(sample, folder, overwrite)
    began = time.monotonic()
    with Bars() as bars:
        written = where.run(sample, folder, bars.stage("generate", sample.events, "events"))
    _tell(sample, folder, written, time.monotonic() - began, as_json)


@dataclass(frozen=True)
class _Where:
    engine: str
    processes: int | None
    master: str | None
    conf: dict[str, str]

    def run(self, sample: Sample, folder: Folder, progress: Progress) -> list[Written]:
        if self.engine == "local":
            return run_local(sample, folder, self.processes or len(os.sched_getaffinity(0)), progress)
        from ..spark import session, stop
        from .spark import run_spark

        spark = session(self.master, self.conf, None, folder.settings, "storescope-workloads generate")
        try:
            return run_spark(sample, folder, spark, progress)
        finally:
            stop(spark)


def _tell(sample: Sample, folder: Folder, written: list[Written], seconds: float, as_json: bool) -> None:
    events, size = sum(one.events for one in written), sum(one.bytes for one in written)
    told = {
        "out": folder.url,
        "files": len(written),
        "events": events,
        "bytes": size,
        "seconds": round(seconds, 3),
        "format": sample.format,
        "branches": sample.branches,
        "seed": sample.seed,
    }
    if as_json:
        click.echo(json.dumps(told))
    else:
        rate = events / max(seconds, 1e-9)
        made = f"{len(written):,} files, {events:,} events, {size:,} bytes"
        click.echo(f"{folder.url}: {made}, {seconds:.1f} s, {rate:,.0f} events/s")
