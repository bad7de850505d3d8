// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.util.Collection;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.util.ReflectionUtils;

/**
 * The configuration of FileSystems that are timed.
 *
 * <p>What a cast wants: {@link FileSystem#getLocal} has {@link TimedLocalFileSystem}. S3A's own committers, and code that
 * casts to {@code DistributedFileSystem} or {@code S3AFileSystem}, want the FileSystem itself and fail with one that is timed:
 * {@link #install} refuses the committers' settings. Hadoop's cache of FileSystems and {@code FileContext} are left as they
 * are: what was opened before is not timed, and neither is what a FileContext opens.
 */
public final class TimedFileSystems {

  private static final String S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem";
  private static final String COMMITTER = "fs.s3a.committer.name";
  private static final Pattern COMMITTER_OF_A_BUCKET = Pattern.compile("fs\\.s3a\\.bucket\\..+\\.committer\\.name");
  private static final String COMMITTERS = "mapreduce.outputcommitter.factory.scheme.";
  private static final String S3A_COMMITTER_PACKAGE = "org.apache.hadoop.fs.s3a.commit.";
  private static final String S3A_COMMITTERS = S3A_COMMITTER_PACKAGE + "S3ACommitterFactory";
  private static final String FILE_COMMITTERS = "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory";
  private static final Pattern SCHEME = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]*");

  private TimedFileSystems() {}

  /**
   * Times the FileSystems of schemes from now on: those that this configuration, or a copy of it, makes. To install it twice
   * changes nothing.
   *
   * @param schemes such as {@code s3a} and {@code file}
   * @throws IllegalArgumentException if one cannot be timed; the message says why, and the configuration is as it was
   */
  public static void install(Configuration conf, Collection<String> schemes) {
    for (String scheme : schemes) {
      check(scheme, conf);
    }
    for (String scheme : schemes) {
      install(conf, scheme);
    }
  }

  private static void install(Configuration conf, String scheme) {
    String before = conf.getTrimmed(implementation(scheme), "");
    if (isTimed(before)) {
      return;
    }
    if (!before.isEmpty()) {
      conf.set(timed(scheme), before);
    }
    conf.set(implementation(scheme), timing(scheme).getName());
    if (isS3a(before, known(scheme, conf)) && committers(scheme, conf).equals(S3A_COMMITTERS)) {
      // What S3A's own factory makes of the committer `file`, without the cast.
      conf.set(COMMITTERS + scheme, FILE_COMMITTERS);
    }
    if (scheme.equals("file")) {
      warnIfOpen(conf);
    }
  }

  private static void check(String scheme, Configuration conf) {
    if (!SCHEME.matcher(scheme).matches()) {
      throw new IllegalArgumentException("\"" + scheme + "\" is no scheme to be timed: expected one such as s3a or file");
    }
    String before = conf.getTrimmed(implementation(scheme), "");
    if (isTimed(before)) {
      return;
    }
    if (scheme.equals("file")) {
      if (!before.isEmpty() && !before.equals(LocalFileSystem.class.getName())) {
        throw new IllegalArgumentException(
            "file: cannot be timed: fs.file.impl is " + before + ", and Hadoop casts what stands for local files to "
                + LocalFileSystem.class.getName() + "; leave file out");
      }
      return;
    }
    Class<?> found = known(scheme, conf);
    if (found != null && StoreFileSystem.class.isAssignableFrom(found)) {
      throw new IllegalArgumentException(
          scheme + ": is a FileSystem of storescope (" + found.getName() + "), which records every request by itself; leave "
              + scheme + " out");
    }
    if (isS3a(before, found)) {
      checkCommitters(scheme, conf);
    }
  }

  private static void checkCommitters(String scheme, Configuration conf) {
    String factory = committers(scheme, conf);
    if (!factory.startsWith(S3A_COMMITTER_PACKAGE)) {
      return;
    }
    if (!factory.equals(S3A_COMMITTERS)) {
      throw refusal(scheme, COMMITTERS + scheme, factory, FILE_COMMITTERS);
    }
    for (Map.Entry<String, String> entry : conf) {
      String key = entry.getKey();
      String committer = entry.getValue().trim();
      if ((key.equals(COMMITTER) || COMMITTER_OF_A_BUCKET.matcher(key).matches())
          && !committer.isEmpty()
          && !committer.equals("file")) {
        throw refusal(scheme, key, committer, "file");
      }
    }
  }

  /** The factory of a scheme's committers; mapred-default.xml, which may not be loaded yet, names S3A's for {@code s3a}. */
  private static String committers(String scheme, Configuration conf) {
    return conf.getTrimmed(COMMITTERS + scheme, scheme.equals("s3a") ? S3A_COMMITTERS : "");
  }

  private static IllegalArgumentException refusal(String scheme, String key, String committer, String works) {
    return new IllegalArgumentException(
        scheme + ": cannot be timed with " + key + "=" + committer + ": S3A's committers work on S3AFileSystem itself, and "
            + "every job that writes would fail; leave " + scheme + " out, or set " + key + " to " + works);
  }

  /** A FileSystem of local files that is open already stays what it is. */
  private static void warnIfOpen(Configuration conf) {
    try {
      if (!(FileSystem.getLocal(conf) instanceof TimedLocalFileSystem)) {
        Warnings.once(
            "local files are not timed in this JVM: a FileSystem of file: was open before, as spark-submit opens one for --jars and "
                + "--files; give jars by --driver-class-path and spark.executor.extraClassPath");
      }
    } catch (IOException e) {
      Warnings.once("local files are not timed: " + e);
    }
  }

  /** A FileSystem to be timed, not initialized. */
  static FileSystem make(URI name, Configuration conf) throws IOException {
    String scheme = name.getScheme();
    if (scheme.equals("file")) {
      throw new IOException(
          "file: is timed by " + TimedLocalFileSystem.class.getName() + ", since Hadoop casts what stands for local files to "
              + LocalFileSystem.class.getName() + "; set fs.file.impl to it");
    }
    return ReflectionUtils.newInstance(wrapped(scheme, conf), conf);
  }

  /** The class to be timed. */
  private static Class<? extends FileSystem> wrapped(String scheme, Configuration conf) throws IOException {
    String key = timed(scheme);
    String name = conf.getTrimmed(key, "");
    if (name.isEmpty()) {
      return FileSystem.getFileSystemClass(scheme, withoutOurs(conf));
    }
    Class<?> found;
    try {
      found = conf.getClassByName(name);
    } catch (ClassNotFoundException e) {
      throw new IOException(
          key + " names the class " + name + ", which is not on the class path; add the jar that holds it, or correct the key", e);
    }
    if (!FileSystem.class.isAssignableFrom(found) || isTimed(name)) {
      throw new IOException(key + " names " + name + ", which is no FileSystem that can be timed; name what "
          + implementation(scheme) + " would name without timing");
    }
    return found.asSubclass(FileSystem.class);
  }

  /** The class of a scheme where it can be told; what hinders is told when it is used. */
  private static Class<?> known(String scheme, Configuration conf) {
    try {
      String before = conf.getTrimmed(implementation(scheme), "");
      return isTimed(before) ? wrapped(scheme, conf) : FileSystem.getFileSystemClass(scheme, conf);
    } catch (IOException | RuntimeException | LinkageError e) {
      return null;
    }
  }

  /** Hadoop's own look-up of schemes: its defaults, and what jars register. */
  private static Configuration withoutOurs(Configuration conf) {
    Configuration defaults = new Configuration(false);
    defaults.setClassLoader(conf.getClassLoader());
    defaults.addResource("core-default.xml");
    return defaults;
  }

  private static Class<? extends FileSystem> timing(String scheme) {
    if (scheme.equals("file")) {
      return TimedLocalFileSystem.class;
    }
    return BulkDeletingFileSystem.POSSIBLE ? TimedBulkDeletingFileSystem.class : TimedFileSystem.class;
  }

  private static boolean isTimed(String name) {
    return name.equals(TimedFileSystem.class.getName())
        || name.equals(TimedBulkDeletingFileSystem.class.getName())
        || name.equals(TimedLocalFileSystem.class.getName());
  }

  /** By the name in the configuration, also where its jar is not here, and by the class. */
  private static boolean isS3a(String name, Class<?> found) {
    if (name.equals(S3A)) {
      return true;
    }
    for (Class<?> one = found; one != null; one = one.getSuperclass()) {
      if (one.getName().equals(S3A)) {
        return true;
      }
    }
    return false;
  }

  private static String implementation(String scheme) {
    return "fs." + scheme + ".impl";
  }

  private static String timed(String scheme) {
    return "fs.storescope-timed." + scheme + ".impl";
  }
}
