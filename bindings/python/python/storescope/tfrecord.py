# SPDX-License-Identifier: Apache-2.0
"""TFRecord files: the framing that TensorFlow's ``TFRecordWriter`` writes and ``TFRecordDataset`` reads, without TensorFlow.

>>> from storescope import tfrecord
>>> data = tfrecord.frame([b"one", b"two"])
>>> [bytes(record) for record in tfrecord.records(data)]
[b'one', b'two']

What the records hold, often a ``tf.train.Example``, is not looked at. Files that were compressed as a whole must be
decompressed first."""

from __future__ import annotations

from collections.abc import Iterable

from . import _storescope
from ._storescope import Buffer

__all__ = ["OVERHEAD", "CorruptRecord", "frame", "records"]

#: Bytes that a frame adds to its record.
OVERHEAD = 16


class CorruptRecord(ValueError):
    """A record whose length or checksum does not match, or that the file ends within.

    Attributes:
        name: The file, as the caller named it; may be empty.
        number: The number of the record in the file, from 0.
        offset: The first byte of its frame.
        why: What is wrong.
    """

    name: str
    number: int
    offset: int
    why: str

    def __init__(self, name: str, number: int, offset: int, why: str) -> None:
        super().__init__(f"{name}: {why} (record {number})" if name else f"{why} (record {number})")
        self.name, self.number, self.offset, self.why = name, number, offset, why

    def __reduce__(self) -> tuple[type[CorruptRecord], tuple[str, int, int, str]]:
        return CorruptRecord, (self.name, self.number, self.offset, self.why)


def frame(records: Iterable[bytes | bytearray | memoryview | Buffer]) -> bytes:
    """Records as a file has them: each with its length and checksums."""
    return _storescope._tfrecord_frame(records)


def records(data: bytes | bytearray | memoryview | Buffer, name: str = "") -> list[memoryview]:
    """The records of a whole file, each checked. They share the memory of ``data``.

    Args:
        data: The file's bytes.
        name: Of the file, for errors.

    Raises:
        CorruptRecord: Of the first that is corrupt.
    """
    places, corrupt = _storescope._tfrecord_places(data)
    if corrupt is not None:
        raise CorruptRecord(name, len(places), *corrupt)
    view = memoryview(data)
    return [view[start:stop] for start, stop in places]
