# SPDX-License-Identifier: Apache-2.0
"""Starts workers of this host, waits for them, and tells which one failed. No TensorFlow."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any

from ..errors import FAILED, WorkloadError
from .cluster import Cluster, local
from .plan import Plan
from .stopping import INTERRUPTED, Interrupted

#: Seconds that workers have to end by themselves after one has failed.
GRACE = 10.0
#: Bytes of a worker's log that an error shows.
_TAIL = 2_000


@dataclass(frozen=True)
class _Ended:
    """A worker that ended: its exit code, negative for a signal, and what it told."""

    index: int
    code: int
    outcome: dict[str, Any]


def run_local(plan: Plan, workers: int) -> dict[str, Any]:
    """Trains with processes of this host.

    Returns:
        What ``train.json`` holds.

    Raises:
        WorkloadError: A worker failed, or was killed: names it. None is left.
        Interrupted: A signal came; worker 0 has written a checkpoint.
    """
    with ExitStack() as held:
        group = _Group(plan, local(workers), held)
        held.callback(group.close)
        held.enter_context(_Forward(group))
        ended = group.wait()
    if not any(one.code for one in ended):
        return dict(next(one.outcome["told"] for one in ended if one.index == 0))
    raise group.error(ended)


class _Group:
    def __init__(self, plan: Plan, clusters: list[Cluster], held: ExitStack) -> None:
        self._ended: queue.Queue[_Ended] = queue.Queue()
        self._logs: list[IO[bytes] | None] = []
        self._workers: list[subprocess.Popen[bytes]] = []
        self._addresses = clusters[0].addresses
        self._out = plan.out
        #: A signal was passed on to the workers.
        self.asked = False
        self._killed: set[int] = set()
        for cluster in clusters:
            log = held.enter_context(tempfile.TemporaryFile()) if cluster.index else None
            self._logs.append(log)
            self._workers.append(self._start(plan, cluster, log))

    def _start(self, plan: Plan, cluster: Cluster, log: IO[bytes] | None) -> subprocess.Popen[bytes]:
        job = json.dumps({"plan": plan.to_json(), "cluster": cluster.to_json()})
        environment = {**os.environ}
        environment.pop("TF_CONFIG", None)
        # What a worker that is lost leaves in the others' logs says less than the message.
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        environment.setdefault("GRPC_VERBOSITY", "NONE")
        if plan.device == "gpu":
            environment["CUDA_VISIBLE_DEVICES"] = gpu_of(cluster.index, os.environ.get("CUDA_VISIBLE_DEVICES"))
        elif plan.device == "auto":
            # Processes cannot share a GPU.
            environment["CUDA_VISIBLE_DEVICES"] = "-1"
        process = subprocess.Popen(
            [sys.executable, "-m", "storescope_workloads.trainer.worker", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, env=environment, start_new_session=True,
        )
        threading.Thread(target=self._follow, args=(cluster.index, process), daemon=True).start()
        return process

    def _follow(self, index: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        code = process.wait()
        process.stdout.close()
        try:
            outcome = json.loads(lines[-1])
        except (IndexError, ValueError):
            outcome = {}
        self._ended.put(_Ended(index, code, outcome if isinstance(outcome, dict) else {}))

    def wait(self) -> list[_Ended]:
        """Waits until all have ended, in the order in which they did; after one has failed not for long."""
        ended: list[_Ended] = []
        until: float | None = None
        while len(ended) < len(self._workers):
            try:
                ended.append(self._ended.get(timeout=None if until is None else max(until - time.monotonic(), 0.01)))
            except queue.Empty:
                self.kill()
                until = None
                continue
            if ended[-1].code and until is None:
                until = time.monotonic() + GRACE
        return ended

    def signal(self, number: int) -> None:
        """Sends a signal to those that run."""
        for process in self._workers:
            if process.poll() is None:
                process.send_signal(number)

    def kill(self) -> None:
        """Ends those that run."""
        self._killed |= {index for index, process in enumerate(self._workers) if process.poll() is None}
        self.signal(signal.SIGKILL)

    def close(self) -> None:
        """Ends those that run, and waits for them."""
        self.kill()
        for process in self._workers:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def error(self, ended: list[_Ended]) -> WorkloadError:
        """What went wrong: the first that was killed from outside, else the first that tells a reason of its own."""
        failed = [one for one in ended if one.code]
        themselves = [one for one in failed if one.index not in self._killed] or failed
        own = (
            [one for one in themselves if one.code < 0]
            or [one for one in themselves if not one.outcome.get("lost")]
            or themselves
        )
        first = own[0]
        pid = self._workers[first.index].pid
        who = f"worker {first.index} of {len(self._workers)} ({self._addresses[first.index]}, pid {pid})"
        if first.code == INTERRUPTED:
            # Worker 0 knows the checkpoint.
            texts = {one.index: str(one.outcome.get("error")) for one in failed if one.code == INTERRUPTED}
            return Interrupted(texts.get(0, texts[first.index]))
        if self.asked and all(one.code in (-signal.SIGTERM, INTERRUPTED) or one.outcome.get("lost") for one in failed):
            return Interrupted("interrupted before training began")
        if first.code < 0:
            return WorkloadError(
                f"{who} was ended by {signal.Signals(-first.code).name}; the others have ended, too. Give --resume to go on from the "
                f"newest checkpoint in {self._out}"
            )
        told = first.outcome.get("error")
        if told is None:
            return WorkloadError(f"{who} ended with code {first.code}: {self._tail(first.index)}")
        error = WorkloadError(str(told) if first.outcome.get("lost") else f"{who}: {told}")
        error.code = first.outcome.get("code", FAILED)
        return error

    def _tail(self, index: int) -> str:
        log = self._logs[index]
        if log is None:
            return "see above"
        log.seek(0)
        return log.read()[-_TAIL:].decode(errors="replace").strip() or "it said nothing"


def gpu_of(index: int, visible: str | None) -> str:
    """The GPU of a worker: of those that ``CUDA_VISIBLE_DEVICES`` leaves to this command, where it is set; -1 is none."""
    if visible is None:
        return str(index)
    names = [name.strip() for name in visible.split(",")]
    return names[index] if index < len(names) and names[index] else "-1"


class _Forward:
    """Ctrl-C and SIGTERM of this process become SIGTERM of the workers; a second one kills them."""

    def __init__(self, group: _Group) -> None:
        self._group = group
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Forward:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        if self._group.asked:
            self._group.kill()
            raise Interrupted("interrupted again: the workers were killed, without a checkpoint")
        self._group.asked = True
        self._group.signal(signal.SIGTERM)
