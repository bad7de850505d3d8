# SPDX-License-Identifier: Apache-2.0
"""Writes root-from-oci.ipynb, without outputs: `python docs/notebooks/make.py`."""

import json
from pathlib import Path

CELLS = [
    """# ROOT files from object storage, and where the time goes

`uproot` reads `oci://` and `s3://` by storescope here: what a loop over a tree will need is known from the tree's own tables, and is
fetched before it is asked for. Every request is timed.

Run it against an emulator: `storescope serve --model s3-standard` prints the endpoint and a configuration file; put them into
`STORESCOPE_ENDPOINT` and `STORESCOPE_CONFIG_FILE`. Against a real tenancy `~/.oci/config` is enough.""",
    """import os

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import uproot

import storescope
import storescope.uproot

storescope.uproot.install()
BUCKET = os.environ.get("STORESCOPE_NOTEBOOK_BUCKET", "oci://demo@emulator/")
store = storescope.open_store(BUCKET)
store""",
    """## A tree to read

Twenty clusters of 10,000 events, five branches, written here and put into the bucket by parts.""",
    """rng = np.random.default_rng(1)
with uproot.recreate("events.root") as file:
    for cluster in range(20):
        muons = rng.poisson(2, 10_000)
        content = lambda scale: ak.unflatten(rng.exponential(scale, muons.sum()).astype("f4"), muons)
        events = {
            "event": np.arange(10_000) + 10_000 * cluster,
            "met": rng.exponential(30, 10_000).astype("f4"),
            "Muon": ak.zip({"pt": content(20), "eta": content(1), "phi": content(2)}),
        }
        if cluster == 0:
            file.mktree("Events", {name: ak.type(column).content if name == "Muon" else column.dtype for name, column in events.items()})
        file["Events"].extend(events)

with open("events.root", "rb") as file:
    store.put("events.root", file.read())
store.head("events.root")""",
    """## Reading it, and watching

`storescope.profile()` records the requests that are made inside the `with`.""",
    """counts, edges = np.zeros(60), np.linspace(0, 120, 61)
with storescope.profile("default iterate") as profile:
    for events in uproot.iterate(f"{BUCKET}events.root:Events", ["met", "Muon_pt"]):
        leading = ak.fill_none(ak.max(events["Muon_pt"], axis=1), 0)
        counts += np.histogram(ak.to_numpy(leading), edges)[0]

plt.stairs(counts, edges, fill=True)
plt.xlabel("leading muon $p_T$ [GeV]")
plt.ylabel("events")
plt.show()""",
    """## Where the time went""",
    """profile""",
    """print(profile.table())""",
    """profile.plot();""",
    """## From many workers

Profiles pickle and add up exactly: counts are added, no percentile is averaged. `save` writes an `.hlog` that any HdrHistogram
reader takes, `report` a page.""",
    '''with storescope.profile("again") as again:
    uproot.open(f"{BUCKET}events.root:Events")["met"].array()

both = profile + again
both.save("run.hlog")
both.report("report.html")
f"{both.requests} requests, {both.bytes_received / 1e6:.1f} MB, {both.caller_wait:.2f} s waited for"''',
]


def cell(number: int, source: str) -> dict:
    kind = "markdown" if source.startswith("#") else "code"
    made = {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}, "source": source.splitlines(keepends=True)}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


notebook = {
    "cells": [cell(number, source) for number, source in enumerate(CELLS)],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
Path(__file__).with_name("root-from-oci.ipynb").write_text(json.dumps(notebook, indent=1) + "\n")
