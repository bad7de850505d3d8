// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.EOFException;
import java.io.IOException;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.apache.hadoop.fs.ByteBufferPositionedReadable;
import org.apache.hadoop.fs.ByteBufferReadable;
import org.apache.hadoop.fs.CanUnbuffer;
import org.apache.hadoop.fs.FSExceptionMessages;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.fs.statistics.StreamStatisticNames;

/**
 * One version of an object, read by any number of threads.
 *
 * <p>Positional and vectored reads go to the core as they come, without a lock, and always fill: a short one means that the
 * object ends. The stream's own position is a number beside them, so that a seek costs nothing. An object that is replaced
 * meanwhile is a {@link RemoteFileChangedException}, never a mixture.
 */
final class StoreInputStream extends FSInputStream
    implements ByteBufferReadable, ByteBufferPositionedReadable, CanUnbuffer, StreamCapabilities, IOStatisticsSource {

  /** Reads of the stream below this size go through a buffer of this size on Java's side. */
  private static final int BUFFER = 16 << 10;

  /** How often a file that is replaced again and again is opened anew before its first byte. */
  private static final int REOPENINGS = 16;

  private final Store store;
  private final Path path;
  private final String key;
  private final int policy;
  private final NativeReader reader;
  private final Cleaner.Cleanable cleanable;
  private final FileSystem.Statistics statistics;
  private final StreamStatistics counted;
  /** That of the thread which opened it; null for none. */
  private final Recording.Scope scope = Recording.current();

  /** The object's size, once it is known; else -1. */
  private volatile long size;
  /** Whether the version is settled: it was asked for, or a read has begun that may have had bytes of it. */
  private volatile boolean settled = true;

  // Of the stream itself, under its lock.
  private long position;
  private byte[] buffer;
  private long bufferStart;
  private int bufferLength;

  /**
   * No I/O.
   *
   * @param size the object's size, or -1
   * @param etag the ETag that it must have, or null
   * @param policy one of {@link Native}'s
   * @param statistics of the FileSystem, or null
   */
  StoreInputStream(
      Store store, Path path, String key, long size, String etag, int policy, FileSystem.Statistics statistics)
      throws IOException {
    this.store = store;
    this.path = path;
    this.key = key;
    this.policy = policy;
    this.size = size;
    this.statistics = statistics;
    this.reader = new NativeReader(store.openReader(scope, key, size, etag, policy));
    // A stream that is dropped unclosed frees what it holds.
    this.cleanable = UnreachableCleaner.watch(this, reader);
    this.counted = StreamStatistics.ofReads(() -> Native.statistics(reader.handle));
  }

  /**
   * Leaves the version open until the first byte: a file that is replaced between its opening and a first read from its start
   * is opened anew. To be called before anything else.
   */
  StoreInputStream ofAnyVersion() {
    settled = false;
    return this;
  }

  // The stream.

  @Override
  public synchronized void seek(long target) throws IOException {
    handle();
    if (target < 0) {
      throw new EOFException(FSExceptionMessages.NEGATIVE_SEEK + " " + target + " in " + path);
    }
    if (target > 0 && target > size()) {
      throw new EOFException(FSExceptionMessages.CANNOT_SEEK_PAST_EOF + ": " + target + " of " + size + " in " + path);
    }
    if (target != position) {
      counted.seeks.incrementAndGet();
      position = target;
    }
  }

  @Override
  public synchronized long getPos() throws IOException {
    return position;
  }

  @Override
  public boolean seekToNewSource(long target) {
    return false;
  }

  @Override
  public synchronized long skip(long count) throws IOException {
    handle();
    long skipped = Math.max(0, Math.min(count, size() - position));
    position += skipped;
    return skipped;
  }

  @Override
  public synchronized int available() throws IOException {
    handle();
    return (int) Math.min(Integer.MAX_VALUE, Math.max(0, size() - position));
  }

  @Override
  public synchronized int read() throws IOException {
    if (!fillBuffer(1)) {
      return -1;
    }
    int one = buffer[(int) (position - bufferStart)] & 0xff;
    position++;
    read(1);
    return one;
  }

  @Override
  public synchronized int read(byte[] into, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, into.length);
    handle();
    if (length == 0) {
      return 0;
    }
    int filled;
    if (length < BUFFER / 2) {
      if (!fillBuffer(length)) {
        return -1;
      }
      int from = (int) (position - bufferStart);
      filled = Math.min(length, bufferLength - from);
      System.arraycopy(buffer, from, into, offset, filled);
    } else {
      filled = fetchNext(into, offset, length);
    }
    return advance(filled);
  }

  @Override
  public synchronized int read(ByteBuffer into) throws IOException {
    handle();
    return advance(fetch(position, into));
  }

  /** Whether the buffer holds the byte at the stream's position, after a read if need be; not at the object's end. */
  private boolean fillBuffer(int wanted) throws IOException {
    handle();
    long ahead = bufferStart + bufferLength - position;
    boolean inside = position >= bufferStart && ahead > 0;
    if (inside && (ahead >= wanted || bufferStart + bufferLength == size)) {
      return true;
    }
    if (buffer == null) {
      buffer = new byte[BUFFER];
    }
    bufferLength = 0;
    int filled = fetchNext(buffer, 0, BUFFER);
    bufferStart = position;
    bufferLength = Math.max(filled, 0);
    return filled > 0;
  }

  private int advance(int filled) {
    if (filled > 0) {
      position += filled;
      read(filled);
    }
    return filled;
  }

  // Positional reads: of no thread's own.

  @Override
  public int read(long from, byte[] into, int offset, int length) throws IOException {
    validatePositionedReadArgs(from, into, offset, length);
    Objects.checkFromIndexSize(offset, length, into.length);
    if (length == 0) {
      return 0;
    }
    return read(fetch(from, into, offset, length));
  }

  @Override
  public void readFully(long from, byte[] into, int offset, int length) throws IOException {
    validatePositionedReadArgs(from, into, offset, length);
    Objects.checkFromIndexSize(offset, length, into.length);
    if (length > 0 && read(fetch(from, into, offset, length)) < length) {
      throw endOfFile(from, length);
    }
  }

  @Override
  public int read(long from, ByteBuffer into) throws IOException {
    validatePosition(from);
    return read(fetch(from, into));
  }

  @Override
  public void readFully(long from, ByteBuffer into) throws IOException {
    validatePosition(from);
    int length = into.remaining();
    if (length > 0 && read(fetch(from, into)) < length) {
      throw endOfFile(from, length);
    }
  }

  private static void validatePosition(long from) throws EOFException {
    if (from < 0) {
      throw new EOFException(FSExceptionMessages.NEGATIVE_SEEK + " " + from);
    }
  }

  private EOFException endOfFile(long from, int length) {
    return new EOFException(
        FSExceptionMessages.EOF_IN_READ_FULLY + ": " + length + " bytes from " + from + " of " + size + " in " + path);
  }

  /** Of the stream itself, at its position. */
  private int fetchNext(byte[] into, int offset, int length) throws IOException {
    for (int tries = 0; ; tries++) {
      try {
        int filled = readNow(handle(), position, into, offset, length);
        settle();
        return filled;
      } catch (RemoteFileChangedException e) {
        if (tries == REOPENINGS || position != 0 || !reopen()) {
          throw e;
        }
      }
    }
  }

  /** From here on there is one version. */
  private void settle() {
    if (!settled) {
      synchronized (reader) {
        settled = true;
      }
    }
  }

  /** Opens the version that is there now, if no byte of another can have been read. */
  private boolean reopen() throws IOException {
    if (settled) {
      return false;
    }
    Entries file = store.headAnew(key);
    if (file == null) {
      return false;
    }
    synchronized (reader) {
      if (settled) {
        return false;
      }
      reader.replace(store.openReader(scope, key, file.sizes[0], file.etags[0], policy));
      size = file.sizes[0];
      return true;
    }
  }

  private int fetch(long from, byte[] into, int offset, int length) throws IOException {
    settle();
    // Hadoop's own check of a positional read lets a negative offset pass.
    Objects.checkFromIndexSize(offset, length, into.length);
    return readNow(handle(), from, into, offset, length);
  }

  /** Blocks the thread, and tells the scope for how long. */
  private int readNow(long handle, long from, byte[] into, int offset, int length) throws IOException {
    if (scope == null) {
      return Native.read(handle, from, into, offset, length);
    }
    long begun = System.nanoTime();
    try {
      return Native.read(handle, from, into, offset, length);
    } finally {
      scope.waited(System.nanoTime() - begun);
    }
  }

  /** Fills a buffer and moves its position on; -1 at the end. */
  private int fetch(long from, ByteBuffer into) throws IOException {
    settle();
    long handle = handle();
    int length = into.remaining();
    if (length == 0) {
      return 0;
    }
    int filled;
    if (into.isDirect()) {
      filled = Recording.waiting(scope, () -> Native.readDirect(handle, from, into, into.position(), length));
    } else if (into.hasArray()) {
      filled = readNow(handle, from, into.array(), into.arrayOffset() + into.position(), length);
    } else {
      throw new IOException(path + ": the buffer cannot be written");
    }
    if (filled > 0) {
      into.position(into.position() + filled);
    }
    return filled;
  }

  // Vectored reads.

  @Override
  public void readVectored(List<? extends FileRange> ranges, IntFunction<ByteBuffer> allocate) throws IOException {
    readVectored(ranges, allocate, buffer -> {});
  }

  /**
   * Reads ranges at once, in any order; they may overlap. Near ones share a request, each byte goes straight into the buffer
   * of its range. A range that the object does not have is an {@link EOFException} before anything is read.
   *
   * @param release takes a buffer back whose read has failed
   */
  public void readVectored(
      List<? extends FileRange> ranges, IntFunction<ByteBuffer> allocate, Consumer<ByteBuffer> release)
      throws IOException {
    settle();
    long handle = handle();
    Objects.requireNonNull(allocate, "allocate");
    Objects.requireNonNull(release, "release");
    VectoredRead read = new VectoredRead(ranges, this::size, path);
    if (read.count() == 0) {
      return;
    }
    read.begin(handle, scope, allocate, release);
    counted.vectored(read.count(), read.bytes());
    told(read.bytes());
  }

  @Override
  public int minSeekForVectorReads() {
    return 1 << 20;
  }

  @Override
  public int maxReadSizeForVectorReads() {
    return 16 << 20;
  }

  // The rest.

  @Override
  public synchronized void unbuffer() {
    buffer = null;
    bufferLength = 0;
    long handle = reader.handle;
    if (handle != 0) {
      Native.unbuffer(handle);
      counted.unbuffered.incrementAndGet();
    }
  }

  @Override
  public void close() {
    cleanable.clean();
  }

  @Override
  public boolean hasCapability(String capability) {
    switch (capability.toLowerCase(Locale.ROOT)) {
      case StreamCapabilities.READBYTEBUFFER:
      case StreamCapabilities.PREADBYTEBUFFER:
      case StreamCapabilities.UNBUFFER:
      case StreamCapabilities.IOSTATISTICS:
      case "in:readvectored":
        return true;
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
    return "StoreInputStream{" + path + ", " + size + " bytes, " + StreamStatisticNames.STREAM_READ_BYTES + "="
        + counted.bytes.get() + "}";
  }

  private int read(int count) {
    if (count > 0) {
      counted.operations.incrementAndGet();
      told(count);
    }
    return count;
  }

  private void told(long bytes) {
    counted.bytes.addAndGet(bytes);
    if (statistics != null) {
      statistics.incrementBytesRead(bytes);
    }
  }

  private long size() throws IOException {
    if (size < 0) {
      size = Recording.waiting(scope, () -> Native.readerStatus(handle())).sizes[0];
    }
    return size;
  }

  private long handle() throws IOException {
    long handle = reader.handle;
    if (handle == 0) {
      throw new IOException(FSExceptionMessages.STREAM_IS_CLOSED + " " + path);
    }
    return handle;
  }
}
