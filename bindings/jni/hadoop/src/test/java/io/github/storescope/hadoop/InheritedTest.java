// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileNotFoundException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What Hadoop's own classes would do by several requests, and what is done instead. */
class InheritedTest extends OnABucket {

  private FileContext context;

  @BeforeEach
  void context() throws Exception {
    context = FileContext.getFileContext(server.uri(bucket), server.configuration());
  }

  private Path at(String path) {
    return new Path(server.uri(bucket).resolve(path));
  }

  /** Hadoop's asks for the parent, for the file, and then as create does. */
  @Test
  void aFileOfAFileContextIsTwoRequestsAndItsPut() throws Exception {
    fs.mkdirs(new Path("/dir"));
    assertEquals(
        List.of("LIST", "LIST", "PUT"),
        server.kinds(() -> context.create(at("/dir/file"), EnumSet.of(CreateFlag.CREATE)).close()));
  }

  @Test
  void flagsMeanWhatHadoopSays() throws Exception {
    EnumSet<CreateFlag> create = EnumSet.of(CreateFlag.CREATE);
    EnumSet<CreateFlag> overwrite = EnumSet.of(CreateFlag.OVERWRITE);
    assertThrows(FileNotFoundException.class, () -> context.create(at("/none/file"), create));
    assertThrows(FileNotFoundException.class, () -> context.create(at("/file"), overwrite));
    context.create(at("/file"), create).close();
    assertThrows(FileAlreadyExistsException.class, () -> context.create(at("/file"), create));
    context.create(at("/file"), overwrite).close();
    context.create(at("/file"), EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE)).close();
    assertThrows(
        UnsupportedOperationException.class,
        () -> context.create(at("/file"), EnumSet.of(CreateFlag.CREATE, CreateFlag.APPEND)));
    assertThrows(
        IllegalArgumentException.class,
        () -> context.create(at("/file"), EnumSet.of(CreateFlag.APPEND, CreateFlag.OVERWRITE)));
  }

  /** Hadoop's asks for the blocks of each file by its status. */
  @Test
  void aListingWithLocationsIsOneRequestAPage() throws Exception {
    for (int number = 0; number < 20; number++) {
      Server.createFast(fs, "/dir/" + number).close();
    }
    List<String> kinds =
        server.kinds(
            () -> {
              int count = 0;
              RemoteIterator<LocatedFileStatus> files = context.listLocatedStatus(at("/dir"));
              for (; files.hasNext(); count++) {
                files.next();
              }
              assertEquals(20, count);
            });
    assertEquals(List.of("LIST"), kinds);
  }

  /** Hadoop's reads the whole directory before it answers the first entry. */
  @Test
  void aListingOfAFileContextGoesPageByPage() throws Exception {
    for (int number = 0; number < 40; number++) {
      Server.createFast(fs, "/dir/" + number).close();
    }
    Configuration conf = server.configuration();
    conf.set("fs.oci.dir.recursive.list.fetch.size", "5");
    FileContext small = FileContext.getFileContext(server.uri(bucket), conf);
    // One page is read, and one is asked for ahead.
    List<String> kinds =
        server.kinds(
            () -> {
              RemoteIterator<FileStatus> files = small.listStatus(at("/dir"));
              assertTrue(files.hasNext());
              files.next();
              ((java.io.Closeable) files).close();
            });
    assertTrue(kinds.size() <= 2, kinds.toString());
  }

  /** Hadoop's asks whether there is one, and fails if another comes in between. */
  @Test
  void ofSeveralThatCreateANewFileOneIsToldTrue() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      CyclicBarrier gate = new CyclicBarrier(4);
      for (int round = 0; round < 20; round++) {
        Path path = new Path("/new/" + round);
        Callable<Boolean> one =
            () -> {
              gate.await();
              return fs.createNewFile(path);
            };
        List<Boolean> told = new ArrayList<>();
        for (Future<Boolean> answer : threads.invokeAll(Collections.nCopies(4, one))) {
          told.add(answer.get());
        }
        assertEquals(1, Collections.frequency(told, true), told.toString());
      }
    } finally {
      threads.shutdown();
    }
  }
}
