// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.lang.ref.Cleaner;

/** Frees, on one daemon thread, what native code holds for streams and listings that were let go of unclosed. */
final class UnreachableCleaner {

  private static final Cleaner CLEANER =
      Cleaner.create(
          runnable -> {
            Thread thread = new Thread(runnable, "storescope-cleaner");
            thread.setDaemon(true);
            return thread;
          });

  private UnreachableCleaner() {}

  /**
   * Runs {@code free} once: when what this answers is cleaned, or when nothing refers to {@code owner} any more, which
   * {@code free} itself must not.
   */
  static Cleaner.Cleanable watch(Object owner, Runnable free) {
    return CLEANER.register(owner, free);
  }
}
