// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
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

  /**
   * The figures of what has been recorded so far, by name: {@code attempt_get_count}, {@code call_get_bytes_delivered}, {@code
   * attempt_get_ttfb_p99_ns}. Of what has not happened there is no name.
   *
   * @throws IOException if the native library cannot be loaded
   */
  public static Map<String, Long> figures() throws IOException {
    Library.load();
    Map<String, Long> figures = new HashMap<>();
    for (String line : Native.processStatistics().split("\n")) {
      int space = line.indexOf(' ');
      if (space > 0) {
        figures.put(line.substring(0, space), Long.parseLong(line.substring(space + 1)));
      }
    }
    return figures;
  }

  /**
   * The histogram of a phase of all that ended well.
   *
   * @param level {@code call} or {@code attempt}
   * @param operation such as {@code get}
   * @param phase such as {@code ttfb}, {@code total}
   * @return count, sum, smallest and largest value, and for each bucket that holds any its lowest value, its highest value and how
   *     many; times in nanoseconds
   * @throws IOException if the native library cannot be loaded
   */
  public static long[] buckets(String level, String operation, String phase) throws IOException {
    Library.load();
    return Native.processBuckets(level, operation, phase);
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
