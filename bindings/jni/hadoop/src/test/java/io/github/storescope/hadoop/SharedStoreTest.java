// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.util.EnumSet;
import java.util.function.IntPredicate;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** Hadoop makes file systems for FileContexts and closes none of them: their native stores end all the same. */
class SharedStoreTest extends OnABucket {

  private static final int MANY = 100;

  /** As many collections as it takes, and an end. */
  private static int storesAfterCollections(IntPredicate few) {
    for (int look = 0; look < 500 && !few.test(Native.stores()); look++) {
      System.gc();
      Thread.yield();
    }
    return Native.stores();
  }

  private Path file(String name) {
    return new Path(server.uri(bucket) + name);
  }

  @Test
  void equalSettingsShareOneStore() throws Exception {
    int before = Native.stores();
    FileContext[] held = new FileContext[MANY];
    for (int number = 0; number < MANY; number++) {
      held[number] = FileContext.getFileContext(server.uri(bucket), server.configuration());
      held[number].util().exists(file("none"));
    }
    // That of the test's own FileSystem, which was there before.
    assertEquals(before, Native.stores());
    assertTrue(held[MANY - 1] != null);
  }

  @Test
  void storesThatAreLetGoOfAreClosed() throws Exception {
    int before = Native.stores();
    for (int number = 0; number < MANY; number++) {
      use(number);
    }
    int left = storesAfterCollections(stores -> stores <= before);
    assertTrue(left <= before, left + " stores are open, " + before + " were before");
  }

  /** Settings that no other has. */
  private void use(int number) throws IOException {
    Configuration conf = server.configuration();
    conf.set("storescope.part_size", (16 << 20) + number + "");
    FileContext context = FileContext.getFileContext(server.uri(bucket), conf);
    assertTrue(!context.util().exists(file("none")));
  }

  @Test
  void closingOneClosesNoOther() throws Exception {
    Configuration conf = server.configuration();
    conf.set("storescope.part_size", "17MiB");
    int before = Native.stores();
    FileSystem one = server.open(bucket, conf);
    FileSystem other = server.open(bucket, conf);
    assertEquals(before + 1, Native.stores());
    one.mkdirs(new Path("/dir"));
    one.close();
    one.close();
    assertTrue(other.exists(new Path("/dir")));
    other.close();
    assertEquals(before, Native.stores());
  }

  /** What is under way when its FileContext is let go of comes to its end. */
  @Test
  void streamsOutliveTheirFileContext() throws Exception {
    Configuration conf = server.configuration();
    conf.set("storescope.part_size", "18MiB");
    FileContext context = FileContext.getFileContext(server.uri(bucket), conf);
    WeakReference<FileContext> gone = new WeakReference<>(context);
    byte[] bytes = new byte[3 << 20];
    FSDataOutputStream out = context.create(file("file"), EnumSet.of(CreateFlag.CREATE));
    out.write(bytes);
    context = null;
    for (int look = 0; look < 500 && gone.get() != null; look++) {
      System.gc();
    }
    assertEquals(null, gone.get());
    out.write(bytes);
    out.close();
    assertEquals(2L * bytes.length, fs.getFileStatus(file("file")).getLen());
    try (FSDataInputStream in = FileContext.getFileContext(server.uri(bucket), conf).open(file("file"))) {
      for (int look = 0; look < 20; look++) {
        System.gc();
      }
      assertEquals(bytes.length * 2, in.readAllBytes().length);
    }
  }
}
