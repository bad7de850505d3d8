// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** The defects of Oracle's connector, each of which would cost its users data or time: none is one of ours. */
class DefectsTest extends OnABucket {

  private static final String DENIED = "{\"status\":{\"status\":403,\"code\":\"NotAllowed\",\"message\":\"no\"}}";

  private byte[] write(FileSystem into, String path, int size) throws Exception {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    try (FSDataOutputStream out = into.create(new Path(path))) {
      out.write(bytes);
    }
    return bytes;
  }

  /** 1: a directory's rename reported success although objects were not renamed. */
  @Test
  void aRenameThatFailsInPartIsNoSuccess() throws Exception {
    for (int number = 0; number < 20; number++) {
      write(fs, "/from/" + number, 10);
    }
    server.fault("{\"method\":\"POST\",\"contains\":\"actions/renameObject\",\"nth\":7,\"action\":" + DENIED + "}");
    IOException failed =
        assertThrows(IOException.class, () -> fs.rename(new Path("/from"), new Path("/to")));
    assertTrue(failed.getMessage().contains("403"), failed.getMessage());
    assertTrue(failed.getMessage().contains("were renamed"), failed.getMessage());
    server.clearFaults();
    int there = fs.listStatus(new Path("/from")).length + (fs.exists(new Path("/to")) ? fs.listStatus(new Path("/to")).length : 0);
    assertEquals(20, there, "none is lost");
  }

  /** 2: a part that failed surfaced as a NullPointerException, or not at all. */
  @Test
  void aPartThatFailsIsToldOnClose() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.client.multipart.partsize.mb", "10");
    try (FileSystem small = server.open(bucket, conf)) {
      server.fault("{\"method\":\"PUT\",\"contains\":\"/u/\",\"action\":" + DENIED + "}");
      IOException failed = assertThrows(IOException.class, () -> write(small, "/file", 35 << 20));
      assertTrue(failed instanceof AccessDeniedException, failed.toString());
      server.clearFaults();
      assertFalse(small.exists(new Path("/file")));
      assertEquals("", server.uploads(bucket));
    }
  }

  /** 3: each ranged read asked for a byte too many, and so lost its connection. */
  @Test
  void aRangeIsAskedForExactlyAndItsConnectionKept() throws Exception {
    byte[] bytes = write(fs, "/file", 5_000_000);
    List<JsonNode> lines =
        server.during(
            () -> {
              try (FSDataInputStream in = fs.open(new Path("/file"))) {
                for (int at : new int[] {4_000_000, 1_000_000, 3_000_000}) {
                  byte[] some = new byte[1000];
                  in.readFully(at, some);
                  assertArrayEquals(Arrays.copyOfRange(bytes, at, at + 1000), some);
                }
              }
            });
    Set<String> connections = new HashSet<>();
    for (JsonNode line : lines) {
      if (line.path("method").asText().equals("GET")) {
        connections.add(line.path("connection").asText());
        assertEquals(1000, line.path("bytes_out").asLong(), line.toString());
      }
    }
    assertEquals(1, connections.size(), lines.toString());
  }

  /** 4: the cache of footers was each stream's own. (Also CostTest.) */
  @Test
  void aFooterIsSharedByStreams() throws Exception {
    write(fs, "/table.parquet", 3_000_000);
    FileStatus status = fs.getFileStatus(new Path("/table.parquet"));
    Server.Work read =
        () -> {
          try (FSDataInputStream in =
              fs.openFile(status.getPath()).opt("fs.option.openfile.read.policy", "parquet").withFileStatus(status).build().get()) {
            in.readFully(status.getLen() - 10_000, new byte[10_000]);
          }
        };
    read.run();
    assertEquals(List.of(), server.kinds(read));
  }

  /** 5: streams of custom classes could not be made. */
  @Test
  void customStreamsAreNamedAndOursAreUsed() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.io.read.custom.stream", "com.oracle.bmc.hdfs.store.BmcSmartParquetFSInputStream");
    conf.set("fs.oci.io.write.custom.stream", "com.example.Writer");
    try (FileSystem there = server.open(bucket, conf)) {
      byte[] bytes = write(there, "/file", 1000);
      try (FSDataInputStream in = there.open(new Path("/file"))) {
        byte[] read = new byte[1000];
        in.readFully(read);
        assertArrayEquals(bytes, read);
      }
    }
  }

  /** 7: a read that began where the buffer ended answered nothing, or failed. */
  @Test
  void aReadAtTheEndOfABufferGoesOn() throws Exception {
    byte[] bytes = write(fs, "/file", 3 << 20);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      for (int at = 16 << 10; at < 1 << 20; at += 16 << 10) {
        in.seek(at - 2);
        byte[] two = new byte[2];
        in.readFully(two);
        assertEquals(bytes[at - 1], two[1]);
        assertEquals(bytes[at] & 0xff, in.read());
        byte[] many = new byte[100];
        assertTrue(in.read(many) > 0);
        assertEquals(bytes[at + 1], many[0]);
      }
    }
  }

  /** 8: switches of its payload cache, whose statistics were never logged: they disturb nothing. */
  @Test
  void thePayloadCachesKeysAreAccepted() throws Exception {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.caching.object.payload.enabled", true);
    conf.setBoolean("fs.oci.caching.object.payload.recordstats.enabled", true);
    try (FileSystem there = server.open(bucket, conf)) {
      write(there, "/file", 10);
      assertEquals(10, there.getFileStatus(new Path("/file")).getLen());
    }
  }

  /** 10: its cache of metadata outlived a rename, an overwrite and a creation. */
  @Test
  void aCachedStatusEndsWithWhatChangesTheFile() throws Exception {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.caching.object.metadata.enabled", true);
    try (FileSystem there = server.open(bucket, conf)) {
      Path file = new Path("/file");
      Path other = new Path("/other");
      assertFalse(there.exists(file));
      write(there, "/file", 10);
      assertEquals(10, there.getFileStatus(file).getLen());
      write(there, "/file", 20);
      assertEquals(20, there.getFileStatus(file).getLen());
      assertTrue(there.rename(file, other));
      assertFalse(there.exists(file));
      assertEquals(20, there.getFileStatus(other).getLen());
      write(there, "/file", 30);
      assertEquals(30, there.getFileStatus(file).getLen());
      there.delete(other, false);
      assertFalse(there.exists(other));
    }
  }

  /** 11: an object that was there already was written for again and again. */
  @Test
  void aRefusedCreationIsNotRepeated() throws Exception {
    Path file = new Path("/file");
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.create.performance", true);
    FileSystem fast = server.open(bucket, conf);
    FSDataOutputStream out = fast.create(file, false);
    write(fs, "/file", 10);
    List<String> kinds = server.kinds(() -> assertThrows(FileAlreadyExistsException.class, out::close));
    assertEquals(1, kinds.stream().filter("PUT"::equals).count(), kinds.toString());
    assertEquals(10, fs.getFileStatus(file).getLen());
    fast.close();
  }

  /** 12: block size times block count outgrew an int. */
  @Test
  void hugeReadAheadIsAccepted() throws Exception {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.io.read.ahead", true);
    conf.set("fs.oci.io.read.ahead.blocksize", "1073741824");
    conf.set("fs.oci.io.read.ahead.blockcount", "1000");
    try (FileSystem there = server.open(bucket, conf)) {
      byte[] bytes = write(there, "/file", 3_000_000);
      try (FSDataInputStream in = there.open(new Path("/file"))) {
        byte[] read = new byte[bytes.length];
        in.readFully(read);
        assertArrayEquals(bytes, read);
      }
    }
  }

  /** 13: temporary files stayed behind a close that failed. */
  @Test
  void nothingIsSpooledToDisk() throws Exception {
    File folder = new File(System.getProperty("java.io.tmpdir"));
    Set<String> before = new HashSet<>(Arrays.asList(folder.list()));
    server.fault("{\"method\":\"PUT\",\"action\":" + DENIED + "}");
    assertThrows(AccessDeniedException.class, () -> write(fs, "/file", 1_000_000));
    Set<String> after = new HashSet<>(Arrays.asList(folder.list()));
    after.removeAll(before);
    after.removeIf(name -> !name.contains("oci") && !name.contains("storescope"));
    assertEquals(Set.of(), after);
  }
}
