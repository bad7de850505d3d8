// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * Directories that this FileSystem has made or seen, the last few thousand, so that a write of many files asks for each
 * directory once.
 *
 * <p>Another process may have removed one since. So this decides only where that does no harm: that no ancestor of a new
 * file is a file, that a committer's rename has a directory to go to, that a marker need not be written again; and each entry
 * is forgotten after {@link #MILLIS}. It never answers whether a path exists. Where a directory is there by its marker alone,
 * nothing is trusted: a file below a directory without one would not be seen.
 */
final class KnownDirectories {

  /** How long a directory that was seen is taken to be there. */
  static final long MILLIS = 60_000;

  private static final int MOST = 4096;

  private final boolean trusted;
  private final LongSupplier clock;
  private final Map<String, Seen> seen =
      new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Seen> eldest) {
          return size() > MOST;
        }
      };

  /** When a directory was seen, and when its marker was: milliseconds of the clock; -1 for never. */
  private static final class Seen {
    long at;
    long marker = -1;
  }

  /**
   * @param markersRequired whether a directory is there by its marker alone
   */
  KnownDirectories(boolean markersRequired) {
    this(markersRequired, () -> System.nanoTime() / 1_000_000);
  }

  KnownDirectories(boolean markersRequired, LongSupplier clock) {
    trusted = !markersRequired;
    this.clock = clock;
  }

  /** A directory was seen. Its ancestors are directories, then. */
  synchronized void add(String directory, boolean marker) {
    if (directory.isEmpty()) {
      return;
    }
    long now = clock.getAsLong();
    Seen entry = seen.computeIfAbsent(directory, name -> new Seen());
    entry.at = now;
    if (marker) {
      entry.marker = now;
    }
    for (String above = ObjectNames.parent(directory); !above.isEmpty(); above = ObjectNames.parent(above)) {
      Seen known = seen.get(above);
      if (known != null && now - known.at < MILLIS) {
        return;
      }
      seen.computeIfAbsent(above, name -> new Seen()).at = now;
    }
  }

  /**
   * A file was written. Its directory, which was not looked at again, is known no longer than before.
   *
   * @param checked whether it was looked at before, and no ancestor was a file
   */
  synchronized void wrote(String file, boolean checked) {
    seen.remove(file);
    String directory = ObjectNames.parent(file);
    if (checked && !isFresh(seen.get(directory))) {
      add(directory, false);
    }
  }

  /** The bucket always is one. */
  synchronized boolean contains(String directory) {
    return directory.isEmpty() || (trusted && isFresh(seen.get(directory)));
  }

  private boolean isFresh(Seen entry) {
    return entry != null && clock.getAsLong() - entry.at < MILLIS;
  }

  /** Whether it stays when all in it is gone. */
  synchronized boolean hasMarker(String directory) {
    Seen entry = seen.get(directory);
    return directory.isEmpty()
        || (trusted && entry != null && entry.marker >= 0 && clock.getAsLong() - entry.marker < MILLIS);
  }

  /** A directory was removed or renamed, with all below it. */
  synchronized void remove(String directory) {
    seen.keySet().removeIf(key -> key.equals(directory) || ObjectNames.isBelow(key, directory));
  }
}
