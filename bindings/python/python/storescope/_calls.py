# SPDX-License-Identifier: Apache-2.0
"""Python's side of what ends in the background.

It is Python, so that what is called from here runs on threads of Python alone: where the interpreter ends while one of
them is at it, Python stops that thread, which it cannot do with native code beneath.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator


class Calls(Protocol):
    """The calls to be made, as they arrive."""

    def __iter__(self) -> Iterator[tuple[Callable[..., object], tuple[Any, ...]]]: ...

    def failed(self, error: BaseException, called: object, /) -> None:
        """Report what a call raised."""


class Task(Protocol):
    """A call under way."""

    def cancel(self) -> None: ...


_ENDING = "storescope: the interpreter is ending"


class _Refused:
    """What a loop of asyncio awaits instead of a call, once the interpreter ends."""

    def __await__(self) -> Generator[Any, Any, Any]:
        import asyncio

        yield from asyncio.sleep(_silence()).__await__()
        raise RuntimeError(_ENDING)


REFUSED = _Refused()

# Loops on other threads are not told of the end at once: most processes are gone by then, and have not said that a task
# failed. Where a handler of `atexit` waits for such a loop, it does so no longer than that.
_SILENCE = 1.0
_silent_until: float | None = None


def _silence() -> float:
    """The seconds that are left of it."""
    global _silent_until
    now = time.monotonic()
    if _silent_until is None:
        _silent_until = now + _SILENCE
    return max(_silent_until - now, 0.0)


def run(calls: Calls) -> None:
    """Make the calls, on the thread that is there for them."""
    call: Any
    arguments: Any
    for call, arguments in calls:
        try:
            call(*arguments)
        except BaseException as error:
            calls.failed(error, call)
        # Nothing is kept alive until the next one comes.
        del call, arguments


def tell(waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]], value: Any, failed: bool) -> None:
    """End a future, from another thread than its loop's."""
    event_loop, future = waiter
    with contextlib.suppress(RuntimeError):  # The loop was closed: nobody awaits any more.
        event_loop.call_soon_threadsafe(_settle, future, value, failed)


def give_up(waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]], ending: bool) -> None:
    """End a future whose call was dropped."""
    event_loop, future = waiter
    if future.done():
        return  # It was cancelled.
    error = RuntimeError(_ENDING if ending else "storescope: the call ended without an answer")
    with contextlib.suppress(RuntimeError):
        event_loop.call_soon_threadsafe(event_loop.call_later, _silence() if ending else 0, _settle, future, error, True)


def _settle(future: asyncio.Future[Any], value: Any, failed: bool) -> None:
    if future.done():
        return
    if failed:
        future.set_exception(value)
    else:
        future.set_result(value)


def cancelling(task: Task) -> Callable[[asyncio.Future[Any]], None]:
    """What cancels a call when its future was."""

    def cancel(future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            task.cancel()

    return cancel
