// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.ContentSummary;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.RemoteIterator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Listings of directories, and of files, which hold themselves. */
final class DirectoryWalk {

  private static final Logger LOG = LoggerFactory.getLogger(DirectoryWalk.class);

  private final Store store;
  private final ObjectNames keys;
  private final KnownDirectories known;
  private final FileLookup lookup;
  private final Locations locations;
  private final AtomicBoolean unnamableTold = new AtomicBoolean();

  /** Where a file's blocks are. */
  interface Locations {
    BlockLocation[] of(FileStatus file) throws IOException;
  }

  DirectoryWalk(Store store, ObjectNames keys, KnownDirectories known, FileLookup lookup, Locations locations) {
    this.store = store;
    this.keys = keys;
    this.known = known;
    this.lookup = lookup;
    this.locations = locations;
  }

  /** What becomes of an entry of a listing: null leaves it out. */
  private interface Visit<T> {
    T file(StoreFileStatus status) throws IOException;

    T directory(StoreFileStatus status);
  }

  RemoteIterator<FileStatus> statuses(ObjectPath path) throws IOException {
    return walk(
        path,
        false,
        new Visit<FileStatus>() {
          @Override
          public FileStatus file(StoreFileStatus status) {
            return status;
          }

          @Override
          public FileStatus directory(StoreFileStatus status) {
            return status;
          }
        });
  }

  RemoteIterator<LocatedFileStatus> located(ObjectPath path, PathFilter filter) throws IOException {
    return walk(
        path,
        false,
        new Visit<LocatedFileStatus>() {
          @Override
          public LocatedFileStatus file(StoreFileStatus status) throws IOException {
            return filter.accept(status.getPath()) ? located(status) : null;
          }

          @Override
          public LocatedFileStatus directory(StoreFileStatus status) {
            return filter.accept(status.getPath()) ? new StoreLocatedFileStatus(status, null) : null;
          }
        });
  }

  /** With all below, where it is asked for, by a listing that knows no directories. */
  RemoteIterator<LocatedFileStatus> files(ObjectPath path, boolean recursive) throws IOException {
    return walk(
        path,
        recursive,
        new Visit<LocatedFileStatus>() {
          @Override
          public LocatedFileStatus file(StoreFileStatus status) throws IOException {
            return located(status);
          }

          @Override
          public LocatedFileStatus directory(StoreFileStatus status) {
            return null;
          }
        });
  }

  private LocatedFileStatus located(StoreFileStatus status) throws IOException {
    return new StoreLocatedFileStatus(status, locations.of(status));
  }

  /** What is in a directory, without itself; a file alone. A directory that holds anything costs its pages. */
  private <T> RemoteIterator<T> walk(ObjectPath path, boolean flat, Visit<T> visit) throws IOException {
    String key = path.key;
    String marker = ObjectNames.marker(key);
    Pages pages = store.list(marker, flat);
    Entries first = pages.next();
    boolean directory = key.isEmpty() || lookup.isDirectory(first, marker);
    Entries file = directory ? lookup.fileBeside(key) : store.head(key);
    if (directory && file == null) {
      known.add(key, false);
      return new Listing<T>(pages, first) {
        @Override
        T of(Entries page, int at) throws IOException {
          String name = page.keys[at];
          if (name.equals(marker) || !isNamable(name) || DuplicateNames.hides(store::asksForObjectFirst, page, at)) {
            return null;
          }
          if (name.endsWith("/")) {
            return visit.directory(lookup.directory(keys.path(name)));
          }
          return visit.file(lookup.file(page, at, keys.path(name)));
        }
      };
    }
    pages.close();
    if (file == null) {
      throw FileLookup.notFound(path);
    }
    return new Listing<T>(pages, file) {
      @Override
      T of(Entries page, int at) throws IOException {
        return visit.file(lookup.file(page, at, path.qualified));
      }
    };
  }

  private boolean isNamable(String key) {
    if (ObjectNames.hasPath(key)) {
      return true;
    }
    if (unnamableTold.compareAndSet(false, true)) {
      LOG.warn("{}: objects such as \"{}\" are not listed: no path of Hadoop names them", keys, key);
    }
    return false;
  }

  /** Of a directory, by one flat listing. Directories without markers count, too. */
  ContentSummary summary(ObjectPath path) throws IOException {
    String key = path.key;
    String marker = ObjectNames.marker(key);
    ContentCount count = new ContentCount(marker, store::asksForObjectFirst);
    Entries file;
    try (Pages pages = store.list(marker, true)) {
      Entries page = pages.next();
      boolean directory = key.isEmpty() || lookup.isDirectory(page, marker);
      file = directory ? lookup.fileBeside(key) : store.head(key);
      if (directory && file == null) {
        for (; page != null; page = pages.next()) {
          count.add(page);
        }
        return count.summary();
      }
    }
    if (file == null) {
      throw FileLookup.notFound(path);
    }
    return new ContentSummary.Builder()
        .length(file.sizes[0])
        .fileCount(1)
        .spaceConsumed(file.sizes[0])
        .build();
  }
}
