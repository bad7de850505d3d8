# SPDX-License-Identifier: Apache-2.0
"""Events as ``tf.train.Example``, without TensorFlow. Pure: framing and checksums are of ``storescope.tfrecord``.

::

    Example  = 0a LENGTH entry…                          entries of the map Features.feature, in the order hlf, label, event, particles
    entry    = 0a LENGTH  0a LENGTH name  12 LENGTH feature
    feature  = 12 LENGTH 0a LENGTH float32…              FloatList: hlf, particles       (lengths are varints,
             | 1a LENGTH 0a LENGTH varint…               Int64List: label, event          lists are packed)

Whole shards are encoded and decoded at once. Records as :func:`encode` writes them are recognized by encoding what they seem to
hold; all others are parsed one by one, as protocol buffers allow them: lists packed or not, fields in any order, unknown ones
skipped."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import Events, ends_of
from .features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES

#: A record: bytes, or a view of them.
Record = bytes | memoryview

_HLF_BYTES = 4 * len(EVENT_FEATURES)


class BadExample(ValueError):
    """A record that is no event of a shard. The text says which record, and what is wrong."""


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _nested(tag: int, content: int) -> bytes:
    """The tag and the length of a field that has so many bytes."""
    return bytes([tag]) + _varint(content)


def _entry_head(name: str, tag: int, payload: int) -> bytes:
    """All of a map's entry before the packed values of its list."""
    values = _nested(0x0A, payload)
    feature = _nested(tag, len(values) + payload) + values
    key = _nested(0x0A, len(name)) + name.encode() + _nested(0x12, len(feature) + payload)
    return _nested(0x0A, len(key) + len(feature) + payload) + key + feature


_FLOATS, _INTEGERS = 0x12, 0x1A
_HLF_HEAD = _entry_head("hlf", _FLOATS, _HLF_BYTES)
_LABEL_HEAD = _entry_head("label", _INTEGERS, 1)
_EVENT_HEADS = [_entry_head("event", _INTEGERS, length) for length in range(11)]
_EVENT_HEAD = len(_EVENT_HEADS[1])
#: What lies before the number of the event, without the length of the record.
_FIXED = len(_HLF_HEAD) + _HLF_BYTES + len(_LABEL_HEAD) + 1 + _EVENT_HEAD
#: The first bytes of a record, up to its particles, at most.
_HEAD = 1 + 5 + _FIXED + 10


@functools.lru_cache(maxsize=1 << 14)
def _particles_head(payload: int) -> bytes:
    return _entry_head("particles", _FLOATS, payload)


@functools.lru_cache(maxsize=1 << 14)
def _example_head(content: int) -> bytes:
    return _nested(0x0A, content)


def encode(events: Events) -> list[bytes]:
    """A serialized ``tf.train.Example`` for each event, with the features ``event``, ``label`` (``Int64List``), ``hlf`` and, where
    there are particles, ``particles`` (``FloatList``).

    Args:
        events: Labels are 0 to 2, numbers are not negative.
    """
    if events.particles is None or events.offsets is None:
        return _heads(events, None)
    data = np.ascontiguousarray(events.particles, "<f4").tobytes()
    ends = (events.offsets * (4 * len(PARTICLE_FEATURES))).tolist()
    payloads = [stop - start for start, stop in zip(ends, ends[1:], strict=False)]
    heads = _heads(events, payloads)
    return [head + data[start:stop] for head, start, stop in zip(heads, ends, ends[1:], strict=False)]


def _heads(events: Events, payloads: Sequence[int] | None) -> list[bytes]:
    """The records without the values of their particles, of so many bytes each."""
    middles = _middles(events)
    if payloads is None:
        return [_example_head(len(middle)) + middle for middle in middles]
    made = []
    for middle, payload in zip(middles, payloads, strict=True):
        particles = _particles_head(payload)
        made.append(_example_head(len(middle) + len(particles) + payload) + middle + particles)
    return made


def _middles(events: Events) -> list[bytes]:
    """The entries ``hlf``, ``label`` and ``event`` of each record."""
    middles = [b""] * len(events)
    lengths = _varint_lengths(events.event)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        numbers = events.event[rows].view(np.uint64)[:, None] >> (np.uint64(7) * np.arange(length, dtype=np.uint64))
        digits = (numbers & np.uint64(127)).astype(np.uint8) | np.uint8(128)
        digits[:, -1] &= 127
        parts = [
            _repeated(_HLF_HEAD, len(rows)),
            np.ascontiguousarray(events.hlf[rows], "<f4").view(np.uint8),
            _repeated(_LABEL_HEAD, len(rows)),
            events.label[rows].view(np.uint8)[:, None],
            _repeated(_EVENT_HEADS[length], len(rows)),
            digits,
        ]
        data, width = np.concatenate(parts, axis=1).tobytes(), _FIXED + length
        for place, row in enumerate(rows.tolist()):
            middles[row] = data[place * width : (place + 1) * width]
    return middles


def _repeated(data: bytes, count: int) -> NDArray[np.uint8]:
    return np.broadcast_to(np.frombuffer(data, np.uint8), (count, len(data)))


def _varint_lengths(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of each as a varint."""
    numbers = values.view(np.uint64)
    lengths = np.ones(len(values), np.int64)
    for bits in range(7, 64, 7):
        lengths += numbers >= np.uint64(1 << bits)
    return lengths


def decode(records: Sequence[Record], particles: bool, first: int = 0) -> Events:
    """The events of some records.

    Args:
        records: Serialized ``tf.train.Example``, each with the features that :func:`encode` writes. Others are ignored.
        particles: Whether particles are read; else they are ignored.
        first: The number of the first record in its file, for errors.

    Raises:
        BadExample: A record is no event: it is cut off, lacks a feature, or one is of another type or length.
    """
    guessed, payloads = _guess(records, particles)
    heads = _heads(guessed, payloads)
    lengths = [len(head) + payload for head, payload in zip(heads, payloads or [0] * len(heads), strict=True)]
    strange = [
        row for row, (record, head) in enumerate(zip(records, heads, strict=True))
        if len(record) != lengths[row] or bytes(record[: len(head)]) != head
    ]
    parsed = {row: _parse(records[row], first + row, particles) for row in strange}
    for row, event in parsed.items():
        guessed.event[row], guessed.label[row], guessed.hlf[row] = event.event[0], event.label[0], event.hlf[0]
    _check_labels(guessed.label, first)
    if payloads is None:
        return guessed
    bodies: list[Any] = [record[len(head) :] for record, head in zip(records, heads, strict=True)]
    for row, event in parsed.items():
        bodies[row] = np.ascontiguousarray(event.particles, "<f4").tobytes()
    values = np.frombuffer(b"".join(bodies), "<f4").reshape(-1, len(PARTICLE_FEATURES))
    counts = np.array([len(body) for body in bodies], np.int64) // (4 * len(PARTICLE_FEATURES))
    return Events(guessed.event, guessed.label, guessed.hlf, ends_of(counts), values)


def _guess(records: Sequence[Record], particles: bool) -> tuple[Events, list[int] | None]:
    """What records hold if :func:`encode` wrote them, and the bytes of their particles' values. Others give anything."""
    lengths = np.array([len(record) for record in records], np.int64)
    data = b"".join(bytes(record[:_HEAD]).ljust(_HEAD, b"\0") for record in records)
    table = np.frombuffer(data, np.uint8).reshape(-1, _HEAD)
    # The bytes of the length that each begins with.
    digits = np.full(len(records), 5, np.int64)
    for count in range(4, 0, -1):
        digits[lengths - 1 - count < 1 << (7 * count)] = count
    event, label = np.zeros(len(records), np.int64), np.zeros(len(records), np.int8)
    hlf = np.zeros((len(records), len(EVENT_FEATURES)), np.float32)
    rest = np.zeros(len(records), np.int64)
    for count in np.unique(digits).tolist():
        rows = np.flatnonzero(digits == count)
        fields = table[rows, 1 + count :]
        at = len(_HLF_HEAD)
        hlf[rows] = np.ascontiguousarray(fields[:, at : at + _HLF_BYTES]).view("<f4")
        label[rows] = fields[:, at + _HLF_BYTES + len(_LABEL_HEAD)].view(np.int8)
        widths = np.minimum(fields[:, _FIXED - 1], 10)
        event[rows] = _numbers(fields[:, _FIXED : _FIXED + 10], widths)
        rest[rows] = lengths[rows] - 1 - count - _FIXED - widths
    return Events(event, label, hlf), [_payload_of(left) for left in rest.tolist()] if particles else None


def _numbers(digits: NDArray[np.uint8], widths: NDArray[Any]) -> NDArray[np.int64]:
    """The values of varints of these widths."""
    values = np.zeros(len(digits), np.uint64)
    for place in range(digits.shape[1]):
        values |= np.where(place < widths, digits[:, place] & 127, 0).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)


@functools.lru_cache(maxsize=1 << 14)
def _payload_of(rest: int) -> int:
    """The bytes of the values in an entry ``particles`` of so many bytes; 0 where there is no such entry."""
    payload = max(0, rest)
    for _ in range(4):
        payload = max(0, rest - len(_particles_head(payload)))
    size = 4 * len(PARTICLE_FEATURES)
    return payload if payload % size == 0 else 0


def _check_labels(labels: NDArray[np.int8], first: int) -> None:
    strange = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))
    if len(strange):
        row = int(strange[0])
        raise BadExample(f"record {first + row}: label is {labels[row]}, not one of 0 … {len(CLASSES) - 1}")


# Any serialized Example.


def _parse(record: Record, number: int, particles: bool) -> Events:
    try:
        features = _features(memoryview(record).cast("B"))
        event, label = (_values(features, name, "Int64List", 1) for name in ("event", "label"))
        hlf = _values(features, "hlf", "FloatList", len(EVENT_FEATURES))
        if not 0 <= int(label[0]) < len(CLASSES):
            raise _Wrong(f"label is {int(label[0])}, not one of 0 … {len(CLASSES) - 1}")
        columns = event, label.astype(np.int8), hlf[None]
        if not particles:
            return Events(*columns)
        values = _values(features, "particles", "FloatList", None)
        if len(values) % len(PARTICLE_FEATURES):
            raise _Wrong(f"particles has {len(values)} values, which are not a multiple of {len(PARTICLE_FEATURES)}")
        table = values.reshape(-1, len(PARTICLE_FEATURES))
        return Events(*columns, ends_of(np.array([len(table)])), table)
    except _Wrong as wrong:
        raise BadExample(f"record {number}: {wrong}") from None


class _Wrong(Exception):
    """What is wrong with a record."""


#: The kinds of a feature, by the field of the message.
_KINDS = {1: "BytesList", 2: "FloatList", 3: "Int64List"}
#: A kind, and its values.
_Feature = tuple[str, list[NDArray[Any]]]


def _values(features: dict[str, _Feature], name: str, kind: str, count: int | None) -> NDArray[Any]:
    if name not in features:
        raise _Wrong(f"has no feature {name}; it has {', '.join(sorted(features)) or 'none'}")
    found, parts = features[name]
    if found != kind:
        raise _Wrong(f"{name} is {'empty' if not found else f'a {found}'}, not a {kind}")
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if count is not None and len(values) != count:
        raise _Wrong(f"{name} has {len(values)} values, not {count}")
    return values


def _features(record: memoryview) -> dict[str, _Feature]:
    found: dict[str, _Feature] = {}
    for field, content in _fields(record):
        if field == 1 and isinstance(content, memoryview):
            for inner, entry in _fields(content):
                if inner == 1 and isinstance(entry, memoryview):
                    name, feature = _entry(entry)
                    found[name] = feature
    return found


def _entry(entry: memoryview) -> tuple[str, _Feature]:
    name, feature = "", ("", [])  # type: tuple[str, _Feature]
    for field, content in _fields(entry):
        if field == 1 and isinstance(content, memoryview):
            name = bytes(content).decode("utf-8", "replace")
        elif field == 2 and isinstance(content, memoryview):
            feature = _feature(content)
    return name, feature


def _feature(message: memoryview) -> _Feature:
    kind, parts = "", []  # type: tuple[str, list[NDArray[Any]]]
    for field, content in _fields(message):
        if field in _KINDS and isinstance(content, memoryview):
            if _KINDS[field] != kind:
                kind, parts = _KINDS[field], []
            if kind == "FloatList":
                parts += _floats(content)
            elif kind == "Int64List":
                parts += _integers(content)
    return kind, parts


def _floats(message: memoryview) -> Iterator[NDArray[Any]]:
    for field, content in _fields(message):
        if field == 1:
            # Packed, or one value: four bytes.
            if isinstance(content, int) or len(content) % 4:
                raise _Wrong("a FloatList holds something else than float32")
            yield np.frombuffer(content, "<f4")


def _integers(message: memoryview) -> Iterator[NDArray[Any]]:
    for field, content in _fields(message):
        if field != 1:
            continue
        if isinstance(content, int):
            yield np.array([_signed(content)], np.int64)
            continue
        values, at = [], 0
        while at < len(content):
            value, at = _read_varint(content, at)
            values.append(_signed(value))
        yield np.array(values, np.int64)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a message: their numbers, and the value of a varint or the bytes of all others."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = _read_varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _Wrong(f"is no protocol buffer: a field has the wire type {wire}")
        if at + length > len(message):
            raise _Wrong("is cut off")
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _Wrong("is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _Wrong("is no protocol buffer: a number is longer than ten bytes")
