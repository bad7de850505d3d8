// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.File;
import java.io.FileNotFoundException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Local files, below a folder of each test's own. */
class TimedLocalFileSystemTest {

  @TempDir File folder;

  private final byte[] content = new byte[100_000];
  private LocalFileSystem fs;
  private Path file;
  private Recorded recorded;

  @BeforeEach
  void open() throws Exception {
    Configuration conf = new Configuration();
    TimedFileSystems.install(conf, List.of("file"));
    // Not the cached one, which other tests may have opened before.
    fs = FileSystem.newInstanceLocal(conf);
    new Random(7).nextBytes(content);
    file = new Path(folder.getPath(), "file");
    try (FSDataOutputStream out = fs.create(file)) {
      out.write(content);
    }
    recorded = new Recorded();
  }

  @AfterEach
  void close() throws Exception {
    recorded.close();
    fs.close();
  }

  private byte[] part(int from, int length) {
    return Arrays.copyOfRange(content, from, from + length);
  }

  @Test
  void whatHadoopCastsToALocalFileSystemIsTimed() throws Exception {
    assertSame(TimedLocalFileSystem.class, fs.getClass());
    assertEquals(new File(folder, "file"), fs.pathToFile(file));
    assertEquals("file", fs.getScheme());
  }

  @Test
  void eachReadIsRecordedWithItsBytes() throws Exception {
    byte[] into = new byte[30_000];
    try (FSDataInputStream in = fs.open(file)) {
      in.readFully(10, into, 0, 20_000);
      assertArrayEquals(part(10, 20_000), Arrays.copyOf(into, 20_000));
      in.readFully(50_000, into);
      assertArrayEquals(part(50_000, 30_000), into);
      assertEquals(5_000, in.read(95_000, into, 0, 30_000));
      in.seek(99_000);
      assertEquals(1_000, in.read(into, 0, 1_000));
      assertEquals(-1, in.read(into, 0, 1_000));
    }
    assertEquals("5 get ok 56000, 1 head ok", recorded.calls());
  }

  @Test
  void smallReadsThatFollowEachOtherAreOne() throws Exception {
    try (FSDataInputStream in = fs.open(file)) {
      for (int at = 0; at < 1000; at++) {
        assertEquals(content[at] & 0xff, in.read());
      }
      assertEquals(ByteBuffer.wrap(content, 1000, 8).getLong(), in.readLong());
      assertEquals("1 head ok", recorded.calls(), "the run goes on");
      in.seek(50_000);
      assertEquals(content[50_000], in.readByte());
      in.readFully(new byte[100]);
      assertEquals(content[50_101], in.readByte());
    }
    // 1008 bytes, 1 byte, 100 bytes, 1 byte.
    assertEquals("4 get ok 1110", recorded.calls());
  }

  @Test
  void eachRangeOfAVectoredReadIsRecorded() throws Exception {
    List<FileRange> ranges =
        List.of(
            FileRange.createFileRange(0, 1_000, "first"),
            FileRange.createFileRange(40_000, 20_000),
            FileRange.createFileRange(99_000, 1_000));
    try (FSDataInputStream in = fs.open(file)) {
      in.readVectored(ranges, ByteBuffer::allocate);
      for (FileRange range : ranges) {
        ByteBuffer data = range.getData().get();
        byte[] bytes = new byte[data.remaining()];
        data.get(bytes);
        assertArrayEquals(part((int) range.getOffset(), range.getLength()), bytes);
      }
      assertEquals("first", ranges.get(0).getReference());
      assertEquals("3 get ok 22000, 1 head ok", recorded.calls());
      assertThrows(
          EOFException.class, () -> in.readVectored(List.of(FileRange.createFileRange(99_999, 2)), ByteBuffer::allocate));
    }
    assertEquals("1 get client", recorded.calls());
  }

  @Test
  void aFileThatIsWrittenIsOneCall() throws Exception {
    Path written = new Path(folder.getPath(), "new/folder/file");
    try (FSDataOutputStream out = fs.create(written)) {
      out.write(content, 0, 60_000);
      out.writeLong(17);
      out.write(3);
      out.hflush();
      assertEquals(60_009, out.getPos());
    }
    // Also not the folders that it makes on its way, and not the checksums.
    assertEquals("1 put ok 60009", recorded.calls());
    assertEquals(60_009, fs.getFileStatus(written).getLen());
    fs.createFile(new Path(folder.getPath(), "built")).build().close();
    fs.createNonRecursive(new Path(folder.getPath(), "third"), true, 4096, (short) 1, 1 << 20, null).close();
    assertEquals("1 head ok, 2 put ok 0", recorded.calls());
  }

  @Test
  void whatIsAskedOfTheFileSystemIsRecordedByItsKind() throws Exception {
    Path sub = new Path(folder.getPath(), "sub");
    assertTrue(fs.mkdirs(sub));
    assertTrue(fs.exists(file));
    assertFalse(fs.exists(new Path(sub, "none")));
    assertEquals(2, fs.listStatus(new Path(folder.getPath())).length);
    RemoteIterator<LocatedFileStatus> listing = fs.listLocatedStatus(new Path(folder.getPath()));
    int count = 0;
    for (; listing.hasNext(); count++) {
      listing.next();
    }
    assertEquals(2, count);
    assertTrue(fs.rename(file, new Path(sub, "renamed")));
    assertTrue(fs.delete(sub, true));
    assertEquals(
        "1 delete ok, 1 head not_found, 1 head ok, 2 list ok, 1 put ok, 1 rename ok", recorded.calls());
  }

  @Test
  void whatFailsIsRecordedAsAFailure() throws Exception {
    assertThrows(FileNotFoundException.class, () -> fs.open(new Path(folder.getPath(), "none")));
    try (FSDataInputStream in = fs.open(file)) {
      assertThrows(EOFException.class, () -> in.readFully(99_990, new byte[20]));
    }
    assertEquals("1 get client, 1 head not_found, 1 head ok", recorded.calls());
  }

  @Test
  void theTimeOfTheCallsIsTheTimeThatTheThreadWaited() throws Exception {
    long begun = System.nanoTime();
    try (FSDataInputStream in = fs.open(file)) {
      byte[] into = new byte[1_000];
      for (int at = 0; at < 100_000; at += 1_000) {
        in.readFully(at, into);
      }
    }
    long stopwatch = System.nanoTime() - begun;
    long waited = recorded.scope.takeWaited();
    Map<String, Recorded.Values> taken = recorded.take();
    long reads = taken.get("call/get/total/ok/-/-").sum;
    long opening = taken.get("call/head/total/ok/-/-").sum;
    assertTrue(reads > 0 && opening > 0);
    // The rest is the close.
    assertTrue(waited >= reads + opening, waited + " of " + reads + " + " + opening);
    assertTrue(waited <= stopwatch, waited + " of " + stopwatch);
  }

  @Test
  void aStreamKeepsTheScopeInWhichItWasOpened() throws Exception {
    try (FSDataInputStream in = fs.open(file)) {
      try (Recorded other = new Recorded()) {
        in.readFully(0, new byte[100]);
        assertEquals("", other.calls());
      }
    }
    assertEquals("1 get ok 100, 1 head ok", recorded.calls());
  }

  @Test
  void withoutAScopeNothingIsBetween() throws Exception {
    recorded.close();
    Configuration plain = new Configuration();
    plain.setClass("fs.file.impl", LocalFileSystem.class, FileSystem.class);
    try (LocalFileSystem bare = FileSystem.newInstanceLocal(plain);
        FSDataInputStream expected = bare.open(file);
        FSDataInputStream in = fs.open(file);
        FSDataOutputStream out = fs.create(new Path(folder.getPath(), "out"))) {
      assertSame(LocalFileSystem.class, bare.getClass());
      assertSame(expected.getClass(), in.getClass());
      assertSame(FSDataOutputStream.class, out.getClass());
    }
  }

  @Test
  void whatIsThereIsThere() throws Exception {
    // By plain Java, which knows nothing of the FileSystem.
    assertArrayEquals(content, Files.readAllBytes(new File(folder, "file").toPath()));
    assertTrue(new File(folder, ".file.crc").exists());
  }
}
