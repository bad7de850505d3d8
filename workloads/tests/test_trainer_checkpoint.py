# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: in a store and on a disk, damaged, of another training, and without room. No TensorFlow."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import struct

import numpy as np
import pytest

from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.checkpoint import Checkpoint, Checkpoints

IDENTITY = {"model": "hlf", "data": "abc", "batch": 128, "seed": 1}


def checkpoint(steps: int = 7, **told) -> Checkpoint:
    arrays = {"weights": np.linspace(0, 1, 13, dtype=np.float32), "first": np.full(13, steps, np.float32)}
    return Checkpoint({**IDENTITY, **told}, 1, 3, steps, {"epochs": [{"loss": 0.1 + 0.2}]}, arrays)


@pytest.fixture
def out(tmp_path) -> Folder:
    return Folder(str(tmp_path / "out"), StoreSettings())


def test_a_checkpoint_is_what_was_written():
    one = checkpoint()
    found = Checkpoint.decode(one.encode(), "x")
    assert (found.identity, found.epoch, found.step, found.steps, found.told) == (
        one.identity, one.epoch, one.step, one.steps, one.told)
    assert list(found.arrays) == ["weights", "first"]
    for name, array in one.arrays.items():
        assert found.arrays[name].dtype == np.float32 and np.array_equal(found.arrays[name], array)
        found.arrays[name][0] = 9


def test_every_damage_is_found():
    data = checkpoint().encode()
    for length in range(len(data)):
        with pytest.raises(BadFile):
            Checkpoint.decode(data[:length], "x")
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1
        with pytest.raises(BadFile):
            Checkpoint.decode(bytes(flipped), "x")
    with pytest.raises(BadFile, match="x: is truncated or damaged"):
        Checkpoint.decode(data + b"more", "x")
    with pytest.raises(BadFile, match="x: is no checkpoint"):
        Checkpoint.decode(b"PK" + data, "x")


def test_the_newest_are_kept(out):
    kept = Checkpoints(out, 2)
    for steps in (5, 9, 1000, 123_456_789):
        kept.save(checkpoint(steps))
    assert kept.names() == ["checkpoints/step-000001000.ckpt", "checkpoints/step-123456789.ckpt"]
    assert kept.newest(IDENTITY).steps == 123_456_789
    # What else is there stays.
    out.write("checkpoints/notes.txt", b"x")
    kept.save(checkpoint(123_456_790))
    assert out.exists("checkpoints/notes.txt")


def test_none_at_all(out):
    assert Checkpoints(out, 2).newest(IDENTITY) is None


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: data[:40] + b"?" + data[41:], lambda data: b""])
def test_a_damaged_newest_is_told_and_the_one_before_is_taken(out, caplog, damage):
    kept = Checkpoints(out, 3)
    for steps in (1, 2, 3):
        kept.save(checkpoint(steps))
    name = "checkpoints/step-000000003.ckpt"
    out.write(name, damage(out.read(name)))
    with caplog.at_level(logging.WARNING):
        assert kept.newest(IDENTITY).steps == 2
    assert name in caplog.text and "the checkpoint before it is used" in caplog.text
    # The damaged one does not stay as the newest.
    Checkpoints(out, 1).save(checkpoint(2))
    assert kept.names() == ["checkpoints/step-000000002.ckpt"]


def test_all_damaged(out):
    Checkpoints(out, 3).save(checkpoint(1))
    out.write("checkpoints/step-000000001.ckpt", b"")
    with pytest.raises(WorkloadError, match="step-000000001.ckpt.*No other checkpoint is whole.*--overwrite"):
        Checkpoints(out, 3).newest(IDENTITY)


@pytest.mark.parametrize("name, value", [("model", "inclusive"), ("data", "xyz"), ("batch", 64), ("seed", 2)])
def test_another_training_is_refused(out, name, value):
    kept = Checkpoints(out, 3)
    kept.save(checkpoint(1))
    kept.save(checkpoint(2, **{name: value}))
    with pytest.raises(UsageError, match=f"step-000000002.ckpt: is a checkpoint of another training: {name} is '?{value}'? there"):
        kept.newest(IDENTITY)


def test_a_checkpoint_of_another_version_is_refused(out):
    kept = Checkpoints(out, 3)
    kept.save(Checkpoint({"model": "hlf"}, 0, 0, 1))
    with pytest.raises(UsageError, match="batch is None there and 128 here"):
        kept.newest(IDENTITY)


def test_in_a_store_it_is_one_object_and_written_once(place, settings, seen):
    kept = Checkpoints(Folder(place, settings), 2)
    kept.save(checkpoint(1))
    written = [one for one in seen() if one["method"] in ("PUT", "POST")]
    assert len(written) == 1
    kept.save(checkpoint(2)), kept.save(checkpoint(3))
    assert kept.names() == ["checkpoints/step-000000002.ckpt", "checkpoints/step-000000003.ckpt"]
    assert np.array_equal(kept.newest(IDENTITY).arrays["first"], np.full(13, 3, np.float32))


class _Full:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file) -> None:
        self._file = file

    def __enter__(self):
        self._inner = self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def write(self, data):
        self._inner.write(data[:100])
        raise OSError(28, "No space left on device")


def test_no_space_leaves_what_is_there(out, monkeypatch):
    kept = Checkpoints(out, 1)
    kept.save(checkpoint(1))
    monkeypatch.setattr(Folder, "open", lambda self, name, _open=Folder.open: _Full(_open(self, name)))
    with pytest.raises(WorkloadError, match=r"step-000000002.ckpt: the checkpoint was not written:.*No space left.*--resume"):
        kept.save(checkpoint(2))
    assert kept.names() == ["checkpoints/step-000000001.ckpt"]
    assert kept.newest(IDENTITY).steps == 1
    assert out.files() == ["checkpoints/step-000000001.ckpt"]


def _killed(url: str) -> None:
    """Ends in the middle of a write."""
    folder = Folder(url, StoreSettings())
    data = checkpoint(2).encode()
    with folder.open(checkpoint(2).name) as file:
        file.write(data[: len(data) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_while_it_writes_leaves_the_one_before(out):
    kept = Checkpoints(out, 2)
    kept.save(checkpoint(1))
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(out.url,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert kept.newest(IDENTITY).steps == 1 and kept.names() == ["checkpoints/step-000000001.ckpt"]


def test_the_header_is_plain():
    """The format, as the module's text has it."""
    data = checkpoint().encode()
    assert data[:8] == b"SSCKPT1\n"
    (length,) = struct.unpack("<Q", data[8:16])
    header = json.loads(data[16 : 16 + length])
    assert header["steps"] == 7 and header["arrays"] == [["weights", "float32", [13]], ["first", "float32", [13]]]
    assert len(data) == 16 + length + 2 * 13 * 4 + 32
