# SPDX-License-Identifier: Apache-2.0
"""What this process has registered, carried into the processes that it starts by multiprocessing.

A child made by fork has it anyway. One that begins with a fresh interpreter (spawn, forkserver, loky) is handed its
`Process` object by pickle, and with that a dict of what children inherit, such as the key of their connections: what
stands here is put into that dict, and registers itself where it is unpickled.

Whoever registers something says by which function of which module a child does the same. Nothing is imported before.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import multiprocessing.process
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

_lock = threading.Lock()


class Registration(NamedTuple):
    """A function that takes names: `register("oci", "s3")`."""

    module: str
    function: str
    #: A module of others before whose import there is nothing to register. A child that never imports it does not wait for
    #: our module either.
    after: str | None = None

    def repeat(self, names: Iterable[str]) -> None:
        """Registers these names in this process."""
        getattr(importlib.import_module(self.module), self.function)(*names)


class Inherited:
    """What children register, by the functions that do it."""

    def __init__(self) -> None:
        self._names: dict[Registration, set[str]] = {}

    def carry(self, registration: Registration, names: Iterable[str]) -> None:
        """Registers these in children, too, that are started from now on."""
        with _lock:
            self._names.setdefault(registration, set()).update(names)
        # Where a Python has no such dict, children register for themselves, as they would without this.
        inherited: dict[str, Any] = getattr(multiprocessing.process.current_process(), "_config", {})
        inherited["storescope"] = self

    def forget(self, registration: Registration) -> None:
        """Children are to register nothing by this function."""
        with _lock:
            self._names.pop(registration, None)

    def __reduce__(self) -> tuple[Any, ...]:
        with _lock:
            names = [(tuple(registration), sorted(names)) for registration, names in self._names.items()]
        return _registered, (names,)


INHERITED = Inherited()


def _registered(carried: list[tuple[tuple[Any, ...], list[str]]]) -> Inherited:
    for fields, names in carried:
        registration = Registration(*fields)
        INHERITED.carry(registration, names)
        if registration.after is None or registration.after in sys.modules:
            registration.repeat(names)
        else:
            sys.meta_path.insert(0, _Later(registration, names))
    return INHERITED


class _Later(importlib.abc.MetaPathFinder):
    """Registers once the module of others is imported."""

    def __init__(self, registration: Registration, names: list[str]) -> None:
        self.registration = registration
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.registration.after:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AndRegister(spec.loader, self)
        return spec


class _AndRegister(importlib.abc.Loader):
    """Runs the module of others, then registers."""

    def __init__(self, loader: Any, finder: _Later) -> None:
        self.loader = loader
        self.finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        self.finder.registration.repeat(self.finder.names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
