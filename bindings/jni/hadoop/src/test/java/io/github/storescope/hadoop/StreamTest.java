// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every way to read gives the bytes that were written, from any number of threads. */
class StreamTest extends OnABucket {

  private static final int SIZE = 24 << 20;

  private byte[] bytes;

  @BeforeEach
  void write() throws Exception {
    bytes = new byte[SIZE];
    new Random(5).nextBytes(bytes);
    try (FSDataOutputStream out = fs.create(new Path("/file"))) {
      out.write(bytes);
    }
  }

  private void check(FileRange range) throws Exception {
    ByteBuffer got = range.getData().get(60, TimeUnit.SECONDS);
    assertEquals(range.getLength(), got.remaining());
    byte[] copy = new byte[range.getLength()];
    got.duplicate().get(copy);
    int from = (int) range.getOffset();
    assertTrue(Arrays.equals(Arrays.copyOfRange(bytes, from, from + copy.length), copy), range.toString());
  }

  /**
   * Ranges large enough to arrive in many pieces, by more calls than there are threads that complete them: a range must not
   * end before its last piece is in its array.
   */
  @Test
  void vectoredReadsOfManyThreadsAreWhole() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    List<Future<?>> done = new ArrayList<>();
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      for (int thread = 0; thread < 8; thread++) {
        Random random = new Random(thread);
        IntFunction<ByteBuffer> allocate = thread % 2 == 0 ? ByteBuffer::allocate : ByteBuffer::allocateDirect;
        done.add(
            threads.submit(
                () -> {
                  for (int round = 0; round < 12; round++) {
                    List<FileRange> ranges = new ArrayList<>();
                    for (int number = 0; number < 6; number++) {
                      int length = 1 + random.nextInt(3 << 20);
                      ranges.add(FileRange.createFileRange(random.nextInt(SIZE - length), length));
                    }
                    in.readVectored(ranges, allocate);
                    for (FileRange range : ranges) {
                      check(range);
                    }
                  }
                  return null;
                }));
      }
      for (Future<?> one : done) {
        one.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** Buffers may be parts of larger ones, and begin anywhere. */
  @Test
  void vectoredReadsFillSlices() throws Exception {
    byte[] pool = new byte[1 << 20];
    AtomicInteger next = new AtomicInteger(17);
    IntFunction<ByteBuffer> slices =
        length -> ByteBuffer.wrap(pool, next.getAndAdd(length + 3), length).slice();
    List<FileRange> ranges =
        List.of(
            FileRange.createFileRange(5_000_000, 100_000),
            FileRange.createFileRange(0, 0),
            FileRange.createFileRange(5_050_000, 70_000),
            FileRange.createFileRange(SIZE - 10, 10));
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      in.readVectored(ranges, slices);
      for (FileRange range : ranges) {
        check(range);
      }
    }
  }

  /** Code that hangs on a future may wait for another read. */
  @Test
  void aFutureMayWaitForTheNext() throws Exception {
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      FileRange first = FileRange.createFileRange(0, 1000);
      in.readVectored(List.of(first), ByteBuffer::allocate);
      Future<Integer> chained =
          first
              .getData()
              .thenApply(
                  buffer -> {
                    FileRange second = FileRange.createFileRange(20_000_000, 1000);
                    try {
                      in.readVectored(List.of(second), ByteBuffer::allocate);
                      check(second);
                    } catch (Exception e) {
                      throw new IllegalStateException(e);
                    }
                    return buffer.remaining();
                  });
      assertEquals(1000, chained.get(60, TimeUnit.SECONDS));
    }
  }

  @Test
  void aRangePastTheEndIsToldBeforeAnythingIsRead() throws Exception {
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      List<FileRange> ranges = List.of(FileRange.createFileRange(0, 10), FileRange.createFileRange(SIZE - 5, 10));
      List<String> kinds =
          server.kinds(
              () -> assertThrows(EOFException.class, () -> in.readVectored(ranges, ByteBuffer::allocate)));
      assertEquals(List.of(), kinds);
    }
  }

  /** A buffer whose read has failed is given back, and its future says why. */
  @Test
  void aFailedRangeGivesItsBufferBack() throws Exception {
    AtomicInteger released = new AtomicInteger();
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      server.fault(
          "{\"method\":\"GET\",\"contains\":\"/o/file\",\"action\":{\"status\":{\"status\":403,\"code\":\"NotAllowed\",\"message\":\"no\"}}}");
      FileRange range = FileRange.createFileRange(1000, 1000);
      ((StoreInputStream) in.getWrappedStream())
          .readVectored(List.of(range), ByteBuffer::allocateDirect, buffer -> released.incrementAndGet());
      ExecutionException failed =
          assertThrows(ExecutionException.class, () -> range.getData().get(60, TimeUnit.SECONDS));
      assertTrue(failed.getCause() instanceof java.nio.file.AccessDeniedException, failed.toString());
      assertEquals(1, released.get());
    }
  }

  /** A stream that is closed while ranges are on their way ends them. */
  @Test
  void closingEndsWhatIsUnderWay() throws Exception {
    FSDataInputStream in = fs.open(new Path("/file"));
    server.fault("{\"method\":\"GET\",\"contains\":\"/o/file\",\"action\":{\"delay\":{\"ms\":600000}}}");
    FileRange range = FileRange.createFileRange(1000, 1000);
    in.readVectored(List.of(range), ByteBuffer::allocate);
    in.close();
    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> range.getData().get(60, TimeUnit.SECONDS));
    assertTrue(failed.getMessage().contains("closed"), failed.toString());
  }

  @Test
  void positionalReadsOfManyThreadsAreWhole() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(16);
    List<Future<?>> done = new ArrayList<>();
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      for (int thread = 0; thread < 16; thread++) {
        Random random = new Random(thread);
        boolean direct = thread % 2 == 0;
        done.add(
            threads.submit(
                () -> {
                  for (int round = 0; round < 40; round++) {
                    int length = 1 + random.nextInt(200_000);
                    int from = random.nextInt(SIZE - length);
                    byte[] got = new byte[length];
                    if (direct) {
                      ByteBuffer buffer = ByteBuffer.allocateDirect(length);
                      in.readFully(from, buffer);
                      buffer.flip();
                      buffer.get(got);
                    } else {
                      in.readFully(from, got);
                    }
                    assertTrue(Arrays.equals(Arrays.copyOfRange(bytes, from, from + length), got));
                  }
                  return null;
                }));
      }
      for (Future<?> one : done) {
        one.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** A positional read fills as far as the object reaches: a short one would be taken for its end. */
  @Test
  void aPositionalReadFills() throws Exception {
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      byte[] all = new byte[20 << 20];
      assertEquals(all.length, in.read(1, all, 0, all.length));
      assertArrayEquals(Arrays.copyOfRange(bytes, 1, 1 + all.length), all);
      assertEquals(10, in.read(SIZE - 10, all, 0, all.length));
      assertEquals(-1, in.read(SIZE, all, 0, 1));
    }
  }

  @Test
  void theStreamGoesThroughInAnySteps() throws Exception {
    Random random = new Random(3);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      int at = 0;
      byte[] some = new byte[300_000];
      while (at < SIZE) {
        switch (random.nextInt(4)) {
          case 0:
            assertEquals(bytes[at] & 0xff, in.read());
            at++;
            break;
          case 1: {
            int got = in.read(some, 0, 1 + random.nextInt(5000));
            assertTrue(Arrays.equals(some, 0, got, bytes, at, at + got));
            at += got;
            break;
          }
          case 2: {
            int got = in.read(some, 0, 1 + random.nextInt(some.length));
            assertTrue(Arrays.equals(some, 0, got, bytes, at, at + got));
            at += got;
            break;
          }
          default: {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 + random.nextInt(some.length));
            int got = in.read(buffer);
            buffer.flip();
            assertEquals(ByteBuffer.wrap(bytes, at, got), buffer);
            at += got;
          }
        }
        assertEquals(at, in.getPos());
        if (random.nextInt(10) == 0) {
          at = Math.max(0, at - random.nextInt(200_000));
          in.seek(at);
        }
        if (random.nextInt(50) == 0) {
          in.unbuffer();
        }
      }
      assertEquals(-1, in.read());
    }
  }
}
