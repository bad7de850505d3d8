# SPDX-License-Identifier: Apache-2.0
"""Small events as Delphes writes them, in files of all formats; and the selection and features of one event in plain Python, as
the specification has them: the oracle of what is done to whole batches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from storescope_workloads.trainer.selection import Events, Lists

#: Members of each collection, and what numpy calls the type of their values.
MEMBERS: dict[str, dict[str, str]] = {
    "EFlowTrack": {**dict.fromkeys(("PT", "Eta", "Phi", "X", "Y", "Z"), "f4"), "Charge": "i4", "PID": "i4"},
    "EFlowPhoton": dict.fromkeys(("ET", "Eta", "Phi"), "f4"),
    "EFlowNeutralHadron": dict.fromkeys(("ET", "Eta", "Phi"), "f4"),
    "Electron": {**dict.fromkeys(("PT", "Eta", "Phi"), "f4"), "Charge": "i4"},
    "MuonTight": {**dict.fromkeys(("PT", "Eta", "Phi"), "f4"), "Charge": "i4"},
    "Jet": {**dict.fromkeys(("PT", "Eta", "Phi", "Mass"), "f4"), "BTag": "u4"},
    "MissingET": dict.fromkeys(("MET", "Eta", "Phi"), "f4"),
}
CLASSES = ("qcd", "ttbar", "wjets")

Event = dict[str, list[dict[str, float]]]


def of(collection: str, **values: float) -> dict[str, float]:
    """An object; what is not given is 0."""
    kinds = MEMBERS[collection]
    assert set(values) <= set(kinds)
    return {name: np.dtype(kind).type(values.get(name, 0)).item() for name, kind in kinds.items()}


def event(**collections: Any) -> Event:
    """An event that passes: a muon with its track, a photon and a neutral hadron; collections that are given replace these."""
    made = {
        "EFlowTrack": [
            dict(PT=40, Eta=0.5, Phi=1, Charge=-1, PID=13),
            dict(PT=5, Eta=-1, Phi=2, X=1, Y=2, Z=3, Charge=1, PID=211),
        ],
        "EFlowPhoton": [dict(ET=3, Eta=-1, Phi=2.5)],
        "EFlowNeutralHadron": [dict(ET=4, Eta=2, Phi=-2.5)],
        "Electron": [],
        "MuonTight": [dict(PT=40, Eta=0.5, Phi=1, Charge=-1)],
        "Jet": [dict(PT=50, Eta=1, Phi=2, BTag=1), dict(PT=35, Eta=-2, Phi=0)],
        "MissingET": [dict(MET=30, Phi=-2)],
    }
    made.update(collections)
    return {name: [of(name, **values) for values in made[name]] for name in MEMBERS}


def random_events(count: int, seed: int = 1, particles: int = 100) -> list[Event]:
    """Events with and without leptons, isolated and not, around φ = ±π as anywhere else, some with empty lists."""
    return [_random_event(np.random.default_rng([seed, number]), particles) for number in range(count)]


def _random_event(rng: np.random.Generator, particles: int) -> Event:
    made: dict[str, list[dict[str, float]]] = {name: [] for name in MEMBERS}
    # Where particles are near each other: one place lies across φ = ±π.
    places = [(rng.uniform(-2, 2), rng.choice([np.pi, rng.uniform(-np.pi, np.pi)])) for _ in range(3)]

    def direction() -> dict[str, float]:
        if rng.random() < 0.4:
            eta, phi = places[rng.integers(3)]
            eta, phi = rng.normal(eta, 0.3), rng.normal(phi, 0.3)
        else:
            eta, phi = rng.uniform(-5, 5), rng.uniform(-np.pi, np.pi)
        return {"Eta": eta, "Phi": math.remainder(phi, 2 * math.pi)}

    for name, share, member in (("EFlowTrack", 0.55, "PT"), ("EFlowPhoton", 0.3, "ET"), ("EFlowNeutralHadron", 0.15, "ET")):
        number = 0 if rng.random() < 0.03 else rng.poisson(share * particles)
        made[name] = [{member: rng.exponential(2.5), **direction()} for _ in range(number)]
    for track in made["EFlowTrack"]:
        sign = int(rng.choice([-1, 1]))
        pid = -11 * sign if rng.random() < 0.1 else 211 * sign
        track.update(X=rng.normal(), Y=rng.normal(), Z=rng.normal(0, 30), Charge=sign, PID=pid)
    for name in ("Electron", "MuonTight"):
        for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.5, 0.1])):
            lepton = {"PT": rng.uniform(5, 90), **direction(), "Charge": int(rng.choice([-1, 1]))}
            made[name].append(lepton)
            made["EFlowTrack"].append({**lepton, "X": 0.1, "Y": 0.2, "Z": 0.3, "PID": -11 * lepton["Charge"]})
        made[name].sort(key=lambda one: -one["PT"])
    made["Jet"] = [
        {"PT": rng.exponential(40) + 10, **direction(), "Mass": 5, "BTag": int(rng.random() < 0.3)}
        for _ in range(rng.poisson(3))
    ]
    made["MissingET"] = [{"MET": rng.exponential(40), "Eta": 0.0, "Phi": rng.uniform(-np.pi, np.pi)}]
    return event(**made)


# To arrays and files.


def columns(events: list[Event]) -> dict[str, ak.Array]:
    """By the names of branches, each a list of numbers for each event."""
    made = {}
    for collection, members in MEMBERS.items():
        counts = [len(one[collection]) for one in events]
        for member, kind in members.items():
            flat = np.array([item[member] for one in events for item in one[collection]], kind)
            made[f"{collection}.{member}"] = ak.unflatten(flat, np.array(counts, np.int64))
    return made


def batch(events: list[Event]) -> Events:
    """As the selection takes them."""

    def lists(collection: str, **names: str) -> Lists:
        counts = np.array([len(one[collection]) for one in events], np.int64)
        return Lists(
            counts,
            {
                name: np.array([item[member] for one in events for item in one[collection]], np.float32)
                for name, member in names.items()
            },
        )

    around = {"eta": "Eta", "phi": "Phi"}
    return Events(
        tracks=lists("EFlowTrack", pt="PT", **around, x="X", y="Y", z="Z", charge="Charge"),
        photons=lists("EFlowPhoton", pt="ET", **around),
        neutrals=lists("EFlowNeutralHadron", pt="ET", **around),
        electrons=lists("Electron", pt="PT", **around, charge="Charge"),
        muons=lists("MuonTight", pt="PT", **around, charge="Charge"),
        jets=lists("Jet", pt="PT", eta="Eta", tag="BTag"),
        met=lists("MissingET", pt="MET", phi="Phi"),
    )


def write(path: Path, events: list[Event], kind: str = "ttree", cluster: int = 50, **replaced: Any) -> Path:
    """A file of these events; ``replaced`` are columns in place of theirs (``Jet__PT`` is that of ``Jet.PT``), or ``None``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {**columns(events), **{name.replace("__", "."): values for name, values in replaced.items()}}
    own = {name: values for name, values in own.items() if values is not None}
    return (_write_parquet if kind == "parquet" else _write_tree)(path, own, len(events), cluster)


def _write_parquet(path: Path, own: dict[str, ak.Array], count: int, cluster: int) -> Path:
    table = pa.table({name: _arrow(values) for name, values in own.items()})
    with pq.ParquetWriter(path, table.schema) as writer:
        for start in range(0, count, cluster):
            writer.write_table(table.slice(start, cluster))
    return path


def _arrow(values: ak.Array) -> pa.Array:
    flat = ak.to_numpy(ak.flatten(values)) if values.ndim > 1 else ak.to_numpy(values)
    return pa.array(ak.to_list(values), pa.list_(pa.from_numpy_dtype(flat.dtype)) if values.ndim > 1 else None)


def _write_tree(path: Path, own: dict[str, ak.Array], count: int, cluster: int) -> Path:
    """Collections whose columns have equally long lists as Delphes has them, with one counter; others column by column."""
    grouped: dict[str, Any] = {}
    for collection in MEMBERS:
        members = {name.partition(".")[2]: values for name, values in own.items() if name.startswith(f"{collection}.")}
        counts = [ak.to_list(ak.num(values)) for values in members.values() if values.ndim > 1]
        if members and len(counts) == len(members) and all(one == counts[0] for one in counts):
            grouped[collection] = ak.zip(members)
        else:
            grouped.update({f"{collection}.{member}": values for member, values in members.items()})
    types = {name: values.type.content if values.ndim > 1 else ak.to_numpy(values).dtype for name, values in grouped.items()}
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "Delphes", types, field_name=lambda outer, inner: f"{outer}.{inner}" if outer else inner,
            counter_name=lambda name: f"{name}_size",
        )
        for start in range(0, count, cluster):
            tree.extend({name: values[start : start + cluster] for name, values in grouped.items()})
    return path


def write_classes(folder: Path, count: int, kind: str = "ttree", files: int = 1, **given: Any) -> Path:
    """A folder as ``generate trigger`` makes it, ``count`` events a class."""
    ending = "parquet" if kind == "parquet" else "root"
    for number, name in enumerate(CLASSES):
        for file in range(files):
            events = random_events(count // files, seed=100 * number + file, **given)
            write(folder / name / f"trigger-{file:04}.{ending}", events, kind)
    return folder


# The oracle: one event at a time, in plain Python.


def delta_phi(one: float, other: float) -> float:
    apart = one - other
    while apart > math.pi:
        apart -= 2 * math.pi
    while apart < -math.pi:
        apart += 2 * math.pi
    return apart


def delta_r(one: dict[str, float], other: dict[str, float]) -> float:
    return math.sqrt((one["Eta"] - other["Eta"]) ** 2 + delta_phi(one["Phi"], other["Phi"]) ** 2)


def isolation(around: list[dict[str, float]], member: str, of: dict[str, float], pt: float, left_out: Any) -> float:
    return sum(one[member] for one in around if not left_out(one) and delta_r(one, of) < 0.3) / pt


def oracle(event: Event) -> str | tuple[list[float], list[list[float]]]:
    """Why an event is cut; or its features and those of its particles, of falling pT within each kind and cut off."""
    if any(not math.isfinite(value) for objects in event.values() for one in objects for value in one.values()):
        return "not_finite"
    if not event["MissingET"]:
        return "no_met"
    leptons = [(one, kind) for kind in ("MuonTight", "Electron") for one in event[kind]]
    if not leptons:
        return "no_lepton"
    leptons = [(one, kind) for one, kind in leptons if one["PT"] > 23]
    if not leptons:
        return "pt"
    kinds = (
        ("tracks", "PT", [one for one in event["EFlowTrack"] if one["PT"] > 0.5]),
        ("photons", "ET", [one for one in event["EFlowPhoton"] if one["ET"] > 1]),
        ("neutrals", "ET", [one for one in event["EFlowNeutralHadron"] if one["ET"] > 1]),
    )
    isolated = []
    for lepton, kind in leptons:
        parts = [
            isolation(
                objects, member, lepton, lepton["PT"],
                lambda one, lepton=lepton, name=name: name == "tracks" and delta_r(one, lepton) <= 1e-4,
            )
            for name, member, objects in kinds
        ]
        if sum(parts) < 0.45:
            isolated.append((lepton, kind, parts))
    if not isolated:
        return "isolation"
    for name, _, objects in kinds:
        if not objects:
            return f"empty_{name}"
    best = isolated[0]
    for one in isolated:
        if one[0]["PT"] > best[0]["PT"]:
            best = one
    return _oracle_features(event, best, kinds), _oracle_particles(best, kinds)


def _oracle_features(event: Event, best: Any, kinds: Any) -> list[float]:
    lepton, kind, (charged, photon, neutral) = best
    met = event["MissingET"][0]
    jets = [jet for jet in event["Jet"] if jet["PT"] > 30 and abs(jet["Eta"]) < 2.6]
    mt = math.sqrt(2 * met["MET"] * lepton["PT"] * (1 - math.cos(delta_phi(lepton["Phi"], met["Phi"]))))
    return [
        sum(jet["PT"] for jet in jets), met["MET"], met["Phi"], mt, len(jets), sum(jet["BTag"] > 0 for jet in jets),
        lepton["PT"], lepton["Eta"], lepton["Phi"], charged, photon, neutral, lepton["Charge"], float(kind == "Electron"),
    ]  # fmt: skip


def _oracle_particles(best: Any, kinds: Any) -> list[list[float]]:
    lepton, kind, parts = best
    rows = [_row(lepton, "PT", (0, 0, 0), parts, (0, 0, 0, kind == "Electron", kind == "MuonTight"), lepton["Charge"])]
    for (name, member, objects), limit in zip(kinds, (450, 150, 200), strict=True):
        flags = [float(name == flag) for flag in ("tracks", "neutrals", "photons")] + [0.0, 0.0]
        left = [one for one in objects if name != "tracks" or delta_r(one, lepton) > 1e-4]
        for one in sorted(left, key=lambda one: -one[member])[:limit]:
            around = [
                isolation(others, theirs, one, one[member], lambda other, one=one: other is one) for _, theirs, others in kinds
            ]
            vertex = (one["X"], one["Y"], one["Z"]) if name == "tracks" else (0, 0, 0)
            rows.append(_row(one, member, vertex, around, flags, one["Charge"] if name == "tracks" else 0))
    return rows


def _row(one: dict[str, float], member: str, vertex: Any, around: Any, flags: Any, charge: float) -> list[float]:
    pt, eta, phi = one[member], one["Eta"], one["Phi"]
    momentum = (pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
    # The columns of the isolation: charged, photons, neutral hadrons.
    return [*momentum, pt, eta, phi, *vertex, *around, *map(float, flags), float(charge)]
