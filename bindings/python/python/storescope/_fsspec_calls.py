# SPDX-License-Identifier: Apache-2.0
"""The blocking twins of a filesystem's coroutines, which raise what the coroutines raise.

fsspec's own raise an `FSTimeoutError` without a word where a coroutine raises any `TimeoutError`, a store's time-out included:
its message, and what it says of the request, would be lost.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any

from fsspec import asyn  # type: ignore[import-untyped]
from fsspec.exceptions import FSTimeoutError  # type: ignore[import-untyped]

from ._errors import StoreTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _of_the_store() -> Iterator[None]:
    try:
        yield
    except FSTimeoutError as error:
        if isinstance(error.__cause__, StoreTimeoutError):
            raise error.__cause__ from None
        raise


def _raising(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def raising(*args: Any, **kwargs: Any) -> Any:
        with _of_the_store():
            return call(*args, **kwargs)

    return raising


def _raising_each(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def raising(*args: Any, **kwargs: Any) -> Any:
        with _of_the_store():
            yield from call(*args, **kwargs)

    return raising


def sync_wrapper(method: Callable[..., Any]) -> Callable[..., Any]:
    """The blocking twin of a coroutine of a class."""
    return _raising(asyn.sync_wrapper(method))


def mirror(filesystem: Any) -> None:
    """Gives a filesystem the blocking twins of its coroutines, as fsspec does."""
    asyn.mirror_sync_methods(filesystem)
    for name, call in list(vars(filesystem).items()):
        method = getattr(filesystem, f"_{name}", None)
        if iscoroutinefunction(method):
            setattr(filesystem, name, _raising(call))
        elif isasyncgenfunction(method):
            setattr(filesystem, name, _raising_each(call))
    # What others see: it has them.
    filesystem.mirror_sync_methods = True
