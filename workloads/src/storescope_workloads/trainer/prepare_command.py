# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads trainer prepare``."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..options import Size, properties, store_options
from ..places import Folder
from ..progress import Bars
from ..settings import StoreSettings
from .choice import Rule
from .features import CLASSES, MOST_PARTICLES
from .prepare import Options, prepare as run
from .prepare_local import LocalEngine
from .shards import FORMATS

#: Options that an engine has no use for.
_NOT_OF = {"local": ("master", "conf"), "spark": ("processes", "spill")}

_HELP = """Scale, balance, split and shuffle events, and write them as shards for training.

IN is the folder that trainer ingest wrote. Of each class as many events are used as the smallest class has; --test of them are test
events. Scalers are fitted to the training events alone. Which events are used, for what and in which order depends on --seed and on
the events: not on the engine, on the number of processes, or on how the events lie in files.

A shard is in the store when it is complete, and not before. manifest.json is written last: a folder without it is not complete.
prepare.json holds counts, times and I/O.

The particles of an event are those of its ingest, without padding, ordered by falling distance from the lepton; the lepton is the
last.

\b
Examples:
  storescope-workloads trainer prepare oci://lake@my-namespace/ingested --out oci://lake@my-namespace/prepared
  storescope-workloads trainer prepare ingested --out prepared --format both --max-particles 100
  storescope-workloads trainer prepare s3://lake/ingested --out s3://lake/prepared --engine spark --master spark://head:7077
"""


@click.command(help=_HELP)
@click.argument("source", metavar="IN")
@click.option("--out", required=True, metavar="FOLDER", help="Where the shards go.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
              help="Another seed chooses other events, and orders them otherwise.")
@click.option("--test", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True,
              help="Share of each class that becomes test events.")
@click.option("--balance/--no-balance", default=True, show_default=True,
              help="As many events of each class as the smallest has, or all.")
@click.option("--max-particles", type=click.IntRange(0, MOST_PARTICLES), default=MOST_PARTICLES, show_default=True,
              help="Particles of an event at most: the lepton and those of the highest pT. 0: event features alone.")
@click.option("--format", "kind", type=click.Choice([*FORMATS, "both"]), default="parquet", show_default=True,
              help="Format of the shards; with both, each shard is written twice.")
@click.option("--shard", type=Size(), default="64MiB", show_default=True, help="Size of a shard, about, before compression.")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True, help="Where the work is done.")
@click.option("--processes", type=click.IntRange(1), help="Engine local: processes.  [default: one for each core]")
@click.option("--spill", type=click.Path(exists=True, file_okay=False), metavar="DIR",
              help="Engine local: folder for events on their way, as large as they are in memory.  [default: TMPDIR]")
@click.option("--master", metavar="URL", help="Spark: local[N], spark://…, k8s://…  [default: spark-submit's, else local[*]]")
@click.option("--conf", multiple=True, metavar="KEY=VALUE", help="Spark: a property; may be repeated.")
@click.option("--overwrite", is_flag=True, help="Remove prepared data that are in the output folder, once the input is found good.")
@click.option("--json", "as_json", is_flag=True, help="Print prepare.json in place of the table.")
@store_options
@click.pass_context
def prepare(ctx: click.Context, /, settings: StoreSettings, source: str, **given: Any) -> None:
    for name in _NOT_OF[given["engine"]]:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} is of no use with --engine {given['engine']}; leave it out, or name another engine")
    rule = Rule(*(given[name] for name in ("seed", "test", "balance", "shard")))
    options = Options(rule, given["max_particles"], FORMATS if given["kind"] == "both" else (given["kind"],))
    out = Folder(given["out"], settings)
    with Bars() as bars, _engine(given, settings) as engine:
        told = run(engine, source, out, options, given["overwrite"], bars)
    if given["as_json"]:
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        _tell(told)


def _engine(given: dict[str, Any], settings: StoreSettings) -> AbstractContextManager[Any]:
    if given["engine"] == "local":
        return LocalEngine(given["processes"], given["spill"])
    from ..spark import session
    from .prepare_spark import SparkEngine

    conf = properties(given["conf"])
    return SparkEngine(session(given["master"], conf, None, settings, "storescope-workloads trainer prepare"))


def _tell(told: dict[str, Any]) -> None:
    click.echo(f"{'class':<8}{'in':>14}{'train':>14}{'test':>14}{'left out':>14}")
    for name in CLASSES:
        own = told["events"][name]
        click.echo(f"{name:<8}" + "".join(f"{own[column]:>14,}" for column in ("in", "train", "test", "left_out")))
    output, spent = told["output"], told["time"]
    sizes = ", ".join(f"{size:,} bytes of {kind}" for kind, size in output["bytes"].items())
    click.echo(
        f"{output['url']}: {output['shards']['train']:,} + {output['shards']['test']:,} shards, {sizes}, {spent['wall_s']:.1f} s, "
        f"{spent['events_per_s']:,.0f} events/s"
    )
