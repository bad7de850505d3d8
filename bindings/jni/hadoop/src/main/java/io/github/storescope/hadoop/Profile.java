// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.util.ShutdownHookManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What this JVM has recorded: every request of all its stores, in histograms. */
public final class Profile {

  private static final Logger LOG = LoggerFactory.getLogger(Profile.class);
  private static final AtomicReference<String> PATH = new AtomicReference<>();

  private Profile() {}

  /**
   * Asks for it. The first path that is given counts.
   *
   * @param path of a local file; {@code %p} in it stands for the process's id
   */
  static void writeAtExit(String path) {
    if (PATH.compareAndSet(null, path)) {
      // Behind Hadoop's own hook, which closes the FileSystems.
      ShutdownHookManager.get().addShutdownHook(Profile::writeLast, FileSystem.SHUTDOWN_HOOK_PRIORITY - 1);
    } else if (!path.equals(PATH.get())) {
      LOG.warn("one profile is written at the JVM's end, to {}; none to {}", PATH.get(), path);
    }
  }

  /**
   * Writes what has been recorded so far.
   *
   * @param path of a local file, which is replaced: an HdrHistogram interval log ({@code .hlog}), as
   *     {@code storescope.profile.path} writes it when the JVM ends
   * @throws IOException if the file cannot be written, or the native library cannot be loaded
   */
  public static void write(String path) throws IOException {
    Library.load();
    Native.writeProfile(path);
  }

  private static void writeLast() {
    String path = of(PATH.get(), ProcessHandle.current().pid());
    try {
      write(path);
    } catch (IOException e) {
      LOG.warn("no profile at {}", path, e);
    }
  }

  static String of(String pattern, long process) {
    return pattern.replace("%p", Long.toString(process));
  }
}
