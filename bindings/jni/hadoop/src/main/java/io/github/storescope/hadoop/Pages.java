// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.lang.ref.Cleaner;

/** A listing, page by page. Closes itself at its end; one that is let go of before is closed by a cleaner. */
final class Pages implements AutoCloseable {

  private final long listing;
  private final Cleaner.Cleanable closing;
  private final Recording.Scope scope = Recording.current();
  private boolean ended;

  Pages(long listing) {
    this.listing = listing;
    closing = UnreachableCleaner.watch(this, () -> Native.closeListing(listing));
  }

  /** The next page that holds anything; null after the last. */
  Entries next() throws IOException {
    while (!ended) {
      Entries page = Recording.waiting(scope, () -> Native.nextPage(listing));
      if (page == null) {
        close();
      } else if (page.count() > 0) {
        return page;
      }
    }
    return null;
  }

  @Override
  public void close() {
    ended = true;
    closing.clean();
  }
}
