// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

/** A scope that all calls of this JVM are recorded in, and what is in it: counts by HdrHistogram's own reader. */
final class Recorded implements AutoCloseable {

  final Recording.Scope scope = new Recording.Scope("test");
  private final Supplier<Recording.Scope> current = () -> scope;

  /** How many, and their sum. */
  static final class Values {
    final long count;
    final long sum;

    private Values(long count, long sum) {
      this.count = count;
      this.sum = sum;
    }
  }

  Recorded() throws IOException {
    Recording.attribute(current);
  }

  /** What is new, by tag. */
  Map<String, Values> take() throws IOException {
    byte[] log = scope.take();
    Map<String, Values> values = new TreeMap<>();
    HistogramLogReader reader = new HistogramLogReader(new ByteArrayInputStream(log));
    for (EncodableHistogram one = reader.nextIntervalHistogram(); one != null; one = reader.nextIntervalHistogram()) {
      values.put(one.getTag(), new Values(((Histogram) one).getTotalCount(), exactSum(log, one.getTag())));
    }
    return values;
  }

  private static long exactSum(byte[] log, String tag) {
    String start = "#[Exact: " + tag + " ";
    return new String(log, StandardCharsets.US_ASCII)
        .lines()
        .filter(line -> line.startsWith(start))
        .mapToLong(line -> Long.parseLong(line.substring(start.length()).split(" ")[0]))
        .sum();
  }

  /** The same as {@code 3 get ok 1000, 1 head not_found}: how many calls, and the bytes of those that moved any. */
  String calls() throws IOException {
    Map<String, Values> values = take();
    StringBuilder text = new StringBuilder();
    for (Map.Entry<String, Values> entry : values.entrySet()) {
      String[] tag = entry.getKey().split("/");
      if (tag[0].equals("call") && tag[2].equals("total")) {
        text.append(text.length() == 0 ? "" : ", ").append(entry.getValue().count).append(' ').append(tag[1]);
        text.append(' ').append(tag[3]);
        Values bytes = values.get(String.join("/", "call", tag[1], "bytes_delivered", tag[3], "-", "-"));
        text.append(bytes == null ? "" : " " + bytes.sum);
      }
    }
    return text.toString();
  }

  @Override
  public void close() {
    Recording.end(current);
    scope.close();
  }
}
