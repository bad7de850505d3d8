# SPDX-License-Identifier: Apache-2.0
"""How well scores separate the classes: ROC curves and their areas, confusion matrix, accuracy, histograms. Pure numpy.

Curves are one against the rest: events of a class against all others, by the probability that the model gives this class.
They are made from probabilities, never from the predicted class: a prediction keeps one point of the curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkloadError
from .features import CLASSES

Values = NDArray[Any]

#: Events whose scores are kept as they are and sorted, 13 bytes each. More are counted in bins.
EXACT = 4_000_000
#: Points of a curve in ``result.json``.
POINTS = 200
#: Edges of the histograms of scores: 50 bins.
EDGES = np.linspace(0.0, 1.0, 51)

#: A score's bin comes from the bits of the float32 without the last of them. The bits of 0.5 end the lower half.
_DROPPED = 12
_HALF = int(np.float32(0.5).view(np.int32)) >> _DROPPED
_BINS = 2 * _HALF + 1


class NoEvents(WorkloadError):
    """A class without events, or with nothing but its events: it has no curve."""


@dataclass(frozen=True)
class Counted:
    """Events by score, in increasing order of it.

    Attributes:
        score: Distinct scores, or the least scores of bins; float64.
        own: Events of the class with each; int64.
        other: Events of the other classes.
    """

    score: Values
    own: Values
    other: Values

    @classmethod
    def of(cls, score: Values, own: Values) -> Counted:
        """Counts each distinct score.

        Args:
            score: Of each event.
            own: Whether it is of the class; bool.
        """
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
        below = np.concatenate([[0], np.cumsum(own[order], dtype=np.int64)])
        ends = np.append(starts[1:], len(ordered))
        mine = below[ends] - below[starts]
        return cls(ordered[starts].astype(np.float64), mine, ends - starts - mine)

    def _check(self) -> None:
        if not self.own.sum() or not self.other.sum():
            raise NoEvents("there is no curve: it needs events of the class, and of others")

    def auc(self) -> float:
        """The area below the ROC curve: the probability that an event of the class has a higher score than another, ties
        counted as a half.

        Raises:
            NoEvents: There are no events of the class, or none of the others.
        """
        self._check()
        own, other = int(self.own.sum()), int(self.other.sum())
        lower = np.cumsum(self.other) - self.other
        # Twice the number of pairs in the right order: exact in 64 bits up to 2e9 events of each.
        pairs = int(np.sum(self.own * (2 * lower + self.other)))
        return pairs / (2 * own * other)

    def uncertainty(self) -> float:
        """By how much :meth:`auc` may be wrong where scores are those of bins: pairs that share a bin are ties there."""
        self._check()
        return float(np.sum(self.own.astype(np.float64) * self.other)) / (2 * int(self.own.sum()) * int(self.other.sum()))

    def roc(self) -> Roc:
        """The curve, with a point for each score: events pass that have it or more.

        Raises:
            NoEvents: As :meth:`auc`.
        """
        self._check()
        rates = [np.concatenate([[0], np.cumsum(counts[::-1])]) / counts.sum() for counts in (self.other, self.own)]
        return Roc(rates[0], rates[1], np.concatenate([[np.inf], self.score[::-1]]))


@dataclass(frozen=True)
class Roc:
    """A curve, from (0, 0) to (1, 1).

    Attributes:
        fpr: Share of the other classes' events that pass.
        tpr: Share of the class's events that pass.
        threshold: The score that passes; infinite at the first point, where none does.
    """

    fpr: Values
    tpr: Values
    threshold: Values

    def thinned(self, most: int = POINTS) -> Roc:
        """At most so many of its points, about as far apart along the curve; the first and the last among them."""
        if len(self.fpr) <= most:
            return self
        along = self.fpr + self.tpr
        at = np.unique(np.searchsorted(along, np.linspace(0.0, 2.0, most)).clip(0, len(along) - 1))
        at[0], at[-1] = 0, len(along) - 1
        return Roc(self.fpr[at], self.tpr[at], self.threshold[at])

    def to_json(self) -> dict[str, list[float | None]]:
        """As ``result.json`` has it; no threshold is null."""
        threshold = [float(value) if np.isfinite(value) else None for value in self.threshold]
        return {"fpr": self.fpr.tolist(), "tpr": self.tpr.tolist(), "threshold": threshold}


class Curves:
    """Scores of events, given in any number of parts.

    Up to ``exact`` events it keeps each score, and the areas are exact. Beyond, it counts them in 516,000 bins for each
    class, 25 MB whatever the number of events. Bins are narrow near 0 and near 1: a score or its distance from 1, the
    smaller of the two, is known to 0.05 % of itself. :attr:`uncertainty` bounds what that does to the areas.

    Args:
        exact: Events that are kept.
    """

    def __init__(self, exact: int = EXACT) -> None:
        self._exact = exact
        self._labels: list[Values] = []
        self._scores: list[Values] = []
        self._binned: Values | None = None
        self.events = 0
        #: Events by true class (rows) and predicted class (columns); int64.
        self.confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
        #: Events by the class of the score, true class and bin of :data:`EDGES`; int64.
        self.histograms = np.zeros((len(CLASSES), len(CLASSES), len(EDGES) - 1), np.int64)

    def add(self, label: Values, scores: Values) -> None:
        """Some events.

        Args:
            label: (n,) integers: indices of :data:`CLASSES`.
            scores: (n, 3) float32: the probability of each class.

        Raises:
            WorkloadError: A score is no probability, as of a model whose training diverged.
        """
        scores = np.asarray(scores, np.float32)
        label = np.asarray(label, np.int8)
        _check(label, scores)
        self.events += len(label)
        np.add.at(self.confusion, (label, scores.argmax(axis=1)), 1)
        self._fill(label, scores)
        if self._binned is None:
            self._labels.append(label)
            self._scores.append(scores)
            if self.events > self._exact:
                self._bin()
        else:
            self._count(label, scores)

    def _fill(self, label: Values, scores: Values) -> None:
        bins = np.minimum((scores * (len(EDGES) - 1)).astype(np.int64), len(EDGES) - 2)
        for of in range(len(CLASSES)):
            np.add.at(self.histograms[of], (label, bins[:, of]), 1)

    def _bin(self) -> None:
        self._binned = np.zeros((len(CLASSES), 2, _BINS), np.int64)
        for label, scores in zip(self._labels, self._scores, strict=True):
            self._count(label, scores)
        self._labels, self._scores = [], []

    def _count(self, label: Values, scores: Values) -> None:
        assert self._binned is not None
        for of in range(len(CLASSES)):
            bins = bin_of(scores[:, of])
            for own in (0, 1):
                self._binned[of, own] += np.bincount(bins[(label == of) == bool(own)], minlength=_BINS)

    def of(self, name: str) -> Counted:
        """Events by the score of a class of :data:`CLASSES`.

        Raises:
            NoEvents: The class has no events, or all have it; names the class.
        """
        index = CLASSES.index(name)
        own = int(self.confusion[index].sum())
        if own in (0, self.events):
            what = "hold no event of the class" if own == 0 else "hold events of no class but"
            raise NoEvents(
                f"the {self.events:,} test events {what} {name}: its ROC curve is not defined; prepare data with events of "
                "each class"
            )
        if self._binned is not None:
            other, mine = self._binned[index]
            some = (other + mine) > 0
            return Counted(least_of(np.flatnonzero(some)), mine[some], other[some])
        scores = np.concatenate([part[:, index] for part in self._scores])
        return Counted.of(scores, np.concatenate(self._labels) == index)

    @property
    def exact(self) -> bool:
        """Whether each score was kept."""
        return self._binned is None

    @property
    def accuracy(self) -> float | None:
        """Share of events whose class has the highest score; ``None`` without events. Of equal scores the first counts."""
        return float(np.trace(self.confusion) / self.events) if self.events else None

    def to_json(self) -> dict[str, Any]:
        """``auc``, ``auc_error``, ``accuracy``, ``confusion``, ``roc`` and ``scores``, as ``result.json`` has them.

        Raises:
            NoEvents: A class has no events; names it.
        """
        counted = {name: self.of(name) for name in CLASSES}
        return {
            "auc": {name: one.auc() for name, one in counted.items()},
            "auc_error": 0.0 if self.exact else max(one.uncertainty() for one in counted.values()),
            "accuracy": self.accuracy,
            "confusion": self.confusion.tolist(),
            "roc": {name: one.roc().thinned().to_json() for name, one in counted.items()},
            "scores": {
                "edges": EDGES.tolist(),
                "counts": {
                    name: {truth: self.histograms[of, row].tolist() for row, truth in enumerate(CLASSES)}
                    for of, name in enumerate(CLASSES)
                },
            },
        }


def _check(label: Values, scores: Values) -> None:
    if scores.shape != (len(label), len(CLASSES)):
        raise ValueError(f"scores have the shape {scores.shape}, not ({len(label)}, {len(CLASSES)})")
    if len(label) and not (label.min() >= 0 and label.max() < len(CLASSES)):
        raise WorkloadError(f"labels are from {label.min()} to {label.max()}, not from 0 to {len(CLASSES) - 1}")
    wrong = int(np.count_nonzero(~np.all((scores >= 0) & (scores <= 1), axis=1)))
    if wrong:
        raise WorkloadError(
            f"the model gives {wrong:,} of {len(label):,} events scores that are no probabilities (NaN, or not within 0 and "
            "1): its training diverged, or it is another model"
        )


def bin_of(score: Values) -> Values:
    """The bins of scores, in the order of the scores; int64.

    A float32's bits grow with its value. The upper half mirrors the lower one, since 1 - score is exact there."""
    score = np.abs(np.asarray(score, np.float32))  # -0.0 has other bits
    low = score.view(np.int32) >> _DROPPED
    high = 2 * _HALF - ((np.float32(1) - score).view(np.int32) >> _DROPPED)
    return np.where(score < 0.5, low, high).astype(np.int64)


def least_of(bins: Values) -> Values:
    """The least score of each bin; float64."""
    bins = np.asarray(bins, np.int64)
    low = (bins << _DROPPED).astype(np.int32).view(np.float32).astype(np.float64)
    # The mirrored bin's largest distance from 1.
    far = np.minimum(((2 * _HALF - bins + 1) << _DROPPED) - 1, int(np.float32(0.5).view(np.int32))).astype(np.int32)
    # float32 scores from 0.5 on are multiples of 2^-24, and so is their distance from 1.
    steps = np.floor(far.view(np.float32).astype(np.float64) * 2**24)
    return np.where(bins < _HALF, low, 1.0 - steps / 2**24)
