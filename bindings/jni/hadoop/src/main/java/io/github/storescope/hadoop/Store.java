// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.fs.FileAlreadyExistsException;

/**
 * One bucket: the native store and what is asked of it. Of any number of threads. Each call throws an IOException after
 * {@link #close}.
 *
 * <p>Those with equal settings share one native store, which is closed with the last of them. One that is let go of unclosed,
 * as Hadoop lets go of what a FileContext uses, is closed by a cleaner.
 */
final class Store implements AutoCloseable {

  private static final byte[] NOTHING = {};
  private static final int WRITTEN = 1024;

  private static final Map<List<String>, Shared> SHARED = new HashMap<>();

  private final Shared shared;
  private final Cleaner.Cleanable closing;
  private final Settings settings;
  private final StatusCache statuses;
  private final AtomicBoolean closed = new AtomicBoolean();
  /** Columnar files that were written here and not asked for since; the oldest are forgotten. */
  private final Set<String> written =
      Collections.synchronizedSet(
          Collections.newSetFromMap(
              new LinkedHashMap<>() {
                private static final long serialVersionUID = 1L;

                @Override
                protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
                  return size() > WRITTEN;
                }
              }));

  Store(Settings settings, String scope) throws IOException {
    this.settings = settings;
    statuses = new StatusCache(settings.statusCacheEntries(), settings.statusCacheMillis());
    Library.load();
    shared = share(settings, scope);
    // The cleaner must not refer to this.
    Shared used = shared;
    closing = UnreachableCleaner.watch(this, () -> release(used));
  }

  /** A native store and how many use it; under the lock of {@link #SHARED}. */
  private static final class Shared {
    final List<String> name;
    final long handle;
    int users;

    Shared(List<String> name, long handle) {
      this.name = name;
      this.handle = handle;
    }
  }

  private static Shared share(Settings settings, String scope) throws IOException {
    String[] values = settings.nativeSettings();
    List<String> name = new ArrayList<>(List.of(values));
    name.add(settings.storeUrl());
    name.add(scope);
    // A store that asks an object has it for itself: what that was made of may differ.
    long credentials = GivenCredentials.serve(settings.credentials());
    if (credentials != 0) {
      name.add("credentials " + credentials);
    }
    synchronized (SHARED) {
      Shared shared = SHARED.get(name);
      if (shared == null) {
        shared = new Shared(name, open(settings.storeUrl(), values, scope, credentials));
        SHARED.put(name, shared);
      }
      shared.users++;
      return shared;
    }
  }

  private static long open(String url, String[] values, String scope, long credentials) throws IOException {
    try {
      return Native.openStore(url, values, scope, credentials);
    } catch (IOException | RuntimeException e) {
      if (credentials != 0) {
        Native.closeCredentials(credentials);
      }
      throw e;
    }
  }

  private static void release(Shared shared) {
    synchronized (SHARED) {
      shared.users--;
      if (shared.users == 0) {
        SHARED.remove(shared.name);
        Recording.closed(shared.handle);
        Native.closeStore(shared.handle);
      }
    }
  }

  Settings settings() {
    return settings;
  }

  /** Throws if this is closed. */
  void checkOpen() throws IOException {
    open();
  }

  /** The native store. */
  private long open() throws IOException {
    if (closed.get()) {
      throw new IOException("Filesystem closed: " + settings.storeUrl());
    }
    return shared.handle;
  }

  /**
   * The native store, as this thread's calls record in it. Whoever uses it keeps this reachable until the native call has
   * begun: else the cleaner may come before.
   */
  private long handle() throws IOException {
    return handle(Recording.current());
  }

  /** The native store, as a scope's calls record in it; null for no scope. */
  private long handle(Recording.Scope scope) throws IOException {
    long store = open();
    return scope == null ? store : scope.within(store);
  }

  /** Streams that are open go on. */
  @Override
  public void close() {
    closed.set(true);
    closing.clean();
  }

  /**
   * Whether a status begins with a HEAD of the object: where the name looks like a file's, or statuses are kept. Other names
   * are looked up by a LIST, which sees a directory, too.
   */
  boolean asksForObjectFirst(String key) {
    return ObjectNames.isFileName(key) || settings.statusCacheEntries() != 0;
  }

  /** Null where there is no such object. */
  Entries head(String key) throws IOException {
    return head(key, 0);
  }

  /**
   * The same, with the file's end beside it where it will be read from there: still one request, and none for the end when
   * the file is opened.
   */
  Entries headToRead(String key) throws IOException {
    // A committer asks for what it has just written, and does not read it.
    return head(key, ObjectNames.isColumnar(key) && !written.remove(key) ? settings.statusTail() : 0);
  }

  /** The same, whatever status is kept. */
  Entries headAnew(String key) throws IOException {
    statuses.forget(key);
    return head(key);
  }

  private Entries head(String key, int tail) throws IOException {
    long store = handle();
    Entries known = statuses.get(key);
    if (known != null) {
      return known;
    }
    long changes = statuses.changes();
    Entries entry = ask(() -> tail == 0 ? Native.head(store, key) : Native.headWithTail(store, key, tail));
    statuses.put(key, entry, changes);
    return entry;
  }

  /** Asks, and keeps this reachable meanwhile. The caller waits for it. */
  private <T> T ask(Recording.Call<T> asked) throws IOException {
    try {
      return Recording.waiting(Recording.current(), asked);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** To be told when a file was written. */
  void written(String key) {
    statuses.forget(key);
    if (ObjectNames.isColumnar(key)) {
      written.add(key);
    }
  }

  /** The first entries below a prefix, at most so many, at any depth. */
  Entries first(String prefix, int most) throws IOException {
    return ask(() -> Native.first(handle(), prefix, most));
  }

  Pages list(String prefix, boolean flat) throws IOException {
    return new Pages(ask(() -> Native.openListing(handle(), prefix, null, flat, settings.listPageSize())));
  }

  /** Writes a directory's marker, if it has none. */
  void mark(String directory) throws IOException {
    try {
      put(ObjectNames.marker(directory), NOTHING, Native.MODE_CREATE);
    } catch (FileAlreadyExistsException e) {
      // That is what was wanted.
    }
  }

  /** Writes a small object by one request. */
  void put(String key, byte[] bytes, int mode) throws IOException {
    ask(() -> Native.put(handle(), key, bytes, mode));
  }

  /** A small object's bytes, of the version with this ETag. */
  byte[] get(String key, int size, String etag) throws IOException {
    byte[] bytes = new byte[size];
    long reader = openReader(key, size, etag, Native.POLICY_WHOLE_FILE);
    try {
      int filled = ask(() -> Native.read(reader, 0, bytes, 0, size));
      return filled == size ? bytes : Arrays.copyOf(bytes, Math.max(filled, 0));
    } finally {
      Native.closeReader(reader);
    }
  }

  /** A reader, as {@link Native#openReader} has it; it goes on when this is closed. */
  long openReader(String key, long size, String etag, int policy) throws IOException {
    return openReader(Recording.current(), key, size, etag, policy);
  }

  /** The same, recorded in a scope; null for none. */
  long openReader(Recording.Scope scope, String key, long size, String etag, int policy) throws IOException {
    return ask(() -> Native.openReader(handle(scope), key, size, etag, policy));
  }

  void delete(String key) throws IOException {
    try {
      ask(() -> Native.delete(handle(), key));
    } finally {
      statuses.forget(key);
    }
  }

  /** For each key null, or what went wrong. */
  String[] deleteMany(String[] keys) throws IOException {
    try {
      return ask(() -> Native.deleteMany(handle(), keys, settings.batchDelete()));
    } finally {
      for (String key : keys) {
        statuses.forget(key);
      }
    }
  }

  long deleteTree(String prefix) throws IOException {
    try {
      return ask(() -> Native.deleteTree(handle(), prefix, settings.batchDelete()));
    } finally {
      statuses.forgetTree(prefix);
    }
  }

  /**
   * Renames an object.
   *
   * @param mode {@link Native#MODE_CREATE} or {@link Native#MODE_OVERWRITE}
   */
  void rename(String from, String to, long size, String etag, int mode) throws IOException {
    try {
      ask(() -> Native.rename(handle(), from, to, size, etag, mode));
    } finally {
      statuses.forget(from);
      statuses.forget(to);
    }
  }

  /** As {@link Native#renameTree} has it. */
  long renameTree(String from, String to, boolean resumed) throws IOException {
    try {
      return ask(() -> Native.renameTree(handle(), from, to, settings.renameWidth(), resumed));
    } finally {
      statuses.forgetTree(from);
      statuses.forgetTree(to);
    }
  }

  /** A writer, as {@link Native#openWriter} has it, recorded in a scope; null for none. */
  long openWriter(Recording.Scope scope, String key, int mode, long size, String[] about) throws IOException {
    return ask(() -> Native.openWriter(handle(scope), key, mode, size, about));
  }

  String beginUpload(String key) throws IOException {
    return ask(() -> Native.beginUpload(handle(), key));
  }

  String putPart(String key, String id, int number, byte[] bytes) throws IOException {
    return ask(() -> Native.putPart(handle(), key, id, number, bytes, bytes.length));
  }

  Entries completeUpload(String key, String id, int[] numbers, String[] tags) throws IOException {
    try {
      return ask(() -> Native.completeUpload(handle(), key, id, numbers, tags));
    } finally {
      statuses.forget(key);
    }
  }

  void abortUpload(String key, String id) throws IOException {
    ask(
        () -> {
          Native.abortUpload(handle(), key, id);
          return null;
        });
  }

  /** Keys and ids, in turn. */
  String[] uploads(String prefix) throws IOException {
    return ask(() -> Native.uploads(handle(), prefix));
  }

  /** Lines of a name and a whole number. */
  String statistics() throws IOException {
    return ask(() -> Native.statistics(open()));
  }
}
