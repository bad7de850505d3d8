# SPDX-License-Identifier: Apache-2.0
"""ROC curves, their areas and the rest of what scores tell, judged by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score, roc_curve

from storescope_workloads.errors import WorkloadError
from storescope_workloads.trainer.curves import EDGES, POINTS, Counted, Curves, NoEvents, bin_of, least_of
from storescope_workloads.trainer.features import CLASSES


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def sample(events: int, seed: int = 1, strength: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of unequal classes, and scores that favour them."""
    random = np.random.default_rng(seed)
    label = random.choice(3, events, p=[0.2, 0.5, 0.3]).astype(np.int8)
    return label, softmax(random.normal(size=(events, 3)) + strength * np.eye(3)[label])


def curves_of(label: np.ndarray, scores: np.ndarray, exact: int = 10**9, parts: int = 3) -> Curves:
    curves = Curves(exact)
    for some in np.array_split(np.arange(len(label)), parts):
        curves.add(label[some], scores[some])
    return curves


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(3)
    own = random.random(5000) < 0.3
    return {
        "random": (own, random.random(5000).astype(np.float32)),
        "separable": (own, own + 0.1 * random.random(5000)),
        "inverted": (own, 1.0 - own),
        "all tied": (own, np.full(5000, 0.25)),
        "few values": (own, np.round(random.random(5000) * 0.7 + 0.3 * own, 1)),
        "two values": (own, (random.random(5000) < 0.4 + 0.3 * own).astype(np.float64)),
        "one of the class": (np.arange(100) == 17, random.random(100)),
        "one of the others": (np.arange(100) != 17, random.random(100)),
        "two events": (np.array([True, False]), np.array([0.5, 0.5])),
        "zeros of both signs": (np.array([True, False, True, False]), np.array([-0.0, 0.0, 0.0, -0.0])),
    }


@pytest.mark.parametrize("name", cases())
def test_areas_are_those_of_scikit_learn(name):
    own, score = cases()[name]
    counted = Counted.of(score, own)
    assert abs(counted.auc() - roc_auc_score(own, score)) <= 1e-12
    fpr, tpr, threshold = roc_curve(own, score, drop_intermediate=False)
    roc = counted.roc()
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-15)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-15)
    np.testing.assert_array_equal(roc.threshold, threshold)
    assert abs(np.trapezoid(roc.tpr, roc.fpr) - counted.auc()) <= 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_areas_are_those_of_scikit_learn_on_random_ties(seed):
    random = np.random.default_rng(seed)
    events, values = int(random.integers(2, 3000)), int(random.integers(1, 50))
    own = random.random(events) < random.random()
    own[:2] = True, False
    score = random.integers(0, values, events) / values
    assert abs(Counted.of(score, own).auc() - roc_auc_score(own, score)) <= 1e-12


def test_each_class_is_judged_by_its_own_probability():
    label, scores = sample(6000)
    told = curves_of(label, scores).to_json()
    for index, name in enumerate(CLASSES):
        assert abs(told["auc"][name] - roc_auc_score(label == index, scores[:, index])) <= 1e-12
    assert len({round(area, 6) for area in told["auc"].values()}) == 3, "the sample tells the classes apart"
    assert told["auc_error"] == 0.0


def test_the_selector_of_ttbar_is_the_second_score():
    """The original's plots of it have index 0, which is QCD."""
    assert CLASSES.index("ttbar") == 1
    random = np.random.default_rng(2)
    label = random.integers(0, 3, 3000).astype(np.int8)
    # Nothing but tt̄ is known: the scores of the two others are a coin's.
    logits = np.stack([random.normal(size=3000), 8.0 * (label == 1) - 4.0 + random.normal(size=3000), random.normal(size=3000)], 1)
    told = curves_of(label, softmax(logits)).to_json()["auc"]
    assert told["ttbar"] > 0.99 > 0.8 > max(told["qcd"], told["wjets"])


def test_areas_are_of_probabilities_and_not_of_predictions():
    """The original's figure of XGBoost is the area of predicted classes: one point of the curve."""
    label, scores = sample(6000)
    predicted = np.eye(3)[scores.argmax(axis=1)]
    told = curves_of(label, scores).to_json()["auc"]
    for index, name in enumerate(CLASSES):
        hard = roc_auc_score(label == index, predicted[:, index])
        assert told[name] > hard + 0.03


def test_confusion_and_accuracy_are_those_of_scikit_learn():
    label, scores = sample(5000, strength=0.7)
    curves = curves_of(label, scores)
    np.testing.assert_array_equal(curves.confusion, confusion_matrix(label, scores.argmax(axis=1)))
    assert curves.accuracy == accuracy_score(label, scores.argmax(axis=1))
    assert curves.confusion.sum() == 5000 and curves.confusion[0, 1] != curves.confusion[1, 0]


def test_histograms_hold_every_event_once_for_each_score():
    label, scores = sample(5000)
    scores[:3] = np.eye(3)  # the edges 0 and 1
    told = curves_of(label, scores).to_json()["scores"]
    assert told["edges"] == EDGES.tolist()
    for of, name in enumerate(CLASSES):
        for row, truth in enumerate(CLASSES):
            counts = told["counts"][name][truth]
            np.testing.assert_array_equal(counts, np.histogram(scores[label == row, of].astype(np.float64), EDGES)[0])
            assert sum(counts) == np.count_nonzero(label == row)


def test_curves_are_short_and_keep_their_ends_and_their_area():
    label, scores = sample(20_000)
    told = curves_of(label, scores).to_json()
    for name in CLASSES:
        roc = told["roc"][name]
        assert len(roc["fpr"]) == len(roc["tpr"]) == len(roc["threshold"]) <= POINTS
        assert (roc["fpr"][0], roc["tpr"][0], roc["threshold"][0]) == (0, 0, None)
        assert (roc["fpr"][-1], roc["tpr"][-1]) == (1, 1)
        assert sorted(roc["fpr"]) == roc["fpr"] and sorted(roc["tpr"]) == roc["tpr"]
        assert abs(np.trapezoid(roc["tpr"], roc["fpr"]) - told["auc"][name]) < 1e-3
        for fpr, tpr, threshold in zip(roc["fpr"][1:], roc["tpr"][1:], roc["threshold"][1:], strict=True):
            passed = scores[:, CLASSES.index(name)] >= threshold
            own = label == CLASSES.index(name)
            assert (fpr, tpr) == (passed[~own].mean(), passed[own].mean())
            assert math.isfinite(threshold)


@pytest.mark.parametrize("strength", [0.0, 2.0, 12.0])
def test_many_events_are_counted_in_bins_with_a_stated_error(strength):
    label, scores = sample(200_000, strength=strength)
    exact, binned = curves_of(label, scores), curves_of(label, scores, exact=50_000, parts=10)
    assert exact.exact and not binned.exact
    told = binned.to_json()
    assert told["auc_error"] < 1e-4
    assert (told["auc_error"] > 0) == (strength < 12), "separable scores share no bin"
    for name, area in exact.to_json()["auc"].items():
        assert abs(told["auc"][name] - area) <= told["auc_error"]
    np.testing.assert_array_equal(binned.confusion, exact.confusion)
    np.testing.assert_array_equal(binned.histograms, exact.histograms)
    roc = binned.of("ttbar").roc()
    for at in range(1, len(roc.fpr), 5000):  # each point is a true one: its threshold is a score that can be applied
        passed = scores[:, 1].astype(np.float64) >= roc.threshold[at]
        assert roc.tpr[at] == passed[label == 1].mean() and roc.fpr[at] == passed[label != 1].mean()


def test_memory_does_not_grow_with_the_events():
    label, scores = sample(2000)
    curves = curves_of(label, scores, exact=1000)
    held = {name: value for name, value in vars(curves).items() if isinstance(value, np.ndarray)}
    sizes = {name: value.nbytes for name, value in held.items()}
    for _ in range(50):
        curves.add(label, scores)
    assert curves._labels == curves._scores == []
    assert {name: vars(curves)[name].nbytes for name in held} == sizes and sum(sizes.values()) < 30e6
    assert curves.events == curves.confusion.sum() == 51 * 2000


def test_bins_keep_the_order_of_scores():
    random = np.random.default_rng(1)
    near = random.random(20_000).astype(np.float32) ** 8
    score = np.sort(np.concatenate([near, np.float32(1) - near, np.float32([0.0, 0.5, 1.0, 1e-45, 1e-38, np.nextafter(1, 0)])]))
    bins = bin_of(score)
    assert np.all(np.diff(bins) >= 0)
    least = least_of(bins)
    assert np.all(least <= score) and np.all(np.diff(least) >= 0)
    small = np.minimum(score, 1.0 - score.astype(np.float64))
    assert np.all(score - least <= np.maximum(small * 2.0**-11, 1e-38))
    np.testing.assert_array_equal(bin_of(least.astype(np.float32)), bins)
    assert bin_of(np.float32([-0.0]))[0] == 0 == bin_of(np.float32([0.0]))[0]


@pytest.mark.parametrize("absent", range(3))
@pytest.mark.parametrize("exact", [10**9, 100])
def test_a_class_that_is_absent_is_named(absent, exact):
    label, scores = sample(1000)
    kept = label != absent
    with pytest.raises(NoEvents, match=f"no event of the class {CLASSES[absent]}"):
        curves_of(label[kept], scores[kept], exact=exact).to_json()


def test_a_class_that_is_alone_is_named():
    label, scores = sample(1000)
    with pytest.raises(NoEvents, match="hold events of no class but wjets"):
        curves_of(label[label == 2], scores[label == 2]).of("wjets")
    with pytest.raises(NoEvents, match="the 0 test events"):
        Curves().to_json()
    assert Curves().accuracy is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_scores_that_are_no_probabilities_are_refused(value):
    label, scores = sample(100)
    scores[7, 2] = value
    curves = Curves()
    with pytest.raises(WorkloadError, match="1 of 100 events scores that are no probabilities"):
        curves.add(label, scores)


def test_labels_and_shapes_are_checked():
    label, scores = sample(100)
    with pytest.raises(WorkloadError, match="labels are from -1 to 1"):
        Curves().add(np.array([1, -1]), scores[:2])
    with pytest.raises(WorkloadError, match="labels are from 0 to 3"):
        Curves().add(np.array([0, 3]), scores[:2])
    with pytest.raises(ValueError, match="shape"):
        Curves().add(label, scores[:, :2])
