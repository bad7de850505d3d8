// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.Path;

/** Ranges of one file, to be read at once: each byte goes straight into the buffer of its range. */
final class VectoredRead {

  private final List<? extends FileRange> ranges;
  private final long[] offsets;
  private final int[] lengths;
  private long bytes;

  /** Tells a file's size, by a request where it is not known. */
  interface Size {
    long get() throws IOException;
  }

  /**
   * No I/O but for the size.
   *
   * @throws EOFException if the file does not have one of the ranges
   */
  VectoredRead(List<? extends FileRange> ranges, Size size, Path path) throws IOException {
    this.ranges = ranges;
    int count = ranges.size();
    offsets = new long[count];
    lengths = new int[count];
    for (int at = 0; at < count; at++) {
      FileRange range = ranges.get(at);
      Objects.requireNonNull(range, "range");
      offsets[at] = range.getOffset();
      lengths[at] = range.getLength();
      check(offsets[at], lengths[at], size, path);
      bytes += lengths[at];
    }
  }

  private static void check(long offset, int length, Size size, Path path) throws IOException {
    if (length < 0) {
      throw new IllegalArgumentException("a range of " + length + " bytes in " + path);
    }
    if (offset < 0) {
      throw new EOFException("a range that begins at " + offset + " in " + path);
    }
    if (offset + length > size.get()) {
      throw new EOFException(
          "the range " + offset + ".." + (offset + length) + " ends behind the " + size.get() + " bytes of " + path);
    }
  }

  int count() {
    return offsets.length;
  }

  /** Of all ranges. */
  long bytes() {
    return bytes;
  }

  /**
   * Begins it; {@link Completions} ends each range's future.
   *
   * @param reader a native reader
   * @param scope is told how long threads hang on the futures; may be null
   * @param release takes a buffer back whose read has failed
   */
  void begin(
      long reader, Recording.Scope scope, IntFunction<ByteBuffer> allocate, Consumer<ByteBuffer> release)
      throws IOException {
    int count = count();
    Object[] targets = new Object[count];
    int[] starts = new int[count];
    long first = Completions.numbers(count);
    for (int at = 0; at < count; at++) {
      ByteBuffer buffer = allocate.apply(lengths[at]);
      if (buffer.isDirect()) {
        targets[at] = buffer;
        starts[at] = buffer.position();
      } else {
        targets[at] = buffer.array();
        starts[at] = buffer.arrayOffset() + buffer.position();
      }
      CompletableFuture<ByteBuffer> future = new Awaited<>(scope);
      ranges.get(at).setData(future);
      Completions.expect(first + at, future, buffer, release);
    }
    try {
      Native.readRanges(reader, offsets, lengths, targets, starts, first);
    } catch (IOException | RuntimeException e) {
      for (int at = 0; at < count; at++) {
        Completions.forget(first + at);
        ranges.get(at).getData().completeExceptionally(e);
      }
      throw e;
    }
  }
}
