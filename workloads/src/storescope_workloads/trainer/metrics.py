# SPDX-License-Identifier: Apache-2.0
"""What a worker tells Prometheus while it trains, over HTTP: steps, what they waited for data, and the figures of epochs.

The reads themselves are told by the wheel's own endpoint (``STORESCOPE_METRICS_ENDPOINT``)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import UsageError

#: Upper bounds of buckets, in seconds.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "storescope_trainer_"
#: Figures of an epoch, by their names in train.json.
_EPOCH = {
    "epoch": "Epochs that ended.", "loss": "Training loss of the last epoch.", "accuracy": "Training accuracy of the last epoch.",
    "test_loss": "Test loss of the last epoch.", "test_accuracy": "Test accuracy of the last epoch.",
    "learning_rate": "Learning rate of the last epoch.",
}


class _Times:
    """A histogram of seconds. Not for several threads."""

    def __init__(self, name: str, help_: str) -> None:
        self._name, self._help = name, help_
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float, times: int) -> None:
        """Adds a value, so many times."""
        self._counts[bisect_left(BOUNDS, seconds)] += times
        self._sum += seconds * times

    def lines(self) -> list[str]:
        """As Prometheus' text."""
        name, seen = _PREFIX + self._name, 0
        lines = [f"# HELP {name} {self._help}", f"# TYPE {name} histogram"]
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            seen += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {seen}')
        return [*lines, f"{name}_sum {self._sum:.9f}", f"{name}_count {seen}"]


class Metrics:
    """The figures of a worker."""

    def __init__(self, worker: int = 0, workers: int = 1) -> None:
        self._lock = threading.Lock()
        self._worker, self._workers = worker, workers
        self._step = _Times("step_seconds", "Wall time of a step, its wait for data included.")
        self._wait = _Times("data_wait_seconds", "Time for which a step had no batch.")
        self._counters = {"steps": 0, "events": 0}
        self._gauges: dict[str, float] = {}

    def stepped(self, steps: int, events: int, seconds: float, wait_s: float) -> None:
        """Steps were taken.

        Args:
            events: Of this worker.
            seconds, wait_s: Of the steps together.
        """
        with self._lock:
            self._step.add(seconds / steps, steps)
            self._wait.add(wait_s / steps, steps)
            self._counters["steps"] += steps
            self._counters["events"] += events

    def epoch(self, told: Mapping[str, Any]) -> None:
        """An epoch ended with these figures."""
        with self._lock:
            self._gauges |= {name: float(told[name]) for name in _EPOCH if told[name] is not None}

    def text(self) -> str:
        """As Prometheus' text, 0.0.4."""
        with self._lock:
            lines = [*self._step.lines(), *self._wait.lines()]
            for name, count in self._counters.items():
                lines += [f"# HELP {_PREFIX}{name}_total {name.capitalize()} that this worker trained with.",
                          f"# TYPE {_PREFIX}{name}_total counter", f"{_PREFIX}{name}_total {count}"]
            for name, value in self._gauges.items():
                lines += [f"# HELP {_PREFIX}{name} {_EPOCH[name]}", f"# TYPE {_PREFIX}{name} gauge", f"{_PREFIX}{name} {value!r}"]
            name = f"{_PREFIX}worker_info"
            lines += [f"# HELP {name} Which of the workers this is.", f"# TYPE {name} gauge",
                      f'{name}{{worker="{self._worker}",workers="{self._workers}"}} 1']
        return "\n".join(lines) + "\n"


class Endpoint:
    """Serves ``/metrics`` while a ``with`` block runs.

    Args:
        address: ``PORT`` of 127.0.0.1 or ``HOST:PORT``; ``FIRST-LAST`` in place of a port takes the first that is free. ``None``:
            nothing is served.

    Raises:
        UsageError: The address is none, or no port is free.
    """

    def __init__(self, address: str | None, metrics: Metrics) -> None:
        self._metrics = metrics
        self._server: ThreadingHTTPServer | None = None
        if address is not None:
            self._server = self._listen(address)

    def _listen(self, address: str) -> ThreadingHTTPServer:
        host, ports = parse(address)
        wrong: OSError | None = None
        for port in ports:
            try:
                server = _Server((host, port), _handler(self._metrics))
                server.daemon_threads = True
                return server
            except OSError as error:
                wrong = error
        raise UsageError(f"--metrics {address}: cannot listen there: {wrong}; give another port, or a range: 9480-9489")

    @property
    def port(self) -> int | None:
        """Where it listens."""
        return self._server.server_port if self._server is not None else None

    def __enter__(self) -> Endpoint:
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    # Newer versions of Python let two processes listen on one port.
    allow_reuse_port = False


def parse(address: str) -> tuple[str, range]:
    """Host and ports of an address.

    Raises:
        UsageError: It is none.
    """
    host, _, ports = address.rpartition(":")
    first, _, last = ports.partition("-")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found or not (0 <= found[0] and found[-1] < 1 << 16):
        raise UsageError(f"--metrics {address}: is neither a port, nor an address with a port or ports, such as 0.0.0.0:9480-9489")
    return host or "127.0.0.1", found


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            found = self.path.split("?")[0] == "/metrics"
            body = (metrics.text() if found else "There is /metrics.\n").encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing of requests."""

    return Handler
