// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import com.codahale.metrics.Gauge;
import io.github.storescope.hadoop.TimedFileSystems;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkJobInfo;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The plugin in the driver: it adds up what executors send, shows it, and leaves a report. */
final class DriverSide implements DriverPlugin {

  private static final Logger LOG = LoggerFactory.getLogger(DriverSide.class);

  /** How long the end of the application waits for the last messages of its executors, in milliseconds. */
  private static final long PATIENCE_MILLIS = 3_000;

  private SparkContext spark;
  private Options options;
  private Application application;
  /** Null where tasks run in the driver, whose executor side records all. */
  private Recorder recorder;
  private Pages page;
  /** What Prometheus reads; null where it is not asked for, or cannot be. */
  private Pages metrics;
  private ScheduledExecutorService timer;
  /** Whether the last report could not be written: told once. */
  private boolean failing;

  @Override
  public Map<String, String> init(SparkContext context, PluginContext plugin) {
    // A setting that means nothing ends the application, with its name: better than a report that is missing at its end.
    options = Options.of(plugin.conf());
    spark = context;
    // The configuration that Spark itself holds: before it tells anybody of it.
    Redaction.widen(plugin.conf(), context.hadoopConfiguration());
    TimedFileSystems.install(context.hadoopConfiguration(), options.timed);
    try {
      application = new Application(context.appName(), job -> stages(context, job));
      context.addSparkListener(application.progress());
      if (!context.isLocal()) {
        recorder = new Recorder(plugin.executorID(), options.sendMillis, null, application::receive);
      }
      if (options.page) {
        page = showReport(context);
        LOG.info("storescope shows what this application waits for at http://{}/", page.address());
      }
      metrics = showMetrics(context);
      if (options.report != null) {
        timer =
            Executors.newSingleThreadScheduledExecutor(
                work -> {
                  Thread thread = new Thread(work, "storescope-report");
                  thread.setDaemon(true);
                  return thread;
                });
        timer.scheduleWithFixedDelay(
            // Soon for the first time, so that a folder that cannot be written is told at once.
            () -> write(options.report, false), Math.min(options.reportMillis, 1_000), options.reportMillis, TimeUnit.MILLISECONDS);
      }
    } catch (IOException | RuntimeException e) {
      LOG.warn("storescope records nothing of this application", e);
    }
    return Collections.emptyMap();
  }

  private Pages showReport(SparkContext context) throws IOException {
    String text = "text/plain; charset=utf-8";
    return new Pages(
        "storescope-page",
        new InetSocketAddress("127.0.0.1", 0),
        Map.of(
            "/", new Pages.Page("text/html; charset=utf-8", () -> report(context).page),
            "/run.json", new Pages.Page("application/json", () -> report(context).json),
            "/run.hlog", new Pages.Page(text, () -> report(context).hlog)));
  }

  private Application.Report report(SparkContext context) throws IOException {
    return application.report(context.applicationId(), false);
  }

  /** What Prometheus reads. Where it cannot listen the application goes on without. */
  private Pages showMetrics(SparkContext context) {
    if (options.metrics == null) {
      return null;
    }
    try {
      Pages.Page page = new Pages.Page(Exposition.CONTENT_TYPE, () -> application.metrics(context.applicationId()));
      Pages pages = new Pages("storescope-metrics", options.metrics, Map.of("/metrics", page));
      LOG.info("storescope's metrics of stages and executors are at http://{}/metrics", pages.address());
      return pages;
    } catch (IOException | RuntimeException e) {
      LOG.warn("storescope cannot show metrics at spark.storescope.metrics={}", options.metrics, e);
      return null;
    }
  }

  private static int[] stages(SparkContext context, int job) {
    scala.Option<SparkJobInfo> found = context.statusTracker().getJobInfo(job);
    return found.isEmpty() ? null : found.get().stageIds();
  }

  @Override
  public void registerMetrics(String applicationId, PluginContext plugin) {
    Figures.register(plugin.metricRegistry());
    if (application != null) {
      plugin.metricRegistry().register("received.messages", (Gauge<Long>) application::received);
      plugin.metricRegistry().register("received.bytes", (Gauge<Long>) application::receivedBytes);
    }
  }

  @Override
  public Object receive(Object message) {
    if (application != null && message instanceof byte[]) {
      application.receive((byte[]) message);
    }
    return null;
  }

  /** Writes the report so far. What cannot be written is told once, and again at the end. */
  private synchronized boolean write(String parent, boolean over) {
    ReportFolder folder = new ReportFolder(parent, spark.applicationId(), spark.hadoopConfiguration());
    try {
      folder.write(application.report(spark.applicationId(), over));
      failing = false;
      if (over) {
        LOG.info("storescope's report is in {}", folder.path());
      }
      return true;
    } catch (IOException | RuntimeException e) {
      if (!failing || over) {
        LOG.warn(
            "storescope's report could not be written to {}; spark.storescope.report names its folder", folder.path(), e);
      }
      failing = true;
      return false;
    }
  }

  /** Writes it for the last time: where its folder does not take it, beside the machine's temporary files. */
  private void writeLast() {
    if (!write(options.report, true)) {
      write("file://" + System.getProperty("java.io.tmpdir") + "/storescope", true);
    }
  }

  @Override
  public void shutdown() {
    if (application == null) {
      return;
    }
    try {
      application.awaitAll(PATIENCE_MILLIS);
      if (recorder != null) {
        recorder.close();
      }
      if (timer != null) {
        timer.shutdownNow();
        writeLast();
      }
      for (String line : application.lines()) {
        LOG.info("{}", line);
      }
    } catch (IOException e) {
      LOG.warn("storescope's figures are lost", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      for (Pages pages : new Pages[] {page, metrics}) {
        if (pages != null) {
          pages.close();
        }
      }
      application.close();
    }
  }
}
