// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.Arrays;

/**
 * What is at a name: a file, a directory or nothing, told by one LIST of the names that begin with it.
 *
 * <p>A store lets a name be both: an object {@code d} beside objects {@code d/x}. Such a name is a directory, unless its
 * object has bytes and the store is asked for the object first ({@link Store#asksForObjectFirst}): then it is a file. Whatever
 * it is, a removal or a rename takes both.
 */
final class PathProbe {

  /**
   * Entries asked for. Names such as {@code a-1} and {@code a.txt} lie between {@code a} and {@code a/}; where they fill the
   * page, a second LIST tells of the directory.
   */
  private static final int MOST = 10;

  private final Entries page;
  private final boolean object;
  private final boolean file;
  /** A page with what lies below, from {@code from} to before {@code to}. */
  private final Entries below;

  private final int from;
  private final int to;
  private final boolean whole;
  private final boolean marker;
  private final boolean directory;

  private PathProbe(Store store, String key, Entries page, Entries below, int from, int to, boolean whole) {
    this.page = page;
    this.below = below;
    this.from = from;
    this.to = to;
    this.whole = whole;
    object = isObject(page, key);
    marker = to > from && below.keys[from].equals(ObjectNames.marker(key));
    boolean there = store.settings().requireDirectoryMarker() ? marker : to > from;
    file = object && (!there || (page.sizes[0] > 0 && store.asksForObjectFirst(key)));
    directory = there && !file;
  }

  /** Looks, by one request, seldom two. */
  static PathProbe at(Store store, String key) throws IOException {
    Entries page = store.first(key, MOST);
    int count = page.count();
    String prefix = ObjectNames.marker(key);
    boolean whole = count < MOST;
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
    if (passed) {
      return new PathProbe(store, key, page, page, from, to, whole || to < count);
    }
    Entries below = store.first(prefix, 2);
    return new PathProbe(store, key, page, below, 0, below.count(), below.count() < 2);
  }

  private static boolean isObject(Entries page, String key) {
    return page.count() > 0 && page.keys[0].equals(key);
  }

  /** Whether a name that begins as the prefix does, but for its last character, lies behind all that the prefix begins. */
  private static boolean isBehind(String key, String prefix) {
    return key.length() >= prefix.length() && key.charAt(prefix.length() - 1) > '/';
  }

  /** Whether the name is a file; it is no directory, then. */
  boolean isFile() {
    return file;
  }

  boolean isDirectory() {
    return directory;
  }

  boolean isNothing() {
    return !isFile() && !directory;
  }

  /** Whether there is an object of this name, file or not. */
  boolean hasObject() {
    return object;
  }

  /** Whether anything lies below the name, its marker included, directory or not. */
  boolean hasBelow() {
    return to > from;
  }

  /** Whether what lies below the name is its marker alone, or nothing. */
  boolean isEmptyBelow() {
    return to - from == (marker ? 1 : 0);
  }

  boolean hasMarker() {
    return marker;
  }

  /** The marker's bytes: 0, but of one that is a note. */
  long markerSize() {
    return marker ? below.sizes[from] : 0;
  }

  String markerEtag() {
    return below.etags[from];
  }

  /** Whether a directory holds nothing but its marker. */
  boolean isEmptyDirectory() {
    return directory && isEmptyBelow();
  }

  /** All objects of the directory, its marker among them, if they were so few that they were seen; else null. */
  String[] wholeDirectory() {
    return whole ? Arrays.copyOfRange(below.keys, from, to) : null;
  }

  /** The object of this name: its first entry. */
  Entries object() {
    return page;
  }
}
