# SPDX-License-Identifier: Apache-2.0
"""ROOT files from object storage, read by uproot: :class:`Source` and :func:`install`.

.. code-block:: python

    import storescope.uproot, uproot

    storescope.uproot.install()                  # oci:// and s3:// are read by storescope from now on
    with uproot.open("oci://bucket@namespace/file.root:Events") as tree:
        tree.arrays(["nMuon", "Muon_pt"])

    uproot.open(url, handler=storescope.uproot.Source)  # the same for one call, without install

Settings of :func:`storescope.open_store` may stand beside the URL as keywords, as other options of uproot do; those of
ocifs and s3fs are understood where they mean something here. uproot's ``timeout`` is the time in seconds without a byte
of an answer after which a request is given up, and tried again (``first_byte_timeout`` and ``stall_timeout``).

**In other processes.** A ``handler`` travels with the call to each worker, and lists of files are expanded by storescope
alone: neither needs anything registered. What :func:`install` did is carried into the processes that this one starts by
multiprocessing from then on: those of concurrent.futures (coffea's ``FuturesExecutor``), joblib, loky, dask's local
workers. Workers that are started otherwise must call it themselves.

**How bytes are foreseen.** uproot asks for many small things one after the other: the key of each basket before the
first array of an ``iterate`` whose step is a memory size, each page list and each page of an RNTuple, and each step
only when the one before was used. Where all those bytes are stands in tables that uproot has parsed by then, so they
are handed to the reading engine (:meth:`storescope.Reader.hint`) before uproot asks, in the order in which it will:

===============================  =====================================================================
uproot begins to                 and is on its way
===============================  =====================================================================
open a file                      its first 64 KiB; then the list of keys that its header names, if it lies beyond; where
                                 that is at the file's end, with up to 96 KiB before it (a quarter of a smaller file),
                                 since trees lie there: as much as the last file of the bucket needed
iterate over a ``TTree``         the baskets of the branches and entries asked for
count entries by memory size     the keys of those baskets
look at an RNTuple's clusters    all page lists
iterate over an ``RNTuple``      the pages of the columns and clusters asked for
read ``arrays`` of an RNTuple    the same; column by column where the arrays are virtual
===============================  =====================================================================

Never more than 64 MiB are on their way for one loop, so that a loop which is left early has cost no more than that.

Which branches are meant is learned where uproot itself has found it out: in seven of its functions (the hooks of ``_uproot_hooks``),
wrapped when the first source is made. The wrappers do nothing for sources of others. The first key alone, seen from
:meth:`Source.chunk`, would tell neither the other branches nor where the entries end, and would have to guess from
numbers which tree they belong to; ``iterate`` and ``arrays`` alone would have to parse the expressions a second time.
Where a future uproot has other functions, a warning on the logger ``storescope.uproot`` says what is not foreseen; all
is read as before, only later.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    import uproot
except ImportError as error:
    raise ImportError("storescope.uproot needs uproot: pip install 'storescope[uproot]'") from error

import uproot._util
from fsspec.core import has_magic  # type: ignore[import-untyped]
from uproot.version import __version__ as uproot_version

from ._inherited import INHERITED, Registration
from ._uproot_clusters import Cluster, clusters
from ._uproot_hooks import takes
from ._uproot_source import BEFORE_KEYS, END, HEAD, Source  # noqa: F401
from ._uproot_stores import CLASSES, LONG_SCHEMES, scheme_of, settings_of
from .fsspec import register

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cluster", "Source", "clusters", "install", "uninstall"]

logger = logging.getLogger("storescope.uproot")


def install(*schemes: str) -> None:
    """Makes :class:`Source` uproot's choice for ``schemes``, and for the long ones: ``storescopeoci://``,
    ``storescopes3://``.

    Args:
        schemes: ``"oci"``, ``"s3"``; without any, both. They are registered with fsspec, too
            (:func:`storescope.register`), for what stands around uproot and takes the same URLs.

    A ``handler`` given to a call goes before it. Calls add up; :func:`uninstall` takes all back. Processes that are
    started by multiprocessing afterwards inherit it.

    Raises:
        ValueError: for another scheme.
        RuntimeError: where this uproot chooses its sources in an unknown way; ``handler=`` works all the same.
    """
    short = schemes or ("oci", "s3")
    for scheme in short:
        if scheme not in ("oci", "s3"):
            raise ValueError(f"storescope reads oci:// and s3://, not {scheme!r}")
    with _changes:
        choice: Any = getattr(uproot._util, "file_path_to_source_class", None)
        if not takes(choice, ("file_path_or_object", "options")):
            raise RuntimeError(
                f"uproot {uproot_version} chooses its sources in a way that storescope does not know: "
                "pass handler=storescope.uproot.Source instead"
            )
        register(*short)
        if not _schemes:
            uproot._util.file_path_to_source_class = _choosing(choice)
        _schemes.update(short, LONG_SCHEMES)
    INHERITED.carry(_REGISTRATION, short)


def uninstall() -> None:
    """Takes :func:`install` back: uproot chooses its sources as before. Open files go on; fsspec's registry stays."""
    with _changes:
        _schemes.clear()
        INHERITED.forget(_REGISTRATION)
        # Where somebody has wrapped our choice since, it stays below theirs and chooses nothing.
        choice = getattr(uproot._util, "file_path_to_source_class", None)
        if before := getattr(choice, "_before_storescope", None):
            uproot._util.file_path_to_source_class = before


#: How a process that this one starts installs the same, once it imports uproot.
_REGISTRATION = Registration("storescope.uproot", "install", after="uproot")
_changes = threading.Lock()
#: The schemes that :func:`install` was asked for.
_schemes: set[str] = set()


def _choosing(choice: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(choice)
    def choose(file_path_or_object: Any, options: dict[str, Any]) -> Any:
        if options.get("handler") is None:
            path = file_path_or_object
            path = uproot._util.regularize_path(path) if isinstance(path, os.PathLike) else path
            if isinstance(path, str) and scheme_of(path) in _schemes:
                options = {**options, "handler": Source}
        return choice(file_path_or_object, options)

    choose._before_storescope = choice  # type: ignore[attr-defined]
    return choose


def _expanding(function: Callable[..., Any]) -> Callable[..., Any]:
    """uproot expands a URL by fsspec, before it asks a handler: by whichever package has the scheme's name there. A URL
    that is read here is listed here."""

    @functools.wraps(function)
    def expand(files: Any, parse_colon: bool, *rest: Any, **options: Any) -> Any:
        path, object_path = files, None
        if isinstance(files, os.PathLike):
            path, parse_colon = uproot._util.regularize_path(files), False
        if not isinstance(path, str) or not _is_read_here(path, options):
            return function(files, parse_colon, *rest, **options)
        if parse_colon:
            path, object_path = uproot._util.file_object_path_split(path)
        return ((name, object_path, None) for name in _names(path, options))

    return expand


def _is_read_here(path: str, options: dict[str, Any]) -> bool:
    handler = options.get("handler")
    if handler is None:
        return scheme_of(path) in _schemes
    return isinstance(handler, type) and issubclass(handler, Source) and scheme_of(path) in CLASSES


def _names(path: str, options: dict[str, Any]) -> Iterator[str]:
    """The URLs of the objects that a pattern names."""
    scheme, _, rest = path.partition("://")
    if not has_magic(rest):
        yield path
        return
    others = {name: value for name, value in options.items() if name not in ("handler", "timeout")}
    fs = CLASSES[scheme](**settings_of(path, others, options.get("timeout")))
    for name, info in sorted(fs.glob(rest, detail=True).items()):
        if info["type"] == "file":
            yield f"{scheme}://{name}"


def _place_expansion() -> None:
    known = getattr(uproot._util, "_regularize_files_inner", None)
    if takes(known, ("files", "parse_colon", "counter", "HasBranches", "steps_allowed")):
        uproot._util._regularize_files_inner = _expanding(known)
    else:
        logger.warning(
            "uproot %s: _util._regularize_files_inner is not as known, fsspec expands lists of files",
            uproot_version,
        )


_place_expansion()
