# SPDX-License-Identifier: Apache-2.0
"""npm `hdr-histogram-js` and Maven `org.HdrHistogram` read our logs: equal counts and quantiles with PyPI's port.
`STORESCOPE_TEST_HDR_JS` is a folder with the npm package in its node_modules, `STORESCOPE_TEST_HDR_JAR` the jar."""

from __future__ import annotations

import json
import math
import os
import subprocess

import pytest

import exporting

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)

#: Prints the tag, count and the values at the percentiles of each interval, a JSON array a line.
NODE = """
const hdr = require("hdr-histogram-js");
const [file, asked] = [process.argv[2], JSON.parse(process.argv[3])];
const reader = new hdr.HistogramLogReader(require("fs").readFileSync(file, "utf8"));
let histogram;
while ((histogram = reader.nextIntervalHistogram()) != null) {
  const values = (asked[histogram.tag] || []).map((percentile) => histogram.getValueAtPercentile(percentile));
  console.log(JSON.stringify([histogram.tag, histogram.totalCount, ...values]));
}
"""

JAVA = """
import java.io.File;
import java.nio.file.*;
import java.util.*;
import org.HdrHistogram.*;

class Read {
  public static void main(String[] arguments) throws Exception {
    Map<String, double[]> asked = new HashMap<>();
    for (String line : Files.readAllLines(Path.of(arguments[1]))) {
      String[] words = line.split(" ");
      asked.put(words[0], Arrays.stream(words).skip(1).mapToDouble(Double::parseDouble).toArray());
    }
    HistogramLogReader reader = new HistogramLogReader(new File(arguments[0]));
    EncodableHistogram read;
    while ((read = reader.nextIntervalHistogram()) != null) {
      Histogram histogram = (Histogram) read;
      StringBuilder line = new StringBuilder("[\\"" + histogram.getTag() + "\\"," + histogram.getTotalCount());
      for (double percentile : asked.getOrDefault(histogram.getTag(), new double[0])) {
        line.append(',').append(histogram.getValueAtPercentile(percentile));
      }
      System.out.println(line.append(']'));
    }
  }
}
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The whole log, and the one by intervals, of a run that has ended."""
    folder = tmp_path_factory.mktemp("exports")
    with exporting.receiver() as receiver, exporting.exporting(folder, receiver.url) as running:
        running.end()
        return running.whole_log, running.interval_log


def percentiles(histogram) -> list[float]:
    """Of whole ranks, so that the ports' ways of rounding one are the same."""
    count = histogram.get_total_count()
    return [100 * max(1, math.ceil(quantile * count)) / count for quantile in QUANTILES]


def by_node(log, asked, folder) -> list[str]:
    (folder / "read.js").write_text(NODE)
    environment = {**os.environ, "NODE_PATH": os.environ["STORESCOPE_TEST_HDR_JS"] + "/node_modules"}
    return output(["node", str(folder / "read.js"), str(log), json.dumps(asked)], environment)


def by_java(log, asked, folder) -> list[str]:
    (folder / "Read.java").write_text(JAVA)
    lines = [" ".join([tag, *map(repr, numbers)]) for tag, numbers in asked.items()]
    (folder / "asked").write_text("\n".join(lines))
    command = ["java", "-cp", os.environ["STORESCOPE_TEST_HDR_JAR"], str(folder / "Read.java"), str(log), str(folder / "asked")]
    return output(command, dict(os.environ))


def output(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


@pytest.mark.parametrize("read", [by_node, by_java])
def test_the_whole_log(logs, read, tmp_path):
    histograms = exporting.histograms(logs[0])
    asked = {tag: percentiles(histogram) for tag, histogram in histograms.items()}
    told = {}
    for line in read(logs[0], asked, tmp_path):
        tag, *numbers = json.loads(line)
        assert tag not in told
        told[tag] = numbers
    expected = {
        tag: [histogram.get_total_count(), *(histogram.get_value_at_percentile(p) for p in asked[tag])]
        for tag, histogram in histograms.items()
    }
    assert told == expected


@pytest.mark.parametrize("read", [by_node, by_java])
def test_the_interval_log(logs, read, tmp_path):
    counts: dict[str, int] = {}
    for line in read(logs[1], {}, tmp_path):
        tag, count = json.loads(line)
        counts[tag] = counts.get(tag, 0) + count
    assert counts == {tag: histogram.get_total_count() for tag, histogram in exporting.histograms(logs[0]).items()}
