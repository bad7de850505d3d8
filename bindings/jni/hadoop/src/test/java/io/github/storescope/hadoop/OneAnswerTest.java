// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.apache.hadoop.fs.RemoteIterator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A name that is an object and a directory at once: every call has the same answer. */
class OneAnswerTest extends OnABucket {

  /** An object of so many bytes, and one below its name. Nothing is checked, so that both come to be. */
  private void both(String path, int size) throws Exception {
    put(path + "/below", 7);
    put(path, size);
    fs.close();
    fs = server.open(bucket, server.configuration());
  }

  private void put(String path, int size) throws IOException {
    try (FSDataOutputStream out = Server.createFast(fs, path)) {
      out.write(new byte[size]);
    }
  }

  private List<String> list(FileSystem of, String path) throws IOException {
    return Arrays.stream(of.listStatus(new Path(path)))
        .map(status -> status.getPath().toUri().getPath() + (status.isDirectory() ? "/" : ""))
        .collect(Collectors.toList());
  }

  private List<String> files(String path) throws IOException {
    List<String> names = new ArrayList<>();
    RemoteIterator<LocatedFileStatus> files = fs.listFiles(new Path(path), true);
    while (files.hasNext()) {
      names.add(files.next().getPath().toUri().getPath());
    }
    return names;
  }

  /** An empty object, or a name without a dot. */
  @ParameterizedTest
  @CsvSource({"/p/both,0", "/p/both,10", "/p/both.csv,0", "/p/both.parquet,0"})
  void itIsADirectory(String name, int size) throws Exception {
    both(name, size);
    Path path = new Path(name);
    assertTrue(fs.getFileStatus(path).isDirectory());
    assertTrue(fs.exists(path));
    assertTrue(fs.isDirectory(path));
    assertFalse(fs.isFile(path));
    assertEquals(List.of(name + "/below"), list(fs, name));
    assertEquals(List.of(name + "/"), list(fs, "/p"));
    assertEquals(List.of(name + "/below"), files("/p"));
    assertEquals(1, fs.getContentSummary(new Path("/p")).getFileCount());
    assertTrue(fs.mkdirs(path));
    assertThrows(FileAlreadyExistsException.class, () -> fs.create(path, true));
    assertThrows(FileAlreadyExistsException.class, () -> fs.create(path, false));
    if (size == 0) {
      assertThrows(FileNotFoundException.class, () -> fs.open(path));
    } else {
      // Its bytes can still be read: the status of what is opened is asked of the object alone.
      fs.open(path).close();
    }
  }

  /** An object with bytes, and a dot in its name. */
  @ParameterizedTest
  @ValueSource(strings = {"/p/both.csv", "/p/both.parquet"})
  void itIsAFile(String name) throws Exception {
    both(name, 10);
    Path path = new Path(name);
    assertEquals(10, fs.getFileStatus(path).getLen());
    assertTrue(fs.getFileStatus(path).isFile());
    assertTrue(fs.exists(path));
    assertFalse(fs.isDirectory(path));
    assertTrue(fs.isFile(path));
    assertEquals(List.of(name), list(fs, name));
    assertEquals(List.of(name), list(fs, "/p"));
    assertEquals(List.of(name), files(name));
    assertEquals(1, fs.getContentSummary(path).getFileCount());
    assertEquals(10, fs.open(path).available());
    assertThrows(FileAlreadyExistsException.class, () -> fs.mkdirs(path));
    assertThrows(FileAlreadyExistsException.class, () -> fs.create(path, false));
    try (FSDataOutputStream out = fs.create(path, true)) {
      out.write(new byte[20]);
    }
    assertEquals(20, fs.getFileStatus(path).getLen());
  }

  @ParameterizedTest
  @CsvSource({"/p/both,0", "/p/both,10", "/p/both.csv,0", "/p/both.csv,10"})
  void aDeletionThatSaysTrueLeavesNeither(String name, int size) throws Exception {
    both(name, size);
    Path path = new Path(name);
    assertThrows(PathIsNotEmptyDirectoryException.class, () -> fs.delete(path, false));
    assertTrue(fs.exists(path) && fs.exists(new Path(name + "/below")));
    assertTrue(fs.delete(path, true));
    assertFalse(fs.exists(path));
    assertFalse(fs.exists(new Path(name + "/below")));
    assertEquals(List.of(), list(fs, "/p"));
    assertFalse(fs.delete(path, true));
  }

  @ParameterizedTest
  @CsvSource({"/p/both,0", "/p/both,10", "/p/both.csv,0", "/p/both.csv,10"})
  void aRenameTakesBoth(String name, int size) throws Exception {
    both(name, size);
    Path to = new Path(name.replace("both", "other"));
    boolean file = fs.getFileStatus(new Path(name)).isFile();
    assertTrue(fs.rename(new Path(name), to));
    assertFalse(fs.exists(new Path(name)));
    assertEquals(file, fs.getFileStatus(to).isFile());
    assertEquals(7, fs.getFileStatus(new Path(to, "below")).getLen());
    assertTrue(fs.delete(to, true));
    assertEquals(List.of(), list(fs, "/p"));
  }

  /** Where statuses are kept, each name is asked for as an object first. */
  @Test
  void statusesThatAreKeptChangeNoAnswerOfAListing() throws Exception {
    both("/p/both", 10);
    Configuration conf = server.configuration();
    conf.setBoolean("fs.oci.caching.object.metadata.enabled", true);
    try (FileSystem keeping = server.open(bucket, conf)) {
      Path path = new Path("/p/both");
      assertTrue(keeping.getFileStatus(path).isFile());
      assertTrue(keeping.isFile(path));
      assertEquals(List.of("/p/both"), list(keeping, "/p/both"));
      assertEquals(List.of("/p/both"), list(keeping, "/p"));
    }
  }

  /** Whoever made both, and in which order, has the same answers. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whoMadeBothHasNoOtherAnswer(boolean fileFirst) throws Exception {
    for (int round = 0; round < 2; round++) {
      put(fileFirst == (round == 0) ? "/p/both.csv" : "/p/both.csv/below", 10);
    }
    assertTrue(fs.getFileStatus(new Path("/p/both.csv")).isFile());
    assertEquals(List.of("/p/both.csv"), list(fs, "/p/both.csv"));
  }

  /** What lies between the two names in order of bytes hides neither. */
  @Test
  void neighboursAreListed() throws Exception {
    both("/p/both", 0);
    put("/p/both-1", 1);
    put("/p/both.csv", 1);
    put("/p/both0", 1);
    assertEquals(List.of("/p/both-1", "/p/both.csv", "/p/both/", "/p/both0"), list(fs, "/p"));
    assertTrue(fs.delete(new Path("/p/both"), true));
    assertEquals(List.of("/p/both-1", "/p/both.csv", "/p/both0"), list(fs, "/p"));
  }

  @Test
  void anEmptyFileIsAFile() throws Exception {
    put("/p/empty", 0);
    put("/p/empty.csv", 0);
    for (String name : List.of("/p/empty", "/p/empty.csv")) {
      assertTrue(fs.getFileStatus(new Path(name)).isFile());
      assertEquals(-1, fs.open(new Path(name)).read());
    }
    assertEquals(List.of("/p/empty", "/p/empty.csv"), list(fs, "/p"));
  }
}
