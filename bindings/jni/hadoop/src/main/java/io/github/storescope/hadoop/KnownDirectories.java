// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Directories that this FileSystem has made or seen, the last few thousand, so that a write of many files asks for each
 * directory once.
 *
 * <p>Another process may have removed one since. So this decides only where that does no harm: that no ancestor of a new
 * file is a file, that a rename's target has a parent, that a marker need not be written again. It never answers whether a
 * path exists.
 */
final class KnownDirectories {

  private static final int MOST = 4096;

  /** True for those that have a marker. */
  private final Map<String, Boolean> marked =
      new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
          return size() > MOST;
        }
      };

  /** A directory was seen. Its ancestors are directories, then. */
  synchronized void add(String directory, boolean marker) {
    marked.merge(directory, marker, Boolean::logicalOr);
    for (String above = Keys.parent(directory); !above.isEmpty(); above = Keys.parent(above)) {
      if (marked.putIfAbsent(above, false) != null) {
        return;
      }
    }
  }

  /** The bucket always is one. */
  synchronized boolean contains(String directory) {
    return directory.isEmpty() || marked.get(directory) != null;
  }

  /** Whether it stays when all in it is gone. */
  synchronized boolean hasMarker(String directory) {
    return directory.isEmpty() || Boolean.TRUE.equals(marked.get(directory));
  }

  /** A directory was removed or renamed, with all below it. */
  synchronized void remove(String directory) {
    marked.keySet().removeIf(key -> key.equals(directory) || Keys.isBelow(key, directory));
  }
}
