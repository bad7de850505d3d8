# SPDX-License-Identifier: Apache-2.0
"""A core-site.xml for the emulator, as the documentation of Oracle's connector and of S3A says to write one: property
names are theirs, and nothing names a class of ours but where S3 must be told whose FileSystem serves it."""

from __future__ import annotations

import configparser
from pathlib import Path
from xml.sax.saxutils import escape

import serving


def profile_of(server: serving.Server, name: str = "DEFAULT") -> configparser.SectionProxy:
    """A profile of the emulator's configuration file: tenancy, user, fingerprint, key_file."""
    file = configparser.ConfigParser()
    file.read(server.oci["config_file"])
    return file[name]


def oci(server: serving.Server, profile: str = "DEFAULT") -> dict[str, str]:
    """Oracle's first example: an API key."""
    who = profile_of(server, profile)
    return {
        "fs.oci.client.hostname": server.oci["endpoint"],
        "fs.oci.client.auth.tenantId": who["tenancy"],
        "fs.oci.client.auth.userId": who["user"],
        "fs.oci.client.auth.fingerprint": who["fingerprint"],
        "fs.oci.client.auth.pemfilepath": who["key_file"],
    }


def s3(server: serving.Server, known: bool = True) -> dict[str, str]:
    """What Hadoop documents for S3A."""
    told = server.ready["s3"]
    return {
        "fs.s3.impl": "io.github.storescope.hadoop.StoreFileSystem",
        "fs.AbstractFileSystem.s3.impl": "io.github.storescope.hadoop.StoreFs",
        "fs.s3a.endpoint": told["endpoint"],
        "fs.s3a.endpoint.region": told["region"],
        "fs.s3a.path.style.access": "true",
        "fs.s3a.access.key": told["access_key_id"],
        "fs.s3a.secret.key": told["secret_access_key"] if known else "wrong",
    }


def write(file: Path, properties: dict[str, str]) -> Path:
    """Writes a file of properties as Hadoop reads it."""
    lines = (
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
        for name, value in properties.items()
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<configuration>\n{"".join(lines)}</configuration>\n')
    return file
