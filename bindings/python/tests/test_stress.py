# SPDX-License-Identifier: Apache-2.0
"""Sixteen threads, forced collections, signals and cancelled tasks (stress.py): the bytes are right, and nothing is held in the
end. `STRESS_SECONDS` in the environment says for how long, for both services together: 10 in `make test`, 300 in `make
test-matrix`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stress

SECONDS = float(os.environ.get("STRESS_SECONDS", "10")) / 2  # of each service
SEED = int(os.environ.get("STRESS_SEED", "1"))
CONNECTIONS = 32
# What allocators keep of a load whose threads come and go.
MIB = 96


@pytest.mark.timeout(2 * SECONDS + 120)
def test_bytes_are_right_and_nothing_is_held(server, store, options, uploads):
    # Some requests are late, and some break: there is something to interrupt, and something to repeat.
    prefix = store.url.split("/")[-2]
    for probability, action in [(0.05, {"delay": {"ms": 30}}), (0.01, "reset"), (0.01, {"truncate": {"after": 50_000}})]:
        rule = {"method": "GET", "contains": prefix, "probability": probability, "seed": SEED, "action": action}
        server.fault(rule)
    settings = {"part_size": "5MiB", "max_connections": CONNECTIONS, "retry_budget": 1000, "backoff_base": 0.001}
    about = json.dumps({"url": store.url, "options": {**options, **settings}})
    ended = subprocess.run(
        [sys.executable, Path(stress.__file__), str(SECONDS), str(SEED)],
        env={**os.environ, "STORE": about, "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS + 90,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    print(told)
    assert told["failures"] == [], told
    done, first, last = told["done"], told["first"], told["last"]
    for what in ("range", "ranges", "get", "reader", "read_into", "stream", "parts", "awaited", "write", "given up", "missing"):
        assert done.get(what, 0) > 0, f"{what} was never done: {done}"
    for what in ("interrupts", "cancelled", "tasks cancelled", "collections"):
        assert done.get(what, 0) > 0, f"{what}: {done}"
    assert [name for name in uploads() if prefix in name] == []
    assert last["opened"] == 0, told
    assert last["descriptors"] <= first["descriptors"] + CONNECTIONS, told
    assert last["threads"] <= first["threads"] - 15, told
    assert last["mib"] <= first["mib"] + MIB, told
