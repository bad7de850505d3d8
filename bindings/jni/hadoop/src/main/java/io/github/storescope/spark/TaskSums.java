// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.executor.TaskMetrics;

/** Sums over the tasks of an executor, by Spark's own task metrics. Times in nanoseconds. Not for several threads. */
final class TaskSums {

  private static final long MILLI = 1_000_000L;

  /** Tasks at work. */
  long active;
  long succeeded;
  long failed;
  long killed;
  /** By the part of the tasks' time. */
  final Map<String, Long> nanos = new TreeMap<>();
  /** By what was read or written. */
  final Map<String, Long> bytes = new TreeMap<>();

  /** Adds a task that has ended; Spark may have no metrics of one that failed. */
  void add(TaskMetrics task) {
    if (task == null) {
      return;
    }
    time("run", task.executorRunTime() * MILLI);
    time("cpu", task.executorCpuTime());
    time("gc", task.jvmGCTime() * MILLI);
    time("deserialize", task.executorDeserializeTime() * MILLI);
    time("result_serialize", task.resultSerializationTime() * MILLI);
    time("shuffle_fetch_wait", task.shuffleReadMetrics().fetchWaitTime() * MILLI);
    time("shuffle_write", task.shuffleWriteMetrics().writeTime());
    size("input", task.inputMetrics().bytesRead());
    size("output", task.outputMetrics().bytesWritten());
    size("shuffle_read_local", task.shuffleReadMetrics().localBytesRead());
    size("shuffle_read_remote", task.shuffleReadMetrics().remoteBytesRead());
    size("shuffle_written", task.shuffleWriteMetrics().bytesWritten());
    size("spilled_to_disk", task.diskBytesSpilled());
  }

  private void time(String name, long value) {
    nanos.merge(name, value, Long::sum);
  }

  private void size(String name, long value) {
    bytes.merge(name, value, Long::sum);
  }
}
