# SPDX-License-Identifier: Apache-2.0
"""What a training tells Prometheus: the figures of train.json, by an endpoint that is there while it runs."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request

import pytest
from trainer_shards import write_shards

from storescope_workloads.errors import UsageError
from storescope_workloads.scan.job import Watch as Progress
from storescope_workloads.trainer.metrics import BOUNDS, CONTENT_TYPE, Endpoint, Metrics, parse
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.train import Setting, train


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def read(port: int, path: str = "/metrics") -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        assert answer.headers["content-type"] == CONTENT_TYPE
        return answer.read().decode()


def value(text: str, name: str) -> float:
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def test_steps_of_a_call_share_its_time():
    metrics = Metrics(1, 2)
    metrics.stepped(4, 128, 0.04, 0.004)
    metrics.stepped(1, 32, 3.0, 2.0)
    text = metrics.text()
    assert value(text, 'storescope_trainer_step_seconds_bucket{le="0.01"}') == 4
    assert value(text, 'storescope_trainer_step_seconds_bucket{le="2.5"}') == 4
    assert value(text, 'storescope_trainer_step_seconds_bucket{le="+Inf"}') == value(text, "storescope_trainer_steps_total") == 5
    assert value(text, "storescope_trainer_step_seconds_sum") == pytest.approx(3.04)
    assert value(text, 'storescope_trainer_data_wait_seconds_bucket{le="0.001"}') == 4
    assert value(text, "storescope_trainer_data_wait_seconds_sum") == pytest.approx(2.004)
    assert value(text, "storescope_trainer_events_total") == 160
    assert value(text, 'storescope_trainer_worker_info{worker="1",workers="2"}') == 1
    assert list(BOUNDS) == sorted(BOUNDS)


@pytest.mark.parametrize("address, host, ports", [
    ("9470", "127.0.0.1", [9470]), (":9470", "127.0.0.1", [9470]), ("0.0.0.0:9470-9472", "0.0.0.0", [9470, 9471, 9472]),
])
def test_addresses(address, host, ports):
    assert parse(address) == (host, range(ports[0], ports[-1] + 1))


@pytest.mark.parametrize("address", ["", "nowhere", "0.0.0.0", "9470-9460", "1:99999", "-1"])
def test_an_address_that_is_none_is_refused(address, tmp_path):
    with pytest.raises(UsageError, match="--metrics .* is neither a port, nor an address"):
        Plan(str(tmp_path), str(tmp_path / "out"), metrics=address).check()


def test_processes_of_a_host_take_the_ports_of_a_range():
    first = free_port()
    with Endpoint(f"{first}-{min(first + 20, 65535)}", Metrics()) as one, Endpoint(f"{first}-{min(first + 20, 65535)}", Metrics()) as two:
        assert first <= one.port < two.port
        assert "storescope_trainer_steps_total 0" in read(two.port)
        with pytest.raises(UsageError, match=f"--metrics {one.port}: cannot listen there: .*give another port, or a range"):
            Endpoint(str(one.port), Metrics())
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(one.port, "/")
    with pytest.raises(OSError):
        read(one.port)


class Reading(Progress):
    """Reads the endpoint while the last epoch trains."""

    def __init__(self, stage: str, port: int) -> None:
        self._stage, self._port = stage, port
        self.texts: list[str] = []

    def stage(self, name, total, unit):
        def count(done: int) -> None:
            if name == self._stage:
                self.texts.append(read(self._port))

        return count


def test_a_training_tells_what_its_file_says(tmp_path):
    write_shards(str(tmp_path / "shards"))
    port = free_port()
    plan = Plan(
        str(tmp_path / "shards"), str(tmp_path / "out"), epochs=2, batch=16, rates="0.1", steps_per_call=10, metrics=str(port)
    )
    progress = Reading("epoch 2 of 2", port)
    told = train(plan, Setting(progress=progress))
    first, second = told["epochs"]
    text = progress.texts[0]
    assert value(text, "storescope_trainer_steps_total") == first["steps"]
    assert value(text, "storescope_trainer_events_total") == first["events"]
    assert value(text, "storescope_trainer_step_seconds_sum") == pytest.approx(first["wall_s"], rel=1e-6)
    assert value(text, "storescope_trainer_epoch") == 1
    assert value(text, "storescope_trainer_loss") == first["loss"]
    assert value(text, "storescope_trainer_test_accuracy") == first["test_accuracy"]
    last = progress.texts[-1]
    assert value(last, "storescope_trainer_steps_total") == first["steps"] + second["steps"]
    waited = value(last, "storescope_trainer_data_wait_seconds_sum")
    assert waited == pytest.approx(first["wait_s"] + second["wait_s"], rel=1e-4, abs=1e-5)
    with pytest.raises(OSError):
        read(port)
