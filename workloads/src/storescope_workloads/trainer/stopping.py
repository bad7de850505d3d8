# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: training stops after the step it is in, with a checkpoint."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from ..errors import WorkloadError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: The exit code of a command that was interrupted.
INTERRUPTED = 130


class Interrupted(WorkloadError):
    """A signal ended it; says what to do to go on."""

    code = INTERRUPTED


class Stop:
    """For a ``with``: signals raise :class:`Interrupted` at once; after :meth:`hold` the first sets :attr:`asked`, and a second
    one ends the process."""

    def __init__(self) -> None:
        #: A signal came.
        self.asked = False
        #: Training has begun.
        self.held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _SIGNALS}
            self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From now on a signal only sets :attr:`asked`."""
        self.held = True
        self.install()

    def install(self) -> None:
        """Takes the signals, again after something else has: TensorFlow's coordination of workers takes SIGTERM."""
        for number in self._before:
            signal.signal(number, self._signal)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self.held:
            raise Interrupted(f"interrupted by {name} before training began")
        if self.asked:
            # The main thread may wait in TensorFlow, where no exception reaches it.
            os.write(2, b"interrupted again: ended at once, without a checkpoint\n")
            os._exit(INTERRUPTED)
        self.asked = True
