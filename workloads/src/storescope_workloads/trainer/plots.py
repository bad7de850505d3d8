# SPDX-License-Identifier: Apache-2.0
"""The pictures of a trained model, from what ``result.json`` holds: ROC curves, confusion matrix, scores, training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from ..places import Folder
from .features import CLASSES

#: Of Okabe and Ito: told apart whatever one's colour vision; lines differ by their dashes as well.
COLOURS = {"qcd": "#0072b2", "ttbar": "#d55e00", "wjets": "#009e73"}
_DASHES = {"qcd": (0, ()), "ttbar": (0, (6, 2)), "wjets": (0, (2, 1.5))}
NAMES = {"qcd": "QCD", "ttbar": "tt̄", "wjets": "W + jets"}
#: Of lines that are no classes.
_OWN, _OTHER = "#0072b2", "#d55e00"
_INK, _GRID = "#222222", "#dddddd"
_LABEL, _TICKS, _LEGEND, _TITLE = 13, 11, 11, 13

Result = Mapping[str, Any]


def save_all(result: Result, out: Folder) -> None:
    """Writes ``roc.png``, ``confusion.png``, ``scores.png`` and ``training.png``, 150 dots per inch.

    Args:
        result: What is in ``result.json``.
        out: Where they go.
    """
    for name, draw in PICTURES.items():
        figure = draw(result)
        FigureCanvasAgg(figure)
        with out.open(name) as file:
            figure.savefig(file, format="png", dpi=150)


def draw_roc(result: Result) -> Figure:
    """The curve of each class, and the same near the corner in logarithms: what a selector lets pass of the others."""
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    whole, near = figure.subplots(1, 2)
    for name in CLASSES:
        curve = result["roc"][name]
        fpr, tpr = np.asarray(curve["fpr"]), np.asarray(curve["tpr"])
        label = f"{NAMES[name]}  (AUC {result['auc'][name]:.4f})"
        style = {"color": COLOURS[name], "ls": _DASHES[name], "lw": 2.2, "label": label}
        whole.plot(fpr, tpr, **style)
        some = fpr > 0
        near.plot(tpr[some], fpr[some], **style)
    whole.plot([0, 1], [0, 1], color="#999999", lw=1, ls=":", label="chance  (AUC 0.5)")
    whole.set(xlim=(-0.01, 1.0), ylim=(0, 1.01), aspect="equal")
    _axes(whole, "false positive rate", "true positive rate")
    whole.legend(loc="lower right", fontsize=_LEGEND, frameon=False, title="one class against the rest", title_fontsize=_LEGEND)
    near.set(yscale="log", xlim=(0.4, 1.0), ylim=(_lowest(result), 1.0))
    near.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _axes(near, "true positive rate (efficiency)", "false positive rate")
    _title(figure, result)
    return figure


def _lowest(result: Result) -> float:
    """A power of ten below the rates that are drawn, 0.0001 at least."""
    rates = [rate for name in CLASSES for rate in result["roc"][name]["fpr"] if rate > 0]
    return max(1e-4, float(10.0 ** np.floor(np.log10(min([*rates, 0.1])))))


def draw_confusion(result: Result) -> Figure:
    """Events by true and predicted class: counts, and shares of the true class."""
    figure = Figure(figsize=(6.8, 5.8), layout="constrained")
    axes = figure.add_subplot()
    counts = np.asarray(result["confusion"], np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row in range(len(CLASSES)):
        for column in range(len(CLASSES)):
            ink = "black" if shares[row, column] > 0.55 else "white"
            axes.text(column, row - 0.02, f"{shares[row, column]:.1%}", ha="center", va="bottom", fontsize=16, color=ink)
            axes.text(column, row + 0.06, f"{counts[row, column]:,}", ha="center", va="top", fontsize=11, color=ink)
    names = [NAMES[name] for name in CLASSES]
    axes.set_xticks(range(len(CLASSES)), names)
    axes.set_yticks(range(len(CLASSES)), names, rotation=90, va="center")
    axes.set_xlabel("predicted class (highest score)", fontsize=_LABEL)
    axes.set_ylabel("true class", fontsize=_LABEL)
    axes.tick_params(labelsize=12, length=0)
    axes.set_title(f"accuracy {result['accuracy']:.4f} of {counts.sum():,} test events", fontsize=_TITLE, color=_INK)
    bar = figure.colorbar(shown, ax=axes, shrink=0.85, format=PercentFormatter(1.0, decimals=0))
    bar.set_label("share of the true class", fontsize=_LABEL)
    bar.ax.tick_params(labelsize=_TICKS)
    return figure


def draw_scores(result: Result) -> Figure:
    """The scores of each class, by true class; each histogram has the area 1."""
    figure = Figure(figsize=(14, 4.8), layout="constrained")
    panels = figure.subplots(1, len(CLASSES), sharey=True)
    edges = np.asarray(result["scores"]["edges"])
    highest, lowest = 1.0, 1.0
    for panel, name in zip(panels, CLASSES, strict=True):
        for truth in CLASSES:
            counts = np.asarray(result["scores"]["counts"][name][truth], np.float64)
            density = counts / max(counts.sum(), 1) / np.diff(edges)
            highest, lowest = max(highest, density.max()), min(lowest, density[density > 0].min(initial=1.0))
            style = {"color": COLOURS[truth], "ls": _DASHES[truth]}
            if truth == name:
                panel.stairs(density, edges, fill=True, color=COLOURS[truth], alpha=0.2)
            shown = np.where(density > 0, density, np.nan)
            panel.stairs(shown, edges, lw=2, label=f"true {NAMES[truth]}", baseline=None, **style)
        panel.set(yscale="log", xlim=(0, 1))
        _axes(panel, f"score of {NAMES[name]}", "events, normalised" if panel is panels[0] else "")
    panels[0].set_ylim(lowest / 2, 8 * highest)
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    handles, labels = panels[0].get_legend_handles_labels()
    for panel in panels:
        panel.legend(handles, labels, loc="upper center", ncols=3, fontsize=_LEGEND - 1, frameon=False, columnspacing=1.2)
    _title(figure, result)
    return figure


def draw_training(result: Result) -> Figure:
    """By epoch: loss, accuracy, and how long a step takes, with the share of it that waits for data."""
    figure = Figure(figsize=(14, 4.8), layout="constrained")
    loss, accuracy, step = figure.subplots(1, 3)
    epochs = result["epochs"]
    for axes, of in ((loss, "loss"), (accuracy, "accuracy")):
        _line(axes, [epoch[of] for epoch in epochs], _OWN, "training events, while they are learned")
        _line(axes, [epoch[f"test_{of}"] for epoch in epochs], _OTHER, "test events, after the epoch", marker="s")
    accuracy.axhline(result["accuracy"], color="#999999", ls=":", lw=1.5, label=f"evaluated model: {result['accuracy']:.4f}")
    middle = [epoch["step_ms"]["p50"] for epoch in epochs]
    slow = [epoch["step_ms"]["p99"] for epoch in epochs]
    # They are the same where an epoch is one call of TensorFlow: the slower ones stay visible below the others.
    _line(step, slow, _OTHER, "99 % of the steps within", marker="s", ms=8)
    _line(step, middle, _OWN, "half of the steps within")
    step.set_ylim(0, 1.35 * max([value for value in [*middle, *slow] if value is not None], default=1.0))
    for axes, label in ((loss, "loss (cross-entropy)"), (accuracy, "accuracy"), (step, "time of a step [ms]")):
        _axes(axes, "epoch", label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(fontsize=_LEGEND - 1, frameon=False)
    _waits(step, [epoch["wait_share"] or 0.0 for epoch in epochs])
    _title(figure, result)
    return figure


def _waits(axes: Axes, shares: Sequence[float]) -> None:
    beside = axes.twinx()
    beside.set_ylim(0, 1)
    beside.bar(range(1, len(shares) + 1), shares, width=0.5, color="#bbbbbb", alpha=0.6, label="waiting for data")
    beside.set_ylabel("share of the epoch spent waiting for data (bars)", fontsize=_TICKS)
    beside.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    beside.tick_params(labelsize=_TICKS)
    # The lines are drawn over the bars.
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)


def _line(axes: Axes, values: Sequence[float | None], colour: str, label: str, **style: Any) -> None:
    """A value for each epoch that has one."""
    known = [(number, value) for number, value in enumerate(values, 1) if value is not None]
    if known:
        axes.plot(*zip(*known, strict=True), color=colour, lw=1.8, label=label, **{"marker": "o", "ms": 5, **style})


def _axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=_LABEL)
    axes.set_ylabel(y, fontsize=_LABEL)
    axes.tick_params(which="both", direction="in", top=True, right=True, labelsize=_TICKS, pad=6)
    axes.grid(which="major", color=_GRID, lw=0.6)
    axes.set_axisbelow(True)


def _title(figure: Figure, result: Result) -> None:
    model = result["model"]
    events = int(np.sum(result["confusion"]))
    text = f"{model['name']} ({model['params']:,} parameters), {events:,} test events"
    figure.suptitle(text, fontsize=_TITLE, color=_INK, x=0.99, ha="right")


PICTURES: dict[str, Callable[[Result], Figure]] = {
    "roc.png": draw_roc,
    "confusion.png": draw_confusion,
    "scores.png": draw_scores,
    "training.png": draw_training,
}
