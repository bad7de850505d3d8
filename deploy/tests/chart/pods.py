# SPDX-License-Identifier: Apache-2.0
"""Pods as processes of this machine: commands, arguments and environment of rendered manifests, as the kubelet would give
them. Names of the cluster become 127.0.0.1, ports become free ones, mounted folders become temporary ones; nothing else
changes."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass
class Node:
    """Where pods run: a folder, and what stands for the cluster's network and images.

    Attributes:
        folder: Of the pods' files.
        path: `PATH`: the images' programs.
        objects: All objects of the release.
        replaced: Texts of commands, environment and ConfigMaps, and what stands for them.
    """

    folder: Path
    path: str
    objects: list[Manifest]
    replaced: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen] = field(default_factory=list)

    def text(self, given: str, mounts: Mapping[str, Path]) -> str:
        """A text with this machine's names."""
        for before, after in self.replaced.items():
            given = given.replace(before, after)
        # At once: a folder that stands for one may begin like another.
        some = "|".join(map(re.escape, sorted(mounts, key=len, reverse=True)))
        return re.sub(rf"(?<![\w/])({some})(?=/|$|[\"' :,\n])", lambda found: str(mounts[found[1]]), given) if some else given

    def start(self, pod: Manifest, name: str, container: str | None = None, index: int = 0, uid: str = "uid-1") -> subprocess.Popen:
        """Starts one container of a pod. Its output goes to NAME.out and NAME.err."""
        metadata = {
            "labels": {**pod["metadata"].get("labels", {}), "batch.kubernetes.io/controller-uid": uid},
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)}, "name": name,
        }
        spec = pod["spec"]
        found = [one for one in [*spec.get("initContainers", []), *spec["containers"]] if container in (None, one["name"])]
        chosen = found[-1] if container is None else found[0]
        mounts = self._mounts(spec, chosen, name)
        environment = self._environment(chosen, metadata, mounts)
        command = [
            self.text(expand(part, environment), mounts) for part in [*chosen.get("command", []), *chosen.get("args", [])]
        ]
        with (self.folder / f"{name}.out").open("w") as out, (self.folder / f"{name}.err").open("w") as err:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={"PATH": self.path, **environment},
                cwd=self.folder, start_new_session=True,
            )
        self.started.append(process)
        return process

    def output(self, name: str) -> str:
        """What a pod has printed."""
        return (self.folder / f"{name}.out").read_text() + (self.folder / f"{name}.err").read_text()

    def ended(self, process: subprocess.Popen, name: str, code: int = 0, seconds: float = 240) -> str:
        """Waits for a pod, which must end with a code. Its output."""
        status = process.wait(seconds)
        text = self.output(name)
        assert status == code, f"{name} ended with {status}:\n{text[-6000:]}"
        return text

    def stop(self) -> None:
        """Ends what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _mounts(self, spec: Manifest, container: Manifest, name: str) -> dict[str, Path]:
        """Folders that stand for a container's volumes; ConfigMaps are written into theirs. Volumes of a pod are shared by its
        containers."""
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        folders = {
            mount["mountPath"]: self.folder / f"{name}-{mount['name']}" for mount in container.get("volumeMounts", [])
        }
        for mount in container.get("volumeMounts", []):
            folder = folders[mount["mountPath"]]
            folder.mkdir(exist_ok=True)
            if "configMap" in volumes[mount["name"]]:
                self._write(volumes[mount["name"]]["configMap"]["name"], folder, folders)
        return folders

    def _write(self, name: str, folder: Path, mounts: Mapping[str, Path]) -> None:
        (found,) = [one for one in self.objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == name]
        for file, text in found["data"].items():
            # Scripts stay as they are: what they are told comes by the environment.
            (folder / file).write_text(text if file.endswith(".sh") else self.text(text, mounts))

    def _environment(self, container: Manifest, metadata: Manifest, mounts: Mapping[str, Path]) -> dict[str, str]:
        environment: dict[str, str] = {}
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                value = field_of(metadata, variable["valueFrom"]["fieldRef"]["fieldPath"])
            else:
                value = self.text(expand(variable.get("value", ""), environment), mounts)
            environment[variable["name"]] = value
        return environment


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)`, as the kubelet expands it: names that are not known stay."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), text)


def field_of(metadata: Manifest, path: str) -> str:
    """What the downward API tells."""
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return metadata[found[1]][found[2]]
    assert path == "metadata.name", path
    return metadata["name"]
