# SPDX-License-Identifier: Apache-2.0
"""What a process uses while it works: CPU time, memory, and the GPU where there is one."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from typing import Any

_PAGE = resource.getpagesize()


class Sampler:
    """Samples this process while a ``with`` block runs, in a thread that ends with it.

    ::

        with Sampler() as sampler:
            work()
        sampler.figures()  # {"wall_s": 12.1, "cpu_s": 20.3, "rss_mean_bytes": …, "rss_peak_bytes": …, "gpu": None}

    A sample takes some ten microseconds, and less than a millisecond for a GPU. GPUs are those of ``CUDA_VISIBLE_DEVICES``,
    all of the machine without it. They are read by NVIDIA's library (``nvidia-ml-py``); where it, the driver or a GPU is not
    there, or a GPU stops answering, ``gpu`` is ``None``.

    Args:
        interval_s: Seconds between samples; one is taken at the start and one at the end in any case.
    """

    def __init__(self, interval_s: float = 0.5) -> None:
        self._interval_s = interval_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resources", daemon=True)
        self._lock = threading.Lock()
        self._samples, self._rss_sum, self._rss_peak = 0, 0, 0
        self._gpu: _Gpus | None = None
        self._began = self._ended = (0.0, 0.0)
        self._peak_before = 0

    def __enter__(self) -> Sampler:
        self._gpu = _Gpus.found()
        self._peak_before = _peak()
        self._began = time.monotonic(), time.process_time()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._sample()
        self._ended = time.monotonic(), time.process_time()
        # The kernel's own peak is exact, and of this block where it grew in it.
        peak = _peak()
        if peak > self._peak_before:
            self._rss_peak = max(self._rss_peak, peak)
        if self._gpu is not None:
            self._gpu.close()

    def _watch(self) -> None:
        while not self._over.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        rss = _rss()
        with self._lock:
            self._samples += 1
            self._rss_sum += rss
            self._rss_peak = max(self._rss_peak, rss)
            if self._gpu is not None:
                self._gpu.sample()

    def figures(self) -> dict[str, Any]:
        """What was used: in the block, up to now or to its end.

        ``wall_s`` and ``cpu_s`` (of all threads of this process) in seconds; ``rss_mean_bytes`` and ``rss_peak_bytes``: the
        memory that is in RAM; ``gpu``: ``None``, or ``name``, ``devices``, ``utilisation_mean`` and ``utilisation_max`` (share
        of the time in which a kernel ran, 0 to 1) and ``memory_peak_bytes``, of other processes on it, too."""
        over = self._over.is_set() and not self._thread.is_alive()
        wall, cpu = self._ended if over else (time.monotonic(), time.process_time())
        with self._lock:
            return {
                "wall_s": wall - self._began[0],
                "cpu_s": cpu - self._began[1],
                "rss_mean_bytes": self._rss_sum // max(self._samples, 1),
                "rss_peak_bytes": self._rss_peak,
                "gpu": None if self._gpu is None else self._gpu.figures(),
            }


class _Gpus:
    """The GPUs that this process may use."""

    def __init__(self, nvml: Any, handles: list[Any]) -> None:
        self._nvml, self._handles = nvml, handles
        name = nvml.nvmlDeviceGetName(handles[0])
        self._name = name.decode() if isinstance(name, bytes) else str(name)
        self._samples, self._sum, self._max, self._memory = 0, 0.0, 0.0, 0
        self._lost = False

    @classmethod
    def found(cls) -> _Gpus | None:
        """``None`` where there is no GPU, no driver or no library."""
        try:
            import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        try:
            handles = [_handle(pynvml, name) for name in _visible(pynvml.nvmlDeviceGetCount())]
            if handles:
                return cls(pynvml, handles)
        except pynvml.NVMLError:
            pass
        pynvml.nvmlShutdown()
        return None

    def sample(self) -> None:
        if self._lost:
            return
        try:
            busy = [self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100 for handle in self._handles]
            memory = sum(int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in self._handles)
        except self._nvml.NVMLError:
            self._lost = True
            return
        mean = sum(busy) / len(busy)
        self._samples += 1
        self._sum += mean
        self._max = max(self._max, mean)
        self._memory = max(self._memory, memory)

    def figures(self) -> dict[str, Any] | None:
        if self._lost or not self._samples:
            return None
        return {
            "name": self._name,
            "devices": len(self._handles),
            "utilisation_mean": self._sum / self._samples,
            "utilisation_max": self._max,
            "memory_peak_bytes": self._memory,
        }

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass


def _visible(count: int) -> list[int | str]:
    """The GPUs of ``CUDA_VISIBLE_DEVICES``: numbers, or names (UUIDs); as CUDA reads it, the first wrong one ends the list."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is None:
        return list(range(count))
    names: list[int | str] = []
    for name in (part.strip() for part in told.split(",")):
        if name.startswith(("GPU-", "MIG-")):
            names.append(name)
        elif name.isdigit() and int(name) < count:
            names.append(int(name))
        else:
            break
    return names


def _handle(nvml: Any, name: int | str) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(name) if isinstance(name, int) else nvml.nvmlDeviceGetHandleByUUID(name)


def _rss() -> int:
    """Bytes of this process in RAM now; where the kernel does not tell, its peak."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return _peak()


def _peak() -> int:
    """The most bytes of this process in RAM since it began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
