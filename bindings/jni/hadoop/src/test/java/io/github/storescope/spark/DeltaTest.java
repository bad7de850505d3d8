// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A message is read as it was written, and what is none of this version is refused in words. */
class DeltaTest {

  private static Delta.Part part(int stage, int bytes) {
    byte[] hlog = new byte[bytes];
    Arrays.fill(hlog, (byte) stage);
    return new Delta.Part(stage, 1, new long[] {2, 3, 4}, hlog);
  }

  @Test
  void aMessageIsReadAsItWasWritten() throws Exception {
    Delta read = Delta.decode(new Delta("7", 3, List.of(part(5, 100), part(Delta.Part.DRIVER, 0))).encode());
    assertEquals("7", read.executor);
    assertEquals(3, read.number);
    Delta.Part first = read.parts.get(0);
    assertEquals(List.of(5, 1), List.of(first.stage, first.attempt));
    assertEquals(List.of(2L, 3L, 4L), List.of(first.tasks, first.runNanos, first.waitedNanos));
    assertArrayEquals(part(5, 100).hlog, first.hlog);
    assertEquals(Delta.Part.DRIVER, read.parts.get(1).stage);
  }

  @Test
  void anotherVersionIsToldWithTheWayOut() {
    byte[] message = new Delta("7", 0, List.of()).encode();
    message[5] = 9;
    String said = assertThrows(IOException.class, () -> Delta.decode(message)).getMessage();
    assertTrue(said.contains("version 9") && said.contains("the same jar"), said);
  }

  @Test
  void whatIsNoMessageIsRefused() {
    byte[] message = new Delta("7", 0, List.of(part(1, 5_000))).encode();
    for (int length = 0; length < message.length; length++) {
      byte[] cut = Arrays.copyOf(message, length);
      assertThrows(IOException.class, () -> Delta.decode(cut), length + " bytes");
    }
    assertThrows(IOException.class, () -> Delta.decode("something else".getBytes()));
  }

  @Test
  void largePartsGoIntoMessagesOfTheirOwn() {
    List<Delta.Part> parts = List.of(part(1, 600 << 10), part(2, 600 << 10), part(3, 3 << 20), part(4, 10));
    assertEquals(1, Delta.fitting(parts).size());
    assertEquals(1, Delta.fitting(parts.subList(2, 4)).size());
    assertEquals(1, Delta.fitting(parts.subList(3, 4)).size());
    assertEquals(2, Delta.fitting(List.of(part(1, 10), part(2, 10))).size());
  }
}
