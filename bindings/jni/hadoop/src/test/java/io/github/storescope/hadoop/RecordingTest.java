// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Requests are told under the name of who asked for them, once; beside them the time that threads were blocked. */
class RecordingTest extends OnABucket {

  private static final Path FILE = new Path("/file");
  private static final int SIZE = 1 << 20;
  private static final long DELAY_MILLIS = 300;

  private final ThreadLocal<Recording.Scope> mine = new ThreadLocal<>();
  private Recording.Scope first;
  private Recording.Scope second;

  @BeforeEach
  void attribute() throws Exception {
    write(fs);
    first = new Recording.Scope("first");
    second = new Recording.Scope("second");
    Recording.attribute(mine::get);
  }

  @AfterEach
  void end() {
    Recording.attribute(null);
    first.close();
    second.close();
  }

  private static void write(FileSystem to) throws Exception {
    try (FSDataOutputStream out = to.create(FILE)) {
      out.write(new byte[SIZE]);
    }
  }

  /** What an {@code .hlog} tells, by Java's own sum of it: all attempts. */
  private static JsonNode told(byte[] hlog) throws Exception {
    try (Gathering gathering = new Gathering()) {
      gathering.add(1, 0, "1", new long[] {0, 0, 0}, hlog);
      return new ObjectMapper().readTree(gathering.report("spark:test", "test", 0, new String[0])[1]).path("cells").path(0);
    }
  }

  private static int requests(byte[] hlog) throws Exception {
    return told(hlog).path("requests").asInt();
  }

  private static void read(FSDataInputStream in) throws Exception {
    in.readFully(0, new byte[SIZE]);
  }

  @Test
  void whatEachAsksForIsItsOwnAndIsTakenOnce() throws Exception {
    mine.set(first);
    int requests =
        server
            .during(
                () -> {
                  try (FSDataInputStream in = fs.open(FILE)) {
                    read(in);
                  }
                  fs.listStatus(new Path("/"));
                })
            .size();
    mine.set(second);
    int others = server.during(() -> fs.exists(new Path("/none"))).size();
    byte[] hlog = first.take();
    assertEquals(requests, requests(hlog));
    assertEquals(SIZE, told(hlog).path("bytes").asLong());
    assertEquals(others, requests(second.take()));
    assertEquals(0, first.take().length);
  }

  @Test
  void aStreamKeepsTheScopeOfTheThreadThatOpenedIt() throws Exception {
    mine.set(first);
    FSDataInputStream in = fs.open(FILE);
    FSDataOutputStream out = fs.create(new Path("/written"));
    Thread other =
        new Thread(
            () -> {
              try {
                mine.set(second);
                read(in);
                out.write(new byte[SIZE]);
                out.close();
                in.close();
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
    other.start();
    other.join();
    JsonNode told = told(first.take());
    // What was read, and what was written.
    assertEquals(2 * SIZE, told.path("bytes").asLong());
    assertTrue(told.path("calls").has("put"), told.toString());
    assertTrue(first.takeWaited() > 0);
  }

  @Test
  void whatIsRecordedIsTakenThoughItsFileSystemWasClosed() throws Exception {
    mine.set(first);
    int requests;
    try (FileSystem other = server.open(server.bucket(), server.configuration())) {
      requests = server.during(() -> write(other)).size();
    }
    assertEquals(requests, requests(first.take()));
  }

  @Test
  void theTimeThatAThreadIsBlockedIsTold() throws Exception {
    mine.set(first);
    server.fault("{\"method\": \"GET\", \"count\": 1, \"action\": {\"delay\": {\"ms\": " + DELAY_MILLIS + "}}}");
    try (FSDataInputStream in = fs.open(FILE)) {
      first.takeWaited();
      read(in);
      long waited = TimeUnit.NANOSECONDS.toMillis(first.takeWaited());
      assertTrue(waited >= DELAY_MILLIS && waited < 10 * DELAY_MILLIS, waited + " ms");
    }
  }

  @Test
  void hangingOnAVectoredReadIsWaiting() throws Exception {
    mine.set(first);
    server.fault("{\"method\": \"GET\", \"count\": 1, \"action\": {\"delay\": {\"ms\": " + DELAY_MILLIS + "}}}");
    try (FSDataInputStream in = fs.open(FILE)) {
      first.takeWaited();
      FileRange range = FileRange.createFileRange(0, SIZE);
      in.readVectored(List.of(range), ByteBuffer::allocate);
      assertTrue(TimeUnit.NANOSECONDS.toMillis(first.takeWaited()) < DELAY_MILLIS, "the call itself does not wait");
      // By a stage that depends on it, on a thread that is no task's.
      mine.remove();
      assertEquals(SIZE, range.getData().thenApply(ByteBuffer::remaining).get());
      long waited = TimeUnit.NANOSECONDS.toMillis(first.takeWaited());
      assertTrue(waited >= DELAY_MILLIS - 50 && waited < 10 * DELAY_MILLIS, waited + " ms");
    }
  }

  @Test
  void aLogThatCannotBeReadIsRefusedWhole() throws Exception {
    try (Gathering gathering = new Gathering()) {
      byte[] garbage = "Tag=none,0.0,1.0,2.0,garbage\n".getBytes();
      String said =
          org.junit.jupiter.api.Assertions.assertThrows(
                  java.io.IOException.class, () -> gathering.add(1, 0, "7", new long[] {1, 2, 3}, garbage))
              .getMessage();
      assertTrue(said.contains("executor 7") && said.contains("stage 1.0"), said);
      assertArrayEquals(new String[0], gathering.lines());
    }
  }
}
