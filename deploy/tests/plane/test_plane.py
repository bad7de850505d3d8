# SPDX-License-Identifier: Apache-2.0
"""The chart on a real API server with its controllers: what is made, changed, put back and removed; that the Pod Security level
`restricted` admits all of it; what pods the controllers make; what the service accounts may do."""

from __future__ import annotations

import json
import threading

import pytest
import yaml

import plane

RELEASE = "demo"
VALUES = sorted(plane.CHART.glob("ci/*-values.yaml"))
#: All sub-features, without a cloud.
ALL = plane.CHART / "ci/emulator-values.yaml"


def install(cluster: plane.Cluster, namespace: str, *values: str) -> None:
    cluster.helm("install", RELEASE, str(plane.CHART), "-n", namespace, *values)


def workloads(cluster: plane.Cluster, namespace: str) -> list[dict]:
    return cluster.get("deployments,statefulsets,jobs", namespace, f"app.kubernetes.io/instance={RELEASE}")


def wanted_pods(workload: dict) -> int:
    """How many pods its controller makes at first."""
    spec = workload["spec"]
    if workload["kind"] == "Job":
        return 0 if spec.get("suspend") else min(spec.get("parallelism", 1), spec.get("completions") or spec.get("parallelism", 1))
    return spec.get("replicas", 1)


def pods_of(cluster: plane.Cluster, namespace: str, workload: dict) -> list[dict]:
    selector = workload["spec"]["selector"]["matchLabels"]
    return cluster.get("pods", namespace, ",".join(f"{key}={value}" for key, value in selector.items()))


def admitted(cluster: plane.Cluster, namespace: str) -> dict[str, list[dict]]:
    """The pods of each workload, once they are all there."""
    found = {}
    for workload in workloads(cluster, namespace):
        count = wanted_pods(workload)

        def there(workload=workload, count=count) -> bool:
            events = [event["message"] for event in cluster.get("events", namespace) if event["reason"] == "FailedCreate"]
            refused = [message for message in events if "violates" in message or "invalid" in message]
            assert refused == []
            return len(pods_of(cluster, namespace, workload)) >= count

        name = f"{workload['kind']} {workload['metadata']['name']}"
        plane.wait_for(f"{count} pods of {name}", there)
        found[name] = pods_of(cluster, namespace, workload)
    return found


def test_install_upgrade_rollback_uninstall(cluster, namespace):
    before = cluster.everything(namespace)
    install(cluster, namespace, "--values", str(ALL))
    made = cluster.everything(namespace) - before
    print("\n".join(sorted(one for one in made if not one.startswith(("pod/", "controllerrevision", "replicaset")))))
    kinds = {one.split("/")[0] for one in made}
    assert {"configmap", "service", "serviceaccount", "deployment.apps", "job.batch", "role.rbac.authorization.k8s.io",
            "networkpolicy.networking.k8s.io"} <= kinds  # fmt: skip
    admitted(cluster, namespace)
    # Less: the dashboard and Spark go, with all that was theirs.
    cluster.helm(
        "upgrade", RELEASE, str(plane.CHART), "-n", namespace, "--values", str(ALL),
        "--set", "dashboard.enabled=false,spark.enabled=false,bench.run=again",
    )  # fmt: skip
    components = "app.kubernetes.io/component in (prometheus,grafana,dashboard,spark-driver,spark-executor)"
    assert cluster.get("deployments,services,configmaps,roles,rolebindings", namespace, f"app.kubernetes.io/instance={RELEASE},{components}") == []
    # And back.
    cluster.helm("rollback", RELEASE, "1", "-n", namespace)
    history = json.loads(cluster.helm("history", RELEASE, "-n", namespace, "-o", "json"))
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed"]
    assert cluster.get("deployments", namespace, "app.kubernetes.io/component=grafana") != []
    admitted(cluster, namespace)
    cluster.helm("uninstall", RELEASE, "-n", namespace)
    plane.wait_for("nothing is left", lambda: cluster.everything(namespace) <= before)


@pytest.mark.parametrize("values", VALUES, ids=[path.name.removesuffix("-values.yaml") for path in VALUES])
def test_values_are_admitted_and_leave_nothing(cluster, namespace, values):
    before = cluster.everything(namespace)
    install(cluster, namespace, "--values", str(values))
    for name, pods in admitted(cluster, namespace).items():
        for pod in pods:
            security = pod["spec"]["securityContext"]
            assert security["runAsNonRoot"] is True and security["seccompProfile"]["type"] == "RuntimeDefault", name
    cluster.helm("uninstall", RELEASE, "-n", namespace)
    plane.wait_for("nothing is left", lambda: cluster.everything(namespace) <= before)


def test_a_pod_that_is_not_restricted_is_refused(cluster, namespace):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": namespace},
           "spec": {"containers": [{"name": "it", "image": "it"}]}}  # fmt: skip
    with pytest.raises(plane.Refused, match="violates PodSecurity"):
        cluster.kubectl("apply", "-f", "-", given=json.dumps(pod))


def trainers_job(cluster: plane.Cluster, namespace: str) -> dict:
    (job,) = cluster.get("jobs", namespace, f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=trainer")
    return job


def environment(container: dict) -> dict[str, dict]:
    return {one["name"]: one for one in container.get("env", [])}


def test_the_trainers_pods_know_their_index_and_each_other(cluster, namespace):
    install(cluster, namespace, "--values", str(ALL))
    job = trainers_job(cluster, namespace)
    assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    pods = admitted(cluster, namespace)[f"Job {job['metadata']['name']}"]
    hosts = sorted(pod["spec"]["hostname"] for pod in pods)
    assert hosts == [f"{job['metadata']['name']}-{index}" for index in (0, 1)]
    (subdomain,) = {pod["spec"]["subdomain"] for pod in pods}
    (service,) = [one for one in cluster.get("services", namespace) if one["metadata"]["name"] == subdomain]
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    for pod in pods:
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert pod["spec"]["hostname"].endswith(f"-{index}")
        for container in pod["spec"]["containers"]:
            # The controller gives the index to all containers.
            told = environment(container)["JOB_COMPLETION_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
            assert "job-completion-index" in told


def may(cluster: plane.Cluster, account: str, namespace: str, verb: str, what: str, where: str = "") -> bool:
    try:
        cluster.kubectl("auth", "can-i", verb, what, "-n", where or namespace, f"--as=system:serviceaccount:{namespace}:{account}")
    except plane.Refused:
        return False
    return True


def test_what_the_service_accounts_may_do(cluster, namespace):
    install(cluster, namespace, "--values", str(ALL))
    accounts = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["metadata"]["name"]
        for one in cluster.get("serviceaccounts", namespace, f"app.kubernetes.io/instance={RELEASE}")
    }
    driver = accounts.pop("spark-driver")
    for verb in ("create", "get", "list", "watch", "delete", "deletecollection"):
        assert may(cluster, driver, namespace, verb, "pods"), verb
    assert may(cluster, driver, namespace, "create", "configmaps")
    for verb, what in (("get", "secrets"), ("list", "secrets"), ("create", "roles"), ("create", "pods/exec"), ("create", "deployments")):
        assert not may(cluster, driver, namespace, verb, what), (verb, what)
    assert not may(cluster, driver, namespace, "create", "pods", "default")
    # Prometheus looks for pods; the others ask the API server for nothing.
    prometheus = accounts.pop("prometheus", None)
    if prometheus:
        assert may(cluster, prometheus, namespace, "list", "pods") and not may(cluster, prometheus, namespace, "create", "pods")
    assert accounts
    for account in accounts.values():
        for verb, what in (("get", "pods"), ("create", "pods"), ("get", "secrets"), ("get", "configmaps")):
            assert not may(cluster, account, namespace, verb, what), (account, verb, what)


class Kubelet(threading.Thread):
    """Ends the pods of `helm test` as they come."""

    def __init__(self, cluster: plane.Cluster, namespace: str, phase: str) -> None:
        super().__init__(daemon=True)
        self._cluster, self._namespace, self._phase = cluster, namespace, phase
        self.ended: set[str] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            for pod in self._cluster.get("pods", self._namespace, "app.kubernetes.io/component=test"):
                name = pod["metadata"]["name"]
                if pod.get("status", {}).get("phase") == "Pending":
                    try:
                        self._cluster.set_status(name, self._namespace, {"phase": self._phase})
                    except plane.Refused:
                        # Helm has removed it meanwhile.
                        continue
                    self.ended.add(name)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_helm_test_waits_for_its_pods(cluster, namespace, phase):
    install(cluster, namespace, "--values", str(ALL))
    kubelet = Kubelet(cluster, namespace, phase)
    kubelet.start()
    try:
        if phase == "Succeeded":
            told = cluster.helm("test", RELEASE, "-n", namespace, "--timeout", "120s")
            hooks = {one["metadata"]["name"] for one in yaml.safe_load_all(cluster.helm("get", "hooks", RELEASE, "-n", namespace)) if one and one["kind"] == "Pod"}
            assert kubelet.ended == hooks and hooks, told
            assert cluster.get("pods", namespace, "app.kubernetes.io/component=test") == []
        else:
            with pytest.raises(plane.Refused, match="(?i)failed"):
                cluster.helm("test", RELEASE, "-n", namespace, "--timeout", "120s")
    finally:
        kubelet.stop.set()
        kubelet.join()


def test_a_trainers_pod_that_fails_is_made_anew(cluster, namespace):
    install(cluster, namespace, "--values", str(ALL))
    admitted(cluster, namespace)
    job = trainers_job(cluster, namespace)["metadata"]["name"]

    def pods() -> list[dict]:
        return cluster.get("pods", namespace, f"batch.kubernetes.io/job-name={job}")

    (first,) = [pod for pod in pods() if pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1"]
    container = first["spec"]["containers"][0]
    ended = {"exitCode": 1, "reason": "Error", "startedAt": "2026-12-01T12:00:00Z", "finishedAt": "2026-12-01T12:00:01Z"}
    status = {"phase": "Failed", "containerStatuses": [{
        "name": container["name"], "image": container["image"], "imageID": "", "ready": False, "restartCount": 0,
        "state": {"terminated": ended},
    }]}  # fmt: skip
    cluster.set_status(first["metadata"]["name"], namespace, status)

    def anew() -> bool:
        return any(
            pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1"
            and pod["metadata"]["name"] != first["metadata"]["name"] and pod["status"]["phase"] == "Pending"
            for pod in pods()
        )

    plane.wait_for("another pod of index 1", anew)
