// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.Closeable;
import java.io.IOException;
import java.util.NoSuchElementException;
import org.apache.hadoop.fs.RemoteIterator;

/** What a directory holds, asked for a page at a time as it is walked. */
abstract class Listing<T> implements RemoteIterator<T>, Closeable {

  private final Pages pages;
  private Entries page;
  private int at;
  private T next;

  /**
   * @param first the first page of {@code pages}, already read; null for none
   */
  Listing(Pages pages, Entries first) {
    this.pages = pages;
    page = first;
  }

  /** What an entry becomes; null where it is none of this listing's. */
  abstract T of(Entries page, int at) throws IOException;

  /** Ends it: what was not asked for yet is left. */
  @Override
  public final void close() {
    pages.close();
    page = null;
    next = null;
  }

  @Override
  public final boolean hasNext() throws IOException {
    while (next == null && page != null) {
      if (at < page.count()) {
        next = of(page, at);
        at++;
      } else {
        page = pages.next();
        at = 0;
      }
    }
    return next != null;
  }

  @Override
  public final T next() throws IOException {
    if (!hasNext()) {
      throw new NoSuchElementException("the listing has ended");
    }
    T entry = next;
    next = null;
    return entry;
  }
}
