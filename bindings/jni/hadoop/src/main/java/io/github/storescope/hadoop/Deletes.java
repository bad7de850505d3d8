// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;

/** Deletes files and directories. */
final class Deletes {

  private final Store store;
  private final ObjectNames keys;
  private final Directories directories;

  Deletes(Store store, ObjectNames keys, Directories directories) {
    this.store = store;
    this.keys = keys;
    this.directories = directories;
  }

  /**
   * Deletes what is at a path.
   *
   * @return false if nothing is there
   */
  boolean delete(ObjectPath path, boolean recursive) throws IOException {
    String key = path.key;
    if (key.isEmpty()) {
      return deleteRoot(recursive);
    }
    PathProbe there = PathProbe.at(store, key);
    if (!there.hasObject() && !there.isDirectory()) {
      return false;
    }
    if (!recursive && !there.isEmptyBelow()) {
      throw new PathIsNotEmptyDirectoryException(path.toString());
    }
    if (there.hasBelow()) {
      deleteDirectory(key, there);
    }
    if (there.hasObject()) {
      store.delete(key);
    }
    directories.keep(ObjectNames.parent(key));
    return true;
  }

  /** The bucket stays, empty; an empty one is deleted as often as one likes. */
  private boolean deleteRoot(boolean recursive) throws IOException {
    if (recursive) {
      directories.known().remove("");
      store.deleteTree("");
    } else if (store.first("", 1).count() > 0) {
      throw new PathIsNotEmptyDirectoryException(keys + "/");
    }
    return true;
  }

  private void deleteDirectory(String key, PathProbe there) throws IOException {
    directories.known().remove(key);
    String[] whole = there.wholeDirectory();
    if (whole == null) {
      store.deleteTree(ObjectNames.marker(key));
      return;
    }
    String[] outcomes = store.deleteMany(whole);
    for (int at = 0; at < whole.length; at++) {
      if (outcomes[at] != null) {
        throw new PathIOException(keys.path(whole[at]).toString(), "not deleted: " + outcomes[at]);
      }
    }
  }
}
