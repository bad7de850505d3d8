// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.function.Predicate;

/**
 * In a page of a listing, the names that are an object and a directory at once: of the two entries one is left out, so that a
 * listing tells of a name what {@link PathProbe} does. Where the two are on different pages, both are told.
 */
final class DuplicateNames {

  private DuplicateNames() {}

  /**
   * Whether an entry is left out.
   *
   * @param objectFirst {@link Store#asksForObjectFirst}
   */
  static boolean hides(Predicate<String> objectFirst, Entries page, int at) {
    String key = page.keys[at];
    if (page.isPrefix(at)) {
      String object = key.substring(0, key.length() - 1);
      return objectFirst.test(object) && sizeBefore(page, at, object) > 0;
    }
    if (key.endsWith("/") || (page.sizes[at] > 0 && objectFirst.test(key))) {
      return false;
    }
    return isFollowedBelow(page, at, key);
  }

  /** Whether what lies below an object's name follows it. Between the two lie names such as {@code d-1}. */
  private static boolean isFollowedBelow(Entries page, int at, String key) {
    for (int next = at + 1; next < page.count() && page.keys[next].startsWith(key); next++) {
      int separator = page.keys[next].charAt(key.length());
      if (separator >= '/') {
        return separator == '/';
      }
    }
    return false;
  }

  /** The bytes of an object whose name comes before its prefix; -1 if there is none. */
  private static long sizeBefore(Entries page, int at, String object) {
    for (int before = at - 1; before >= 0 && page.keys[before].startsWith(object); before--) {
      if (page.keys[before].equals(object)) {
        return page.sizes[before];
      }
    }
    return -1;
  }
}
