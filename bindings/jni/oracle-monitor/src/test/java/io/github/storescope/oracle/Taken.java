// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.oracle;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.storescope.hadoop.SharedScopes;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

/** What was recorded in the scope {@code oracle} since the last time: counts by HdrHistogram's own reader. */
final class Taken {

  /** Of each key, how many and their sum. */
  private final Map<String, long[]> values = new TreeMap<>();

  static Taken take() throws IOException {
    byte[] log = SharedScopes.of(StorescopeMonitor.SCOPE).take();
    Taken taken = new Taken();
    HistogramLogReader reader = new HistogramLogReader(new ByteArrayInputStream(log));
    for (EncodableHistogram one = reader.nextIntervalHistogram(); one != null; one = reader.nextIntervalHistogram()) {
      long[] values = {((Histogram) one).getTotalCount(), exactSum(log, one.getTag())};
      taken.values.put(one.getTag().replace("/-/-", ""), values);
    }
    return taken;
  }

  /** The same, up to a call of this key: the connector tells them in their order, on a thread of its own. */
  static Taken upTo(String last) throws IOException {
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    Taken taken = take();
    while (taken.count(last) == 0) {
      assertTrue(System.nanoTime() < deadline, "never told: " + last + "; but " + taken);
      Thread.yield();
      taken.add(take());
    }
    return taken;
  }

  private void add(Taken later) {
    later.values.forEach(
        (key, more) -> values.merge(key, more, (one, two) -> new long[] {one[0] + two[0], one[1] + two[1]}));
  }

  private static long exactSum(byte[] log, String tag) {
    String start = "#[Exact: " + tag + " ";
    return new String(log, StandardCharsets.US_ASCII)
        .lines()
        .filter(line -> line.startsWith(start))
        .mapToLong(line -> Long.parseLong(line.substring(start.length()).split(" ")[0]))
        .findFirst()
        .orElseThrow();
  }

  /** The count and the sum of a key, or null. */
  String of(String key) {
    long[] found = values.get(key);
    return found == null ? null : found[0] + " " + found[1];
  }

  long count(String key) {
    return values.getOrDefault(key, new long[1])[0];
  }

  int size() {
    return values.size();
  }

  @Override
  public String toString() {
    return values.keySet().stream().map(key -> key + " " + of(key)).collect(Collectors.joining(", "));
  }
}
