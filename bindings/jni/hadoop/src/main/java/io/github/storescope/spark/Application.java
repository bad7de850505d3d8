// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import io.github.storescope.hadoop.Gathering;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What has arrived of an application, beside what Spark tells of its stages. */
final class Application implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Application.class);

  private final String name;
  private final long started = System.currentTimeMillis();
  private final Gathering gathering = new Gathering();
  private final Progress progress;
  /** Tasks whose figures have arrived, and the number that the next message must have, by executor. */
  private final Map<String, Long> arrived = new TreeMap<>();
  private final Map<String, Long> numbers = new TreeMap<>();
  /** Task time and waiting, in nanoseconds: by stage attempt, and by executor. */
  private final Map<Long, long[]> timeOfStage = new TreeMap<>();
  private final Map<String, long[]> timeOfExecutor = new TreeMap<>();
  private long received;
  private long receivedBytes;
  private long lostMessages;
  private long unread;
  private boolean closed;

  /** The page, {@code run.json} and {@code run.hlog}. */
  static final class Report {
    final String page;
    final String json;
    final String hlog;

    private Report(String[] texts) {
      page = texts[0];
      json = texts[1];
      hlog = texts[2];
    }
  }

  /**
   * Nothing yet.
   *
   * @param stagesOfJob as {@link Progress} asks for it
   * @throws IOException if the native library cannot be loaded
   */
  Application(String name, IntFunction<int[]> stagesOfJob) throws IOException {
    this.name = name;
    progress = new Progress(System::currentTimeMillis, stagesOfJob);
  }

  /** The listener that tells it of stages. */
  Progress progress() {
    return progress;
  }

  /** Adds an executor's message. One that cannot be read is told once, and counted. */
  void receive(byte[] message) {
    synchronized (this) {
      received++;
      receivedBytes += message.length;
    }
    try {
      add(Delta.decode(message));
    } catch (IOException e) {
      synchronized (this) {
        if (unread++ > 0) {
          return;
        }
      }
      LOG.warn("a message of an executor is left out: {}", e.getMessage());
    }
  }

  private synchronized void add(Delta delta) throws IOException {
    if (closed) {
      return;
    }
    long expected = numbers.getOrDefault(delta.executor, 0L);
    lostMessages += Math.max(0, delta.number - expected);
    numbers.put(delta.executor, delta.number + 1);
    for (Delta.Part part : delta.parts) {
      gathering.add(
          part.stage, part.attempt, delta.executor, new long[] {part.tasks, part.runNanos, part.waitedNanos}, part.hlog);
      arrived.merge(delta.executor, part.tasks, Long::sum);
      if (part.stage >= 0) {
        count(timeOfStage.computeIfAbsent((long) part.stage << 32 | part.attempt, key -> new long[2]), part);
        count(timeOfExecutor.computeIfAbsent(delta.executor, key -> new long[2]), part);
      }
    }
    notifyAll();
  }

  private static void count(long[] time, Delta.Part part) {
    time[0] += part.runNanos;
    time[1] += part.waitedNanos;
  }

  /** What has arrived and what Spark tells, as Prometheus' text. */
  synchronized String metrics(String id) {
    ApplicationMetrics metrics = new ApplicationMetrics(id, name);
    metrics.stages(progress, timeOfStage);
    metrics.executors(progress, timeOfExecutor);
    return metrics.text();
  }

  /** How many messages have come. */
  synchronized long received() {
    return received;
  }

  /** The bytes of all messages. */
  synchronized long receivedBytes() {
    return receivedBytes;
  }

  /** Waits until the figures of all tasks that have ended are there, but no longer than so. */
  synchronized void awaitAll(long millis) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (missing() > 0) {
      long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      if (left <= 0) {
        return;
      }
      wait(left);
    }
  }

  /** Tasks that have ended, and of which no figures have arrived. */
  private long missing() {
    long missing = 0;
    for (Map.Entry<String, Long> executor : progress.ended().entrySet()) {
      missing += Math.max(0, executor.getValue() - arrived.getOrDefault(executor.getKey(), 0L));
    }
    return missing;
  }

  private List<String> notes(boolean over) {
    List<String> notes = new ArrayList<>();
    if (!over) {
      notes.add("the application runs: these are the figures so far");
    }
    long missing = missing();
    if (missing > 0) {
      notes.add(
          "the figures of " + missing + " tasks that have ended "
              + (over ? "never arrived: their executors were lost, or the jar is not on them" : "have not arrived yet"));
    }
    if (lostMessages > 0) {
      notes.add(lostMessages + " messages of executors were lost");
    }
    if (unread > 0) {
      notes.add(unread + " messages of executors could not be read: they have another version of the jar");
    }
    return notes;
  }

  /**
   * All so far.
   *
   * @param id of the application
   * @param over whether no more comes
   */
  synchronized Report report(String id, boolean over) throws IOException {
    tellStages();
    return new Report(
        gathering.report("spark:" + id, name + " (" + id + ")", started, notes(over).toArray(new String[0])));
  }

  /** A line for each stage, and what a reader must know. */
  synchronized List<String> lines() throws IOException {
    tellStages();
    List<String> lines = new ArrayList<>(List.of(gathering.lines()));
    lines.addAll(notes(true));
    return lines;
  }

  private void tellStages() {
    long now = System.currentTimeMillis();
    progress.each(
        stage -> {
          long[] numbers = {stage.job + 1, stage.millis(now), stage.succeeded, stage.failed, stage.killed, stage.speculative};
          try {
            gathering.tell(stage.stage, stage.attempt, stage.about(), numbers);
          } catch (IOException e) {
            throw new IllegalStateException("closed while it is asked", e);
          }
        });
  }

  @Override
  public synchronized void close() {
    closed = true;
    gathering.close();
  }
}
