// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.apache.hadoop.fs.FileRange;

/**
 * Vectored reads of a stream that is timed: each range is a GET, from the call until its bytes are there. The stream gets
 * ranges of its own, so that what the caller hangs on is known, whatever a stream does with the ranges that it is given.
 */
final class TimedRanges {

  private TimedRanges() {}

  /** What the stream does. */
  interface Vectored {
    void read(List<FileRange> ranges) throws IOException;
  }

  static void read(List<? extends FileRange> ranges, Recording.Scope scope, Vectored call) throws IOException {
    List<FileRange> copies = new ArrayList<>();
    for (FileRange range : ranges) {
      copies.add(FileRange.createFileRange(range.getOffset(), range.getLength(), range.getReference()));
    }
    boolean before = TimedCalls.enter();
    long begun = System.nanoTime();
    try {
      call.read(copies);
    } catch (IOException | RuntimeException | Error e) {
      scope.recorded(Operation.GET, Outcome.of(e), System.nanoTime() - begun, ForeignCall.NO_BYTES);
      throw e;
    } finally {
      TimedCalls.leave(before);
      scope.waited(System.nanoTime() - begun);
    }
    for (int i = 0; i < copies.size(); i++) {
      CompletableFuture<ByteBuffer> data = copies.get(i).getData();
      if (data != null) {
        int length = copies.get(i).getLength();
        ranges.get(i).setData(Followed.of(data, scope, (read, e) -> ended(scope, begun, length, e), Function.identity()));
      }
    }
  }

  private static void ended(Recording.Scope scope, long begun, int length, Throwable failure) {
    long nanos = System.nanoTime() - begun;
    if (failure == null) {
      scope.recorded(Operation.GET, Outcome.OK, nanos, length);
    } else {
      scope.recorded(Operation.GET, Outcome.of(failure), nanos, ForeignCall.NO_BYTES);
    }
  }
}
