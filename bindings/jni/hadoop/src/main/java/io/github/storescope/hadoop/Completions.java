// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Completes the futures of vectored reads, and writes down what the core logs: a daemon thread that asks the native library
 * what has ended, many at once. While it is busy another one asks: code that hangs on a future may wait for the next.
 */
final class Completions {

  /** The core's records. */
  private static final Logger LOG = LoggerFactory.getLogger("io.github.storescope");

  private static final int BATCH = 64;
  private static final int MOST_THREADS = 64;

  private static final Map<Long, Pending> PENDING = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong();
  private static final AtomicInteger IDLE = new AtomicInteger();
  private static final AtomicInteger THREADS = new AtomicInteger();

  private Completions() {}

  static void start() {
    if (THREADS.get() >= MOST_THREADS) {
      return;
    }
    IDLE.incrementAndGet();
    Thread thread = new Thread(Completions::run, "storescope-completions-" + THREADS.incrementAndGet());
    thread.setDaemon(true);
    thread.setContextClassLoader(Completions.class.getClassLoader());
    thread.start();
  }

  /** Numbers for so many reads; the first of them. */
  static long numbers(int count) {
    return NEXT.getAndAdd(count);
  }

  /** A read that has begun, or will. */
  static void expect(
      long number, CompletableFuture<ByteBuffer> future, ByteBuffer buffer, Consumer<ByteBuffer> release) {
    PENDING.put(number, new Pending(future, buffer, release));
  }

  /** A read that was not begun after all. */
  static void forget(long number) {
    PENDING.remove(number);
  }

  private static void run() {
    long[] numbers = new long[BATCH];
    Throwable[] failures = new Throwable[BATCH];
    do {
      int ended = Native.completed(numbers, failures);
      if (IDLE.decrementAndGet() == 0 && ended > 0) {
        start();
      }
      for (int at = 0; at < ended; at++) {
        Pending pending = PENDING.remove(numbers[at]);
        if (pending != null) {
          pending.end(failures[at]);
        }
        failures[at] = null;
      }
      log();
    } while (IDLE.incrementAndGet() <= 2);
    // Others wait already.
    IDLE.decrementAndGet();
    THREADS.decrementAndGet();
  }

  private static void log() {
    for (String record : Native.takeLog(LOG.isDebugEnabled())) {
      if (record.charAt(0) == 'W') {
        LOG.warn("{}", record.substring(1));
      } else {
        LOG.debug("{}", record.substring(1));
      }
    }
  }

  private static final class Pending {
    private final CompletableFuture<ByteBuffer> future;
    private final ByteBuffer buffer;
    private final Consumer<ByteBuffer> release;

    Pending(CompletableFuture<ByteBuffer> future, ByteBuffer buffer, Consumer<ByteBuffer> release) {
      this.future = future;
      this.buffer = buffer;
      this.release = release;
    }

    void end(Throwable failure) {
      try {
        if (failure == null) {
          future.complete(buffer);
          return;
        }
        release.accept(buffer);
      } catch (RuntimeException e) {
        LOG.warn("a buffer could not be given back", e);
      }
      future.completeExceptionally(failure instanceof IOException ? failure : new IOException(failure));
    }
  }
}
