// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.RemoteIterator;

/**
 * The calls of FileSystems that are timed. Each is recorded in the scope of its thread; without one it is passed on as if
 * nothing were there. What a call, or a read of a stream, makes its own thread do on such FileSystems is part of it, and not
 * recorded again: a stream of local files asks its FileSystem for the file's length.
 */
final class TimedCalls {

  private static final ThreadLocal<boolean[]> WITHIN = ThreadLocal.withInitial(() -> new boolean[1]);

  private TimedCalls() {}

  /** A call without a stream. */
  static <T> T of(Operation operation, Recording.Call<T> call) throws IOException {
    Recording.Scope scope = scope();
    return scope == null ? call.of() : recorded(scope, operation, call);
  }

  /** A call that opens a file: HEAD. */
  static FSDataInputStream open(Recording.Call<FSDataInputStream> call) throws IOException {
    Recording.Scope scope = scope();
    return scope == null ? call.of() : TimedInputStream.of(recorded(scope, Operation.HEAD, call), scope);
  }

  /** The same, where the file is opened by another thread. */
  static CompletableFuture<FSDataInputStream> openAsync(Recording.Call<CompletableFuture<FSDataInputStream>> call)
      throws IOException {
    Recording.Scope scope = scope();
    if (scope == null) {
      return call.of();
    }
    long begun = System.nanoTime();
    CompletableFuture<FSDataInputStream> opening;
    try {
      opening = blocking(call, (nanos, failure) -> scope.waited(nanos));
    } catch (IOException | RuntimeException | Error e) {
      scope.recorded(Operation.HEAD, Outcome.of(e), System.nanoTime() - begun, ForeignCall.NO_BYTES);
      throw e;
    }
    return Followed.of(
        opening,
        scope,
        (stream, failure) -> {
          Outcome outcome = failure == null ? Outcome.OK : Outcome.of(failure);
          scope.recorded(Operation.HEAD, outcome, System.nanoTime() - begun, ForeignCall.NO_BYTES);
        },
        stream -> TimedInputStream.of(stream, scope));
  }

  /** A call that begins a file. It is recorded with the file, when that is closed. */
  static FSDataOutputStream create(Recording.Call<FSDataOutputStream> call) throws IOException {
    Recording.Scope scope = scope();
    if (scope == null) {
      return call.of();
    }
    long[] spent = new long[1];
    FSDataOutputStream stream =
        blocking(
            call,
            (nanos, failure) -> {
              spent[0] = nanos;
              scope.waited(nanos);
              if (failure != null) {
                scope.recorded(Operation.PUT, Outcome.of(failure), nanos, ForeignCall.NO_BYTES);
              }
            });
    return TimedOutputStream.of(stream, scope, spent[0]);
  }

  /** A call that begins a listing, which is recorded when it ends. */
  static <T> RemoteIterator<T> list(Recording.Call<RemoteIterator<T>> call) throws IOException {
    Recording.Scope scope = scope();
    if (scope == null) {
      return call.of();
    }
    TimedListing<T> timed = new TimedListing<>(scope);
    timed.begin(blocking(call, timed::spent));
    return timed;
  }

  /** The scope to record in, or null. */
  private static Recording.Scope scope() {
    return WITHIN.get()[0] ? null : Recording.current();
  }

  private static <T> T recorded(Recording.Scope scope, Operation operation, Recording.Call<T> call) throws IOException {
    return blocking(
        call,
        (nanos, failure) -> {
          scope.waited(nanos);
          scope.recorded(operation, failure == null ? Outcome.OK : Outcome.of(failure), nanos, ForeignCall.NO_BYTES);
        });
  }

  /** Makes a call. {@code ended} is told how long it took, and with what it failed, or null. */
  static <T> T blocking(Recording.Call<T> call, BiConsumer<Long, Throwable> ended) throws IOException {
    boolean before = enter();
    long begun = System.nanoTime();
    Throwable failure = null;
    try {
      return call.of();
    } catch (IOException | RuntimeException | Error e) {
      failure = e;
      throw e;
    } finally {
      leave(before);
      ended.accept(System.nanoTime() - begun, failure);
    }
  }

  /** A call begins on this thread; whether it was within one already, for {@link #leave}. */
  static boolean enter() {
    boolean[] within = WITHIN.get();
    boolean before = within[0];
    within[0] = true;
    return before;
  }

  /** A call ends. */
  static void leave(boolean before) {
    WITHIN.get()[0] = before;
  }
}
