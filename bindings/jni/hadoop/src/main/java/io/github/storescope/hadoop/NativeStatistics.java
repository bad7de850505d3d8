// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.statistics.IOStatisticsSnapshot;

/** What the core has recorded, as Hadoop tells it. */
final class NativeStatistics {

  private NativeStatistics() {}

  /**
   * Adds each line, a name and a whole number. What grows is a counter; a share of a distribution is a gauge.
   */
  static void add(String lines, IOStatisticsSnapshot to) {
    for (String line : lines.split("\n")) {
      int space = line.lastIndexOf(' ');
      if (space > 0) {
        String name = line.substring(0, space);
        long value = Long.parseLong(line.substring(space + 1));
        (isGauge(name) ? to.gauges() : to.counters()).put(name, value);
      }
    }
  }

  private static boolean isGauge(String name) {
    return name.matches(".*[._](p\\d+|min|max|mean|median)([._].*)?");
  }
}
