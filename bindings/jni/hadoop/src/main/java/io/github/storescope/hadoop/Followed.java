// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** Futures made of those of a FileSystem that is timed. */
final class Followed {

  private Followed() {}

  /**
   * A future that ends as another does. It tells the scope how long threads hung on it; to cancel it cancels the other.
   *
   * @param ended called first, with what the other came to
   * @param made what the future has in place of the other's value
   */
  static <T> CompletableFuture<T> of(
      CompletableFuture<T> followed, Recording.Scope scope, BiConsumer<T, Throwable> ended, Function<T, T> made) {
    CompletableFuture<T> future = new Awaited<>(scope);
    followed.whenComplete(
        (value, failure) -> {
          ended.accept(value, failure);
          if (failure != null) {
            future.completeExceptionally(failure);
          } else {
            future.complete(made.apply(value));
          }
        });
    future.whenComplete(
        (value, failure) -> {
          if (future.isCancelled()) {
            followed.cancel(true);
          }
        });
    return future;
  }
}
