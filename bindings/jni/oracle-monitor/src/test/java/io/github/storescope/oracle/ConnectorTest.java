// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.oracle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.oracle.bmc.hdfs.BmcFilesystem;
import java.net.URI;
import java.nio.file.Files;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** Oracle's connector itself, against a server that verifies its signatures (tests/interop/with_server.py). */
class ConnectorTest {

  private final JsonNode oci;

  ConnectorTest() throws Exception {
    String line = System.getenv("STORESCOPE_READY");
    if (line == null) {
      throw new IllegalStateException("STORESCOPE_READY is not set: run these tests by tests/interop/with_server.py");
    }
    oci = new ObjectMapper().readTree(line).path("oci");
  }

  private String told(String name) {
    return oci.path(name).asText();
  }

  private Configuration configuration() throws Exception {
    Configuration conf = new Configuration();
    conf.setClass("fs.oci.impl", BmcFilesystem.class, FileSystem.class);
    conf.set("fs.oci.client.hostname", told("endpoint"));
    boolean inside = false;
    for (String line : Files.readAllLines(java.nio.file.Path.of(told("config_file")))) {
      inside = line.startsWith("[") ? line.equals("[DEFAULT]") : inside;
      String[] pair = line.split("=", 2);
      if (inside && pair.length == 2) {
        set(conf, pair[0].trim(), pair[1].trim());
      }
    }
    conf.set("fs.oci.mon.consumer.plugins", StorescopeMonitor.class.getName());
    conf.set("fs.oci.mon.grouping.cluster.id", "test");
    return conf;
  }

  private static void set(Configuration conf, String name, String value) {
    switch (name) {
      case "tenancy":
        conf.set("fs.oci.client.auth.tenantId", value);
        break;
      case "user":
        conf.set("fs.oci.client.auth.userId", value);
        break;
      case "fingerprint":
        conf.set("fs.oci.client.auth.fingerprint", value);
        break;
      case "key_file":
        conf.set("fs.oci.client.auth.pemfilepath", value);
        break;
      default:
    }
  }

  private URI bucket() throws Exception {
    String url = "oci://monitor-" + ProcessHandle.current().pid() + "@" + told("namespace");
    Process made =
        new ProcessBuilder(
                System.getenv("STORESCOPE_BIN"), "mb", "--endpoint", told("endpoint"), "--config-file", told("config_file"), url)
            .inheritIO()
            .start();
    assertEquals(0, made.waitFor());
    return URI.create(url + "/");
  }

  @Test
  void whatTheConnectorDoesIsInTheScope() throws Exception {
    Taken.take();
    byte[] content = new byte[300_000];
    new Random(3).nextBytes(content);
    try (FileSystem fs = FileSystem.newInstance(bucket(), configuration())) {
      assertSame(BmcFilesystem.class, fs.getClass());
      Path file = new Path("/folder/file");
      try (FSDataOutputStream out = fs.create(file)) {
        out.write(content);
      }
      byte[] read = new byte[content.length];
      for (int times = 0; times < 2; times++) {
        try (FSDataInputStream in = fs.open(file)) {
          in.readFully(read);
        }
        assertArrayEquals(content, read);
      }
      assertEquals(1, fs.listStatus(new Path("/folder")).length);
      assertTrue(fs.rename(file, new Path("/folder/renamed")));
      assertTrue(fs.delete(new Path("/folder/renamed"), false));
    }
    Taken taken = Taken.upTo("call/delete/total/ok");
    assertEquals(2, taken.count("call/get/total/ok"), taken.toString());
    assertEquals("2 600000", taken.of("call/get/bytes_delivered/ok"));
    assertEquals(1, taken.count("call/rename/total/ok"), taken.toString());
    assertTrue(taken.of("call/put/bytes_delivered/ok").endsWith(" 300000"), taken.toString());
    assertTrue(taken.count("call/head/total/ok") > 0, taken.toString());
    assertTrue(taken.count("call/list/total/ok") > 0, taken.toString());
  }
}
