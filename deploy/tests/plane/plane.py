# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes control plane without nodes: etcd, kube-apiserver and kube-controller-manager as processes of this machine, and kubectl
and Helm as their user. Pods are made by the controllers and never run: a test plays the kubelet where it needs one.

`STORESCOPE_TEST_PLANE` names the folder that build.sh fills, `STORESCOPE_TEST_ETCD` etcd, `STORESCOPE_TEST_HELM` Helm;
`STORESCOPE_TEST_CHART` another chart than the repository's."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_SECONDS = 180
CHART = Path(os.environ.get("STORESCOPE_TEST_CHART") or Path(__file__).resolve().parents[2] / "helm/storescope")
_TOKEN = "a-token-of-the-tests"


def needed(name: str) -> str:
    """What the environment must name."""
    value = os.environ.get(name)
    assert value, f"set {name}: deploy/tests/plane/plane.py says to what"
    return value


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The first true thing that `condition` answers."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.25)
    return found


class Refused(Exception):
    """A command failed: its words."""


def run(command: list[str], environment: dict[str, str], given: str | None = None) -> str:
    """What a command prints.

    Raises:
        Refused: It failed.
    """
    done = subprocess.run(
        command, env={**os.environ, **environment}, input=given, capture_output=True, text=True, timeout=WAIT_SECONDS
    )  # fmt: skip
    if done.returncode:
        raise Refused(f"{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Cluster:
    """A control plane that runs."""

    url: str
    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints."""
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}
        return run([f"{needed('STORESCOPE_TEST_PLANE')}/kubectl", *arguments], environment, given)

    def helm(self, *arguments: str) -> str:
        """What Helm prints."""
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}
        return run([needed("STORESCOPE_TEST_HELM"), *arguments], environment)

    def get(self, kinds: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """Objects of kinds, with commas between, in a namespace."""
        told = json.loads(self.kubectl("get", kinds, "-n", namespace, "-l", selector, "-o", "json"))
        return told["items"]

    def kinds(self) -> list[str]:
        """All kinds of objects of a namespace that can be listed and removed, but for events."""
        told = self.kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name")
        return [kind for kind in told.split() if not kind.startswith("events")]

    def everything(self, namespace: str) -> set[str]:
        """The objects of a namespace, as kind/name."""
        told = self.kubectl("get", ",".join(self.kinds()), "-n", namespace, "-o", "name", "--ignore-not-found")
        return set(told.split())

    def set_status(self, pod: str, namespace: str, status: dict[str, Any]) -> None:
        """Does what a kubelet does at a pod's end."""
        self.kubectl(
            "patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
        )  # fmt: skip


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A control plane, its files and logs in a folder."""
    client, peer, secure, metrics = free_ports(4)
    url = f"https://127.0.0.1:{secure}"
    kubeconfig = _configured(folder, url)
    binaries = needed("STORESCOPE_TEST_PLANE")
    etcd = [
        needed("STORESCOPE_TEST_ETCD"), "--data-dir", str(folder / "etcd"), "--listen-client-urls", f"http://127.0.0.1:{client}",
        "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
        "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}",
    ]  # fmt: skip
    server = [
        f"{binaries}/kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", "127.0.0.1",
        "--secure-port", str(secure), "--cert-dir", str(folder / "certificates"), "--token-auth-file", str(folder / "tokens.csv"),
        "--authorization-mode", "RBAC", "--advertise-address", "192.0.2.1", "--service-cluster-ip-range", "10.96.0.0/16", "--endpoint-reconciler-type", "none",
        "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", str(folder / "key.pem"),
        "--service-account-signing-key-file", str(folder / "key.pem"),
    ]  # fmt: skip
    controllers = [
        f"{binaries}/kube-controller-manager", "--kubeconfig", str(kubeconfig), "--leader-elect=false", "--bind-address", "127.0.0.1",
        "--secure-port", str(metrics), "--cert-dir", str(folder / "certificates"),
        "--service-account-private-key-file", str(folder / "key.pem"),
        "--root-ca-file", str(folder / "certificates/apiserver.crt"),
    ]  # fmt: skip
    with ExitStack() as held:
        held.enter_context(_process(etcd, folder / "etcd.log"))
        api = held.enter_context(_process(server, folder / "kube-apiserver.log"))
        wait_for("the API server is ready", lambda: _ready(url, api, folder / "kube-apiserver.log"))
        held.enter_context(_process(controllers, folder / "kube-controller-manager.log"))
        cluster = Cluster(url, kubeconfig)
        # The service account that each namespace has is made by a controller.
        wait_for("the controllers work", lambda: "serviceaccount/default" in cluster.kubectl(
            "get", "serviceaccounts", "-n", "default", "-o", "name"
        ))  # fmt: skip
        yield cluster


def _configured(folder: Path, url: str) -> Path:
    """Keys, tokens, and the kubeconfig of an administrator."""
    subprocess.run(["openssl", "genrsa", "-out", str(folder / "key.pem"), "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "plane",
        "clusters": [{"name": "plane", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": "admin"}}],
    }))  # fmt: skip
    kubeconfig.chmod(0o600)
    return kubeconfig


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-6000:]
    # Its certificate is its own, made at its start.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
