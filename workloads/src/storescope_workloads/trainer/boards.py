# SPDX-License-Identifier: Apache-2.0
"""Scalars for TensorBoard, in the output folder. Needs TensorFlow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from ..places import Folder
from .models import tf

FOLDER = "tensorboard"


class Board:
    """Writes scalars by TensorFlow's own writer to a temporary folder, and copies its file to ``tensorboard/``. For a ``with``,
    which removes the temporary folder.

    A training that is gone on with writes a file of its own; TensorBoard reads all files of the folder as one run."""

    def __init__(self, out: Folder) -> None:
        self._out = out
        self._held = tempfile.TemporaryDirectory(prefix="storescope-tensorboard-")
        self._writer = tf.summary.create_file_writer(self._held.name)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._held.cleanup()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds values.

        Args:
            step: Of the whole training.
        """
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def copy(self) -> None:
        """Writes the file to the output folder, replacing what an earlier call wrote.

        Raises:
            OSError: It was not written.
        """
        self._writer.flush()
        for name in sorted(os.listdir(self._held.name)):
            with open(os.path.join(self._held.name, name), "rb") as file:
                self._out.write(f"{FOLDER}/{name}", file.read())
