# SPDX-License-Identifier: Apache-2.0
"""How stores are opened: the common options of the command line. All else comes from the environment (docs/CONFIG.md)."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class StoreSettings:
    """Options of :func:`storescope.open_store`. None holds a secret, so that they may travel to workers.

    ``None`` means the environment's or the profile's value, where the store is opened: on a cluster, the executor's."""

    endpoint: str | None = None
    region: str | None = None
    config_file: str | None = None
    profile: str | None = None
    auth: str | None = None

    def options(self) -> dict[str, str]:
        """Those that are set, as keywords."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
