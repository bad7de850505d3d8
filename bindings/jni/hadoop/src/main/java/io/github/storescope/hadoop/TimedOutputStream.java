// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.IOException;
import java.io.OutputStream;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.CanSetDropBehind;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;

/**
 * A file written to a FileSystem that is timed: one PUT, recorded when it is closed or aborted, with all its bytes and the
 * time that its calls took, its creation among them, not what was between them. A write that fails is how it ended. Writes of
 * at most {@value #SMALL} bytes, which go to a buffer, are counted and not timed.
 */
final class TimedOutputStream extends OutputStream
    implements Syncable, CanSetDropBehind, Abortable, StreamCapabilities, IOStatisticsSource {

  private static final int SMALL = 8;

  private final FSDataOutputStream out;
  private final Recording.Scope scope;
  private final long start;
  private final AtomicLong spent;
  private final AtomicReference<Outcome> failed = new AtomicReference<>();
  private final AtomicBoolean ended = new AtomicBoolean();

  private TimedOutputStream(FSDataOutputStream out, Recording.Scope scope, long spent) {
    this.out = out;
    this.scope = scope;
    this.start = out.getPos();
    this.spent = new AtomicLong(spent);
  }

  /** The same stream, recorded in a scope; its creation took so long. */
  static FSDataOutputStream of(FSDataOutputStream stream, Recording.Scope scope, long spent) {
    return stream instanceof Timed ? stream : new Timed(new TimedOutputStream(stream, scope, spent));
  }

  /** What users hold. Its statistics are counted by the stream that it is made of. */
  private static final class Timed extends FSDataOutputStream {

    private final FSDataOutputStream out;

    Timed(TimedOutputStream timed) {
      super(timed, null, timed.start);
      out = timed.out;
    }

    /** That of the stream: for casts to what a FileSystem makes. What is written to it is not timed. */
    @Override
    public OutputStream getWrappedStream() {
      return out.getWrappedStream();
    }

    @Override
    public String toString() {
      return out.toString();
    }
  }

  private interface Write {
    void made() throws IOException;
  }

  private void timed(Write write) throws IOException {
    boolean before = TimedCalls.enter();
    long begun = System.nanoTime();
    try {
      write.made();
    } catch (IOException | RuntimeException | Error e) {
      failed(e);
      throw e;
    } finally {
      TimedCalls.leave(before);
      spent(begun);
    }
  }

  /** The first failure counts. */
  private void failed(Throwable failure) {
    failed.compareAndSet(null, Outcome.of(failure));
  }

  private void spent(long begun) {
    long nanos = System.nanoTime() - begun;
    spent.addAndGet(nanos);
    scope.waited(nanos);
  }

  private void end(Outcome outcome) {
    if (ended.compareAndSet(false, true)) {
      Outcome before = failed.get();
      scope.recorded(Operation.PUT, before == null ? outcome : before, spent.get(), out.getPos() - start);
    }
  }

  @Override
  public void write(int one) throws IOException {
    try {
      out.write(one);
    } catch (IOException | RuntimeException | Error e) {
      failed(e);
      throw e;
    }
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (length > SMALL) {
      timed(() -> out.write(bytes, offset, length));
      return;
    }
    try {
      out.write(bytes, offset, length);
    } catch (IOException | RuntimeException | Error e) {
      failed(e);
      throw e;
    }
  }

  @Override
  public void flush() throws IOException {
    timed(out::flush);
  }

  @Override
  public void hflush() throws IOException {
    timed(out::hflush);
  }

  @Override
  public void hsync() throws IOException {
    timed(out::hsync);
  }

  @Override
  public void close() throws IOException {
    try {
      timed(out::close);
    } finally {
      end(Outcome.OK);
    }
  }

  @Override
  public AbortableResult abort() {
    long begun = System.nanoTime();
    AbortableResult aborted;
    try {
      aborted = out.abort();
    } finally {
      spent(begun);
    }
    end(Outcome.CANCELLED);
    return aborted;
  }

  @Override
  public void setDropBehind(Boolean dropBehind) throws IOException {
    out.setDropBehind(dropBehind);
  }

  @Override
  public boolean hasCapability(String capability) {
    return out.hasCapability(capability);
  }

  @Override
  public IOStatistics getIOStatistics() {
    return out.getIOStatistics();
  }

  @Override
  public String toString() {
    return out.toString();
  }
}
