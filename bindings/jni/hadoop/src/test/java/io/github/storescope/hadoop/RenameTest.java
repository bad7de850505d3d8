// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.delta.storage.CloseableIterator;
import io.delta.storage.HDFSLogStore;
import io.delta.storage.LogStore;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options.Rename;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Renames beside other clients: one wins, the others hear it, readers see the old or the new. */
class RenameTest {

  /** By which API. */
  enum By {
    OCI,
    S3
  }

  private static final int ROUNDS = 20;
  private static final int WRITERS = 4;

  private Server server;
  private String bucket;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<FileSystem> opened = new ArrayList<>();

  @BeforeEach
  void open() throws Exception {
    server = new Server();
    bucket = server.bucket();
  }

  @AfterEach
  void close() throws Exception {
    server.clearFaults();
    threads.shutdownNow();
    for (FileSystem fs : opened) {
      fs.close();
    }
  }

  private Configuration configuration(By by) throws IOException {
    return by == By.OCI ? server.configuration() : server.s3Configuration();
  }

  private URI uri(By by) {
    return by == By.OCI ? server.uri(bucket) : URI.create("s3a://" + bucket + "/");
  }

  /** Another client: it knows nothing of what others see. */
  private FileSystem client(By by) throws IOException {
    FileSystem fs = FileSystem.newInstance(uri(by), configuration(by));
    opened.add(fs);
    return fs;
  }

  private FileContext context(By by) throws IOException {
    return FileContext.getFileContext(uri(by), configuration(by));
  }

  private static void write(FileSystem fs, String path, String text) throws IOException {
    try (FSDataOutputStream out = fs.create(new Path(path), true)) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  private static String read(FileSystem fs, String path) throws IOException {
    try (FSDataInputStream in = fs.open(new Path(path))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static Set<String> list(FileSystem fs, String path) throws IOException {
    Set<String> names = new java.util.TreeSet<>();
    for (org.apache.hadoop.fs.FileStatus status : fs.listStatus(new Path(path))) {
      names.add(status.getPath().getName() + (status.isDirectory() ? "/" : ""));
    }
    return names;
  }

  private interface Renaming {
    /** What became of it: "won", or how the loser was told. */
    String of(int writer, Path from, Path to) throws Exception;
  }

  /** Lets writers rename a file each to one name, in rounds; how often each outcome was told. */
  private Map<String, Integer> race(FileSystem fs, boolean oneWins, Renaming renaming) throws Exception {
    Map<String, Integer> outcomes = new TreeMap<>();
    CyclicBarrier gate = new CyclicBarrier(WRITERS);
    fs.mkdirs(new Path("/race"));
    for (int round = 0; round < ROUNDS; round++) {
      Path to = new Path("/race/" + round);
      List<Callable<String>> work = new ArrayList<>();
      for (int writer = 0; writer < WRITERS; writer++) {
        int me = writer;
        Path from = new Path("/race/.tmp-" + round + "-" + me);
        write(fs, from.toString(), "by " + me);
        work.add(
            () -> {
              gate.await();
              return renaming.of(me, from, to);
            });
      }
      String winner = null;
      List<Future<String>> told = threads.invokeAll(work);
      for (int writer = 0; writer < WRITERS; writer++) {
        String outcome = told.get(writer).get();
        outcomes.merge(outcome, 1, Integer::sum);
        if (outcome.equals("won")) {
          assertTrue(!oneWins || winner == null, "two have won");
          winner = "by " + writer;
        }
      }
      if (oneWins) {
        assertEquals(winner, read(fs, to.toString()));
      } else {
        assertTrue(read(fs, to.toString()).startsWith("by "));
      }
    }
    return outcomes;
  }

  @ParameterizedTest
  @EnumSource(By.class)
  void ofSeveralThatRenameToOneNameTheOthersHearThatItExists(By by) throws Exception {
    FileContext[] contexts = new FileContext[WRITERS];
    for (int writer = 0; writer < WRITERS; writer++) {
      contexts[writer] = context(by);
    }
    Map<String, Integer> outcomes =
        race(
            client(by),
            true,
            (writer, from, to) -> {
              try {
                contexts[writer].rename(absolute(by, from), absolute(by, to), Rename.NONE);
                return "won";
              } catch (FileAlreadyExistsException e) {
                return "exists";
              }
            });
    assertEquals(Map.of("won", ROUNDS, "exists", ROUNDS * (WRITERS - 1)), outcomes);
  }

  private Path absolute(By by, Path path) {
    return new Path(uri(by).resolve(path.toUri()));
  }

  /** One outcome, one answer: {@code false}, whether the target was seen before or came in that moment. */
  @ParameterizedTest
  @EnumSource(By.class)
  void whoLosesARenameIsToldFalse(By by) throws Exception {
    FileSystem[] clients = new FileSystem[WRITERS];
    for (int writer = 0; writer < WRITERS; writer++) {
      clients[writer] = client(by);
    }
    Map<String, Integer> outcomes =
        race(client(by), true, (writer, from, to) -> clients[writer].rename(from, to) ? "won" : "false");
    assertEquals(Map.of("won", ROUNDS, "false", ROUNDS * (WRITERS - 1)), outcomes);
  }

  @ParameterizedTest
  @EnumSource(By.class)
  void whoeverOverwritesReplacesTheWhole(By by) throws Exception {
    FileContext[] contexts = new FileContext[WRITERS];
    for (int writer = 0; writer < WRITERS; writer++) {
      contexts[writer] = context(by);
    }
    Map<String, Integer> outcomes =
        race(
            client(by),
            false,
            (writer, from, to) -> {
              contexts[writer].rename(absolute(by, from), absolute(by, to), Rename.OVERWRITE);
              return "won";
            });
    assertEquals(Map.of("won", ROUNDS * WRITERS), outcomes);
  }

  /** Of several that rename one file, the others hear that there is none. */
  @ParameterizedTest
  @EnumSource(By.class)
  void aFileThatAnotherRenamedIsMissing(By by) throws Exception {
    FileSystem fs = client(by);
    fs.mkdirs(new Path("/taken"));
    CyclicBarrier gate = new CyclicBarrier(WRITERS);
    for (int round = 0; round < ROUNDS; round++) {
      Path from = new Path("/taken/from-" + round);
      write(fs, from.toString(), "x");
      List<Callable<Boolean>> work = new ArrayList<>();
      for (int writer = 0; writer < WRITERS; writer++) {
        Path to = new Path("/taken/to-" + round + "-" + writer);
        work.add(
            () -> {
              gate.await();
              return fs.rename(from, to);
            });
      }
      int won = 0;
      for (Future<Boolean> told : threads.invokeAll(work)) {
        won += told.get() ? 1 : 0;
      }
      // On S3 each may copy before one removes.
      assertTrue(by == By.OCI ? won == 1 : won >= 1, won + " have won");
      assertFalse(fs.exists(from));
    }
  }

  @ParameterizedTest
  @EnumSource(By.class)
  void aReaderBesideAnOverwriteSeesTheOldOrTheNew(By by) throws Exception {
    FileSystem fs = client(by);
    FileContext context = context(by);
    write(fs, "/over/checkpoint", "0");
    AtomicBoolean done = new AtomicBoolean();
    FileSystem reader = client(by);
    Future<Integer> reads =
        threads.submit(
            () -> {
              int count = 0;
              int last = 0;
              for (; !done.get() || count == 0; count++) {
                int seen = Integer.parseInt(read(reader, "/over/checkpoint"));
                assertTrue(seen >= last, seen + " after " + last);
                last = seen;
              }
              return count;
            });
    for (int round = 1; round <= 100; round++) {
      write(fs, "/over/.next", String.valueOf(round));
      context.rename(absolute(by, new Path("/over/.next")), absolute(by, new Path("/over/checkpoint")), Rename.OVERWRITE);
    }
    done.set(true);
    assertTrue(reads.get() > 0);
    assertEquals("100", read(fs, "/over/checkpoint"));
    assertEquals(Set.of("checkpoint"), list(fs, "/over"));
  }

  @Test
  void anOverwriteIsOneRequestAndNothingIsDeleted() throws Exception {
    FileSystem fs = client(By.OCI);
    FileContext context = context(By.OCI);
    write(fs, "/dir/from", "new");
    write(fs, "/dir/to", "old");
    List<String> kinds =
        server.kinds(
            () ->
                context.rename(
                    absolute(By.OCI, new Path("/dir/from")), absolute(By.OCI, new Path("/dir/to")), Rename.OVERWRITE));
    assertEquals(List.of("LIST", "LIST", "renameObject"), kinds);
    assertEquals("new", read(fs, "/dir/to"));
  }

  /** The live service may refuse a change because another is under way. */
  @ParameterizedTest
  @ValueSource(strings = {"ConcurrentObjectUpdate", "IncorrectState"})
  void aConflictIsTriedAgain(String code) throws Exception {
    FileSystem fs = client(By.OCI);
    write(fs, "/dir/from", "x");
    server.fault(
        "{\"method\":\"POST\",\"contains\":\"actions/renameObject\",\"nth\":1,\"action\":"
            + "{\"status\":{\"status\":409,\"code\":\"" + code + "\",\"message\":\"another\"}}}");
    assertTrue(fs.rename(new Path("/dir/from"), new Path("/dir/to")));
    assertEquals(Set.of("to"), list(fs, "/dir"));
  }

  @ParameterizedTest
  @EnumSource(By.class)
  void aFileContextIsToldWhyItCannotRename(By by) throws Exception {
    FileSystem fs = client(by);
    FileContext context = context(by);
    write(fs, "/file", "file");
    write(fs, "/other", "other");
    write(fs, "/full/file", "x");
    fs.mkdirs(new Path("/empty"));
    UnaryOperator<Path> at = path -> absolute(by, path);
    assertThrows(FileNotFoundException.class, () -> rename(context, at, "/none", "/to"));
    assertThrows(FileNotFoundException.class, () -> rename(context, at, "/file", "/none/to"));
    assertThrows(ParentNotDirectoryException.class, () -> rename(context, at, "/file", "/other/to"));
    assertThrows(FileAlreadyExistsException.class, () -> rename(context, at, "/file", "/other"));
    assertThrows(FileAlreadyExistsException.class, () -> rename(context, at, "/file", "/file", Rename.OVERWRITE));
    assertThrows(FileAlreadyExistsException.class, () -> rename(context, at, "/full", "/empty"));
    assertThrows(IOException.class, () -> rename(context, at, "/file", "/empty", Rename.OVERWRITE));
    assertThrows(IOException.class, () -> rename(context, at, "/full", "/file", Rename.OVERWRITE));
    assertThrows(IOException.class, () -> rename(context, at, "/full", "/full/below"));
    assertThrows(IOException.class, () -> rename(context, at, "/", "/root"));
    assertThrows(IOException.class, () -> rename(context, at, "/full", "/", Rename.OVERWRITE));
    assertThrows(
        PathIsNotEmptyDirectoryException.class, () -> rename(context, at, "/empty", "/full", Rename.OVERWRITE));
    assertEquals(Set.of("file", "other", "full/", "empty/"), list(fs, "/"));
    rename(context, at, "/full", "/empty", Rename.OVERWRITE);
    assertEquals(Set.of("file", "other", "empty/"), list(fs, "/"));
    assertEquals(Set.of("file"), list(fs, "/empty"));
  }

  private static void rename(FileContext context, UnaryOperator<Path> at, String from, String to, Rename... options)
      throws IOException {
    context.rename(at.apply(new Path(from)), at.apply(new Path(to)), options);
  }

  // Delta Lake's log.

  /** Delta's own way to commit on HDFS: each version is written by one, and the others are told of a conflict. */
  @ParameterizedTest
  @EnumSource(By.class)
  void noCommitOfDeltasLogFails(By by) throws Exception {
    int writers = 2;
    int commits = 15;
    FileSystem fs = client(by);
    fs.mkdirs(new Path("/table/_delta_log"));
    Map<Long, String> acknowledged = new ConcurrentHashMap<>();
    CyclicBarrier gate = new CyclicBarrier(writers);
    List<Callable<Void>> work = new ArrayList<>();
    for (int writer = 0; writer < writers; writer++) {
      int me = writer;
      work.add(
          () -> {
            Configuration conf = configuration(by);
            LogStore log = new HDFSLogStore(conf);
            long version = 0;
            gate.await();
            for (int number = 0; number < commits; number++, version++) {
              String commit = me + "-" + number;
              while (!commit(log, by, version, commit, conf)) {
                version++;
              }
              assertEquals(null, acknowledged.put(version, commit), "two have version " + version);
            }
            return null;
          });
    }
    for (Future<Void> done : threads.invokeAll(work)) {
      done.get();
    }
    assertEquals(writers * commits, acknowledged.size());
    for (Map.Entry<Long, String> commit : acknowledged.entrySet()) {
      try (CloseableIterator<String> lines =
          new HDFSLogStore(configuration(by)).read(version(by, commit.getKey()), configuration(by))) {
        assertEquals(commit.getValue(), lines.next());
      }
    }
    assertEquals(acknowledged.size(), list(fs, "/table/_delta_log").size(), "no temporary file is left");
  }

  private Path version(By by, long number) {
    return absolute(by, new Path(String.format("/table/_delta_log/%020d.json", number)));
  }

  /** Whether it was committed; false for a conflict. */
  private boolean commit(LogStore log, By by, long number, String commit, Configuration conf) throws IOException {
    try {
      log.write(version(by, number), List.of(commit).iterator(), false, conf);
      return true;
    } catch (java.nio.file.FileAlreadyExistsException e) {
      return false;
    }
  }

  // Directories.

  private void fail(int nth) throws IOException {
    server.fault(
        "{\"method\":\"POST\",\"contains\":\"actions/renameObject\",\"nth\":" + nth + ",\"count\":1000,\"action\":"
            + "{\"status\":{\"status\":403,\"code\":\"NotAllowed\",\"message\":\"no\"}}}");
  }

  /** Few are seen at a glance, many are not; another process knows nothing of the first call. */
  @ParameterizedTest
  @ValueSource(ints = {3, 40})
  void theSecondRenameOfADirectoryGoesOn(int files) throws Exception {
    FileSystem fs = client(By.OCI);
    for (boolean marked : new boolean[] {false, true}) {
      String from = "/from-" + marked;
      String to = "/to-" + marked;
      if (marked) {
        fs.mkdirs(new Path(from));
      }
      for (int number = 0; number < files; number++) {
        Server.createFast(fs, from + "/sub/" + number).close();
      }
      fail(3);
      IOException failed = assertThrows(IOException.class, () -> client(By.OCI).rename(new Path(from), new Path(to)));
      assertTrue(failed.getMessage().contains("renamed"), failed.getMessage());
      server.clearFaults();
      assertTrue(client(By.OCI).rename(new Path(from), new Path(to)));
      assertFalse(fs.exists(new Path(from)));
      assertEquals(Set.of("sub/"), list(fs, to));
      assertEquals(files, list(fs, to + "/sub").size());
      // The note is gone: from here on a directory is moved into the other again.
      fs.mkdirs(new Path(from));
      assertTrue(client(By.OCI).rename(new Path(from), new Path(to)));
      assertEquals(Set.of("sub/", from.substring(1) + "/"), list(fs, to));
    }
  }

  @Test
  void aFileContextGoesOnWithADirectoryToo() throws Exception {
    FileSystem fs = client(By.OCI);
    for (int number = 0; number < 20; number++) {
      Server.createFast(fs, "/from/" + number).close();
    }
    fail(7);
    UnaryOperator<Path> at = path -> absolute(By.OCI, path);
    assertThrows(IOException.class, () -> rename(context(By.OCI), at, "/from", "/to"));
    server.clearFaults();
    rename(context(By.OCI), at, "/from", "/to");
    assertFalse(fs.exists(new Path("/from")));
    assertEquals(20, list(fs, "/to").size());
  }

  /** On S3 a rename may end between its copy and its removal. */
  @Test
  void aDirectoryGoesOnWhereItWasCopiedAndNotRemoved() throws Exception {
    FileSystem fs = client(By.S3);
    for (int number = 0; number < 20; number++) {
      write(fs, "/from/" + number, "text " + number);
    }
    server.fault("{\"method\":\"DELETE\",\"contains\":\"/from/1\",\"action\":{\"status\":{\"status\":403,\"code\":\"AccessDenied\"}}}");
    assertThrows(IOException.class, () -> fs.rename(new Path("/from"), new Path("/to")));
    server.clearFaults();
    assertTrue(client(By.S3).rename(new Path("/from"), new Path("/to")));
    assertFalse(fs.exists(new Path("/from")));
    assertEquals(20, list(fs, "/to").size());
    assertEquals("text 1", read(fs, "/to/1"));
  }

  @Test
  void aDirectoryGoesOnOverNothingThatIsAnothers() throws Exception {
    FileSystem fs = client(By.OCI);
    for (int number = 0; number < 20; number++) {
      Server.createFast(fs, "/from/" + number).close();
    }
    fail(1);
    assertThrows(IOException.class, () -> fs.rename(new Path("/from"), new Path("/to")));
    server.clearFaults();
    write(fs, "/to/5", "another's");
    IOException told = assertThrows(IOException.class, () -> fs.rename(new Path("/from"), new Path("/to")));
    assertFalse(told instanceof FileAlreadyExistsException, told.toString());
    assertEquals("another's", read(fs, "/to/5"));
    assertTrue(fs.exists(new Path("/from/5")));
  }

  /** Two that rename to one new name: whoever writes its marker first has it. */
  @ParameterizedTest
  @ValueSource(ints = {2, 30})
  void ofTwoDirectoriesOneGetsTheName(int files) throws Exception {
    FileSystem fs = client(By.OCI);
    for (int round = 0; round < 5; round++) {
      List<Callable<Boolean>> work = new ArrayList<>();
      Path to = new Path("/to-" + round);
      CyclicBarrier gate = new CyclicBarrier(2);
      for (int writer = 0; writer < 2; writer++) {
        Path from = new Path("/from-" + writer + "-" + round);
        fs.mkdirs(from);
        for (int number = 0; number < files; number++) {
          Server.createFast(fs, from + "/by-" + writer + "-" + number).close();
        }
        FileSystem client = client(By.OCI);
        work.add(
            () -> {
              gate.await();
              return client.rename(from, to);
            });
      }
      List<Boolean> won = new ArrayList<>();
      for (Future<Boolean> told : threads.invokeAll(work)) {
        won.add(told.get());
      }
      // The other may have come so late that it found a directory, and moved into it.
      int winners = Collections.frequency(won, true);
      long moved = list(fs, to.toString()).stream().filter(name -> name.startsWith("by-")).count();
      assertTrue(winners >= 1, won.toString());
      assertEquals(files, moved, "the two are not mixed: " + list(fs, to.toString()));
    }
  }

  // What others did meanwhile.

  @Test
  void aDirectoryThatAnotherRemovedIsNoParent() throws Exception {
    FileSystem fs = client(By.OCI);
    write(fs, "/from", "x");
    fs.mkdirs(new Path("/parent"));
    assertTrue(client(By.OCI).delete(new Path("/parent"), true));
    assertFalse(fs.rename(new Path("/from"), new Path("/parent/to")));
    assertTrue(fs.exists(new Path("/from")));
    assertFalse(fs.exists(new Path("/parent")));
    write(client(By.OCI), "/parent", "a file now");
    assertFalse(fs.rename(new Path("/from"), new Path("/parent/to")));
    // As Hadoop's create has it, missing directories are made.
    assertTrue(client(By.OCI).delete(new Path("/parent"), true));
    write(fs, "/parent/made", "x");
    assertEquals(Set.of("made"), list(fs, "/parent"));
  }

  /** The file that is meant is the one that was looked at. */
  @Test
  void aSourceThatWasReplacedIsNoTargetThatExists() throws Exception {
    FileSystem fs = client(By.OCI);
    write(fs, "/dir/from", "x");
    server.fault(
        "{\"method\":\"POST\",\"contains\":\"actions/renameObject\",\"action\":"
            + "{\"status\":{\"status\":412,\"code\":\"IfMatchFailed\",\"message\":\"changed\"}}}");
    IOException told =
        assertThrows(IOException.class, () -> fs.rename(new Path("/dir/from"), new Path("/dir/to")));
    assertFalse(told instanceof FileAlreadyExistsException, told.toString());
  }
}
