# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what reads, and how its documentation says it should be told to."""

from __future__ import annotations

import configparser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUCKET = "bench"
MANIFEST = "org.apache.hadoop.mapreduce.lib.output.committer.manifest.ManifestCommitterFactory"
MAGIC = "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    settings: str
    scheme: str
    hadoop: Callable[[dict[str, Any]], dict[str, str]]
    # Jars below the cache folder; ours comes from --jar.
    jars: tuple[str, ...] = ()
    # What the third of the overwrites is done with.
    committer: str = MANIFEST
    # Settings of Spark's own.
    spark: tuple[tuple[str, str], ...] = ()

    def root(self, ready: dict[str, Any], prefix: str) -> str:
        authority = f"{BUCKET}@{ready['oci']['namespace']}" if self.scheme == "oci" else BUCKET
        return f"{self.scheme}://{authority}/{prefix}"


def none(ready: dict[str, Any]) -> dict[str, str]:
    return {}


def oci(ready: dict[str, Any]) -> dict[str, str]:
    """The keys of Oracle's connector, which ours reads as well."""
    about = ready["oci"]
    profiles = configparser.ConfigParser(default_section="")
    profiles.read(about["config_file"])
    profile = profiles[about["profile"]]
    return {
        "fs.oci.client.hostname": about["tls_endpoint"],
        "fs.oci.client.auth.tenantId": profile["tenancy"],
        "fs.oci.client.auth.userId": profile["user"],
        "fs.oci.client.auth.fingerprint": profile["fingerprint"],
        "fs.oci.client.auth.pemfilepath": profile["key_file"],
    }


def oracle(ready: dict[str, Any]) -> dict[str, str]:
    return {
        **oci(ready),
        "fs.oci.impl": "com.oracle.bmc.hdfs.BmcFilesystem",
        "fs.AbstractFileSystem.oci.impl": "com.oracle.bmc.hdfs.Bmc",
    }


def oracle_tuned(ready: dict[str, Any]) -> dict[str, str]:
    return {
        **oracle(ready),
        "fs.oci.io.read.ahead": "true",
        "fs.oci.io.read.ahead.blocksize": "6291456",
        "fs.oci.io.read.ahead.blockcount": "4",
        "fs.oci.rename.operation.numthreads": "2",
        "fs.oci.caching.object.parquet.enabled": "true",
    }


def s3a(stream: str) -> Callable[[dict[str, Any]], dict[str, str]]:
    def told(ready: dict[str, Any]) -> dict[str, str]:
        about = ready["s3"]
        return {
            "fs.s3a.endpoint": about["tls_endpoint"],
            "fs.s3a.endpoint.region": about["region"],
            "fs.s3a.path.style.access": "true",
            "fs.s3a.access.key": about["access_key_id"],
            "fs.s3a.secret.key": about["secret_access_key"],
            "fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "fs.s3a.input.stream.type": stream,
            "fs.s3a.performance.flags": "*",
            "fs.s3a.committer.name": "magic",
        }

    return told


LOCAL, OURS, PLUGIN = "local", "ours", "plugin"
ORACLE, TUNED = "oracle", "oracle-tuned"
CLASSIC, ANALYTICS = "s3a-classic", "s3a-analytics"

# Below the cache folder.
COMMITTERS = "jars/spark-hadoop-cloud_2.13-4.1.1.jar"
ORACLE_JARS = ("build/oracle/oracle-shaded-3.4.1.0.0.1.jar",)
S3A_JARS = (
    "jars/hadoop-aws-3.4.2.jar",
    "jars/bundle-2.29.52.jar",
    "jars/wildfly-openssl-2.1.4.Final.jar",
    "jars/analyticsaccelerator-s3-1.3.1.jar",
)

ROWS = [
    Row(LOCAL, "local disk", "`file:`", "file", none),
    Row(OURS, "storescope", "defaults; Oracle's keys for endpoint and API key", "oci", oci),
    Row(
        PLUGIN,
        "storescope with its plugin",
        "the same, and `spark.plugins`",
        "oci",
        oci,
        spark=(("spark.plugins", "io.github.storescope.spark.StorescopePlugin"),),
    ),
    Row(ORACLE, "Oracle", "3.4.1.0.0.1, defaults", "oci", oracle, ORACLE_JARS),
    Row(
        TUNED,
        "Oracle, tuned",
        "`read.ahead`, `blocksize` 6291456, `blockcount` 4, 2 rename threads, parquet cache",
        "oci",
        oracle_tuned,
        ORACLE_JARS,
    ),
    Row(
        CLASSIC,
        "S3A classic",
        "hadoop-aws 3.4.2, `input.stream.type` classic, `performance.flags` *",
        "s3a",
        s3a("classic"),
        S3A_JARS,
        MAGIC,
    ),
    Row(
        ANALYTICS,
        "S3A analytics",
        "the same, `input.stream.type` analytics (1.3.1)",
        "s3a",
        s3a("analytics"),
        S3A_JARS,
        MAGIC,
    ),
]


def conf(row: Row, work: str, ready: dict[str, Any], jars: list[Path], trust: Path, scratch: Path) -> dict[str, str]:
    """All of Spark's settings for a measurement."""
    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.driver.extraClassPath": ":".join(map(str, jars)),
        "spark.driver.extraJavaOptions": f"-Djavax.net.ssl.trustStore={trust} -Djavax.net.ssl.trustStorePassword=changeit",
    }
    settings.update(row.spark)
    for name, value in {**row.hadoop(ready), **committer(row, work)}.items():
        settings[name if name.startswith("spark.") else f"spark.hadoop.{name}"] = value
    return settings


def committer(row: Row, work: str) -> dict[str, str]:
    match work:
        case "O1" | "O2":
            return {"mapreduce.fileoutputcommitter.algorithm.version": work[1]}
        case "OM":
            return {
                f"mapreduce.outputcommitter.factory.scheme.{row.scheme}": row.committer,
                "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
                "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
            }
        case _:
            return {}
