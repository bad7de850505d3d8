# SPDX-License-Identifier: Apache-2.0
"""What a `Buffer` has of `bytes`: each of its methods is offered and gives what `bytes` gives, or its absence says what
to write instead."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import pickle
import re
import struct
import zlib

import numpy
import pytest

from storescope import Buffer

TEXT = b"  one, two\ntwo,three\r\n\tfour two "

OFFERED = {
    "count",
    "decode",
    "endswith",
    "find",
    "hex",
    "index",
    "lstrip",
    "partition",
    "rfind",
    "rindex",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
}


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error), str(error) if isinstance(error, ValueError) else ""


SOUGHT = [b"two", b"o", b"", b"none", TEXT, ord("w"), 0, bytearray(b"two"), memoryview(b","), Buffer(b"four")]
PLACES = [None, 0, 3, -3, 100, -100, len(TEXT)]
CALLS = {
    "count": [(sub, *at) for sub in SOUGHT for at in [(), *itertools.product(PLACES, PLACES)]],
    "decode": [(), ("utf-8",), ("latin-1", "replace"), ("no-such-coding",)],
    "endswith": [(b"two ",), ((b"x", b" "),), (b"",), (b"", 100), ((),), (b"two", 0, -1), (7,)],
    "hex": [(), (":",), ("-", 2), (b"_", -4)],
    "lstrip": [(), (None,), (b" o",)],
    "partition": [(b",",), (b"none",), (b"",)],
    "rsplit": [(), (b",",), (None, 1), (b",", 1)],
    "split": [(), (b",",), (None, 1), (b",", 1), (b"",)],
    "splitlines": [(), (True,)],
    "startswith": [(b"  one",), ((b"x", b"  "),), (b"",), (b"", 100), ((),), (b"one", 2), (7,)],
}
CALLS |= {"find": CALLS["count"], "rfind": CALLS["count"], "index": CALLS["count"], "rindex": CALLS["count"]}
CALLS |= {"rpartition": CALLS["partition"], "rstrip": CALLS["lstrip"], "strip": CALLS["lstrip"]}


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_what_is_offered_gives_what_bytes_gives(name):
    buffer = Buffer(TEXT)
    for given in CALLS[name]:
        # bytes takes any buffer, too.
        plain = [bytes(one) if isinstance(one, Buffer) else one for one in given]
        assert outcome(lambda: getattr(buffer, name)(*given)) == outcome(lambda: getattr(TEXT, name)(*plain)), given


def test_keywords_are_those_of_bytes():
    buffer = Buffer(b"a,b,c")
    assert buffer.split(sep=b",", maxsplit=1) == [b"a", b"b,c"]
    assert buffer.rsplit(sep=b",", maxsplit=1) == [b"a,b", b"c"]
    assert buffer.decode(encoding="ascii", errors="strict") == "a,b,c"
    assert buffer.hex(sep=":", bytes_per_sep=1) == "61:2c:62:2c:63"
    assert buffer.splitlines(keepends=True) == [b"a,b,c"]


def test_every_method_of_bytes_is_offered_or_says_what_to_write():
    buffer = Buffer(TEXT)
    for name in [name for name in dir(bytes) if not name.startswith("_")]:
        if name in OFFERED:
            assert callable(getattr(buffer, name))
        else:
            with pytest.raises(AttributeError, match=rf"no attribute '{name}': bytes\(buffer\).{name} has it"):
                getattr(buffer, name)
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = buffer.nonsense
    assert not hasattr(buffer, "upper") and not hasattr(buffer, "__array_interface__")


def test_in():
    buffer = Buffer(TEXT)
    assert b"two" in buffer and ord("w") in buffer and b"" in buffer and Buffer(b"one") in buffer
    assert b"none" not in buffer and 0 not in buffer and bytearray(b"\n") in buffer
    for wrong in ("two", None, 1.5):
        with pytest.raises(TypeError):
            _ = wrong in buffer
    with pytest.raises(ValueError, match=r"range\(0, 256\)"):
        _ = 256 in buffer


def test_it_compares_hashes_and_sorts_as_bytes():
    one, other = Buffer(b"abc"), Buffer(b"abd")
    assert one == b"abc" == one == bytearray(b"abc") and one != other and one != "abc" and one != 7 and one is not None
    assert hash(one) == hash(b"abc") and {one: 1}[b"abc"] == 1 and len({one, b"abc", Buffer(b"abc")}) == 1
    assert one < other <= b"abd" and b"abd" > one and other >= b"ab" and not one > other
    assert sorted([other, one, b"abb"]) == [b"abb", b"abc", b"abd"]
    for compare in (lambda: one < "abd", lambda: one > 7, lambda: one <= None):
        with pytest.raises(TypeError):
            compare()


def test_it_is_added_and_iterated():
    buffer = Buffer(b"ab")
    assert buffer + b"c" == b"abc" and type(buffer + buffer) is bytes and b"c" + buffer == b"cab"
    assert bytearray(b"c") + buffer == b"cab" and buffer + bytearray(b"c") == b"abc"
    with pytest.raises(TypeError):
        _ = buffer + "c"
    with pytest.raises(TypeError):
        _ = "c" + buffer
    assert list(buffer) == [97, 98] and list(reversed(buffer)) == [98, 97] and bool(buffer) and not Buffer()
    assert b",".join([buffer, buffer]) == b"ab,ab" and b"<%s>" % buffer == b"<ab>"
    assert [*Buffer(b"")] == [] and max(buffer) == 98


def test_what_knows_buffers_takes_it():
    buffer = Buffer(TEXT)
    assert re.search(rb"t\w+,(\w+)", buffer).group(1) == b"three" and re.findall(b"two", buffer) == [b"two"] * 3
    assert numpy.frombuffer(buffer, "u1").tobytes() == TEXT and numpy.array(buffer).tobytes() == TEXT
    assert hashlib.md5(buffer).digest() == hashlib.md5(TEXT).digest() and zlib.crc32(buffer) == zlib.crc32(TEXT)
    assert zlib.decompress(Buffer(zlib.compress(TEXT))) == TEXT and base64.b64encode(buffer) == base64.b64encode(TEXT)
    assert struct.unpack_from(">I", buffer, 1) == struct.unpack_from(">I", TEXT, 1)
    assert int.from_bytes(Buffer(b"\1\0"), "big") == 256 and io.BytesIO(buffer).getvalue() == TEXT
    assert pickle.loads(Buffer(pickle.dumps([1, 2]))) == [1, 2] and pickle.loads(pickle.dumps(buffer)) == TEXT
    assert str(buffer, "ascii") == TEXT.decode() and float(Buffer(b"2.5")) == 2.5
    # json's own rule: str, bytes or bytearray.
    data = Buffer(b'{"a": 1}')
    with pytest.raises(TypeError):
        json.loads(data)
    assert json.loads(bytes(data)) == json.loads(data.decode()) == {"a": 1}
