# SPDX-License-Identifier: Apache-2.0
"""Workers of one host, and as pods would be: the weights of one, a worker killed, Ctrl-C, and devices of one process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trainer_shards import write_shards

from storescope_workloads.trainer.checkpoint import Checkpoint
from storescope_workloads.trainer.cluster import local
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.supervise import run_local

TESTS = str(Path(__file__).resolve().parents[1])
#: The command alone, as the console script has it.
_COMMAND = """
import sys
from storescope_workloads import cli
from storescope_workloads.trainer.train_command import train
cli.cli.add_command(train)
cli.main()
"""


#: The same, where the writing of a checkpoint takes a second.
_SLOW = _COMMAND.replace("cli.main()", """
import time
from storescope_workloads.trainer import checkpoint
encode = checkpoint.Checkpoint.encode
checkpoint.Checkpoint.encode = lambda self: time.sleep(1) or encode(self)
cli.main()
""")


#: The same, where worker 1 gets a signal when it has joined.
_EARLY = _COMMAND.replace("cli.main()", """
import os, signal
from storescope_workloads.trainer import train as module
trace = module._Training._trace
def early(self):
    if self.setting.cluster.index:
        os.kill(os.getpid(), signal.SIGTERM)
    trace(self)
module._Training._trace = early
cli.main()
""")


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    url = str(tmp_path_factory.mktemp("prepared") / "shards")
    write_shards(url, train=(900, 700, 400, 1000), test=(300,), particles=8)
    return url


def plan_of(shards: str, out: Path, **options) -> Plan:
    return Plan(shards, str(out), epochs=3, batch=32, rates="0.02", threads=1, **options)


def newest(out: str) -> Checkpoint:
    found = sorted(Path(out, "checkpoints").iterdir())[-1]
    return Checkpoint.decode(found.read_bytes(), str(found))


def start(
    plan: Plan, *options: str, environment: dict[str, str] | None = None, command: str = _COMMAND
) -> subprocess.Popen[str]:
    given = {"--data": plan.data, "--out": plan.out, "--model": plan.model, "--epochs": plan.epochs, "--batch": plan.batch,
             "--learning-rate": plan.rates, "--threads": plan.threads, "--seed": plan.seed}
    words = [str(word) for pair in given.items() for word in pair]
    process = subprocess.Popen([sys.executable, "-c", command, "train", *words, *options], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONFAULTHANDLER": "1", **(environment or {})})
    _started.append(process)
    return process


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Ends what a test that failed has left."""
    yield
    while _started:
        process = _started.pop()
        process.kill()
        if not process.stdout.closed:
            process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed. Where it does not end, it prints what its threads do."""
    try:
        return process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(f"did not end: {process.communicate()[1]}")


def children(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a command, in their order."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            continue
        if parent == process.pid and b"storescope_workloads.trainer.worker" in words:
            found[json.loads(words[-2])["cluster"]["index"]] = int(entry.name)
    return [found[index] for index in sorted(found)]


def wait_for_checkpoint(plan: Plan, process: subprocess.Popen[str]) -> None:
    """Of steps: the first is written before any."""
    until = time.monotonic() + 120
    while not list(Path(plan.out).glob("checkpoints/step-*[1-9]*.ckpt")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def one(shards, tmp_path_factory):
    """What one worker ends with, by model."""
    found: dict[str, Plan] = {}

    def train_one(model: str) -> Plan:
        if model not in found:
            found[model] = plan_of(shards, tmp_path_factory.mktemp("one") / model, model=model)
            process = start(found[model])
            out, err = ended(process)
            assert process.returncode == 0, err
        return found[model]

    return train_one


@pytest.mark.parametrize("model, workers", [("hlf", 4), ("inclusive", 2), ("inclusive", 4)])
def test_workers_end_with_the_weights_of_one(shards, tmp_path, one, model, workers):
    """With dropout 0.2: its factors do not depend on the worker."""
    plan = plan_of(shards, tmp_path / "out", model=model)
    told = run_local(plan, workers)
    assert len(told["workers"]) == workers and told["epochs"][-1]["events"] == 3000
    ours, alone = newest(plan.out), newest(one(model).out)
    assert ours.steps == alone.steps > 250
    difference = np.abs(ours.arrays["weights"] - alone.arrays["weights"]).max()
    print(model, workers, "largest difference of a weight:", difference)
    assert difference < 1e-4
    assert told["epochs"][-1]["test_loss"] < told["epochs"][0]["test_loss"]


def test_a_killed_worker_ends_all_and_a_resume_ends_as_one(shards, tmp_path, one):
    plan = plan_of(shards, tmp_path / "out")
    process = start(plan, "--local-workers", "2", "--checkpoint-every", "20")
    wait_for_checkpoint(plan, process)
    workers = children(process)
    os.kill(workers[1], signal.SIGKILL)
    began = time.monotonic()
    _, err = ended(process)
    assert time.monotonic() - began < 30
    assert process.returncode == 1
    assert re.search(rf"worker 1 of 2 \(127.0.0.1:\d+, pid {workers[1]}\) was ended by SIGKILL; .*--resume", err), err
    assert not Path(f"/proc/{workers[0]}").exists()
    stopped = newest(plan.out).steps
    told = run_local(replace(plan, resume=True), 2)
    assert told["resumed"] == {"steps": [stopped]} and stopped % 20 == 0
    assert np.abs(newest(plan.out).arrays["weights"] - newest(one("hlf").out).arrays["weights"]).max() < 1e-4


def test_a_stopped_worker_ends_all(shards, tmp_path):
    """As one whose host has lost its network: no connection breaks."""
    plan = plan_of(shards, tmp_path / "out")
    process = start(plan, "--local-workers", "2", "--epochs", "500")
    wait_for_checkpoint(plan, process)
    workers = children(process)
    os.kill(workers[1], signal.SIGSTOP)
    began = time.monotonic()
    _, err = ended(process)
    assert process.returncode == 1 and f"pid {workers[1]}) was lost: no sign of it for 15 s" in err, err
    assert time.monotonic() - began < 30
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint(shards, tmp_path, one, number):
    plan = plan_of(shards, tmp_path / "out", model="inclusive" if number == signal.SIGINT else "hlf")
    process = start(plan, "--local-workers", "2", "--checkpoint-every", "10")
    wait_for_checkpoint(plan, process)
    process.send_signal(number)
    _, err = ended(process)
    assert process.returncode == 130 and "go on with the same command and --resume" in err, err
    stopped = newest(plan.out)
    assert f"after step {stopped.steps}:" in err
    # By one process: the number of workers may change.
    process = start(plan, "--resume")
    _, err = ended(process)
    assert process.returncode == 0, err
    assert np.abs(newest(plan.out).arrays["weights"] - newest(one(plan.model).out).arrays["weights"]).max() < 1e-4


def test_workers_end_with_the_command(shards, tmp_path):
    plan = plan_of(shards, tmp_path / "out")
    process = start(plan, "--local-workers", "2", "--epochs", "500")
    wait_for_checkpoint(plan, process)
    workers = children(process)
    process.kill()
    process.communicate()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.1)


def pods(
    plan: Plan, *options: str, changes: dict[int, list[str]] | None = None, command: str = _COMMAND
) -> list[subprocess.Popen[str]]:
    addresses = list(local(2)[0].addresses)
    return [
        start(plan, *options, *(changes or {}).get(index, []), environment={"TF_CONFIG": json.dumps(
            {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})}, command=command)
        for index in range(2)
    ]


def test_pods_by_tf_config(shards, tmp_path, one):
    plan = plan_of(shards, tmp_path / "out")
    processes = pods(plan)
    for process in processes:
        _, err = ended(process)
        assert process.returncode == 0, err
    assert np.abs(newest(plan.out).arrays["weights"] - newest(one("hlf").out).arrays["weights"]).max() < 1e-4


@pytest.mark.parametrize("index, number", [(1, signal.SIGTERM), (0, signal.SIGTERM), (1, signal.SIGINT)])
def test_a_pod_that_is_told_to_end_ends_all_with_a_checkpoint(shards, tmp_path, index, number):
    """TensorFlow has a handler of its own for SIGTERM; and the checkpoint takes longer than the other worker's end."""
    plan = plan_of(shards, tmp_path / "out")
    processes = pods(plan, "--epochs", "500", command=_SLOW)
    wait_for_checkpoint(plan, processes[0])
    processes[index].send_signal(number)
    errors = [ended(process)[1] for process in processes]
    assert [process.returncode for process in processes] == [130, 130], errors
    stopped = newest(plan.out)
    assert f"after step {stopped.steps}: {plan.out}/{stopped.name} holds all until there" in errors[0], errors
    assert f"after step {stopped.steps}" in errors[1], errors


def test_a_pod_that_is_told_to_end_before_training_is_told_to_the_others(shards, tmp_path):
    """The other one waits in TensorFlow, and would for ever."""
    zero, one = pods(plan_of(shards, tmp_path / "out"), command=_EARLY)
    errors = [ended(process)[1] for process in (zero, one)]
    assert zero.returncode == 1 and one.returncode == 130, errors
    assert "worker 1 (" in errors[0] and "interrupted by SIGTERM before training began" in errors[0], errors
    assert "interrupted by SIGTERM before training began" in errors[1], errors


def test_pods_that_differ(shards, tmp_path):
    for process in pods(plan_of(shards, tmp_path / "out"), changes={1: ["--seed", "2"]}):
        _, err = ended(process)
        assert process.returncode == 1 and "seed is 2 there and 1 here" in err, err
    assert not (tmp_path / "out").exists()


def test_a_pod_that_does_not_come(shards, tmp_path):
    zero, other = pods(plan_of(shards, tmp_path / "out"), "--join-timeout", "3s")
    other.kill()
    other.communicate()
    _, err = ended(zero)
    assert zero.returncode == 1 and "worker 1 (127.0.0.1:" in err and "did not connect to worker 0" in err, err


def test_a_pod_that_cannot_read_its_data(shards, tmp_path):
    """Training has begun: worker 0 tells what happened to worker 1."""
    plan = plan_of(shards, tmp_path / "out")
    processes = pods(plan, "--epochs", "500")
    wait_for_checkpoint(plan, processes[0])
    path = Path(shards, "train", "part-00002.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:300] + b"????" + data[304:])
    try:
        for process in processes:
            _, err = ended(process)
            assert process.returncode == 1 and "part-00002.parquet" in err, err
    finally:
        path.write_bytes(data)


_MIRRORED = """
import numpy as np
from test_trainer_models import P, Shape, batch, build, Stepper, tf, KINDS
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
both = Stepper(build("inclusive", P, seed=3), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
alone = Stepper(build("inclusive", P, seed=3), tf.distribute.get_strategy())
shape = Shape(KINDS["inclusive"], 8, P, 0.2)
for step in range(4):
    chunk = shape.chunk([batch(7, step)], step)
    both.train(chunk, 0.01, step, (True, 0.5)), alone.train(chunk, 0.01, step, (True, 0.5))
both.validate(chunk), alone.validate(chunk)
print(np.abs(both.state()["weights"] - alone.state()["weights"]).max())
assert np.allclose(list(vars(both.totals()).values()), list(vars(alone.totals()).values()), rtol=1e-5), (both.totals(), alone.totals())
assert np.abs(both.state()["weights"] - alone.state()["weights"]).max() < 1e-5
state = alone.state()["weights"]
assert np.array_equal(both.share(state), state)
"""


def test_devices_of_a_process_share_a_batch():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", _MIRRORED], env=environment, check=True)
