// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who signs, as a core-site.xml says it, asked of a server that verifies it. */
class IdentityTest {

  private static final byte[] TEXT = "text".getBytes(StandardCharsets.UTF_8);
  private static final org.apache.hadoop.fs.Path FILE = new org.apache.hadoop.fs.Path("/d/file");

  @TempDir Path folder;
  private Server server;
  private String bucket;
  private Path state;

  @BeforeEach
  void place() throws Exception {
    server = new Server();
    bucket = server.bucket();
    state = Path.of(server.configFile()).getParent();
  }

  private void works(Configuration conf) throws Exception {
    try (FileSystem fs = server.open(bucket, conf)) {
      works(fs);
    }
  }

  private static void works(FileSystem fs) throws Exception {
    try (FSDataOutputStream out = fs.create(FILE)) {
      out.write(TEXT);
    }
    try (FSDataInputStream in = fs.open(FILE)) {
      assertArrayEquals(TEXT, in.readAllBytes());
    }
    fs.delete(FILE, false);
    assertFalse(fs.exists(FILE));
  }

  private String refused(Configuration conf) throws Exception {
    try (FileSystem fs = server.open(bucket, conf)) {
      return assertThrows(AccessDeniedException.class, () -> fs.getFileStatus(FILE)).getMessage();
    }
  }

  @Test
  void anotherKeyIsRefusedAndTheRightOneServes() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.client.auth.pemfilepath", state.resolve("wrong_key.pem").toString());
    String told = refused(conf);
    assertTrue(told.contains("wrong_key.pem") && told.contains("fingerprint"), told);
    conf.set("fs.oci.client.auth.pemfilepath." + bucket + "." + server.namespace(), state.resolve("key.pem").toString());
    works(conf);
  }

  @Test
  void theOldTwinsServe() throws Exception {
    Configuration conf = server.configuration();
    for (String name : List.of("hostname", "auth.tenantId", "auth.userId", "auth.fingerprint", "auth.pemfilepath")) {
      conf.set("fs.oraclebmc.client." + name, conf.get("fs.oci.client." + name));
      conf.unset("fs.oci.client." + name);
    }
    works(conf);
  }

  @Test
  void aSessionTokenServes() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.client.auth.sessiontoken.enable", "true");
    conf.set("fs.oci.client.auth.pemfilepath", state.resolve("session_key.pem").toString());
    conf.set("fs.oci.client.auth.sessiontoken", state.resolve("token").toString());
    works(conf);
    conf.set("fs.oci.client.auth.sessiontoken", state.resolve("expired_token").toString());
    String told = refused(conf);
    assertTrue(told.contains("expired_token"), told);
  }

  @Test
  void aDelegationTokenIsSentAndReadAgain() throws Exception {
    Path token = Files.writeString(folder.resolve("obo"), "not.a.token");
    Configuration conf = server.configuration();
    conf.set("fs.oci.delegation.token.filepath", token.toString());
    String told = refused(conf);
    assertTrue(told.contains(token.toString()) && !told.contains("not.a.token"), told);
    Files.copy(state.resolve("delegation_token"), token, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    works(conf);
  }

  @Test
  void aProfileServesByOurOwnNames() throws Exception {
    Configuration conf = new Configuration();
    conf.set("storescope.endpoint", server.endpoint());
    conf.set("storescope.config_file", server.configFile());
    works(conf);
    conf.set("storescope.profile", "WRONG");
    assertTrue(refused(conf).contains("[WRONG]"));
    conf.set("storescope.bucket." + bucket + ".profile", "SESSION");
    works(conf);
    conf.set("storescope.bucket." + bucket + ".auth", "none");
    try (FileSystem fs = server.open(bucket, conf)) {
      // What the service says to nobody, of a bucket that is not public.
      String told = assertThrows(UnknownStoreException.class, () -> fs.getFileStatus(FILE)).getMessage();
      assertTrue(told.contains("BucketNotFound"), told);
    }
    conf.set("storescope.no_such", "1");
    assertTrue(assertThrows(java.io.IOException.class, () -> server.open(bucket, conf)).getMessage().contains("no_such"));
  }

  @Test
  void s3IsServedByTheKeysOfS3a() throws Exception {
    Configuration conf = new Configuration();
    conf.set("fs.s3a.impl", StoreFileSystem.class.getName());
    conf.set("fs.s3a.endpoint", server.s3("endpoint").replace("http://", ""));
    conf.set("fs.s3a.connection.ssl.enabled", "false");
    conf.set("fs.s3a.endpoint.region", server.s3("region"));
    conf.set("fs.s3a.path.style.access", "true");
    conf.set("fs.s3a.access.key", server.s3("access_key_id"));
    conf.set("fs.s3a.secret.key", "another");
    URI uri = URI.create("s3a://" + bucket + "/");
    try (FileSystem fs = FileSystem.newInstance(uri, conf)) {
      assertThrows(AccessDeniedException.class, () -> fs.getFileStatus(FILE));
    }
    conf.set("fs.s3a.bucket." + bucket + ".secret.key", server.s3("secret_access_key"));
    try (FileSystem fs = FileSystem.newInstance(uri, conf)) {
      works(fs);
    }
  }

  @Test
  void statusesAreKeptWhereThatWasAskedFor() throws Exception {
    Configuration conf = server.configuration();
    conf.set("fs.oci.caching.object.metadata.enabled", "true");
    try (FileSystem fs = server.open(bucket, conf)) {
      try (FSDataOutputStream out = fs.create(FILE)) {
        out.write(TEXT);
      }
      assertEquals(List.of("HEAD"), server.kinds(() -> fs.getFileStatus(FILE)));
      assertEquals(List.of(), server.kinds(() -> fs.getFileStatus(FILE)));
      try (FSDataOutputStream out = fs.create(FILE)) {
        out.write(new byte[10]);
      }
      assertEquals(10, fs.getFileStatus(FILE).getLen());
      org.apache.hadoop.fs.Path other = new org.apache.hadoop.fs.Path("/d/other");
      org.apache.hadoop.fs.Path moved = new org.apache.hadoop.fs.Path("/e/other");
      assertTrue(fs.rename(FILE, other));
      isGone(fs, FILE);
      fs.getFileStatus(other);
      assertTrue(fs.rename(other.getParent(), moved.getParent()));
      isGone(fs, other);
      fs.getFileStatus(moved);
      assertTrue(fs.delete(moved, false));
      isGone(fs, moved);
      try (FSDataOutputStream out = fs.create(moved)) {
        out.write(TEXT);
      }
      fs.getFileStatus(moved);
      // More than one look shows.
      for (int n = 0; n < 70; n++) {
        fs.create(moved.suffix("-" + n)).close();
      }
      assertTrue(fs.delete(moved.getParent(), true));
      isGone(fs, moved);
    }
  }

  private static void isGone(FileSystem fs, org.apache.hadoop.fs.Path path) {
    assertThrows(java.io.FileNotFoundException.class, () -> fs.getFileStatus(path));
  }
}
