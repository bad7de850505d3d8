# SPDX-License-Identifier: Apache-2.0
"""The ways in which an object is written through something else, and how the bytes of it are read again without us.

As a program, `python writing.py`, with the store in STORE (JSON: service, root, options): leaves each of them open, says so,
and ends.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fsspec
import lz4.frame
import pyarrow
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet
import snappy
import zstandard

import storescope

DATA = b"".join(b"%d,some text\n" % n for n in range(2_000))
TABLE = pyarrow.table({"n": list(range(2_000)), "text": ["some text"] * 2_000})


@dataclass
class Place:
    """Where an object is to be."""

    fs: Any
    service: str
    path: str
    options: dict[str, Any]

    @property
    def url(self) -> str:
        return f"storescope+{self.service}://{self.path}"

    @property
    def name(self) -> str:
        """As messages have it."""
        return f"{self.service}://{self.path}"

    @property
    def at(self) -> tuple[storescope.Store, str]:
        bucket, _, key = self.path.partition("/")
        return storescope.open_store(f"{self.service}://{bucket}/", **self.options), key

    def arrow(self) -> Any:
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(self.fs))


Enter = Callable[[Any], Any]


@dataclass
class Way:
    """`opened` enters what it opens, from the inner to the outer, and returns what is written to."""

    opened: Callable[[Place, Enter], Any]
    unpacked: Callable[[bytes], Any] = bytes
    write: Callable[[Any], Any] = lambda file: file.write(DATA)
    whole: Any = DATA
    suffix: str = ""
    # What stands there before.
    old: bytes | None = b"good old"


def as_text(file: Any) -> None:
    file.write(DATA.decode())


def unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(archive.namelist()[0])


def untarred(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.extractfile(archive.getnames()[0]).read()


UNPACKED = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "lzma": lzma.decompress,
    "zip": unzipped,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
    "snappy": lambda data: snappy.StreamDecompressor().decompress(data),
}
SUFFIXES = {"gzip": ".gz", "bz2": ".bz2", "xz": ".xz", "zip": ".zip", "zstd": ".zst", "lz4": ".lz4"}


def ways_of_fsspec(opened: Callable[..., Any], name: str) -> dict[str, Way]:
    """By `opened(place, mode, compression)`: as bytes and as text, plain and by each compression."""

    def way(mode: str, compression: str | None = None, **about: Any) -> Way:
        if mode.endswith("t"):
            about["write"] = as_text
        return Way(lambda place, enter: enter(opened(place, mode, compression)), **about)

    ways = {f"{name} {mode}": way(mode) for mode in ("wb", "wt")}
    ways[f"{name} xb"] = way("xb", old=None)
    ways[f"{name} ab"] = way("ab", whole=b"good old" + DATA)
    ways[f"{name} at"] = way("at", whole=b"good old" + DATA)
    for compression, unpacked in UNPACKED.items():
        for mode in ("wb", "wt"):
            ways[f"{name} {mode} {compression}"] = way(mode, compression, unpacked=unpacked)
    for compression, suffix in SUFFIXES.items():
        ways[f"{name} {suffix} inferred"] = way("wb", "infer", unpacked=UNPACKED[compression], suffix=suffix)
    ways[f"{name} xt gzip"] = way("xt", "gzip", unpacked=gzip.decompress, old=None)
    return ways


def by_open_files(place: Place, enter: Enter) -> Any:
    files = fsspec.open_files([place.url, place.url + ".other"], "wb", **place.options)
    file, other = enter(files)
    other.write(DATA)
    return file


class Closing:
    """Calls `close` in the end, as those do who know nothing else."""

    def __init__(self, opened: Any, closed: Any = None) -> None:
        self.opened, self.closed = opened, closed or opened

    def __enter__(self) -> Any:
        return self.opened

    def __exit__(self, *_: Any) -> None:
        self.closed.close()


def by_open_file(mode: str, compression: str | None = None) -> Callable[[Place, Enter], Any]:
    def opened(place: Place, enter: Enter) -> Any:
        file = fsspec.open(place.url, mode, compression=compression, **place.options)
        return enter(Closing(file.open(), file))

    return opened


def over(*wrappers: Callable[[Any], Any]) -> Callable[[Place, Enter], Any]:
    """A file, and each of the wrappers around the one before, all of them in a `with` of their own."""

    def opened(place: Place, enter: Enter) -> Any:
        file = enter(place.fs.open(place.path, "wb"))
        for wrap in wrappers:
            file = enter(wrap(file))
        return file

    return opened


def outermost(*wrappers: Callable[[Any], Any]) -> Callable[[Place, Enter], Any]:
    """The same, but only the outermost is in a `with`."""

    def opened(place: Place, enter: Enter) -> Any:
        file = place.fs.open(place.path, "wb")
        for wrap in wrappers:
            file = wrap(file)
        return enter(file)

    return opened


def in_zip(file: Any) -> Any:
    return zipfile.ZipFile(file, "w")


def zip_member(archive: Any) -> None:
    archive.writestr("data", DATA)


def tar_member(archive: Any) -> None:
    member = tarfile.TarInfo("data")
    member.size = len(DATA)
    archive.addfile(member, io.BytesIO(DATA))


def csv_rows(file: Any) -> None:
    csv.writer(file, lineterminator="\n").writerows(line.split(",") for line in DATA.decode().splitlines())


def parquet(data: bytes) -> pyarrow.Table:
    return pyarrow.parquet.read_table(io.BytesIO(data))


def arrow_csv(data: bytes) -> pyarrow.Table:
    return pyarrow.csv.read_csv(io.BytesIO(data))


def arrow_file(data: bytes) -> pyarrow.Table:
    with pyarrow.ipc.open_file(data) as file:
        return file.read_all()


def write_table(writer: Any) -> None:
    writer.write_table(TABLE)


def csv_by_arrow(place: Place, enter: Enter) -> Any:
    return enter(pyarrow.csv.CSVWriter(enter(place.arrow().open_output_stream(place.path)), TABLE.schema))


def file_by_arrow(place: Place, enter: Enter) -> Any:
    return enter(pyarrow.ipc.new_file(enter(place.arrow().open_output_stream(place.path)), TABLE.schema))


WAYS: dict[str, Way] = {
    **ways_of_fsspec(lambda place, mode, compression: place.fs.open(place.path, mode, compression=compression), "fs.open"),
    **ways_of_fsspec(
        lambda place, mode, compression: fsspec.open(place.url, mode, compression=compression, **place.options),
        "fsspec.open",
    ),
    "fsspec.open_files": Way(by_open_files),
    "OpenFile.open wb": Way(by_open_file("wb")),
    "OpenFile.open wt": Way(by_open_file("wt"), write=as_text),
    "OpenFile.open wb gzip": Way(by_open_file("wb", "gzip"), unpacked=gzip.decompress),
    "OpenFile.open wt gzip": Way(by_open_file("wt", "gzip"), unpacked=gzip.decompress, write=as_text),
    "Store.open": Way(lambda place, enter: enter(place.at[0].open(place.at[1], "wb"))),
    "Store.writer": Way(lambda place, enter: enter(place.at[0].writer(place.at[1]))),
    "TextIOWrapper of Store.writer": Way(
        lambda place, enter: enter(io.TextIOWrapper(place.at[0].writer(place.at[1]))), write=as_text
    ),
    "contextlib.closing": Way(lambda place, enter: enter(contextlib.closing(place.fs.open(place.path, "wb")))),
    "BufferedWriter": Way(outermost(io.BufferedWriter)),
    "BufferedWriter, both": Way(over(io.BufferedWriter)),
    "TextIOWrapper": Way(outermost(io.TextIOWrapper), write=as_text),
    "TextIOWrapper, both": Way(over(io.TextIOWrapper), write=as_text),
    "TextIOWrapper of BufferedWriter": Way(outermost(io.BufferedWriter, io.TextIOWrapper), write=as_text),
    "csv.writer": Way(lambda place, enter: enter(place.fs.open(place.path, "w", newline="")), write=csv_rows),
    "gzip.open": Way(over(lambda file: gzip.open(file, "wb")), unpacked=gzip.decompress),
    "gzip.open wt": Way(over(lambda file: gzip.open(file, "wt")), unpacked=gzip.decompress, write=as_text),
    "GzipFile": Way(over(lambda file: gzip.GzipFile(fileobj=file, mode="wb")), unpacked=gzip.decompress),
    "BZ2File": Way(over(lambda file: bz2.BZ2File(file, "wb")), unpacked=bz2.decompress),
    "LZMAFile": Way(over(lambda file: lzma.LZMAFile(file, "wb")), unpacked=lzma.decompress),
    "lz4.frame.open": Way(over(lambda file: lz4.frame.open(file, "wb")), unpacked=lz4.frame.decompress),
    "zstandard": Way(over(lambda file: zstandard.open(file, "wb")), unpacked=UNPACKED["zstd"]),
    "ZipFile": Way(over(in_zip), unpacked=unzipped, write=zip_member),
    "tarfile": Way(over(lambda file: tarfile.open(fileobj=file, mode="w|gz")), unpacked=untarred, write=tar_member),
    "pyarrow stream": Way(lambda place, enter: enter(place.arrow().open_output_stream(place.path))),
    "pyarrow PythonFile": Way(lambda place, enter: enter(pyarrow.PythonFile(place.fs.open(place.path, "wb")))),
    "ParquetWriter": Way(
        lambda place, enter: enter(pyarrow.parquet.ParquetWriter(place.path, TABLE.schema, filesystem=place.fs)),
        unpacked=parquet,
        write=write_table,
        whole=TABLE,
    ),
    "ParquetWriter of a file": Way(
        over(lambda file: pyarrow.parquet.ParquetWriter(file, TABLE.schema)),
        unpacked=parquet,
        write=write_table,
        whole=TABLE,
    ),
    "pyarrow CSVWriter": Way(csv_by_arrow, unpacked=arrow_csv, write=write_table, whole=TABLE),
    "pyarrow IPC file": Way(file_by_arrow, unpacked=arrow_file, write=write_table, whole=TABLE),
}

# Destructors of Arrow and zstandard close what is beneath these, and nothing tells that from a `close`.
CLOSED_WHEN_DROPPED: dict[str, Way] = {
    "fsspec.open wt zstd": WAYS.pop("fsspec.open wt zstd"),
    "pyarrow stream gzip": Way(
        lambda place, enter: enter(place.arrow().open_output_stream(place.path, compression="gzip")),
        unpacked=gzip.decompress,
    ),
    "pyarrow stream buffered": Way(
        lambda place, enter: enter(place.arrow().open_output_stream(place.path, buffer_size=4096))
    ),
}


def left_open(service: str, root: str, options: dict[str, Any]) -> list[Any]:
    """Files of each way, written and open, by paths that end by the way's number."""
    fs = fsspec.filesystem(f"storescope+{service}", **options)
    kept: list[Any] = []
    for number, way in enumerate({**WAYS, **CLOSED_WHEN_DROPPED}.values()):
        place = Place(fs, service, f"{root}/{number}{way.suffix}", options)
        way.write(way.opened(place, lambda context: kept.append(context) or context.__enter__()))
    return kept


if __name__ == "__main__":
    KEPT = left_open(**json.loads(os.environ["STORE"]))
    print("written", flush=True)
    sys.exit(3)
