# SPDX-License-Identifier: Apache-2.0
"""The dashboard of Spark applications: which stages and executors wait for storage, beside the panels of CERN's dashboard."""

from __future__ import annotations

from grafana import Annotation, Bars, Dashboard, Panel, Query, Stat, Variable
from metrics import APPLICATION, counter, rate, share

_INFO = "storescope_spark_application_info"
VARIABLES = (
    Variable("namespace", "Namespace", _INFO, "namespace"),
    Variable("application", "Application", f'{_INFO}{{namespace=~"$namespace"}}', "application_id"),
)


def of(name: str, more: str = "") -> str:
    """A metric of the plugin."""
    return counter(f"storescope_spark_{name}", more, APPLICATION)


def sparks(name: str, more: str = "") -> str:
    """A metric of an executor by Spark's own page."""
    return counter(f"metrics_executor_{name}", more, APPLICATION)


def part(name: str, by: str = "") -> str:
    """A part of the tasks' time: seconds a second, as many cores."""
    return rate(of("executor_part_seconds_total", f'part="{name}"'), by)


def so_far(metric: str) -> str:
    """A counter's sum over the executors, since the application began."""
    return f"sum({metric})"


def waiting() -> list[Panel]:
    """Where tasks wait for storage."""
    stage = {name: rate(of(f"stage_{name}_seconds_total"), "application_id, stage, attempt") for name in ("waiting", "task")}
    executor = {name: rate(of(f"executor_{name}_seconds_total"), "executor_id") for name in ("waiting", "task")}
    whole = {name: so_far(of(f"executor_{name}_seconds_total")) for name in ("waiting", "task")}
    return [
        Stat(
            "Task time waiting for storage", "Share of all task time since the application began.",
            [Query(share(whole["waiting"], whole["task"]))], "percentunit",
        ),
        Panel(
            "Share of task time waiting for storage, by stage", "Near 1: storage-bound, a faster store or more concurrency helps. Near 0: "
            "more cores help.", [Query(share(stage["waiting"], stage["task"]), "stage {{stage}}.{{attempt}}")], "percentunit", width=12,
        ),
        Bars(
            "Slowest executors", "Share of task time waiting for storage since the application began: the ten that wait longest.",
            [Query(
                "topk(10, " + share(
                    f"sum by (executor_id) ({of('executor_waiting_seconds_total')})",
                    f"sum by (executor_id) ({of('executor_task_seconds_total')})",
                ) + ")", "{{executor_id}}",
            )], "percentunit",
        ),
        Panel(
            "Executor run time and wait time components", "Seconds a second: as many cores. Storage is waiting inside the run time; "
            "a part is counted when its task ends, storage and tasks while they run.",
            [
                Query(rate(of("executor_waiting_seconds_total")), "storage wait"), Query(part("cpu"), "CPU"), Query(part("gc"), "GC"),
                Query(part("shuffle_write"), "shuffle write"), Query(part("result_serialize"), "result serialization"),
                Query(part("shuffle_fetch_wait"), "shuffle fetch wait"), Query(part("deserialize"), "deserialize"),
                Query(rate(of("executor_task_seconds_total")), "task time"),
            ],
            width=12,
        ),
        Panel(
            "Waiting for storage by executor", "Seconds a second: as many cores that wait.",
            [Query(executor["waiting"], "{{executor_id}}")], width=12, stacked=True,
        ),
        Bars(
            "Stages by waiting", "Seconds that the tasks of a stage waited for storage: the fifteen with the most.",
            [Query(f"topk(15, sum by (stage, attempt) ({of('stage_waiting_seconds_total')}))", "stage {{stage}}.{{attempt}}")], "s",
            width=12,
        ),
        Bars(
            "Stages by task time", "Seconds of tasks: the fifteen stages with the most.",
            [Query(f"topk(15, sum by (stage, attempt) ({of('stage_task_seconds_total')}))", "stage {{stage}}.{{attempt}}")], "s",
            width=12,
        ),
    ]  # fmt: skip


def summary() -> list[Panel]:
    """CERN's row of numbers, since the application began."""
    def seconds(name: str) -> list[Query]:
        return [Query(so_far(of("executor_part_seconds_total", f'part="{name}"')))]

    def size(name: str) -> list[Query]:
        return [Query(so_far(of("executor_bytes_total", f'kind="{name}"')))]

    active = f"sum({of('executor_active_tasks')})"
    return [
        Stat("Task Run Time", "Of tasks that ended.", seconds("run"), "s"),
        Stat("Task CPU Usage", "Of tasks that ended.", seconds("cpu"), "s"),
        Stat("Task GC Time", "Of tasks that ended.", seconds("gc"), "s"),
        Stat("N# of Tasks, Completed", "Tasks that succeeded.", [Query(so_far(of("executor_tasks_total", 'result="succeeded"')))]),
        Stat("N# of Failed Tasks", "Tasks that failed; those that were killed are not counted.", [Query(so_far(of("executor_tasks_total", 'result="failed"')))]),
        Stat("Failed Stages", "Attempts of stages.", [Query(so_far(of("stages_failed_total")))]),
        Stat("Bytes Read", "Spark's input bytes of tasks that ended.", size("input"), "bytes"),
        Stat("Bytes Written", "Spark's output bytes of tasks that ended.", size("output"), "bytes"),
        Stat("Shuffle Bytes Written", "Of tasks that ended.", size("shuffle_written"), "bytes"),
        Stat("Current N# of Active Tasks - latest value", "Tasks at work.", [Query(active)]),
        Stat("Average N# of Active Tasks - mean value", "Over the time shown.", [Query(f"sum(avg_over_time({of('executor_active_tasks')}[$__range]))")]),
        Stat("Current N# of Running Stages - latest value", "Stages that run.", [Query(so_far(of("stages_running")))]),
        Stat("Succeeded Jobs Count", "Jobs that ended well.", [Query(so_far(of("jobs_total", 'result="succeeded"')))]),
    ]  # fmt: skip


def workload() -> list[Panel]:
    """CERN's row of the workload."""
    def cores(title: str, name: str) -> Panel:
        return Panel(title, "Seconds a second, counted when a task ends.", [Query(part(name, "executor_id"), "{{executor_id}}")], stacked=True)

    return [
        Panel("Number of Active Tasks", "By executor.", [Query(f"sum by (executor_id) ({of('executor_active_tasks')})", "{{executor_id}}")], stacked=True),
        cores("Task Run Time - from task metrics", "run"),
        cores("Task CPU Utilization (N# cores equivalent) - from Task metrics", "cpu"),
        cores("Garbage Collection Time (N# of cores equivalent) - from task metrics", "gc"),
        cores("Shuffle Write Time - from task metrics", "shuffle_write"),
    ]  # fmt: skip


def memory() -> list[Panel]:
    """CERN's row of memory, by Spark's own page of executors (``spark.ui.prometheus.enabled``): the highest values so far."""
    sizes = {
        "JVM On Heap Memory": "JVMHeapMemory", "JVM Off Heap Memory": "JVMOffHeapMemory", "OnHeapUnifiedMemory": "OnHeapUnifiedMemory",
        "OffHeapUnifiedMemory": "OffHeapUnifiedMemory", "OnHeap Execution Memory": "OnHeapExecutionMemory",
        "OnHeap Storage Memory": "OnHeapStorageMemory", "ProcessTreeJVMRSSMemory": "ProcessTreeJVMRSSMemory",
        "ProcessTreePythonRSSMemory": "ProcessTreePythonRSSMemory",
    }  # fmt: skip
    tree = " 0 without spark.executor.processTreeMetrics.enabled."
    return [
        *(
            Panel(
                title, "The highest value so far, by executor." + (tree if title.startswith("ProcessTree") else ""),
                [Query(f"sum by (executor_id) ({sparks(name + '_bytes')})", "{{executor_id}}")], "bytes",
            )
            for title, name in sizes.items()
        ),
        *(
            Panel(title, "Seconds a second, by executor.", [Query(rate(sparks(f"{title}_seconds_total"), "executor_id"), "{{executor_id}}")])
            for title in ("MinorGCTime", "MajorGCTime")
        ),
    ]  # fmt: skip


def volume() -> list[Panel]:
    """CERN's row of I/O."""
    def size(name: str, by: str = "executor_id") -> str:
        return rate(of("executor_bytes_total", f'kind=~"{name}"'), by)

    def panel(title: str, name: str, help_: str = "Counted when a task ends, by executor.") -> Panel:
        return Panel(title, help_, [Query(size(name), "{{executor_id}}")], "Bps", stacked=True)

    return [
        panel("Input bytes read/sec - from task metrics", "input", "All of Spark's inputs: CERN's dashboard shows those of hdfs:// here."),
        panel("Output bytes written/sec - from task metrics", "output", "All of Spark's outputs."),
        panel("Shuffle Total Bytes Read/sec - from task metrics", "shuffle_read_local|shuffle_read_remote"),
        panel("Shuffle Bytes Written/sec - from taskmetrics", "shuffle_written"),
        Panel(
            "Shuffle Read Composition", "From the same executor, and from others.",
            [Query(size("shuffle_read_local", ""), "local"), Query(size("shuffle_read_remote", ""), "remote")], "Bps", stacked=True,
        ),
        panel("Bytes spilled to disk per sec - from taskmetrics", "spilled_to_disk"),
    ]  # fmt: skip


def dashboard() -> Dashboard:
    """All of it."""
    return Dashboard(
        "spark", "storescope / Spark", "Where the stages of an application wait for storage, by the plugin's spark.storescope.metrics.",
        {
            "Waiting for storage": waiting(), "Summary metrics": summary(), "Spark workload metrics": workload(),
            "Spark Memory Metrics": memory(), "Spark I/O metrics": volume(),
        },
        VARIABLES,
        (Annotation("Stages", of("stage_running"), "stage {{stage}}.{{attempt}}", "job {{job}}: {{name}}"),),
    )  # fmt: skip
