# SPDX-License-Identifier: Apache-2.0
"""Jobs on tables of Delta Lake and of Iceberg, for a process of their own, as in jobs.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import jobs

# The log store that Delta takes for a scheme that it does not know: by FileContext. And one by FileSystem.rename, as Delta's
# own for OCI is, which is not on Maven Central for this version.
LOG_STORES = {
    "default": {},
    "file system": {"spark.delta.logStore.oci.impl": "io.delta.storage.AzureLogStore"},
}
# What says that somebody else was first. Everything else is a failure.
CONFLICTS = (
    "io.delta.exceptions.",
    "org.apache.spark.sql.delta.Concurrent",
    "org.apache.spark.sql.delta.DeltaConcurrent",
    "org.apache.spark.sql.delta.MetadataChanged",
    "org.apache.iceberg.exceptions.CommitFailedException",
    "org.apache.iceberg.exceptions.ValidationException",
)
ROWS = 10


class Format:
    """A format's table at a place, and its words for what all do."""

    def __init__(self, site: Path, name: str, url: str, log_store: str = "default") -> None:
        self.name, self.url = name, url
        self.spark = jobs.session(
            site,
            **{
                "spark.hadoop.fs.AbstractFileSystem.oci.impl": "io.github.storescope.hadoop.StoreFs",
                "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,"
                "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
                "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
                "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
                "spark.sql.catalog.lake.type": "hadoop",
                "spark.sql.catalog.lake.warehouse": url,
                "spark.databricks.delta.retentionDurationCheck.enabled": "false",
                "spark.databricks.delta.snapshotPartitions": "2",
                # Delta gathers so many versions in a checkpoint.
                "spark.databricks.delta.properties.defaults.checkpointInterval": "4",
                **LOG_STORES[log_store],
            },
        )

    def table(self, table: str) -> str:
        return f"delta.`{self.url}/{table}`" if self.name == "delta" else f"lake.db.{table}"

    def create(self, table: str, columns: str) -> None:
        using = "delta" if self.name == "delta" else "iceberg"
        self.sql(f"CREATE TABLE {self.table(table)} ({columns}) USING {using}")

    def sql(self, text: str):
        return self.spark.sql(text).collect()

    def one(self, text: str):
        """The value of a query of one."""
        [[value]] = self.sql(text)
        return value

    def versions(self, table: str) -> list[int]:
        """Those that are kept, the newest last, as VERSION AS OF takes them."""
        if self.name == "delta":
            history = self.sql(f"DESCRIBE HISTORY {self.table(table)}")
            return sorted(row["version"] for row in history)
        snapshots = self.sql(f"SELECT snapshot_id FROM {self.table(table)}.snapshots ORDER BY committed_at")
        return [row[0] for row in snapshots]

    def forget(self, table: str) -> None:
        """Removes the files that only old versions need."""
        if self.name == "delta":
            self.sql(f"VACUUM {self.table(table)} RETAIN 0 HOURS")
        else:
            now = self.one("SELECT current_timestamp()")
            self.sql(
                f"CALL lake.system.expire_snapshots(table => 'db.{table}', older_than => TIMESTAMP '{now}',"
                " retain_last => 1)"
            )


def life(site: Path, format: str, url: str, log_store: str = "default") -> dict:
    """A table from its creation to the removal of its old files."""
    at = Format(site, format, url, log_store)
    table = at.table("events")
    count = f"SELECT count(*) FROM {table}"
    at.create("events", "id BIGINT, value BIGINT")
    at.sql(f"INSERT INTO {table} SELECT id, 0 FROM range(1000)")
    created = at.versions("events")[-1]
    at.sql(f"INSERT INTO {table} SELECT id, 0 FROM range(1000, 1500)")
    appended = at.versions("events")[-1]
    at.sql(
        f"MERGE INTO {table} AS t USING (SELECT id, 7L AS value FROM range(1400, 1600)) AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET value = s.value WHEN NOT MATCHED THEN INSERT *"
    )
    told = {
        "merged": [at.one(count), at.one(f"SELECT sum(value) FROM {table}")],
        "then": [at.one(f"{count} VERSION AS OF {version}") for version in (created, appended)],
    }
    at.sql(f"DELETE FROM {table} WHERE id < 100")
    for more in range(2):
        at.sql(f"INSERT INTO {table} VALUES ({2000 + more}, 0)")
    told["versions"] = len(at.versions("events"))
    told["rows"] = at.one(count)
    at.forget("events")
    told["kept"] = at.one(count)
    try:
        at.sql(f"SELECT sum(value) FROM {table} VERSION AS OF {created}")
        told["forgotten"] = False
    except Exception:
        told["forgotten"] = True
    at.spark.stop()
    return told


def prepare(site: Path, format: str, url: str, log_store: str = "default") -> None:
    """The tables of `write`."""
    at = Format(site, format, url, log_store)
    at.create("appended", "writer INT, round INT, at INT")
    at.create("counter", "n INT")
    at.sql(f"INSERT INTO {at.table('counter')} VALUES (0)")
    at.spark.stop()


def write(site: Path, format: str, url: str, folder: str, me: int, writers: int, rounds: int, log_store: str = "default") -> dict:
    """One of several writers. They begin each step together: rows that are appended, then a counter that each would add
    one to, by what it has read there."""
    at = Format(site, format, url, log_store)
    ends: Counter = Counter()
    failures = []

    def step(name: str, round: int, statement: str) -> None:
        Path(folder, f"{name}-{round}-{me}").touch()
        jobs.wait_for(lambda: all(Path(folder, f"{name}-{round}-{other}").exists() for other in range(writers)))
        try:
            at.sql(statement)
            ends[name] += 1
        except Exception as error:
            if any(cause.startswith(CONFLICTS) for cause in causes(error)):
                ends[f"{name} in conflict"] += 1
            else:
                failures.append(f"{name} {causes(error)} {error}"[:2000])

    for round in range(rounds):
        rows = f"SELECT {me}, {round}, CAST(id AS INT) FROM range({ROWS})"
        step("appended", round, f"INSERT INTO {at.table('appended')} {rows}")
        step("counted", round, f"UPDATE {at.table('counter')} SET n = n + 1")
    at.spark.stop()
    return {**ends, "failures": failures}


def causes(error: Exception) -> list[str]:
    """The classes of a Java exception and of its causes."""
    at = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    names = []
    while at is not None:
        names.append(at.getClass().getName())
        at = at.getCause()
    return names or [type(error).__name__]


def outcome(site: Path, format: str, url: str, log_store: str = "default") -> dict:
    """What the writers left."""
    at = Format(site, format, url, log_store)
    appended = at.table("appended")
    told = {
        "rows": at.one(f"SELECT count(*) FROM {appended}"),
        "distinct": at.one(f"SELECT count(*) FROM (SELECT DISTINCT * FROM {appended})"),
        "count": at.one(f"SELECT n FROM {at.table('counter')}"),
        "versions": [len(at.versions("appended")), len(at.versions("counter"))],
    }
    at.spark.stop()
    return told


if __name__ == "__main__":
    jobs.main(globals())
