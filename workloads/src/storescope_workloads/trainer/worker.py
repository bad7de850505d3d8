# SPDX-License-Identifier: Apache-2.0
"""``python -m storescope_workloads.trainer.worker JOB``: one of several workers of this host, started by :mod:`.supervise`.

``JOB`` is JSON: ``plan`` and ``cluster``. The last line of stdout is JSON, too: ``{"told": …}``, or ``{"error", "code", "lost"}``.
The process ends when its stdin does, which its parent holds."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import nullcontext
from typing import Any

from storescope import StoreError

from ..errors import FAILED, WorkloadError
from ..progress import Bars
from ..scan.job import Watch as Progress
from .cluster import Cluster
from .plan import Plan

_tell_once = threading.Lock()


def main(job: dict[str, Any]) -> int:
    """Trains, and tells how it ended."""
    # Ctrl-C is the parent's, which then sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from .train import Setting, train

    plan, cluster = Plan.from_json(job["plan"]), Cluster.from_json(job["cluster"])
    with Bars() if cluster.index == 0 else nullcontext(Progress()) as progress:
        try:
            # Its import is no part of the figures, as where one process trains.
            from . import models  # noqa: F401

            tell({"told": train(plan, Setting(cluster, progress, _lost))})
            return 0
        except WorkloadError as error:
            return tell({"error": str(error), "code": error.code, "lost": False})
        except (StoreError, OSError) as error:
            return tell({"error": str(error), "code": FAILED, "lost": False})
        except Exception as error:
            traceback.print_exc()
            return tell({"error": f"{type(error).__name__}: {error}", "code": FAILED, "lost": False})


def tell(outcome: dict[str, Any]) -> int:
    """Writes the outcome, once: what is told first counts. Gives the exit code."""
    if not _tell_once.acquire(blocking=False):
        # Another thread tells it, and ends the process.
        threading.Event().wait()
    data = json.dumps(outcome).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]
    return int(outcome.get("code", 0))


def _lost(why: str) -> None:
    tell({"error": why, "code": FAILED, "lost": True})
    os._exit(FAILED)


def _end_with_parent() -> None:
    while os.read(0, 1 << 10):
        pass
    os._exit(FAILED)


if __name__ == "__main__":
    sys.stdout.flush()
    code = main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    # Threads of TensorFlow's servers would wait for other workers.
    os._exit(code)
