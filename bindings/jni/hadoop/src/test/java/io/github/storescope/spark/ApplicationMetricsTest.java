// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.apache.spark.scheduler.JobSucceeded$;
import org.apache.spark.scheduler.SparkListenerJobEnd;
import org.junit.jupiter.api.Test;

/** What the driver tells Prometheus. */
class ApplicationMetricsTest {

  @Test
  void samplesHaveTheCommonLabelsAndAreEscaped() {
    Exposition out = new Exposition("application_id", "app-1").family("seconds_total", "counter", "Help.");
    out.sample("seconds_total", 1.5, "name", "count at \"a\\b\"\nhere");
    out.sample("seconds_total", 3);
    assertEquals(
        "# HELP seconds_total Help.\n# TYPE seconds_total counter\n"
            + "seconds_total{application_id=\"app-1\",name=\"count at \\\"a\\\\b\\\"\\nhere\"} 1.500000000\n"
            + "seconds_total{application_id=\"app-1\"} 3\n",
        out.text());
  }

  @Test
  void jobsAndExecutorsAreTold() {
    Progress progress = new Progress(() -> 1_000, job -> new int[0]);
    progress.onJobEnd(new SparkListenerJobEnd(0, 5, JobSucceeded$.MODULE$));
    ApplicationMetrics metrics = new ApplicationMetrics("app-1", "small");
    metrics.stages(progress, Map.of());
    metrics.executors(progress, Map.of("2", new long[] {2_500_000_000L, 1_000_000_000L}));
    String text = metrics.text();
    assertTrue(text.contains("storescope_spark_jobs_total{application_id=\"app-1\",result=\"succeeded\"} 1\n"), text);
    assertTrue(text.contains("storescope_spark_application_info{application_id=\"app-1\",application_name=\"small\"} 1\n"), text);
    assertTrue(
        text.contains("storescope_spark_executor_task_seconds_total{application_id=\"app-1\",executor_id=\"2\"} 2.500000000\n"), text);
    assertTrue(text.contains("storescope_spark_executor_waiting_seconds_total{application_id=\"app-1\",executor_id=\"2\"} 1\n"), text);
    assertFalse(text.contains("storescope_spark_stage_seconds{"), text);
  }

  @Test
  void anAddressIsAPortOrAHostWithAPort() {
    assertEquals(9497, Options.address("metrics", "0.0.0.0:9497").getPort());
    assertTrue(Options.address("metrics", " 9497").getAddress().isLoopbackAddress());
    assertNull(Options.address("metrics", ""));
    for (String wrong : new String[] {"anywhere", "127.0.0.1:", "127.0.0.1:99999"}) {
      String said = assertThrows(IllegalArgumentException.class, () -> Options.address("metrics", wrong)).getMessage();
      assertTrue(said.contains("spark.storescope.metrics=" + wrong), said);
    }
  }
}
