// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.FileNotFoundException;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** Requests an operation costs, by the server's record. */
class CostTest extends OnABucket {

  /** Another job begins: nothing is known of what was written. */
  private void reopen() throws Exception {
    fs.close();
    fs = server.open(bucket, server.configuration());
  }

  private byte[] write(String path, int size) throws Exception {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    try (FSDataOutputStream out = fs.create(new Path(path))) {
      out.write(bytes);
    }
    return bytes;
  }

  private static byte[] all(FSDataInputStream in, int size) throws Exception {
    byte[] bytes = new byte[size];
    in.readFully(bytes);
    return bytes;
  }

  @Test
  void statusOfAFileIsOneRequest() throws Exception {
    write("/dir/file", 100);
    assertEquals(List.of("LIST"), server.kinds(() -> assertEquals(100, fs.getFileStatus(new Path("/dir/file")).getLen())));
    write("/dir/file.csv", 100);
    assertEquals(
        List.of("HEAD"), server.kinds(() -> assertEquals(100, fs.getFileStatus(new Path("/dir/file.csv")).getLen())));
  }

  @Test
  void statusOfADirectoryOrOfNothingIsOneRequest() throws Exception {
    write("/dir.d/file", 100);
    try (FileSystem fresh = server.open(bucket, server.configuration())) {
      // A HEAD's 404 may be the bucket's: the first one is asked about by a GET, once for a file system.
      assertEquals(
          List.of("HEAD", "GET", "LIST"),
          server.kinds(() -> assertTrue(fresh.getFileStatus(new Path("/dir.d")).isDirectory())));
      assertEquals(
          List.of("HEAD", "LIST"),
          server.kinds(
              () -> assertThrows(FileNotFoundException.class, () -> fresh.getFileStatus(new Path("/none.d")))));
      assertEquals(List.of("LIST"), server.kinds(() -> assertTrue(fresh.getFileStatus(new Path("/dir.d")).isDirectory())));
    }
    assertEquals(
        List.of("LIST"),
        server.kinds(
            () -> assertThrows(FileNotFoundException.class, () -> fs.getFileStatus(new Path("/dir.d/none")))));
  }

  /** However many there are: no page is asked for ahead. */
  @Test
  void aLookAtAFullDirectoryIsOneRequest() throws Exception {
    for (int number = 0; number < 40; number++) {
      Server.createFast(fs, "/dir/" + number).close();
    }
    assertEquals(List.of("LIST"), server.kinds(() -> assertTrue(fs.exists(new Path("/dir")))));
    assertEquals(List.of("LIST"), server.kinds(() -> assertTrue(fs.getFileStatus(new Path("/dir")).isDirectory())));
    assertEquals(List.of("LIST"), server.kinds(() -> assertEquals(40, fs.listStatus(new Path("/dir")).length)));
    assertEquals(List.of("LIST"), server.kinds(() -> fs.mkdirs(new Path("/dir"))));
  }

  @Test
  void openWithAStatusIsNone() throws Exception {
    byte[] bytes = write("/dir/file", 3_000_000);
    FileStatus status = fs.getFileStatus(new Path("/dir/file"));
    assertEquals(
        List.of(),
        server.kinds(() -> fs.openFile(status.getPath()).withFileStatus(status).build().get().close()));
    assertEquals(
        List.of(),
        server.kinds(
            () -> fs.openFile(status.getPath()).opt("fs.option.openfile.length", "3000000").build().get().close()));
    try (FSDataInputStream in = fs.openFile(status.getPath()).withFileStatus(status).build().get()) {
      assertArrayEquals(bytes, all(in, bytes.length));
    }
  }

  @Test
  void openIsOneAndASmallFileOneMore() throws Exception {
    byte[] bytes = write("/dir/file", 1 << 20);
    List<String> kinds =
        server.kinds(
            () -> {
              try (FSDataInputStream in = fs.open(new Path("/dir/file"))) {
                byte[] some = new byte[1000];
                in.readFully(500_000, some);
                in.readFully(7, some);
                assertArrayEquals(bytes, all(in, bytes.length));
              }
            });
    assertEquals(List.of("HEAD", "GET"), kinds);
  }

  @Test
  void aListedSmallColumnarFileIsOneGetAndNoHead() throws Exception {
    byte[] bytes = write("/table/part-0.parquet", 100_000);
    reopen();
    fs.listStatus(new Path("/table"));
    List<JsonNode> lines =
        server.during(
            () -> {
              FileStatus status = fs.getFileStatus(new Path("/table/part-0.parquet"));
              try (FSDataInputStream in = fs.openFile(status.getPath()).withFileStatus(status).build().get()) {
                byte[] tail = new byte[8];
                in.readFully(bytes.length - 8, tail);
                assertArrayEquals(bytes, all(in, bytes.length));
              }
            });
    assertEquals(List.of("GET"), lines.stream().map(Server::kind).collect(Collectors.toList()));
  }

  /** The end of a columnar file comes with its status, and is there for every stream of this version. */
  @Test
  void theFooterOfALargeFileIsFetchedOnce() throws Exception {
    byte[] bytes = write("/table/part-0.parquet", 8_000_000);
    reopen();
    Path path = new Path("/table/part-0.parquet");
    List<String> kinds =
        server.kinds(
            () -> {
              for (int round = 0; round < 3; round++) {
                FileStatus status = fs.getFileStatus(path);
                try (FSDataInputStream in =
                    fs.openFile(path)
                        .opt("fs.option.openfile.read.policy", "parquet, vector, random, adaptive")
                        .withFileStatus(status)
                        .build()
                        .get()) {
                  byte[] tail = new byte[20_000];
                  in.readFully(bytes.length - tail.length, tail);
                  assertEquals(bytes[bytes.length - 1], tail[tail.length - 1]);
                }
              }
            });
    assertEquals(List.of("GET", "HEAD", "HEAD"), kinds);
    byte[] other = write("/table/part-0.parquet", 8_000_001);
    FileStatus status = fs.getFileStatus(path);
    assertEquals(other.length, status.getLen());
    try (FSDataInputStream in = fs.openFile(path).withFileStatus(status).build().get()) {
      assertArrayEquals(other, all(in, other.length));
    }
  }

  /** Of a table's files one footer is like another: the next end that is asked for is about as long as it has to be. */
  @Test
  void theLengthOfFootersIsLearnt() throws Exception {
    byte[] file = new byte[3_000_000];
    System.arraycopy(new byte[] {(byte) 0x10, 0x0e, 0, 0, 'P', 'A', 'R', '1'}, 0, file, file.length - 8, 8);
    for (int number = 0; number < 3; number++) {
      try (FSDataOutputStream out = fs.create(new Path("/table/part-" + number + ".parquet"))) {
        out.write(file);
      }
    }
    reopen();
    List<Long> bytes = new java.util.ArrayList<>();
    for (int number = 0; number < 3; number++) {
      Path path = new Path("/table/part-" + number + ".parquet");
      for (JsonNode line : server.during(() -> fs.getFileStatus(path))) {
        bytes.add(line.path("bytes_out").asLong());
      }
    }
    assertEquals(List.of(65536L, 8192L, 8192L), bytes);
  }

  /** A committer asks what it has just written, and does not read it. */
  @Test
  void theStatusOfWhatWasJustWrittenIsAHead() throws Exception {
    write("/table/part-0.parquet", 8_000_000);
    Path path = new Path("/table/part-0.parquet");
    assertEquals(List.of("HEAD"), server.kinds(() -> fs.getFileStatus(path)));
    assertEquals(List.of("GET"), server.kinds(() -> fs.getFileStatus(path)));
  }

  @Test
  void createIsOneRequestAndOneForEachAncestorNotKnown() throws Exception {
    fs.mkdirs(new Path("/known"));
    List<String> known =
        server.kinds(() -> fs.create(new Path("/known/file"), false).close());
    assertTrue(known.remove("PUT") && known.size() <= 1, known.toString());
    List<String> deep = server.kinds(() -> fs.create(new Path("/a/b/c/file"), true).close());
    assertTrue(deep.remove("PUT") && deep.size() <= 1 + 3, deep.toString());
  }

  @Test
  void createWithThePerformanceFlagIsThePutAlone() throws Exception {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.create.performance", true);
    try (FileSystem fast = server.open(bucket, conf)) {
      assertEquals(List.of("PUT"), server.kinds(() -> fast.create(new Path("/a/b/file"), true).close()));
    }
    assertEquals(
        List.of("PUT"),
        server.kinds(
            () -> Server.createFast(fs, "/a/b/other").close()));
  }

  @Test
  void renameOfAFileIsAtMostThree() throws Exception {
    write("/dir/from", 10);
    List<String> kinds = server.kinds(() -> assertTrue(fs.rename(new Path("/dir/from"), new Path("/dir/to"))));
    assertTrue(kinds.contains("renameObject") && kinds.size() <= 3, kinds.toString());
  }

  @Test
  void renameOfADirectoryOfAThousandIsToldByItsRequests() throws Exception {
    try (FileSystem fast = server.open(bucket, server.configuration())) {
      for (int number = 0; number < 1000; number++) {
        Server.createFast(fast, "/from/" + number).close();
      }
    }
    List<String> kinds = server.kinds(() -> assertTrue(fs.rename(new Path("/from"), new Path("/to"))));
    int renames = Collections.frequency(kinds, "renameObject");
    assertTrue(renames >= 1000 && renames <= 1001, renames + " renames");
    System.out.println("rename of a directory of 1,000 objects: " + kinds.size() + " requests, " + renames + " renames");
    assertTrue(kinds.size() <= renames + 8, kinds.size() + " requests");
    assertEquals(1000, fs.listStatus(new Path("/to")).length);
  }

  @Test
  void removalOfADirectoryIsByBatches() throws Exception {
    for (int number = 0; number < 50; number++) {
      Server.createFast(fs, "/dir/" + number).close();
    }
    List<String> kinds = server.kinds(() -> assertTrue(fs.delete(new Path("/dir"), true)));
    assertEquals(1, Collections.frequency(kinds, "batchDeleteObjects"), kinds.toString());
    assertTrue(kinds.size() <= 6, kinds.toString());
  }
}
