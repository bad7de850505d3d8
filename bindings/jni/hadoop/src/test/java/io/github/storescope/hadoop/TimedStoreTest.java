// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.BulkDelete;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.statistics.IOStatisticsSupport;
import org.apache.hadoop.io.ElasticByteBufferPool;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A FileSystem that can all that Hadoop knows (our own, by hand) is as able when it is timed. */
class TimedStoreTest extends OnABucket {

  private static final Path FILE = new Path("/file");

  private FileSystem timed;
  private Recorded recorded;

  @BeforeEach
  void wrap() throws Exception {
    Configuration conf = server.configuration();
    conf.setClass("fs.oci.impl", TimedBulkDeletingFileSystem.class, FileSystem.class);
    conf.setClass("fs.storescope-timed.oci.impl", BulkDeletingFileSystem.class, FileSystem.class);
    timed = server.open(bucket, conf);
    recorded = new Recorded();
    try (FSDataOutputStream out = timed.create(FILE)) {
      out.write(new byte[100_000]);
    }
  }

  @AfterEach
  void unwrap() throws Exception {
    recorded.close();
    timed.close();
  }

  /** All that are named in Hadoop's interfaces, and one that nothing has. */
  private static Set<String> capabilities(Class<?>... interfaces) throws Exception {
    Set<String> names = new TreeSet<>(Set.of("fs.test.none", "in:readvectored"));
    for (Class<?> type : interfaces) {
      for (Field field : type.getDeclaredFields()) {
        if (field.getType() == String.class) {
          names.add((String) field.get(null));
        }
      }
    }
    return names;
  }

  @Test
  void capabilitiesAreThoseOfTheFileSystem() throws Exception {
    int had = 0;
    for (String name : capabilities(CommonPathCapabilities.class)) {
      assertEquals(fs.hasPathCapability(FILE, name), timed.hasPathCapability(FILE, name), name);
      had += fs.hasPathCapability(FILE, name) ? 1 : 0;
    }
    try (FSDataInputStream bareIn = fs.open(FILE);
        FSDataInputStream in = timed.open(FILE);
        FSDataOutputStream bareOut = fs.create(new Path("/bare"));
        FSDataOutputStream out = timed.create(new Path("/timed"))) {
      assertFalse(in.getClass() == bareIn.getClass(), "it is timed");
      for (String name : capabilities(StreamCapabilities.class)) {
        assertEquals(bareIn.hasCapability(name), in.hasCapability(name), name);
        assertEquals(bareOut.hasCapability(name), out.hasCapability(name), name);
        had += bareIn.hasCapability(name) ? 1 : 0;
        had += bareOut.hasCapability(name) ? 1 : 0;
      }
      assertSame(bareIn.getWrappedStream().getClass(), in.getWrappedStream().getClass());
      assertSame(bareOut.getWrappedStream().getClass(), out.getWrappedStream().getClass());
      assertEquals(bareIn.minSeekForVectorReads(), in.minSeekForVectorReads());
      assertEquals(bareIn.maxReadSizeForVectorReads(), in.maxReadSizeForVectorReads());
    }
    assertTrue(had > 10, "the FileSystem has some: " + had);
  }

  @Test
  void whatAStreamCanItStillCan() throws Exception {
    try (FSDataInputStream in = timed.open(FILE)) {
      ByteBuffer direct = ByteBuffer.allocateDirect(1_000);
      in.readFully(5, direct);
      assertEquals(0, direct.remaining());
      direct.clear();
      assertEquals(1_000, in.read(99_000, direct));
      direct.clear();
      assertEquals(1_000, in.read(direct));
      assertEquals(1_000, in.getPos());
      ElasticByteBufferPool pool = new ElasticByteBufferPool();
      ByteBuffer pooled = in.read(pool, 500);
      assertEquals(500, pooled.remaining());
      in.releaseBuffer(pooled);
      in.unbuffer();
      FileRange range = FileRange.createFileRange(10, 20);
      in.readVectored(List.of(range), ByteBuffer::allocate, buffer -> {});
      assertEquals(20, range.getData().get().remaining());
      assertEquals(3_520, in.getIOStatistics().counters().get("stream_read_bytes"));
      assertThrows(UnsupportedOperationException.class, () -> in.setReadahead(1L));
    }
    // Beside what the FileSystem, which is ours, records by itself: its calls have no bytes.
    assertEquals(3_520, recorded.take().get("call/get/bytes_delivered/ok/-/-").sum);
  }

  @Test
  void aFileThatIsAbortedIsRecordedSo() throws Exception {
    FSDataOutputStream out = timed.create(new Path("/aborted"));
    out.write(new byte[1_000]);
    recorded.take();
    Abortable.AbortableResult aborted = out.abort();
    assertFalse(aborted.alreadyClosed());
    out.close();
    assertFalse(timed.exists(new Path("/aborted")));
    assertEquals(1_000, recorded.take().get("call/put/bytes_delivered/cancelled/-/-").sum);
  }

  @Test
  void buildersTakeTheOptionsOfTheFileSystem() throws Exception {
    FSDataOutputStream out =
        (FSDataOutputStream)
            timed.createFile(new Path("/built")).overwrite(false).must("fs.oci.create.performance", true).build();
    out.write(new byte[30]);
    out.close();
    assertThrows(
        IllegalArgumentException.class, () -> timed.createFile(new Path("/x")).must("fs.test.unknown", "1").build());
    FileStatus status = timed.getFileStatus(new Path("/built"));
    try (FSDataInputStream in =
        timed.openFile(status.getPath()).withFileStatus(status).must("fs.option.openfile.read.policy", "random").build().get()) {
      in.readFully(new byte[30]);
    }
    recorded.take();
    PathHandle handle = timed.getPathHandle(status);
    try (FSDataInputStream in = timed.open(handle)) {
      in.readFully(0, new byte[30]);
    }
    assertEquals(30, recorded.take().get("call/get/bytes_delivered/ok/-/-").sum);
  }

  @Test
  void bulkDeletesUploadsAndStatisticsArePassedOn() throws Exception {
    BulkDelete expected = fs.createBulkDelete(new Path("/"));
    try (BulkDelete bulk = timed.createBulkDelete(new Path("/"))) {
      assertEquals(expected.pageSize(), bulk.pageSize());
      assertTrue(bulk.pageSize() > 1);
      recorded.take();
      assertEquals(List.of(), bulk.bulkDelete(List.of(timed.makeQualified(FILE))));
      assertTrue(recorded.take().containsKey("call/delete_many/total/ok/-/-"));
    }
    assertFalse(fs.exists(FILE));
    try (MultipartUploader uploader = timed.createMultipartUploader(new Path("/")).build()) {
      assertNotNull(uploader);
    }
    assertNotNull(IOStatisticsSupport.retrieveIOStatistics(timed));
    assertEquals("oci", timed.getScheme());
  }
}
