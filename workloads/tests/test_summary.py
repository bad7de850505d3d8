# SPDX-License-Identifier: Apache-2.0
"""Summaries add up exactly, in any order, and stay small."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest
import storescope

from storescope_workloads.reduction.summary import EDGES, CutFlow, Summary
from storescope_workloads.scan.measured import Measured


def summary(seed: int) -> Summary:
    rng = np.random.default_rng(seed)
    masses = rng.exponential(10.0 ** rng.integers(-6, 6), rng.integers(0, 50))
    return Summary.of(CutFlow(100, {"two_muons": 100 - len(masses)}), masses)


def test_a_sum_does_not_depend_on_the_order():
    all_of_them = [summary(seed) for seed in range(300)]
    shuffled = random.Random(1).sample(all_of_them, len(all_of_them))
    halves = reduce(add, shuffled[:150]) + reduce(add, shuffled[150:])
    one = reduce(add, all_of_them)
    exactly = sum(Fraction(part) for summed in all_of_them for part in summed.mass_sums)
    for summed in (one, halves):
        assert sum(map(Fraction, summed.mass_sums)) == exactly
        assert summed.mean_mass == math.fsum(one.mass_sums) / one.pairs
        assert len(summed.mass_sums) <= 40, "a sum of many pieces has few parts"
    assert halves.flow == one.flow
    assert all((halves.histograms[name] == one.histograms[name]).all() for name in EDGES)


def test_histograms_have_every_pair():
    masses = np.array([0.0, 0.1, 0.25, 3.1, 91.2, 299.9, 300.0, 301.0, 1e6])
    made = Summary.of(CutFlow(9), masses)
    assert [int(made.histograms[name][-2:].sum()) for name in ("linear", "log")] == [2, 4]
    assert all(int(counts.sum()) == made.pairs == 9 for counts in made.histograms.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_json_is_the_same_summary(seed):
    made = summary(seed) + summary(seed + 10)
    again = Summary.from_json(made.to_json())
    assert (again.flow, again.mass_sums, again.mean_mass) == (made.flow, made.mass_sums, made.mean_mass)
    assert all((again.histograms[name] == made.histograms[name]).all() for name in EDGES)


def test_what_work_cost_adds_up():
    one = Measured(1, 2.0, 1.5, 0.25, 1000, 1100)
    both = one + Measured.from_json(one.to_json())
    assert (both.tasks, both.wall_s, both.cpu_s, both.wait_s, both.needed, both.read) == (2, 4.0, 3.0, 0.5, 2000, 2200)


def test_a_snapshot_keeps_its_time_beside_empty_ones(store):
    with storescope.profile() as profile:
        store.put("a", b"x")
    seen = profile.snapshot()
    added = Measured() + Measured(snapshot=seen) + Measured()
    assert added.snapshot == seen and added.snapshot.elapsed < 3600
