// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Stages and executors of an application as Prometheus' text. Stages are those that run and the last that began, so that a long
 * application has no more series than a short one; executors are added up over all stages.
 */
final class ApplicationMetrics {

  /** How many attempts of stages are told. */
  static final int MOST_STAGES = 100;

  private static final String STAGE = "storescope_spark_stage_";
  private static final String EXECUTOR = "storescope_spark_executor_";
  private static final double NANOS = 1e9;

  private final Exposition out;

  /** Of the application with this id and name. */
  ApplicationMetrics(String id, String name) {
    out =
        new Exposition("application_id", id)
            .family("storescope_spark_application_info", "gauge", "The application's name.")
            .family("storescope_spark_jobs_total", "counter", "Jobs that ended, by result.")
            .family("storescope_spark_stages_failed_total", "counter", "Attempts of stages that failed.")
            .family("storescope_spark_stages_running", "gauge", "Stages that run.")
            .family(STAGE + "running", "gauge", "1 while the stage runs.")
            .family(STAGE + "seconds", "gauge", "Wall time of the stage so far.")
            .family(STAGE + "task_seconds_total", "counter", "Time of the stage's tasks.")
            .family(STAGE + "waiting_seconds_total", "counter", "Time that the stage's tasks waited for storage.")
            .family(STAGE + "tasks_total", "counter", "Tasks of the stage that ended, by result.")
            .family(EXECUTOR + "task_seconds_total", "counter", "Time of the executor's tasks.")
            .family(EXECUTOR + "waiting_seconds_total", "counter", "Time that the executor's tasks waited for storage.")
            .family(EXECUTOR + "active_tasks", "gauge", "Tasks at work.")
            .family(EXECUTOR + "tasks_total", "counter", "Tasks that ended, by result.")
            .family(EXECUTOR + "part_seconds_total", "counter", "Parts of the time of tasks that ended, by Spark's task metrics.")
            .family(EXECUTOR + "bytes_total", "counter", "Bytes of tasks that ended, by Spark's task metrics.");
    out.sample("storescope_spark_application_info", 1, "application_name", name);
  }

  /**
   * Adds stages and jobs.
   *
   * @param time task time and waiting of each attempt, in nanoseconds
   */
  void stages(Progress progress, Map<Long, long[]> time) {
    long[] outcomes = progress.outcomes();
    out.sample("storescope_spark_jobs_total", outcomes[0], "result", "succeeded");
    out.sample("storescope_spark_jobs_total", outcomes[1], "result", "failed");
    out.sample("storescope_spark_stages_failed_total", outcomes[2]);
    List<Progress.Stage> stages = new ArrayList<>();
    progress.each(stages::add);
    int first = Math.max(0, stages.size() - MOST_STAGES);
    int running = 0;
    long now = System.currentTimeMillis();
    for (int at = 0; at < stages.size(); at++) {
      Progress.Stage stage = stages.get(at);
      running += stage.runs() ? 1 : 0;
      if (at >= first || stage.runs()) {
        stage(stage, time.getOrDefault((long) stage.stage << 32 | stage.attempt, new long[2]), now);
      }
    }
    out.sample("storescope_spark_stages_running", running);
  }

  private void stage(Progress.Stage stage, long[] time, long now) {
    String[] labels = {"stage", Integer.toString(stage.stage), "attempt", Integer.toString(stage.attempt)};
    if (stage.runs()) {
      out.sample(STAGE + "running", 1, with(labels, "job", Integer.toString(stage.job), "name", stage.name()));
    }
    out.sample(STAGE + "seconds", stage.millis(now) / 1e3, labels);
    out.sample(STAGE + "task_seconds_total", time[0] / NANOS, labels);
    out.sample(STAGE + "waiting_seconds_total", time[1] / NANOS, labels);
    out.sample(STAGE + "tasks_total", stage.succeeded, with(labels, "result", "succeeded"));
    out.sample(STAGE + "tasks_total", stage.failed, with(labels, "result", "failed"));
    out.sample(STAGE + "tasks_total", stage.killed, with(labels, "result", "killed"));
  }

  /**
   * Adds executors.
   *
   * @param time task time and waiting of each, in nanoseconds
   */
  void executors(Progress progress, Map<String, long[]> time) {
    time.forEach(
        (id, of) -> {
          out.sample(EXECUTOR + "task_seconds_total", of[0] / NANOS, "executor_id", id);
          out.sample(EXECUTOR + "waiting_seconds_total", of[1] / NANOS, "executor_id", id);
        });
    progress.eachExecutor(
        (id, sums) -> {
          String[] labels = {"executor_id", id};
          out.sample(EXECUTOR + "active_tasks", sums.active, labels);
          out.sample(EXECUTOR + "tasks_total", sums.succeeded, with(labels, "result", "succeeded"));
          out.sample(EXECUTOR + "tasks_total", sums.failed, with(labels, "result", "failed"));
          out.sample(EXECUTOR + "tasks_total", sums.killed, with(labels, "result", "killed"));
          sums.nanos.forEach(
              (part, nanos) -> out.sample(EXECUTOR + "part_seconds_total", nanos / NANOS, with(labels, "part", part)));
          sums.bytes.forEach((kind, bytes) -> out.sample(EXECUTOR + "bytes_total", bytes, with(labels, "kind", kind)));
        });
  }

  private static String[] with(String[] labels, String... more) {
    String[] all = java.util.Arrays.copyOf(labels, labels.length + more.length);
    System.arraycopy(more, 0, all, labels.length, more.length);
    return all;
  }

  String text() {
    return out.text();
  }
}
