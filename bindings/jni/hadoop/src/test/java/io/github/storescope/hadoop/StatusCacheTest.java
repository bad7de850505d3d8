// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class StatusCacheTest {

  private static final Entries FILE = new Entries(new String[] {"k"}, new long[1], new long[1], new String[1], new long[1]);

  private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 1);
  private final StatusCache cache = new StatusCache(2, 1000, clock::get);

  @Test
  void aStatusStaysForItsTimeAndTheOneUnusedLongestGoes() {
    cache.keep("a", FILE, 0);
    cache.keep("b", FILE, 0);
    assertSame(FILE, cache.get("a"));
    cache.keep("c", FILE, 0);
    assertNull(cache.get("b"));
    clock.addAndGet(999_999_999);
    assertSame(FILE, cache.get("a"));
    clock.incrementAndGet();
    assertNull(cache.get("a"));
  }

  @Test
  void whatIsChangedIsForgottenAndAnAnswerFromBeforeThatIsNotKept() {
    cache.keep("d/a", FILE, cache.changes());
    cache.keep("e", FILE, cache.changes());
    long asked = cache.changes();
    cache.forgetBelow("d/");
    assertNull(cache.get("d/a"));
    assertSame(FILE, cache.get("e"));
    cache.keep("d/a", FILE, asked);
    assertNull(cache.get("d/a"));
    cache.forget("e");
    assertNull(cache.get("e"));
  }

  @Test
  void offItKeepsNothing() {
    StatusCache off = new StatusCache(0, Long.MAX_VALUE);
    off.keep("a", FILE, 0);
    assertNull(off.get("a"));
  }
}
