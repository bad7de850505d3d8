# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of Kubernetes' objects for kubeconform, from the API's own OpenAPI document: `python schemas.py swagger.json
FOLDER`. Strict: a field that Kubernetes does not know is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: The kinds that the chart makes.
KINDS = {
    "ConfigMap", "Deployment", "Ingress", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "Role", "RoleBinding", "Service",
    "ServiceAccount",
}
_PREFIX = "#/definitions/"
#: What the document calls a string, and YAML may write as a number, too.
_NUMBERS = {"io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"}


def strict(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """A definition that refuses fields it does not name."""
    if name in _NUMBERS:
        return {"type": ["string", "number"]}
    if "properties" in definition and "additionalProperties" not in definition:
        return {**definition, "additionalProperties": False}
    return definition


def reached(definitions: dict[str, Any], root: str) -> set[str]:
    """A definition and all that it refers to."""
    found, ahead = set(), [root]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            text = json.dumps(definitions[name])
            ahead += [part.split('"')[0] for part in text.split(_PREFIX)[1:]]
    return found


def schemas(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A schema for each kind, by the name of its file: `job-batch-v1.json`, `service-v1.json`."""
    definitions = document["definitions"]
    made = {}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            # Of the stable versions.
            if kind["kind"] in KINDS and kind["version"] == "v1" and "properties" in definition:
                group = kind["group"].split(".")[0]
                file = "-".join(filter(None, [kind["kind"].lower(), group, kind["version"]]))
                needed = {found: strict(found, definitions[found]) for found in sorted(reached(definitions, name))}
                root = dict(needed[name], definitions=needed)
                root["properties"] = {
                    **root["properties"], "apiVersion": {"const": "/".join(filter(None, [kind["group"], kind["version"]]))},
                    "kind": {"const": kind["kind"]},
                }
                root["required"] = sorted({*root.get("required", []), "apiVersion", "kind", "metadata"})
                made[f"{file}.json"] = root
    return made


def main() -> int:
    """Writes them."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    made = schemas(json.loads(source.read_text()))
    missing = KINDS - {schema["properties"]["kind"]["const"] for schema in made.values()}
    if missing:
        print(f"{source} lacks {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in made.items():
        (folder / name).write_text(json.dumps(schema))
    return 0


if __name__ == "__main__":
    sys.exit(main())
