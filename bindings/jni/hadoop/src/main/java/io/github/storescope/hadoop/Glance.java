// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.Arrays;

/** What is at a name: a file, a directory, both or nothing, told by one LIST of the names that begin with it. */
final class Glance {

  /**
   * Entries asked for. Names such as {@code a-1} and {@code a.txt} lie between {@code a} and {@code a/}; where they fill the
   * page, a second LIST tells of the directory.
   */
  private static final int MOST = 10;

  private final Entries page;
  private final boolean file;
  private final String[] below;
  private final boolean all;
  private final boolean marker;
  private final boolean directory;

  private Glance(Entries page, boolean file, String[] below, boolean all, String prefix, boolean markerRequired) {
    this.page = page;
    this.file = file;
    this.below = below;
    this.all = all;
    marker = below.length > 0 && below[0].equals(prefix);
    directory = markerRequired ? marker : below.length > 0;
  }

  /** Looks, by one request, seldom two. */
  static Glance at(Store store, String key) throws IOException {
    Entries page = store.first(key, MOST);
    int count = page.count();
    String prefix = Keys.marker(key);
    boolean whole = count < MOST;
    boolean file = count > 0 && page.keys[0].equals(key);
    // Two entries of the directory tell whether it is empty.
    int from = 0;
    while (from < count && !page.keys[from].startsWith(prefix)) {
      from++;
    }
    int to = from;
    while (to < count && page.keys[to].startsWith(prefix)) {
      to++;
    }
    boolean passed = whole || to < count || to - from > 1 || isBehind(page.keys[count - 1], prefix);
    String[] below = Arrays.copyOfRange(page.keys, from, to);
    if (!passed) {
      Entries directory = store.first(prefix, 2);
      below = directory.keys;
      whole = directory.count() < 2;
    }
    return new Glance(
        page, file, below, whole || to < count, prefix, store.settings().requireDirectoryMarker());
  }

  /** Whether a name that begins as the prefix does, but for its last character, lies behind all that the prefix begins. */
  private static boolean isBehind(String key, String prefix) {
    return key.length() >= prefix.length() && key.charAt(prefix.length() - 1) > '/';
  }

  boolean isFile() {
    return file;
  }

  boolean isDirectory() {
    return directory;
  }

  boolean isNothing() {
    return !isFile() && !directory;
  }

  boolean hasMarker() {
    return marker;
  }

  /** Whether a directory holds nothing but its marker. */
  boolean isEmptyDirectory() {
    return directory && below.length == (marker ? 1 : 0);
  }

  /** All objects of the directory, its marker among them, if they were so few that they were seen; else null. */
  String[] wholeDirectory() {
    return all ? below : null;
  }

  /** The file: its first entry. */
  Entries file() {
    return page;
  }
}
