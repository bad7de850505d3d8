# SPDX-License-Identifier: Apache-2.0
"""`Store.get_ranges` beside the same call in Rust: 1,000 ranges of 64 KiB, none beside another, from the emulator without
latency.

    STORESCOPE_BIN=…/storescope python benches/python/get_ranges.py …/examples/get_ranges [--rounds 12]

Either side is a process that reads five times and tells the last four; processes take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

COUNT, BYTES, EVERY = 1000, 64 << 10, 256 << 10


def read_here(url: str) -> None:
    import storescope

    bucket, key = url.rsplit("/", 1)
    store = storescope.open_store(f"{bucket}/")
    ranges = [(at * EVERY, at * EVERY + BYTES) for at in range(COUNT)]
    for _ in range(5):
        begun = time.perf_counter()
        read = store.get_ranges(key, ranges)
        assert sum(map(len, read)) == COUNT * BYTES
        print(time.perf_counter() - begun)


def measured(command: list[str], environment: dict[str, str]) -> list[float]:
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return [float(line) for line in told.split()][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rust", help="the binary of examples/get_ranges.rs")
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    binary = os.environ["STORESCOPE_BIN"]
    with subprocess.Popen([binary, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            oci = json.loads(server.stdout.readline())["oci"]
            environment = {
                **os.environ,
                "STORESCOPE_ENDPOINT": oci["endpoint"],
                "STORESCOPE_CONFIG_FILE": oci["config_file"],
            }
            url = f"oci://demo@{oci['namespace']}/object"
            with tempfile.NamedTemporaryFile() as file:
                file.truncate(COUNT * EVERY)
                subprocess.run([binary, "cp", file.name, url], env=environment, check=True, stdout=subprocess.DEVNULL)
            rust = [arguments.rust, url, str(COUNT), str(BYTES), str(EVERY)]
            python = [sys.executable, __file__, "--read", url]
            pairs = [(measured(rust, environment), measured(python, environment)) for _ in range(arguments.rounds)]
        finally:
            server.terminate()
    ratios = sorted(statistics.median(rust) / statistics.median(python) for rust, python in pairs)
    for name, side in (("Rust", 0), ("Python", 1)):
        times = [seconds for pair in pairs for seconds in pair[side]]
        rate = COUNT * BYTES / 1e6 / statistics.median(times)
        print(f"{name}: median {statistics.median(times) * 1e3:.1f} ms [{min(times) * 1e3:.1f}, {max(times) * 1e3:.1f}], {rate:.0f} MB/s")
    print(f"Python's rate / Rust's: median {statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}] of {len(ratios)} pairs")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read_here(sys.argv[2])
    else:
        main()
