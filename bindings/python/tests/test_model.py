# SPDX-License-Identifier: Apache-2.0
"""Latency models are those of the emulator: the same names, the same text, the same draws."""

from __future__ import annotations

import math
import pickle
import statistics

import pytest

import serving
import storescope
from conftest import bucket_url, options_of


def test_draws_are_those_of_the_emulator():
    with serving.serve("--model", "s3-standard", "--seed", "11") as server:
        # A hedge would be another request, and take the draw of the next.
        options = {**options_of(server, "oci"), "hedge_at": 0}
        bucket = bucket_url(server, "oci", "model")
        storescope.create_bucket(bucket, **options)
        store = storescope.open_store(bucket, **options)
        store.put("a", b"x" * 1000)
        for _ in range(20):
            store.get("a")
        drawn = [line["drawn_ttfb_ns"] for line in server.record()]
    model = storescope.Model("s3-standard")
    first, rates = model.draw(len(drawn), 11)
    # The first request opened the connection.
    first[0] += model.cold_connection
    assert len(drawn) >= 22
    assert drawn == pytest.approx([seconds * 1e9 for seconds in first], abs=1)
    assert all(1e6 < rate <= 95e6 for rate in rates)


def test_a_model_is_as_its_text_says():
    model = storescope.Model.from_toml(
        'cold_connection = "5ms"\nnic = "1GB/s"\nrequests_per_second = 100\nstream = "50MB/s"\n'
        '[ttfb]\nshift = "8ms"\nmedian = "20ms"\nsigma = 0.5\n'
    )
    first, rates = model.draw(20_001, 3)
    assert min(first) > 0.008 and statistics.median(first) == pytest.approx(0.028, rel=0.02)
    assert set(rates) == {50e6}
    assert (model.cold_connection, model.nic, model.requests_per_second) == (0.005, 1e9, 100)
    assert storescope.Model.from_toml(model.to_toml()) == model == pickle.loads(pickle.dumps(model))
    assert model != storescope.Model("none") and model != 1
    assert model.draw(5, 3) == model.draw(5, 3) != model.draw(5, 4)


def test_every_name_is_a_model():
    for name in storescope.Model.names():
        first, rates = storescope.Model(name).draw(10, 1)
        assert len(first) == len(rates) == 10 and all(seconds >= 0 for seconds in first)
    free = storescope.Model("none")
    assert (free.cold_connection, free.nic, free.requests_per_second) == (0, None, None)
    assert free.draw(2, 1) == ([0, 0], [math.inf, math.inf])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('ttfb = "fast"', "is not a duration"),
        ('frist_byte = "1ms"', "frist_byte"),
        ('[ttfb]\nmedian = "20ms"\nsigma = -1', "ttfb.sigma"),
        ("[", "TOML"),
    ],
)
def test_what_is_wrong_is_named(text, told):
    with pytest.raises(ValueError, match=told):
        storescope.Model.from_toml(text)


def test_a_name_that_is_not_known_lists_those_that_are():
    with pytest.raises(ValueError, match="s3-standart.*s3-standard"):
        storescope.Model("s3-standart")
