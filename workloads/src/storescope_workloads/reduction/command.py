# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads reduce``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from ..errors import SKIPPED, UsageError
from ..options import store_options
from ..places import Folder
from ..progress import Bars
from ..scan.command import Choice, engine_options, output_options, refuse_unused, spark_session, tell_skipped
from ..scan.engine import Engine, Job
from ..scan.job import Finished, Output, run
from ..settings import StoreSettings
from . import datasets as described
from . import result as results
from .cuts import Cuts
from .kernel import Reduction

ENGINES = ("local", "spark", "spark-sql")


#: Options that an engine has no use for.
_NOT_OF = {"local": ("master", "conf", "jars"), "spark": ("processes",), "spark-sql": ("processes",)}


def _print_cuts(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("# The default cuts: momenta in GeV; null turns a cut off (docs/WORKLOADS.md).")
        click.echo(yaml.safe_dump(Cuts().to_dict(), sort_keys=False, allow_unicode=True), nl=False)
        ctx.exit()


@click.command(
    epilog="""\b
    Examples:
      storescope-workloads reduce 'oci://lake@my-namespace/2012/*.root' --out oci://lake@my-namespace/reduced
      storescope-workloads reduce --datasets samples.yaml --cuts cuts.yaml --out reduced --on-error skip
      storescope-workloads reduce 's3://lake/*.root' --engine spark --master spark://host:7077 --out s3://lake/reduced
      storescope-workloads reduce 'oci://lake@ns/*.parquet' --engine spark-sql --out reduced --jars storescope-hadoop-0.1.0.jar

    \b
    The output: pairs/ (parquet, by batch and data set), result.json, histograms.json, spectrum.png, run.hlog
    (storescope report OUT shows it). docs/WORKLOADS.md describes them, the files of --datasets and --cuts, and clusters.
    """
)
@click.argument("files", nargs=-1)
@click.option("--out", required=True, metavar="FOLDER", help="Where the output goes.")
@click.option("--datasets", "datasets_file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Several data sets, described in YAML, in place of FILES.")
@click.option("--cuts", "cuts_file", type=click.Path(dir_okay=False), metavar="FILE",
              help="Cuts and columns in YAML; without it those of the original reduction.")
@click.option("--print-cuts", is_flag=True, is_eager=True, expose_value=False, callback=_print_cuts,
              help="Print the default cuts, as --cuts takes them, and end.")
@click.option("--tree", default=None, help="The tree in ROOT files.  [default: Events]")
@click.option("--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="Where the work is done.")
@engine_options
@click.option("--jars", envvar="STORESCOPE_JARS", metavar="PATHS", help="Spark: storescope's jar, for output to and SQL from stores.")
@click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
              help="What a bad file does: ends the job, or is left out as a whole and counted. Engine spark-sql: one that "
                   "turns out bad while it is read ends the job in any case.")
@output_options
@click.option("--json", "as_json", is_flag=True, help="Print result.json in place of the tables.")
@store_options
@click.pass_context
def reduce(ctx: click.Context, /, settings: StoreSettings, **given: Any) -> None:
    """Reduce ROOT files or parquet to pairs of muons, and tell what reading them cost.

    FILES are names or patterns (in quotes); together they are one data set called "data"."""
    started = datetime.now(UTC)
    refuse_unused(ctx, given["engine"], _NOT_OF)
    found = _datasets(given, settings)
    cuts = cuts_of(given["cuts_file"])
    out = Folder(given["out"], settings)
    job = Job(Reduction(cuts), given["tree"] or found.tree, settings, given["on_error"] == "skip", given["piece"])
    choice = Choice(*(given[name] for name in ("engine", "processes", "master", "conf", "jars")))
    with Bars() as bars, engine_of(choice, out, job) as engine:
        finished = run(engine, found.datasets, job, Output(out, given["resume"], given["overwrite"], given["batch"]), bars)
    result = results.write(out, finished, job, choice.engine, started, found.luminosity_pb)
    _tell(result, finished, out, given["as_json"])
    _warn(finished, found.luminosity_pb)
    if finished.skipped:
        ctx.exit(SKIPPED)


def _datasets(given: dict[str, Any], settings: StoreSettings) -> described.Datasets:
    files, described_in = given["files"], given["datasets_file"]
    if bool(files) == bool(described_in):
        raise UsageError("name FILES or --datasets FILE: one of the two")
    return described.load(Path(described_in), settings) if described_in else described.of_files(files, settings)


def cuts_of(path: str | None) -> Cuts:
    """The cuts of ``--cuts FILE``; without it the defaults."""
    return Cuts() if path is None else Cuts.load_file(Path(path))


def engine_of(choice: Choice, out: Folder, job: Job[Reduction]) -> Engine:
    """The engine that was chosen; Spark is imported for its engines alone."""
    if choice.engine == "local":
        from ..scan.local import LocalEngine

        return LocalEngine(choice.processes)
    spark = spark_session(choice, job.settings, "storescope-workloads reduce")
    if choice.engine == "spark":
        from ..scan.spark import SparkEngine

        return SparkEngine(spark)
    from .sql import SqlEngine

    return SqlEngine(spark)


def _tell(result: dict[str, Any], finished: Finished, out: Folder, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(results.render(result))
    click.echo(f"\nspectrum: {out.path('spectrum.png')}\nresult:   {out.path('result.json')}")


def _warn(finished: Finished, luminosity_pb: float | None) -> None:
    tell_skipped(finished, "result.json")
    measured = {dataset.name for dataset in finished.datasets if dataset.kind == "data"}
    if luminosity_pb is not None and any(skipped.dataset in measured for skipped in finished.skipped):
        click.echo(
            f"warning: files of recorded data were skipped, but luminosity_pb is still {luminosity_pb:g}: simulated events "
            "have too large a weight beside what is left",
            err=True,
        )
