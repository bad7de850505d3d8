// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.benches;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** The patterns of examples/read_patterns.rs by the jar's streams: URL PATTERN ROUNDS. */
public final class ReadPatterns {
  private static final int PIECE = 64 << 10;
  private static final int THREADS = 16;
  private static final int RANGES = 256;

  private ReadPatterns() {}

  public static void main(String[] arguments) throws Exception {
    Path path = new Path(arguments[0]);
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try (FileSystem fs = FileSystem.newInstance(path.toUri(), new Configuration())) {
      FileStatus status = fs.getFileStatus(path);
      for (int round = 0; round < Integer.parseInt(arguments[2]); round++) {
        long begun = System.nanoTime();
        long read;
        switch (arguments[1]) {
          case "in-order":
            read = inOrder(fs, status);
            break;
          case "vectored":
            read = vectored(fs, status);
            break;
          default:
            read = scattered(fs, status, threads);
        }
        System.out.println((System.nanoTime() - begun) / 1e9 + " " + read);
      }
    }
    threads.shutdown();
  }

  private static FSDataInputStream open(FileSystem fs, FileStatus status, String policy) throws Exception {
    return fs.openFile(status.getPath())
        .withFileStatus(status)
        .opt("fs.option.openfile.read.policy", policy)
        .build()
        .get();
  }

  private static long inOrder(FileSystem fs, FileStatus status) throws Exception {
    byte[] piece = new byte[PIECE];
    long read = 0;
    try (FSDataInputStream in = open(fs, status, "sequential")) {
      for (int some = in.read(piece); some > 0; some = in.read(piece)) {
        read += some;
      }
    }
    return read;
  }

  private static long vectored(FileSystem fs, FileStatus status) throws Exception {
    long read = 0;
    long pieces = status.getLen() / PIECE / 4;
    try (FSDataInputStream in = open(fs, status, "vector")) {
      for (long first = 0; first < pieces; first += RANGES) {
        List<FileRange> ranges = new ArrayList<>();
        for (long number = first; number < Math.min(pieces, first + RANGES); number++) {
          ranges.add(FileRange.createFileRange(number * PIECE * 4, PIECE));
        }
        in.readVectored(ranges, ByteBuffer::allocate);
        for (FileRange range : ranges) {
          read += range.getData().get().remaining();
        }
      }
    }
    return read;
  }

  private static long scattered(FileSystem fs, FileStatus status, ExecutorService threads) throws Exception {
    long pieces = status.getLen() / PIECE;
    List<Future<Long>> done = new ArrayList<>();
    try (FSDataInputStream in = open(fs, status, "random")) {
      for (int thread = 0; thread < THREADS; thread++) {
        long first = thread;
        done.add(
            threads.submit(
                () -> {
                  byte[] piece = new byte[PIECE];
                  long read = 0;
                  for (long number = first; number < pieces / 2; number += THREADS) {
                    in.readFully(number * 7919 % pieces * PIECE, piece);
                    read += piece.length;
                  }
                  return read;
                }));
      }
      long read = 0;
      for (Future<Long> one : done) {
        read += one.get();
      }
      return read;
    }
  }
}
