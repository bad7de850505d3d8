// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.function.Predicate;
import org.apache.hadoop.fs.ContentSummary;

/** Counts what lies below a directory, from a flat listing in order of the names. */
final class ContentCount {

  private final int from;
  private final Predicate<String> objectFirst;
  /** The names of one directory follow one another, so that a directory is new where its name differs from the last's. */
  private String last;
  private long files;
  private long directories = 1;
  private long bytes;

  /**
   * @param marker of the directory, which all names begin with
   * @param objectFirst {@link Store#asksForObjectFirst}
   */
  ContentCount(String marker, Predicate<String> objectFirst) {
    this.objectFirst = objectFirst;
    from = marker.length();
    last = marker;
  }

  void add(Entries page) {
    for (int at = 0; at < page.count(); at++) {
      if (!DuplicateNames.hides(objectFirst, page, at)) {
        add(page.keys[at], page.sizes[at]);
      }
    }
  }

  private void add(String key, long size) {
    int at = from;
    while (at < key.length() && at < last.length() && key.charAt(at) == last.charAt(at)) {
      at++;
    }
    for (; at < key.length(); at++) {
      if (key.charAt(at) == '/') {
        directories++;
      }
    }
    last = key;
    if (!key.endsWith("/")) {
      files++;
      bytes += size;
    }
  }

  ContentSummary summary() {
    return new ContentSummary.Builder()
        .length(bytes)
        .fileCount(files)
        .directoryCount(directories)
        .spaceConsumed(bytes)
        .build();
  }
}
