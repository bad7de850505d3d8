// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.net.URI;
import org.apache.hadoop.fs.Path;

/**
 * Paths as names of objects, and back. A name is the path without its leading {@code /}, literally; the bucket itself is the
 * empty name. The name of a directory's marker ends with {@code /}.
 */
final class ObjectNames {

  private static final String SCRATCH = "_temporary/";

  private final String scheme;
  private final String authority;

  ObjectNames(URI root) {
    scheme = root.getScheme();
    authority = root.getAuthority();
  }

  /**
   * @param path absolute, of this bucket
   * @throws IllegalArgumentException if the path's bucket differs from this one in case alone: Hadoop's cache of FileSystems
   *     does not tell them apart
   */
  String of(Path path) {
    URI uri = path.toUri();
    if (uri.getAuthority() != null && !authority.equals(uri.getAuthority())) {
      throw new IllegalArgumentException(
          "Wrong FS: " + path + ", expected: " + scheme + "://" + authority + "; names of buckets know upper from lower case");
    }
    // A URI that ends with its authority has an empty path, and means the bucket as "/" does.
    return uri.getPath().isEmpty() ? "" : uri.getPath().substring(1);
  }

  /** The bucket's URI. */
  @Override
  public String toString() {
    return scheme + "://" + authority;
  }

  /** The path of an object, or of a prefix or marker by its name with or without the last {@code /}. */
  Path path(String key) {
    return new Path(scheme, authority, "/" + key);
  }

  /** Whether a path can name the object: no empty component, no {@code .} and {@code ..}, which {@link Path} resolves. */
  static boolean hasPath(String key) {
    int end = key.endsWith("/") ? key.length() - 1 : key.length();
    int start = 0;
    while (start <= end) {
      int slash = key.indexOf('/', start);
      int stop = slash < 0 || slash > end ? end : slash;
      int length = stop - start;
      if (length == 0
          || (key.charAt(start) == '.' && (length == 1 || (length == 2 && key.charAt(start + 1) == '.')))) {
        return false;
      }
      start = stop + 1;
    }
    return true;
  }

  /** The directory that a name lies in: empty for the bucket. */
  static String parent(String key) {
    int slash = key.lastIndexOf('/');
    return slash < 0 ? "" : key.substring(0, slash);
  }

  /** The last component. */
  static String name(String key) {
    return key.substring(key.lastIndexOf('/') + 1);
  }

  /** The name of a directory's marker, which is the prefix of all below it; empty for the bucket. */
  static String marker(String directory) {
    return directory.isEmpty() ? "" : directory + "/";
  }

  /** The name of what lies in a directory. */
  static String child(String directory, String name) {
    return marker(directory) + name;
  }

  /** Whether a name lies below a directory, at any depth. */
  static boolean isBelow(String key, String directory) {
    return key.length() > directory.length() && key.startsWith(marker(directory));
  }

  /** Whether a name looks like a file's: it has a dot. */
  static boolean isFileName(String key) {
    return key.indexOf('.', key.lastIndexOf('/') + 1) >= 0;
  }

  /**
   * Whether committers keep what has this name, and move and delete it by themselves: no directory there need outlive its
   * files.
   */
  static boolean isScratch(String key) {
    return marker(key).contains(SCRATCH);
  }

  /** Whether a name says that its object is read from its end: parquet and ORC. */
  static boolean isColumnar(String key) {
    return key.endsWith(".parquet") || key.endsWith(".parq") || key.endsWith(".orc");
  }
}
