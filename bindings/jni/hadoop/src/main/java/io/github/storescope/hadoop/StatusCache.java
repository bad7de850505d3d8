// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * What files are, kept for a while. What this FileSystem changes is forgotten; what others change is not noticed before the
 * time is over, so it is off unless it was asked for.
 */
final class StatusCache {

  private final long most;
  private final long nanos;
  private final LongSupplier clock;
  /** In the order of use. */
  private final Map<String, Kept> kept = new LinkedHashMap<>(16, 0.75f, true);
  /** How often something was forgotten: an answer from before that is not kept. */
  private long changes;

  private static final class Kept {
    final Entries file;
    final long since;

    Kept(Entries file, long since) {
      this.file = file;
      this.since = since;
    }
  }

  /**
   * @param most entries; 0 keeps none
   */
  StatusCache(long most, long millis) {
    this(most, millis, System::nanoTime);
  }

  StatusCache(long most, long millis, LongSupplier clock) {
    this.most = most;
    nanos = millis > Long.MAX_VALUE / 1_000_000 ? Long.MAX_VALUE : millis * 1_000_000;
    this.clock = clock;
  }

  /** To be asked before the store is, and given to {@link #keep}. */
  synchronized long changes() {
    return changes;
  }

  /** What a file is; null if that is not known. */
  synchronized Entries get(String key) {
    Kept found = kept.get(key);
    if (found == null || clock.getAsLong() - found.since >= nanos) {
      kept.remove(key);
      return null;
    }
    return found.file;
  }

  /** Keeps what the store said, unless something has changed since it was asked. */
  synchronized void keep(String key, Entries file, long asked) {
    if (most == 0 || asked != changes) {
      return;
    }
    kept.put(key, new Kept(file, clock.getAsLong()));
    if (kept.size() > most) {
      kept.remove(kept.keySet().iterator().next());
    }
  }

  synchronized void forget(String key) {
    changes++;
    kept.remove(key);
  }

  synchronized void forgetBelow(String prefix) {
    changes++;
    kept.keySet().removeIf(key -> key.startsWith(prefix));
  }
}
