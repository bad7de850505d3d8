// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A store that is reached only by what the JVM's system properties say: its certificate, its proxy. */
class PlatformTest extends OnABucket {

  @TempDir java.nio.file.Path folder;
  private final Map<String, String> before = new TreeMap<>();

  private void property(String name, String value) {
    before.putIfAbsent(name, String.valueOf(System.getProperty(name)));
    System.setProperty(name, value);
  }

  @AfterEach
  void restore() {
    before.forEach(
        (name, value) -> {
          if (value.equals("null")) {
            System.clearProperty(name);
          } else {
            System.setProperty(name, value);
          }
        });
  }

  private Configuration at(String endpoint) throws IOException {
    Configuration conf = server.configuration();
    conf.set("fs.oci.client.hostname", endpoint);
    conf.set("storescope.attempts", "1");
    return conf;
  }

  /** Writes a file by a configuration, and reads it again: the requests that were made. */
  private List<JsonNode> works(Configuration conf) throws Exception {
    byte[] bytes = "by way of the JVM".getBytes(StandardCharsets.UTF_8);
    return server.during(
        () -> {
          try (FileSystem there = server.open(bucket, conf)) {
            Path path = new Path("/file");
            try (FSDataOutputStream out = there.create(path)) {
              out.write(bytes);
            }
            try (FSDataInputStream in = there.open(path)) {
              assertArrayEquals(bytes, in.readAllBytes());
            }
          }
        });
  }

  private IOException fails(Configuration conf) {
    return assertThrows(
        IOException.class,
        () -> {
          try (FileSystem there = server.open(bucket, conf)) {
            there.getFileStatus(new Path("/file"));
          }
        });
  }

  // Certificates.

  private Certificate authority() throws Exception {
    try (InputStream pem = Files.newInputStream(java.nio.file.Path.of(server.oci("ca_bundle")))) {
      return CertificateFactory.getInstance("X.509").generateCertificate(pem);
    }
  }

  private String store(String type, Certificate... certificates) throws Exception {
    KeyStore store = KeyStore.getInstance(type);
    store.load(null, null);
    for (Certificate certificate : certificates) {
      store.setCertificateEntry("ca-" + store.size(), certificate);
    }
    java.nio.file.Path file = folder.resolve("trust." + type);
    try (OutputStream out = Files.newOutputStream(file)) {
      store.store(out, "changeit".toCharArray());
    }
    return file.toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"PKCS12", "JKS"})
  void aTrustStoreOfTheJvmIsTrusted(String type) throws Exception {
    IOException unknown = fails(at(server.oci("tls_endpoint")));
    assertTrue(unknown.getMessage().contains("certificate"), unknown.getMessage());
    property("javax.net.ssl.trustStore", store(type, authority()));
    property("javax.net.ssl.trustStoreType", type);
    property("javax.net.ssl.trustStorePassword", "changeit");
    List<JsonNode> seen = works(at(server.oci("tls_endpoint")));
    assertTrue(seen.size() >= 2);
    assertTrue(seen.stream().allMatch(line -> line.path("tls").asBoolean()), seen.toString());
  }

  /** What the JVM trusts is all that is trusted: the platform's authorities are not added. */
  @Test
  void anotherTrustStoreIsNot() throws Exception {
    property("javax.net.ssl.trustStore", store("PKCS12", anyOther()));
    property("javax.net.ssl.trustStorePassword", "changeit");
    Configuration conf = at(server.oci("tls_endpoint"));
    IOException unknown = fails(conf);
    assertTrue(unknown.getMessage().contains("certificate"), unknown.getMessage());
    // A setting of ours precedes it.
    conf.set("storescope.ca_bundle", server.oci("ca_bundle"));
    works(conf);
  }

  /** One of those that the JVM brings along. */
  private static Certificate anyOther() throws Exception {
    java.nio.file.Path cacerts = java.nio.file.Path.of(System.getProperty("java.home"), "lib/security/cacerts");
    KeyStore brought = KeyStore.getInstance(cacerts.toFile(), "changeit".toCharArray());
    return brought.getCertificate(brought.aliases().nextElement());
  }

  @Test
  void aTrustStoreThatCannotBeUsedIsTold() throws Exception {
    property("javax.net.ssl.trustStore", store("PKCS12"));
    property("javax.net.ssl.trustStorePassword", "changeit");
    IOException told = fails(at(server.oci("tls_endpoint")));
    assertTrue(told.getMessage().contains("holds no certificate"), told.getMessage());
    property("javax.net.ssl.trustStore", store("PKCS12", authority()));
    property("javax.net.ssl.trustStorePassword", "wrong");
    told = fails(at(server.oci("tls_endpoint")));
    assertTrue(told.getMessage().contains("javax.net.ssl.trustStore="), told.getMessage());
    assertFalse(told.getMessage().contains("wrong"), told.getMessage());
    // The JVM then takes its own.
    property("javax.net.ssl.trustStore", folder.resolve("missing").toString());
    told = fails(at(server.oci("tls_endpoint")));
    assertTrue(told.getMessage().contains("certificate"), told.getMessage());
  }

  // Proxies.

  /** The server by a name that only the proxy resolves. */
  private String far(String scheme) {
    return scheme + "://store.invalid:" + URI.create(server.oci(scheme.equals("https") ? "tls_endpoint" : "endpoint")).getPort();
  }

  @Test
  void aProxyOfTheJvmIsUsed() throws Exception {
    try (Proxy proxy = new Proxy()) {
      proxy.named("http", this);
      property("http.proxyUser", "judge");
      property("http.proxyPassword", "pa55word");
      List<JsonNode> seen = works(at(far("http")));
      assertTrue(seen.size() >= 2);
      String who = Base64.getEncoder().encodeToString("judge:pa55word".getBytes(StandardCharsets.UTF_8));
      assertFalse(proxy.asked.isEmpty());
      for (String asked : proxy.asked) {
        assertEquals("store.invalid:" + URI.create(far("http")).getPort() + " Basic " + who, asked);
      }
    }
  }

  /** The certificate is not for that name; that it is judged shows that the server was reached. */
  @Test
  void oneForHttpsIsUsedForHttpsAlone() throws Exception {
    property("javax.net.ssl.trustStore", store("PKCS12", authority()));
    property("javax.net.ssl.trustStorePassword", "changeit");
    try (Proxy proxy = new Proxy()) {
      proxy.named("https", this);
      IOException other = fails(at(far("https")));
      assertTrue(other.getMessage().contains("certificate"), other.getMessage());
      assertEquals(1, proxy.asked.size());
      fails(at(far("http")));
      assertEquals(1, proxy.asked.size());
    }
  }

  @Test
  void hostsThatAreReachedWithoutAProxyAre() throws Exception {
    try (Proxy proxy = new Proxy()) {
      proxy.named("http", this);
      property("http.nonProxyHosts", "localhost|*.invalid");
      fails(at(far("http")));
      assertEquals(List.of(), proxy.asked);
      property("http.nonProxyHosts", "localhost|*.example");
      works(at(far("http")));
      assertFalse(proxy.asked.isEmpty());
    }
  }

  @Test
  void oraclesKeyPrecedesTheProperty() throws Exception {
    try (Proxy proxy = new Proxy();
        Proxy other = new Proxy()) {
      other.named("http", this);
      Configuration conf = at(far("http"));
      conf.set("fs.oci.client.proxy.uri", "http://127.0.0.1:" + proxy.port());
      works(conf);
      assertFalse(proxy.asked.isEmpty());
      assertEquals(List.of(), other.asked);
    }
  }

  /** A proxy that leads each tunnel to 127.0.0.1, and keeps what it was asked for and by whom. */
  private static final class Proxy implements AutoCloseable {

    final List<String> asked = new CopyOnWriteArrayList<>();
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());

    Proxy() throws IOException {
      start(
          () -> {
            while (true) {
              Socket client = listener.accept();
              start(() -> tunnel(client));
            }
          });
    }

    int port() {
      return listener.getLocalPort();
    }

    void named(String scheme, PlatformTest test) {
      test.property(scheme + ".proxyHost", "127.0.0.1");
      test.property(scheme + ".proxyPort", String.valueOf(port()));
    }

    private void tunnel(Socket client) throws IOException {
      try (client) {
        String place = null;
        String who = "-";
        for (String line = line(client); !line.isEmpty(); line = line(client)) {
          if (line.startsWith("CONNECT ")) {
            place = line.split(" ")[1];
          } else if (line.toLowerCase(java.util.Locale.ROOT).startsWith("proxy-authorization: ")) {
            who = line.substring(line.indexOf(' ') + 1);
          }
        }
        asked.add(place + " " + who);
        int port = Integer.parseInt(place.substring(place.lastIndexOf(':') + 1));
        try (Socket store = new Socket(InetAddress.getLoopbackAddress(), port)) {
          client.getOutputStream().write("HTTP/1.1 200 OK\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
          start(() -> store.getInputStream().transferTo(client.getOutputStream()));
          client.getInputStream().transferTo(store.getOutputStream());
        }
      }
    }

    private static String line(Socket from) throws IOException {
      StringBuilder line = new StringBuilder();
      for (int next = from.getInputStream().read(); next >= 0 && next != '\n'; next = from.getInputStream().read()) {
        if (next != '\r') {
          line.append((char) next);
        }
      }
      return line.toString();
    }

    private interface Work {
      void run() throws IOException;
    }

    private static void start(Work work) {
      Thread thread =
          new Thread(
              () -> {
                try {
                  work.run();
                } catch (IOException e) {
                  // A side went away: the test tells.
                }
              },
              "proxy of a test");
      thread.setDaemon(true);
      thread.start();
    }

    @Override
    public void close() throws IOException {
      listener.close();
    }
  }
}
