// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.util.ShutdownHookManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes what this JVM has recorded, once, when it ends. */
final class Profile {

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
      ShutdownHookManager.get().addShutdownHook(Profile::write, FileSystem.SHUTDOWN_HOOK_PRIORITY - 1);
    } else if (!path.equals(PATH.get())) {
      LOG.warn("one profile is written at the JVM's end, to {}; none to {}", PATH.get(), path);
    }
  }

  private static void write() {
    String path = of(PATH.get(), ProcessHandle.current().pid());
    try {
      Native.writeProfile(path);
    } catch (IOException e) {
      LOG.warn("no profile at {}", path, e);
    }
  }

  static String of(String pattern, long process) {
    return pattern.replace("%p", Long.toString(process));
  }
}
