// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;

/** What several processes have recorded, added up by stage of a Spark application. Of any number of threads. */
public final class Gathering implements AutoCloseable {

  private final long handle;

  /**
   * Nothing yet.
   *
   * @throws IOException if the native library cannot be loaded
   */
  public Gathering() throws IOException {
    Library.load();
    handle = Native.openGathered();
  }

  /**
   * Adds what an executor has recorded since it last told.
   *
   * @param stage its number; below zero for what no task asked for: -3 Oracle's connector, -2 the driver, -1 executors
   * @param attempt of the stage
   * @param executor its id
   * @param sums tasks that have ended; the time of tasks and how long they waited, in nanoseconds
   * @param hlog what {@link Recording.Scope#take} gave there
   * @throws IOException if the log cannot be read; nothing of it is added
   */
  public void add(int stage, int attempt, String executor, long[] sums, byte[] hlog) throws IOException {
    Native.gather(handle, stage, attempt, executor, sums, hlog);
  }

  /**
   * Tells what the driver knows of a stage, in place of what it told before.
   *
   * @param about what the stage does, in Spark's words
   * @param numbers the job that asked for it first, from 1 on, 0 for none; its time so far in milliseconds; and tasks: that
   *     succeeded, failed, were killed, were speculative
   * @throws IOException once it is closed
   */
  public void tell(int stage, int attempt, String about, long[] numbers) throws IOException {
    Native.tellStage(handle, stage, attempt, about, numbers);
  }

  /**
   * The page, {@code run.json} and {@code run.hlog} of all so far, as {@code storescope report} makes and reads them.
   *
   * @param url names the application
   * @param title stands above the page
   * @param startedMillis when it began, since the epoch
   * @param notes what a reader must know
   * @throws IOException once it is closed
   */
  public String[] report(String url, String title, long startedMillis, String[] notes) throws IOException {
    return Native.report(handle, url, title, startedMillis, notes);
  }

  /**
   * A line for each stage.
   *
   * @throws IOException once it is closed
   */
  public String[] lines() throws IOException {
    return Native.stageLines(handle);
  }

  @Override
  public void close() {
    Native.closeGathered(handle);
  }
}
