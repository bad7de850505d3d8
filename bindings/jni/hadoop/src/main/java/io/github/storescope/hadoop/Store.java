// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One bucket: the native store and what is asked of it. Of any number of threads. Each call throws an IOException after
 * {@link #close}.
 */
final class Store implements AutoCloseable {

  private static final byte[] NOTHING = {};
  private static final int WRITTEN = 1024;

  private final long handle;
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
    handle = Native.openStore(settings.storeUrl(), settings.nativeSettings(), scope);
  }

  Settings settings() {
    return settings;
  }

  /** The native store, for what is opened of it. */
  long handle() throws IOException {
    if (closed.get()) {
      throw new IOException("Filesystem closed: " + settings.storeUrl());
    }
    return handle;
  }

  /** Streams that are open go on. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      Native.closeStore(handle);
    }
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
    return head(key, Keys.isColumnar(key) && !written.remove(key) ? settings.statusTail() : 0);
  }

  private Entries head(String key, int tail) throws IOException {
    long store = handle();
    Entries known = statuses.get(key);
    if (known != null) {
      return known;
    }
    long changes = statuses.changes();
    Entries entry = tail == 0 ? Native.head(store, key) : Native.headWithTail(store, key, tail);
    statuses.put(key, entry, changes);
    return entry;
  }

  /** To be told when a file was written. */
  void written(String key) {
    statuses.forget(key);
    if (Keys.isColumnar(key)) {
      written.add(key);
    }
  }

  /** The first entries below a prefix, at most so many, at any depth. */
  Entries first(String prefix, int most) throws IOException {
    return Native.first(handle(), prefix, most);
  }

  Pages list(String prefix, boolean flat) throws IOException {
    return new Pages(Native.openListing(handle(), prefix, null, flat, settings.listPageSize()));
  }

  /** Writes a directory's marker, if it has none. */
  void mark(String directory) throws IOException {
    try {
      Native.put(handle(), Keys.marker(directory), NOTHING, Native.MODE_CREATE);
    } catch (org.apache.hadoop.fs.FileAlreadyExistsException e) {
      // That is what was wanted.
    }
  }

  void delete(String key) throws IOException {
    try {
      Native.delete(handle(), key);
    } finally {
      statuses.forget(key);
    }
  }

  /** For each key null, or what went wrong. */
  String[] deleteMany(String[] keys) throws IOException {
    try {
      return Native.deleteMany(handle(), keys, settings.batchDelete());
    } finally {
      for (String key : keys) {
        statuses.forget(key);
      }
    }
  }

  long deleteTree(String prefix) throws IOException {
    try {
      return Native.deleteTree(handle(), prefix, settings.batchDelete());
    } finally {
      statuses.forgetTree(prefix);
    }
  }

  void rename(String from, String to, long size, String etag) throws IOException {
    try {
      Native.rename(handle(), from, to, size, etag);
    } finally {
      statuses.forget(from);
      statuses.forget(to);
    }
  }

  long renameTree(String from, String to) throws IOException {
    try {
      return Native.renameTree(handle(), from, to, settings.renameWidth());
    } finally {
      statuses.forgetTree(from);
      statuses.forgetTree(to);
    }
  }

  long openWriter(String key, int mode, long size, String[] about) throws IOException {
    return Native.openWriter(handle(), key, mode, size, about);
  }

  String beginUpload(String key) throws IOException {
    return Native.beginUpload(handle(), key);
  }

  String putPart(String key, String id, int number, byte[] bytes) throws IOException {
    return Native.putPart(handle(), key, id, number, bytes, bytes.length);
  }

  Entries completeUpload(String key, String id, int[] numbers, String[] tags) throws IOException {
    try {
      return Native.completeUpload(handle(), key, id, numbers, tags);
    } finally {
      statuses.forget(key);
    }
  }

  void abortUpload(String key, String id) throws IOException {
    Native.abortUpload(handle(), key, id);
  }

  /** Keys and ids, in turn. */
  String[] uploads(String prefix) throws IOException {
    return Native.uploads(handle(), prefix);
  }

  /** Lines of a name and a whole number. */
  String statistics() throws IOException {
    return Native.statistics(handle());
  }
}
