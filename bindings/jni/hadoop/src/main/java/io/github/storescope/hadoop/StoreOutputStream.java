// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.io.OutputStream;
import java.util.Locale;
import java.util.Objects;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;

/**
 * A new file, sent to the store while it is written. Nothing is seen at its path before {@link #close} has returned: a
 * stream that fails, is aborted or never closed leaves what was there.
 *
 * <p>There is no {@code hflush} and {@code hsync}: the store shows no file half-written.
 */
final class StoreOutputStream extends OutputStream implements Abortable, StreamCapabilities, IOStatisticsSource {

  /** Whether the file is made only where nothing is, asked when it is closed. */
  static final String CONDITIONAL_OVERWRITE = "fs.option.create.conditional.overwrite";

  /** Smaller writes are gathered, so that single bytes do not cross into native code. */
  private static final int BUFFER = 64 << 10;

  private final Store store;
  private final Path path;
  private final String key;
  private final int mode;
  private final String[] about;
  private final Runnable written;
  private final StreamStatistics counted = StreamStatistics.ofWrites(this::recorded);

  private final byte[] buffer = new byte[BUFFER];
  private int buffered;
  /** That of the thread which opened it; null for none. */
  private final Recording.Scope scope = Recording.current();
  private final Writer writer = new Writer();
  private final Cleaner.Cleanable dropped = UnreachableCleaner.watch(this, writer);
  private boolean closed;
  /** What a write failed with: the file cannot be made any more. */
  private IOException failure;

  /**
   * No I/O.
   *
   * @param mode {@link Native#MODE_OVERWRITE} or {@link Native#MODE_CREATE}
   * @param about as {@link Native#openWriter} wants it
   * @param written called when the file is there
   */
  StoreOutputStream(Store store, Path path, String key, int mode, String[] about, Runnable written) {
    this.store = store;
    this.path = path;
    this.key = key;
    this.mode = mode;
    this.about = about;
    this.written = written;
  }

  @Override
  public synchronized void write(int b) throws IOException {
    checkOpen();
    if (buffered == BUFFER) {
      send();
    }
    buffer[buffered++] = (byte) b;
    counted.bytes.incrementAndGet();
  }

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    checkOpen();
    if (length > BUFFER - buffered) {
      send();
    }
    if (length >= BUFFER) {
      pass(bytes, offset, length);
    } else {
      System.arraycopy(bytes, offset, buffer, buffered, length);
      buffered += length;
    }
    counted.bytes.addAndGet(length);
  }

  /** Does nothing: a file is seen when it is closed. */
  @Override
  public void flush() throws IOException {
    checkOpen();
  }

  /**
   * Makes the file. Does nothing where the stream is closed or aborted.
   *
   * @throws IOException if the file was not made; what was at its path is still there
   */
  @Override
  public synchronized void close() throws IOException {
    if (closed) {
      return;
    }
    closed = true;
    if (failure != null) {
      throw new PathIOException(path.toString(), "not written: a write failed before the close", failure);
    }
    try {
      begin(buffered);
      send();
      Recording.waiting(scope, writer::finish);
    } catch (IOException e) {
      fail(e);
      throw e;
    } finally {
      store.written(key);
    }
    written.run();
  }

  /** Discards the file. Once closed, there is nothing to discard. */
  @Override
  public synchronized AbortableResult abort() {
    boolean before = closed;
    closed = true;
    IOException problem = before || failure != null ? null : discard();
    return new Aborted(before, problem);
  }

  @Override
  public boolean hasCapability(String capability) {
    switch (capability.toLowerCase(Locale.ROOT)) {
      case CommonPathCapabilities.ABORTABLE_STREAM:
      case StreamCapabilities.IOSTATISTICS:
        return true;
      case CONDITIONAL_OVERWRITE:
        return mode == Native.MODE_CREATE;
      default:
        return false;
    }
  }

  @Override
  public IOStatistics getIOStatistics() {
    return counted;
  }

  @Override
  public String toString() {
    return "StoreOutputStream{" + path + ", " + counted.bytes.get() + " bytes}";
  }

  private String recorded() throws IOException {
    return writer.begun ? Native.statistics(writer.handle) : "";
  }

  private void checkOpen() throws IOException {
    if (failure != null) {
      throw new PathIOException(path.toString(), "a write failed before this one", failure);
    }
    if (closed) {
      throw new PathIOException(path.toString(), "Stream is closed");
    }
  }

  /** Sends what is gathered. */
  private void send() throws IOException {
    if (buffered > 0) {
      int length = buffered;
      buffered = 0;
      pass(buffer, 0, length);
    }
  }

  private void pass(byte[] bytes, int offset, int length) throws IOException {
    try {
      begin(-1);
      Recording.waiting(scope, () -> writer.write(bytes, offset, length));
    } catch (IOException e) {
      fail(e);
      throw e;
    }
  }

  /**
   * @param size of the file, if all of it is gathered; else -1
   */
  private void begin(long size) throws IOException {
    if (!writer.begun) {
      writer.begin(store.openWriter(scope, key, mode, size, about));
    }
  }

  private void fail(IOException cause) {
    if (failure != null) {
      return;
    }
    failure = cause;
    IOException problem = discard();
    if (problem != null) {
      cause.addSuppressed(problem);
    }
  }

  /** What hindered; null if nothing did. */
  private IOException discard() {
    dropped.clean();
    return writer.problem;
  }

  /** The native writer. Run, once, it is aborted, unless it has ended. */
  private static final class Writer implements Runnable {

    volatile long handle;
    volatile boolean begun;
    volatile IOException problem;

    void begin(long opened) {
      handle = opened;
      begun = true;
    }

    Void write(byte[] bytes, int offset, int length) throws IOException {
      Native.write(handle, bytes, offset, length);
      return null;
    }

    Void finish() throws IOException {
      Native.finish(handle);
      begun = false;
      return null;
    }

    @Override
    public void run() {
      if (begun) {
        begun = false;
        try {
          Native.abort(handle);
        } catch (IOException e) {
          problem = e;
        }
      }
    }
  }

  private static final class Aborted implements AbortableResult {

    private final boolean alreadyClosed;
    private final IOException problem;

    Aborted(boolean alreadyClosed, IOException problem) {
      this.alreadyClosed = alreadyClosed;
      this.problem = problem;
    }

    @Override
    public boolean alreadyClosed() {
      return alreadyClosed;
    }

    @Override
    public IOException anyCleanupException() {
      return problem;
    }
  }
}
