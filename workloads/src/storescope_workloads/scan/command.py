# SPDX-License-Identifier: Apache-2.0
"""What the commands share that read files by an engine: options, the choice of the engine, what is told of bad files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..options import Size, properties
from ..settings import StoreSettings
from .job import Finished

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Skipped files that are told on the screen.
TOLD = 20


@dataclass(frozen=True)
class Choice:
    """How the engine was chosen on the command line."""

    engine: str
    processes: int | None
    master: str | None
    conf: tuple[str, ...]
    jars: str | None = None


_ENGINE = (
    click.option("--processes", type=click.IntRange(1), help="Engine local: processes.  [default: one for each core]"),
    click.option(
        "--master", metavar="URL", help="Spark: local[N], spark://…, k8s://…  [default: spark-submit's, else local[*]]"
    ),
    click.option("--conf", multiple=True, metavar="KEY=VALUE", help="Spark: a property; may be repeated."),
)
_OUTPUT = (
    click.option("--resume", is_flag=True, help="Go on with the batches that are not complete."),
    click.option("--overwrite", is_flag=True, help="Remove what is in the output folder, once the files are found good."),
    click.option("--piece", type=Size(), default="16MiB", show_default=True, help="Bytes to read that a piece has about."),
    click.option(
        "--batch", type=Size(), help="Bytes to read that are completed at once.  [default: 4GiB, on Spark 256GiB]"
    ),
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--processes``, ``--master`` and ``--conf``."""
    for option in reversed(_ENGINE):
        command = option(command)
    return command


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--resume``, ``--overwrite``, ``--piece`` and ``--batch``."""
    for option in reversed(_OUTPUT):
        command = option(command)
    return command


def refuse_unused(ctx: click.Context, engine: str, unused: Mapping[str, tuple[str, ...]]) -> None:
    """Options that would be ignored are errors; what the environment says is for any engine.

    Args:
        unused: By engine, the options that it has no use for.
    """
    for name in unused[engine]:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} is of no use with --engine {engine}; leave it out, or name another engine")


def spark_session(choice: Choice, settings: StoreSettings, app_name: str) -> SparkSession:
    """The session of an engine that runs on Spark, which is imported here.

    Raises:
        UsageError: PySpark is missing.
    """
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise UsageError("--engine spark needs PySpark: pip install 'storescope-workloads[spark]'") from error
    from ..spark import session

    return session(choice.master, properties(choice.conf), choice.jars, settings, app_name)


def tell_skipped(finished: Finished, result: str) -> None:
    """Names files that were skipped, on stderr: the first :data:`TOLD`.

    Args:
        result: The file that names them all.
    """
    for skipped in finished.skipped[:TOLD]:
        click.echo(f"skipped: {skipped.url}: {skipped.why}", err=True)
    if len(finished.skipped) > TOLD:
        more = len(finished.skipped) - TOLD
        click.echo(f"skipped: and {more:,} more; files.skipped in {result} names all", err=True)
