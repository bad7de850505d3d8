# SPDX-License-Identifier: Apache-2.0
"""What a process uses: its CPU time and memory as the kernel tells them, and a GPU that the test plays."""

from __future__ import annotations

import builtins
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from storescope_workloads.trainer import resources
from storescope_workloads.trainer.resources import Sampler


class Nvml:
    """NVIDIA's library on a machine with GPUs, as far as it is used."""

    class NVMLError(Exception):
        pass

    def __init__(self, gpus: int = 1, name: str | bytes = "NVIDIA H200", working: bool = True) -> None:
        self.gpus, self.name, self.working = gpus, name, working
        self.open, self.asked = 0, 0
        self.sampled = threading.Semaphore(0)
        self.handles: list[object] = []

    def nvmlInit(self) -> None:
        if not self.working:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self.handles.append(index)
        return index

    def nvmlDeviceGetHandleByUUID(self, name: str) -> int:
        if not name.startswith("GPU-"):
            raise self.NVMLError("Not Found")
        self.handles.append(name)
        return 0

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return self.name

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if not self.working:
            raise self.NVMLError("GPU is lost")
        self.asked += 1
        return SimpleNamespace(gpu=(20, 60, 100)[min(self.asked - 1, 2)])

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        self.sampled.release()
        return SimpleNamespace(used=(3, 9, 5)[min(self.asked - 1, 2)] * 10**9)


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(*arguments: object, **options: object) -> Nvml:
        played = Nvml(*arguments, **options)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "pynvml", played)
        return played

    return put


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_cpu_seconds_are_those_of_all_threads(nvml):
    nvml(working=False)
    burn(0.05)  # not counted
    with Sampler() as sampler:
        before = time.process_time()
        threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        during = sampler.figures()
        used = time.process_time() - before
    figures = sampler.figures()
    assert 0.2 <= during["cpu_s"] <= figures["cpu_s"] <= used + 0.05
    assert figures["cpu_s"] / 2.2 <= figures["wall_s"]
    burn(0.05)
    assert sampler.figures() == figures, "figures of a block that has ended do not change"


def test_the_peak_of_memory_is_seen_between_samples(nvml):
    nvml(working=False)
    # The kernel's peak is that of the whole process: whatever ran before must not hide this block's.
    with Sampler(interval_s=60) as sampler:
        size = resources._peak() - resources._rss() + 100_000_000
        block = np.ones(size // 8)
        at_peak = resources._rss()
        del block
    figures = sampler.figures()
    assert figures["rss_peak_bytes"] >= at_peak - 20_000_000
    assert figures["rss_mean_bytes"] <= figures["rss_peak_bytes"] - size // 2, "samples were taken before and after it"


def test_a_block_that_uses_less_than_one_before_has_its_own_peak(nvml):
    nvml(working=False)
    block = np.ones(40_000_000)
    del block
    with Sampler(interval_s=60) as sampler:
        pass
    assert sampler.figures()["rss_peak_bytes"] <= resources._peak() - 200_000_000


def test_the_thread_ends_with_the_block(nvml):
    nvml(working=False)
    with pytest.raises(RuntimeError, match="of the block"):
        with Sampler(interval_s=0.01) as sampler:
            assert "resources" in {thread.name for thread in threading.enumerate()}
            raise RuntimeError("of the block")
    assert "resources" not in {thread.name for thread in threading.enumerate()}
    assert sampler.figures()["rss_peak_bytes"] > 0


def test_a_sample_costs_next_to_nothing(nvml):
    nvml(working=False)
    with Sampler(interval_s=60) as sampler:
        began = time.process_time()
        for _ in range(1000):
            sampler._sample()
        each = (time.process_time() - began) / 1000
    assert each < 0.5e-3, "0.1 % of a core at two samples a second"


def test_a_gpu_is_told(nvml):
    played = nvml()
    with Sampler(interval_s=0.001) as sampler:
        for _ in range(3):
            assert played.sampled.acquire(timeout=30)
    gpu = sampler.figures()["gpu"]
    assert (gpu["name"], gpu["devices"]) == ("NVIDIA H200", 1)
    assert gpu["utilisation_max"] == 1.0 and gpu["memory_peak_bytes"] == 9 * 10**9
    assert gpu["utilisation_mean"] == pytest.approx((0.2 + 0.6 + (played.asked - 2)) / played.asked)
    assert played.open == 0, "the library is closed"


def test_the_mean_of_utilisation_is_over_samples_and_gpus(nvml):
    nvml(gpus=2, name=b"Tesla P100")
    with Sampler(interval_s=60) as sampler:
        pass
    gpu = sampler.figures()["gpu"]
    # Two samples of two GPUs: 20 and 60 %, 100 and 100 %.
    assert gpu["name"] == "Tesla P100" and gpu["devices"] == 2
    assert gpu["utilisation_mean"] == pytest.approx(0.7) and gpu["utilisation_max"] == 1.0
    assert gpu["memory_peak_bytes"] == 18 * 10**9


@pytest.mark.parametrize(
    ("told", "handles"),
    [
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("GPU-8a1b", ["GPU-8a1b"]),
        ("0,7,1", [0]),
        ("", None),
        ("-1", None),
        ("MIG-1", None),
    ],
)
def test_gpus_are_those_that_the_process_may_use(nvml, monkeypatch, told, handles):
    played = nvml(gpus=3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    with Sampler(interval_s=60) as sampler:
        pass
    gpu = sampler.figures()["gpu"]
    assert (gpu is None) == (handles is None)
    assert played.handles == (handles or []) and played.open == 0


def test_without_a_gpu_or_a_driver_there_is_none_and_no_error(nvml):
    for played in (nvml(gpus=0), nvml(working=False)):
        with Sampler(interval_s=60) as sampler:
            pass
        assert sampler.figures()["gpu"] is None and played.open == 0


def test_without_nvidias_library_there_is_none_and_no_error(monkeypatch):
    imported = builtins.__import__

    def refuse(name: str, *arguments: object, **options: object) -> object:
        if name == "pynvml":
            raise ImportError(name)
        return imported(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with Sampler(interval_s=60) as sampler:
        pass
    assert sampler.figures()["gpu"] is None


def test_the_library_of_this_machine_makes_no_error():
    with Sampler(interval_s=60) as sampler:
        pass
    gpu = sampler.figures()["gpu"]
    assert gpu is None or gpu["memory_peak_bytes"] > 0


def test_a_gpu_that_is_lost_is_told_as_none(nvml):
    played = nvml()
    with Sampler(interval_s=60) as sampler:
        played.working = False
    assert sampler.figures()["gpu"] is None and played.open == 0
