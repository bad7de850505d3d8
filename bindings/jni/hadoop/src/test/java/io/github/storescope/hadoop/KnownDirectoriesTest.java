// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class KnownDirectoriesTest {

  private final KnownDirectories known = new KnownDirectories(false);

  @Test
  void ancestorsAreKnownWithADirectory() {
    known.add("a/b/c", true);
    assertTrue(known.contains("a/b/c") && known.contains("a/b") && known.contains("a"));
    assertTrue(known.hasMarker("a/b/c"));
    assertFalse(known.hasMarker("a/b"));
    assertFalse(known.contains("a/b/c/d"));
    assertTrue(known.contains("") && known.hasMarker(""));
  }

  @Test
  void aMarkerIsNotUnseen() {
    known.add("a", true);
    known.add("a", false);
    assertTrue(known.hasMarker("a"));
    known.add("b", false);
    known.add("b", true);
    assertTrue(known.hasMarker("b"));
  }

  @Test
  void whatIsRemovedIsRemovedWithAllBelow() {
    known.add("a/b", true);
    known.add("a/b/c", true);
    known.add("a/bc", true);
    known.remove("a/b");
    assertFalse(known.contains("a/b") || known.contains("a/b/c"));
    assertTrue(known.contains("a/bc") && known.contains("a"));
    known.remove("");
    assertFalse(known.contains("a"));
  }

  @Test
  void itDoesNotGrowWithoutEnd() {
    for (int number = 0; number < 100_000; number++) {
      known.add("d" + number, false);
    }
    assertFalse(known.contains("d0"));
    assertTrue(known.contains("d99999"));
  }

  /** Another client may have removed one since. */
  @Test
  void whatWasSeenIsForgottenInTime() {
    AtomicLong now = new AtomicLong(5);
    KnownDirectories timed = new KnownDirectories(false, now::get);
    timed.add("a/b", true);
    now.addAndGet(KnownDirectories.MILLIS - 1);
    timed.wrote("a/b/file", true);
    assertTrue(timed.contains("a/b") && timed.contains("a") && timed.hasMarker("a/b"));
    now.incrementAndGet();
    assertFalse(timed.contains("a/b") || timed.contains("a") || timed.hasMarker("a/b"));
    timed.add("a/b", false);
    assertTrue(timed.contains("a/b") && timed.contains("a"));
    assertFalse(timed.hasMarker("a/b"));
  }

  /** Nobody looked whether its directory is one. */
  @Test
  void aFileThatWasWrittenUncheckedTellsOfNoDirectory() {
    known.wrote("a/file", false);
    assertFalse(known.contains("a"));
    known.add("a/b", false);
    known.wrote("a/b", false);
    assertTrue(known.contains("a"));
    assertFalse(known.contains("a/b"), "it is a file now");
  }

  /** A file below a directory that has lost its marker would not be seen. */
  @Test
  void nothingIsTrustedWhereMarkersAreRequired() {
    KnownDirectories strict = new KnownDirectories(true);
    strict.add("a", true);
    assertFalse(strict.contains("a") || strict.hasMarker("a"));
    assertTrue(strict.contains("") && strict.hasMarker(""));
  }
}
