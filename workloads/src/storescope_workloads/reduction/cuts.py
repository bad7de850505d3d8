# SPDX-License-Identifier: Apache-2.0
"""The cuts of the dimuon reduction: what each is, and the YAML that changes them.

They are those of the CMS reduction of 2017-18 (``DimuonReductionAOD``). A cut compares in float64, whatever the
column's type: a float32 value is compared as C++ would do, with the threshold as it is written. A value that is NaN or
null passes no cut that looks at it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import yaml_file

#: Types that a kept column may have in the output.
KEPT_TYPES = ("int64", "float64", "bool")

#: Columns of the output that hold the pair itself, with their types. pT and mass in GeV, φ in radians.
PAIR_COLUMNS = {
    "mass_gev": "float64",
    "pt1": "float32",
    "eta1": "float32",
    "phi1": "float32",
    "pt2": "float32",
    "eta2": "float32",
    "phi2": "float32",
}


@dataclass(frozen=True)
class Column:
    """A column of the input: its name, and what its values are multiplied by (0.001 makes GeV of MeV)."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True)
class Columns:
    """Where each quantity of a muon is: NanoAOD's names. All are lists, one value for each muon of the event."""

    pt: Column = Column("Muon_pt")
    eta: Column = Column("Muon_eta")
    phi: Column = Column("Muon_phi")
    charge: Column = Column("Muon_charge")
    isolation: Column = Column("Muon_pfRelIso04_all")
    is_global: Column = Column("Muon_isGlobal")


@dataclass(frozen=True)
class MuonCuts:
    """What a muon must pass to be looked at further. ``None`` or ``False``: the cut is off.

    Attributes:
        pt_min: ``muon_pt``: pT greater than this, in GeV.
        abs_eta_max: ``muon_eta``: |η| less than this.
        isolation_max: ``muon_isolation``: the relative isolation within R = 0.4 less than this: the sum of the
            transverse momenta of the particles near the muon, corrected for pile-up, over the muon's pT.
        is_global: ``muon_global``: reconstructed from tracker and muon chambers together.
    """

    pt_min: float | None = 10.0
    abs_eta_max: float | None = 2.4
    isolation_max: float | None = 0.5
    is_global: bool = True


@dataclass(frozen=True)
class LeadingCuts:
    """What the selected muon of the greatest pT must pass. ``None``: the cut is off.

    Attributes:
        pt_min: ``leading_pt``: pT greater than this, in GeV.
        abs_eta_max: ``leading_eta``: |η| less than this.
        isolation_max: ``leading_isolation``: the relative isolation less than this.
    """

    pt_min: float | None = 25.0
    abs_eta_max: float | None = 2.1
    isolation_max: float | None = 0.12


@dataclass(frozen=True)
class Cuts:
    """What is read and which events pass.

    The muons of an event are cut one by one (``muons``). The event must have at least two left (``two_muons``). The
    pair are the two of the greatest pT; of equal ones that which is first in the event. Then its first must pass
    ``leading``, and the charges of the two must differ in sign (``opposite_sign``). The mass must be a finite number
    (``finite_mass``): it is not where a branch holds NaN.

    Attributes:
        opposite_sign: The cut of this name is on.
        read: Where the quantities are.
        keep: Columns with one value for each event that are carried to the output: (name, type of :data:`KEPT_TYPES`).
    """

    muons: MuonCuts = field(default_factory=MuonCuts)
    leading: LeadingCuts = field(default_factory=LeadingCuts)
    opposite_sign: bool = True
    read: Columns = field(default_factory=Columns)
    keep: tuple[tuple[str, str], ...] = ()

    def columns(self) -> list[str]:
        """Names of the branches, fields or parquet columns that are read. Those of cuts that are off are not."""
        names = [column.name for column in self.quantities().values()]
        return list(dict.fromkeys([*names, *(name for name, _ in self.keep)]))

    def quantities(self) -> dict[str, Column]:
        """The quantities of muons that are read: by their names in :class:`Columns`."""
        isolated = self.muons.isolation_max is not None or self.leading.isolation_max is not None
        used = {"charge": self.opposite_sign, "isolation": isolated, "is_global": self.muons.is_global}
        return {name: getattr(self.read, name) for name in _names(Columns) if used.get(name, True)}

    def muon_cuts(self) -> list[str]:
        """Names of the cuts on muons that are on, in their order."""
        muons = self.muons
        on = {
            "muon_pt": muons.pt_min is not None,
            "muon_eta": muons.abs_eta_max is not None,
            "muon_isolation": muons.isolation_max is not None,
            "muon_global": muons.is_global,
        }
        return [name for name, is_on in on.items() if is_on]

    def event_cuts(self) -> list[str]:
        """Names of the cuts on events that are on, in their order."""
        leading = self.leading
        on = {
            "two_muons": True,
            "leading_pt": leading.pt_min is not None,
            "leading_eta": leading.abs_eta_max is not None,
            "leading_isolation": leading.isolation_max is not None,
            "opposite_sign": self.opposite_sign,
            "finite_mass": True,
        }
        return [name for name, is_on in on.items() if is_on]

    def output(self) -> dict[str, str]:
        """The output's columns in their order, with numpy's names of their types."""
        return {**PAIR_COLUMNS, **dict(self.keep)}

    def to_dict(self) -> dict[str, Any]:
        """As YAML has it."""
        columns = {name: _told(getattr(self.read, name)) for name in _names(Columns)}
        return {
            "muons": {_KEYS.get(name, name): getattr(self.muons, name) for name in _names(MuonCuts)},
            "leading": {name: getattr(self.leading, name) for name in _names(LeadingCuts)},
            "pair": {"opposite_sign": self.opposite_sign},
            "columns": {_KEYS.get(name, name): told for name, told in columns.items()},
            "keep": dict(self.keep),
        }

    @classmethod
    def load(cls, text: str, origin: str = "") -> Cuts:
        """The cuts of a YAML text. What it leaves out has its default, null turns a cut off. ``origin`` begins errors.

        Raises:
            UsageError: It is no YAML, or a key of it is unknown or of a wrong type.
        """
        return _cuts(yaml_file.parse(text, origin))

    @classmethod
    def load_file(cls, path: Path) -> Cuts:
        """The cuts of a YAML file on this machine, as :meth:`load` has them.

        Raises:
            UsageError: It cannot be read, is no YAML, or a key of it is unknown or of a wrong type.
        """
        return _cuts(yaml_file.read(path))

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Cuts:
        """What :meth:`to_dict` made."""
        return _cuts(yaml_file.Mapping(told, "cuts", ""))


#: What no kept column may be called: columns that tell where a pair is from, and that of the engine ``spark`` for tallies.
_TAKEN = ("file", "dataset", "batch", "_tally")

#: Names in the YAML that are not those here, for which Python has another use.
_KEYS = {"is_global": "global"}


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _told(column: Column) -> str | dict[str, Any]:
    return column.name if column.scale == 1.0 else {"column": column.name, "scale": column.scale}


def _cuts(document: yaml_file.Mapping) -> Cuts:
    muons, leading, pair = document.mapping("muons"), document.mapping("leading"), document.mapping("pair")
    columns = document.mapping("columns")
    made = Cuts(
        MuonCuts(
            muons.number("pt_min", MuonCuts.pt_min),
            muons.number("abs_eta_max", MuonCuts.abs_eta_max, above=0.0),
            muons.number("isolation_max", MuonCuts.isolation_max),
            muons.flag("global", MuonCuts.is_global),
        ),
        LeadingCuts(
            leading.number("pt_min", LeadingCuts.pt_min),
            leading.number("abs_eta_max", LeadingCuts.abs_eta_max, above=0.0),
            leading.number("isolation_max", LeadingCuts.isolation_max),
        ),
        pair.flag("opposite_sign", Cuts.opposite_sign),
        Columns(*(_column(columns, _KEYS.get(name, name), getattr(Columns, name)) for name in _names(Columns))),
        _keep(document),
    )
    for part in (muons, leading, pair, columns, document):
        part.end()
    return made


def _column(columns: yaml_file.Mapping, key: str, default: Column) -> Column:
    value = columns.take(key, default.name)
    if isinstance(value, str) and value:
        return Column(value)
    if not isinstance(value, dict):
        columns.wrong("must be a column's name, or a mapping of column and scale", key)
    told = columns.below(value, key)
    name, scale = told.text("column", default.name), told.number("scale", 1.0, above=0.0)
    told.end()
    return Column(name or default.name, 1.0 if scale is None else scale)


def _keep(document: yaml_file.Mapping) -> tuple[tuple[str, str], ...]:
    value = document.take("keep")
    if value is None:
        return ()
    names = list(value) if isinstance(value, list | dict) else []
    for name in names:
        if not isinstance(name, str) or not name:
            document.wrong(f"names {name!r}, which is not a column's name", "keep")
        # Spark, as it is configured by default, knows no case.
        alike = [other for other in names if isinstance(other, str) and other.lower() == name.lower()]
        if len(alike) > 1 and len(set(alike)) == 1:
            document.wrong(f"names {name} twice", "keep")
        if len(alike) > 1:
            document.wrong(f"names {' and '.join(alike)}, which differ in case alone", "keep")
        if name.lower() in (*PAIR_COLUMNS, *_TAKEN):
            document.wrong(f"names {name}, a name of the output's own, in any case of letters", "keep")
    kept = document.below(dict.fromkeys(names, KEPT_TYPES[0]) if isinstance(value, list) else value, "keep")
    return tuple((name, kept.choice(name, KEPT_TYPES, KEPT_TYPES[0])) for name in names)
