# SPDX-License-Identifier: Apache-2.0
"""What the chart makes: equal to the golden files, fit for the Pod Security level `restricted`, consistent in itself."""

from __future__ import annotations

import copy
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

import charts
from charts import CHART, VALUES, containers, named, pods, render

GOLDEN = Path(__file__).parent / "golden"
every = pytest.mark.parametrize("values", VALUES, ids=[path.name.removesuffix("-values.yaml") for path in VALUES])
#: By component: values that switch it on by itself.
ALONE = {
    "bench": {"bench.enabled": True, "bench.url": "oci://lake@ns/2026/", "bench.results": "oci://lake@ns/bench"},
    "trainer": {"trainer.enabled": True, "trainer.data": "oci://lake@ns/shards", "trainer.out": "oci://lake@ns/model"},
    "spark": {"spark.enabled": True, "spark.arguments": ["reduce"]},
    "dashboard": {"dashboard.enabled": True},
    "emulator": {"emulator.enabled": True},
}
REGION = {"store.region": "us-ashburn-1"}
#: Components of pods, by the part of the chart that makes them.
COMPONENTS = {
    "bench": {"bench", "bench-merge"}, "trainer": {"trainer"}, "spark": {"spark-driver", "spark-executor"},
    "dashboard": {"prometheus", "grafana", "dashboard"}, "emulator": {"emulator"},
}


def alone(part):
    return render({**ALONE[part], **({} if part == "emulator" else REGION)})


def test_there_are_enough_files_of_values():
    assert len(VALUES) >= 8


@every
def test_lint(values):
    assert "0 chart(s) failed" in charts.run("lint", "--strict", *charts.KUBERNETES, CHART, "--values", values)


@every
def test_golden(values):
    text = yaml.safe_dump_all(sorted(map(_short, render(values)), key=_order), sort_keys=True, width=160)
    path = GOLDEN / values.name.replace("-values", "")
    if os.environ.get("STORESCOPE_BLESS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{path} is not what the chart makes; STORESCOPE_BLESS=1 writes it"


def _order(one):
    return one["kind"], one["metadata"]["name"]


def _short(one):
    """Without what has tests of its own: dashboards, rules and scripts, and hashes of them."""
    one = copy.deepcopy(one)
    for name, text in one.get("data", {}).items():
        if re.search(r"\.(json|sh)$", name) or one["metadata"]["name"].endswith("-rules"):
            one["data"][name] = f"({name})"
    if one["kind"] == "PrometheusRule":
        one["spec"] = "(rules)"
    template = one.get("spec", {})
    if isinstance(template, dict) and "template" in template:
        template["template"].get("metadata", {}).get("annotations", {}).pop("storescope/configuration", None)
    return one


@every
def test_names_are_unique_and_of_the_namespace(values):
    objects = render(values)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)
    for one in objects:
        assert one["metadata"]["namespace"] == charts.NAMESPACE, one["metadata"]["name"]
        assert len(one["metadata"]["name"]) <= 63
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == charts.RELEASE


@every
def test_pods_are_restricted(values):
    """As the Pod Security level `restricted` asks, and stricter: no root file system is written, resources are bounded."""
    for where, pod in pods(render(values)):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, where
        assert spec["securityContext"]["runAsUser"] > 0, where
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), where
        assert spec["enableServiceLinks"] is False, where
        assert isinstance(spec["automountServiceAccountToken"], bool), where
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"}, where
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            # Spark sets those of its executors.
            if "spark" not in where.lower() or "Job" in where:
                assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, where
                assert "memory" in container["resources"]["limits"], where
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in spec.get("volumes", [])}, where


@every
def test_what_runs_on_is_probed(values):
    for one in render(values):
        if one["kind"] == "Deployment":
            for container in containers(one["spec"]["template"]):
                assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}, one["metadata"]["name"]


@every
def test_no_secret_stands_in_a_pod(values):
    for where, pod in pods(render(values)):
        for container in containers(pod):
            for variable in container.get("env", []):
                if re.search("SECRET|PASSWORD|KEY|TOKEN|PASS", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"], f"{where}: {variable['name']}"


@every
def test_each_pod_has_one_policy(values):
    objects = render(values)
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    if not policies:
        assert values.name == "bench-secret-oci-values.yaml" or not list(pods(objects)) or values.name.startswith("off")
        return
    for where, pod in pods(objects):
        found = [policy for policy in policies if policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()]
        assert len(found) == 1, where
        assert found[0]["policyTypes"] == ["Ingress", "Egress"], where


@every
def test_services_reach_a_port(values):
    objects = render(values)
    for service in (one for one in objects if one["kind"] == "Service"):
        selected = [
            pod for _, pod in pods(objects) if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        ]
        assert len(selected) == 1, service["metadata"]["name"]
        ports = {port["name"] for container in containers(selected[0]) for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@every
def test_accounts_and_maps_that_are_named_exist(values):
    objects = render(values)
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for where, pod in pods(objects):
        if account := pod["spec"].get("serviceAccountName"):
            assert ("ServiceAccount", account) in there, where
        for volume in pod["spec"].get("volumes", []):
            sources = volume.get("projected", {}).get("sources", []) or [volume]
            for source in sources:
                if "configMap" in source:
                    assert ("ConfigMap", source["configMap"]["name"]) in there, where
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there, where


@pytest.mark.parametrize("part", ALONE)
def test_each_part_by_itself(part):
    objects = [one for one in alone(part) if "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    components = {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in objects}
    assert COMPONENTS[part] - {"dashboard"} <= components <= COMPONENTS[part] | {"test"}


def test_nothing_is_made_of_nothing():
    assert [one for one in render({"tests.enabled": False})] == []


@pytest.mark.parametrize("part", ["bench", "trainer", "spark"])
def test_a_job_is_named_by_what_it_is_made_of(part):
    """Jobs cannot be changed: an upgrade with other values must make another, and one without must not."""
    def job(**more):
        objects = render({**ALONE[part], **REGION, **more})
        return named(objects, "Job", f"{charts.RELEASE}-storescope-{part}") if part != "bench" else [
            one for one in objects if one["kind"] == "Job" and not one["metadata"]["name"].endswith("-merge")
        ][0]

    base = job()
    assert job(**{"dashboard.enabled": True}) == base
    other = job(**{f"{part}.nodeSelector" if part != "spark" else "spark.driver.nodeSelector": {"pool": "cpu"}})
    assert other["metadata"]["name"] != base["metadata"]["name"]
    # The host names of pods: NAME-INDEX, 63 characters at most.
    longest = render({**ALONE[part], **REGION, "fullnameOverride": "a" * 32})
    for one in longest:
        if one["kind"] == "Job":
            assert len(one["metadata"]["name"]) + len("-255-abcde") <= 63


def test_tf_config():
    """As docs/TRAINER.md has it; the kubelet puts the index in."""
    import json

    objects = render({**ALONE["trainer"], **REGION, "trainer.workers": 4})
    job = named(objects, "Job", "demo-storescope-trainer")
    environment = {one["name"]: one for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    names = list(environment)
    assert names.index("JOB_COMPLETION_INDEX") < names.index("TF_CONFIG"), "what is expanded must stand before"
    text = environment["TF_CONFIG"]["value"].replace("$(JOB_COMPLETION_INDEX)", "1")
    name = job["metadata"]["name"]
    assert json.loads(text) == {
        "cluster": {"worker": [f"{name}-{index}.demo-storescope-trainer:2222" for index in range(4)]},
        "task": {"type": "worker", "index": 1},
    }
    service = named(objects, "Service", "demo-storescope-trainer")
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 4
    assert job["spec"]["backoffLimit"] == 12


def test_tf_config_of_a_jobset():
    objects = render({**ALONE["trainer"], **REGION, "trainer.kind": "jobset"})
    jobset = named(objects, "JobSet", "demo-storescope-trainer")
    text = str(jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]["env"])
    assert f"{jobset['metadata']['name']}-workers-0-1.{jobset['spec']['network']['subdomain']}:2222" in text


def test_gpus():
    objects = render({**ALONE["trainer"], **REGION, "trainer.gpu.enabled": True, "trainer.gpu.count": 2})
    spec = named(objects, "Job", "demo-storescope-trainer")["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert "--device=gpu" in spec["containers"][0]["args"]


@pytest.mark.parametrize("kind", ["workload-identity", "instance-principal", "none"])
def test_identities(kind):
    objects = render({**ALONE["bench"], **REGION, "credentials.kind": kind})
    job = [one for one in objects if one["kind"] == "Job"][0]
    spec = job["spec"]["template"]["spec"]
    environment = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
    expected = {"workload-identity": "oke_workload_identity", "instance-principal": "instance_principal", "none": None}[kind]
    assert environment.get("STORESCOPE_AUTH") == expected
    assert spec["automountServiceAccountToken"] is (kind == "workload-identity")
    ports = str([one["spec"]["egress"] for one in objects if one["metadata"]["name"] == "demo-storescope-bench" and one["kind"] == "NetworkPolicy"])
    assert ("12250" in ports) is (kind == "workload-identity")
    assert ("169.254.169.254/32" in ports) is (kind == "instance-principal")


def test_a_secret():
    objects = render({**ALONE["bench"], "credentials.kind": "secret", "credentials.secret.name": "oci-config"})
    spec = [one for one in objects if one["kind"] == "Job"][0]["spec"]["template"]["spec"]
    assert {"name": "credentials", "secret": {"secretName": "oci-config", "defaultMode": 0o440}} in spec["volumes"]
    assert {"name": "STORESCOPE_CONFIG_FILE", "value": "/etc/storescope/credentials/config"} in spec["containers"][0]["env"]


def test_settings_become_variables():
    objects = render({**ALONE["bench"], **REGION, "store.settings": {"hedge_at": 0, "read_budget": "64MiB"}})
    spec = [one for one in objects if one["kind"] == "Job"][0]["spec"]["template"]["spec"]
    assert {"name": "STORESCOPE_HEDGE_AT", "value": "0"} in spec["containers"][0]["env"]
    assert {"name": "STORESCOPE_READ_BUDGET", "value": "64MiB"} in spec["containers"][0]["env"]


def test_large_numbers_stay_whole():
    objects = render({
        **ALONE["bench"], **REGION, "bench.prepare": 1_000_000, "bench.deadlineSeconds": 2_000_000, "pod.runAsUser": 1_000_660_000,
        "store.settings": {"read_gap": 4_000_000},
    }, "--values", str(CHART / "ci/off-values.yaml"))
    text = yaml.safe_dump(objects)
    assert "e+0" not in text
    assert "value: '1000000'" in text and "activeDeadlineSeconds: 2000000" in text and "runAsUser: 1000660000" in text


def test_properties_of_spark():
    conf = {"spark.executor.memory": "9g", "spark.x": "1000000"}
    objects = render({**ALONE["spark"], **REGION, "spark.conf": conf, "spark.report": "oci://lake@ns/reports"})
    text = named(objects, "ConfigMap", "demo-storescope-spark")["data"]["spark.conf"]
    given = dict(line.split(" ", 1) for line in text.splitlines())
    assert given["spark.executor.memory"] == "9g", "the user's properties go before the chart's"
    assert given["spark.x"] == "1000000"
    assert given["spark.storescope.report"] == "oci://lake@ns/reports"
    assert given["spark.driver.host"] == "demo-storescope-spark-driver.analysis.svc"


def test_dashboards_and_rules_are_all_there():
    files = {path.name for path in CHART.glob("dashboards/*.json")}
    for kind in ("bundled", "cluster"):
        objects = render({"dashboard.enabled": True, "dashboard.kind": kind})
        maps = [one for one in objects if one["metadata"]["labels"].get("grafana_dashboard") == "1"]
        assert {name for one in maps for name in one["data"]} == files
    for path in CHART.glob("rules/*.yaml"):
        rules = yaml.safe_load(path.read_text())
        assert named(objects, "PrometheusRule", f"demo-storescope-{path.stem}")["spec"] == rules


def test_prometheus_configuration():
    """YAML, with what dashboards choose by."""
    objects = render({"dashboard.enabled": True, "dashboard.prometheus.alertmanagers": ["a:9093"]})
    text = [
        one for one in objects if one["kind"] == "ConfigMap" and "prometheus.yml" in one["data"]
    ][0]["data"]["prometheus.yml"]
    configuration = yaml.safe_load(text)
    labels = {rule.get("target_label") for rule in configuration["scrape_configs"][0]["relabel_configs"]}
    assert {"namespace", "application_id", "executor_id", "bucket"} <= labels
    assert configuration["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["a:9093"]}]


def test_notes(tmp_path):
    """What Helm prints at the end, as part of a manifest: without a cluster it prints none."""
    chart = shutil.copytree(CHART, tmp_path / "storescope")
    notes = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/printed.yaml").write_text(
        f'{{{{- define "printed" }}}}{notes}{{{{ end }}}}kind: Printed\nmetadata: {{name: notes}}\ntext: {{{{ include "printed" . | toJson }}}}\n'
    )
    text = charts.run(
        "template", charts.RELEASE, chart, "--namespace", charts.NAMESPACE, *charts.KUBERNETES, "--values", CHART / "ci/emulator-values.yaml"
    )
    told = named(charts.parse(text), "Printed", "notes")["text"]
    assert "port-forward" in told and "helm test demo" in told and "oci://lake@emulator/" in told
    for name in re.findall(r"job/(\S+)", told):
        assert any(one["kind"] == "Job" and one["metadata"]["name"] == name for one in charts.parse(text)), name
