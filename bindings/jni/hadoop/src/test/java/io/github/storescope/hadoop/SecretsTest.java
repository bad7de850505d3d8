// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.log4j.AppenderSkeleton;
import org.apache.log4j.Level;
import org.apache.log4j.Logger;
import org.apache.log4j.spi.LoggingEvent;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Nothing that a FileSystem tells holds a secret: exceptions with their causes, logs at their lowest level, what objects say of
 * themselves. And nothing of a configuration leaves TLS out by accident.
 */
class SecretsTest {

  private static final org.apache.hadoop.fs.Path FILE = new org.apache.hadoop.fs.Path("/d/file");
  private static final String PASSPHRASE = "a passphrase that is wrong";
  private static final String SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  private static final String TOKEN = "FwoGZXIvYXdzEXAMPLEsession/token+of=s3";

  private final Map<String, String> needles = new LinkedHashMap<>();
  private final StringBuffer told = new StringBuffer();
  private Server server;
  private String bucket;
  private Path state;

  @BeforeEach
  void place() throws Exception {
    server = new Server();
    bucket = server.bucket();
    state = Path.of(server.configFile()).getParent();
    for (String name : List.of("key.pem", "wrong_key.pem", "session_key.pem", "token", "expired_token", "delegation_token")) {
      for (String line : Files.readAllLines(state.resolve(name))) {
        for (String part : line.startsWith("-") ? new String[0] : line.split("\\.")) {
          if (part.length() >= 20) {
            needle(name, part);
          }
        }
      }
    }
    needle("the passphrase", PASSPHRASE);
    needle("the secret", SECRET);
    needle("the session token", TOKEN);
    needle("the key of S3", server.s3("secret_access_key"));
  }

  private void needle(String what, String secret) {
    byte[] bytes = secret.getBytes(StandardCharsets.UTF_8);
    needles.put(secret, what);
    needles.put(hex(bytes), what + " in hex");
    needles.put(java.net.URLEncoder.encode(secret, StandardCharsets.UTF_8), what + " percent-coded");
    needles.put(secret.replace("/", "\\/"), what + " in JSON");
    // What a group of three bytes gives, wherever it begins.
    for (int before = 0; before < 3; before++) {
      byte[] behind = new byte[before + bytes.length];
      System.arraycopy(bytes, 0, behind, before, bytes.length);
      String coded = Base64.getEncoder().encodeToString(behind);
      needles.put(coded.substring((before * 8 + 5) / 6, behind.length * 8 / 6), what + " in base64");
    }
  }

  private static String hex(byte[] bytes) {
    StringBuilder hex = new StringBuilder();
    for (byte one : bytes) {
      hex.append(String.format("%02x", one));
    }
    return hex.toString();
  }

  private void nothingIsTold(String kind) {
    String text = told.toString();
    assertTrue(text.length() > 500, kind + ": " + text);
    needles.forEach((needle, what) -> assertFalse(text.contains(needle), kind + ": " + what + " in " + text));
    for (String proof : List.of("Signature version", "signature=\"", "AWS4-HMAC", "Signature=", "ST$")) {
      assertFalse(text.contains(proof), kind + ": " + proof + " in " + text);
    }
  }

  /** Work of a FileSystem, listened to. */
  private void heard(URI uri, Configuration conf) throws Exception {
    AppenderSkeleton listener =
        new AppenderSkeleton() {
          @Override
          protected void append(LoggingEvent event) {
            told.append(event.getLoggerName()).append(' ').append(event.getRenderedMessage()).append('\n');
            if (event.getThrowableInformation() != null) {
              told.append(String.join("\n", event.getThrowableStrRep()));
            }
          }

          @Override
          public void close() {}

          @Override
          public boolean requiresLayout() {
            return false;
          }
        };
    Logger ours = Logger.getLogger("io.github.storescope");
    Level before = ours.getLevel();
    ours.setLevel(Level.TRACE);
    ours.addAppender(listener);
    try (FileSystem fs = FileSystem.newInstance(uri, conf)) {
      told.append(fs).append(fs.getUri()).append(fs.getHomeDirectory()).append('\n');
      tell(() -> fs.create(FILE).close());
      tell(() -> told.append(fs.getFileStatus(FILE)));
      tell(() -> told.append(fs.open(FILE)));
      tell(() -> fs.open(new org.apache.hadoop.fs.Path("/absent")).close());
      tell(() -> {
        for (FileStatus status : fs.listStatus(new org.apache.hadoop.fs.Path("/d"))) {
          told.append(status);
        }
      });
      tell(() -> fs.rename(FILE, new org.apache.hadoop.fs.Path("/d/other")));
      tell(() -> fs.delete(FILE, false));
      fs.getStorageStatistics().getLongStatistics().forEachRemaining(statistic -> told.append(statistic.getName()));
    } catch (IOException e) {
      tell(e);
    } finally {
      ours.removeAppender(listener);
      ours.setLevel(before);
    }
  }

  /** What may fail. */
  private interface Work {
    void run() throws Exception;
  }

  private void tell(Work work) {
    try {
      work.run();
    } catch (Exception e) {
      tell(e);
    }
  }

  private void tell(Exception e) {
    StringWriter trace = new StringWriter();
    e.printStackTrace(new PrintWriter(trace));
    told.append(trace);
  }

  private void kind(String kind, URI uri, Configuration conf) throws Exception {
    told.setLength(0);
    heard(uri, conf);
    nothingIsTold(kind);
  }

  @Test
  void principalsOfOci() throws Exception {
    URI uri = server.uri(bucket);
    kind("an API key", uri, server.configuration());
    Configuration wrong = server.configuration();
    wrong.set("fs.oci.client.auth.pemfilepath", state.resolve("wrong_key.pem").toString());
    kind("a wrong key", uri, wrong);
    // It is needed by none, and told by none.
    Configuration passphrase = server.configuration();
    passphrase.set("fs.oci.client.auth.passphrase", PASSPHRASE);
    kind("a passphrase", uri, passphrase);
    for (String token : List.of("token", "expired_token")) {
      Configuration session = server.configuration();
      session.set("fs.oci.client.auth.sessiontoken.enable", "true");
      session.set("fs.oci.client.auth.pemfilepath", state.resolve("session_key.pem").toString());
      session.set("fs.oci.client.auth.sessiontoken", state.resolve(token).toString());
      kind("a session: " + token, uri, session);
    }
    Configuration delegated = server.configuration();
    delegated.set("fs.oci.delegation.token.filepath", state.resolve("delegation_token").toString());
    kind("a delegation token", uri, delegated);
    Configuration content = new Configuration();
    content.set("storescope.endpoint", server.endpoint());
    content.set("storescope.tenancy", "ocid1.tenancy.oc1..x");
    content.set("storescope.user", "ocid1.user.oc1..x");
    content.set("storescope.fingerprint", "00:11");
    content.set("storescope.key_content", Files.readString(state.resolve("wrong_key.pem")));
    content.set("storescope.pass_phrase", PASSPHRASE);
    kind("a key in a setting", uri, content);
    content.set("storescope.key_content", Files.readString(state.resolve("wrong_key.pem")).substring(0, 600));
    kind("half a key", uri, content);
  }

  @Test
  void keysOfS3() throws Exception {
    URI uri = URI.create("s3a://" + bucket + "/");
    kind("an access key", uri, server.s3Configuration());
    Configuration wrong = server.s3Configuration();
    wrong.set("fs.s3a.secret.key", SECRET);
    kind("a wrong secret", uri, wrong);
    Configuration session = server.s3Configuration();
    session.set("fs.s3a.session.token", TOKEN);
    kind("a session token", uri, session);
    Configuration proxy = server.s3Configuration();
    proxy.set("fs.s3a.endpoint", "http://store.test");
    proxy.set("fs.s3a.proxy.host", "127.0.0.1");
    proxy.set("fs.s3a.proxy.port", "1");
    proxy.set("fs.s3a.proxy.username", "user");
    proxy.set("fs.s3a.proxy.password", SECRET);
    proxy.set("storescope.attempts", "1");
    kind("a proxy's password", uri, proxy);
  }

  @Test
  void tlsIsNotLeftOutByAccident() throws Exception {
    // An address for documentation, which is public.
    Configuration conf = server.s3Configuration();
    conf.set("fs.s3a.endpoint", "203.0.113.1:9");
    conf.set("fs.s3a.connection.ssl.enabled", "false");
    refused(URI.create("s3a://" + bucket + "/"), conf);
    Configuration oci = server.configuration();
    oci.set("fs.oci.client.hostname", "http://203.0.113.1:9");
    refused(server.uri(bucket), oci);
  }

  private static void refused(URI uri, Configuration conf) {
    String why =
        assertThrows(
                IOException.class,
                () -> {
                  try (FileSystem fs = FileSystem.newInstance(uri, conf)) {
                    fs.getFileStatus(FILE);
                  }
                })
            .getMessage();
    assertTrue(why.contains("203.0.113.1") && why.contains("plain_http"), why);
  }

  @Test
  void tlsIsVerifiedWhateverTheKeysOfS3aSay() throws Exception {
    Configuration conf = server.s3Configuration();
    conf.set("fs.s3a.endpoint", server.s3("tls_endpoint"));
    conf.set("fs.s3a.ssl.channel.mode", "default_jsse");
    conf.set("storescope.verify", "false");
    conf.set("storescope.plain_http", "true");
    conf.set("storescope.attempts", "1");
    List<String> kinds = new ArrayList<>();
    List<?> asked =
        server.during(
            () -> {
              try (FileSystem fs = FileSystem.newInstance(URI.create("s3a://" + bucket + "/"), conf)) {
                kinds.add(assertThrows(IOException.class, () -> fs.getFileStatus(FILE)).getMessage());
              }
            });
    assertEquals(List.of(), asked);
    assertTrue(kinds.get(0).contains("authorit"), kinds.get(0));
  }
}
