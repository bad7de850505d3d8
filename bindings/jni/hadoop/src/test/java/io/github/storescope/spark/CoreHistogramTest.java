// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.codahale.metrics.Snapshot;
import org.junit.jupiter.api.Test;

/** Quantiles are those of all values, not of a sample. */
class CoreHistogramTest {

  /** Ninety values of 10, nine of 100 to 101, one of 1,000 to 1,007. */
  private static final long[] BUCKETS = {100, 2_811, 10, 1_004, 10, 10, 90, 100, 101, 9, 1_000, 1_007, 1};

  @Test
  void quantilesAreByRank() {
    CoreHistogram histogram = new CoreHistogram(() -> BUCKETS);
    assertEquals(100, histogram.getCount());
    Snapshot snapshot = histogram.getSnapshot();
    assertEquals(10, snapshot.getMedian());
    assertEquals(10, snapshot.getValue(0.9));
    assertEquals(101, snapshot.getValue(0.91));
    assertEquals(101, snapshot.get99thPercentile());
    // No value is above the largest.
    assertEquals(1_004, snapshot.get999thPercentile());
    assertEquals(28.11, snapshot.getMean(), 1e-9);
    assertEquals(10, snapshot.getMin());
  }

  @Test
  void nothingHasNoQuantiles() {
    Snapshot snapshot = new CoreHistogram(() -> new long[4]).getSnapshot();
    assertEquals(0, snapshot.getMedian());
    assertEquals(0, snapshot.getMean());
    assertEquals(0, snapshot.getStdDev());
  }

  @Test
  void itTakesNoValues() {
    assertThrows(UnsupportedOperationException.class, () -> new CoreHistogram(() -> BUCKETS).update(5));
  }
}
