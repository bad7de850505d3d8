# SPDX-License-Identifier: Apache-2.0
"""What processes of a pool share: they end with their parent, and Ctrl-C is the parent's alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait


@contextmanager
def starting() -> Iterator[None]:
    """Processes that are started in the ``with`` do not get Ctrl-C, from their first instruction on; this process gets it at
    the end of the ``with``."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Who starts it later unblocks the signal.
    resource_tracker.ensure_running()
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


def begin() -> None:
    """In a new process, first of all: it ignores Ctrl-C, and ends when its parent does, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
