// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;

/**
 * Who asks for what: requests are recorded in the scope of their caller, beside the scope of their FileSystem. For programs
 * that know parts of their own work, such as the stages of a Spark application; {@code
 * io.github.storescope.spark.StorescopePlugin} does it for Spark.
 *
 * <p>A stream records in the scope that was current when it was opened, whichever thread reads it.
 */
public final class Recording {

  private static volatile Supplier<Scope> callers;

  /** Those that are not closed. */
  private static final Set<Scope> SCOPES = ConcurrentHashMap.newKeySet();

  private Recording() {}

  /**
   * Says in which scope the calls of a thread are recorded from now on.
   *
   * @param current asked at each call, on its thread; null for none. Null ends the attribution
   */
  public static void attribute(Supplier<Scope> current) {
    callers = current;
  }

  /** Ends an attribution, if no other has taken its place. */
  public static synchronized void end(Supplier<Scope> current) {
    if (callers == current) {
      callers = null;
    }
  }

  /** The scope of this thread's calls, or null. */
  public static Scope current() {
    Supplier<Scope> asked = callers;
    return asked == null ? null : asked.get();
  }

  /** A call that blocks its thread. */
  interface Call<T> {
    T of() throws IOException;
  }

  /**
   * Makes a call, and tells a scope how long the thread was blocked.
   *
   * @param scope or null
   */
  static <T> T waiting(Scope scope, Call<T> call) throws IOException {
    if (scope == null) {
      return call.of();
    }
    long begun = System.nanoTime();
    try {
      return call.of();
    } finally {
      scope.waited(System.nanoTime() - begun);
    }
  }

  /** To be told when a store is closed: it is not asked any more. */
  static void closed(long store) {
    SCOPES.forEach(scope -> scope.forget(store));
  }

  /** What a Python worker has recorded of a task. */
  public static final class Handed {
    /** The task's attempt id. */
    public final long task;
    /** How long its threads were blocked, in nanoseconds. */
    public final long waitedNanos;
    /** An {@code .hlog}. */
    public final byte[] hlog;

    private Handed(String task, String waited, String hlog) {
      this.task = Long.parseLong(task);
      waitedNanos = Long.parseLong(waited);
      this.hlog = hlog.getBytes(StandardCharsets.UTF_8);
    }
  }

  /**
   * What the Python workers that meet in a folder have recorded since the last call, by worker and task. It is taken. Waits at most
   * half a second for each worker.
   *
   * @throws IOException if the native library cannot be loaded
   */
  public static List<Handed> takeWorkers(String folder) throws IOException {
    Library.load();
    String[] told = Native.takeWorkers(folder);
    List<Handed> handed = new ArrayList<>();
    for (int at = 0; at + 2 < told.length; at += 3) {
      handed.add(new Handed(told[at], told[at + 1], told[at + 2]));
    }
    return handed;
  }

  /** What is recorded under one name, over all stores of this JVM. Of any number of threads. */
  public static final class Scope implements AutoCloseable {

    private final String name;
    private final long handle;
    private final LongAdder waited = new LongAdder();
    private final Map<Long, Long> stores = new ConcurrentHashMap<>();
    private boolean closed;

    /**
     * A scope.
     *
     * @throws IOException if the native library cannot be loaded
     */
    public Scope(String name) throws IOException {
      Library.load();
      this.name = name;
      handle = Native.openScope(name);
      SCOPES.add(this);
    }

    /** Its name. */
    public String name() {
      return name;
    }

    /** Adds time that a thread was blocked by a call, in nanoseconds. */
    public void waited(long nanos) {
      waited.add(nanos);
    }

    /** The time that threads were blocked since the last call, in nanoseconds; it is taken. */
    public long takeWaited() {
      return waited.sumThenReset();
    }

    /**
     * Records a call of a client that is not ours. Once the scope is closed, nothing.
     *
     * @param bytes of payload that it moved, or {@link ForeignCall#NO_BYTES}
     */
    public void recorded(ForeignCall.Operation operation, ForeignCall.Outcome outcome, long nanos, long bytes) {
      Native.recordCall(handle, operation.ordinal(), outcome.ordinal(), nanos, bytes);
    }

    /** What was recorded since the last call, as an {@code .hlog}; empty where that is nothing. It is taken. */
    public byte[] take() throws IOException {
      return Native.takeScope(handle);
    }

    /** The handle of a store that records here. */
    long within(long store) throws IOException {
      Long known = stores.get(store);
      if (known != null) {
        return known;
      }
      synchronized (this) {
        if (closed) {
          return store;
        }
        known = stores.get(store);
        if (known == null) {
          known = Native.storeWithin(store, handle);
          stores.put(store, known);
        }
        return known;
      }
    }

    private synchronized void forget(long store) {
      Long within = stores.remove(store);
      if (within != null) {
        Native.closeStore(within);
      }
    }

    /** Streams that are open go on; what they record is not taken any more. */
    @Override
    public synchronized void close() {
      if (!closed) {
        closed = true;
        SCOPES.remove(this);
        stores.values().forEach(Native::closeStore);
        stores.clear();
        Native.closeScope(handle);
      }
    }

    @Override
    public String toString() {
      return "Scope{" + name + "}";
    }
  }
}
