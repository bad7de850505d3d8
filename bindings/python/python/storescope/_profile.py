# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: what runs inside a `with`, request by request and phase by phase."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from ._storescope import Scope, Snapshot

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes

_CURRENT: ContextVar[Scope | None] = ContextVar("storescope.profile", default=None)

# The phases of a request, in the order in which they pass.
_PHASES = ("queue", "prepare", "sign", "pool", "dns", "connect", "tls", "send", "ttfb", "body", "paused", "total")


class Profile:
    """What was recorded inside a `with storescope.profile()`.

    It applies to this thread and to what inherits its context (tasks of asyncio, fsspec's loop); stores and readers may be
    older than it. Two at once in two threads do not mix; one inside another records in both. It pickles with what it has
    so far, and profiles of many workers add up: `sum(profiles, start=storescope.Profile())`.
    """

    def __init__(self, name: str = "profile", recorded: Snapshot | None = None) -> None:
        self.name = name
        self._recorded = recorded or Snapshot()
        self._scope: Scope | None = None
        self._entered: list[Token[Scope | None]] = []

    def __enter__(self) -> Profile:
        if self._scope is None:
            self._scope = Scope(self.name, _CURRENT.get())
        self._entered.append(_CURRENT.set(self._scope))
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._entered.pop())

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
            file.write(self.snapshot().to_html(self.name))

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

    def __add__(self, other: Profile) -> Profile:
        if not isinstance(other, Profile):
            return NotImplemented
        return Profile(self.name, self.snapshot() + other.snapshot())

    def __reduce__(self) -> tuple[Any, ...]:
        return Profile, (self.name, self.snapshot())

    def _repr_html_(self) -> str:
        return self.snapshot().to_html_fragment(self.name)

    def __repr__(self) -> str:
        seen = self.snapshot()
        return (
            f"<storescope.Profile {self.name!r}: {seen.requests} requests, {_bytes(seen.bytes_received)} received, "
            f"{seen.caller_wait:.3f} s waited>"
        )


class Table(list[dict[str, Any]]):
    """Rows of a profile; `str` of it is a table."""

    def __init__(self, profile: Profile) -> None:
        seen = profile.snapshot()
        self._about = (
            f"{profile.name}: {seen.requests} requests, {_bytes(seen.bytes_asked)} asked, "
            f"{_bytes(seen.bytes_received)} received, {_bytes(seen.bytes_wasted)} wasted, "
            f"{seen.caller_wait:.3f} s waited by callers"
        )
        super().__init__(_rows(seen))

    def __str__(self) -> str:
        lines = [self._about, ""]
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


def profile(name: str = "profile") -> Profile:
    """Record the requests that are made inside a `with`.

    >>> with storescope.profile("open") as p:                      # doctest: +SKIP
    ...     tree = uproot.open("oci://lake@ns/events.root:Events")
    >>> print(p.table())                                           # doctest: +SKIP
    """
    return Profile(name)
