// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.net.URI;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** The budget of reads holds in a JVM, too: by the process's resident memory, which is more than what is in use. */
class MemoryTest {

  private static final int MIB = 1 << 20;
  private static final int BUDGET = 64;
  private static final int STREAMS = 64;
  /** What a JVM may take beside the budget: code, stacks, freed memory that the allocator keeps. */
  private static final int BESIDE = 64;

  @Test
  void manyStreamsStayWithinTheBudget() throws Exception {
    Server server = new Server();
    String bucket = server.bucket();
    try (FileSystem fs = server.open(bucket, server.configuration());
        FSDataOutputStream out = fs.create(new Path("/file"))) {
      byte[] piece = new byte[MIB];
      for (int written = 0; written < 96; written++) {
        out.write(piece);
      }
    }
    List<String> command =
        List.of(
            System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
            "-Xms96m",
            "-Xmx96m",
            "-XX:+AlwaysPreTouch",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            Streams.class.getName(),
            server.uri(bucket).toString());
    Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String told = new String(process.getInputStream().readAllBytes()).trim();
    assertEquals(0, process.waitFor(), told);
    String[] figures = told.substring(told.lastIndexOf('\n') + 1).split(" ");
    long grown = Long.parseLong(figures[1]) - Long.parseLong(figures[0]);
    System.out.println(STREAMS + " streams at a budget of " + BUDGET + " MiB: " + grown + " MiB more than idle");
    assertTrue(grown <= BUDGET + BESIDE, grown + " MiB more than idle");
  }

  /** Reads by 64 streams at once, and tells the process's peak before and after, in MiB. */
  public static final class Streams {
    private Streams() {}

    public static void main(String[] arguments) throws Exception {
      Configuration conf = new Server().configuration();
      conf.set("storescope.read_budget", BUDGET + "MiB");
      try (FileSystem fs = FileSystem.newInstance(URI.create(arguments[0]), conf)) {
        ExecutorService threads = Executors.newFixedThreadPool(STREAMS);
        // The threads and the code are there before the memory is looked at.
        all(threads, fs, 1);
        long before = peak();
        all(threads, fs, 96);
        threads.shutdown();
        System.out.println(before + " " + peak());
      }
    }

    private static void all(ExecutorService threads, FileSystem fs, int mib) throws Exception {
      List<Future<?>> done = new ArrayList<>();
      for (int stream = 0; stream < STREAMS; stream++) {
        done.add(threads.submit(() -> read(fs, mib)));
      }
      for (Future<?> one : done) {
        one.get();
      }
    }

    private static Void read(FileSystem fs, int mib) throws Exception {
      byte[] piece = new byte[64 << 10];
      try (FSDataInputStream in =
          fs.openFile(new Path("/file")).opt("fs.option.openfile.read.policy", "sequential").build().get()) {
        for (long read = 0; read < (long) mib * MIB; read += piece.length) {
          in.readFully(piece);
        }
      }
      return null;
    }

    private static long peak() throws Exception {
      for (String line : Files.readAllLines(java.nio.file.Path.of("/proc/self/status"))) {
        if (line.startsWith("VmHWM")) {
          return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
        }
      }
      throw new IllegalStateException("/proc/self/status tells no VmHWM");
    }
  }
}
