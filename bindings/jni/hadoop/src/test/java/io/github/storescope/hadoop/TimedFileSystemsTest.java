// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.ftp.FTPFileSystem;
import org.junit.jupiter.api.Test;

/** Which class times which. */
class TimedFileSystemsTest {

  private static final String FACTORY = "mapreduce.outputcommitter.factory.scheme.s3a";

  private static FileSystem below(String scheme, Configuration conf) throws IOException {
    try (FileSystem fs = FileSystem.newInstance(URI.create(scheme + "://host/"), conf)) {
      return ((TimedFileSystem) fs).getRawFileSystem();
    }
  }

  private static String refused(Configuration conf, String... schemes) {
    return assertThrows(IllegalArgumentException.class, () -> TimedFileSystems.install(conf, List.of(schemes)))
        .getMessage();
  }

  private static String failing(String name) {
    Configuration conf = new Configuration();
    conf.setClass("fs.probe.impl", TimedFileSystem.class, FileSystem.class);
    conf.set("fs.storescope-timed.probe.impl", name);
    return assertThrows(IOException.class, () -> FileSystem.newInstance(ProbeFileSystem.ROOT, conf)).getMessage();
  }

  @Test
  void bothKeysAreSetAndTwiceIsAsOnce() throws Exception {
    Configuration conf = new Configuration();
    conf.set("fs.probe.impl", " " + ProbeFileSystem.class.getName() + " ");
    for (int times = 0; times < 2; times++) {
      TimedFileSystems.install(conf, List.of("probe", "file"));
      assertEquals(TimedBulkDeletingFileSystem.class.getName(), conf.get("fs.probe.impl"));
      assertEquals(ProbeFileSystem.class.getName(), conf.get("fs.storescope-timed.probe.impl"));
      assertEquals(TimedLocalFileSystem.class.getName(), conf.get("fs.file.impl"));
      assertNull(conf.get("fs.storescope-timed.file.impl"));
    }
    assertSame(ProbeFileSystem.class, below("probe", conf).getClass());
    // As an executor gets it: a copy.
    assertSame(ProbeFileSystem.class, below("probe", new Configuration(conf)).getClass());
  }

  @Test
  void withoutANameItIsWhatHadoopHasForTheScheme() throws Exception {
    Configuration conf = new Configuration();
    conf.setClass("fs.ftp.impl", TimedFileSystem.class, FileSystem.class);
    conf.set("fs.ftp.user.host", "user");
    conf.set("fs.ftp.password.host.user", "password");
    // Of core-default.xml.
    assertSame(FTPFileSystem.class, below("ftp", conf).getClass());
    // By its jar.
    conf.setClass("fs.http.impl", TimedFileSystem.class, FileSystem.class);
    assertSame(FileSystem.getFileSystemClass("http", new Configuration()), below("http", conf).getClass());
  }

  @Test
  void aClassThatCannotBeTimedIsNamedWithItsKey() {
    String key = "fs.storescope-timed.probe.impl names";
    String missing = failing("org.example.Missing");
    assertTrue(missing.contains(key + " the class org.example.Missing, which is not on the class path"), missing);
    String other = failing("java.lang.String");
    assertTrue(other.contains(key + " java.lang.String, which is no FileSystem that can be timed"), other);
    String itself = failing(TimedFileSystem.class.getName());
    assertTrue(itself.contains("which is no FileSystem that can be timed"), itself);
  }

  @Test
  void localFilesNeedTheirOwnClass() {
    Configuration conf = new Configuration();
    conf.setClass("fs.file.impl", TimedFileSystem.class, FileSystem.class);
    IOException failure = assertThrows(IOException.class, () -> FileSystem.newInstance(URI.create("file:///"), conf));
    assertTrue(failure.getMessage().contains("set fs.file.impl to it"), failure.getMessage());
    conf.setClass("fs.file.impl", RawLocalFileSystem.class, FileSystem.class);
    assertTrue(refused(conf, "file").contains("leave file out"));
  }

  @Test
  void oursIsNotTimedTwice() throws Exception {
    String oci = refused(new Configuration(), "oci");
    assertTrue(oci.startsWith("oci: is a FileSystem of storescope"), oci);
    Configuration s3 = new Server().s3Configuration();
    assertTrue(refused(s3, "s3a").startsWith("s3a: is a FileSystem of storescope"));
  }

  @Test
  void aNameThatIsNoSchemeIsRefusedBeforeAnythingIsSet() {
    Configuration conf = new Configuration();
    conf.setClass("fs.probe.impl", ProbeFileSystem.class, FileSystem.class);
    assertTrue(refused(conf, "probe", "").contains("is no scheme"));
    assertTrue(refused(conf, "probe", "s3a://bucket").contains("is no scheme"));
    assertEquals(ProbeFileSystem.class.getName(), conf.get("fs.probe.impl"));
  }

  @Test
  void s3aKeepsItsFileCommitterAndRefusesTheOthers() {
    Configuration conf = new Configuration();
    conf.set(FACTORY, "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory");
    TimedFileSystems.install(conf, List.of("s3a"));
    assertEquals("org.apache.hadoop.fs.s3a.S3AFileSystem", conf.get("fs.storescope-timed.s3a.impl"));
    assertEquals("org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory", conf.get(FACTORY));
    Configuration custom = new Configuration();
    custom.set(FACTORY, "org.example.Committers");
    TimedFileSystems.install(custom, List.of("s3a"));
    assertEquals("org.example.Committers", custom.get(FACTORY));
    // By another scheme, S3A has Hadoop's own committer, whatever is said of those of s3a.
    Configuration reads = new Configuration();
    reads.set("fs.s3.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem");
    reads.set("fs.s3a.committer.name", "magic");
    TimedFileSystems.install(reads, List.of("s3"));
    assertNull(reads.get("mapreduce.outputcommitter.factory.scheme.s3"));
    Configuration staging = new Configuration();
    staging.set(FACTORY, "org.apache.hadoop.fs.s3a.commit.staging.DirectoryStagingCommitterFactory");
    assertTrue(refused(staging, "s3a").startsWith("s3a: cannot be timed with " + FACTORY));
    for (String key : List.of("fs.s3a.committer.name", "fs.s3a.bucket.logs.committer.name")) {
      Configuration magic = new Configuration();
      magic.set(key, "magic");
      String refusal = refused(magic, "s3a");
      assertTrue(refusal.startsWith("s3a: cannot be timed with " + key + "=magic"), refusal);
    }
  }
}
