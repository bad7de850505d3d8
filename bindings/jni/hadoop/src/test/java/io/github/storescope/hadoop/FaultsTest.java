// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.file.AccessDeniedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileRange;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.MultipartUploader;
import org.apache.hadoop.fs.PartHandle;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.UploadHandle;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The faults of {@code tests/faults.json} while the file system reads and writes, by both schemes.
 *
 * <p>A cell is a fault and an operation, with a file of its own. It ends with the right bytes or with an exception of the right
 * class whose message names operation and object, within the stated time. The file is the old one or the new one, whole. No
 * upload is left.
 */
class FaultsTest {

  private static final int TRIES = 3;
  private static final long PATIENCE = 1500;
  /** A call gives up after this time. The rest is for a busy machine, on which many cells run at a time. */
  private static final double MOST_SECONDS = TRIES * PATIENCE / 1000.0 + 5;
  private static final int AT_ONCE = 24;

  /** The FileSystem that no fault meets but those of the server. */
  private static final String GOOD = "";

  private static final ObjectMapper JSON = new ObjectMapper();
  /** Larger than what the library reads by one request. */
  private static final byte[] OLD = bytes(1_300_000);
  /** Of one request. */
  private static final byte[] SMALL = bytes(400_000);
  /** Of two parts. */
  private static final byte[] LARGE = bytes((5 << 20) + 100_000);
  private static final int[][] SPANS = {{1000, 50_000}, {700_000, 700_100}, {1_290_000, OLD.length}};

  /** By the kind of error; those of other kinds are PathIOException. */
  private static final Map<String, Class<? extends IOException>> CLASSES = new HashMap<>();

  static {
    CLASSES.put("not_found", FileNotFoundException.class);
    CLASSES.put("bucket_not_found", UnknownStoreException.class);
    CLASSES.put("unauthenticated", AccessDeniedException.class);
    CLASSES.put("permission_denied", AccessDeniedException.class);
    CLASSES.put("precondition", RemoteFileChangedException.class);
    CLASSES.put("changed", RemoteFileChangedException.class);
    CLASSES.put("invalid_range", EOFException.class);
    CLASSES.put("timeout", SocketTimeoutException.class);
    CLASSES.put("connect", ConnectException.class);
  }

  /** Beside those of the file. */
  private static final String MORE =
      "[{\"name\":\"403\",\"actions\":[{\"status\":{\"status\":403}}],\"right\":[\"permission denied\"]},"
          + "{\"name\":\"404 of the bucket\",\"actions\":[{\"status\":{\"status\":404,\"code\":\"BucketNotFound\"}}],"
          + "\"right\":[\"bucket not found\"]}]";
  /**
   * What else may be right, by operation. What is gone while a file is read has changed since. An upload that is gone is aborted,
   * and a file that is not the upload's was there before. A HEAD does not say whose its 404 is, where the bucket was seen before.
   */
  private static final Map<String, String> ALSO =
      Map.of("404 read", "changed", "404 commit", "precondition", "404 abort", "ok", "404 of the bucket look", "not_found");
  /** Seconds that a store asks for before the next request. */
  private static final Map<String, Integer> ASKED = Map.of("429 with Retry-After", 1);

  private static final Pattern NAMES_OPERATION = Pattern.compile("[a-z_]+ (oci|s3)://");

  private final Server server;
  private final FaultyNetwork network;
  private final Map<String, FileSystem> systems = new HashMap<>();
  private String bucket;

  FaultsTest() throws Exception {
    server = new Server();
    network = new FaultyNetwork();
  }

  private static byte[] bytes(int size) {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    return bytes;
  }

  // The operations: whether the bytes were right.

  private interface Act {
    boolean run(FileSystem fs, Path path) throws Exception;
  }

  private static boolean stream(FileSystem fs, Path path) throws Exception {
    try (FSDataInputStream in = fs.open(path)) {
      return Arrays.equals(OLD, in.readAllBytes());
    }
  }

  private static boolean positioned(FileSystem fs, Path path) throws Exception {
    try (FSDataInputStream in = fs.open(path)) {
      boolean right = true;
      for (int[] span : SPANS) {
        byte[] got = new byte[span[1] - span[0]];
        in.readFully(span[0], got);
        right &= Arrays.equals(Arrays.copyOfRange(OLD, span[0], span[1]), got);
      }
      return right;
    }
  }

  private static boolean direct(FileSystem fs, Path path) throws Exception {
    try (FSDataInputStream in = fs.open(path)) {
      boolean right = true;
      for (int[] span : SPANS) {
        ByteBuffer got = ByteBuffer.allocateDirect(span[1] - span[0]);
        in.readFully(span[0], got);
        got.flip();
        right &= ByteBuffer.wrap(OLD, span[0], span[1] - span[0]).equals(got);
      }
      return right;
    }
  }

  private static boolean vectored(FileSystem fs, Path path) throws Exception {
    List<FileRange> ranges = new ArrayList<>();
    for (int[] span : SPANS) {
      ranges.add(FileRange.createFileRange(span[0], span[1] - span[0]));
    }
    try (FSDataInputStream in = fs.open(path)) {
      in.readVectored(ranges, ByteBuffer::allocate);
      boolean right = true;
      for (FileRange range : ranges) {
        ByteBuffer got = of(range.getData());
        right &= ByteBuffer.wrap(OLD, (int) range.getOffset(), range.getLength()).equals(got);
      }
      return right;
    }
  }

  private static boolean write(FileSystem fs, Path path, byte[] bytes) throws Exception {
    try (FSDataOutputStream out = Server.createFast(fs, path.toString())) {
      out.write(bytes);
    }
    return true;
  }

  private static boolean aborted(FileSystem fs, Path path) throws Exception {
    FSDataOutputStream out = Server.createFast(fs, path.toString());
    out.write(LARGE);
    Abortable.AbortableResult result = out.abort();
    if (result.anyCleanupException() != null) {
      throw result.anyCleanupException();
    }
    return true;
  }

  /** By the interface of committers: one part, then a commit or an abort. */
  private static boolean uploaded(FileSystem fs, Path path, boolean commit) throws Exception {
    try (MultipartUploader uploader = fs.createMultipartUploader(path).build()) {
      UploadHandle upload = of(uploader.startUpload(path));
      try {
        PartHandle part = of(uploader.putPart(upload, 1, true, path, new ByteArrayInputStream(SMALL), SMALL.length));
        if (commit) {
          of(uploader.complete(upload, path, Map.of(1, part)));
          return true;
        }
      } catch (IOException e) {
        try {
          of(uploader.abort(upload, path));
        } catch (FileNotFoundException gone) {
          // The commit was done, and its answer lost.
        }
        throw e;
      }
      of(uploader.abort(upload, path));
      return true;
    }
  }

  private static <T> T of(CompletableFuture<T> future) throws Exception {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException ? (IOException) e.getCause() : e;
    }
  }

  /** What an operation does, which of its requests are struck, and what is there afterwards. */
  private enum Operation {
    STREAM("read", FaultsTest::stream, "GET", "", null),
    POSITIONED("read", FaultsTest::positioned, "GET", "", null),
    DIRECT("read", FaultsTest::direct, "GET", "", null),
    VECTORED("read", FaultsTest::vectored, "GET", "", null),
    // A HEAD that is refused is asked about by a GET: each request is struck.
    STATUS("look", (fs, path) -> fs.getFileStatus(path).getLen() == OLD.length, null, "", null),
    EXISTS("look", FileSystem::exists, null, "", null),
    PUT("put", (fs, path) -> write(fs, path, SMALL), "PUT", "", SMALL),
    PART("part", (fs, path) -> write(fs, path, LARGE), "PUT", "", LARGE),
    COMMIT("commit", (fs, path) -> write(fs, path, LARGE), "POST", "?uploadId", LARGE),
    ABORT("abort", FaultsTest::aborted, "DELETE", "", OLD),
    UPLOADER_PART("part", (fs, path) -> uploaded(fs, path, true), "PUT", "", SMALL),
    UPLOADER_COMMIT("commit", (fs, path) -> uploaded(fs, path, true), "POST", "?uploadId", SMALL),
    UPLOADER_ABORT("abort", (fs, path) -> uploaded(fs, path, false), "DELETE", "", OLD);

    final String kind;
    final Act act;
    /** Null for any. */
    final String method;
    final String query;
    /** What a success leaves there; null for one that reads. */
    final byte[] written;

    Operation(String kind, Act act, String method, String query, byte[] written) {
      this.kind = kind;
      this.act = act;
      this.method = method;
      this.query = query;
      this.written = written;
    }

    boolean writes() {
      return written != null;
    }
  }

  // The table.

  @ParameterizedTest
  @ValueSource(strings = {"oci", "s3a"})
  void everyCellIsRightOrTold(String scheme) throws Exception {
    bucket = server.bucket();
    List<JsonNode> faults = new ArrayList<>();
    JSON.readTree(java.nio.file.Path.of(System.getProperty("basedir", "."), "../../../tests/faults.json").toFile())
        .forEach(faults::add);
    JSON.readTree(MORE).forEach(faults::add);
    open(scheme);
    ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
    Map<String, Future<List<String>>> cells = new HashMap<>();
    for (JsonNode fault : faults) {
      for (Operation operation : Operation.values()) {
        String name = fault.path("name").asText() + " x " + operation;
        cells.put(name, threads.submit(() -> cell(fault, operation)));
      }
    }
    List<String> wrong = new ArrayList<>();
    for (Map.Entry<String, Future<List<String>>> cell : cells.entrySet()) {
      cell.getValue().get().forEach(why -> wrong.add(cell.getKey() + ": " + why));
    }
    threads.shutdown();
    wrong.sort(null);
    System.out.println(scheme + ": " + faults.size() + " faults, " + cells.size() + " cells");
    assertEquals("", String.join("\n", wrong), wrong.size() + " of " + cells.size() + " cells");
    // An abort that a fault may fail is told, and leaves its upload.
    List<String> left = new ArrayList<>(Arrays.asList(server.uploads(bucket).split("\n")));
    List<String> once = new ArrayList<>();
    faults.stream()
        .filter(fault -> fault.path("times").asInt() == 1 && fault.path("right").size() == 1)
        .forEach(fault -> once.add(slug(fault)));
    left.removeIf(
        line -> {
          String name = line.substring(line.lastIndexOf(' ') + 1);
          return name.isEmpty() || (name.endsWith("ABORT.bin") && !once.contains(name.substring(0, name.indexOf('.'))));
        });
    assertEquals(List.of(), left);
    assertFalse(network.wasFollowed());
  }

  private void open(String scheme) throws IOException {
    List<String> names = new ArrayList<>(List.of(GOOD));
    network.names().forEach(names::add);
    for (String name : names) {
      Configuration conf = scheme.equals("oci") ? server.configuration() : server.s3Configuration();
      for (String timeout : List.of("connect_timeout", "first_byte_timeout", "stall_timeout")) {
        conf.set("storescope." + timeout, PATIENCE + "ms");
      }
      conf.set("storescope.attempts", String.valueOf(TRIES));
      conf.set("storescope.backoff_base", "1ms");
      conf.set("storescope.backoff_cap", "10ms");
      conf.set("storescope.retry_budget", "10000");
      conf.set("storescope.hedge_at", "0");
      conf.set("storescope.part_size", "5MiB");
      if (!name.equals(GOOD)) {
        network.lead(name, conf);
      }
      Path root = scheme.equals("oci") ? new Path(server.uri(bucket)) : new Path("s3a://" + bucket + "/");
      systems.put(name, FileSystem.newInstance(root.toUri(), conf));
    }
  }

  @AfterEach
  void close() throws Exception {
    server.clearFaults();
    for (FileSystem system : systems.values()) {
      system.close();
    }
    network.close();
  }

  /** A fault's name as a part of a key. */
  private static String slug(JsonNode fault) {
    return fault.path("name").asText().replaceAll("[^A-Za-z0-9]+", "-");
  }

  /** What is wrong. */
  private List<String> cell(JsonNode fault, Operation operation) throws Exception {
    FileSystem good = systems.get(GOOD);
    String key = slug(fault) + "." + operation + ".bin";
    Path path = new Path("/" + key);
    write(good, path, OLD);
    List<Integer> rules = strike(fault, operation, key);
    long began = System.nanoTime();
    Exception failure = null;
    boolean right = false;
    try {
      right = operation.act.run(fault.has("network") ? systems.get(fault.path("name").asText()) : good, path);
    } catch (Exception e) {
      failure = e;
    }
    double took = (System.nanoTime() - began) / 1e9;
    for (int rule : rules) {
      server.lift(rule);
    }
    List<String> wrong = new ArrayList<>();
    List<String> expected = expected(fault, operation);
    String outcome = outcome(expected, operation, right, failure);
    if (!expected.contains(outcome)) {
      wrong.add(outcome + ", and not one of " + expected);
    }
    if (took > MOST_SECONDS || took < ASKED.getOrDefault(fault.path("name").asText(), 0)) {
      wrong.add("took " + took + " s");
    }
    if (failure != null && !names(failure, key)) {
      wrong.add("the message does not name operation and object: " + failure);
    }
    if (operation.writes()) {
      byte[] found = found(good, path);
      if (!isRight(fault, operation, failure == null, found)) {
        wrong.add(outcome + ", and " + found.length + " bytes are there");
      }
      good.delete(path, false);
    }
    return wrong;
  }

  private List<Integer> strike(JsonNode fault, Operation operation, String key) throws IOException {
    List<Integer> rules = new ArrayList<>();
    if (fault.has("network")) {
      return rules;
    }
    for (JsonNode action : network.actions(fault)) {
      ObjectNode rule = JSON.createObjectNode();
      rule.set("action", action);
      rule.put("count", fault.path("times").asInt(1_000_000));
      rule.put("contains", key + operation.query);
      if (operation.method != null) {
        rule.put("method", operation.method);
      }
      rules.add(server.strike(rule.toString()));
    }
    return rules;
  }

  private static List<String> expected(JsonNode fault, Operation operation) {
    List<String> kinds = new ArrayList<>();
    fault.path("right").forEach(kind -> kinds.add(kind.asText().replace(' ', '_')));
    String also = ALSO.get(fault.path("name").asText() + " " + operation.kind);
    if (also != null) {
      kinds.add(also);
    }
    if (fault.path("name").asText().equals("DNS gone")) {
      // A resolver may be late.
      kinds.add("timeout");
    }
    return kinds;
  }

  /** The first of the expected kinds whose exception it is; else what it is. */
  private static String outcome(List<String> expected, Operation operation, boolean right, Exception failure) {
    if (failure == null) {
      // `exists` has no other way to say it.
      return right ? "ok" : operation == Operation.EXISTS ? "not_found" : "wrong bytes";
    }
    for (String kind : expected) {
      if (!kind.equals("ok") && failure.getClass() == CLASSES.getOrDefault(kind, PathIOException.class)) {
        return kind;
      }
    }
    return failure.toString();
  }

  private static boolean names(Exception failure, String key) {
    String message = String.valueOf(failure.getMessage());
    boolean operation = failure instanceof FileNotFoundException || NAMES_OPERATION.matcher(message).find();
    return operation && message.contains(key) && !message.contains("\n");
  }

  private static byte[] found(FileSystem good, Path path) throws IOException {
    try (FSDataInputStream in = good.open(path)) {
      return in.readAllBytes();
    }
  }

  /** Where the request may have been done, an error may be told of a write that is there. */
  private static boolean isRight(JsonNode fault, Operation operation, boolean ended, byte[] found) {
    if (ended) {
      return Arrays.equals(operation.written, found);
    }
    boolean undone = fault.has("network") || operation.kind.equals("part");
    for (JsonNode action : fault.path("actions")) {
      undone |= action.has("status") || action.asText().equals("reset");
    }
    return Arrays.equals(OLD, found) || (!undone && Arrays.equals(operation.written, found));
  }
}
