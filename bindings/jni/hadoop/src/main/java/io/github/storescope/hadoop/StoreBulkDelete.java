// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.BulkDelete;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.statistics.IOStatistics;

/**
 * Removes files by one request for a page of them. Nothing is asked first, and no marker is written for a directory that is
 * left without files.
 *
 * <p>Directories are not meant to be given. One that this FileSystem knows is removed if it is empty, and told if not; of
 * another nothing is removed.
 *
 * <p>Hadoop has {@link BulkDelete} since 3.4.1. So {@link StoreFileSystem} names this class in a method's body alone.
 */
final class StoreBulkDelete implements BulkDelete {

  private final StoreFileSystem fs;
  private final Store store;
  private final KnownDirectories known;
  private final Path base;

  private StoreBulkDelete(StoreFileSystem fs, Store store, KnownDirectories known, Path base) {
    this.fs = fs;
    this.store = store;
    this.known = known;
    this.base = base;
  }

  /** Its type is the interface: a verifier that compares two names loads neither. */
  static BulkDelete of(StoreFileSystem fs, Store store, KnownDirectories known, Path base) {
    return new StoreBulkDelete(fs, store, known, base);
  }

  @Override
  public int pageSize() {
    return store.settings().batchDeleteSize();
  }

  @Override
  public Path basePath() {
    return base;
  }

  @Override
  public List<Map.Entry<Path, String>> bulkDelete(Collection<Path> paths) throws IOException {
    if (paths.size() > pageSize()) {
      throw new IllegalArgumentException(paths.size() + " paths: at most " + pageSize() + " go at once");
    }
    String directory = fs.key(base);
    Map<String, Path> files = new LinkedHashMap<>();
    for (Path path : paths) {
      if (!path.isAbsolute()) {
        throw new IllegalArgumentException(path + " is not absolute");
      }
      String key = fs.key(path);
      if (!key.equals(directory) && !ObjectNames.isBelow(key, directory)) {
        throw new IllegalArgumentException(path + " is not below " + base);
      }
      if (!key.isEmpty()) {
        files.putIfAbsent(key, path);
      }
    }
    List<Map.Entry<Path, String>> failures = new ArrayList<>();
    if (files.isEmpty()) {
      return failures;
    }
    String[] keys = files.keySet().toArray(new String[0]);
    String[] outcomes = store.deleteMany(keys);
    for (int at = 0; at < keys.length; at++) {
      String failure = outcomes[at];
      if (failure == null && known.contains(keys[at])) {
        failure = removeDirectory(keys[at]);
      }
      if (failure != null) {
        failures.add(new SimpleImmutableEntry<>(files.get(keys[at]), failure));
      }
    }
    Set<String> parents = files.keySet().stream().map(ObjectNames::parent).collect(Collectors.toSet());
    for (String parent : parents) {
      // It may have been left without files.
      if (!known.hasMarker(parent)) {
        known.remove(parent);
      }
    }
    return failures;
  }

  /** What hinders; null if nothing does, or if it is no directory any more. */
  private String removeDirectory(String key) throws IOException {
    PathProbe there = PathProbe.at(store, key);
    if (there.isDirectory()) {
      if (!there.isEmptyDirectory()) {
        return "the directory is not empty";
      }
      store.delete(ObjectNames.marker(key));
    }
    known.remove(key);
    return null;
  }

  @Override
  public void close() {}

  @Override
  public IOStatistics getIOStatistics() {
    return fs.getIOStatistics();
  }
}
