// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.apache.hadoop.fs.ContentSummary;
import org.junit.jupiter.api.Test;

class ContentCountTest {

  private static ContentSummary of(String directory, String... keys) {
    long[] sizes = new long[keys.length];
    Arrays.setAll(sizes, at -> keys[at].endsWith("/") ? 0 : 10);
    ContentCount count = new ContentCount(directory, ObjectNames::isFileName);
    count.add(new Entries(keys, sizes, sizes, keys, sizes));
    return count.summary();
  }

  private static void check(ContentSummary summary, long files, long directories) {
    assertEquals(files, summary.getFileCount(), summary.toString());
    assertEquals(directories, summary.getDirectoryCount(), summary.toString());
    assertEquals(files * 10, summary.getLength());
    assertEquals(files * 10, summary.getSpaceConsumed());
  }

  @Test
  void directoriesCountWithAndWithoutMarkers() {
    check(of("d/", "d/"), 0, 1);
    check(of("d/", "d/", "d/a", "d/b"), 2, 1);
    check(of("d/", "d/a/b/c/file"), 1, 4);
    check(of("d/", "d/", "d/a/", "d/a/b/", "d/a/b/c"), 1, 3);
    check(of("d/", "d/a-1/x", "d/a/x", "d/a/y/z", "d/a0"), 4, 4);
    check(of("", "a", "b/c"), 2, 2);
  }

  @Test
  void aDirectoryGoesOnOverPages() {
    ContentCount count = new ContentCount("d/", ObjectNames::isFileName);
    for (String key : new String[] {"d/a/1", "d/a/2", "d/b/1"}) {
      count.add(new Entries(new String[] {key}, new long[] {10}, new long[1], new String[1], new long[1]));
    }
    check(count.summary(), 3, 3);
  }
}
