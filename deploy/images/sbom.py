# SPDX-License-Identifier: Apache-2.0
"""A bill of materials (SPDX 2.3, JSON) of an image of buildah: Debian's packages and Python's inside it, and the crates of the
binary: `python sbom.py IMAGE`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: The crate whose dependencies are in every image.
CRATE = "storescope-cli"
Package = tuple[str, str, str, str]


def command(*parts: str) -> str:
    """What a command prints."""
    return subprocess.run(parts, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The files of an image."""
    container = command("buildah", "from", "--pull-never", image)
    try:
        yield Path(command("buildah", "mount", container))
    finally:
        command("buildah", "rm", container)


def debian(root: Path) -> list[Package]:
    """Of dpkg's status."""
    text = (root / "var/lib/dpkg/status").read_text()
    found = []
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.+)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            found.append((name, version, "NOASSERTION", f"pkg:deb/debian/{name}@{version}"))
    return found


def python(root: Path) -> list[Package]:
    """Of the metadata of installed distributions."""
    found = []
    for path in sorted(root.glob("opt/python/lib/python3*/site-packages/*.dist-info/METADATA")):
        head = path.read_text().split("\n\n")[0]
        fields = dict(re.findall(r"^(Name|Version|License-Expression): (.+)$", head, re.MULTILINE))
        name, version = fields["Name"], fields["Version"]
        found.append((name, version, fields.get("License-Expression", "NOASSERTION"), f"pkg:pypi/{name.lower()}@{version}"))
    return found


def crates() -> list[Package]:
    """What the binary is made of, with its normal dependencies."""
    lines = command("cargo", "tree", "--locked", "-p", CRATE, "-e", "normal", "--prefix", "none", "--format", "{p}|{l}").splitlines()
    found = set()
    for line in lines:
        package, licence = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        found.add((name, version.removeprefix("v"), licence or "NOASSERTION", f"pkg:cargo/{name}@{version.removeprefix('v')}"))
    return sorted(found)


def document(image: str, packages: list[Package]) -> dict[str, Any]:
    """The SPDX document."""
    made = []
    for name, version, licence, url in packages:
        made.append({
            "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", url), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "licenseDeclared": licence.replace("/", " OR "), "licenseConcluded": "NOASSERTION",
            "copyrightText": "NOASSERTION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}],
        })
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": image,
        "documentNamespace": f"https://spdx.org/spdxdocs/{image.rsplit('/', 1)[-1].replace(':', '-')}-{uuid.uuid4()}",
        "creationInfo": {"created": made_at(), "creators": ["Tool: storescope-deploy-images-sbom"]},
        "packages": made,
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": package["SPDXID"]}
            for package in made
        ],
    }


def made_at() -> str:
    """Now, or what SOURCE_DATE_EPOCH says."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(stamp), UTC) if stamp else datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Prints it."""
    with mounted(sys.argv[1]) as root:
        print(json.dumps(document(sys.argv[1], [*debian(root), *python(root), *crates()]), indent=1))


if __name__ == "__main__":
    main()
