# SPDX-License-Identifier: Apache-2.0
"""Workers watch each other over TCP: all join before training begins, and a worker that is lost ends all. No TensorFlow.

A collective operation waits for ever for a worker that has ended. So worker 0 listens, each other worker holds a connection to
it, and both send a heartbeat. Worker 0 tells all what happened; each process prints it and ends, from a thread, whatever its main
thread waits for.

Messages are lines of JSON with one key::

    worker to 0   hello {worker, host, pid, identity}, done REPORT, failed TEXT, beat
    0 to worker   go NEWS, end TEXT, released, beat
"""

from __future__ import annotations

import faulthandler
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import WorkloadError

#: Bytes of a message at most: the first of a connection, and later ones.
HELLO, MESSAGE = 64 << 10, 64 << 20


@dataclass(frozen=True)
class Timing:
    """Seconds.

    Attributes:
        join: Until all workers have joined.
        silence: Without a sign of a worker after which it is lost.
        beat: Between two heartbeats.
    """

    join: float = 120.0
    silence: float = 15.0
    beat: float = 2.0


@dataclass(frozen=True)
class Seat:
    """This process's place.

    Attributes:
        worker: Its index.
        workers: How many there are.
        address: ``host:port`` where worker 0 listens.
        names: ``host:port`` of each worker's TensorFlow, as messages name workers that have not joined.
        identity: What must be the same in all workers, by name.
    """

    worker: int
    workers: int
    address: str
    names: tuple[str, ...]
    identity: Mapping[str, Any] = field(default_factory=dict)

    def name(self, worker: int) -> str:
        """As messages name a worker that has not joined."""
        return f"worker {worker} ({self.names[worker]})"


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Ends the process with code 1 and a traceback where the block takes longer. For what holds the interpreter's lock, so that
    no thread of Python can: TensorFlow, while it waits for the other workers to come."""
    # Kept for faulthandler, whatever sys.stderr is by then.
    with open(os.dup(2), "w") as told:
        faulthandler.dump_traceback_later(seconds, exit=True, file=told)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


class Lost(WorkloadError):
    """A worker is lost, or failed: which, and why."""


class Watch:
    """A worker's part in it.

    Args:
        seat: Its place.
        on_lost: Called once, from a thread, when training cannot go on, with what happened. Must end the process.
        timing: Seconds.
    """

    def __init__(self, seat: Seat, on_lost: Callable[[str], None], timing: Timing | None = None) -> None:
        self._seat = seat
        self._timing = timing or Timing()
        self._on_lost = on_lost
        self._state = threading.Condition()
        self._links: dict[int, _Link] = {}
        #: Of worker 0: all connections that it serves, those that have not said who they are among them.
        self._served: set[_Link] = set()
        self._reports: dict[int, Any] = {}
        self._why: str | None = None
        self._joined = self._released = self._ended = False
        self._news: Any = None
        self._listener: socket.socket | None = None

    def join(self, news: Any = None) -> Any:
        """Waits until all workers have joined.

        Args:
            news: Of worker 0: JSON that all get.

        Returns:
            The news.

        Raises:
            WorkloadError: A worker did not come in time, or differs: names it.
        """
        if self._seat.workers == 1:
            return news
        threading.Thread(target=self._tick, name="watch", daemon=True).start()
        try:
            if self._seat.worker == 0:
                self._gather(news)
            else:
                self._connect()
        except BaseException as error:
            self.fail(str(error) or type(error).__name__)
            self.close()
            raise
        return self._news

    def done(self, report: Any) -> list[Any]:
        """This worker has trained.

        Args:
            report: JSON for worker 0.

        Returns:
            For worker 0 the reports of all, in their order, once all are done; for others nothing.
        """
        if self._seat.workers == 1:
            return [report]
        if self._seat.worker:
            self._links[0].send({"done": report})
            return []
        with self._state:
            self._reports[0] = report
            self._state.wait_for(lambda: len(self._reports) == self._seat.workers)
            return [self._reports[worker] for worker in range(self._seat.workers)]

    def release(self) -> None:
        """Worker 0 has written all: the others may end. They wait here for that."""
        if self._seat.workers > 1:
            with self._state:
                if self._seat.worker == 0:
                    self._released = True
                else:
                    self._state.wait_for(lambda: self._released)
            if self._seat.worker == 0:
                for link in list(self._links.values()):
                    link.send({"released": True})
        self.close()

    def fail(self, why: str) -> None:
        """Tells all workers that this one has failed. They end."""
        with self._state:
            if self._ended:
                return
            self._ended = True
        who = f"worker {self._seat.worker} ({_self()}) failed: {why}"
        for link in list(self._links.values()):
            link.send({"end": who} if self._seat.worker == 0 else {"failed": why})

    def settle(self, seconds: float) -> None:
        """Waits whether another worker turns out to be lost: the process ends meanwhile if so."""
        if self._seat.workers > 1:
            time.sleep(seconds)

    def close(self) -> None:
        """Ends the watch; what comes later is no news."""
        with self._state:
            self._ended = True
            self._state.notify_all()
        if self._listener is not None:
            self._listener.close()
        for link in [*self._links.values(), *self._served]:
            link.close()

    # Worker 0.

    def _gather(self, news: Any) -> None:
        host, port = split(self._seat.address)
        try:
            self._listener = _listen(host, port)
        except OSError as error:
            raise WorkloadError(f"worker 0 cannot listen on {self._seat.address}: {error}; choose another --watch-port") from error
        threading.Thread(target=self._accept, args=(self._listener,), name="watch-accept", daemon=True).start()
        others = set(range(1, self._seat.workers))
        with self._state:
            self._state.wait_for(lambda: self._why is not None or others <= set(self._links), self._timing.join)
            missing = sorted(others - set(self._links))
            if self._why is None and not missing:
                self._joined, self._news = True, news
        if self._why is not None:
            raise Lost(self._why)
        if missing:
            raise WorkloadError(
                f"{_list([self._seat.name(worker) for worker in missing])} did not connect to worker 0 at {self._seat.address} "
                f"within {self._timing.join:g} s: see whether it runs, and whether it can reach that address"
            )
        for link in list(self._links.values()):
            link.send({"go": news})

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            link = _Link(connection, self._timing)
            with self._state:
                if self._ended:
                    link.close()
                    return
                self._served.add(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: _Link) -> None:
        try:
            self._listen_to(link)
        finally:
            link.close()
            with self._state:
                self._served.discard(link)

    def _listen_to(self, link: _Link) -> None:
        hello = (link.receive(HELLO) or {}).get("hello")
        if hello is None or not _is_hello(hello, self._seat.workers):
            # Something else that connects to ports: no worker.
            return
        link.who = f"worker {hello['worker']} ({hello['host']}, pid {hello['pid']})"
        wrong = self._wrong(hello, link.who)
        if wrong is not None:
            link.send({"end": wrong})
            self._lost(wrong)
            # It closes when it has read why: closed here, with a heartbeat of it unread, the connection is reset and the reason lost.
            while link.receive(MESSAGE) is not None:
                pass
            return
        with self._state:
            self._links[hello["worker"]] = link
            self._state.notify_all()
        while (message := link.receive(MESSAGE)) is not None:
            if "failed" in message:
                self._lost(f"{link.who} failed: {message['failed']}")
                return
            if "done" in message:
                with self._state:
                    self._reports[hello["worker"]] = message["done"]
                    self._state.notify_all()
        if not self._released:
            self._lost(f"{link.who} was lost: {link.why}")

    def _wrong(self, hello: dict[str, Any], who: str) -> str | None:
        if hello["worker"] in self._links:
            return f"{who} has the index of {self._links[hello['worker']].who}, which joined before: give each worker its own"
        own, its = dict(self._seat.identity), dict(hello["identity"])
        different = [
            f"{name} is {its.get(name)!r} there and {own.get(name)!r} here"
            for name in sorted({*own, *its})
            if own.get(name) != its.get(name)
        ]
        if different:
            return f"{who} differs from worker 0 ({_self()}): {'; '.join(different)}. All workers need the same options and data"
        return None

    # The others.

    def _connect(self) -> None:
        link = _reach(self._seat, self._timing)
        link.who = f"worker 0 ({self._seat.address})"
        self._links[0] = link
        hello = {
            "worker": self._seat.worker, "host": socket.gethostname(), "pid": os.getpid(), "identity": dict(self._seat.identity)
        }
        link.send({"hello": hello})
        message = link.receive(MESSAGE)
        if message is None:
            raise Lost(f"{link.who} ended before all workers had joined: {link.why}")
        if "end" in message:
            raise Lost(str(message["end"]))
        if "go" not in message:
            raise Lost(f"{link.who} is no worker of this training: something else listens there; choose another --watch-port")
        self._news = message["go"]
        self._joined = True
        threading.Thread(target=self._follow, args=(link,), name="watch-follow", daemon=True).start()

    def _follow(self, link: _Link) -> None:
        while (message := link.receive(MESSAGE)) is not None:
            if "end" in message:
                self._lost(str(message["end"]))
                return
            if "released" in message:
                with self._state:
                    self._released = True
                    self._state.notify_all()
                return
        self._lost(f"{link.who} was lost: {link.why}")

    # All.

    def _tick(self) -> None:
        while True:
            with self._state:
                if self._state.wait_for(lambda: self._ended, self._timing.beat):
                    return
            for link in list(self._links.values()):
                link.send({"beat": 1})

    def _lost(self, why: str) -> None:
        with self._state:
            if self._ended or self._why is not None:
                return
            self._why = why
            joined = self._joined
            self._state.notify_all()
        if self._seat.worker == 0:
            for link in list(self._links.values()):
                link.send({"end": why})
        if joined:
            self._on_lost(why)


class _Link:
    """A connection: lines of JSON, in both directions."""

    def __init__(self, connection: socket.socket, timing: Timing) -> None:
        self._socket = connection
        self._silence = timing.silence
        self._lock = threading.Lock()
        self._held = b""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timing.silence)
        #: As messages name the other end.
        self.who = ""
        #: Why :meth:`receive` gave nothing.
        self.why = ""

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; that it did not arrive is noticed where messages are received."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError:
            return

    def receive(self, most: int) -> dict[str, Any] | None:
        """The next message that is no heartbeat; ``None`` where the connection ended, or nothing came."""
        try:
            while True:
                line, found, rest = self._held.partition(b"\n")
                if found:
                    self._held = rest
                    message = json.loads(line)
                    if not isinstance(message, dict):
                        raise ValueError("no message")
                    if "beat" not in message:
                        return message
                    continue
                if len(self._held) > most:
                    raise ValueError("too long")
                more = self._socket.recv(1 << 16)
                if not more:
                    self.why = "its process ended or its connection was closed"
                    return None
                self._held += more
        except TimeoutError:
            self.why = f"no sign of it for {self._silence:g} s"
        except (OSError, ValueError) as error:
            self.why = str(error)
        return None

    def close(self) -> None:
        """Ends the connection."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


def split(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; IPv6 in brackets.

    Raises:
        ValueError: It is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _listen(host: str, port: int) -> socket.socket:
    if host in ("localhost", "127.0.0.1", "::1"):
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _reach(seat: Seat, timing: Timing) -> _Link:
    host, port = split(seat.address)
    until = time.monotonic() + timing.join
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=max(min(10.0, until - time.monotonic()), 0.1))
            if connection.getsockname() != connection.getpeername():
                return _Link(connection, timing)
            # TCP connects a port to itself where nothing listens on it and the system chose it for this end, too. Reset, so that
            # worker 0 can have the port.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        except OSError as error:
            if time.monotonic() + 0.2 >= until:
                raise WorkloadError(
                    f"worker {seat.worker} could not reach worker 0 at {seat.address} within {timing.join:g} s: {error}. See "
                    "whether worker 0 runs, and whether the address is right"
                ) from error
            time.sleep(0.2)


def _is_hello(hello: Any, workers: int) -> bool:
    return (
        isinstance(hello, dict)
        and type(hello.get("worker")) is int
        and 0 < hello["worker"] < workers
        and isinstance(hello.get("host"), str)
        and type(hello.get("pid")) is int
        and isinstance(hello.get("identity"), dict)
    )


def _self() -> str:
    return f"{socket.gethostname()}, pid {os.getpid()}"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
