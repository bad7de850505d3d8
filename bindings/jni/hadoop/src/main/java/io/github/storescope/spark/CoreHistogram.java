// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import com.codahale.metrics.Histogram;
import com.codahale.metrics.Reservoir;
import com.codahale.metrics.Snapshot;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;

/** A histogram of the core as one of Dropwizard's. It takes no values: they are recorded in the core. */
final class CoreHistogram extends Histogram {

  /** As {@code Profile.buckets} gives them. */
  interface Buckets {
    long[] get() throws IOException;
  }

  private final Buckets buckets;

  CoreHistogram(Buckets buckets) {
    super(new NoReservoir());
    this.buckets = buckets;
  }

  @Override
  public long getCount() {
    return look().count;
  }

  @Override
  public Snapshot getSnapshot() {
    return look();
  }

  private Exact look() {
    try {
      return new Exact(buckets.get());
    } catch (IOException e) {
      return new Exact(new long[4]);
    }
  }

  /** All values, each as its bucket tells it: within 0.78 %. Count, sum, smallest and largest are exact. */
  private static final class Exact extends Snapshot {

    private final long[] numbers;
    private final long count;
    private final long sum;

    private Exact(long[] numbers) {
      this.numbers = numbers;
      count = numbers[0];
      sum = numbers[1];
    }

    @Override
    public double getValue(double quantile) {
      long rank = Math.max(1, (long) Math.ceil(Math.min(1, Math.max(0, quantile)) * count));
      long before = 0;
      for (int at = 4; at < numbers.length; at += 3) {
        before += numbers[at + 2];
        if (before >= rank) {
          return Math.min(numbers[at + 1], getMax());
        }
      }
      return 0;
    }

    /** None: they are counts of buckets. */
    @Override
    public long[] getValues() {
      return new long[0];
    }

    @Override
    public int size() {
      return (int) Math.min(Integer.MAX_VALUE, count);
    }

    @Override
    public long getMin() {
      return numbers[2];
    }

    @Override
    public long getMax() {
      return numbers[3];
    }

    @Override
    public double getMean() {
      return count == 0 ? 0 : (double) sum / count;
    }

    @Override
    public double getStdDev() {
      if (count < 2) {
        return 0;
      }
      double squares = 0;
      for (int at = 4; at < numbers.length; at += 3) {
        double apart = (numbers[at] + numbers[at + 1]) / 2.0 - getMean();
        squares += apart * apart * numbers[at + 2];
      }
      return Math.sqrt(squares / (count - 1));
    }

    @Override
    public void dump(OutputStream output) {
      PrintWriter out = new PrintWriter(new java.io.OutputStreamWriter(output, StandardCharsets.UTF_8));
      for (int at = 4; at < numbers.length; at += 3) {
        out.printf("%d %d %d%n", numbers[at], numbers[at + 1], numbers[at + 2]);
      }
      out.flush();
    }
  }

  /** What Dropwizard asks for. */
  private static final class NoReservoir implements Reservoir {

    @Override
    public int size() {
      return 0;
    }

    @Override
    public void update(long value) {
      throw new UnsupportedOperationException("values of this histogram are recorded in the core");
    }

    @Override
    public Snapshot getSnapshot() {
      return new Exact(new long[4]);
    }
  }
}
