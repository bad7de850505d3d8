// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;

class StatusCacheTest {

  private static Entries entry(String key) {
    return new Entries(new String[] {key}, new long[] {1}, new long[] {0}, new String[] {"e"}, new long[] {-1});
  }

  @Test
  void whatIsPutIsThere() {
    StatusCache cache = new StatusCache(2, 3_600_000);
    Entries a = entry("a");
    cache.put("a", a, cache.changes());
    assertSame(a, cache.get("a"));
    assertNull(cache.get("b"));
  }

  @Test
  void theOneNotUsedForLongestGoes() {
    StatusCache cache = new StatusCache(2, 3_600_000);
    Entries a = entry("a");
    cache.put("a", a, cache.changes());
    cache.put("b", entry("b"), cache.changes());
    cache.get("a");
    cache.put("c", entry("c"), cache.changes());
    assertSame(a, cache.get("a"));
    assertNull(cache.get("b"));
  }

  @Test
  void anAnswerFromBeforeAChangeIsNotKept() {
    StatusCache cache = new StatusCache(2, 3_600_000);
    long before = cache.changes();
    cache.forget("a");
    cache.put("a", entry("a"), before);
    assertNull(cache.get("a"));
  }

  @Test
  void treesAreForgotten() {
    StatusCache cache = new StatusCache(10, 3_600_000);
    Entries other = entry("ab");
    cache.put("a/b", entry("a/b"), cache.changes());
    cache.put("ab", other, cache.changes());
    cache.forgetTree("a/");
    assertNull(cache.get("a/b"));
    assertSame(other, cache.get("ab"));
  }

  @Test
  void timeIsOver() {
    StatusCache cache = new StatusCache(2, 0);
    cache.put("a", entry("a"), cache.changes());
    assertNull(cache.get("a"));
  }

  @Test
  void withoutEntriesNothingIsKept() {
    StatusCache cache = new StatusCache(0, 3_600_000);
    cache.put("a", entry("a"), cache.changes());
    assertNull(cache.get("a"));
  }
}
