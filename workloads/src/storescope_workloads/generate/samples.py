# SPDX-License-Identifier: Apache-2.0
"""The samples: which events lie in which file, and how the files hold them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import UsageError
from ..trainer.features import CLASSES
from . import columns, dimuon, filler, trigger
from .branches import CHOICES, TRIGGER, branches
from .columns import Columns
from .files import COMPRESSIONS, ENDINGS, Layout


@dataclass(frozen=True)
class AnySample(ABC):
    """Events in files.

    Attributes:
        events: How many: in all files, or of each class.
        files: How many: in all, or of each class.
        seed: 0 to 2^32 - 1. An event depends on it, on its class and on its own number.
        format: ``ttree``, ``rntuple`` or ``parquet``.
        cluster: Events of a cluster: one basket of each branch, or one row group.
        compression: ``zlib`` (level 1), ``zstd``, ``lz4`` or ``none``.

    Raises:
        UsageError: Such a sample cannot be made.
    """

    #: The formats that such a sample may have.
    formats: ClassVar[tuple[str, ...]] = tuple(ENDINGS)

    events: int
    files: int = 1
    seed: int = 1
    format: str = "ttree"
    cluster: int = 100_000
    compression: str = "zlib"

    def __post_init__(self) -> None:
        for name in ("events", "files", "cluster"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: must be at least 1")
        if self.files > self.events:
            raise UsageError(f"--files {self.files}: more than there are events ({self.events}); give fewer files")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed}: must be between 0 and {2**32 - 1}")
        self._one_of("format", self.formats)
        self._one_of("compression", COMPRESSIONS)

    def _one_of(self, name: str, allowed: Any) -> None:
        if getattr(self, name) not in allowed:
            raise UsageError(f"--{name} {getattr(self, name)}: must be one of {', '.join(map(str, allowed))}")

    @property
    def count(self) -> int:
        """All files."""
        return self.files

    @property
    def total(self) -> int:
        """The events of all files."""
        return self.span(self.count - 1)[1]

    @property
    @abstractmethod
    def kind(self) -> str:
        """The name of the sample: ``dimuon`` or ``trigger``."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """How each file holds its events."""

    @property
    def pattern(self) -> str:
        """A regular expression of the names of such a sample's files."""
        return rf"{self.kind}-\d+\.{ENDINGS[self.format]}"

    @property
    @abstractmethod
    def told(self) -> dict[str, Any]:
        """What the command's result says about this sample alone."""

    def name(self, number: int) -> str:
        """The name of a file: ``dimuon-0000.root`` and so on."""
        return f"{self.kind}-{number:0{max(4, len(str(self.files - 1)))}}.{ENDINGS[self.format]}"

    def span(self, number: int) -> tuple[int, int]:
        """The first of a file's events, and the one after its last, counted over all files."""
        return number * self.events // self.files, (number + 1) * self.events // self.files

    @abstractmethod
    def columns(self, start: int, stop: int) -> Columns:
        """The events ``start`` to ``stop`` of one file, counted over all files."""


@dataclass(frozen=True)
class Sample(AnySample):
    """Dimuon's events.

    Attributes:
        branches: 37 or 100.
    """

    branches: int = CHOICES[0]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("branches", CHOICES)

    @property
    def kind(self) -> str:
        return "dimuon"

    @property
    def layout(self) -> Layout:
        return Layout(self.format, branches(self.branches), self.compression)

    @property
    def told(self) -> dict[str, Any]:
        return {"branches": self.branches}

    def columns(self, start: int, stop: int) -> Columns:
        make = dimuon.chunk if self.branches == CHOICES[0] else filler.extended_chunk
        return columns.span(lambda number: make(self.seed, number), dimuon.CHUNK, self.layout.branches, start, stop)


@dataclass(frozen=True)
class TriggerSample(AnySample):
    """Events of the trigger's three classes, ``events`` and ``files`` of each: ``qcd/trigger-0000.root`` and so on.

    Attributes:
        soft_particles: Mean number of particles of the underlying event and of pile-up, in an event.
    """

    formats = ("ttree", "parquet")

    cluster: int = 2_000
    soft_particles: float = trigger.SOFT_PARTICLES

    def __post_init__(self) -> None:
        if self.format == "rntuple":
            raise UsageError(
                "--format rntuple: an RNTuple's field names may not hold dots, and Delphes's do (EFlowTrack.PT); "
                "give ttree or parquet"
            )
        super().__post_init__()
        if not 0 <= self.soft_particles <= trigger.MOST_SOFT_PARTICLES:
            raise UsageError(
                f"--soft-particles {self.soft_particles}: must be between 0 and {trigger.MOST_SOFT_PARTICLES}"
            )

    @property
    def count(self) -> int:
        return len(CLASSES) * self.files

    @property
    def kind(self) -> str:
        return "trigger"

    @property
    def layout(self) -> Layout:
        return Layout(self.format, TRIGGER, self.compression, tree="Delphes")

    @property
    def pattern(self) -> str:
        return f"(?:{'|'.join(CLASSES)})/{super().pattern}"

    @property
    def told(self) -> dict[str, Any]:
        return {"classes": dict.fromkeys(CLASSES, self.events), "soft_particles": self.soft_particles}

    def name(self, number: int) -> str:
        return f"{CLASSES[number // self.files]}/{super().name(number % self.files)}"

    def span(self, number: int) -> tuple[int, int]:
        label, file = divmod(number, self.files)
        start, stop = super().span(file)
        return label * self.events + start, label * self.events + stop

    def columns(self, start: int, stop: int) -> Columns:
        label, first = divmod(start, self.events)

        def make(number: int) -> Columns:
            return trigger.chunk(self.seed, label, number, self.soft_particles)

        return columns.span(make, trigger.CHUNK, self.layout.branches, first, first + stop - start)
