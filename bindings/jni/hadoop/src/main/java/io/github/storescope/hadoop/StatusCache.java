// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What objects were when they were last asked for, where the configuration wants that kept. What is written, renamed or
 * deleted here is forgotten; what others do is not seen before an entry's time is over.
 */
final class StatusCache {

  private final long most;
  private final long millis;
  private final Map<String, Cached> kept = new LinkedHashMap<>(16, 0.75f, true);
  /** Grows with whatever is forgotten: an answer that was asked for before is not kept. */
  private long changes;

  /**
   * @param most entries at a time; 0 keeps none
   */
  StatusCache(long most, long millis) {
    this.most = most;
    this.millis = millis;
  }

  private static final class Cached {
    final Entries entry;
    final long until;

    Cached(Entries entry, long until) {
      this.entry = entry;
      this.until = until;
    }
  }

  /** Null where nothing is kept. */
  synchronized Entries get(String key) {
    Cached found = kept.get(key);
    if (found != null && found.until - now() <= 0) {
      kept.remove(key);
      return null;
    }
    return found == null ? null : found.entry;
  }

  /** To be asked before the store is, and given to {@link #put}. */
  synchronized long changes() {
    return changes;
  }

  synchronized void put(String key, Entries entry, long changesBefore) {
    if (most == 0 || entry == null || changes != changesBefore) {
      return;
    }
    kept.put(key, new Cached(entry, now() + millis));
    if (kept.size() > most) {
      Iterator<String> eldest = kept.keySet().iterator();
      eldest.next();
      eldest.remove();
    }
  }

  synchronized void forget(String key) {
    changes++;
    kept.remove(key);
  }

  synchronized void forgetTree(String prefix) {
    changes++;
    kept.keySet().removeIf(key -> key.startsWith(prefix));
  }

  private static long now() {
    return System.nanoTime() / 1_000_000;
  }
}
