# SPDX-License-Identifier: Apache-2.0
"""Recording and alert rules, as Prometheus has them. No I/O.

Alerts are of recorded series, so that they hold with native histograms and with classic ones: a recording rule reads whichever
there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metrics import FAILED

RUNBOOK = "https://github.com/storescope/storescope/blob/main/docs/ALERTS.md"
#: Who is judged: an application, and one of its processes.
_APP = "namespace, application_id"
_PROCESS = f"{_APP}, executor_id"
_WINDOW = "[5m]"
_ATTEMPTS = "storescope:attempts:rate5m"


@dataclass(frozen=True)
class Record:
    """A recording rule."""

    name: str
    expr: str

    def to_json(self) -> dict[str, Any]:
        """As Prometheus has it."""
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True)
class Alert:
    """An alert: a value that is compared with a limit.

    Attributes:
        name: Its heading in docs/ALERTS.md.
        value: PromQL.
        limit: What it is compared with, operator and number.
        lasting: How long it must hold.
        severity: ``critical``: somebody is needed now; ``warning``: today; ``info``: to know.
        summary, description: Templates of Prometheus.
        only: A further condition, joined by ``and``.
    """

    name: str
    value: str
    limit: str
    lasting: str
    severity: str
    summary: str
    description: str
    only: str = ""

    @property
    def expr(self) -> str:
        """The condition."""
        condition = f"{self.value} {self.limit}"
        return f"({condition}) and ({self.only})" if self.only else condition

    def to_json(self) -> dict[str, Any]:
        """As Prometheus has it."""
        return {
            "alert": self.name, "expr": self.expr, "for": self.lasting, "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary, "description": self.description, "runbook_url": f"{RUNBOOK}#{self.name.lower()}",
            },
        }  # fmt: skip


def _either(function: str, suffix: str, labels: str, by: str) -> str:
    """Of native histograms, else of classic ones."""
    series = f"storescope_phase_seconds{{{labels}}}"
    classic = f"storescope_phase_seconds_{suffix}{{{labels}}}"
    return f"{function}(sum by ({by}) (rate({series}{_WINDOW}))) or sum by ({by}) (rate({classic}{_WINDOW}))"


def _quantile(of: float, labels: str, by: str) -> str:
    native = f"histogram_quantile({of}, sum by ({by}) (rate(storescope_phase_seconds{{{labels}}}{_WINDOW})))"
    classic = f"histogram_quantile({of}, sum by ({by}, le) (rate(storescope_phase_seconds_bucket{{{labels}}}{_WINDOW})))"
    # Without the processes that read nothing meanwhile: theirs is not a number.
    return f"{native} >= 0 or {classic} >= 0"


def records() -> list[Record]:
    """What alerts look at."""
    attempts, first_byte = 'level="attempt",phase="total"', 'level="attempt",phase="ttfb",outcome="ok"'
    bytes_of = f'sum by ({_APP}) (rate(storescope_bytes_total{{level="attempt",operation="get",phase="%s"}}{_WINDOW}))'
    delivered = bytes_of % "bytes_delivered"
    return [
        Record(_ATTEMPTS, _either("histogram_count", "count", attempts, f"{_PROCESS}, operation, outcome")),
        Record("storescope:first_byte_seconds:p99_5m", _quantile(0.99, first_byte, f"{_APP}, operation")),
        Record("storescope:first_byte_seconds:p50_5m", _quantile(0.5, first_byte + ',operation="get"', _PROCESS)),
        Record("storescope:queued:avg5m", _either("histogram_sum", "sum", 'level="attempt",phase="queue"', _PROCESS)),
        Record("storescope:failed_share:rate5m", _share(f"throttled|{FAILED}")),
        Record(
            "storescope:over_read:ratio5m", f"({bytes_of % 'bytes_discarded'} or {delivered} * 0) / ({delivered} > 0)",
        ),
    ]


def _share(outcomes: str) -> str:
    """Of an application's attempts; 0 where none ended so."""
    whole = f"sum by ({_APP}) ({_ATTEMPTS})"
    return f'(sum by ({_APP}) ({_ATTEMPTS}{{outcome=~"{outcomes}"}}) or {whole} * 0) / ({whole} > 0)'


def _storage() -> list[Alert]:
    median = f"quantile by ({_APP}) (0.5, storescope:first_byte_seconds:p50_5m)"
    return [
        Alert(
            "StorescopeThrottled", _share("throttled"), "> 0.05", "5m", "warning",
            "{{ $labels.application_id }}: the store throttles {{ $value | humanizePercentage }} of the requests",
            "More than 5 % of the attempts were answered 429 or 503 SlowDown for 5 minutes.",
        ),
        Alert(
            "StorescopeFailures", _share(FAILED), "> 0.02", "5m", "critical",
            "{{ $labels.application_id }}: {{ $value | humanizePercentage }} of the requests fail",
            "More than 2 % of the attempts ended with 5xx, a time-out, a broken connection or a wrong answer for 5 minutes.",
        ),
        Alert(
            "StorescopeAccessDenied", _share("auth"), "> 0.001", "2m", "critical",
            "{{ $labels.application_id }}: the store refuses {{ $value | humanizePercentage }} of the requests",
            "401 or 403 for 2 minutes: credentials have expired, or a policy is missing.",
        ),
        Alert(
            "StorescopeErrorBudgetBurn", "avg_over_time(storescope:failed_share:rate5m[1h])", "> 0.0144", "2m", "critical",
            "{{ $labels.application_id }}: burns its error budget 14 times too fast",
            "{{ $value | humanizePercentage }} of the requests failed in the last hour, and it goes on: at 99.9 % a month's budget lasts two days.",
            only="storescope:failed_share:rate5m > 0.0144",
        ),
        Alert(
            "StorescopeFirstByteSlow", 'storescope:first_byte_seconds:p99_5m{operation="get"}', "> 1", "10m", "warning",
            "{{ $labels.application_id }}: first byte p99 is {{ $value | humanizeDuration }}",
            "The p99 of the first byte of reads, merged over all processes, was above 1 s for 10 minutes.",
        ),
        Alert(
            "StorescopeRetries",
            f"sum by ({_APP}) (rate(storescope_retries_total{_WINDOW})) / (sum by ({_APP}) ({_ATTEMPTS}) > 0)", "> 0.1", "10m", "warning",
            "{{ $labels.application_id }}: {{ $value | humanizePercentage }} of the requests are retries",
            "More than a tenth of the attempts were made because an earlier one failed, for 10 minutes.",
        ),
        Alert(
            "StorescopeOverRead", "storescope:over_read:ratio5m", "> 0.5", "15m", "warning",
            "{{ $labels.application_id }}: nobody asked for {{ $value | humanizePercentage }} of the bytes received",
            "More than half of the bytes received were thrown away, for 15 minutes.",
        ),
        Alert(
            "StorescopeQueueing",
            f"sum by ({_APP}) (storescope:queued:avg5m) / sum by ({_APP}) (clamp_min(avg_over_time(storescope_attempts_in_flight{_WINDOW}), 1))",
            "> 2", "10m", "warning",
            "{{ $labels.application_id }}: {{ $value | humanize }} requests wait for each that is under way",
            "Requests waited for admission, more than twice as many as were under way, for 10 minutes.",
        ),
        Alert(
            "StorescopeSlowExecutor",
            f"storescope:first_byte_seconds:p50_5m / on ({_APP}) group_left () {median}", "> 3", "10m", "warning",
            "executor {{ $labels.executor_id }} of {{ $labels.application_id }} is {{ $value | humanize }} times slower than the others",
            "The median first byte of one process was more than three times that of all processes, for 10 minutes.",
        ),
        Alert(
            "StorescopeValuesDropped", f"sum by ({_PROCESS}) (increase(storescope_dropped_values_total[10m]))", "> 0", "0m", "info",
            "{{ $labels.application_id }}: some values are not recorded",
            "The histograms' memory is spent: what is shown of this process is not all that it did.",
        ),
        Alert(
            "StorescopeTargetDown", 'up{job=~".*storescope.*"}', "== 0", "5m", "warning",
            "{{ $labels.job }}: {{ $labels.instance }} cannot be scraped",
            "The pod is there, and its metrics could not be read for 5 minutes.",
        ),
    ]  # fmt: skip


def _workloads() -> list[Alert]:
    stage = {
        name: f"sum by ({_APP}, stage, attempt) (rate(storescope_spark_stage_{name}_seconds_total{_WINDOW}))" for name in ("waiting", "task")
    }  # fmt: skip
    trainer = {
        name: f"sum by ({_APP}) (rate(storescope_trainer_{name}_seconds_sum{_WINDOW}))" for name in ("data_wait", "step")
    }  # fmt: skip
    return [
        Alert(
            "StorescopeStageWaits", f"{stage['waiting']} / ({stage['task']} > 0)", "> 0.8", "10m", "info",
            "stage {{ $labels.stage }} of {{ $labels.application_id }} waits for storage {{ $value | humanizePercentage }} of its time",
            "More than 80 % of a stage's task time was waiting for storage, for 10 minutes.",
        ),
        Alert(
            "StorescopeTrainerWaits", f"{trainer['data_wait']} / ({trainer['step']} > 0)", "> 0.3", "10m", "warning",
            "{{ $labels.application_id }}: steps wait for data {{ $value | humanizePercentage }} of their time",
            "More than 30 % of the steps' time was waiting for data, for 10 minutes.",
        ),
        Alert(
            "StorescopeTrainerStalled", f"sum by ({_APP}) (rate(storescope_trainer_steps_total[10m]))", "== 0", "5m", "critical",
            "{{ $labels.application_id }}: takes no steps",
            "The workers are there, and took no step in 10 minutes.",
        ),
    ]  # fmt: skip


def alerts() -> list[Alert]:
    """All of them."""
    return [*_storage(), *_workloads()]


def files() -> dict[str, dict[str, Any]]:
    """Rule files by their names."""
    return {
        "records.yaml": {"groups": [{"name": "storescope-records", "rules": [record.to_json() for record in records()]}]},
        "alerts.yaml": {
            "groups": [
                {"name": "storescope-storage", "rules": [alert.to_json() for alert in _storage()]},
                {"name": "storescope-workloads", "rules": [alert.to_json() for alert in _workloads()]},
            ]
        },
    }
