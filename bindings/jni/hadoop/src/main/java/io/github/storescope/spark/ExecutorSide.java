// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskFailedReason;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The plugin in an executor: it records, and sends to the driver. Whatever goes wrong here is logged, and hinders no task. */
final class ExecutorSide implements ExecutorPlugin {

  private static final Logger LOG = LoggerFactory.getLogger(ExecutorSide.class);

  /** Null where the native library cannot be loaded. */
  private Recorder recorder;

  @Override
  public void init(PluginContext context, Map<String, String> told) {
    try {
      Options options = Options.of(context.conf());
      recorder = new Recorder(context.executorID(), options.sendMillis, workers(options), context::send);
      if (!context.executorID().equals(Recorder.DRIVER)) {
        // Where tasks run in the driver, it registers them itself.
        Figures.register(context.metricRegistry());
      }
    } catch (IOException | RuntimeException e) {
      LOG.warn("storescope records nothing in executor {}", context.executorID(), e);
    }
  }

  /** Makes the folder in which this executor's Python workers are met; null where they are not to be met, or cannot be. */
  private static String workers(Options options) {
    if (!options.python) {
      return null;
    }
    try {
      File[] local = SparkEnv.get().blockManager().diskBlockManager().localDirs();
      return Files.createDirectories(local[0].toPath().resolve("storescope")).toString();
    } catch (IOException | RuntimeException | LinkageError e) {
      LOG.warn("storescope does not record what Python workers read", e);
      return null;
    }
  }

  @Override
  public void onTaskStart() {
    if (recorder != null) {
      recorder.taskBegins();
    }
  }

  @Override
  public void onTaskSucceeded() {
    if (recorder != null) {
      recorder.taskEnds();
    }
  }

  @Override
  public void onTaskFailed(TaskFailedReason reason) {
    if (recorder != null) {
      recorder.taskEnds();
    }
  }

  @Override
  public void shutdown() {
    if (recorder != null) {
      recorder.close();
    }
  }
}
