// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The directories around a file: those that are missing, and that one stays when the last file in it goes. */
final class Directories {

  private static final Logger LOG = LoggerFactory.getLogger(Directories.class);

  private final Store store;
  private final ObjectNames keys;
  private final KnownDirectories known;

  Directories(Store store, ObjectNames keys, KnownDirectories known) {
    this.store = store;
    this.keys = keys;
    this.known = known;
  }

  /** Those that were seen lately. */
  KnownDirectories known() {
    return known;
  }

  /**
   * The directory and its ancestors that are not there, the uppermost first. One request for each that is not known.
   *
   * @throws ParentNotDirectoryException if one is a file
   */
  Deque<String> missing(String directory) throws IOException {
    Deque<String> missing = new ArrayDeque<>();
    for (String at = directory; !known.contains(at); at = ObjectNames.parent(at)) {
      PathProbe there = PathProbe.at(store, at);
      if (!there.isNothing()) {
        check(there, at);
        known.add(at, there.hasMarker());
        break;
      }
      missing.push(at);
    }
    return missing;
  }

  /**
   * That what is at a name is a directory.
   *
   * @throws ParentNotDirectoryException if it is not
   */
  void check(PathProbe there, String key) throws ParentNotDirectoryException {
    if (!there.isDirectory()) {
      throw new ParentNotDirectoryException(keys.path(key) + " is a file");
    }
  }

  /** Writes the markers of directories, in this order. */
  void mark(Iterable<String> directories) throws IOException {
    for (String directory : directories) {
      store.mark(directory);
      known.add(directory, true);
    }
  }

  /**
   * Sees to it that a directory that something was taken from stays. What was taken is gone, so that this does not fail: a
   * user who may not write here loses an empty directory.
   */
  void keep(String directory) {
    if (known.hasMarker(directory) || ObjectNames.isScratch(directory)) {
      return;
    }
    try {
      String marker = ObjectNames.marker(directory);
      Entries first = store.first(marker, 1);
      if (first.count() == 0) {
        store.mark(directory);
        known.add(directory, true);
      } else {
        known.add(directory, first.keys[0].equals(marker));
      }
    } catch (IOException e) {
      LOG.warn("{} may be gone with the last that was in it: no marker was written", keys.path(directory), e);
    }
  }
}
