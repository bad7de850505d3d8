// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.BooleanSupplier;
import java.util.function.IntFunction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Sixteen threads that read and write while collections are forced and threads are interrupted: each byte that is read is
 * compared, and nothing is held in the end. {@code STRESS_SECONDS} in the environment says for how long, for both schemes
 * together: 10 in {@code make test}, 300 in {@code make test-matrix}.
 */
class StressTest {

  private static final int THREADS = 16;
  private static final int FILES = 6;
  private static final int SIZE = 3 << 20;
  private static final int CONNECTIONS = 32;
  private static final int NAMES = 64;
  private static final int[] LENGTHS = {1, 100, 5_000, 300_000};

  private final Server server = new Server();
  private final byte[][] data = new byte[FILES][SIZE];
  private final Map<String, LongAdder> done = new ConcurrentHashMap<>();
  private final AtomicInteger names = new AtomicInteger();
  private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
  private FileSystem fs;
  private long until;

  StressTest() throws IOException {
    for (int number = 0; number < FILES; number++) {
      new Random(number).nextBytes(data[number]);
    }
  }

  private void count(String what) {
    done.computeIfAbsent(what, name -> new LongAdder()).increment();
  }

  private boolean isOver() {
    return System.nanoTime() >= until || !failures.isEmpty();
  }

  private static Path file(int number) {
    return new Path("/" + number + ".bin");
  }

  private void check(String what, byte[] whole, int from, ByteBuffer got, int length) {
    count(what);
    if (!ByteBuffer.wrap(whole, from, length).equals(got)) {
      throw new IllegalStateException(what + ": wrong bytes from " + from + ", " + length);
    }
  }

  // What a thread does once, by its own generator of random numbers.

  private interface Work {
    void run(Random chance) throws Exception;
  }

  private void stream(Random chance) throws Exception {
    int number = chance.nextInt(FILES);
    try (FSDataInputStream in = fs.open(file(number))) {
      byte[] piece = new byte[256 << 10];
      for (int at = 0; at < SIZE; at += piece.length) {
        in.readFully(piece);
        check("stream", data[number], at, ByteBuffer.wrap(piece), piece.length);
      }
    }
  }

  private void positioned(Random chance) throws Exception {
    int number = chance.nextInt(FILES);
    FSDataInputStream in = fs.open(file(number));
    for (int round = 0; round < 8; round++) {
      int length = LENGTHS[chance.nextInt(LENGTHS.length)];
      int from = chance.nextInt(SIZE - length);
      if (chance.nextBoolean()) {
        byte[] got = new byte[length];
        in.readFully(from, got);
        check("positioned", data[number], from, ByteBuffer.wrap(got), length);
      } else {
        ByteBuffer got = ByteBuffer.allocateDirect(length);
        in.readFully(from, got);
        got.flip();
        check("direct", data[number], from, got, length);
      }
    }
    // The others are dropped unclosed, and freed by the cleaner.
    if (chance.nextBoolean()) {
      in.close();
    }
  }

  private void vectored(Random chance) throws Exception {
    int number = chance.nextInt(FILES);
    IntFunction<ByteBuffer> allocate = chance.nextBoolean() ? ByteBuffer::allocate : ByteBuffer::allocateDirect;
    List<FileRange> ranges = new ArrayList<>();
    for (int range = 0; range < 12; range++) {
      int length = LENGTHS[chance.nextInt(LENGTHS.length)];
      ranges.add(FileRange.createFileRange(chance.nextInt(SIZE - length), length));
    }
    boolean closes = chance.nextInt(4) == 0;
    try (FSDataInputStream in = fs.open(file(number))) {
      in.readVectored(ranges, allocate);
      if (closes) {
        in.close();
      }
      for (FileRange range : ranges) {
        ended(range, number, closes);
      }
    }
  }

  /** A range of a stream that may be closed meanwhile. */
  private void ended(FileRange range, int number, boolean closes) throws Exception {
    try {
      ByteBuffer got = range.getData().get(60, TimeUnit.SECONDS);
      check("vectored", data[number], (int) range.getOffset(), got, range.getLength());
    } catch (ExecutionException e) {
      if (!closes || !String.valueOf(e.getCause().getMessage()).contains("closed")) {
        throw e;
      }
      count("closed meanwhile");
    }
  }

  /** A file of one request or of parts, or one that is given up; then what is there. */
  private void write(Random chance) throws Exception {
    // A name that was interrupted is used again only when its request is over.
    Path path = new Path("/written/" + names.getAndIncrement() % NAMES + ".bin");
    int number = chance.nextInt(FILES);
    int times = 1 + chance.nextInt(3) / 2;
    FSDataOutputStream out = Server.createFast(fs, path.toString());
    for (int time = 0; time < times; time++) {
      out.write(data[number]);
    }
    switch (chance.nextInt(4)) {
      case 0:
        out.abort();
        count("aborted");
        break;
      case 1:
        // Dropped unclosed: it is not made, and its upload is aborted by the cleaner.
        count("dropped");
        break;
      default:
        out.close();
        try (FSDataInputStream in = fs.open(path)) {
          byte[] got = in.readAllBytes();
          for (int time = 0; time < times; time++) {
            check("written", data[number], 0, ByteBuffer.wrap(got, time * SIZE, SIZE), SIZE);
          }
          assertEquals(times * SIZE, got.length);
        }
    }
  }

  private void look(Random chance) throws Exception {
    int number = chance.nextInt(FILES);
    assertEquals(SIZE, fs.getFileStatus(file(number)).getLen());
    assertTrue(fs.listStatus(new Path("/")).length >= FILES);
    try {
      fs.open(new Path("/missing.bin")).close();
      throw new IllegalStateException("a missing file was opened");
    } catch (FileNotFoundException e) {
      count("looked");
    }
  }

  // Threads.

  private Thread worker(int number, long seed, Work... works) {
    return new Thread(
        () -> {
          Random chance = new Random(seed + number);
          while (!isOver()) {
            try {
              works[chance.nextInt(works.length)].run(chance);
            } catch (Throwable e) {
              if (isInterrupt(e)) {
                count("interrupted");
              } else {
                failures.add(e);
              }
              Thread.interrupted();
            }
          }
        },
        "stress-" + number);
  }

  private static boolean isInterrupt(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if ((cause instanceof InterruptedIOException && !(cause instanceof java.net.SocketTimeoutException))
          || cause instanceof InterruptedException) {
        return true;
      }
    }
    return false;
  }

  private List<Thread> workers(long seed) {
    List<Thread> workers = new ArrayList<>();
    for (int number = 0; number < THREADS; number++) {
      if (number < 3) {
        workers.add(worker(number, seed, this::write));
      } else if (number < 8) {
        workers.add(worker(number, seed, this::vectored));
      } else {
        workers.add(worker(number, seed, this::stream, this::positioned, this::look));
      }
    }
    return workers;
  }

  /** Interrupts threads, each as often as the other, and collects what nobody refers to. */
  private void disturb(List<Thread> workers, long seed) throws InterruptedException {
    Random chance = new Random(seed);
    while (!isOver()) {
      workers.get(chance.nextInt(workers.size())).interrupt();
      Thread.sleep(chance.nextInt(30));
      if (chance.nextInt(5) == 0) {
        System.gc();
        count("collections");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"oci", "s3a"})
  void bytesAreRightAndNothingIsHeld(String scheme) throws Exception {
    String given = System.getenv("STRESS_SECONDS");
    long seconds = Math.max(1, Long.parseLong(given == null ? "10" : given) / 2);
    String bucket = server.bucket();
    int handles = handlesAfter(() -> true);
    fs = open(scheme, bucket);
    for (int number = 0; number < FILES; number++) {
      try (FSDataOutputStream out = fs.create(file(number))) {
        out.write(data[number]);
      }
    }
    disturbServer(bucket);
    until = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    List<Thread> workers = workers(1);
    workers.forEach(Thread::start);
    Thread.sleep(TimeUnit.SECONDS.toMillis(seconds) / 5);
    int descriptors = descriptors();
    disturb(workers, 1);
    for (Thread worker : workers) {
      worker.join(TimeUnit.SECONDS.toMillis(60));
      assertTrue(!worker.isAlive(), () -> worker + " hangs: " + Arrays.toString(worker.getStackTrace()));
    }
    server.clearFaults();
    fs.close();
    for (Throwable failure : failures) {
      throw new AssertionError(failures.size() + " failures", failure);
    }
    int left = handlesAfter(() -> Native.handles() <= handles && uploads(bucket).isEmpty());
    String told =
        scheme + ": " + seconds + " s, " + new TreeMap<>(done) + "; handles " + handles + " first, " + left
            + " last; descriptors " + descriptors + " first, " + descriptors() + " last";
    System.out.println(told);
    assertTrue(left <= handles, told);
    assertEquals("", uploads(bucket));
    assertTrue(descriptors() <= descriptors + CONNECTIONS, told);
    for (String what :
        List.of("stream", "positioned", "direct", "vectored", "closed meanwhile", "written", "aborted", "dropped", "looked",
            "interrupted", "collections")) {
      assertTrue(done.containsKey(what), what + " was never done: " + told);
    }
  }

  private FileSystem open(String scheme, String bucket) throws IOException {
    Configuration conf = scheme.equals("oci") ? server.configuration() : server.s3Configuration();
    conf.set("storescope.part_size", "5MiB");
    conf.set("storescope.max_connections", String.valueOf(CONNECTIONS));
    conf.set("storescope.retry_budget", "1000");
    conf.set("storescope.backoff_base", "1ms");
    Path root = scheme.equals("oci") ? new Path(server.uri(bucket)) : new Path("s3a://" + bucket + "/");
    return FileSystem.newInstance(root.toUri(), conf);
  }

  /** Some requests are late, and some break: there is something to interrupt, and something to repeat. */
  private void disturbServer(String bucket) throws IOException {
    String rule = "{\"method\":\"GET\",\"contains\":\"" + bucket + "\",\"seed\":1,\"probability\":";
    server.fault(rule + "0.05,\"action\":{\"delay\":{\"ms\":30}}}");
    server.fault(rule + "0.01,\"action\":\"reset\"}");
    server.fault(rule + "0.01,\"action\":{\"truncate\":{\"after\":50000}}}");
  }

  private String uploads(String bucket) {
    try {
      return server.uploads(bucket);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Collects until a condition holds, for half a minute at most; how many handles are open then. */
  private static int handlesAfter(BooleanSupplier holds) throws Exception {
    Library.load();
    long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    do {
      System.gc();
      Thread.sleep(50);
    } while (!holds.getAsBoolean() && System.nanoTime() < patience);
    return Native.handles();
  }

  private static int descriptors() {
    return new File("/proc/self/fd").list().length;
  }
}
