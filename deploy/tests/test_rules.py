# SPDX-License-Identifier: Apache-2.0
"""The rules by Prometheus' own tool: each alert fires when it should, with its words, and not before, and not for less."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import alerts
import build
import judges

RULES = build.CHART / "rules"
APP = {"namespace": "n", "application_id": "a"}
PROCESS = {**APP, "executor_id": "1"}


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    told = ",".join(f'{key}="{value}"' for key, value in {**PROCESS, **labels}.items())
    return {"series": f"{name}{{{told}}}", "values": values}


def attempts(**rates: float) -> list[dict[str, str]]:
    """Attempts a second by outcome, for two hours."""
    return [series("storescope:attempts:rate5m", f"{rate}+0x120", operation="get", outcome=name) for name, rate in rates.items()]


def first_bytes(*medians: float) -> list[dict[str, str]]:
    return [
        series("storescope:first_byte_seconds:p50_5m", f"{value}+0x120", executor_id=str(number))
        for number, value in enumerate(medians)
    ]


@dataclass(frozen=True)
class Case:
    """What makes an alert fire at a minute, with which labels and value, and what does not.

    Attributes:
        before: A minute at which it does not fire yet.
        calm: Series with which it does not fire at all.
    """

    alert: str
    fires: list[dict[str, str]]
    at: int
    before: int
    labels: dict[str, str]
    value: str
    calm: list[dict[str, str]]


CASES = [
    Case("StorescopeThrottled", attempts(ok=90, throttled=10), 6, 4, APP, "10%", attempts(ok=99, throttled=1)),
    Case("StorescopeFailures", attempts(ok=95, server=3, timeout=2), 6, 4, APP, "5%", attempts(ok=95, server=1, not_found=4)),
    Case("StorescopeAccessDenied", attempts(ok=99, auth=1), 3, 1, APP, "1%", attempts(ok=100)),
    Case(
        "StorescopeErrorBudgetBurn", [series("storescope:failed_share:rate5m", "0.02+0x120")], 3, 1, PROCESS, "2%",
        # An hour that was bad, and is over.
        [series("storescope:failed_share:rate5m", "0.05+0x2 0+0x120")],
    ),
    Case(
        "StorescopeFirstByteSlow", [series("storescope:first_byte_seconds:p99_5m", "1.5+0x120", operation="get")], 11, 9,
        {**PROCESS, "operation": "get"}, "1.5s", [series("storescope:first_byte_seconds:p99_5m", "0.9+0x120", operation="get")],
    ),
    Case(
        "StorescopeRetries", [*attempts(ok=50), series("storescope_retries_total", "0+600x120")], 20, 8, APP, "20%",
        [*attempts(ok=50), series("storescope_retries_total", "0+60x120")],
    ),
    Case(
        "StorescopeOverRead", [series("storescope:over_read:ratio5m", "0.6+0x120")], 16, 14, PROCESS, "60%",
        [series("storescope:over_read:ratio5m", "0.4+0x120")],
    ),
    Case(
        "StorescopeQueueing",
        [series("storescope:queued:avg5m", "6+0x120"), series("storescope_attempts_in_flight", "2+0x120")], 11, 9, APP, "3",
        [series("storescope:queued:avg5m", "1.5+0x120"), series("storescope_attempts_in_flight", "0+0x120")],
    ),
    Case(
        "StorescopeSlowExecutor", first_bytes(0.02, 0.02, 0.02, 0.1), 11, 9, {**APP, "executor_id": "3"}, "5",
        first_bytes(0.02, 0.02, 0.02, 0.05),
    ),
    Case(
        "StorescopeValuesDropped", [series("storescope_dropped_values_total", "0+0x5 5+0x120")], 8, 4, PROCESS, "",
        [series("storescope_dropped_values_total", "7+0x120")],
    ),
    Case(
        "StorescopeTargetDown", [{"series": 'up{job="n/storescope-core",instance="10.0.0.1:9464"}', "values": "1+0x2 0+0x120"}], 9, 6,
        {"job": "n/storescope-core", "instance": "10.0.0.1:9464"}, "", [{"series": 'up{job="other"}', "values": "0+0x120"}],
    ),
    Case(
        "StorescopeStageWaits",
        [
            series("storescope_spark_stage_waiting_seconds_total", "0+54x120", stage="4", attempt="0"),
            series("storescope_spark_stage_task_seconds_total", "0+60x120", stage="4", attempt="0"),
        ],
        20, 8, {**APP, "stage": "4", "attempt": "0"}, "90%",
        # Of two stages none waits so long; a stage that is over has no share.
        [
            series("storescope_spark_stage_waiting_seconds_total", "0+30x120", stage="4", attempt="0"),
            series("storescope_spark_stage_task_seconds_total", "0+60x120", stage="4", attempt="0"),
            series("storescope_spark_stage_waiting_seconds_total", "600+0x120", stage="3", attempt="0"),
            series("storescope_spark_stage_task_seconds_total", "600+0x120", stage="3", attempt="0"),
        ],
    ),
    Case(
        "StorescopeTrainerWaits",
        [series("storescope_trainer_data_wait_seconds_sum", "0+30x120"), series("storescope_trainer_step_seconds_sum", "0+60x120")],
        20, 8, APP, "50%",
        [series("storescope_trainer_data_wait_seconds_sum", "0+6x120"), series("storescope_trainer_step_seconds_sum", "0+60x120")],
    ),
    Case(
        "StorescopeTrainerStalled", [series("storescope_trainer_steps_total", "0+100x10 1000+0x120")], 30, 15, APP, "",
        [series("storescope_trainer_steps_total", "0+1x120")],
    ),
]  # fmt: skip


def rendered(template: str, labels: dict[str, str], value: str) -> str:
    """A template of Prometheus, of the two kinds that are used."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], template)
    return re.sub(r"\{\{ \$value[^}]*\}\}", value.replace("\\", ""), text)


def expected(case: Case) -> dict[str, Any]:
    told = next(alert for alert in alerts.alerts() if alert.name == case.alert).to_json()
    annotations = {name: rendered(text, case.labels, case.value) for name, text in told["annotations"].items()}
    return {"exp_labels": {**told["labels"], **case.labels}, "exp_annotations": annotations}


def run(tmp_path: Path, rules: list[Path], tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "test.yaml"
    told = {"rule_files": [str(path) for path in rules], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(told, sort_keys=False, width=1 << 20))
    return subprocess.run([judges.promtool(), "test", "rules", str(file)], capture_output=True, text=True, timeout=60)


def test_the_rules_are_rules():
    files = sorted(str(path) for path in RULES.glob("*.yaml"))
    ran = subprocess.run([judges.promtool(), "check", "rules", *files], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = [int(count) for count in re.findall(r"SUCCESS: (\d+) rules found", ran.stdout)]
    assert sorted(found) == sorted([len(alerts.records()), len(alerts.alerts())])


def test_every_alert_has_a_case():
    assert [case.alert for case in CASES] == [alert.name for alert in alerts.alerts()]


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_an_alert_fires_when_it_should(case, tmp_path):
    def looked(at: int, found: list[dict[str, Any]]) -> dict[str, Any]:
        return {"eval_time": f"{at}m", "alertname": case.alert, "exp_alerts": found}

    tests = [
        {
            "interval": "1m", "input_series": case.fires,
            "alert_rule_test": [looked(case.before, []), looked(case.at, [expected(case)])],
        },
        {"interval": "1m", "input_series": case.calm, "alert_rule_test": [looked(minute, []) for minute in (case.at, 60)]},
    ]  # fmt: skip
    ran = run(tmp_path, [RULES / "alerts.yaml"], tests)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_alert_that_does_not_fire_is_found(tmp_path):
    case = CASES[0]
    wrong = [{
        "interval": "1m", "input_series": case.calm,
        "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": case.alert, "exp_alerts": [expected(case)]}],
    }]  # fmt: skip
    assert run(tmp_path, [RULES / "alerts.yaml"], wrong).returncode != 0


def test_what_is_recorded_of_classic_histograms(tmp_path):
    """Where Prometheus has no native histograms. With them: test_dashboards.py."""
    phase = {"level": "attempt", "operation": "get", "outcome": "ok"}
    first_byte, name = {**phase, "phase": "ttfb"}, "storescope_phase_seconds"
    given = [
        series(f"{name}_count", "0+1200x20", **phase, phase="total", size="-"),
        series(f"{name}_count", "0+300x20", **phase, phase="total", size="le64K"),
        series(f"{name}_count", "0+60x20", **{**phase, "outcome": "throttled"}, phase="total"),
        series(f"{name}_sum", "0+180x20", **phase, phase="queue"),
        *(series(f"{name}_bucket", f"0+{count}x20", **first_byte, le=le) for le, count in (("0.05", 0), ("0.1", 100), ("+Inf", 100))),
        series("storescope_bytes_total", "0+6000x20", level="attempt", operation="get", phase="bytes_delivered"),
        series("storescope_bytes_total", "0+1500x20", level="attempt", operation="get", phase="bytes_discarded"),
    ]  # fmt: skip
    wanted = [
        ("storescope:attempts:rate5m", {**PROCESS, "operation": "get", "outcome": "ok"}, 25),
        ("storescope:attempts:rate5m", {**PROCESS, "operation": "get", "outcome": "throttled"}, 1),
        ("storescope:failed_share:rate5m", APP, 1 / 26),
        ("storescope:queued:avg5m", PROCESS, 3),
        ("storescope:first_byte_seconds:p50_5m", PROCESS, 0.075),
        ("storescope:over_read:ratio5m", APP, 0.25),
    ]
    tests = [
        {
            "interval": "1m", "input_series": given,
            "promql_expr_test": [
                {
                    "expr": f"abs({metric}{chosen(labels)} - {value}) < bool 1e-6", "eval_time": "15m",
                    "exp_samples": [{"labels": chosen(labels), "value": 1}],
                }
                for metric, labels, value in wanted
            ],
        }
    ]
    ran = run(tmp_path, [RULES / "records.yaml"], tests)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def chosen(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
