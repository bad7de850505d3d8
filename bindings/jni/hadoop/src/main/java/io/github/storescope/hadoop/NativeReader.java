// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.concurrent.atomic.AtomicLong;

/** A native reader, which another may replace; run, it closes it. */
final class NativeReader implements Runnable {

  private final AtomicLong open;
  /** 0 once it is closed. */
  volatile long handle;

  NativeReader(long handle) {
    this.handle = handle;
    this.open = new AtomicLong(handle);
  }

  /** Reads go to another native reader from now on, unless this is closed. */
  void replace(long other) {
    long was = open.get();
    if (was == 0 || !open.compareAndSet(was, other)) {
      Native.closeReader(other);
      return;
    }
    handle = other;
    if (open.get() == 0) {
      // Closed meanwhile.
      handle = 0;
    }
    Native.closeReader(was);
  }

  @Override
  public void run() {
    handle = 0;
    long was = open.getAndSet(0);
    if (was != 0) {
      Native.closeReader(was);
    }
  }
}
