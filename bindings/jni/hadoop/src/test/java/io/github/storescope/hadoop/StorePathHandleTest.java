// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.hadoop.fs.InvalidPathHandleException;
import org.apache.hadoop.fs.RawPathHandle;
import org.junit.jupiter.api.Test;

class StorePathHandleTest {

  private static StorePathHandle again(StorePathHandle handle) throws Exception {
    return StorePathHandle.of(new RawPathHandle(handle.bytes()));
  }

  @Test
  void itsBytesAreTheHandle() throws Exception {
    StorePathHandle handle = new StorePathHandle("oci://b@n/ä/b c", "0a1b");
    StorePathHandle read = again(handle);
    assertEquals(handle.path, read.path);
    assertEquals(handle.etag, read.etag);
    assertEquals(handle, read);
    assertEquals(handle.hashCode(), read.hashCode());
    assertNull(again(new StorePathHandle("oci://b@n/a", null)).etag);
  }

  @Test
  void anotherVersionIsAnotherHandle() {
    assertNotEquals(new StorePathHandle("oci://b@n/a", "1"), new StorePathHandle("oci://b@n/a", "2"));
    assertNotEquals(new StorePathHandle("oci://b@n/a", null), new StorePathHandle("oci://b@n/a", ""));
  }

  @Test
  void bytesOfOthersAreRefused() {
    byte[] whole = new StorePathHandle("oci://b@n/a", "1").toByteArray();
    for (int length = 0; length < whole.length; length++) {
      ByteBuffer part = ByteBuffer.wrap(Arrays.copyOf(whole, length));
      assertThrows(InvalidPathHandleException.class, () -> StorePathHandle.of(new RawPathHandle(part)));
    }
    byte[] longer = Arrays.copyOf(whole, whole.length + 1);
    byte[] huge = whole.clone();
    huge[4] = 0x7f;
    byte[] other = whole.clone();
    other[3]++;
    for (byte[] wrong : new byte[][] {longer, huge, other}) {
      assertThrows(
          InvalidPathHandleException.class, () -> StorePathHandle.of(new RawPathHandle(ByteBuffer.wrap(wrong))));
    }
  }
}
