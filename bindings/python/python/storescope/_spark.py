# SPDX-License-Identifier: Apache-2.0
"""A Python worker of Spark: what is done in Python for tasks whose executor collects what they read."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, NoReturn, TypeVar

from ._storescope import _leave, _waited

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")
    _R = TypeVar("_R")

_watched = False


def watch_exit() -> None:
    """From now on what was recorded is left to the executor where the process ends by `os._exit`.

    So PySpark ends its workers, and `multiprocessing` its children; no handler of `atexit` is called there.
    """
    global _watched
    if _watched:
        return
    _watched = True
    end = os._exit

    @functools.wraps(end)
    def leave_and_end(status: int) -> NoReturn:
        try:
            _leave()
        finally:
            end(status)

    setattr(os, "_exit", leave_and_end)


def waited(wait: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call what waits; its time counts as waiting of the task that runs here, if one does."""
    begun = time.perf_counter_ns()
    try:
        return wait(*args, **kwargs)
    finally:
        _waited(time.perf_counter_ns() - begun)
