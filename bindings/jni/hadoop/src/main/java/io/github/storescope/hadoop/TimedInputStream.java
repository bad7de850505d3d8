// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.apache.hadoop.fs.ByteBufferPositionedReadable;
import org.apache.hadoop.fs.ByteBufferReadable;
import org.apache.hadoop.fs.CanSetDropBehind;
import org.apache.hadoop.fs.CanSetReadahead;
import org.apache.hadoop.fs.CanUnbuffer;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.HasEnhancedByteBufferAccess;
import org.apache.hadoop.fs.HasFileDescriptor;
import org.apache.hadoop.fs.PositionedReadable;
import org.apache.hadoop.fs.ReadOption;
import org.apache.hadoop.fs.Seekable;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.io.ByteBufferPool;

/**
 * A stream of a FileSystem that is timed. It can what the stream can: each question and each read is passed on.
 *
 * <p>Each read, and each range of a vectored one, is a GET with its time and its bytes. But two readings of the clock cost
 * more than a byte out of a buffer, so reads of at most {@value #SMALL} bytes (those of {@link java.io.DataInput}'s numbers)
 * are counted together: what follows each other without another read or a seek between is one GET, of all its bytes and the
 * time of its first read, which is the one that asks the store after an opening or a seek. The time of the others is not
 * known. Seeks and skips are not timed, since the FileSystems of object stores do their work at the next read.
 */
final class TimedInputStream extends InputStream
    implements Seekable,
        PositionedReadable,
        ByteBufferReadable,
        ByteBufferPositionedReadable,
        HasFileDescriptor,
        HasEnhancedByteBufferAccess,
        CanSetDropBehind,
        CanSetReadahead,
        CanUnbuffer,
        StreamCapabilities,
        IOStatisticsSource {

  private static final int SMALL = 8;

  private final FSDataInputStream in;
  private final Recording.Scope scope;

  // The run of small reads. Like the stream's position, of one thread at a time; positional reads leave it alone.
  private boolean running;
  private long runNanos;
  private long runBytes;

  private TimedInputStream(FSDataInputStream in, Recording.Scope scope) {
    this.in = in;
    this.scope = scope;
  }

  /** The same stream, recorded in a scope. */
  static FSDataInputStream of(FSDataInputStream stream, Recording.Scope scope) {
    return stream instanceof Timed ? stream : new Timed(new TimedInputStream(stream, scope));
  }

  /** What users hold. */
  private static final class Timed extends FSDataInputStream {

    private final FSDataInputStream in;

    Timed(TimedInputStream timed) {
      super(timed);
      in = timed.in;
    }

    /** That of the stream: for casts to what a FileSystem makes. What is read of it is not timed. */
    @Override
    public InputStream getWrappedStream() {
      return in.getWrappedStream();
    }

    @Override
    public String toString() {
      return in.toString();
    }
  }

  /** A read; how many bytes came, or -1 at the end. */
  private interface Read {
    long bytes() throws IOException;
  }

  private long timed(Read read) throws IOException {
    boolean before = TimedCalls.enter();
    long begun = System.nanoTime();
    long bytes;
    try {
      bytes = read.bytes();
    } catch (IOException | RuntimeException | Error e) {
      ended(Outcome.of(e), System.nanoTime() - begun, ForeignCall.NO_BYTES);
      throw e;
    } finally {
      TimedCalls.leave(before);
    }
    ended(Outcome.OK, System.nanoTime() - begun, Math.max(bytes, 0));
    return bytes;
  }

  private void ended(Outcome outcome, long nanos, long bytes) {
    scope.waited(nanos);
    scope.recorded(Operation.GET, outcome, nanos, bytes);
  }

  // Small reads.

  @Override
  public int read() throws IOException {
    try {
      int one = running ? in.read() : firstOfRun(in::read);
      runBytes += one < 0 ? 0 : 1;
      return one;
    } catch (IOException | RuntimeException | Error e) {
      endRun(Outcome.of(e));
      throw e;
    }
  }

  private int readSmall(byte[] into, int offset, int length) throws IOException {
    try {
      int count = running ? in.read(into, offset, length) : firstOfRun(() -> in.read(into, offset, length));
      runBytes += Math.max(count, 0);
      return count;
    } catch (IOException | RuntimeException | Error e) {
      endRun(Outcome.of(e));
      throw e;
    }
  }

  private int firstOfRun(SmallRead read) throws IOException {
    running = true;
    runBytes = 0;
    boolean before = TimedCalls.enter();
    long begun = System.nanoTime();
    try {
      return read.of();
    } finally {
      TimedCalls.leave(before);
      runNanos = System.nanoTime() - begun;
      scope.waited(runNanos);
    }
  }

  private interface SmallRead {
    int of() throws IOException;
  }

  private void endRun(Outcome outcome) {
    if (running) {
      running = false;
      scope.recorded(Operation.GET, outcome, runNanos, runBytes);
    }
  }

  // Reads at the stream's position.

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    if (length == 0) {
      return in.read(into, offset, length);
    } else if (length <= SMALL) {
      return readSmall(into, offset, length);
    }
    endRun(Outcome.OK);
    return (int) timed(() -> in.read(into, offset, length));
  }

  @Override
  public int read(ByteBuffer into) throws IOException {
    endRun(Outcome.OK);
    return (int) timed(() -> in.read(into));
  }

  @Override
  public ByteBuffer read(ByteBufferPool pool, int most, EnumSet<ReadOption> options) throws IOException {
    endRun(Outcome.OK);
    ByteBuffer[] filled = new ByteBuffer[1];
    timed(
        () -> {
          filled[0] = in.read(pool, most, options);
          return filled[0] == null ? -1 : filled[0].remaining();
        });
    return filled[0];
  }

  @Override
  public void releaseBuffer(ByteBuffer buffer) {
    in.releaseBuffer(buffer);
  }

  // Positional reads: of any number of threads.

  @Override
  public int read(long position, byte[] into, int offset, int length) throws IOException {
    return (int) timed(() -> in.read(position, into, offset, length));
  }

  @Override
  public void readFully(long position, byte[] into, int offset, int length) throws IOException {
    timed(
        () -> {
          in.readFully(position, into, offset, length);
          return length;
        });
  }

  @Override
  public void readFully(long position, byte[] into) throws IOException {
    timed(
        () -> {
          in.readFully(position, into);
          return into.length;
        });
  }

  @Override
  public int read(long position, ByteBuffer into) throws IOException {
    return (int) timed(() -> in.read(position, into));
  }

  @Override
  public void readFully(long position, ByteBuffer into) throws IOException {
    timed(
        () -> {
          int wanted = into.remaining();
          in.readFully(position, into);
          return wanted;
        });
  }

  // Vectored reads.

  @Override
  public int minSeekForVectorReads() {
    return in.minSeekForVectorReads();
  }

  @Override
  public int maxReadSizeForVectorReads() {
    return in.maxReadSizeForVectorReads();
  }

  @Override
  public void readVectored(List<? extends FileRange> ranges, IntFunction<ByteBuffer> allocate) throws IOException {
    TimedRanges.read(ranges, scope, copies -> in.readVectored(copies, allocate));
  }

  @Override
  public void readVectored(
      List<? extends FileRange> ranges, IntFunction<ByteBuffer> allocate, Consumer<ByteBuffer> release)
      throws IOException {
    TimedRanges.read(ranges, scope, copies -> in.readVectored(copies, allocate, release));
  }

  // The rest.

  @Override
  public void seek(long position) throws IOException {
    endRun(Outcome.OK);
    boolean before = TimedCalls.enter();
    try {
      in.seek(position);
    } finally {
      TimedCalls.leave(before);
    }
  }

  @Override
  public long skip(long count) throws IOException {
    endRun(Outcome.OK);
    boolean before = TimedCalls.enter();
    try {
      return in.skip(count);
    } finally {
      TimedCalls.leave(before);
    }
  }

  @Override
  public long getPos() throws IOException {
    return in.getPos();
  }

  @Override
  public boolean seekToNewSource(long target) throws IOException {
    endRun(Outcome.OK);
    return in.seekToNewSource(target);
  }

  @Override
  public int available() throws IOException {
    return in.available();
  }

  @Override
  public boolean markSupported() {
    return in.markSupported();
  }

  @Override
  public void mark(int limit) {
    in.mark(limit);
  }

  @Override
  public void reset() throws IOException {
    endRun(Outcome.OK);
    in.reset();
  }

  /** Its time is waiting: a store's stream may read what is left of an answer. */
  @Override
  public void close() throws IOException {
    endRun(Outcome.OK);
    boolean before = TimedCalls.enter();
    long begun = System.nanoTime();
    try {
      in.close();
    } finally {
      TimedCalls.leave(before);
      scope.waited(System.nanoTime() - begun);
    }
  }

  @Override
  public void unbuffer() {
    endRun(Outcome.OK);
    in.unbuffer();
  }

  @Override
  public FileDescriptor getFileDescriptor() throws IOException {
    return in.getFileDescriptor();
  }

  @Override
  public void setReadahead(Long readahead) throws IOException {
    in.setReadahead(readahead);
  }

  @Override
  public void setDropBehind(Boolean dropBehind) throws IOException {
    in.setDropBehind(dropBehind);
  }

  @Override
  public boolean hasCapability(String capability) {
    return in.hasCapability(capability);
  }

  @Override
  public IOStatistics getIOStatistics() {
    return in.getIOStatistics();
  }

  @Override
  public String toString() {
    return in.toString();
  }
}
