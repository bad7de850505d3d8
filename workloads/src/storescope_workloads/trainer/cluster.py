# SPDX-License-Identifier: Apache-2.0
"""Which workers train together: one process, processes of this host, or pods and hosts. No TensorFlow but in
:func:`strategy`."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, WorkloadError
from .watch import split

#: The port of TensorFlow's server, where none is given.
PORT = 2222


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Attributes:
        addresses: ``host:port`` of each worker's TensorFlow; empty for one process alone.
        index: Of this process.
        watch: ``host:port`` where worker 0 listens for the others (:mod:`.watch`).
    """

    addresses: tuple[str, ...] = ()
    index: int = 0
    watch: str = ""

    @property
    def workers(self) -> int:
        """How many there are."""
        return max(len(self.addresses), 1)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return {"addresses": list(self.addresses), "index": self.index, "watch": self.watch}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Cluster:
        """What :meth:`to_json` wrote."""
        return cls(tuple(told["addresses"]), told["index"], told["watch"])


@dataclass(frozen=True)
class Wanted:
    """What the command line says of workers.

    Attributes:
        workers: How many a Job has.
        hosts: A pattern of their addresses, with ``{index}``; the port may be left out.
        service: The headless service of a Job, with which addresses are made of this pod's name.
        watch_port: Of worker 0's watch; without it, one more than the largest port on its host.
    """

    workers: int | None = None
    hosts: str | None = None
    service: str | None = None
    watch_port: int | None = None


def of_environment(wanted: Wanted, environment: Mapping[str, str]) -> Cluster:
    """The cluster that ``TF_CONFIG``, or options and a Job's completion index, name; else this process alone.

    Raises:
        UsageError: They are wrong, or do not fit together.
    """
    if wanted.workers is not None and wanted.workers > 1:
        return _of_job(wanted, environment)
    if wanted.workers is None and (wanted.hosts or wanted.service):
        raise UsageError("--hosts and --service need --workers, the number of the Job's completions")
    if wanted.workers is None and environment.get("TF_CONFIG"):
        return of_tf_config(environment["TF_CONFIG"], wanted.watch_port)
    return Cluster()


def of_tf_config(text: str, watch_port: int | None = None) -> Cluster:
    """The cluster of a ``TF_CONFIG``: ``{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}``.

    Raises:
        UsageError: Says what is wrong in it.
    """
    try:
        told = json.loads(text)
        jobs, task = told["cluster"], told["task"]
        kinds, kind, index = sorted(jobs), task["type"], task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f'TF_CONFIG is not {{"cluster": {{"worker": ["host:port", …]}}, "task": {{"type": "worker", "index": 0}}}}: {error!r}'
        ) from error
    if kinds != ["worker"] or kind != "worker":
        raise UsageError(
            f"TF_CONFIG names tasks of {', '.join(kinds) or 'no kind'}, and this one is {kind!r}: all tasks must be of the kind "
            "worker; worker 0 writes the output"
        )
    addresses = jobs["worker"]
    if not isinstance(addresses, list) or not addresses or not all(isinstance(address, str) for address in addresses):
        raise UsageError("TF_CONFIG: cluster.worker is not a list of host:port")
    return _cluster(addresses, index, watch_port, "TF_CONFIG")


def _of_job(wanted: Wanted, environment: Mapping[str, str]) -> Cluster:
    name = environment.get("JOB_COMPLETION_INDEX")
    if name is None:
        raise UsageError(
            "--workers is for a Job's pods, which have their index in JOB_COMPLETION_INDEX; it is not set. For processes of this "
            "host use --local-workers, for other hosts TF_CONFIG"
        )
    if not name.isdigit():
        raise UsageError(f"JOB_COMPLETION_INDEX is {name!r}, which is no index")
    pattern = wanted.hosts or _pattern(wanted.service, name, environment.get("HOSTNAME") or socket.gethostname())
    if "{index}" not in pattern:
        raise UsageError(f"--hosts {pattern}: has no {{index}}; the address of worker 1 would be that of worker 0")
    addresses = [pattern.replace("{index}", str(index)) for index in range(wanted.workers or 1)]
    if not re.search(r":\d+$", pattern):
        addresses = [f"{address}:{PORT}" for address in addresses]
    return _cluster(addresses, int(name), wanted.watch_port, "--workers")


def _pattern(service: str | None, index: str, host: str) -> str:
    """``<job>-{index}.<service>``: this pod is ``<job>-<index>``, or ``<job>-<index>-<random>`` without a hostname of its own."""
    if service is None:
        raise UsageError("--workers needs --service, the Job's headless service, or --hosts 'NAME-{index}.SERVICE:PORT'")
    found = re.fullmatch(rf"(.+)-{index}(?:\..*)?", host)
    if not found:
        raise UsageError(
            f"the name of this host, {host}, does not end with -{index}, its completion index: give --hosts "
            "'NAME-{index}.SERVICE:PORT'"
        )
    return f"{found[1]}-{{index}}.{service}"


def _cluster(addresses: list[str], index: Any, watch_port: int | None, what: str) -> Cluster:
    if type(index) is not int or not 0 <= index < len(addresses):
        raise UsageError(f"{what}: the index {index!r} is not one of the {len(addresses)} workers, 0 to {len(addresses) - 1}")
    if len(set(addresses)) < len(addresses):
        raise UsageError(f"{what}: two workers have the same address: {', '.join(addresses)}")
    try:
        parts = [split(address) for address in addresses]
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error
    if len(addresses) == 1:
        return Cluster()
    host = parts[0][0]
    port = watch_port or max(port for name, port in parts if name == host) + 1
    return Cluster(tuple(addresses), index, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def local(workers: int) -> list[Cluster]:
    """Processes of this host: the cluster as each of them sees it, on free ports of 127.0.0.1."""
    with ExitStack() as held:
        ports = []
        for _ in range(workers + 1):
            # All are held until all are found, so that none is found twice.
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports.append(listener.getsockname()[1])
    addresses = tuple(f"127.0.0.1:{port}" for port in ports[1:])
    return [Cluster(addresses, index, f"127.0.0.1:{ports[0]}") for index in range(workers)]


def check_port(cluster: Cluster) -> None:
    """Refuses a port of this worker's TensorFlow that another process has: the other workers would wait in TensorFlow for ever.

    Raises:
        WorkloadError: Names it.
    """
    if cluster.workers == 1:
        return
    address = cluster.addresses[cluster.index]
    try:
        # As TensorFlow does, on all of this host's addresses.
        socket.create_server(("", split(address)[1])).close()
    except OSError as error:
        raise WorkloadError(
            f"worker {cluster.index} cannot listen on the port of {address}: {error}. Another process has it: give another port in "
            "TF_CONFIG or --hosts"
        ) from error


def devices(device: str, threads: int | None) -> list[str]:
    """Sets TensorFlow up, before it does anything, and gives the GPUs to use.

    Args:
        device: ``auto``, ``cpu`` or ``gpu``.
        threads: Of this process; TensorFlow's choice without it.

    Raises:
        UsageError: GPUs are demanded and there are none.
    """
    from .models import tf

    found = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not found:
        raise UsageError(
            "--device gpu: TensorFlow finds no GPU. It needs one with its driver, and the package tensorflow[and-cuda] in place "
            "of tensorflow-cpu; --device auto uses the CPU where there is none"
        )
    if device == "cpu" and found:
        tf.config.set_visible_devices([], "GPU")
        found = []
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    for one in found:
        tf.config.experimental.set_memory_growth(one, True)
    tf.config.experimental.enable_op_determinism()
    return [f"GPU:{number}" for number in range(len(found))]


def strategy(cluster: Cluster, gpus: list[str]) -> Any:
    """TensorFlow's strategy for these workers; for several, each must make its own at about the same time."""
    from .models import tf

    if cluster.workers > 1:
        hosts = ",".join(sorted({split(address)[0] for address in cluster.addresses}))
        # gRPC would go through a proxy, which does not know the workers.
        os.environ["no_grpc_proxy"] = ",".join(filter(None, [os.environ.get("no_grpc_proxy"), hosts]))
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(cluster.addresses)}), task_type="worker", task_id=cluster.index, rpc_layer="grpc",
            num_accelerators={"GPU": len(gpus)},
        )
        kinds = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.AUTO if gpus else kinds.RING)
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver, communication_options=options)
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy(gpus)
    return tf.distribute.get_strategy()
