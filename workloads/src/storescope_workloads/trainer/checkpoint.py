# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: all that training needs to go on, in one object. Pure numpy.

::

    checkpoints/step-000001200.ckpt = "SSCKPT1\\n", u64 length, header (JSON), arrays, SHA-256 of all before it

An object appears when it is whole, and not before (:meth:`..places.Folder.open`). A digest at the end finds what a disk or a
store damaged."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadFile, UsageError, WorkloadError
from ..places import Folder
from ..tidy import tidying

FOLDER = "checkpoints"
_MAGIC = b"SSCKPT1\n"
_LENGTH = struct.Struct("<Q")
_NAME = re.compile(r"step-(\d{9})\.ckpt")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps.

    Attributes:
        identity: What must be the same where it is gone on with: model, data, batch, seed and others.
        epoch: The epoch of the next step, from 0.
        step: The next step of that epoch.
        steps: Steps before it in the whole training.
        told: What the result needs of the steps before: JSON.
        arrays: float32 arrays by name.
    """

    identity: dict[str, Any]
    epoch: int
    step: int
    steps: int
    told: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its object in the folder."""
        return f"{FOLDER}/step-{self.steps:09}.ckpt"

    def encode(self) -> bytes:
        """As its object holds it; :meth:`decode` reads it."""
        header = {
            **{name: value for name, value in vars(self).items() if name != "arrays"},
            "arrays": [[name, str(array.dtype), list(array.shape)] for name, array in self.arrays.items()],
        }
        text = json.dumps(header, allow_nan=False).encode()
        parts = [np.ascontiguousarray(array).tobytes() for array in self.arrays.values()]
        body = b"".join([_MAGIC, _LENGTH.pack(len(text)), text, *parts])
        return body + hashlib.sha256(body).digest()

    @classmethod
    def decode(cls, data: bytes, url: str) -> Checkpoint:
        """What :meth:`encode` wrote.

        Raises:
            BadFile: It is no checkpoint, or is damaged.
        """
        if not data.startswith(_MAGIC):
            raise BadFile(url, "is no checkpoint of storescope-workloads trainer train, or one of another version")
        body, digest = data[:-32], data[-32:]
        if hashlib.sha256(body).digest() != digest:
            raise BadFile(url, f"is truncated or damaged: its {len(data):,} bytes do not have the digest at their end")
        start = len(_MAGIC) + _LENGTH.size
        (length,) = _LENGTH.unpack(body[len(_MAGIC) : start])
        header = json.loads(body[start : start + length])
        at, arrays = start + length, {}
        for name, kind, shape in header.pop("arrays"):
            count = int(np.prod(shape))
            arrays[name] = np.frombuffer(body, kind, count, at).reshape(shape).copy()
            at += arrays[name].nbytes
        return cls(**header, arrays=arrays)

    def require(self, identity: Mapping[str, Any], url: str) -> None:
        """Refuses to go on with another training.

        Raises:
            UsageError: Names what differs.
        """
        names = sorted({*identity, *self.identity})
        different = [
            f"{name} is {self.identity.get(name)!r} there and {identity.get(name)!r} here"
            for name in names
            if self.identity.get(name) != identity.get(name)
        ]
        if different:
            raise UsageError(
                f"{url}: is a checkpoint of another training: {'; '.join(different)}. Use the same options and data, another "
                "--out, or --overwrite to begin again"
            )


class Checkpoints:
    """The checkpoints of an output folder.

    Args:
        out: The folder; checkpoints are in ``checkpoints/`` below it.
        keep: How many of the newest remain.
    """

    def __init__(self, out: Folder, keep: int) -> None:
        self._out = out
        self._keep = keep

    def names(self) -> list[str]:
        """Of all there are, oldest first."""
        found = (self._out / FOLDER).files()
        return [f"{FOLDER}/{name}" for name in found if _NAME.fullmatch(name)]

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes one, and removes those that are newer, and the oldest beyond those that are kept.

        Raises:
            WorkloadError: It could not be written: the ones before are still there.
        """
        try:
            self._out.write(checkpoint.name, checkpoint.encode())
        except OSError as error:
            raise WorkloadError(
                f"{self._out.path(checkpoint.name)}: the checkpoint was not written: {error}. Those before it, if any, are kept: see "
                "whether the folder can be written and has room, and go on with --resume"
            ) from error
        names = self.names()
        # Newer ones were damaged, so that training went back.
        newer = [name for name in names if name > checkpoint.name]
        older = [name for name in names if name <= checkpoint.name][: -self._keep]
        for name in older + newer:
            with tidying(f"{self._out.path(name)} was not removed"):
                self._out.remove(name)

    def newest(self, identity: Mapping[str, Any]) -> Checkpoint | None:
        """The newest that is whole; ``None`` where there is none at all. A damaged one is logged, and the one before is taken.

        Raises:
            UsageError: It is of another training.
            WorkloadError: All are damaged.
        """
        names = self.names()
        bad: BadFile | None = None
        for name in reversed(names):
            url = self._out.path(name)
            try:
                found = Checkpoint.decode(self._out.read(name), url)
            except BadFile as error:
                bad = bad or error
                _log.warning("%s; the checkpoint before it is used", error)
                continue
            found.require(identity, url)
            return found
        if bad is not None:
            raise WorkloadError(f"{bad}. No other checkpoint is whole: begin again with --overwrite") from bad
        return None
