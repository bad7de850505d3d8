# SPDX-License-Identifier: Apache-2.0
"""Quantiles of samples, without a histogram."""

from __future__ import annotations

import math


def nearest_rank(ordered: list[float], quantile: float) -> float:
    """The smallest sample with at least this share of the samples at or below it."""
    return ordered[max(math.ceil(round(quantile * len(ordered), 6)), 1) - 1]
