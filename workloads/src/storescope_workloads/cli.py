# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads``: its subcommands, and how an error becomes a message and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click
from storescope import StoreError
from storescope import __version__ as storescope_version

from . import __version__
from .errors import FAILED, WorkloadError
from .generate.command import generate
from .reduction.command import reduce
from .reduction.estimate_command import estimate
from .trainer.command import trainer


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(f"{__version__} (storescope {storescope_version})", prog_name="storescope-workloads")
@click.option("-v", "--verbose", is_flag=True, help="Log what the store client does: retries, waits.")
def cli(verbose: bool) -> None:
    """Reference workloads over object storage: data like CMS's, its reduction to pairs of muons, a classifier trained on
    events, and what the reads cost.

    \b
    Files and folders are oci://bucket@namespace/key, s3://bucket/key or local paths. Credentials and settings come from
    ~/.oci/config and the environment, as for the command storescope.

    \b
    Exit codes: 0 done · 1 failed · 2 wrong usage · 3 done, but files were skipped (--on-error skip) · 130 interrupted
    (Ctrl-C or SIGTERM)
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.DEBUG if verbose else logging.WARNING)


cli.add_command(generate)
cli.add_command(reduce)
cli.add_command(estimate)
cli.add_command(trainer)


class _Interrupt:
    """The handler of Ctrl-C and SIGTERM."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, *_: object) -> None:
        self._count += 1
        if self._count == 1:
            raise KeyboardInterrupt
        if self._count > 2:
            os._exit(130)
        # Not by sys.stderr, which may be in use.
        os.write(2, b"\ncleaning up; a third interrupt ends the process at once\n")


def main() -> None:
    """Runs the command line of this process.

    SIGTERM, by which a pod or a job is ended, is as Ctrl-C: what was begun is cleaned up. A second one does not interrupt that; a
    third one ends the process at once."""
    interrupt = _Interrupt()
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except WorkloadError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    except (StoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
