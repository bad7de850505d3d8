// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The threads that ask {@link Credentials} when the native library wants some: one for each, a daemon. */
final class GivenCredentials {

  private static final Logger LOG = LoggerFactory.getLogger("io.github.storescope");

  private static final int KEPT = 64;

  private static final AtomicLong NEXT = new AtomicLong();

  /** What was thrown, by the number that errors of the native library carry; the oldest are forgotten. */
  private static final Map<Long, Throwable> THROWN =
      Collections.synchronizedMap(
          new LinkedHashMap<>() {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<Long, Throwable> eldest) {
              return size() > KEPT;
            }
          });

  private GivenCredentials() {}

  /** Begins to serve; the number by which a native store asks these. 0 for null. */
  static long serve(Credentials credentials) {
    if (credentials == null) {
      return 0;
    }
    long desk = Native.openCredentials();
    Thread thread = new Thread(() -> answer(desk, credentials), "storescope-credentials-" + NEXT.incrementAndGet());
    thread.setDaemon(true);
    thread.setContextClassLoader(credentials.getClass().getClassLoader());
    thread.start();
    return desk;
  }

  /** What was thrown under this number; null for none. */
  static Throwable thrown(long number) {
    return number == 0 ? null : THROWN.get(number);
  }

  private static void answer(long desk, Credentials credentials) {
    while (Native.awaitCredentials(desk)) {
      try {
        Credential given = credentials.credential();
        if (given == null) {
          throw new IOException(credentials.getClass().getName() + " gave no credential");
        }
        given.give(desk);
      } catch (Throwable e) {
        long number = NEXT.incrementAndGet();
        THROWN.put(number, e);
        Native.failCredential(desk, number, e.toString());
      }
    }
    Native.closeCredentials(desk);
    if (credentials instanceof AutoCloseable) {
      try {
        ((AutoCloseable) credentials).close();
      } catch (Exception e) {
        LOG.warn("{} could not be closed", credentials.getClass().getName(), e);
      }
    }
  }
}
