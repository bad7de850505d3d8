// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.MeanStatistic;
import org.apache.hadoop.fs.statistics.StreamStatisticNames;

/**
 * What a stream has done, live: Hadoop's counters, and what the core recorded of its requests. Counts and bytes are counters;
 * times are gauges in nanoseconds, {@code attempt_get_ttfb_p99_ns} for one.
 */
final class StreamStatistics implements IOStatistics {

  final AtomicLong bytes = new AtomicLong();
  final AtomicLong operations = new AtomicLong();
  final AtomicLong seeks = new AtomicLong();
  final AtomicLong unbuffered = new AtomicLong();
  private final AtomicLong vectoredReads = new AtomicLong();
  private final AtomicLong vectoredRanges = new AtomicLong();
  private final AtomicLong vectoredBytes = new AtomicLong();
  private final boolean reads;
  private final RecordedStatistics.Source recorded;

  private StreamStatistics(boolean reads, RecordedStatistics.Source recorded) {
    this.reads = reads;
    this.recorded = recorded;
  }

  static StreamStatistics ofReads(RecordedStatistics.Source recorded) {
    return new StreamStatistics(true, recorded);
  }

  static StreamStatistics ofWrites(RecordedStatistics.Source recorded) {
    return new StreamStatistics(false, recorded);
  }

  void vectored(int ranges, long wanted) {
    vectoredReads.incrementAndGet();
    vectoredRanges.addAndGet(ranges);
    vectoredBytes.addAndGet(wanted);
  }

  @Override
  public Map<String, Long> counters() {
    Map<String, Long> counters = new LinkedHashMap<>();
    if (reads) {
      counters.put(StreamStatisticNames.STREAM_READ_BYTES, bytes.get());
      counters.put(StreamStatisticNames.STREAM_READ_OPERATIONS, operations.get());
      counters.put(StreamStatisticNames.STREAM_READ_SEEK_OPERATIONS, seeks.get());
      counters.put(StreamStatisticNames.STREAM_READ_UNBUFFERED, unbuffered.get());
      counters.put(StreamStatisticNames.STREAM_READ_VECTORED_OPERATIONS, vectoredReads.get());
      counters.put(StreamStatisticNames.STREAM_READ_VECTORED_INCOMING_RANGES, vectoredRanges.get());
      counters.put("stream_read_vectored_bytes", vectoredBytes.get());
    } else {
      counters.put(StreamStatisticNames.STREAM_WRITE_BYTES, bytes.get());
    }
    counters.putAll(RecordedStatistics.of(recorded).counters);
    return counters;
  }

  @Override
  public Map<String, Long> gauges() {
    return RecordedStatistics.of(recorded).gauges;
  }

  @Override
  public Map<String, Long> minimums() {
    return Collections.emptyMap();
  }

  @Override
  public Map<String, Long> maximums() {
    return Collections.emptyMap();
  }

  @Override
  public Map<String, MeanStatistic> meanStatistics() {
    return Collections.emptyMap();
  }
}
