// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import io.github.storescope.hadoop.Recording;
import io.github.storescope.hadoop.SharedScopes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.apache.spark.TaskContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records what this JVM asks of stores, by the stage whose task asks, and sends it: a quarter of a second after a task has
 * ended, so that short tasks share a message, and at least every interval.
 *
 * <p>The stage is that of Spark's {@link TaskContext}, which the threads have that Spark gives to a task: its own, and the one
 * that feeds a Python worker.
 */
final class Recorder implements Supplier<Recording.Scope>, AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Recorder.class);

  /** The driver's id among executors. */
  static final String DRIVER = "driver";

  /** How long ended tasks wait for others to share a message with, in milliseconds. */
  private static final long GATHER_MILLIS = 250;
  /** A stage without a task for so long is let go of; streams that it has left open are not recorded from then on. */
  private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(60);

  private final String executor;
  private final Send send;
  private final long intervalNanos;
  private final Stage outside;
  private final Map<Long, Stage> stages = new ConcurrentHashMap<>();
  private final Map<Thread, Running> running = new ConcurrentHashMap<>();
  /** The stages of tasks that run or have ended lately, by the task attempt's id. */
  private final Map<Long, Stage> tasks = new ConcurrentHashMap<>();
  /** Where this executor's Python workers are met; null for nowhere. */
  private final String workers;
  private final AtomicBoolean ended = new AtomicBoolean();
  private final ScheduledExecutorService timer;
  private long sent = System.nanoTime();
  private long number;

  /** Takes a message to the driver. */
  interface Send {
    void send(byte[] message) throws IOException;
  }

  /** A stage's attempt, or what no task asks for. */
  private static final class Stage {
    final int stage;
    final int attempt;
    final Recording.Scope scope;
    final LongAdder tasks = new LongAdder();
    final LongAdder runNanos = new LongAdder();
    volatile long used = System.nanoTime();

    Stage(int stage, int attempt, String name) {
      this.stage = stage;
      this.attempt = attempt;
      try {
        scope = new Recording.Scope(name);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** A task at work. */
  private static final class Running {
    final Stage stage;
    /** Up to when its time was added. */
    private long since = System.nanoTime();

    Running(Stage stage) {
      this.stage = stage;
    }

    synchronized void addTime() {
      long now = System.nanoTime();
      stage.runNanos.add(now - since);
      since = now;
    }
  }

  /**
   * Begins to record.
   *
   * @param executor its id; {@code driver} for the driver
   * @param intervalMillis how often to tell at least
   * @param workers where its Python workers are met; null for nowhere
   * @throws IOException if the native library cannot be loaded
   */
  Recorder(String executor, long intervalMillis, String workers, Send send) throws IOException {
    this.executor = executor;
    this.workers = workers;
    this.send = send;
    intervalNanos = TimeUnit.MILLISECONDS.toNanos(intervalMillis);
    boolean isDriver = executor.equals(DRIVER);
    try {
      outside =
          new Stage(
              isDriver ? Delta.Part.DRIVER : Delta.Part.OUTSIDE_OF_TASKS, 0, isDriver ? DRIVER : "outside of tasks");
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    Recording.attribute(this);
    timer =
        Executors.newSingleThreadScheduledExecutor(
            work -> {
              Thread thread = new Thread(work, "storescope-spark");
              thread.setDaemon(true);
              return thread;
            });
    timer.scheduleWithFixedDelay(this::tellWhenDue, GATHER_MILLIS, GATHER_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** The scope of this thread's calls. */
  @Override
  public Recording.Scope get() {
    TaskContext task = TaskContext.get();
    return (task == null ? outside : stage(task)).scope;
  }

  private Stage stage(TaskContext task) {
    int stage = task.stageId();
    int attempt = task.stageAttemptNumber();
    return stages.computeIfAbsent(
        (long) stage << 32 | attempt, key -> new Stage(stage, attempt, "stage " + stage + "." + attempt));
  }

  /** A task begins on this thread. */
  void taskBegins() {
    TaskContext task = TaskContext.get();
    if (task != null) {
      Stage stage = stage(task);
      stage.used = System.nanoTime();
      running.put(Thread.currentThread(), new Running(stage));
      tasks.put(task.taskAttemptId(), stage);
    }
  }

  /** The task of this thread has ended. One that never began (it could not be read) has no time. */
  void taskEnds() {
    Running task = running.remove(Thread.currentThread());
    if (task != null) {
      task.addTime();
      task.stage.tasks.increment();
      task.stage.used = System.nanoTime();
      ended.set(true);
    }
  }

  private void tellWhenDue() {
    if (ended.get() || System.nanoTime() - sent >= intervalNanos) {
      tell();
    }
  }

  /** Sends what is new. What goes wrong is logged, and hinders no task. */
  synchronized void tell() {
    try {
      ended.set(false);
      sent = System.nanoTime();
      running.values().forEach(Running::addTime);
      List<Delta.Part> parts = new ArrayList<>();
      addWorkers(parts);
      Recording.Scope oracle = SharedScopes.all().get("oracle");
      if (oracle != null) {
        add(parts, Delta.Part.ORACLE, 0, new long[] {0, 0, oracle.takeWaited()}, oracle.take());
      }
      addPart(parts, outside);
      for (Map.Entry<Long, Stage> entry : stages.entrySet()) {
        Stage stage = entry.getValue();
        addPart(parts, stage);
        if (isIdle(stage)) {
          stages.remove(entry.getKey());
          tasks.values().removeIf(of -> of == stage);
          stage.scope.close();
        }
      }
      while (!parts.isEmpty()) {
        List<Delta.Part> fitting = Delta.fitting(parts);
        send.send(new Delta(executor, number, fitting).encode());
        number++;
        parts = parts.subList(fitting.size(), parts.size());
      }
    } catch (IOException | RuntimeException e) {
      LOG.warn("what executor {} has recorded could not be sent", executor, e);
    }
  }

  /** Whether it is long since a task of it was at work. */
  private boolean isIdle(Stage stage) {
    return System.nanoTime() - stage.used > IDLE_NANOS
        && running.values().stream().noneMatch(task -> task.stage == stage);
  }

  /** What Python workers have recorded, each of its task's stage. That of a task which is not known any more belongs to none. */
  private void addWorkers(List<Delta.Part> parts) throws IOException {
    if (workers == null) {
      return;
    }
    for (Recording.Handed handed : Recording.takeWorkers(workers)) {
      Stage stage = tasks.getOrDefault(handed.task, outside);
      parts.add(new Delta.Part(stage.stage, stage.attempt, new long[] {0, 0, handed.waitedNanos}, handed.hlog));
    }
  }

  private static void addPart(List<Delta.Part> parts, Stage stage) throws IOException {
    byte[] hlog = stage.scope.take();
    long[] sums = {stage.tasks.sumThenReset(), stage.runNanos.sumThenReset(), stage.scope.takeWaited()};
    add(parts, stage.stage, stage.attempt, sums, hlog);
  }

  private static void add(List<Delta.Part> parts, int stage, int attempt, long[] sums, byte[] hlog) {
    if (hlog.length > 0 || sums[0] > 0 || sums[1] > 0 || sums[2] > 0) {
      parts.add(new Delta.Part(stage, attempt, sums, hlog));
    }
  }

  /** Sends what is left, and records no more. */
  @Override
  public void close() {
    Recording.end(this);
    timer.shutdown();
    tell();
    stages.values().forEach(stage -> stage.scope.close());
    stages.clear();
    outside.scope.close();
  }
}
