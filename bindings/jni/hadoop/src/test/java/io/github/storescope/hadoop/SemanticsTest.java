// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.BulkDelete;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.InvalidPathHandleException;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.Options.HandleOpt;
import org.apache.hadoop.fs.PartHandle;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.UploadHandle;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.junit.jupiter.api.Test;

/** What Hadoop's suites do not ask: directories of both kinds, handles, options, and threads. */
class SemanticsTest extends OnABucket {

  private void write(String path, String text) throws IOException {
    try (FSDataOutputStream out = fs.create(new Path(path))) {
      out.writeBytes(text);
    }
  }

  private List<String> list(String path) throws IOException {
    return Arrays.stream(fs.listStatus(new Path(path)))
        .map(status -> status.getPath().getName() + (status.isDirectory() ? "/" : ""))
        .collect(Collectors.toList());
  }

  @Test
  void aDirectoryOutlivesItsLastFile() throws Exception {
    write("/deleted/from/file", "a");
    assertTrue(fs.delete(new Path("/deleted/from/file"), false));
    assertEquals(List.of(), list("/deleted/from"));
    write("/renamed/from/file", "a");
    assertTrue(fs.rename(new Path("/renamed/from/file"), new Path("/deleted/to")));
    assertEquals(List.of(), list("/renamed/from"));
    write("/emptied/from/dir/file", "a");
    assertTrue(fs.delete(new Path("/emptied/from/dir"), true));
    assertEquals(List.of(), list("/emptied/from"));
  }

  /** Names that sort between a directory's own and its content's. */
  @Test
  void neighboursAreNotMistakenForADirectory() throws Exception {
    for (int number = 0; number < 30; number++) {
      write(String.format("/a-%02d", number), "x");
    }
    assertFalse(fs.exists(new Path("/a")));
    assertFalse(fs.delete(new Path("/a"), true));
    fs.mkdirs(new Path("/a"));
    assertTrue(fs.isDirectory(new Path("/a")));
    assertThrows(FileAlreadyExistsException.class, () -> fs.create(new Path("/a"), false));
    assertTrue(fs.delete(new Path("/a"), false));
    assertFalse(fs.exists(new Path("/a")));
    assertEquals(30, fs.listStatus(new Path("/")).length);
    write("/a/b", "x");
    assertThrows(PathIsNotEmptyDirectoryException.class, () -> fs.delete(new Path("/a"), false));
    assertTrue(fs.rename(new Path("/a"), new Path("/z")));
    assertEquals(List.of("b"), list("/z"));
  }

  @Test
  void aFileIsRenamedIntoADirectoryAndNeverOver() throws Exception {
    write("/from", "from");
    write("/dir/from", "there");
    assertFalse(fs.rename(new Path("/from"), new Path("/dir")));
    assertFalse(fs.rename(new Path("/from"), new Path("/dir/from")));
    assertFalse(fs.rename(new Path("/from"), new Path("/missing/to")));
    assertFalse(fs.rename(new Path("/missing"), new Path("/to")));
    assertTrue(fs.rename(new Path("/from"), new Path("/from")));
    assertFalse(fs.rename(new Path("/dir"), new Path("/dir")));
    assertFalse(fs.rename(new Path("/dir"), new Path("/dir/below")));
    assertEquals(List.of("dir/", "from"), list("/"));
    fs.mkdirs(new Path("/other"));
    assertTrue(fs.rename(new Path("/from"), new Path("/other")));
    assertEquals(List.of("from"), list("/other"));
  }

  @Test
  void aRenameThatTheStoreRefusesIsAnException() throws Exception {
    write("/from", "from");
    server.fault(
        "{\"method\":\"POST\",\"contains\":\"actions/renameObject\",\"action\":"
            + "{\"status\":{\"status\":403,\"code\":\"NotAllowed\",\"message\":\"no\"}}}");
    assertThrows(IOException.class, () -> fs.rename(new Path("/from"), new Path("/to")));
    server.clearFaults();
    assertTrue(fs.exists(new Path("/from")));
  }

  @Test
  void theBucketIsEmptiedWhenAsked() throws Exception {
    write("/a/b", "x");
    assertThrows(PathIsNotEmptyDirectoryException.class, () -> fs.delete(new Path("/"), false));
    assertTrue(fs.delete(new Path("/"), true));
    assertEquals(List.of(), list("/"));
    assertTrue(fs.delete(new Path("/"), false));
    assertTrue(fs.getFileStatus(new Path("/")).isDirectory());
  }

  @Test
  void aMarkerIsRequiredWhereTheConfigurationSaysSo() throws Exception {
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.require.directory.marker", true);
    write("/implicit/file", "x");
    fs.mkdirs(new Path("/marked"));
    try (FileSystem strict = server.open(bucket, conf)) {
      assertFalse(strict.exists(new Path("/implicit")));
      assertThrows(FileNotFoundException.class, () -> strict.listStatus(new Path("/implicit")));
      assertTrue(strict.exists(new Path("/marked")));
      strict.create(new Path("/made/by/create")).close();
      assertTrue(strict.getFileStatus(new Path("/made/by")).isDirectory());
      assertTrue(strict.getFileStatus(new Path("/made")).isDirectory());
    }
  }

  @Test
  void listingsGoOverPages() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.dir.recursive.list.fetch.size", "7");
    for (int number = 0; number < 40; number++) {
      Server.createFast(fs, String.format("/dir/sub/%02d", number)).close();
    }
    try (FileSystem small = server.open(bucket, conf)) {
      List<String> names = new ArrayList<>();
      RemoteIterator<LocatedFileStatus> files = small.listFiles(new Path("/"), true);
      while (files.hasNext()) {
        LocatedFileStatus file = files.next();
        assertTrue(file instanceof EtagSource && ((EtagSource) file).getEtag() != null);
        names.add(file.getPath().getName());
      }
      assertEquals(40, names.size());
      assertEquals("00", names.get(0));
      assertEquals(40, small.listStatus(new Path("/dir/sub")).length);
      assertEquals(40, small.getContentSummary(new Path("/")).getFileCount());
      assertEquals(3, small.getContentSummary(new Path("/")).getDirectoryCount());
    }
  }

  @Test
  void anAbortedFileLeavesWhatWasThere() throws Exception {
    write("/file", "first");
    FSDataOutputStream out = fs.create(new Path("/file"), true);
    out.write(new byte[200_000]);
    Abortable.AbortableResult result = out.abort();
    assertFalse(result.alreadyClosed());
    assertNull(result.anyCleanupException());
    out.close();
    assertTrue(out.abort().alreadyClosed());
    assertEquals(5, fs.getFileStatus(new Path("/file")).getLen());
    assertEquals("", server.uploads(bucket));
  }

  /** As long as it takes the collector to notice. */
  @Test
  void aFileThatIsLetGoOfLeavesNoUpload() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.client.multipart.partsize.mb", "10");
    try (FileSystem small = server.open(bucket, conf)) {
      begin(small);
      assertNotEquals("", server.uploads(bucket));
      for (int look = 0; look < 200 && !server.uploads(bucket).isEmpty(); look++) {
        System.gc();
      }
      assertEquals("", server.uploads(bucket));
      assertFalse(small.exists(new Path("/file")));
    }
  }

  private static void begin(FileSystem fs) throws IOException {
    FSDataOutputStream out = fs.create(new Path("/file"));
    for (int part = 0; part < 30; part++) {
      out.write(new byte[1 << 20]);
    }
  }

  @Test
  void aConditionalFileLosesToTheFirst() throws Exception {
    Path path = new Path("/file");
    FSDataOutputStream out =
        (FSDataOutputStream) fs.createFile(path).must("fs.option.create.conditional.overwrite", true).build();
    assertTrue(out.hasCapability("fs.option.create.conditional.overwrite"));
    out.writeBytes("second");
    write("/file", "first");
    assertThrows(FileAlreadyExistsException.class, out::close);
    assertEquals(5, fs.getFileStatus(path).getLen());
  }

  @Test
  void optionsThatAreNotKnownAreRefusedIfTheyMust() {
    assertThrows(
        IllegalArgumentException.class, () -> fs.createFile(new Path("/a")).must("fs.unheard.of", true).build());
    assertThrows(
        IllegalArgumentException.class, () -> fs.openFile(new Path("/a")).must("fs.unheard.of", true).build());
  }

  @Test
  void aHandleIsOfTheseBytesOrOfThisPath() throws Exception {
    write("/file", "first");
    FileStatus status = fs.getFileStatus(new Path("/file"));
    PathHandle exact = fs.getPathHandle(status, HandleOpt.exact());
    PathHandle path = fs.getPathHandle(status, HandleOpt.path());
    fs.open(exact).close();
    write("/file", "second");
    assertThrows(InvalidPathHandleException.class, () -> fs.open(exact));
    assertEquals('s', fs.open(path).read());
    assertThrows(UnsupportedOperationException.class, () -> fs.getPathHandle(status, HandleOpt.reference()));
    fs.delete(new Path("/file"), false);
    assertThrows(FileNotFoundException.class, () -> fs.open(exact));
  }

  @Test
  void aChecksumIsOfTheBytesWhereItIsAskedFor() throws Exception {
    write("/one", "the same bytes");
    write("/two", "the same bytes");
    write("/three", "other bytes");
    assertNull(fs.getFileChecksum(new Path("/one")));
    Configuration conf = server.configuration();
    conf.set("dfs.checksum.combine.mode", "COMPOSITE_CRC");
    try (FileSystem sums = server.open(bucket, conf)) {
      FileChecksum one = sums.getFileChecksum(new Path("/one"));
      assertEquals("COMPOSITE-CRC32C", one.getAlgorithmName());
      assertEquals(one, sums.getFileChecksum(new Path("/two")));
      assertNotEquals(one, sums.getFileChecksum(new Path("/three")));
      assertNull(sums.getFileChecksum(new Path("/one"), 3));
      assertThrows(FileNotFoundException.class, () -> sums.getFileChecksum(new Path("/none")));
      assertTrue(sums.hasPathCapability(new Path("/"), "fs.capability.paths.checksums"));
    }
  }

  @Test
  void aPageOfFilesIsDeletedByOneRequest() throws Exception {
    List<Path> files = new ArrayList<>();
    for (int number = 0; number < 20; number++) {
      files.add(new Path("/dir/" + number));
      Server.createFast(fs, "/dir/" + number).close();
    }
    List<String> kinds =
        server.kinds(
            () -> {
              try (BulkDelete bulk = fs.createBulkDelete(new Path("/dir"))) {
                assertEquals(List.of(), bulk.bulkDelete(files));
              }
            });
    assertEquals(List.of("batchDeleteObjects"), kinds);
    assertFalse(fs.exists(new Path("/dir")));
  }

  @Test
  void partsAreThoseThatWerePut() throws Exception {
    Path base = new Path("/uploads");
    Path path = new Path(base, "file");
    try (MultipartUploader uploader = fs.createMultipartUploader(base).build()) {
      assertThrows(IllegalArgumentException.class, () -> uploader.startUpload(new Path("/uploads2/file")));
      UploadHandle upload = uploader.startUpload(path).get();
      PartHandle part = uploader.putPart(upload, 1, true, path, new ByteArrayInputStream(new byte[10]), 10).get();
      assertThrows(
          IllegalArgumentException.class, () -> uploader.complete(upload, path, Map.of(1, part, 2, part)));
      assertThrows(
          Exception.class,
          () -> uploader.putPart(upload, 2, true, path, new ByteArrayInputStream(new byte[5]), 10).get());
      PathHandle made = uploader.complete(upload, path, Map.of(1, part)).get();
      fs.open(made).close();
      assertEquals(10, fs.getFileStatus(path).getLen());
    }
  }

  @Test
  void whatWasDoneIsTold() throws Exception {
    write("/dir/file", "text");
    fs.getFileStatus(new Path("/dir/file"));
    Map<String, Long> counters = ((IOStatisticsSource) fs).getIOStatistics().counters();
    assertEquals(1, counters.get("op_create"));
    assertEquals(1, counters.get("op_get_file_status"));
    assertEquals(2, counters.get("object_list_request"));
    assertEquals(1, counters.get("object_put_request"));
  }

  @Test
  void manyThreadsShareOne() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Callable<Void>> work = new ArrayList<>();
      for (int number = 0; number < 64; number++) {
        String name = "/t/" + number % 4 + "/" + number;
        work.add(
            () -> {
              write(name + ".tmp", name);
              assertTrue(fs.rename(new Path(name + ".tmp"), new Path(name)));
              assertEquals(name.length(), fs.getFileStatus(new Path(name)).getLen());
              return null;
            });
      }
      for (Future<Void> done : threads.invokeAll(work)) {
        done.get();
      }
    } finally {
      threads.shutdown();
    }
    assertEquals(64, fs.getContentSummary(new Path("/t")).getFileCount());
    assertEquals(List.of("0/", "1/", "2/", "3/"), list("/t"));
  }
}
