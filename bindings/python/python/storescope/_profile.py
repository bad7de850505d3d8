# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: what runs inside a `with`, request by request and phase by phase."""

from __future__ import annotations

import functools
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from ._storescope import Scope, Snapshot, _unrecorded

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")
    _R = TypeVar("_R")

_CURRENT: ContextVar[Scope | None] = ContextVar("storescope.profile", default=None)
# The scopes to return to.
_OUTER: ContextVar[tuple[Scope | None, ...]] = ContextVar("storescope.profile.outer", default=())
# Of the profiles that are open with `threads=True`. The last records what is in no context with a profile.
_OF_ALL_THREADS: list[Scope] = []

# The phases of a request, in the order in which they pass.
_PHASES = ("queue", "prepare", "sign", "pool", "dns", "connect", "tls", "send", "ttfb", "body", "paused", "total")


class Profile:
    """What was recorded inside a `with storescope.profile()`.

    It applies to this thread and to what inherits its context: tasks of asyncio, `asyncio.to_thread`, fsspec's loop. Other
    threads, such as those of a `ThreadPoolExecutor`, have contexts of their own: `wrap` takes a profile there, and
    `threads=True` records all threads. Calls that are in no profile are counted in `unrecorded`, and the table names them.

    Stores and readers may be older than a profile. Two at once in two threads do not mix; one inside another records in
    both. It pickles with what it has so far, and profiles of many workers add up: `sum(profiles)`.
    """

    def __init__(
        self,
        name: str = "profile",
        recorded: Snapshot | None = None,
        *,
        threads: bool = False,
        unrecorded: int = 0,
    ) -> None:
        self.name = name
        self.threads = threads
        self._recorded = recorded or Snapshot()
        self._scope: Scope | None = None
        self._lock = threading.Lock()
        # How often it is entered now, and the process's unrecorded calls when it was first.
        self._entered = 0
        self._began = 0
        self._unrecorded = unrecorded

    def __enter__(self) -> Profile:
        with self._lock:
            if self._scope is None:
                outer = _CURRENT.get() or next(reversed(_OF_ALL_THREADS), None)
                self._scope = Scope(self.name, outer)
            if self._entered == 0:
                self._began = _unrecorded()
                if self.threads:
                    _OF_ALL_THREADS.append(self._scope)
            self._entered += 1
        _OUTER.set((*_OUTER.get(), _CURRENT.get()))
        _CURRENT.set(self._scope)
        return self

    def __exit__(self, *_: object) -> None:
        outer = _OUTER.get()
        # There are none where a fixture or generator leaves in another context than it entered.
        _CURRENT.set(outer[-1] if outer else None)
        _OUTER.set(outer[:-1])
        with self._lock:
            self._entered -= 1
            if self._entered == 0:
                self._unrecorded += _unrecorded() - self._began
                if self.threads and self._scope is not None:
                    _OF_ALL_THREADS.remove(self._scope)

    def wrap(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """The same function, recorded in this profile whichever thread calls it.

        >>> with storescope.profile() as p, ThreadPoolExecutor() as pool:      # doctest: +SKIP
        ...     list(pool.map(p.wrap(store.get), keys))
        """

        @functools.wraps(function)
        def recorded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with self:
                return function(*args, **kwargs)

        return recorded

    @property
    def unrecorded(self) -> int:
        """Calls to stores that this process made meanwhile where no profile was active, such as in threads of a pool."""
        with self._lock:
            return self._unrecorded + (_unrecorded() - self._began if self._entered else 0)

    def snapshot(self) -> Snapshot:
        """All that was recorded so far; it may be taken while requests run."""
        if self._scope is None:
            return self._recorded
        return self._recorded + self._scope.snapshot() if self._recorded else self._scope.snapshot()

    @property
    def requests(self) -> int:
        """HTTP requests that were made, retries and hedges included."""
        return self.snapshot().requests

    @property
    def bytes_asked(self) -> int:
        """Bytes that requests asked for, where they said how many."""
        return self.snapshot().bytes_asked

    @property
    def bytes_received(self) -> int:
        """Bytes of payload that reads received."""
        return self.snapshot().bytes_received

    @property
    def bytes_wasted(self) -> int:
        """Bytes received that nobody had asked for, or wanted any more."""
        return self.snapshot().bytes_wasted

    @property
    def caller_wait(self) -> float:
        """Seconds that callers were blocked."""
        return self.snapshot().caller_wait

    def table(self) -> Table:
        """Phases of requests by operation: a list of dicts that prints as text.

        A row has `operation`, `phase`, `count`, and in seconds `sum`, `mean`, `p50`, `p90`, `p99`, `max`.
        """
        return Table(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as an HdrHistogram interval log (`.hlog`)."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.snapshot().to_hlog())

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write it as an HTML page: curves of percentiles, the share of each phase, a table; no scripts."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.snapshot().to_html(self.name).replace("</body>", f"{self._note_html()}</body>"))

    def plot(self, ax: Axes | None = None, operation: str = "get") -> Axes:
        """Draw the percentiles of an operation's requests by matplotlib (extra `notebook`): milliseconds over nines.

        On `ax`, or on a new figure. Returns the axes.
        """
        from matplotlib import pyplot

        if ax is None:
            ax = pyplot.figure(layout="constrained").gca()
        seen = self.snapshot()
        nines = [nine / 20 for nine in range(81)]
        for phase, label in (("ttfb", "first byte"), ("total", "whole request")):
            values = [seen.quantile(1 - 10**-nine, phase, operation) for nine in nines]
            if any(value is None for value in values):
                continue
            ax.plot(nines, [1e3 * value for value in values if value is not None], label=label)
        ax.set_xticks(range(5), ["min", "90 %", "99 %", "99.9 %", "99.99 %"])
        ax.set(yscale="log", xlabel="of requests took at most", ylabel="ms", title=f"{self.name}: {operation}")
        if ax.lines:
            ax.legend()
        return ax

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """Read what `save` wrote."""
        with open(path, encoding="utf-8") as file:
            return cls(str(path), Snapshot(file.read()))

    def __add__(self, other: Profile | Snapshot) -> Profile:
        if isinstance(other, Snapshot):
            return Profile(self.name, self.snapshot() + other, unrecorded=self.unrecorded)
        if isinstance(other, Profile):
            unrecorded = self.unrecorded + other.unrecorded
            return Profile(self.name, self.snapshot() + other.snapshot(), unrecorded=unrecorded)
        return NotImplemented

    def __radd__(self, other: Snapshot | int) -> Profile:
        if isinstance(other, Snapshot):
            return self + other
        # `sum` begins with 0.
        return self + Snapshot() if type(other) is int and other == 0 else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.snapshot(), self.unrecorded)

    def _note(self) -> str:
        """What the profile did not see."""
        count = self.unrecorded
        if count == 0:
            return ""
        return (
            f"not recorded: {count} {'call' if count == 1 else 'calls'} made meanwhile by other threads or tasks, in no "
            "profile; profile(threads=True) records them"
        )

    def _note_html(self) -> str:
        note = self._note()
        return f"<p>{note}</p>" if note else ""

    def _repr_html_(self) -> str:
        return self.snapshot().to_html_fragment(self.name) + self._note_html()

    def __repr__(self) -> str:
        seen = self.snapshot()
        note = f", {self.unrecorded} calls not recorded" if self.unrecorded else ""
        return (
            f"<storescope.Profile {self.name!r}: {seen.requests} requests, {_bytes(seen.bytes_received)} received, "
            f"{seen.caller_wait:.3f} s waited{note}>"
        )


def _restored(name: str, recorded: Snapshot, unrecorded: int) -> Profile:
    return Profile(name, recorded, unrecorded=unrecorded)


class Table(list[dict[str, Any]]):
    """Rows of a profile; `str` of it is a table."""

    def __init__(self, profile: Profile) -> None:
        seen = profile.snapshot()
        self._about = (
            f"{profile.name}: {seen.requests} requests, {_bytes(seen.bytes_asked)} asked, "
            f"{_bytes(seen.bytes_received)} received, {_bytes(seen.bytes_wasted)} wasted, "
            f"{seen.caller_wait:.3f} s waited by callers"
        )
        self._note = profile._note()
        super().__init__(_rows(seen))

    def __str__(self) -> str:
        lines = [self._about, *([self._note] if self._note else []), ""]
        lines.append(f"{'operation':<13} {'phase':<8} {'count':>7} {'p50':>10} {'p90':>10} {'p99':>10} {'max':>10}   ms")
        lines += [
            f"{row['operation']:<13} {row['phase']:<8} {row['count']:>7} "
            + " ".join(f"{row[name] * 1e3:>10.3f}" for name in ("p50", "p90", "p99", "max"))
            for row in self
        ]
        return "\n".join(lines)


def _rows(seen: Snapshot) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    for row in seen.rows():
        if row["level"] != "attempt" or row["outcome"] != "ok" or row["unit"] != "s":
            continue
        at = counts.setdefault((row["operation"], row["phase"]), {"count": 0, "sum": 0.0, "max": 0.0})
        at["count"] += row["count"]
        at["sum"] += row["sum"]
        at["max"] = max(at["max"], row["max"])
    rows = []
    for operation in dict.fromkeys(operation for operation, _ in counts):
        for phase in _PHASES:
            if (operation, phase) not in counts:
                continue
            at = counts[operation, phase]
            quantiles = {f"p{n}": seen.quantile(n / 100, phase, operation) for n in (50, 90, 99)}
            mean = at["sum"] / at["count"]
            rows.append({"operation": operation, "phase": phase, **at, "mean": mean, **quantiles})
    return rows


def _bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def profile(name: str = "profile", *, threads: bool = False) -> Profile:
    """Record the requests that are made inside a `with`.

    `threads`: record those of all threads and tasks, too, that are in no other profile: of a `ThreadPoolExecutor`, of
    dask's threads, of `run_in_executor`. Without it they are counted and not recorded (`Profile.unrecorded`).

    >>> with storescope.profile("open") as p:                      # doctest: +SKIP
    ...     tree = uproot.open("oci://lake@ns/events.root:Events")
    >>> print(p.table())                                           # doctest: +SKIP
    """
    return Profile(name, threads=threads)
