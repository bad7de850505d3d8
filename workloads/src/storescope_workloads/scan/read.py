# SPDX-License-Identifier: Apache-2.0
"""Files that are opened for reading, and whose fault it is where that fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

from storescope import StoreError

from ..errors import BadFile, WorkloadError
from ..places import SourceFile
from ..settings import StoreSettings
from .formats import FormatError, Opened, open_source
from .pieces import Piece
from .source import ChangedError, Range, source_of

#: Kinds of :class:`storescope.StoreError` that are one object's fault. Others (refused, unreachable, throttled to the end,
#: a missing bucket) would be every object's.
OF_THE_FILE = {"archived", "changed", "integrity", "invalid_range", "not_found", "precondition"}
#: Errors of the operating system that are this machine's, or of the file server that it reads from.
OF_THE_MACHINE = {
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EAGAIN),
    *(errno.ESTALE, errno.ENOTCONN, errno.ESHUTDOWN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.ENODEV, errno.EREMOTEIO),
}
#: An error's text is cut to so many characters.
LONGEST = 400


def open_file(piece: Piece, columns: Sequence[str], settings: StoreSettings) -> Opened:
    """Opens a piece's file, in the version that was planned. What the plan read of it is fetched at once.

    Raises:
        BadFile: The file is at fault: gone, replaced, truncated.
        WorkloadError: The store is.
    """
    file = SourceFile(piece.url, piece.size, piece.version)
    return opened(file, piece.tree, columns, piece.opening, settings)


def opened(
    file: SourceFile, tree: str, columns: Sequence[str], expected: Sequence[Range], settings: StoreSettings
) -> Opened:
    """Opens a file of which ``expected`` will be read first."""
    with blamed(file.url):
        source = source_of(file.url, file.size, file.version, settings)
        try:
            if expected:
                source.hint(expected)
            return open_source(source, tree, columns)
        except BaseException:
            source.__exit__(None, None, None)
            raise


@contextmanager
def blamed(url: str) -> Iterator[None]:
    """Raises what goes wrong with a file as :class:`BadFile`; as :class:`WorkloadError` where the store is at fault.

    The libraries that parse a file raise errors of any class where its bytes are wrong."""
    try:
        yield
    except WorkloadError:
        raise
    except MemoryError as error:
        if _asked_for(error) > _memory():
            raise BadFile(url, f"cannot be read: {error}, which is more than this machine has") from error
        raise WorkloadError(
            f"{url}: memory ran out while it was read: {error or 'MemoryError'}; run fewer tasks at once, with smaller "
            "pieces, or leave the file out if it is corrupt"
        ) from error
    except Exception as error:
        of_store = next((cause for cause in _causes(error) if isinstance(cause, StoreError)), None)
        if of_store is not None and of_store.kind not in OF_THE_FILE:
            raise WorkloadError(str(of_store)) from error
        if of_store is None and any(_is_of_the_machine(cause) for cause in _causes(error)):
            raise WorkloadError(f"{url}: {error}") from error
        raise BadFile(url, _why(error, of_store)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_the_machine(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in OF_THE_MACHINE
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def _asked_for(error: MemoryError) -> int:
    """The bytes of the array that numpy could not make; 0 where another asked for memory."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    return prod(shape) * int(dtype.itemsize) if shape and dtype else 0


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _why(error: Exception, of_store: StoreError | None) -> str:
    if isinstance(error, ChangedError) or (of_store and of_store.kind in ("changed", "precondition")):
        return "was replaced since it was listed"
    if isinstance(error, FileNotFoundError) or (of_store and of_store.kind == "not_found"):
        return "is gone since it was listed"
    if isinstance(error, FormatError):
        return str(error)
    text = " ".join(str(error).split())
    return f"cannot be read: {type(error).__name__}: {text if len(text) <= LONGEST else text[:LONGEST] + ' …'}"
