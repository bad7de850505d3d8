// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * The native library: unpacked from the jar to a file of its own and loaded, once for each class loader.
 *
 * <p>Properties of the JVM: {@code storescope.native.path} names a library to load instead; {@code storescope.native.dir}
 * the folder to unpack to, where {@code java.io.tmpdir} has no room or may not hold programs. The unpacked file is removed
 * as soon as it is loaded.
 */
final class Library {

  private static final String NAME = "libstorescope_jni.so";
  private static final String PATH_PROPERTY = "storescope.native.path";
  private static final String DIR_PROPERTY = "storescope.native.dir";

  private static boolean loaded;
  private static IOException failed;

  private Library() {}

  /** Loads the library, if it was not yet; a failure stays. */
  static synchronized void load() throws IOException {
    if (loaded) {
      return;
    }
    if (failed == null) {
      try {
        find();
        check();
        Completions.start();
        flushAtExit();
        loaded = true;
        return;
      } catch (IOException e) {
        failed = e;
      }
    }
    throw new IOException(failed.getMessage(), failed);
  }

  /** Behind Hadoop's own hook, which closes the FileSystems: their last requests are in traces and metrics, too. */
  private static void flushAtExit() {
    try {
      ShutdownHookManager.get().addShutdownHook(Native::flush, FileSystem.SHUTDOWN_HOOK_PRIORITY - 2);
    } catch (IllegalStateException e) {
      // The JVM ends already: what came in its last second is not written.
    }
  }

  private static void find() throws IOException {
    String path = System.getProperty(PATH_PROPERTY);
    if (path != null) {
      load(Path.of(path));
      return;
    }
    URL packed = Library.class.getResource("/io/github/storescope/native/" + platform() + "/" + NAME);
    if (packed == null) {
      throw new IOException(
          "storescope has no native library for this platform, " + platform()
              + " (the jar holds linux-x86_64); one that was built for it can be named by -D" + PATH_PROPERTY + "=FILE");
    }
    unpack(packed);
  }

  private static void unpack(URL packed) throws IOException {
    Path folder = Path.of(System.getProperty(DIR_PROPERTY, System.getProperty("java.io.tmpdir", "/tmp")));
    Path file = null;
    try {
      // Unpredictable, and its owner's alone; a second class loader gets another one, since a file is loaded only once.
      file = Files.createTempFile(folder, "storescope-", ".so");
      try (InputStream bytes = packed.openStream()) {
        Files.copy(bytes, file, StandardCopyOption.REPLACE_EXISTING);
      }
      load(file);
    } catch (IOException e) {
      throw new IOException(
          "storescope's native library could not be unpacked to and loaded from " + folder + " (" + platform() + "): "
              + e.getMessage() + "; -D" + DIR_PROPERTY + "=FOLDER names another folder", e);
    } finally {
      if (file != null) {
        // What was loaded stays loaded.
        Files.deleteIfExists(file);
      }
    }
  }

  private static void load(Path file) throws IOException {
    try {
      System.load(file.toAbsolutePath().toString());
    } catch (UnsatisfiedLinkError e) {
      throw new IOException(
          file + " cannot be loaded on " + platform() + ": " + e.getMessage()
              + " (it needs glibc 2.17 or newer, and a folder that is not mounted noexec)", e);
    }
  }

  private static void check() throws IOException {
    String jar = Library.class.getPackage().getImplementationVersion();
    String library = Native.version();
    if (jar != null && !jar.equals(library)) {
      throw new IOException("storescope's jar is of version " + jar + ", its native library of " + library);
    }
  }

  /** The system and processor, as the jar's folders name them: {@code linux-x86_64}. */
  private static String platform() {
    String system = System.getProperty("os.name", "?").toLowerCase(Locale.ROOT);
    String processor = System.getProperty("os.arch", "?").toLowerCase(Locale.ROOT);
    if (processor.equals("amd64")) {
      processor = "x86_64";
    }
    return (system.startsWith("linux") ? "linux" : system.replace(' ', '_')) + "-" + processor;
  }
}
