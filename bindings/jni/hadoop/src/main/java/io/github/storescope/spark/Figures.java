// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import com.codahale.metrics.Gauge;
import com.codahale.metrics.MetricRegistry;
import io.github.storescope.hadoop.Profile;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * What this JVM has recorded, as metrics of Spark's registry: for its sinks (Prometheus, Graphite, JMX, CSV). Sums are gauges
 * that grow, since their values are made elsewhere; times are histograms whose quantiles are those of the core's own, of all
 * since the JVM began.
 */
final class Figures {

  private static final String[] OPERATIONS = {"get", "head", "list", "put", "put_part", "delete", "delete_many", "copy", "rename"};
  private static final String[][] TIMES = {
    {"call", "get", "total"}, {"attempt", "get", "ttfb"}, {"attempt", "get", "total"}, {"attempt", "head", "total"},
    {"attempt", "list", "total"}, {"attempt", "put", "total"}, {"attempt", "put_part", "total"}
  };
  /** How long a look at the core's figures serves. */
  private static final long FRESH_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  private Map<String, Long> figures = Map.of();
  private long seen;

  private Figures() {}

  /** Registers all of them. */
  static void register(MetricRegistry registry) {
    Figures figures = new Figures();
    for (String operation : OPERATIONS) {
      figures.sum(registry, operation + ".requests", "attempt_" + operation + "_count");
      figures.sum(registry, operation + ".failures", "attempt_" + operation + "_failures");
      figures.sum(registry, operation + ".calls", "call_" + operation + "_count");
    }
    figures.sum(registry, "get.bytes", "attempt_get_bytes_delivered");
    figures.sum(registry, "get.bytesDiscarded", "attempt_get_bytes_discarded");
    for (String[] key : TIMES) {
      registry.register(
          key[0] + "." + key[1] + "." + key[2] + ".nanoseconds",
          new CoreHistogram(() -> Profile.buckets(key[0], key[1], key[2])));
    }
    figures.aliases(registry);
  }

  /** The names of CERN's plugins, with what they are meant to say: time that reads took, bytes and operations. */
  private void aliases(MetricRegistry registry) {
    for (String prefix : new String[] {"OCI", "S3A"}) {
      registry.register(prefix + "ReadTimeMuSec", (Gauge<Long>) () -> figure("call_get_total_sum_ns") / 1_000);
      registry.register(prefix + "BytesRead", (Gauge<Long>) this::bytesRead);
    }
    registry.register("S3AGetObjectMetadataMuSec", (Gauge<Long>) () -> figure("call_head_total_sum_ns") / 1_000);
    registry.register("bytesRead", (Gauge<Long>) this::bytesRead);
    sum(registry, "readOps", "call_get_count");
    registry.register(
        "bytesWritten",
        (Gauge<Long>) () -> figure("attempt_put_bytes_delivered") + figure("attempt_put_part_bytes_delivered"));
    registry.register("writeOps", (Gauge<Long>) () -> figure("attempt_put_count") + figure("attempt_put_part_count"));
  }

  /** Of the core's own requests, and of calls of other FileSystems that are timed. */
  private long bytesRead() {
    return figure("attempt_get_bytes_delivered") + figure("call_get_bytes_delivered");
  }

  private void sum(MetricRegistry registry, String name, String figure) {
    registry.register(name, (Gauge<Long>) () -> figure(figure));
  }

  private synchronized long figure(String name) {
    long now = System.nanoTime();
    if (seen == 0 || now - seen > FRESH_NANOS) {
      try {
        figures = Profile.figures();
      } catch (IOException e) {
        return 0;
      }
      seen = now;
    }
    return figures.getOrDefault(name, 0L);
  }
}
