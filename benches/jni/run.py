# SPDX-License-Identifier: Apache-2.0
"""The jar's streams beside the same reads in Rust, from the emulator without latency.

    STORESCOPE_BIN=…/storescope python benches/jni/run.py …/examples/read_patterns JAR HADOOP_CLASSPATH [--rounds 12]

JAR is storescope-hadoop's; HADOOP_CLASSPATH holds hadoop-common and what it needs (`mvn dependency:build-classpath` in
bindings/jni/hadoop, or the jars of pyspark). Either side is a process that reads eight times and tells the last four;
processes take turns. Prints the median of the ratios of the two rates, and their interval.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

SIZE = 256 << 20
PATTERNS = ["in-order", "vectored", "scattered"]
ROUNDS, WARM = 8, 4


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """The median of a process's rounds in seconds, and the bytes of each."""
    told = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    rounds = [line.split() for line in told.splitlines()][WARM:]
    return statistics.median(float(seconds) for seconds, _ in rounds), int(rounds[0][1])


def interval(ratios: list[float]) -> tuple[float, float]:
    """The order statistics around the median that hold it with 95 %."""
    ordered = sorted(ratios)
    reach = int(0.98 * len(ordered) ** 0.5)
    middle = len(ordered) // 2
    return ordered[max(0, middle - reach)], ordered[min(len(ordered) - 1, middle + reach)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rust", help="the binary of examples/read_patterns.rs")
    parser.add_argument("jar", help="storescope-hadoop-VERSION.jar")
    parser.add_argument("classpath", help="Hadoop's jars, with colons between")
    parser.add_argument("--rounds", type=int, default=12)
    asked = parser.parse_args()
    binary = os.environ["STORESCOPE_BIN"]
    source = Path(__file__).parent / "java/ReadPatterns.java"
    with tempfile.TemporaryDirectory() as scratch, subprocess.Popen(
        [binary, "serve", "--bucket", "bench"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            oci = json.loads(server.stdout.readline())["oci"]
            environment = {
                **os.environ,
                "STORESCOPE_ENDPOINT": oci["endpoint"],
                "STORESCOPE_CONFIG_FILE": oci["config_file"],
            }
            url = f"oci://bench@{oci['namespace']}/object"
            file = Path(scratch) / "object"
            with file.open("wb") as out:
                out.truncate(SIZE)
            subprocess.run([binary, "cp", str(file), url], env=environment, check=True, stdout=subprocess.DEVNULL)
            classpath = f"{scratch}:{asked.jar}:{asked.classpath}"
            subprocess.run(["javac", "-cp", classpath, "-d", scratch, str(source)], check=True)
            java = ["java", "-Xmx2g", "-cp", classpath, "io.github.storescope.benches.ReadPatterns", url]
            for pattern in PATTERNS:
                ratios = []
                for turn in range(asked.rounds):
                    commands = [("rust", [asked.rust, url]), ("jvm", java)]
                    taken = {}
                    for name, command in commands if turn % 2 else commands[::-1]:
                        taken[name] = measured([*command, pattern, str(ROUNDS)], environment)
                    assert taken["rust"][1] == taken["jvm"][1], taken
                    ratios.append(taken["rust"][0] / taken["jvm"][0])
                low, high = interval(ratios)
                rate = taken["jvm"][1] / taken["jvm"][0] / 1e6
                print(f"{pattern}: {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}] of Rust's rate ({rate:.0f} MB/s)")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
