// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What goes wrong, and the exception that Hadoop's users know for it. */
class BadInputTest extends OnABucket {

  private void write(String path, int size) throws Exception {
    try (FSDataOutputStream out = fs.create(new Path(path))) {
      out.write(new byte[size]);
    }
  }

  @Test
  void aMissingNamespaceIsTold() throws Exception {
    Configuration conf = server.configuration();
    Exception told =
        assertThrows(Exception.class, () -> FileSystem.newInstance(URI.create("oci://" + bucket + "/"), conf));
    assertTrue(told.getMessage().contains("namespace"), told.getMessage());
  }

  @Test
  void aBucketWithAnUnderscoreIsABucket() throws Exception {
    String odd = server.bucket("with_underscores_" + ProcessHandle.current().pid());
    try (FileSystem there = server.open(odd, server.configuration())) {
      there.mkdirs(new Path("/dir"));
      Path file = new Path(there.getUri() + "/dir/file");
      there.create(file).close();
      assertEquals(file, there.listStatus(new Path("/dir"))[0].getPath());
    }
  }

  @Test
  void aKeyThatDoesNotMatchIsAccessDenied() throws Exception {
    try (FileSystem wrong = server.open(bucket, server.configuration("WRONG"))) {
      AccessDeniedException denied =
          assertThrows(AccessDeniedException.class, () -> wrong.getFileStatus(new Path("/file")));
      assertTrue(denied.getMessage().contains("401"), denied.getMessage());
      assertTrue(denied.getMessage().contains("/file"), denied.getMessage());
    }
  }

  @Test
  void closingTwiceIsNothing() throws Exception {
    FSDataOutputStream out = fs.create(new Path("/file"));
    out.write(1);
    out.close();
    out.close();
    FSDataInputStream in = fs.open(new Path("/file"));
    in.close();
    in.close();
    fs.close();
    fs.close();
  }

  @Test
  void whatIsClosedSaysSo() throws Exception {
    write("/file", 100);
    FSDataInputStream in = fs.open(new Path("/file"));
    in.close();
    for (Server.Work read :
        List.<Server.Work>of(
            in::read,
            () -> in.read(new byte[10]),
            () -> in.readFully(0, new byte[10]),
            () -> in.read(0, ByteBuffer.allocateDirect(10)),
            () -> in.seek(0))) {
      IOException told = assertThrows(IOException.class, read::run);
      assertTrue(told.getMessage().toLowerCase().contains("closed"), told.getMessage());
    }
    FSDataOutputStream out = fs.create(new Path("/other"));
    out.close();
    IOException told = assertThrows(IOException.class, () -> out.write(1));
    assertTrue(told.getMessage().toLowerCase().contains("closed"), told.getMessage());
    fs.close();
    told = assertThrows(IOException.class, () -> fs.getFileStatus(new Path("/file")));
    assertTrue(told.getMessage().toLowerCase().contains("closed"), told.getMessage());
  }

  @Test
  void beyondTheEndIsEndOfFile() throws Exception {
    write("/file", 100);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      assertThrows(EOFException.class, () -> in.seek(101));
      assertThrows(EOFException.class, () -> in.seek(-1));
      in.seek(100);
      assertEquals(-1, in.read());
      assertEquals(-1, in.read(100, new byte[1], 0, 1));
      assertThrows(EOFException.class, () -> in.readFully(90, new byte[11]));
    }
  }

  @Test
  void aFileThatIsReplacedWhileReadHasChanged() throws Exception {
    write("/file", 5_000_000);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      in.readFully(0, new byte[100]);
      write("/file", 4_000_000);
      RemoteFileChangedException changed =
          assertThrows(RemoteFileChangedException.class, () -> in.readFully(3_000_000, new byte[100]));
      assertTrue(changed.getMessage().contains("/file"), changed.getMessage());
    }
  }

  /** Its version is settled by the first byte, not by the opening. */
  @Test
  void aFileThatIsReplacedBeforeItsFirstByteIsTheNewOne() throws Exception {
    Path path = new Path("/file");
    write("/file", 5_000_000);
    try (FSDataInputStream in = fs.open(path);
        FSDataInputStream begun = fs.open(path);
        FSDataInputStream sought = fs.open(path);
        FSDataInputStream exact = fs.openFile(path).withFileStatus(fs.getFileStatus(path)).build().get()) {
      begun.read();
      write("/file", 4_000_000);
      assertEquals(4_000_000, in.readAllBytes().length);
      sought.seek(1_000_000);
      assertThrows(RemoteFileChangedException.class, sought::read);
      assertThrows(RemoteFileChangedException.class, exact::read);
      assertThrows(RemoteFileChangedException.class, () -> begun.readFully(3_000_000, new byte[100]));
    }
  }

  /** One that is gone is gone. */
  @Test
  void aFileThatIsRemovedBeforeItsFirstByteIsMissing() throws Exception {
    write("/file", 5_000_000);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      fs.delete(new Path("/file"), false);
      assertThrows(FileNotFoundException.class, in::read);
    }
  }

  @Test
  void anInterruptedReadComesBack() throws Exception {
    write("/file", 5_000_000);
    try (FSDataInputStream in = fs.open(new Path("/file"))) {
      server.fault("{\"method\":\"GET\",\"contains\":\"/o/file\",\"action\":{\"delay\":{\"ms\":600000}}}");
      AtomicReference<Throwable> told = new AtomicReference<>();
      CountDownLatch reading = new CountDownLatch(1);
      Thread thread =
          new Thread(
              () -> {
                reading.countDown();
                try {
                  in.readFully(0, new byte[100]);
                } catch (Throwable e) {
                  told.set(e);
                }
              });
      thread.start();
      reading.await();
      thread.interrupt();
      thread.join();
      assertTrue(told.get() instanceof InterruptedIOException, String.valueOf(told.get()));
      assertTrue(thread.isInterrupted() || !thread.isAlive());
    }
  }

  @Test
  void aHandleThatWasNeverGivenIsNone() {
    for (long handle : new long[] {0, 1, -1, 77L << 32 | 5, Long.MAX_VALUE, Long.MIN_VALUE}) {
      assertThrows(IOException.class, () -> Native.read(handle, 0, new byte[1], 0, 1));
      assertThrows(IOException.class, () -> Native.head(handle, "key"));
      Native.closeReader(handle);
      Native.closeStore(handle);
    }
  }

  // The library, in JVMs of their own.

  private static String java(String limit, String... options) throws Exception {
    List<String> command = new ArrayList<>(List.of("bash", "-c", limit + " exec \"$@\"", "-"));
    command.add(System.getProperty("java.home") + File.separator + "bin" + File.separator + "java");
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Loads.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String told = new String(process.getInputStream().readAllBytes());
    process.waitFor();
    return told;
  }

  /** Loads the library and says how it went. */
  public static final class Loads {
    private Loads() {}

    public static void main(String[] arguments) {
      try {
        Library.load();
        System.out.println("loaded " + Native.version());
      } catch (IOException e) {
        System.out.println("failed: " + e.getMessage());
      }
    }
  }

  @Test
  void aPlatformWithoutALibraryIsNamed() throws Exception {
    String told = java("", "-Dos.arch=sparcv9");
    assertTrue(told.contains("linux-sparcv9") && told.contains("storescope.native.path"), told);
  }

  @Test
  void aLibraryThatDoesNotLoadIsNamed(@TempDir File folder) throws Exception {
    File broken = new File(folder, "broken.so");
    Files.writeString(broken.toPath(), "no library");
    String told = java("", "-Dstorescope.native.path=" + broken);
    assertTrue(told.contains("broken.so") && told.contains("linux-x86_64"), told);
  }

  @Test
  void aDiskWithoutRoomIsNamed(@TempDir File folder) throws Exception {
    // Files may have 64 KiB, and no more.
    String told = java("ulimit -f 64;", "-Dstorescope.native.dir=" + folder);
    assertTrue(told.contains("failed") && told.contains(folder.toString()), told);
    assertTrue(told.contains("storescope.native.dir"), told);
    assertEquals(0, folder.list().length, "nothing is left there");
  }

  @Test
  void theLibraryLeavesNoFile(@TempDir File folder) throws Exception {
    String told = java("", "-Djava.io.tmpdir=" + folder);
    assertTrue(told.contains("loaded"), told);
    assertEquals(0, folder.list().length);
  }

  @Test
  void twoClassLoadersHaveALibraryEach() throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      urls.add(new File(entry).toURI().toURL());
    }
    for (int number = 0; number < 2; number++) {
      try (URLClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
        Class<?> loads = loader.loadClass("io.github.storescope.hadoop.Library");
        assertFalse(loads == Library.class);
        java.lang.reflect.Method load = loads.getDeclaredMethod("load");
        load.setAccessible(true);
        load.invoke(null);
      }
    }
  }
}
