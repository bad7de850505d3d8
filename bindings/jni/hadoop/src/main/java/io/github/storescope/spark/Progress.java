// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import org.apache.spark.scheduler.JobSucceeded$;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerJobEnd;
import org.apache.spark.scheduler.SparkListenerJobStart;
import org.apache.spark.scheduler.SparkListenerStageCompleted;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.scheduler.StageInfo;
import org.apache.spark.scheduler.TaskInfo;

/** What Spark tells the driver of stages and their tasks. */
final class Progress extends SparkListener {

  /** A stage's attempt. */
  static final class Stage {
    final int stage;
    final int attempt;
    private String name = "";
    /** The job that asked for it first; -1 if that is not known. */
    int job = -1;
    long succeeded;
    long failed;
    long killed;
    long speculative;
    private long begun;
    private long ended;

    private Stage(int stage, int attempt) {
      this.stage = stage;
      this.attempt = attempt;
    }

    /** Its name, as Spark has it. */
    String name() {
      return name;
    }

    boolean runs() {
      return begun > 0 && ended == 0;
    }

    /** What it does, and for which job. */
    String about() {
      return job < 0 ? name : "job " + job + ": " + name;
    }

    /** Its time up to now, in milliseconds. */
    long millis(long now) {
      return begun == 0 ? 0 : Math.max(0, (ended == 0 ? now : ended) - begun);
    }
  }

  private final LongSupplier clock;
  private final IntFunction<int[]> stagesOfJob;
  /** Jobs whose stages are not known yet. */
  private final Set<Integer> jobs = new TreeSet<>();
  private final Map<Integer, Integer> jobOfStage = new TreeMap<>();
  private final Map<Long, Stage> stages = new TreeMap<>();
  private final Map<String, TaskSums> executors = new TreeMap<>();
  private long jobsSucceeded;
  private long jobsFailed;
  private long stagesFailed;

  /**
   * @param clock milliseconds since the epoch
   * @param stagesOfJob the stages of a job, by their numbers; null while they are not known
   */
  Progress(LongSupplier clock, IntFunction<int[]> stagesOfJob) {
    this.clock = clock;
    this.stagesOfJob = stagesOfJob;
  }

  @Override
  public synchronized void onJobStart(SparkListenerJobStart event) {
    jobs.add(event.jobId());
  }

  @Override
  public synchronized void onJobEnd(SparkListenerJobEnd event) {
    if (event.jobResult() == JobSucceeded$.MODULE$) {
      jobsSucceeded++;
    } else {
      jobsFailed++;
    }
  }

  @Override
  public synchronized void onStageSubmitted(SparkListenerStageSubmitted event) {
    Stage stage = of(event.stageInfo());
    stage.begun = clock.getAsLong();
    stage.ended = 0;
  }

  @Override
  public synchronized void onStageCompleted(SparkListenerStageCompleted event) {
    of(event.stageInfo()).ended = clock.getAsLong();
    if (event.stageInfo().failureReason().isDefined()) {
      stagesFailed++;
    }
    // Now and not at the end: Spark forgets old jobs.
    jobs.removeIf(this::learnStages);
  }

  @Override
  public synchronized void onTaskStart(SparkListenerTaskStart event) {
    if (event.taskInfo() != null) {
      executor(event.taskInfo().executorId()).active++;
    }
  }

  @Override
  public synchronized void onTaskEnd(SparkListenerTaskEnd event) {
    TaskInfo task = event.taskInfo();
    if (task == null) {
      return;
    }
    Stage stage = of(event.stageId(), event.stageAttemptId());
    TaskSums executor = executor(task.executorId());
    executor.active = Math.max(0, executor.active - 1);
    if (task.killed()) {
      stage.killed++;
      executor.killed++;
    } else if (task.failed()) {
      stage.failed++;
      executor.failed++;
    } else {
      stage.succeeded++;
      executor.succeeded++;
    }
    if (task.speculative()) {
      stage.speculative++;
    }
    executor.add(event.taskMetrics());
  }

  private TaskSums executor(String id) {
    return executors.computeIfAbsent(id, key -> new TaskSums());
  }

  private Stage of(StageInfo info) {
    Stage stage = of(info.stageId(), info.attemptNumber());
    stage.name = info.name();
    return stage;
  }

  private Stage of(int stage, int attempt) {
    return stages.computeIfAbsent((long) stage << 32 | attempt, key -> new Stage(stage, attempt));
  }

  /** Shows all stages so far, as they are now. */
  synchronized void each(Consumer<Stage> seen) {
    jobs.removeIf(this::learnStages);
    for (Stage stage : stages.values()) {
      stage.job = jobOfStage.getOrDefault(stage.stage, -1);
      seen.accept(stage);
    }
  }

  private boolean learnStages(int job) {
    int[] of = stagesOfJob.apply(job);
    if (of != null) {
      for (int stage : of) {
        jobOfStage.putIfAbsent(stage, job);
      }
    }
    return of != null;
  }

  /** How many tasks have ended, by executor. */
  synchronized Map<String, Long> ended() {
    Map<String, Long> ended = new TreeMap<>();
    executors.forEach((id, sums) -> ended.put(id, sums.succeeded + sums.failed + sums.killed));
    return ended;
  }

  /** Shows the sums of all executors, as they are now. */
  synchronized void eachExecutor(BiConsumer<String, TaskSums> seen) {
    executors.forEach(seen);
  }

  /** Jobs that ended well, jobs that did not, and stages that failed. */
  synchronized long[] outcomes() {
    return new long[] {jobsSucceeded, jobsFailed, stagesFailed};
  }
}
