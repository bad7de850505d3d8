# SPDX-License-Identifier: Apache-2.0
"""Writes root-from-oci.ipynb and dimuon.ipynb, without outputs: `python docs/notebooks/make.py`."""

import json
from pathlib import Path

ROOT_FROM_OCI = [
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


DIMUON = [
    """# The dimuon reduction, and what its reads cost

Files of events in a bucket become pairs of muons and a mass spectrum: the CMS reduction that ran on Spark in 2017-19, here in
processes of this machine. [docs/WORKLOADS.md](../WORKLOADS.md) describes the commands; this notebook uses what they are made of.

Run it against an emulator: `storescope serve --model s3-standard` prints the endpoint and a configuration file; put them into
`STORESCOPE_ENDPOINT` and `STORESCOPE_CONFIG_FILE`. Against a real tenancy `~/.oci/config` is enough.""",
    """import json
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import uproot
from IPython.display import Image

import storescope
import storescope.uproot

storescope.uproot.install()
BUCKET = os.environ.get("STORESCOPE_NOTEBOOK_BUCKET", "oci://demo@emulator/")


def workloads(*arguments):
    \"\"\"Runs the command line.\"\"\"
    ran = subprocess.run([sys.executable, "-m", "storescope_workloads", *arguments], capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr)
    print(ran.stdout)""",
    """## A sample in the bucket

A toy with the branches of NanoAOD: resonances over a background, a detector's resolution and acceptance. Its proportions match
published spectra, it simulates no detector. The same seed gives the same events, however they are divided into files.""",
    """workloads("generate", "dimuon", "--events", "60000", "--files", "3", "--cluster", "5000", "--overwrite", "--out", f"{BUCKET}dimuon")
store = storescope.open_store(BUCKET)
[(entry.key, entry.size) for entry in store.list("dimuon/")]""",
    """## One file

`uproot` reads it where it is.""",
    """tree = uproot.open(f"{BUCKET}dimuon/dimuon-0000.root:Events")
events = tree.arrays(["nMuon", "Muon_pt", "Muon_charge"], entry_stop=5)
print(tree.num_entries, "events,", len(tree.keys()), "branches")
events.tolist()""",
    """## All of them

The command reads what the cuts need of each file, and no more: which baskets that is, the plan has found out. It prints how many
events each cut removed, and what the reads cost.""",
    """workloads("reduce", f"{BUCKET}dimuon/*.root", "--out", "reduced", "--processes", "2", "--overwrite")""",
    """## The spectrum

The picture that the command made, and the same from its histogram.""",
    """Image("reduced/spectrum.png", width=800)""",
    """with open("reduced/histograms.json") as file:
    histograms = json.load(file)
edges = np.array(histograms["edges"]["linear"])
counts = np.array(histograms["datasets"][0]["histograms"]["linear"]["counts"])

plt.stairs(counts[60:120], edges[60:121], fill=True)
plt.xlabel("mass of the pair [GeV]")
plt.ylabel("pairs in 1 GeV")
plt.show()""",
    """## What the reads cost

`result.json` holds it as numbers. *needed* are the bytes of the baskets, *received* those on the wire. Percentiles are of all
requests of all processes: their histograms are merged, no percentile is averaged.""",
    """with open("reduced/result.json") as file:
    result = json.load(file)
io = result["io"]
print(f"{io['requests']} requests, {io['bytes_needed'] / 1e6:.2f} MB needed, {io['bytes_received'] / 1e6:.2f} MB received")
print(f"tasks waited {io['wait_share']:.0%} of their time; the first byte came after", io["first_byte_ms"], "ms")
assert result["events"]["in"] == result["events"]["out"] + result["events"]["cut"]""",
    """storescope.Profile.load("reduced/run.hlog")""",
    """storescope.Profile.load("reduced/run.hlog").plot();""",
    """## Several data sets

Recorded data and simulations in one job, each with its own counts. Another seed stands for the simulation here. With a luminosity
and a cross-section, simulated events have a weight.""",
    """workloads("generate", "dimuon", "--events", "20000", "--seed", "2", "--cluster", "5000", "--overwrite", "--out", f"{BUCKET}simulated")
with open("datasets.yaml", "w") as file:
    file.write(f\"\"\"
luminosity_pb: 10
datasets:
  - name: recorded
    files: {BUCKET}dimuon/*.root
  - name: simulated
    kind: mc
    cross_section_pb: 3531.15
    files: {BUCKET}simulated/*.root
\"\"\")
workloads("reduce", "--datasets", "datasets.yaml", "--out", "both", "--processes", "2", "--overwrite")""",
    """with open("both/histograms.json") as file:
    weights = {one["name"]: one["weight"] for one in json.load(file)["datasets"]}
with open("both/result.json") as file:
    both = json.load(file)
[(one["name"], one["physics"]["pairs"], weights[one["name"]]) for one in both["datasets"]]""",
    """## A petabyte

From the files' layouts, a model of the store's latency and the CPU time that was measured above: requests, bytes and hours. Every
assumption is printed. A petabyte of this toy has very many small events.""",
    """workloads("estimate", f"{BUCKET}dimuon/*.root", "--volume", "1PB", "--file-size", "2GB", "--cores", "800",
          "--model", "oci-native", "--from", "reduced", "--target", "250min", "--rounds", "5")""",
]


def cell(number: int, source: str) -> dict:
    kind = "markdown" if source.startswith("#") else "code"
    made = {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}, "source": source.splitlines(keepends=True)}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def write(name: str, cells: list[str]) -> None:
    notebook = {
        "cells": [cell(number, source) for number, source in enumerate(cells)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    Path(__file__).with_name(name).write_text(json.dumps(notebook, indent=1) + "\n")


write("root-from-oci.ipynb", ROOT_FROM_OCI)
write("dimuon.ipynb", DIMUON)
