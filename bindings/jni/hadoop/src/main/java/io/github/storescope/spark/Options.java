// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.net.InetSocketAddress;
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
  /** Where the driver tells Prometheus of stages and executors; null for nowhere. */
  final InetSocketAddress metrics;
  /** Whether Python workers are asked for what they have recorded. */
  final boolean python;
  /** Schemes of other FileSystems whose reads are timed. */
  final List<String> timed;

  private Options(SparkConf conf) {
    report = conf.get(PREFIX + "report", "").isBlank() ? null : conf.get(PREFIX + "report").trim();
    reportMillis = millis(conf, "report.interval", "60s");
    sendMillis = millis(conf, "send.interval", "5s");
    page = conf.getBoolean(PREFIX + "page", true);
    metrics = address("metrics", conf.get(PREFIX + "metrics", ""));
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

  /**
   * A port of 127.0.0.1, or {@code host:port}; null for nothing.
   *
   * @throws IllegalArgumentException for what is neither, with the setting's name
   */
  static InetSocketAddress address(String name, String given) {
    String text = given.trim();
    if (text.isEmpty()) {
      return null;
    }
    int colon = text.lastIndexOf(':');
    String host = colon <= 0 ? "127.0.0.1" : text.substring(0, colon);
    try {
      // The host is an address or a name that resolves here: it is this machine's.
      return new InetSocketAddress(host, Integer.parseInt(text.substring(colon + 1)));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          PREFIX + name + "=" + text + " is neither a port nor an address with a port, such as 0.0.0.0:9497", e);
    }
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
