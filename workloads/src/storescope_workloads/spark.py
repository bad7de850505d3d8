# SPDX-License-Identifier: Apache-2.0
"""Spark sessions that read and write stores: the jar, its settings, the committer, and this package for the executors.

What the user configured goes before what is set here: ``--conf``, then Spark's own files and ``spark-submit``. Classic
Spark, 3.5 and 4.x; Spark Connect has no contexts, and is refused."""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storescope import Snapshot

from .errors import UsageError, WorkloadError
from .places import is_store, scheme_of
from .settings import StoreSettings
from .tidy import tidying

if TYPE_CHECKING:
    from py4j.java_gateway import JVMView  # type: ignore[import-untyped]
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

#: Where the documents say how executors get what they need.
ON_A_CLUSTER = 'docs/WORKLOADS.md, "On a cluster"'
#: Modules that the executors' Python needs beside Spark's own.
NEEDED = ("storescope", "uproot", "awkward", "numpy", "pyarrow", "fsspec", "yaml")

_PACKAGE = "io.github.storescope.hadoop"
_SCHEMES = ("oci", "s3")
_MANIFEST = {
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.oci":
        "org.apache.hadoop.mapreduce.lib.output.committer.manifest.ManifestCommitterFactory",
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
}
#: Attempts of a task in local mode, as everywhere else in Spark: a killed Python worker is not the end of the job.
_ATTEMPTS = 4


def session(
    master: str | None, conf: Mapping[str, str], jars: str | None, settings: StoreSettings, app_name: str
) -> SparkSession:
    """The running session, or a new one.

    Args:
        master: ``local[2]``, ``spark://host:port``, ``k8s://…``. Without it, that of ``spark-submit`` or of Spark's
            configuration, else ``local[*]``.
        conf: Properties of Spark. They go before all that is set here.
        jars: Jars for the class path, with commas or colons between. Without it, those that ``STORESCOPE_JARS`` names. Where
            Java runs already, as under ``spark-submit``, they must have been given to that.
        settings: How the jar opens stores, in this process and in the executors.

    Raises:
        UsageError: PySpark is missing, the session would be one of Spark Connect, or a jar is not there.
    """
    conf = dict(conf)
    spark_context = _classic(conf)
    running = spark_context._active_spark_context is not None
    if not running:
        _start_java(spark_context, master, conf, jars)
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    # Java knows what spark-submit and Spark's files say.
    java = _java(spark_context)
    given = {"spark.master": "local[*]", **dict(SparkConf().getAll()), **conf}
    defaults = {**_local(given["spark.master"]), **_stores(java, settings, given)}
    chosen = {name: value for name, value in defaults.items() if name not in given}
    builder = SparkSession.builder.appName(app_name) if "spark.app.name" not in conf else SparkSession.builder
    for name, value in {**chosen, **conf, "spark.master": _with_attempts(given["spark.master"])}.items():
        if not running or name.startswith("spark.sql."):
            builder = builder.config(name, value)
    made = builder.getOrCreate()
    if not running:
        _started.add(made.sparkContext.applicationId)
    if running:
        _into(made, {**chosen, **conf})
    made.sparkContext.setLogLevel(given.get("spark.log.level", "ERROR"))
    _ship(made.sparkContext)
    return made


def stop(spark: SparkSession) -> None:
    """Stops a session that :func:`session` started; one that ran before goes on."""
    with tidying("Spark was not stopped"):
        if spark.sparkContext.applicationId in _started:
            spark.stop()


def require_class(spark: SparkSession, url: str) -> None:
    """Checks that Spark can open a URL: a store needs the class of its scheme.

    Raises:
        UsageError: It is not on the class path.
    """
    if not is_store(url):
        return
    scheme = scheme_of(url)
    named = _hadoop(spark).get(f"fs.{scheme}.impl")
    if named is None or not _loadable(spark._jvm, named):
        raise UsageError(
            f"{url}: Spark opens {scheme}:// by storescope's jar, which is not on its class path; give "
            "--jars storescope-hadoop-0.1.0.jar, set STORESCOPE_JARS, or give it to spark-submit (docs/HADOOP.md)"
        )


def hadoop_url(url: str) -> str:
    """The URL as Hadoop's paths have it: local ones are of ``file:``."""
    return url if is_store(url) else f"file://{os.path.abspath(url.removeprefix('file://'))}"


def versions(spark: SparkSession) -> dict[str, str]:
    """Versions of Spark, Java, Hadoop and Python."""
    java = spark._jvm.java.lang.System.getProperty("java.version")  # type: ignore[union-attr]
    hadoop = spark._jvm.org.apache.hadoop.util.VersionInfo.getVersion()  # type: ignore[union-attr]
    return {"spark": spark.version, "java": java, "hadoop": hadoop, "python": sys.version.split()[0]}


def jar_statistics(spark: SparkSession) -> Snapshot | None:
    """All requests of the jar in the driver's JVM since that began; :meth:`Snapshot.since` gives those of a while.

    In local mode that is all that Spark read and wrote through it. ``None`` on a cluster, where the executors' JVMs
    make the requests and keep their histograms (``storescope.profile.path``), and where the jar is not there."""
    local = (spark.sparkContext.master or "").startswith(("local[", "local,")) or spark.sparkContext.master == "local"
    jvm: Any = spark._jvm
    if not local or not _loadable(jvm, f"{_PACKAGE}.Profile"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "jar.hlog")
        getattr(jvm, f"{_PACKAGE}.Profile").write(str(path))
        return Snapshot(path.read_text())


def attempt_name() -> str:
    """In a task: a name that no other attempt has, of this task or of another; empty elsewhere. Attempts at one task may run at
    once: by speculation, or where an executor was given up and goes on."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return "" if context is None else f".{context.taskAttemptId()}"


def failure(error: Exception) -> WorkloadError:
    """What a Spark job failed with, in a line or two, without the stack traces of Java.

    A module that the executors' Python lacks is named, with the place that says how to bring it."""
    text = str(error)
    if _java_has_ended():
        return WorkloadError(
            "Spark's JVM has ended (out of memory, or killed): give it more (--conf spark.driver.memory=4g), and run it again "
            "with --resume, which keeps what was complete"
        )
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return WorkloadError(
            f"the executors' Python has no module {missing[1]}; they need {', '.join(NEEDED)}: see {ON_A_CLUSTER}"
        )
    if versions := re.search(r"Python in worker has different version[^.]*\.?\d*[^\n]*", text):
        return WorkloadError(f"{versions[0].strip()}; set PYSPARK_PYTHON: see {ON_A_CLUSTER}")
    return WorkloadError(f"the Spark job failed: {_cause(text)}")


@contextmanager
def spark_errors() -> Iterator[None]:
    """What Spark raises in the ``with`` is raised as :func:`failure` tells it."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException, ConnectionError) as error:
        raise failure(error) from error


def _java_has_ended() -> bool:
    """Whether there was a JVM, and nothing answers at its port."""
    pyspark = sys.modules.get("pyspark")
    gateway: Any = pyspark.SparkContext._gateway if pyspark is not None else None
    if gateway is None:
        return False
    process: Any = getattr(gateway, "proc", None)
    with suppress(subprocess.TimeoutExpired, AttributeError):
        # One that is being killed answers for a while.
        process.wait(1)
        return True
    try:
        parameters = gateway.gateway_parameters
        socket.create_connection((parameters.address, parameters.port), timeout=10).close()
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def _cause(text: str) -> str:
    """The text of an error of ours; else the last line of a Python traceback, the last cause in Java, or all there is."""
    if own := re.search(r"^storescope_workloads\.errors\.\w+: (.+)$", text, re.MULTILINE):
        return own[1]
    python = re.findall(r"^(?!java|org\.|scala|py4j)((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)$", text, re.MULTILINE)
    causes = re.findall(r"^(?:Caused by)?: (.+)$", text, re.MULTILINE)
    return str((python or causes or text.splitlines()[:1] or ["no reason given"])[-1])


def _classic(conf: Mapping[str, str]) -> type[SparkContext]:
    try:
        from pyspark import SparkContext
    except ImportError as error:
        raise UsageError("Spark is not installed here: pip install 'storescope-workloads[spark]'") from error
    connect = "spark.remote" in conf or conf.get("spark.api.mode") == "connect" or "SPARK_REMOTE" in os.environ
    if connect or os.environ.get("SPARK_API_MODE") == "connect" or "SPARK_CONNECT_MODE_ENABLED" in os.environ:
        raise UsageError(
            "Spark Connect is not supported: give --master, and unset SPARK_REMOTE, SPARK_API_MODE and spark.api.mode"
        )
    return SparkContext


def _start_java(spark_context: type[SparkContext], master: str | None, conf: dict[str, str], jars: str | None) -> None:
    """Starts the JVM with what must be there from its start, unless ``spark-submit`` has started it."""
    from pyspark import SparkConf

    if master is not None:
        conf["spark.master"] = master
    named = _jars(jars)
    if "PYSPARK_GATEWAY_PORT" in os.environ or spark_context._gateway is not None:
        if named and not _loadable(_java(spark_context), f"{_PACKAGE}.StoreFileSystem"):
            raise UsageError(f"{named[0]}: this Java runs already without it; give it to spark-submit --jars")
        return
    if named:
        conf["spark.jars"] = ",".join(dict.fromkeys([*named, *filter(None, conf.get("spark.jars", "").split(","))]))
    start = SparkConf().setAll([*_quiet(conf).items(), *conf.items()])
    # PySpark's own default is a bar on stderr, across those of the command line.
    start.setIfMissing("spark.ui.showConsoleProgress", "false")
    spark_context._ensure_initialized(conf=start)


def _java(spark_context: type[SparkContext]) -> JVMView:
    spark_context._ensure_initialized()
    return spark_context._jvm


def _jars(jars: str | None) -> list[str]:
    # A colon of a URL, or before a port, is none between jars.
    found = [jar for jar in re.split(r",|:(?!//|\d)", jars or os.environ.get("STORESCOPE_JARS", "")) if jar]
    for jar in found:
        if "://" not in jar and not Path(jar).is_file():
            raise UsageError(f"{jar}: no such jar ({'--jars' if jars else 'STORESCOPE_JARS'})")
    return found


def _quiet(conf: Mapping[str, str]) -> dict[str, str]:
    """A log of errors alone, from the first line on, where nobody has configured Spark's log."""
    home = os.environ.get("SPARK_HOME")
    if "SPARK_CONF_DIR" in os.environ or (home and Path(home, "conf").is_dir()):
        return {}
    told = Path(__file__).with_name("log4j2.properties")
    if "spark.driver.extraJavaOptions" in conf or not told.is_file():
        return {}
    return {"spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={told}"}


def _with_attempts(master: str) -> str:
    return re.sub(r"^local(?:\[(\d+|\*)\])?$", lambda at: f"local[{at[1] or 1},{_ATTEMPTS}]", master)


def _local(master: str) -> dict[str, str]:
    """On one machine: its own Python, nothing open to the network."""
    if not master.startswith("local"):
        return {}
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }


def _stores(jvm: JVMView, settings: StoreSettings, given: Mapping[str, str]) -> dict[str, str]:
    """How Hadoop finds the jar's classes, how they open stores, and how jobs commit."""
    if not _loadable(jvm, f"{_PACKAGE}.StoreFileSystem"):
        return {}
    made = {f"spark.hadoop.storescope.{name}": value for name, value in settings.options().items()}
    for scheme in _SCHEMES:
        made[f"spark.hadoop.fs.{scheme}.impl"] = f"{_PACKAGE}.StoreFileSystem"
        made[f"spark.hadoop.fs.AbstractFileSystem.{scheme}.impl"] = f"{_PACKAGE}.StoreFs"
    chosen = any(name in given for name in _MANIFEST)
    if not chosen and _loadable(jvm, _MANIFEST["spark.sql.sources.commitProtocolClass"]):
        made.update(_MANIFEST)
    return made


def _into(spark: SparkSession, properties: Mapping[str, str]) -> None:
    """Properties of Hadoop for a session that ran before: what it has already stays."""
    hadoop = _hadoop(spark)
    for name, value in properties.items():
        key = name.removeprefix("spark.hadoop.")
        if key != name and hadoop.get(key) is None:
            hadoop.set(key, value)


def _hadoop(spark: SparkSession) -> Any:
    return spark.sparkContext._jsc.hadoopConfiguration()


def _class_loader(jvm: Any) -> Any:
    return jvm.java.lang.Thread.currentThread().getContextClassLoader()


def _loadable(jvm: Any, name: str) -> bool:
    from py4j.protocol import Py4JJavaError

    try:
        jvm.java.lang.Class.forName(name, False, _class_loader(jvm))
    except Py4JJavaError:
        return False
    return True


#: Applications that were started here.
_started: set[str] = set()
#: Applications that have the package already.
_shipped: set[str] = set()


def _ship(context: SparkContext) -> None:
    """Sends this package to the executors, so that they run the driver's code."""
    folder = Path(__file__).parent
    if not folder.is_dir() or context.applicationId in _shipped:
        return  # In a zip it came by --py-files.
    _shipped.add(context.applicationId)
    data = package_zip()
    name = f"{folder.name}-{hashlib.sha256(data).hexdigest()[:12]}.zip"
    target = Path(tempfile.mkdtemp(prefix="storescope-workloads-"), name)
    target.write_bytes(data)
    atexit.register(shutil.rmtree, target.parent, ignore_errors=True)
    context.addPyFile(str(target))


def package_zip() -> bytes:
    """This package as a zip for ``--py-files``; equal for equal files."""
    folder = Path(__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in _members(folder):
            name = str(path.relative_to(folder.parent))
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _members(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
