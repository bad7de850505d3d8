// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.InvalidPathException;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The forms that a path may have. */
class PathFormsTest extends OnABucket {

  private String root() {
    return "oci://" + bucket + "@" + server.namespace();
  }

  private void write(FileSystem into, Path path) throws IOException {
    try (FSDataOutputStream out = into.create(path)) {
      out.write(1);
    }
  }

  /** {@code oci://bucket@namespace}, with nothing behind it and with everything that means nothing. */
  @ParameterizedTest
  @ValueSource(strings = {"", "/", "//", "/.", "/./", "/a/.."})
  void theBucketIsTheRoot(String behind) throws Exception {
    Path path = new Path(root() + behind);
    Path slash = new Path(root() + "/");
    assertEquals(slash, fs.makeQualified(path));
    assertTrue(fs.exists(path));
    assertTrue(fs.isDirectory(path));
    assertFalse(fs.isFile(path));
    assertTrue(fs.mkdirs(path));
    assertEquals(0, fs.listStatus(path).length);
    FileStatus status = fs.getFileStatus(path);
    assertTrue(status.isDirectory());
    assertEquals(slash, status.getPath());
    assertThrows(IOException.class, () -> fs.create(path));
    assertThrows(IOException.class, () -> fs.open(path));
    assertFalse(fs.rename(path, new Path("/to")));
    write(fs, new Path(path, "file"));
    assertEquals(new Path(root() + "/file"), fs.listStatus(path)[0].getPath());
    assertEquals(1, fs.getContentSummary(path).getFileCount());
    assertEquals(1, fs.globStatus(new Path(path, "f*")).length);
    write(fs, new Path("/dir/other"));
    assertTrue(fs.rename(new Path("/dir/other"), path));
    assertTrue(fs.exists(new Path("/other")));
    assertTrue(fs.delete(path, true));
    assertEquals(0, fs.listStatus(path).length);
  }

  /** What Spark's append and Hadoop's committers do with an output path that is a bucket. */
  @Test
  void aJobWritesIntoABucketNamedWithoutASlash() throws Exception {
    Path output = new Path(root());
    try (FileSystem there = FileSystem.newInstance(output.toUri(), server.configuration())) {
      Path qualified = output.makeQualified(there.getUri(), there.getWorkingDirectory());
      Path attempt = new Path(qualified, "_temporary/0/_temporary/attempt_0");
      Path task = new Path(qualified, "_temporary/0/task_0");
      write(there, new Path(attempt, "part-00000.parquet"));
      assertTrue(there.rename(attempt, task));
      for (FileStatus file : there.listStatus(task)) {
        assertTrue(there.rename(file.getPath(), new Path(qualified, file.getPath().getName())));
      }
      there.delete(new Path(qualified, "_temporary"), true);
      write(there, new Path(qualified, "_SUCCESS"));
      assertEquals(2, there.listStatus(output).length);
      assertEquals(output.toUri().getAuthority(), there.getUri().getAuthority());
    }
  }

  @Test
  void aFileSystemOfABucketWithoutASlashIsTheSame() throws Exception {
    try (FileSystem there = FileSystem.newInstance(URI.create(root()), server.configuration())) {
      write(there, new Path("/dir/file"));
      assertTrue(there.exists(new Path(there.getUri())));
      assertEquals(1, there.listStatus(new Path(there.getUri())).length);
      there.setWorkingDirectory(new Path(there.getUri()));
      assertEquals(new Path(root() + "/"), there.getWorkingDirectory());
      assertTrue(there.exists(new Path("dir/file")));
    }
  }

  @Test
  void aFileContextOfABucketWithoutASlashIsTheSame() throws Exception {
    FileContext context = FileContext.getFileContext(URI.create(root()), server.configuration());
    context.setWorkingDirectory(new Path(root() + "/"));
    context.mkdir(new Path("dir"), null, false);
    assertTrue(context.util().exists(new Path(root() + "/dir")));
    assertEquals(1, context.util().listStatus(new Path("/")).length);
  }

  @Test
  void aRelativePathIsOfTheWorkingDirectory() throws Exception {
    assertEquals(new Path(root() + "/user/" + System.getProperty("user.name")), fs.getWorkingDirectory());
    assertEquals(fs.getWorkingDirectory(), fs.makeQualified(new Path(".")));
    write(fs, new Path("a/b"));
    assertTrue(fs.exists(new Path(fs.getWorkingDirectory(), "a/b")));
    assertTrue(fs.exists(new Path("./a/../a/b")));
    fs.setWorkingDirectory(new Path("a/"));
    assertTrue(fs.exists(new Path("b")));
    assertTrue(fs.exists(new Path("../a/b")));
    assertEquals("b", fs.listStatus(new Path("."))[0].getPath().getName());
  }

  @ParameterizedTest
  @ValueSource(strings = {"/dir/file/", "/dir//file", "/dir/./file", "/dir/x/../file"})
  void aPathIsTakenAsItIsMeant(String form) throws Exception {
    write(fs, new Path("/dir/file"));
    assertEquals(new Path(root() + "/dir/file"), fs.getFileStatus(new Path(form)).getPath());
    assertTrue(fs.isFile(new Path(root() + form)));
  }

  /** No listing would show what is made there. */
  @ParameterizedTest
  @ValueSource(strings = {"/..", "/../file", "/../../file"})
  void aPathThatLeadsOutOfTheBucketIsRefused(String form) {
    Path path = new Path(form);
    for (Server.Work work :
        new Server.Work[] {
          () -> fs.create(path), () -> fs.exists(path), () -> fs.mkdirs(path), () -> fs.listStatus(path),
          () -> fs.rename(new Path("/a"), path), () -> fs.delete(path, true)
        }) {
      assertThrows(InvalidPathException.class, work::run);
    }
  }

  @Test
  void aBucketsNameKeepsItsCase() throws Exception {
    String upper = server.bucket("Upper-Case-" + ProcessHandle.current().pid());
    Path path = new Path("oci://" + upper + "@" + server.namespace());
    try (FileSystem there = FileSystem.newInstance(path.toUri(), server.configuration())) {
      write(there, new Path(path, "Dir/File"));
      assertEquals(new Path(path, "Dir"), there.listStatus(path)[0].getPath());
      assertTrue(there.exists(new Path(path, "Dir/File")));
      assertFalse(there.exists(new Path(path, "dir/file")));
      Path lower = new Path("oci://" + upper.toLowerCase() + "@" + server.namespace() + "/");
      assertThrows(IllegalArgumentException.class, () -> there.exists(lower));
      assertThrows(IllegalArgumentException.class, () -> there.exists(new Path(lower.toString().replaceAll("/$", ""))));
    }
  }

  /** Its two buckets are of one namespace, which Hadoop takes for the host. */
  @Test
  void aFileContextFindsAnotherBucket() throws Exception {
    FileContext context = FileContext.getFileContext(server.uri(bucket), server.configuration());
    String other = server.bucket();
    Path file = new Path(server.uri(other) + "file");
    context.create(file, java.util.EnumSet.of(org.apache.hadoop.fs.CreateFlag.CREATE)).close();
    assertTrue(context.util().exists(file));
    assertFalse(fs.exists(new Path("/file")));
    try (FileSystem there = server.open(other, server.configuration())) {
      assertTrue(there.exists(new Path("/file")));
    }
  }
}
