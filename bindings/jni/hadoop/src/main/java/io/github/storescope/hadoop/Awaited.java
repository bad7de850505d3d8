// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A future that tells a scope how long threads hung on it, or on a stage that depends on it. Not of those that hang on {@link
 * CompletableFuture#allOf}, which knows nothing of the futures' kind.
 */
final class Awaited<T> extends CompletableFuture<T> {

  private final Recording.Scope scope;

  /**
   * One that is not complete.
   *
   * @param scope or null
   */
  Awaited(Recording.Scope scope) {
    this.scope = scope;
  }

  @Override
  public <U> CompletableFuture<U> newIncompleteFuture() {
    return new Awaited<>(scope);
  }

  @Override
  public T get() throws InterruptedException, ExecutionException {
    if (scope == null || isDone()) {
      return super.get();
    }
    long begun = System.nanoTime();
    try {
      return super.get();
    } finally {
      scope.waited(System.nanoTime() - begun);
    }
  }

  @Override
  public T get(long timeout, TimeUnit unit) throws InterruptedException, ExecutionException, TimeoutException {
    if (scope == null || isDone()) {
      return super.get(timeout, unit);
    }
    long begun = System.nanoTime();
    try {
      return super.get(timeout, unit);
    } finally {
      scope.waited(System.nanoTime() - begun);
    }
  }

  @Override
  public T join() {
    if (scope == null || isDone()) {
      return super.join();
    }
    long begun = System.nanoTime();
    try {
      return super.join();
    } finally {
      scope.waited(System.nanoTime() - begun);
    }
  }
}
