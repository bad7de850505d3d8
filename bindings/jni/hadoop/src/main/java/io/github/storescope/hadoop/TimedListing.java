// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import java.io.Closeable;
import java.io.IOException;
import java.util.NoSuchElementException;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.fs.statistics.IOStatisticsSupport;

/**
 * A listing of a FileSystem that is timed: one LIST with the time of all its calls, recorded when it has no more, fails or is
 * closed. Pages cannot be told apart from here. Of one that is left in the middle the waiting alone is known.
 */
final class TimedListing<T> implements RemoteIterator<T>, Closeable, IOStatisticsSource {

  private final Recording.Scope scope;
  private RemoteIterator<T> listing;
  private long spent;
  private boolean ended;
  /** Whether the next one is known to be there: it costs nothing. */
  private boolean known;

  TimedListing(Recording.Scope scope) {
    this.scope = scope;
  }

  void begin(RemoteIterator<T> begun) {
    listing = begun;
  }

  /** A call took so long, and failed with this if it did. */
  void spent(long nanos, Throwable failure) {
    spent += nanos;
    scope.waited(nanos);
    if (failure != null) {
      end(failure instanceof NoSuchElementException ? Outcome.OK : Outcome.of(failure));
    }
  }

  @Override
  public boolean hasNext() throws IOException {
    if (!known) {
      known = timed(listing::hasNext);
      if (!known) {
        end(Outcome.OK);
      }
    }
    return known;
  }

  @Override
  public T next() throws IOException {
    if (known) {
      known = false;
      return listing.next();
    }
    return timed(listing::next);
  }

  @Override
  public void close() throws IOException {
    end(Outcome.OK);
    if (listing instanceof Closeable) {
      ((Closeable) listing).close();
    }
  }

  @Override
  public IOStatistics getIOStatistics() {
    return IOStatisticsSupport.retrieveIOStatistics(listing);
  }

  @Override
  public String toString() {
    return String.valueOf(listing);
  }

  private <V> V timed(Recording.Call<V> call) throws IOException {
    return TimedCalls.blocking(call, this::spent);
  }

  private void end(Outcome outcome) {
    if (!ended) {
      ended = true;
      scope.recorded(Operation.LIST, outcome, spent, ForeignCall.NO_BYTES);
    }
  }
}
