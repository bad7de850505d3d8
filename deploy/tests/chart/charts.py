# SPDX-License-Identifier: Apache-2.0
"""The chart, rendered by Helm: manifests of values, and what is found in them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm/storescope"
#: Files of values that stand for what users have.
VALUES = sorted(CHART.glob("ci/*-values.yaml"))
RELEASE = "demo"
NAMESPACE = "analysis"

#: Helm that `go install` builds takes the cluster for one of 1.20.
KUBERNETES = ("--kube-version", "1.34.0")
TEMPLATE = ("template", RELEASE, CHART, "--namespace", NAMESPACE, *KUBERNETES)

Manifest = dict[str, Any]


class Refused(Exception):
    """Helm did not render: its words."""


def helm() -> str:
    """The binary of Helm."""
    path = os.environ.get("STORESCOPE_TEST_HELM")
    assert path, "set STORESCOPE_TEST_HELM to Helm (scripts/stages deploy installs it)"
    return path


def run(*arguments: object) -> str:
    """What a command of Helm prints.

    Raises:
        Refused: It failed.
    """
    done = subprocess.run([helm(), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


@cache
def template(values: Path | str, *options: str) -> str:
    """The manifests of a file of values, or of values as JSON."""
    given = ["--set-json", values] if isinstance(values, str) else ["--values", values]
    return run(*TEMPLATE, *given, *options)


def render(values: Path | Mapping[str, Any], *options: str) -> list[Manifest]:
    """The objects of a file of values, or of values."""
    if not isinstance(values, Path):
        # --set-json takes KEY=JSON, with commas between.
        return parse(run(
            *TEMPLATE,
            *[part for name, value in values.items() for part in ("--set-json", f"{name}={json.dumps(value)}")], *options,
        ))
    return parse(template(values, *options))


def parse(text: str) -> list[Manifest]:
    """The objects of a text, hooks among them."""
    return [found for found in yaml.safe_load_all(text) if found]


def named(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """The one object of a kind whose name begins so and holds nothing but a hash behind it."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].startswith(name)]
    assert len(found) == 1, f"{kind} {name}…: {[one['metadata']['name'] for one in found]}"
    return found[0]


def pods(objects: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod that the objects make, as metadata and spec, with the name of what makes it; the executors' template, too."""
    for one in objects:
        where = f"{one['kind']} {one['metadata']['name']}"
        yield from ((f"{where}{path}", pod) for path, pod in _pods(one))


def _pods(one: Manifest) -> Iterator[tuple[str, Manifest]]:
    spec = one.get("spec", {})
    match one["kind"]:
        case "Pod":
            yield "", one
        case "Job" | "Deployment":
            yield "", spec["template"]
        case "JobSet":
            for job in spec["replicatedJobs"]:
                yield f" {job['name']}", job["template"]["spec"]["template"]
        case "SparkApplication" if one["apiVersion"].startswith("spark.apache.org/"):
            for role in ("driver", "executor"):
                yield f" {role}", spec[f"{role}Spec"]["podTemplateSpec"]
        case "SparkApplication":
            for role in ("driver", "executor"):
                yield f" {role}", spec[role]["template"]
        case "ConfigMap" if "executor.yaml" in one["data"]:
            yield " executor.yaml", yaml.safe_load(one["data"]["executor.yaml"])


def containers(pod: Manifest) -> list[Manifest]:
    """All containers of a pod."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
