# SPDX-License-Identifier: Apache-2.0
"""What jobs do to a store: tables, overwrites, committers, failures, and every form of configuration that Oracle
documents."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import core_site
import jobs

committers = pytest.mark.parametrize("committer", jobs.COMMITTERS)


@contextmanager
def settings(spark, values: dict[str, str]):
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name in values:
            spark.conf.unset(name)


@pytest.fixture
def committed(spark, place, committer):
    """Spark with this committer, and whether it was at work, by the marker that it leaves: FileOutputCommitter's is
    empty, the other's is its report."""
    with settings(spark, jobs.COMMITTERS[committer]):
        yield lambda: ("ManifestCommitter" in place.text("_SUCCESS")) == (committer == "manifest")


# Tables.


@committers
def test_a_partitioned_table(spark, place, committed):
    table = jobs.rows(spark)
    table.write.partitionBy("part").parquet(place.url)
    assert jobs.same(table, spark.read.parquet(place.url))
    assert committed()
    assert len(place.files()) == 16
    assert not [name for name in place.objects() if "_temporary" in name]
    # One partition is read without the others.
    assert spark.read.parquet(place.url).where("part = 2").count() == 5000


@committers
def test_a_bucketed_table(spark, place, committer, committed):
    table = jobs.rows(spark)
    name = "bucketed_" + committer.replace(" ", "_")
    table.write.bucketBy(3, "id").sortBy("id").option("path", place.url).saveAsTable(name)
    assert jobs.same(table, spark.table(name))
    joined = spark.table(name).alias("left").join(spark.table(name).alias("right"), "id")
    assert joined.count() == table.count()
    assert place.files()


@committers
def test_an_overwrite_replaces_all(spark, place, committed):
    jobs.rows(spark, 8000).write.partitionBy("part").parquet(place.url)
    before = set(place.objects())
    after = jobs.rows(spark, 2000).where("part = 1")
    after.write.mode("overwrite").partitionBy("part").parquet(place.url)
    assert jobs.same(after, spark.read.parquet(place.url))
    assert committed()
    assert {name for name in place.objects() if name in before} <= {
        name for name in before if name.endswith("/_SUCCESS")
    }


# Not by the manifest committer: Spark's PathOutputCommitProtocol (spark-hadoop-cloud 4.1.1) then adds to the partitions
# that it should replace, on a local disk, too.
@pytest.mark.parametrize("committer", ["file v1", "file v2"])
def test_a_dynamic_overwrite_replaces_its_partitions(spark, place, committed):
    first = jobs.rows(spark, 8000)
    first.write.partitionBy("part").parquet(place.url)
    second = jobs.rows(spark, 9000).where("part = 1")
    with settings(spark, {"spark.sql.sources.partitionOverwriteMode": "dynamic"}):
        second.write.mode("overwrite").partitionBy("part").parquet(place.url)
    assert jobs.same(first.where("part <> 1").union(second), spark.read.parquet(place.url))
    assert committed()
    assert not [name for name in place.objects() if ".spark-staging" in name or "_temporary" in name]


@committers
def test_rows_are_appended(spark, place, committed):
    first = jobs.rows(spark, 4000)
    first.write.parquet(place.url)
    first.write.mode("append").parquet(place.url)
    assert jobs.same(first.union(first), spark.read.parquet(place.url))


# Failures.


@committers
def test_a_job_that_fails_half_way(spark, place, committer, committed):
    from pyspark.sql import functions as F

    fails = F.when(F.col("id") == 15_000, F.raise_error(F.lit("this row fails"))).otherwise(F.col("value"))
    with pytest.raises(Exception, match="this row fails"):
        jobs.rows(spark).withColumn("value", fails.cast("long")).write.partitionBy("part").parquet(place.url)
    left = place.objects()
    # By v2 each task makes its files visible when it ends: what ended before the job failed stays, without a marker.
    assert left == [] or committer == "file v2" and not [name for name in left if "_SUCCESS" in name]
    assert not [name for name in left if "_temporary" in name]
    assert place.uploads() == []


@committers
def test_a_task_that_fails_is_tried_again(spark, place, committed):
    def numbers(partition, _):
        from pyspark import TaskContext

        for at in range(1000):
            if at == 500 and partition == 1 and TaskContext.get().attemptNumber() == 0:
                raise RuntimeError("the first attempt fails half-way")
            yield (partition, at)

    table = spark.sparkContext.parallelize(range(4), 4).mapPartitionsWithIndex(numbers).toDF("part int, at int")
    table.write.parquet(place.url)
    read = spark.read.parquet(place.url)
    assert (read.count(), read.distinct().count()) == (4000, 4000)
    assert len(place.files()) == 4
    assert not [name for name in place.objects() if "_temporary" in name]


@pytest.mark.timeout(400)
def test_of_two_attempts_at_a_task_one_is_committed(run, place, tmp_path, cluster):
    told = run("speculated", core_site.oci(place.server), url=place.url, folder=str(tmp_path), master=cluster, seconds=300)
    assert told == {"rows": 4000, "distinct": 4000, "second": True}
    assert len(place.files()) == 4


@pytest.mark.timeout(400)
def test_an_executor_killed_while_it_writes(run, server, tmp_path):
    from conftest import BUCKET, Place

    place = Place(server, f"oci://{BUCKET}@{server.oci['namespace']}/killed")
    told = run(
        "executor_killed",
        core_site.oci(server),
        url=place.url,
        folder=str(tmp_path),
        record=f"{server.ready['admin']}/record?since={max((line['id'] for line in server.record()), default=0)}",
        seconds=300,
    )
    assert told == {"rows": 2048, "distinct": 2048, "killed": True}
    assert len(place.files()) == 2
    assert not [name for name in place.objects() if "_temporary" in name]
    # The parts that the killed executor sent are seen where uploads are listed, and nowhere else.
    left = place.uploads()
    assert [upload["name"].rsplit("/", 1)[-1][:10] for upload in left] == ["part-00000"], left


# Configurations.


def by_passphrase(server, folder: Path) -> dict[str, str]:
    site = core_site.oci(server)
    locked = folder / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", site["fs.oci.client.auth.pemfilepath"], "-aes256", "-passout", "pass:open sesame"]
        + ["-out", str(locked)],
        check=True, capture_output=True,
    )
    return {
        **site,
        "fs.oci.client.auth.pemfilepath": str(locked),
        "fs.oci.client.auth.passphrase": "open sesame",
    }


def of_one_bucket(server, _: Path) -> dict[str, str]:
    """Every key with the bucket's suffix; without it, what would be wrong."""
    from conftest import BUCKET

    suffix = f".{BUCKET}.{server.oci['namespace']}"
    return {
        **{name + suffix: value for name, value in core_site.oci(server).items()},
        **core_site.oci(server, "WRONG"),
        "fs.oci.client.hostname": "http://127.0.0.1:1",
    }


def of_the_old_names(server, _: Path) -> dict[str, str]:
    return {name.replace("fs.oci.", "fs.oraclebmc."): value for name, value in core_site.oci(server).items()}


def by_a_session_token(server, _: Path) -> dict[str, str]:
    session = core_site.profile_of(server, "SESSION")
    return {
        **core_site.oci(server, "SESSION"),
        "fs.oci.client.regionCodeOrId": server.oci["region"],
        "fs.oci.client.auth.sessiontoken.enable": "true",
        "fs.oci.client.auth.sessiontoken": session["security_token_file"],
    }


def by_oracles_class_names(server, _: Path) -> dict[str, str]:
    return {
        **core_site.oci(server),
        "fs.oci.impl": "com.oracle.bmc.hdfs.BmcFilesystem",
        "fs.AbstractFileSystem.oci.impl": "com.oracle.bmc.hdfs.Bmc",
    }


def tuned_for_reads(server, _: Path) -> dict[str, str]:
    return {
        **core_site.oci(server),
        "fs.oci.io.read.ahead": "true",
        "fs.oci.io.read.ahead.blocksize": "6291456",
        "fs.oci.io.read.ahead.blockcount": "4",
        "fs.oci.caching.object.parquet.enabled": "true",
        "fs.oci.caching.object.metadata.enabled": "true",
        "fs.oci.rename.operation.numthreads": "2",
    }


def tuned_for_writes(server, _: Path) -> dict[str, str]:
    return {
        **core_site.oci(server),
        "fs.oci.io.write.multipart.inmemory": "true",
        "fs.oci.client.multipart.allowed": "true",
        "fs.oci.client.multipart.numthreads": "4",
        "fs.oci.client.multipart.minobjectsize.mb": "1",
        "fs.oci.client.multipart.partsize.mb": "8",
        "fs.oci.client.batch.delete.enabled": "true",
        "dfs.checksum.combine.mode": "COMPOSITE_CRC",
    }


@pytest.mark.parametrize(
    "variant",
    [
        by_passphrase,
        of_one_bucket,
        of_the_old_names,
        by_a_session_token,
        by_oracles_class_names,
        tuned_for_reads,
        tuned_for_writes,
    ],
    ids=lambda variant: variant.__name__,
)
def test_a_configuration_of_oracles(run, place, tmp_path, variant):
    told = run("round_trip", variant(place.server, tmp_path), url=place.url)
    assert told["same"]
    assert told["classes"][-1] == "io.github.storescope.hadoop.StoreFileSystem"
    assert variant != by_oracles_class_names or told["classes"][0] == "com.oracle.bmc.hdfs.BmcFilesystem"


def test_a_key_by_both_of_its_names_is_refused(run, place):
    site = core_site.oci(place.server)
    site["fs.oraclebmc.client.hostname"] = site["fs.oci.client.hostname"]
    said = run("refused", site, url=place.url)
    assert "IllegalArgumentException" in said and "fs.oraclebmc.client.hostname" in said, said


# The JVM.


@pytest.mark.parametrize(
    "settings",
    [
        {"spark.jars": True},
        {"spark.jars": True, "spark.driver.userClassPathFirst": "true", "spark.executor.userClassPathFirst": "true"},
    ],
    ids=["the class path first", "--jars first"],
)
def test_the_jar_in_two_class_loaders(run, place, settings):
    chosen = {**settings, "spark.jars": jobs.jars().replace(":", ",")}
    assert run("class_loaders", core_site.oci(place.server), url=place.url, settings=chosen) == {"same": True}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A Java program of Spark's, compiled: the jar that holds its class."""
    import pyspark

    folder = tmp_path_factory.mktemp("program")
    source = Path(__file__).parent / "java/EndsByItself.java"
    spark_jars = Path(pyspark.__file__).parent / "jars/*"
    subprocess.run(["javac", "-cp", str(spark_jars), "-d", str(folder), str(source)], check=True)
    jar = folder / "program.jar"
    subprocess.run(["jar", "cf", str(jar), "-C", str(folder), "EndsByItself.class"], check=True)
    return jar


def test_a_jvm_ends_when_its_main_has(place, program, tmp_path):
    """By spark-submit, with the jar from --jars alone: Hadoop has looked for services before Spark adds those, so that
    the class must be named. The program tells when its main returns, and calls no exit."""
    import pyspark

    named = {"fs.oci.impl": "io.github.storescope.hadoop.StoreFileSystem"}
    core_site.write(tmp_path / "conf/core-site.xml", {**core_site.oci(place.server), **named})
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    ran = subprocess.run(
        [str(submit), "--master", "local[2]", "--class", "EndsByItself", "--jars", jobs.jars().replace(":", ",")]
        + ["--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1", str(program), place.url],
        env={**jobs.os.environ, "HADOOP_CONF_DIR": str(tmp_path / "conf")},
        capture_output=True, text=True, timeout=120,
    )
    ended = time.time()
    assert ran.returncode == 0, ran.stderr[-8000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["rows"] == 1000
    # Spark's own shutdown hooks take some of it: two seconds is their usual, and a thread that stays would never end.
    assert ended - told["returns"] < 10
