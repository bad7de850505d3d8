# SPDX-License-Identifier: Apache-2.0
"""``storescope-workloads generate``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from ..options import properties, store_options
from ..places import Folder
from ..progress import Bars
from .branches import CHOICES
from .files import COMPRESSIONS, ENDINGS
from .job import Progress, Written, refuse, run_local
from .samples import AnySample, Sample, TriggerSample
from .trigger import MOST_SOFT_PARTICLES, SOFT_PARTICLES


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


_TRIGGER_HELP = """Make events of a trigger's three classes, with branches as Delphes names them: W+jets, tt and QCD.

This is a toy: its proportions are matched to published scores of the Spark DL Trigger's classifiers. It is no simulation of a
detector, and nothing can be measured from it but what was put in. Samples of the real data are at
http://sparkdltrigger.web.cern.ch/sparkdltrigger/.

--events and --files count for each class: --events 1000 --files 2 makes 3,000 events in 6 files, qcd/trigger-0000.root to
wjets/trigger-0001.root. The events are those before any selection: part of them have no lepton that passes.

An event depends only on --seed, --soft-particles, its class and its number. So the events are the same whatever the number
of files, processes or tasks, and a larger sample begins with the smaller one. Another number of soft particles leaves the
partons, jets and leptons as they are. (Other versions of numpy and other CPUs may differ in the last bit of a value.)

A file is in the store when it is complete, and not before. ROOT files pass through the folder for temporary files (TMPDIR)
where they are larger than 64 MiB. An event takes about 5 KB.

\b
Examples:
  storescope-workloads generate trigger --events 20000 --files 4 --out /tmp/trigger
  storescope-workloads generate trigger --events 100000 --format parquet --out oci://lake@my-namespace/trigger
  storescope-workloads generate trigger --events 10000000 --files 1000 \\
      --engine spark --master spark://head:7077 --out s3://lake/trigger
"""

_Command = Callable[..., Any]


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Gives a command several options, in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_seed = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
                     help="Another seed makes other events.")
_common = _options(
    click.option("--compression", type=click.Choice(COMPRESSIONS), default="zlib", show_default=True,
                 help="zlib is level 1."),
    click.option("--out", required=True, help="Folder: a path, oci://BUCKET@NAMESPACE/PREFIX or s3://BUCKET/PREFIX."),
    click.option("--overwrite", is_flag=True,
                 help="Write into a folder that is not empty; files of the same names are replaced."),
    click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True,
                 help="Where the work is done."),
    click.option("--processes", type=click.IntRange(1), help="Engine local: processes.  [default: one for each core]"),
    click.option("--master", metavar="URL",
                 help="Spark: local[N], spark://…, k8s://…  [default: spark-submit's, else local[*]]"),
    click.option("--conf", multiple=True, metavar="KEY=VALUE", help="Spark: a property; may be repeated."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
    store_options,
)


@generate.command(help=_HELP)
@click.option("--events", type=click.IntRange(1), default=1_000_000, show_default=True, help="Events in all files.")
@click.option("--files", type=click.IntRange(1), default=1, show_default=True,
              help="Files of about as many events each.")
@_seed
@click.option("--branches", type=click.Choice([str(count) for count in CHOICES]), default=str(CHOICES[0]),
              show_default=True,
              help="100 adds plausible values that no selection reads, so that less of each file is needed.")
@click.option("--format", type=click.Choice(list(ENDINGS)), default="ttree", show_default=True,
              help="Format of the files.")
@click.option("--cluster", type=click.IntRange(1), default=100_000, show_default=True,
              help="Events of a cluster: one basket of each branch, one page of each column or one row group.")
@_common
def dimuon(branches: str, **options: Any) -> None:
    _generate(Sample, {**options, "branches": int(branches)})


@generate.command(help=_TRIGGER_HELP)
@click.option("--events", type=click.IntRange(1), default=20_000, show_default=True, help="Events of each class.")
@click.option("--files", type=click.IntRange(1), default=1, show_default=True,
              help="Files of each class, of about as many events each.")
@_seed
@click.option("--soft-particles", type=click.FloatRange(0, MOST_SOFT_PARTICLES), default=SOFT_PARTICLES, show_default=True,
              help="Mean number of particles of the underlying event and of pile-up; fewer make a smaller sample.")
@click.option("--format", default="ttree", show_default=True, metavar="[ttree|parquet]", help="Format of the files.")
@click.option("--cluster", type=click.IntRange(1), default=2_000, show_default=True,
              help="Events of a cluster: one basket of each branch or one row group. One cluster is held in memory.")
@_common
def trigger(**options: Any) -> None:
    _generate(TriggerSample, options)


def _generate(kind: Callable[..., AnySample], options: dict[str, Any]) -> None:
    settings, out, overwrite = (options.pop(name) for name in ("settings", "out", "overwrite"))
    as_json, conf = options.pop("as_json"), properties(options.pop("conf"))
    where = _Where(options.pop("engine"), options.pop("processes"), options.pop("master"), conf)
    sample = kind(**options)
    folder = Folder(out, settings)
    refuse(sample, folder, overwrite)
    began = time.monotonic()
    with Bars() as bars:
        written = where.run(sample, folder, bars.stage("generate", sample.total, "events"))
    _tell(sample, folder, written, time.monotonic() - began, as_json)


@dataclass(frozen=True)
class _Where:
    engine: str
    processes: int | None
    master: str | None
    conf: dict[str, str]

    def run(self, sample: AnySample, folder: Folder, progress: Progress) -> list[Written]:
        if self.engine == "local":
            return run_local(sample, folder, self.processes or len(os.sched_getaffinity(0)), progress)
        from ..spark import session, stop
        from .spark import run_spark

        spark = session(self.master, self.conf, None, folder.settings, "storescope-workloads generate")
        try:
            return run_spark(sample, folder, spark, progress)
        finally:
            stop(spark)


def _tell(sample: AnySample, folder: Folder, written: list[Written], seconds: float, as_json: bool) -> None:
    events, size = sum(one.events for one in written), sum(one.bytes for one in written)
    told = {
        "out": folder.url,
        "files": len(written),
        "events": events,
        "bytes": size,
        "seconds": round(seconds, 3),
        "format": sample.format,
        "seed": sample.seed,
        **sample.told,
    }
    if as_json:
        click.echo(json.dumps(told))
    else:
        rate = events / max(seconds, 1e-9)
        made = f"{len(written):,} files, {events:,} events, {size:,} bytes"
        click.echo(f"{folder.url}: {made}, {seconds:.1f} s, {rate:,.0f} events/s")
