# SPDX-License-Identifier: Apache-2.0
"""What the chart makes, by judges that were not made here: kubeconform with the schemas of three minors of Kubernetes.
STORESCOPE_TEST_KUBECONFORM and STORESCOPE_TEST_SCHEMAS (a folder for each minor) name them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from charts import VALUES, template

#: Kinds of others, whose schemas are not in Kubernetes' document.
OTHERS = "SparkApplication,JobSet,PodMonitor,PrometheusRule"
MINORS = sorted(path.name for path in Path(os.environ.get("STORESCOPE_TEST_SCHEMAS", "/nowhere")).glob("1.*"))
every = pytest.mark.parametrize("values", VALUES, ids=[path.name.removesuffix("-values.yaml") for path in VALUES])


def kubeconform(text, minor):
    """Its summary, and what it found."""
    done = subprocess.run(
        [
            os.environ["STORESCOPE_TEST_KUBECONFORM"], "-strict", "-summary", "-output", "json", "-skip", OTHERS, "-schema-location",
            f"{os.environ['STORESCOPE_TEST_SCHEMAS']}/{minor}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        ],
        input=text, capture_output=True, text=True, timeout=120,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_three_minors():
    assert len(MINORS) >= 3, "STORESCOPE_TEST_SCHEMAS holds fewer than three minors"


@pytest.mark.parametrize("minor", MINORS)
@every
def test_kubeconform(values, minor):
    text = template(values)
    told = kubeconform(text, minor)
    summary = told["summary"]
    assert (summary["invalid"], summary["errors"]) == (0, 0), told
    if text.strip():
        assert summary["valid"] + summary["skipped"] == text.count("\nkind: ") + text.startswith("kind: "), told


@pytest.mark.parametrize("minor", MINORS)
def test_the_judge_refuses(minor):
    """A field that no Job has, and a number in place of a text."""
    text = template(VALUES[0])
    for before, after in (("completionMode: Indexed", "completionModes: Indexed"), ("parallelism: ", "parallelism: x")):
        assert before in text
        told = kubeconform(text.replace(before, after), minor)
        assert told["summary"]["invalid"] + told["summary"]["errors"] > 0, after
