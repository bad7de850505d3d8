// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every request is timed: told by IOStatistics, and written when the JVM ends. */
class ProfileTest {

  @Test
  void streamsAndFileSystemsTellTheirRequests() throws Exception {
    Server server = new Server();
    try (FileSystem fs = server.open(server.bucket(), server.configuration())) {
      try (FSDataOutputStream out = fs.create(new Path("/file"))) {
        out.write(new byte[3_000_000]);
      }
      try (FSDataInputStream in = fs.open(new Path("/file"))) {
        in.readFully(0, new byte[1000]);
        in.readFully(2_000_000, new byte[1000]);
        IOStatistics told = in.getIOStatistics();
        assertEquals(2, told.counters().get("attempt_get_count"));
        assertEquals(2000, told.counters().get("attempt_get_bytes_delivered"));
        assertEquals(2000, told.counters().get("stream_read_bytes"));
        assertTrue(told.gauges().get("attempt_get_ttfb_p99_ns") > 0);
      }
      Map<String, Long> all = ((IOStatisticsSource) fs).getIOStatistics().counters();
      assertEquals(2, all.get("attempt_get_count"));
      assertEquals(1, all.get("attempt_put_count"));
    }
  }

  @Test
  void whatWasRecordedSoFarIsWrittenWhenAsked(@TempDir File folder) throws Exception {
    Server server = new Server();
    File file = new File(folder, "now.hlog");
    try (FileSystem fs = server.open(server.bucket(), server.configuration())) {
      fs.create(new Path("/file")).close();
      Profile.write(file.getPath());
      String log = Files.readString(file.toPath());
      assertTrue(log.contains("Tag=attempt/put/ttfb/ok"), log);
      assertThrows(IOException.class, () -> Profile.write(folder + "/none/now.hlog"));
    }
  }

  @Test
  void aJvmWritesItsHistogramsWhenItEndsByItself(@TempDir File folder) throws Exception {
    Server server = new Server();
    String bucket = server.bucket();
    List<String> command =
        List.of(
            System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
            "-cp",
            System.getProperty("java.class.path"),
            Writes.class.getName(),
            server.uri(bucket).toString(),
            folder + "/%p.hlog");
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertEquals(0, process.waitFor());
    String log = Files.readString(new File(folder, process.pid() + ".hlog").toPath());
    for (String tag : List.of("Tag=attempt/put/ttfb/ok", "Tag=call/put/total/ok", "Tag=attempt/list/total/ok")) {
      assertTrue(log.contains(tag), log);
    }
  }

  @Test
  void aJvmEndsItsTraceWhenItEndsByItself(@TempDir File folder) throws Exception {
    Server server = new Server();
    String bucket = server.bucket();
    ProcessBuilder writes =
        new ProcessBuilder(
            System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
            "-cp",
            System.getProperty("java.class.path"),
            Writes.class.getName(),
            server.uri(bucket).toString(),
            folder + "/%p.hlog",
            folder + "/%p.trace");
    Process process = writes.inheritIO().start();
    assertEquals(0, process.waitFor());
    File trace = new File(folder, process.pid() + ".trace");
    Process told = new ProcessBuilder(System.getenv("STORESCOPE_BIN"), "trace", trace.getPath(), "--json").start();
    String json = new String(told.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, told.waitFor());
    for (String part : List.of("\"ended_in_order\":true", "\"left_out\":0", "\"put\":{")) {
      assertTrue(json.contains(part), json);
    }
  }

  /** Writes a file and returns: nothing is closed, and no exit is called. */
  public static final class Writes {
    private Writes() {}

    public static void main(String[] arguments) throws Exception {
      Configuration conf = new Server().configuration();
      conf.set("storescope.profile.path", arguments[1]);
      if (arguments.length > 2) {
        conf.set("storescope.trace", arguments[2]);
      }
      FileSystem fs = FileSystem.get(URI.create(arguments[0]), conf);
      fs.create(new Path("/dir/file")).close();
    }
  }
}
