// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.spark.SparkConf;

/** The plugin's settings, {@code spark.storescope.…}. */
final class Options {

  private static final String PREFIX = "spark.storescope.";

  /** A folder, by a path of any Hadoop FileSystem; the report of an application goes into one of its id there. Null for none. */
  final String report;
  /** How often the report is written while the application runs, in milliseconds. */
  final long reportMillis;
  /** How often executors tell at least what they have recorded, in milliseconds. */
  final long sendMillis;
  /** Whether the driver shows a page. */
  final boolean page;
  /** Whether Python workers are asked for what they have recorded. */
  final boolean python;
  /** Schemes of other FileSystems whose reads are timed. */
  final List<String> timed;

  private Options(SparkConf conf) {
    report = conf.get(PREFIX + "report", "").isBlank() ? null : conf.get(PREFIX + "report").trim();
    reportMillis = millis(conf, "report.interval", "60s");
    sendMillis = millis(conf, "send.interval", "5s");
    page = conf.getBoolean(PREFIX + "page", true);
    python = conf.getBoolean(PREFIX + "python", true);
    timed =
        Arrays.stream(conf.get(PREFIX + "time", "").split(","))
            .map(String::trim)
            .filter(scheme -> !scheme.isEmpty())
            .collect(Collectors.toList());
  }

  /**
   * Reads them.
   *
   * @throws IllegalArgumentException for one that means nothing, with its name
   */
  static Options of(SparkConf conf) {
    return new Options(conf);
  }

  private static long millis(SparkConf conf, String name, String otherwise) {
    long millis;
    try {
      millis = conf.getTimeAsMs(PREFIX + name, otherwise);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(PREFIX + name + "=" + conf.get(PREFIX + name) + " is no time, such as 5s", e);
    }
    if (millis < 1) {
      throw new IllegalArgumentException(PREFIX + name + "=" + conf.get(PREFIX + name) + " must be above zero");
    }
    return millis;
  }
}
