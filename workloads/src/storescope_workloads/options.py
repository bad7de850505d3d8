# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import click

from .errors import UsageError
from .settings import StoreSettings
from .sizes import parse_size, parse_time


class Size(click.ParamType):
    """Bytes, such as 64KiB or 8MB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text as the command line has it; a default may be a number."""
        try:
            return value if isinstance(value, int) else parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Time(click.ParamType):
    """Seconds, such as 250min or 4h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text as the command line has it; a default may be a number."""
        try:
            return value if isinstance(value, float) else parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_STORE = (
    click.option("--endpoint", metavar="URL", help="Endpoint of the store, such as an emulator's."),
    click.option("--region", help="Region of the store."),
    click.option("--config-file", metavar="FILE", help="OCI's configuration file."),
    click.option("--profile", help="Profile in the configuration file."),
    click.option("--auth", help="Kind of credentials (docs/CONFIG.md)."),
)


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--endpoint``, ``--region``, ``--config-file``, ``--profile`` and ``--auth``, as one argument:
    ``settings``, a :class:`StoreSettings`. What is not given comes from the environment, where the store is opened."""

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        settings = StoreSettings(**{field.name: options.pop(field.name) for field in fields(StoreSettings)})
        return command(*args, settings=settings, **options)

    for option in reversed(_STORE):
        collected = option(collected)
    return collected


def properties(texts: Sequence[str]) -> dict[str, str]:
    """Spark's properties, given as ``KEY=VALUE``."""
    for text in texts:
        if not re.match(r"[^=\s]+=", text):
            raise UsageError(f"--conf {text}: is not KEY=VALUE")
    return dict(text.split("=", 1) for text in texts)
