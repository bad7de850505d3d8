# SPDX-License-Identifier: Apache-2.0
"""The picture of a spectrum: pairs against mass, both in logarithms, from what ``histograms.json`` holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from . import spectrum

Values = NDArray[np.float64]

#: Bins that are drawn as one, by the pairs that there must be for it.
_MERGED = ((1_000_000, 1), (100_000, 2), (20_000, 3), (2_000, 5), (0, 10))
#: Simulated data sets with a colour of their own; the smallest are drawn as one.
_OWN = 8
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99")
_OTHER = "#bbbbbb"
_INK = "#222222"


def save_spectrum(histograms: Mapping[str, Any], file: IO[bytes]) -> None:
    """Writes :func:`draw_spectrum` as PNG, 1500 × 900 pixels.

    Args:
        histograms: What is in ``histograms.json``.
    """
    figure = draw_spectrum(histograms)
    FigureCanvasAgg(figure)
    figure.savefig(file, format="png")


def draw_spectrum(histograms: Mapping[str, Any]) -> Figure:
    """Draws the histograms ``log`` of all data sets.

    Measured data are added up and drawn with their statistical errors. Simulated data sets that have a weight are
    stacked below them, scaled by it; those without are drawn as lines, as they were counted. Resonances that stand out
    are labelled.

    Args:
        histograms: What is in ``histograms.json``.
    """
    figure = Figure(figsize=(10, 6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    curves = list(_curves(histograms))
    total = sum((curve.counts for curve in curves), np.zeros(1))
    merged = next(bins for pairs, bins in _MERGED if total.sum() >= pairs)
    edges = np.asarray(histograms["edges"]["log"])[::merged]
    drawn = _Drawn(axes, edges, merged)
    _draw(drawn, curves)
    _scale(axes, drawn, histograms, merged)
    _label(axes, drawn, _looked_at(curves))
    if not total.any():
        axes.text(0.5, 0.5, "no pair passed", transform=axes.transAxes, ha="center", fontsize=16, color=_INK)
    return figure


@dataclass(frozen=True)
class _Curve:
    """A data set's pairs by bin. ``weight`` is ``None`` where it is not known."""

    name: str
    simulated: bool
    weight: float | None
    counts: Values


def _curves(histograms: Mapping[str, Any]) -> Iterator[_Curve]:
    for told in histograms["datasets"]:
        counts = np.asarray(told["histograms"]["log"]["counts"], np.float64)
        yield _Curve(told["name"], told["kind"] == "mc", told["weight"], counts)


def _looked_at(curves: Sequence[_Curve]) -> Values:
    """The counts in which resonances are looked for: measured ones, else what is drawn of simulated ones."""
    measured = [curve.counts for curve in curves if not curve.simulated]
    simulated = [curve.counts * (curve.weight or 1.0) for curve in curves if curve.simulated]
    return np.asarray(sum(measured or simulated, np.zeros(len(curves[0].counts) if curves else 1500)))


class _Drawn:
    """Where curves are drawn, and the highest value in each bin."""

    def __init__(self, axes: Axes, edges: Values, merged: int) -> None:
        self.axes, self.edges = axes, edges
        self._merged = merged
        self.highest = np.zeros(len(edges) - 1)

    def merge(self, counts: Values) -> Values:
        return np.asarray(counts.reshape(-1, self._merged).sum(axis=1))

    def points(self, values: Values, label: str) -> None:
        centres = np.sqrt(self.edges[1:] * self.edges[:-1])
        some = values > 0
        self._reach(values)
        errors = _errors(values[some])
        self.axes.errorbar(
            centres[some], values[some], errors, fmt="o", ms=2.5, lw=0.8, color=_INK, label=label, zorder=5
        )

    def line(self, values: Values, label: str, colour: str, filled: bool = False) -> None:
        self._reach(values)
        if filled:
            self.axes.stairs(values, self.edges, fill=True, color=colour, alpha=0.35, baseline=1e-9)
        self.axes.stairs(values, self.edges, color=colour, lw=1.1, label=label, baseline=None)

    def stack(self, below: Values, values: Values, label: str, colour: str) -> Values:
        above = below + values
        self._reach(above)
        self.axes.stairs(above, self.edges, baseline=np.maximum(below, 1e-9), fill=True, color=colour, label=label)
        return np.asarray(above)

    def _reach(self, values: Values) -> None:
        self.highest = np.maximum(self.highest, values)


def _errors(counts: Values) -> tuple[Values, Values]:
    """Intervals of 68 % of counts, below and above (Gehrels 1986): those of one pair do not reach 0."""
    low = counts * (1 - 1 / (9 * counts) - 1 / (3 * np.sqrt(counts))) ** 3
    more = counts + 1
    high = more * (1 - 1 / (9 * more) + 1 / (3 * np.sqrt(more))) ** 3
    return counts - low, high - counts


def _draw(drawn: _Drawn, curves: Sequence[_Curve]) -> None:
    stacked = [curve for curve in curves if curve.simulated and curve.weight is not None]
    _draw_stack(drawn, stacked)
    lines = [curve for curve in curves if curve.simulated and curve.weight is None]
    for curve, colour in zip(lines, _COLOURS * len(lines), strict=False):
        drawn.line(drawn.merge(curve.counts), f"{curve.name} (as counted)", colour)
    measured = [curve for curve in curves if not curve.simulated]
    if not measured:
        return
    total = drawn.merge(np.asarray(sum(curve.counts for curve in measured)))
    label = measured[0].name if len(measured) == 1 else f"data ({len(measured)} data sets)"
    if stacked or lines:
        drawn.points(total, label)
    elif len(measured) == 1:
        drawn.line(total, label, _COLOURS[0], filled=True)
    else:
        drawn.line(total, "all", _INK)
        for curve, colour in zip(measured, _COLOURS * len(measured), strict=False):
            drawn.line(drawn.merge(curve.counts), curve.name, colour)


def _draw_stack(drawn: _Drawn, curves: Sequence[_Curve]) -> None:
    """The largest on top, so that the small ones can be seen in a logarithm."""
    scaled = [(curve.counts * (curve.weight or 0.0), curve.name) for curve in curves]
    weighted = sorted(scaled, key=lambda one: -one[0].sum())
    own, others = weighted[:_OWN], weighted[_OWN:]
    below = np.zeros(len(drawn.edges) - 1)
    if others:
        small = drawn.merge(np.asarray(sum(counts for counts, _ in others)))
        below = drawn.stack(below, small, f"{len(others)} others", _OTHER)
    for (counts, name), colour in reversed(list(zip(own, _COLOURS, strict=False))):
        below = drawn.stack(below, drawn.merge(counts), name, colour)


def _scale(axes: Axes, drawn: _Drawn, histograms: Mapping[str, Any], merged: int) -> None:
    some = drawn.highest[drawn.highest > 0]
    lowest = max(0.5, some.min() / 2) if len(some) and some.min() >= 1 else (some.min() / 2 if len(some) else 0.5)
    axes.set(xscale="log", yscale="log", xlim=(drawn.edges[0], drawn.edges[-1]))
    axes.set_ylim(max(lowest, 1e-3), max(10.0, 12 * (some.max() if len(some) else 1.0)))
    width = (drawn.edges[1] / drawn.edges[0] - 1) * 100
    axes.set_xlabel("mass of the muon pair [GeV]", fontsize=13)
    axes.set_ylabel(f"pairs per bin of {width:.1f} % of the mass", fontsize=13)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", direction="in", top=True, right=True, labelsize=11)
    luminosity = histograms.get("luminosity_pb")
    if luminosity and any(told["kind"] == "mc" and told["weight"] is not None for told in histograms["datasets"]):
        axes.set_title(f"simulation scaled to {luminosity / 1000:.3g} fb⁻¹", loc="right", fontsize=11, color=_INK)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[::-1], names[::-1], loc="upper left", fontsize=9, frameon=False, ncols=1 + (len(names) > 6))


def _label(axes: Axes, drawn: _Drawn, counts: Values) -> None:
    """Names the resonances that stand out, above their peaks; states of one family that are near are one label."""
    groups: dict[str, list[float]] = {}
    for seen in spectrum.resonances(counts.astype(np.int64)):
        if seen.found and seen.peak is not None:
            family = "Υ(nS)" if seen.resonance.name.startswith("Υ") else seen.resonance.name
            groups.setdefault(family, []).append(seen.resonance.place)
    centres = np.sqrt(drawn.edges[1:] * drawn.edges[:-1])
    for name, masses in groups.items():
        mass = float(np.mean(masses))
        near = (centres > min(masses) * 0.96) & (centres < max(masses) * 1.04)
        top = drawn.highest[near].max(initial=1.0)
        axes.plot([mass, mass], [top * 1.25, top * 2.3], color=_INK, lw=0.8)
        # The higher J/ψ is on the left of the ψ(2S): its name goes to the right.
        align, at = ("left", mass * 0.985) if name == "ψ(2S)" and "J/ψ" in groups else ("center", mass)
        axes.text(at, top * 2.6, name, ha=align, va="bottom", fontsize=12, color=_INK)
