# SPDX-License-Identifier: Apache-2.0
"""Values of a wrong type and combinations that cannot be: refused before anything is installed, with words."""

from __future__ import annotations

import json

import pytest
import yaml

from charts import CHART, Refused, render

REGION = {"store.region": "us-ashburn-1"}
BENCH = {**REGION, "bench.enabled": True, "bench.url": "oci://lake@ns/a/", "bench.results": "oci://lake@ns/b"}
TRAINER = {**REGION, "trainer.enabled": True, "trainer.data": "oci://lake@ns/a", "trainer.out": "oci://lake@ns/b"}
SPARK = {**REGION, "spark.enabled": True, "spark.arguments": ["reduce"]}

#: What values.schema.json refuses: values, and what the message holds.
BY_SCHEMA = [
    ({"bench.enabled": "yes"}, "boolean"),
    ({"bench.workers": 0}, "minimum"),
    ({"bench.workers": "2"}, "integer"),
    ({"bench.workes": 2}, "workes"),
    ({"bench.url": "lake/2026"}, "pattern"),
    ({"bench.url": "s3a://lake/2026"}, "pattern"),
    ({"bench.run": "a/b"}, "pattern"),
    ({"bench.resources.requests": [1]}, "object"),
    ({"bench.scratch.size": "2 GB"}, "pattern"),
    ({"credentials.kind": "api-key"}, "one of"),
    ({"credentials.secret.format": "aws"}, "one of"),
    ({"dashboard.kind": "grafana"}, "one of"),
    ({"dashboard.scrapeInterval": 15}, "string"),
    ({"dashboard.grafana.service.type": "Public"}, "one of"),
    ({"dashboard.labels": {"grafana_dashboard": 1}}, "string"),
    ({"emulator.model": "s3"}, "one of"),
    ({"emulator.persistence.accessMode": "Many"}, "one of"),
    ({"fullnameOverride": "Demo_1"}, "pattern"),
    ({"image.cli.digest": "sha256:12"}, "pattern"),
    ({"image.pullPolicy": "Sometimes"}, "one of"),
    ({"image.registry": "https://registry.example"}, "pattern"),
    ({"networkPolicy.egressCIDRs": []}, "minItems"),
    ({"networkPolicy.egressCIDRs": ["store.example"]}, "pattern"),
    ({"pod.runAsUser": 0}, "minimum"),
    ({"spark.application": "main.py"}, "pattern"),
    ({"spark.conf": {"executor.memory": "1g"}}, "executor.memory"),
    ({"spark.conf": {"spark.executor.cores": 2}}, "string"),
    ({"spark.executor.memory": "4 GB"}, "pattern"),
    ({"spark.mode": "operator"}, "one of"),
    ({"store.endpoint": "minio:9000"}, "pattern"),
    ({"store.settings": {"secret_access_key": "abc"}}, "secret_access_key"),
    ({"store.settings": {"key_content": "abc"}}, "key_content"),
    ({"store.settings": {"HEDGE_AT": "0"}}, "HEDGE_AT"),
    ({"trainer.gpu.count": 0}, "minimum"),
    ({"trainer.kind": "tfjob"}, "one of"),
    ({"trainer.model": "cnn"}, "one of"),
    ({"trainer.ports.watch": 80}, "minimum"),
    ({"unknown": 1}, "unknown"),
]
#: What templates refuse.
BY_TEMPLATES = [
    ({"bench.enabled": True, **REGION}, "bench.url is missing"),
    ({**BENCH, "bench.results": ""}, "bench.results is missing"),
    ({**TRAINER, "trainer.data": ""}, "trainer.data is missing"),
    ({**TRAINER, "trainer.out": ""}, "trainer.out is missing"),
    ({"spark.enabled": True, **REGION}, "spark.arguments is missing"),
    ({**BENCH, "store.region": ""}, "needs store.region"),
    ({**BENCH, "credentials.kind": "secret"}, "needs credentials.secret.name"),
    ({**BENCH, "credentials.secret.name": "x"}, "set credentials.kind=secret"),
    ({**BENCH, "emulator.enabled": True}, "the store is the emulator"),
    ({**BENCH, "store.region": "", "store.endpoint": "http://a", "emulator.enabled": True}, "the store is the emulator"),
    ({**BENCH, "bench.url": "s3://lake/a/"}, "an identity of OCI cannot sign for S3"),
    ({**BENCH, "credentials.kind": "instance-principal", "bench.results": "s3://lake/a/"}, "an identity of OCI cannot sign for S3"),
    ({**BENCH, "credentials.kind": "secret", "credentials.secret": {"name": "k", "format": "s3"}}, "an access key of S3 cannot sign"),
    ({"emulator.enabled": True, "bench.enabled": True, "bench.url": "s3://lake/a/"}, "use oci://"),
    ({**BENCH, "bench.startAt": "tomorrow"}, "RFC 3339"),
    ({**BENCH, "bench.args": ["--worker", "1/2"]}, "--worker is set by the chart"),
    ({**BENCH, "bench.args": ["--out=/tmp"]}, "--out is set by the chart"),
    ({**TRAINER, "trainer.args": ["--local-workers", "2"]}, "--local-workers is set by the chart"),
    ({**TRAINER, "trainer.ports": {"tensorflow": 2222, "watch": 2222}}, "need two ports"),
    ({**TRAINER, "trainer.workers": 3, "trainer.args": ["--streams", "4"]}, "trainer.workers"),
    ({**SPARK, "spark.dynamicAllocation": {"enabled": True, "minExecutors": 5, "maxExecutors": 2}}, "minExecutors"),
    ({"dashboard.enabled": True, "dashboard.kind": "cluster", "dashboard.prometheus.persistence.enabled": True}, "dashboard.kind is cluster"),
    ({"dashboard.enabled": True, "dashboard.grafana.ingress.enabled": True}, "needs dashboard.grafana.ingress.host"),
    ({"dashboard.enabled": True, "dashboard.grafana.ingress": {"enabled": True, "host": "g.example"}}, "needs dashboard.grafana.adminSecret"),
]


@pytest.mark.parametrize(("values", "words"), BY_SCHEMA, ids=lambda given: str(given)[:60])
def test_refused_by_the_schema(values, words):
    with pytest.raises(Refused) as refused:
        render(values)
    message = str(refused.value)
    assert "schema" in message and words.lower() in message.lower(), message
    (path, _), = values.items()
    # It says where.
    assert path.split(".")[0] in message, message


@pytest.mark.parametrize(("values", "words"), BY_TEMPLATES, ids=lambda given: str(given)[:60])
def test_refused_by_templates(values, words):
    with pytest.raises(Refused) as refused:
        render(values)
    assert words in str(refused.value), str(refused.value)


def test_what_is_refused_is_accepted_otherwise():
    for values in (BENCH, TRAINER, SPARK):
        assert render(values)


def _leaves(schema, path=()):
    for name, child in schema.get("properties", {}).items():
        yield from _leaves(child, (*path, name))
        yield (*path, name), child


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
WRONG = {"string": 5, "boolean": "yes", "integer": "five", "number": "five", "array": "one", "object": "one"}


@pytest.mark.parametrize("path", [".".join(path) for path, _ in _leaves(SCHEMA)])
def test_every_value_is_described_and_typed(path):
    """Each value of the schema has a description, is in values.yaml, and is refused where its type is wrong."""
    import jsonschema

    described = dict((".".join(found), child) for found, child in _leaves(SCHEMA))[path]
    assert len(described["description"]) > 5
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    *parents, last = path.split(".")
    place = values
    for name in parents:
        place = place[name]
    if path != "global":
        assert last in place, f"values.yaml lacks {path}"
    place[last] = WRONG[described["type"]] if "type" in described else "no such choice"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(values)


def test_values_without_description_are_unknown():
    """What values.yaml holds is in the schema: it refuses all else."""
    import jsonschema

    jsonschema.Draft7Validator(SCHEMA).validate(yaml.safe_load((CHART / "values.yaml").read_text()))
