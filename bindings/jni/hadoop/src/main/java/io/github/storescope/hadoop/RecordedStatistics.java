// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the core has recorded, sorted into Hadoop's kinds of statistics: times and quantiles are gauges, all else counters. */
final class RecordedStatistics {

  final Map<String, Long> counters = new LinkedHashMap<>();
  final Map<String, Long> gauges = new LinkedHashMap<>();

  private RecordedStatistics() {}

  /** What the core has recorded, as lines. */
  interface Source {
    String lines() throws IOException;
  }

  /** Empty where it is closed already. */
  static RecordedStatistics of(Source recorded) {
    RecordedStatistics sorted = new RecordedStatistics();
    try {
      for (String line : recorded.lines().split("\n")) {
        int space = line.indexOf(' ');
        if (space > 0) {
          String name = line.substring(0, space);
          (name.endsWith("_ns") ? sorted.gauges : sorted.counters).put(name, Long.valueOf(line.substring(space + 1)));
        }
      }
    } catch (IOException closed) {
      return sorted;
    }
    return sorted;
  }
}
