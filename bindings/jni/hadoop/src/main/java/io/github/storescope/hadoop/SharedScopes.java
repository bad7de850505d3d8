// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/** Scopes of this JVM that no task has: what a connector tells of itself, on a thread of its own. */
public final class SharedScopes {

  private static final Map<String, Recording.Scope> SCOPES = new TreeMap<>();

  private SharedScopes() {}

  /**
   * The one of this name, made at the first call; it is never closed.
   *
   * @throws IOException if the native library cannot be loaded
   */
  public static synchronized Recording.Scope of(String name) throws IOException {
    Recording.Scope scope = SCOPES.get(name);
    if (scope == null) {
      scope = new Recording.Scope(name);
      SCOPES.put(name, scope);
    }
    return scope;
  }

  /** Those that were asked for, by name. */
  public static synchronized Map<String, Recording.Scope> all() {
    return new TreeMap<>(SCOPES);
  }
}
