// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.Path;

/** A path of a FileSystem, and the name of the object that it means. */
final class ObjectPath {

  /** As the caller gave it: what messages tell. */
  final Path given;

  final Path qualified;
  /** The object's name; empty for the bucket. */
  final String key;

  /** How a FileSystem reads its paths. */
  interface Resolver {

    /**
     * Reads one.
     *
     * @throws org.apache.hadoop.fs.InvalidPathException if the path leads out of the bucket, by {@code ..}
     */
    ObjectPath of(Path path);
  }

  ObjectPath(Path given, Path qualified, String key) {
    this.given = given;
    this.qualified = qualified;
    this.key = key;
  }

  /** As the caller gave it. */
  @Override
  public String toString() {
    return given.toString();
  }
}
