# SPDX-License-Identifier: Apache-2.0
"""Events as ``tf.train.Example``: TensorFlow's own reader and writer are the judges."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from storescope import tfrecord

from storescope_workloads.trainer.events import Events, ends_of
from storescope_workloads.trainer.example import BadExample, decode, encode

COLUMNS = ("event", "label", "hlf", "offsets", "particles")


def events(count=60, particles=True, seed=1):
    """Some events, with numbers of all lengths as varints and with few or many particles."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 2**63 - 1, count) >> rng.integers(0, 63, count)
    counts = rng.choice([0, 1, 2, 30, 216, 801], count)
    hlf = rng.normal(size=(count, 14)).astype(np.float32)
    labels = rng.integers(0, 3, count).astype(np.int8)
    if not particles:
        return Events(numbers, labels, hlf)
    return Events(numbers, labels, hlf, ends_of(counts), rng.normal(size=(counts.sum(), 19)).astype(np.float32))


def assert_equal(one, other):
    for name in COLUMNS:
        ours, theirs = getattr(one, name), getattr(other, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), name


def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
    return tf.train.Example(features=tf.train.Features(feature=features))


def by_tensorflow(made, **more):
    """The same events, serialized by TensorFlow."""
    records = []
    for row in range(len(made)):
        features = {"event": integers([made.event[row]]), "label": integers([made.label[row]]), "hlf": floats(made.hlf[row]), **more}
        if made.particles is not None:
            own = made.particles[made.offsets[row] : made.offsets[row + 1]]
            features["particles"] = floats(own.reshape(-1))
        records.append(example(**features).SerializeToString())
    return records


def features(particles):
    wanted = {
        "event": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "hlf": tf.io.FixedLenFeature([14], tf.float32),
    }
    return wanted | ({"particles": tf.io.RaggedFeature(tf.float32)} if particles else {})


@pytest.mark.parametrize("particles", [True, False])
def test_what_is_encoded_is_decoded(particles):
    made = events(200, particles)
    assert_equal(decode(encode(made), particles), made)


def test_nothing_is_nothing():
    nothing = events(1).take(np.zeros(0, np.int64))
    assert encode(nothing) == []
    assert len(decode([], True)) == 0 and decode([], True).particles.shape == (0, 19)


@pytest.mark.parametrize("particles", [True, False])
def test_tensorflow_reads_our_shards(tmp_path, particles):
    made = events(particles=particles)
    path = tmp_path / "part-00000.tfrecord"
    path.write_bytes(tfrecord.frame(encode(made)))
    found = next(iter(tf.data.TFRecordDataset(str(path)).batch(len(made))))
    parsed = tf.io.parse_example(found, features(particles))
    assert np.array_equal(parsed["event"], made.event) and np.array_equal(parsed["label"], made.label)
    assert np.array_equal(parsed["hlf"], made.hlf)
    if particles:
        assert np.array_equal(parsed["particles"].row_lengths(), np.diff(made.offsets) * 19)
        assert np.array_equal(parsed["particles"].flat_values, made.particles.reshape(-1))


@pytest.mark.parametrize("particles", [True, False])
def test_we_read_what_tensorflow_writes(tmp_path, particles):
    made = events(particles=particles)
    path = str(tmp_path / "theirs.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in by_tensorflow(made):
            writer.write(record)
    records = tfrecord.records((tmp_path / "theirs.tfrecord").read_bytes())
    assert_equal(decode(records, particles), made)


def test_our_records_are_what_tensorflow_makes_of_them():
    made = events()
    for row, record in enumerate(encode(made)):
        parsed = tf.train.Example.FromString(record)
        assert sorted(parsed.features.feature) == ["event", "hlf", "label", "particles"]
        # Nothing is encoded at more length than it needs; an event without particles is none of a shard.
        if made.offsets[row] < made.offsets[row + 1]:
            assert len(parsed.SerializeToString()) == len(record)
        assert parsed.features.feature["event"].int64_list.value == [made.event[row]]


def test_ours_and_theirs_lie_in_one_file():
    made = events(40)
    ours, theirs = encode(made), by_tensorflow(made)
    mixed = [theirs[row] if row % 3 else ours[row] for row in range(40)]
    assert_equal(decode(mixed, True), made)
    assert_equal(decode([memoryview(record) for record in mixed], True), made)


def test_unknown_features_are_ignored_and_so_are_particles_if_not_wanted():
    made = events(20)
    records = by_tensorflow(made, weight=floats([1.0, 2.0]), name=tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"])))
    assert_equal(decode(records, True), made)
    assert_equal(decode(records, False), Events(made.event, made.label, made.hlf))
    assert_equal(decode(encode(made), False), Events(made.event, made.label, made.hlf))


# By hand, as protocol buffers allow them.


def varint(value):
    made = b""
    value &= 2**64 - 1
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])


def nested(tag, content):
    return bytes([tag]) + varint(len(content)) + content


def entry(name, feature):
    return nested(0x0A, nested(0x0A, name.encode()) + nested(0x12, feature))


def unpacked(made, row):
    """Lists that are not packed, in the reverse order, the value before the key, with fields that no reader knows."""
    own = made.particles[made.offsets[row] : made.offsets[row + 1]].reshape(-1)
    unknown = b"\x7d\1\2\3\4" + b"\x39" + bytes(8) + b"\x70\x05" + nested(0x7A, b"any")
    lists = {
        "particles": nested(0x12, b"".join(b"\x0d" + value.tobytes() for value in own)),
        "label": nested(0x1A, b"\x08" + varint(int(made.label[row]))),
        "hlf": nested(0x12, nested(0x0A, made.hlf[row, :5].tobytes()) + b"".join(b"\x0d" + value.tobytes() for value in made.hlf[row, 5:])),
        "event": nested(0x1A, unknown + b"\x08" + varint(int(made.event[row]))),
    }
    entries = b"".join(nested(0x0A, nested(0x12, feature) + nested(0x0A, name.encode())) for name, feature in lists.items())
    return unknown + nested(0x0A, entries + unknown)


def test_lists_that_are_not_packed_and_unknown_fields_are_read():
    made = events(12)
    records = [unpacked(made, row) for row in range(12)]
    expected = [by_protobuf(record) for record in records]
    assert [own[:2] for own in expected] == list(zip(made.event.tolist(), made.label.tolist(), strict=True))
    assert b"".join(own[2] for own in expected) == made.hlf.tobytes()
    assert b"".join(own[3] for own in expected) == made.particles.tobytes()
    assert_equal(decode(records, True), made)


def test_the_last_of_two_entries_of_a_name_counts():
    made = events(1)
    twice = nested(0x0A, entry("label", nested(0x1A, nested(0x0A, varint(2)))) + entry("label", nested(0x1A, nested(0x0A, varint(1)))))
    rest = encode(made)[0]
    found = decode([rest + twice], True)
    assert found.label.tolist() == [1] and tf.train.Example.FromString(rest + twice).features.feature["label"].int64_list.value == [1]


def test_the_last_of_two_kinds_of_a_feature_counts():
    """Kinds are of a ``oneof``; two lists of one kind are one."""
    made = events(1)
    floats_first = nested(0x12, nested(0x0A, bytes(8))) + nested(0x1A, nested(0x0A, varint(9)))
    both = encode(made)[0] + nested(0x0A, entry("event", floats_first))
    assert by_protobuf(both)[0] == 9 and decode([both], True).event.tolist() == [9]
    halves = nested(0x12, nested(0x0A, made.hlf[0, :6].tobytes())) + nested(0x12, nested(0x0A, made.hlf[0, 6:].tobytes()))
    split = encode(made)[0] + nested(0x0A, entry("hlf", halves))
    assert by_protobuf(split)[2] == made.hlf.tobytes() and np.array_equal(decode([split], True).hlf, made.hlf)


def features_but(**changed):
    own = {"event": integers([7]), "label": integers([1]), "hlf": floats([0.5] * 14), "particles": floats([0.5] * 38)} | changed
    return example(**{name: feature for name, feature in own.items() if feature is not None}).SerializeToString()


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (features_but(hlf=None), "has no feature hlf; it has event, label, particles"),
        (features_but(hlf=floats([0.5] * 13)), "hlf has 13 values, not 14"),
        (features_but(hlf=integers([1] * 14)), "hlf is a Int64List, not a FloatList"),
        (features_but(label=floats([1.0])), "label is a FloatList, not a Int64List"),
        (features_but(label=integers([1, 2])), "label has 2 values, not 1"),
        (features_but(label=integers([3])), "label is 3, not one of 0 … 2"),
        (features_but(label=integers([-1])), "label is -1, not one of 0 … 2"),
        (features_but(label=integers([257])), "label is 257, not one of 0 … 2"),
        (features_but(event=tf.train.Feature()), "event is empty, not a Int64List"),
        (features_but(event=integers([])), "event has 0 values, not 1"),
        (features_but(particles=floats([0.5] * 37)), "particles has 37 values, which are not a multiple of 19"),
        (features_but(particles=None), "has no feature particles"),
        (features_but(particles=tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"]))), "particles is a BytesList"),
        (features_but()[:-1], "is cut off"),
        (features_but()[:40], "is cut off"),
        (b"", "has no feature event; it has none"),
        (b"\x0b" + features_but(), "is no protocol buffer: a field has the wire type 3"),
        (b"\xff" * 12, "is no protocol buffer: a number is longer than ten bytes"),
        (nested(0x0A, entry("hlf", nested(0x12, nested(0x0A, b"123")))), "a FloatList holds something else than float32"),
        (nested(0x0A, entry("hlf", nested(0x12, b"\x08\x01"))), "a FloatList holds something else than float32"),
    ],
)
def test_what_is_no_event_is_an_error_that_names_the_record(record, why):
    good = encode(events(3))
    with pytest.raises(BadExample) as failed:
        decode([*good, record], True, first=100)
    assert str(failed.value).startswith("record 103: ") and why in str(failed.value)


def by_protobuf(record):
    """What TensorFlow's message holds; ``None`` where it is none of a shard."""
    try:
        found = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    kinds = {"event": ("int64_list", [1]), "label": ("int64_list", [1]), "hlf": ("float_list", [14]), "particles": ("float_list", range(0, 99999, 19))}
    for name, (kind, lengths) in kinds.items():
        if name not in found or found[name].WhichOneof("kind") != kind or len(getattr(found[name], kind).value) not in lengths:
            return None
    (event,), (label,) = (found[name].int64_list.value for name in ("event", "label"))
    hlf, particles = (np.array(found[name].float_list.value, np.float32).tobytes() for name in ("hlf", "particles"))
    return (event, label, hlf, particles) if 0 <= label < 3 else None


@pytest.mark.parametrize("at", [-1, -10, 0, 1, 2, 3, 4, 5, 9, 10, 13, 20, 72, 80, 86, 87, 90, 97, 100, 103, 110, 115, 120])
def test_bytes_that_are_changed_are_read_as_protobuf_reads_them(at):
    """What looks like a record of ours is read as such only if it is one, byte by byte."""
    made = events(3, seed=4)
    for record in encode(made):
        for bit in range(8):
            data = bytearray(record)
            data[min(at, len(data) - 1)] ^= 1 << bit
            expected = by_protobuf(bytes(data))
            if expected is None:
                with pytest.raises(BadExample):
                    decode([bytes(data)], True)
            else:
                ours = decode([bytes(data)], True)
                assert (int(ours.event[0]), int(ours.label[0]), ours.hlf.tobytes(), ours.particles.tobytes()) == expected


def test_a_corrupt_shard_is_told_by_its_checksums():
    data = bytearray(tfrecord.frame(encode(events(5))))
    data[len(data) // 2] ^= 1
    with pytest.raises(tfrecord.CorruptRecord):
        tfrecord.records(bytes(data))
