// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import org.apache.hadoop.conf.Configuration;

/** Servers that are no stores: the faults of {@code tests/faults.json} below HTTP, by their names. */
final class FaultyNetwork implements AutoCloseable {

  private static final char[] PASSWORD = "faults".toCharArray();
  private static final ObjectMapper JSON = new ObjectMapper();

  private final List<AutoCloseable> open = new ArrayList<>();
  /** Where redirects lead to. */
  private final ServerSocket elsewhere;
  private final Path bundle;
  private final Map<String, String> endpoints = new TreeMap<>();

  FaultyNetwork() throws Exception {
    // A port on which nothing listens.
    Socket vacant = new Socket();
    open.add(vacant);
    vacant.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    elsewhere = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    open.add(elsewhere);
    elsewhere.setSoTimeout(1);
    Path folder = Files.createTempDirectory("storescope-faults");
    KeyStore expired = certificate(folder.resolve("expired.p12"), "ip:127.0.0.1", 365);
    KeyStore other = certificate(folder.resolve("other.p12"), "dns:store.example", 36500);
    bundle = Files.write(folder.resolve("bundle.pem"), (pem(expired) + pem(other)).getBytes(StandardCharsets.US_ASCII));
    endpoints.put("connect refused", "http://127.0.0.1:" + vacant.getLocalPort());
    endpoints.put("DNS gone", "http://no-such-host.invalid");
    endpoints.put("certificate expired", serve(expired));
    endpoints.put("certificate of another host", serve(other));
  }

  /** The faults that are made by an endpoint. */
  Iterable<String> names() {
    return endpoints.keySet();
  }

  /** Has a FileSystem ask there. */
  void lead(String name, Configuration conf) {
    conf.set("storescope.endpoint", endpoints.get(name));
    conf.set("storescope.ca_bundle", bundle.toString());
  }

  /** The emulator's actions of a fault. */
  JsonNode actions(JsonNode fault) throws IOException {
    String there = "http://127.0.0.1:" + elsewhere.getLocalPort();
    return JSON.readTree(fault.path("actions").toString().replace("http://HOST", there));
  }

  /** Whether a redirect was followed. */
  boolean wasFollowed() throws IOException {
    try {
      elsewhere.accept().close();
      return true;
    } catch (SocketTimeoutException none) {
      return false;
    }
  }

  @Override
  public void close() throws Exception {
    for (AutoCloseable one : open) {
      one.close();
    }
  }

  /** A certificate of a server, signed by itself, valid from the year 2019 on. */
  private static KeyStore certificate(Path file, String name, int days) throws Exception {
    List<String> command =
        List.of(
            System.getProperty("java.home") + File.separator + "bin" + File.separator + "keytool",
            "-genkeypair", "-alias", "server", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=faults",
            "-startdate", "2019/01/01 00:00:00", "-validity", String.valueOf(days), "-ext", "san=" + name,
            "-storetype", "PKCS12", "-keystore", file.toString(), "-storepass", new String(PASSWORD));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    ByteArrayOutputStream told = new ByteArrayOutputStream();
    process.getInputStream().transferTo(told);
    if (process.waitFor() != 0) {
      throw new IOException("keytool: " + told);
    }
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream bytes = Files.newInputStream(file)) {
      store.load(bytes, PASSWORD);
    }
    return store;
  }

  private static String pem(KeyStore store) throws Exception {
    String encoded = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(store.getCertificate("server").getEncoded());
    return "-----BEGIN CERTIFICATE-----\n" + encoded + "\n-----END CERTIFICATE-----\n";
  }

  /** The URL of a server that shakes hands with this certificate, and no more. */
  private String serve(KeyStore store) throws Exception {
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(store, PASSWORD);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), null, null);
    ServerSocket listener = context.getServerSocketFactory().createServerSocket(0, 50, InetAddress.getLoopbackAddress());
    open.add(listener);
    Thread thread = new Thread(() -> shakeHands(listener), "handshakes");
    thread.setDaemon(true);
    thread.start();
    return "https://127.0.0.1:" + listener.getLocalPort();
  }

  private static void shakeHands(ServerSocket listener) {
    while (!listener.isClosed()) {
      try (SSLSocket connection = (SSLSocket) listener.accept()) {
        connection.startHandshake();
      } catch (IOException e) {
        // The client refuses the certificate; or the listener was closed.
      }
    }
  }
}
