# SPDX-License-Identifier: Apache-2.0
"""The framing of TFRecord files. TensorFlow itself judges it among the workloads' tests."""

from __future__ import annotations

import pickle

import pytest

from storescope import Buffer, tfrecord

#: Written by TensorFlow 2.21's `TFRecordWriter`: the records b"" and b"storescope".
OF_TENSORFLOW = bytes.fromhex("00000000000000002903 9807d8ea82a2 0a00000000000000aea3bf3a73746f726573636f706525f26759")


def test_frames_are_those_of_tensorflow():
    assert tfrecord.frame([b"", b"storescope"]) == OF_TENSORFLOW
    assert len(OF_TENSORFLOW) == 2 * tfrecord.OVERHEAD + 10
    assert [bytes(record) for record in tfrecord.records(OF_TENSORFLOW)] == [b"", b"storescope"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Buffer])
def test_any_kind_of_bytes(kind):
    framed = tfrecord.frame(kind(record) for record in (b"one", b"two"))
    assert [bytes(record) for record in tfrecord.records(kind(framed))] == [b"one", b"two"]


def test_records_share_the_files_memory():
    data = bytearray(tfrecord.frame([b"one"]))
    (record,) = tfrecord.records(data)
    data[12] = ord("O")
    assert bytes(record) == b"One"


def test_no_records():
    assert tfrecord.frame([]) == b""
    assert tfrecord.records(b"") == []


@pytest.mark.parametrize(
    ("at", "number", "offset", "why"),
    [
        (0, 0, 0, "the checksum of its length does not match"),
        (9, 0, 0, "the checksum of its length does not match"),
        (12, 0, 0, "the checksum of its bytes does not match"),
        (15, 0, 0, "the checksum of its bytes does not match"),
        (19, 1, 19, "the checksum of its length does not match"),
        (31, 1, 19, "the checksum of its bytes does not match"),
    ],
)
def test_a_flipped_bit_is_an_error_that_tells_where(at, number, offset, why):
    data = bytearray(tfrecord.frame([b"one", b"two"]))
    data[at] ^= 1
    with pytest.raises(tfrecord.CorruptRecord) as error:
        tfrecord.records(data, "part-0.tfrecord")
    assert (error.value.number, error.value.offset) == (number, offset)
    assert str(error.value) == f"part-0.tfrecord: corrupt record at byte {offset}: {why} (record {number})"
    assert isinstance(error.value, ValueError)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


@pytest.mark.parametrize("cut", range(1, 38))
def test_a_file_that_is_cut_short(cut):
    data = tfrecord.frame([b"one", b"two"])
    if cut == len(data) // 2:
        assert len(tfrecord.records(data[:cut])) == 1
        return
    with pytest.raises(tfrecord.CorruptRecord, match="the file ends before it does"):
        tfrecord.records(data[:cut])


def test_what_is_no_bytes_is_refused():
    with pytest.raises(TypeError):
        tfrecord.frame(["text"])
    with pytest.raises(TypeError):
        tfrecord.records("text")
