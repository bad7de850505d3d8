// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.AbstractFileSystem;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;

/**
 * The server that tests run against: its ready line stands in STORESCOPE_READY, the binary that makes buckets in
 * STORESCOPE_BIN. Without them the tests fail.
 */
final class Server {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final AtomicInteger BUCKETS = new AtomicInteger();
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private final JsonNode ready;

  Server() throws IOException {
    String line = System.getenv("STORESCOPE_READY");
    if (line == null) {
      throw new IllegalStateException("STORESCOPE_READY is not set: run these tests by tests/interop/with_server.py");
    }
    ready = JSON.readTree(line);
  }

  String endpoint() {
    return ready.path("oci").path("endpoint").asText();
  }

  String namespace() {
    return ready.path("oci").path("namespace").asText();
  }

  String configFile() {
    return ready.path("oci").path("config_file").asText();
  }

  /** Of the API of OCI: endpoint, tls_endpoint, ca_bundle, namespace, region, config_file. */
  String oci(String name) {
    return ready.path("oci").path(name).asText();
  }

  /** Of the S3 API: endpoint, region, access_key_id, secret_access_key. */
  String s3(String name) {
    return ready.path("s3").path(name).asText();
  }

  /** What core-site.xml says of a user of the profile, by Oracle's names. */
  Configuration configuration(String profile) throws IOException {
    Map<String, String> user = profile(profile);
    Configuration conf = new Configuration();
    conf.set("fs.oci.client.hostname", endpoint());
    conf.setClass("fs.AbstractFileSystem.oci.impl", StoreFs.class, AbstractFileSystem.class);
    conf.set("fs.oci.client.auth.tenantId", user.get("tenancy"));
    conf.set("fs.oci.client.auth.userId", user.get("user"));
    conf.set("fs.oci.client.auth.fingerprint", user.get("fingerprint"));
    conf.set("fs.oci.client.auth.pemfilepath", user.get("key_file"));
    return conf;
  }

  Configuration configuration() throws IOException {
    return configuration("DEFAULT");
  }

  private Map<String, String> profile(String name) throws IOException {
    Map<String, String> found = new TreeMap<>();
    boolean inside = false;
    if (!name.equals("DEFAULT")) {
      // A profile inherits what it lacks.
      found.putAll(profile("DEFAULT"));
    }
    for (String line : Files.readAllLines(Path.of(configFile()))) {
      if (line.startsWith("[")) {
        inside = line.equals("[" + name + "]");
      } else if (inside && line.contains("=")) {
        String[] pair = line.split("=", 2);
        found.put(pair[0].trim(), pair[1].trim());
      }
    }
    return found;
  }

  /** A new, empty bucket's name. */
  String bucket() throws IOException {
    return bucket("tests-" + ProcessHandle.current().pid() + "-" + BUCKETS.incrementAndGet());
  }

  String bucket(String name) throws IOException {
    run("mb", "oci://" + name + "@" + namespace());
    return name;
  }

  URI uri(String bucket) {
    return URI.create("oci://" + bucket + "@" + namespace() + "/");
  }

  /** A FileSystem of its own, not the cached one. */
  FileSystem open(String bucket, Configuration conf) throws IOException {
    return FileSystem.newInstance(uri(bucket), conf);
  }

  /** What core-site.xml says of the S3 API, by S3A's names. */
  Configuration s3Configuration() {
    Configuration conf = new Configuration();
    conf.set("fs.s3a.endpoint", s3("endpoint"));
    conf.set("fs.s3a.endpoint.region", s3("region"));
    conf.set("fs.s3a.path.style.access", "true");
    conf.set("fs.s3a.access.key", s3("access_key_id"));
    conf.set("fs.s3a.secret.key", s3("secret_access_key"));
    conf.setClass("fs.s3a.impl", StoreFileSystem.class, FileSystem.class);
    conf.setClass("fs.AbstractFileSystem.s3a.impl", StoreFs.class, AbstractFileSystem.class);
    return conf;
  }

  /** Creates a file with the performance flag, by the builder. */
  static FSDataOutputStream createFast(FileSystem fs, String path) throws IOException {
    return (FSDataOutputStream) fs.createFile(new org.apache.hadoop.fs.Path(path)).opt("fs.oci.create.performance", true).build();
  }

  /** The uploads that were begun in a bucket and not ended, a line each. */
  String uploads(String bucket) throws IOException {
    return run("uploads", "oci://" + bucket + "@" + namespace() + "/").trim();
  }

  private String run(String command, String url) throws IOException {
    String binary = System.getenv("STORESCOPE_BIN");
    if (binary == null) {
      throw new IllegalStateException("STORESCOPE_BIN is not set");
    }
    Process process =
        new ProcessBuilder(binary, command, "--endpoint", endpoint(), "--config-file", configFile(), url)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String told = new String(process.getInputStream().readAllBytes());
    try {
      if (process.waitFor() != 0) {
        throw new IOException(command + " " + url + " ended with " + process.exitValue());
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    return told;
  }

  /** A fault in requests to come, as docs/EMULATOR.md has them. */
  void fault(String rule) throws IOException {
    admin("POST", "/faults", rule);
  }

  /** The same, to be lifted by the number that this answers. */
  int strike(String rule) throws IOException {
    return JSON.readTree(admin("POST", "/faults", rule)).path("ids").path(0).asInt();
  }

  void lift(int fault) throws IOException {
    admin("DELETE", "/faults/" + fault, null);
  }

  void clearFaults() throws IOException {
    admin("DELETE", "/faults", null);
  }

  /** The requests that were made while something ran. */
  List<JsonNode> during(Work work) throws Exception {
    long last = last();
    work.run();
    List<JsonNode> lines = new ArrayList<>();
    JSON.readTree(admin("GET", "/record?since=" + last, null)).forEach(lines::add);
    return lines;
  }

  /** The same, told as "METHOD what", where what is the kind of thing asked for. */
  List<String> kinds(Work work) throws Exception {
    List<String> kinds = new ArrayList<>();
    for (JsonNode line : during(work)) {
      kinds.add(kind(line));
    }
    return kinds;
  }

  static String kind(JsonNode line) {
    String method = line.path("method").asText();
    String target = line.path("target").asText();
    if (target.contains("/actions/")) {
      return target.replaceAll(".*/actions/(\\w+).*", "$1");
    }
    if (method.equals("GET") && target.matches(".*/o/?(\\?.*)?")) {
      return "LIST";
    }
    return method;
  }

  private long last() throws IOException {
    long last = 0;
    for (JsonNode line : JSON.readTree(admin("GET", "/record", null))) {
      last = Math.max(last, line.path("id").asLong());
    }
    return last;
  }

  private String admin(String method, String path, String body) throws IOException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(ready.path("admin").asText() + path))
            .method(method, body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body))
            .build();
    try {
      HttpResponse<String> answer = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() / 100 != 2) {
        throw new IOException(path + ": " + answer.statusCode() + " " + answer.body());
      }
      return answer.body();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  interface Work {
    void run() throws Exception;
  }
}
