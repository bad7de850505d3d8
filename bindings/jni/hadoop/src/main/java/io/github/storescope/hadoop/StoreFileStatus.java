// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * A file, with its ETag, or a directory. A store knows no owners and permissions: the owner is the user who asks, and
 * everything is allowed here; the store has the last word.
 */
public final class StoreFileStatus extends FileStatus implements EtagSource {

  private static final long serialVersionUID = 1L;

  /** Null of a directory, and where the store told none. */
  private final String etag;

  private StoreFileStatus(
      long size, boolean directory, long blockSize, long modified, String user, Path path, String etag) {
    super(size, directory, 1, blockSize, modified, 0, null, user, user, path);
    this.etag = etag;
  }

  /**
   * @param size in bytes
   * @param modified in milliseconds since 1970
   */
  static StoreFileStatus file(long size, long modified, String etag, long blockSize, String user, Path path) {
    return new StoreFileStatus(size, false, blockSize, modified, user, path, etag);
  }

  static StoreFileStatus directory(String user, Path path) {
    return new StoreFileStatus(0, true, 0, 0, user, path, null);
  }

  @Override
  public String getEtag() {
    return etag;
  }

  // Statuses are equal by their paths.

  @Override
  public boolean equals(Object other) {
    return super.equals(other);
  }

  @Override
  public int hashCode() {
    return super.hashCode();
  }
}
