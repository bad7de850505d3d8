// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is told once, however many FileSystems a process makes. */
final class Warnings {

  private static final Logger LOG = LoggerFactory.getLogger("io.github.storescope");
  private static final Set<String> TOLD = ConcurrentHashMap.newKeySet();

  private Warnings() {}

  /** Warns of something in a configuration, unless it was told before. */
  static void once(String text) {
    if (TOLD.add(text)) {
      LOG.warn(text);
    }
  }
}
