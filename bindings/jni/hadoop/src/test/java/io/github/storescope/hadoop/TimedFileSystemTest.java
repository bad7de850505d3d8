// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.Closeable;
import java.io.File;
import java.io.FileNotFoundException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A FileSystem of others, below a folder of each test's own. */
class TimedFileSystemTest {

  @TempDir File folder;

  private FileSystem fs;
  private Path root;
  private Path file;
  private Recorded recorded;

  @BeforeEach
  void open() throws Exception {
    Configuration conf = new Configuration();
    conf.setClass("fs.probe.impl", ProbeFileSystem.class, FileSystem.class);
    TimedFileSystems.install(conf, List.of("probe"));
    fs = FileSystem.newInstance(ProbeFileSystem.ROOT, conf);
    root = new Path("probe://" + folder.getPath());
    file = new Path(root, "file");
    try (FSDataOutputStream out = fs.create(file)) {
      out.write(new byte[10_000]);
    }
    recorded = new Recorded();
  }

  @AfterEach
  void close() throws Exception {
    recorded.close();
    fs.close();
  }

  @Test
  void readsAndWritesAreRecorded() throws Exception {
    assertSame(TimedBulkDeletingFileSystem.class, fs.getClass());
    assertEquals("probe", fs.getScheme());
    assertEquals(ProbeFileSystem.ROOT, fs.getUri());
    try (FSDataInputStream in = fs.open(file)) {
      in.readFully(new byte[9_000]);
      in.readFully(100, new byte[50]);
      in.seek(9_999);
      assertEquals(0, in.read());
      assertEquals(-1, in.read());
    }
    assertEquals("3 get ok 9051, 1 head ok", recorded.calls());
    try (FSDataOutputStream out = fs.create(new Path(root, "new"))) {
      out.write(new byte[5_000]);
      out.hsync();
    }
    try (FSDataOutputStream out = fs.append(new Path(root, "new"))) {
      out.write(new byte[70]);
      assertEquals(5_070, out.getPos());
    }
    assertEquals("2 put ok 5070", recorded.calls());
  }

  /** The run of small reads ends with what it failed with. */
  @Test
  void aSmallReadThatFailsIsAFailure() throws Exception {
    FSDataInputStream in = fs.open(file);
    in.read();
    in.close();
    assertThrows(java.io.IOException.class, in::read);
    assertEquals("1 get ok 1, 1 get server 0, 1 head ok", recorded.calls());
  }

  @Test
  void filesOpenedByBuilderAreRecordedWhenTheyAreThere() throws Exception {
    CompletableFuture<FSDataInputStream> opening =
        fs.openFile(file).opt("fs.option.openfile.read.policy", "random").build();
    try (FSDataInputStream in = opening.get()) {
      in.readFully(0, new byte[100]);
    }
    assertEquals("1 get ok 100, 1 head ok", recorded.calls());
    CompletableFuture<FSDataInputStream> missing = fs.openFile(new Path(root, "none")).build();
    ExecutionException failure = assertThrows(ExecutionException.class, missing::get);
    assertSame(FileNotFoundException.class, failure.getCause().getClass());
    assertEquals("1 head not_found", recorded.calls());
    // As the FileSystem itself says.
    assertThrows(IllegalArgumentException.class, () -> fs.openFile(file).must("fs.test.unknown", "1").build());
    assertEquals("1 head client", recorded.calls());
  }

  @Test
  void aVectoredReadThatIsNotYetThereIsWaitedFor() throws Exception {
    FileRange range = FileRange.createFileRange(10, 1_000);
    CompletableFuture<ByteBuffer> source = new CompletableFuture<>();
    List<FileRange> asked = new ArrayList<>();
    TimedRanges.read(
        List.of(range),
        recorded.scope,
        ranges -> {
          asked.addAll(ranges);
          ranges.get(0).setData(source);
        });
    assertEquals("", recorded.calls());
    assertFalse(range.getData().isDone());
    recorded.scope.takeWaited();
    Thread later =
        new Thread(
            () -> {
              // S3A completes what a range holds then, not what it held at the call.
              asked.get(0).getData().complete(ByteBuffer.allocate(1_000));
            });
    later.start();
    assertEquals(1_000, range.getData().get().remaining());
    later.join();
    assertEquals("1 get ok 1000", recorded.calls());
  }

  @Test
  void aRangeThatIsGivenUpIsGivenUpBelow() throws Exception {
    FileRange range = FileRange.createFileRange(10, 1_000);
    CompletableFuture<ByteBuffer> source = new CompletableFuture<>();
    TimedRanges.read(List.of(range), recorded.scope, ranges -> ranges.get(0).setData(source));
    assertTrue(range.getData().cancel(true));
    assertTrue(source.isCancelled());
    assertEquals("1 get cancelled", recorded.calls());
  }

  @Test
  void aListingIsOneCallHoweverManyItHas() throws Exception {
    for (int at = 0; at < 5; at++) {
      fs.create(new Path(root, "files/" + at)).close();
    }
    recorded.calls();
    Path files = new Path(root, "files");
    assertEquals(5, count(fs.listStatusIterator(files)));
    assertEquals("1 list ok", recorded.calls());
    assertEquals(5, count(fs.listLocatedStatus(files)));
    assertEquals("1 list ok", recorded.calls());
    assertEquals(6, count(fs.listFiles(root, true)));
    assertEquals("1 list ok", recorded.calls());
    RemoteIterator<LocatedFileStatus> left = fs.listFiles(root, true);
    left.next();
    assertEquals("", recorded.calls());
    ((Closeable) left).close();
    assertEquals("1 list ok", recorded.calls());
    assertThrows(FileNotFoundException.class, () -> fs.listFiles(new Path(root, "none"), true));
    assertEquals("1 list not_found", recorded.calls());
  }

  private static int count(RemoteIterator<? extends FileStatus> files) throws Exception {
    int count = 0;
    for (; files.hasNext(); count++) {
      files.next();
    }
    assertFalse(files.hasNext());
    return count;
  }

  @Test
  void whatIsAskedIsRecordedByItsKind() throws Exception {
    Path sub = new Path(root, "sub");
    assertTrue(fs.mkdirs(sub));
    assertTrue(fs.exists(file));
    assertFalse(fs.getFileStatus(file).isDirectory());
    assertTrue(fs.createNewFile(new Path(sub, "empty")));
    assertEquals(2, fs.listStatus(root).length);
    assertEquals(10_000, fs.getContentSummary(root).getLength());
    assertTrue(fs.rename(file, new Path(sub, "renamed")));
    assertTrue(fs.delete(sub, true));
    assertEquals("1 delete ok, 2 head ok, 2 list ok, 2 put ok, 1 rename ok", recorded.calls());
  }

  /** Spark's metrics and Hadoop's look for them by scheme. */
  @Test
  @SuppressWarnings("deprecation")
  void theStatisticsOfTheSchemeAreThoseOfTheFileSystem() throws Exception {
    FileSystem.Statistics statistics = FileSystem.getStatistics("probe", ProbeFileSystem.class);
    long before = statistics.getBytesRead();
    try (FSDataInputStream in = fs.open(file)) {
      in.readFully(0, new byte[1_234]);
    }
    assertEquals(1_234, statistics.getBytesRead() - before);
    List<FileSystem.Statistics> ofTheScheme =
        FileSystem.getAllStatistics().stream().filter(one -> one.getScheme().equals("probe")).collect(Collectors.toList());
    assertEquals(1, ofTheScheme.size());
    assertEquals(
        statistics.getBytesRead(), FileSystem.getGlobalStorageStatistics().get("probe").getLong("bytesRead"));
  }

  /**
   * What Hadoop would do by this FileSystem's other methods, although the one that is timed may have a better way. A method
   * that a later Hadoop adds shows here.
   */
  @Test
  void nothingIsLeftToHadoopsDefaultsThatAFileSystemMayDoBetter() {
    Set<String> left = new TreeSet<>();
    for (Class<?> type = TimedBulkDeletingFileSystem.class; type != Object.class; type = type.getSuperclass()) {
      for (Method method : type.getDeclaredMethods()) {
        if (type == FileSystem.class && canBePassedOn(method) && !isPassedOn(method)) {
          left.add(method.getName());
        }
      }
    }
    assertEquals(
        new TreeSet<>(
            List.of(
                // Of this object: its files to be deleted, its names.
                "cancelDeleteOnExit", "deleteOnExit", "getName",
                // By the calls of this one, which are recorded one by one.
                "copyFromLocalFile", "copyToLocalFile", "create", "createNonRecursive", "delete", "getBlockSize", "getLength",
                "getReplication", "globStatus", "listStatus", "moveFromLocalFile", "moveToLocalFile", "open", "append",
                // Of the FileSystem below, which is its child.
                "getAdditionalTokenIssuers", "getCanonicalServiceName", "getDelegationToken", "getStatus")),
        left);
  }

  private static boolean canBePassedOn(Method method) {
    int modifiers = method.getModifiers();
    return Modifier.isPublic(modifiers)
        && !Modifier.isStatic(modifiers)
        && !Modifier.isFinal(modifiers)
        && !Modifier.isAbstract(modifiers)
        && !method.isSynthetic();
  }

  private static boolean isPassedOn(Method method) {
    for (Class<?> type = TimedBulkDeletingFileSystem.class; type != FileSystem.class; type = type.getSuperclass()) {
      try {
        type.getDeclaredMethod(method.getName(), method.getParameterTypes());
        return true;
      } catch (NoSuchMethodException e) {
        // In a class above, perhaps.
      }
    }
    return false;
  }

  @Test
  void vectoredReadsHaveTheBytesOfTheirRanges() throws Exception {
    try (FSDataOutputStream out = fs.create(file)) {
      for (int at = 0; at < 10_000; at++) {
        out.write(at);
      }
    }
    recorded.calls();
    IntFunction<ByteBuffer> allocate = ByteBuffer::allocateDirect;
    List<FileRange> ranges = List.of(FileRange.createFileRange(5_000, 300), FileRange.createFileRange(0, 100));
    try (FSDataInputStream in = fs.open(file)) {
      in.readVectored(ranges, allocate);
      for (FileRange range : ranges) {
        byte[] bytes = new byte[range.getLength()];
        range.getData().join().get(bytes);
        byte[] expected = new byte[range.getLength()];
        in.readFully(range.getOffset(), expected);
        assertArrayEquals(expected, bytes);
      }
    }
    // Two ranges, and two reads to compare them with.
    assertEquals("4 get ok 800, 1 head ok", recorded.calls());
    Map<String, Recorded.Values> more = recorded.take();
    assertTrue(more.isEmpty(), more.toString());
  }
}
