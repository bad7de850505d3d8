// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import org.apache.hadoop.fs.CompositeCrcFileChecksum;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.util.DataChecksum;

/** What is at a path, and what is told of it: its status, its checksum. */
final class FileLookup {

  /** What HDFS tells beside a composite CRC. Comparisons leave it out. */
  private static final int BYTES_PER_CRC = 512;

  private final Store store;
  private final KnownDirectories known;
  private final String user;

  /**
   * @param user the owner that statuses tell
   */
  FileLookup(Store store, KnownDirectories known, String user) {
    this.store = store;
    this.known = known;
    this.user = user;
  }

  /**
   * One request for a file, or a directory. Where a name looks like a file's, by a dot in it, there is one more for a
   * directory that is not known, or nothing.
   */
  FileStatus status(ObjectPath path) throws IOException {
    String key = path.key;
    if (key.isEmpty() || (known.contains(key) && isDirectory(key))) {
      return directory(path.qualified);
    }
    if (!store.asksForObjectFirst(key)) {
      PathProbe there = PathProbe.at(store, key);
      if (there.isFile()) {
        return file(there.object(), 0, path.qualified);
      }
      if (there.isDirectory()) {
        known.add(key, there.hasMarker());
        return directory(path.qualified);
      }
      throw notFound(path);
    }
    Entries file = store.headToRead(key);
    if ((file == null || file.sizes[0] == 0) && isDirectory(key)) {
      known.add(key, false);
      return directory(path.qualified);
    }
    if (file == null) {
      throw notFound(path);
    }
    return file(file, 0, path.qualified);
  }

  /** The status of a file by an entry of a page. */
  StoreFileStatus file(Entries entries, int at, Path path) {
    return StoreFileStatus.file(
        entries.sizes[at], entries.modified[at], entries.etags[at], store.settings().blockSize(), user, path);
  }

  StoreFileStatus directory(Path path) {
    return StoreFileStatus.directory(user, path);
  }

  static FileNotFoundException notFound(ObjectPath path) {
    return new FileNotFoundException(path + ": there is no such file or directory");
  }

  /** The one entry of a file to read. One request, and one more for an empty file: its name may be a directory's. */
  Entries toRead(ObjectPath path) throws IOException {
    Entries file = path.key.isEmpty() ? null : store.headToRead(path.key);
    if (file == null) {
      throw new FileNotFoundException(path + ": there is no such file");
    }
    if (file.sizes[0] == 0 && isDirectory(path.key)) {
      throw new FileNotFoundException(path + " is a directory");
    }
    return file;
  }

  /**
   * The file of a directory's name, which its status tells; null where there is none. Asks only for a name that looks like a
   * file's, of a directory that is not known.
   */
  Entries fileBeside(String key) throws IOException {
    if (key.isEmpty() || !store.asksForObjectFirst(key) || known.contains(key)) {
      return null;
    }
    Entries file = store.head(key);
    return file == null || file.sizes[0] == 0 ? null : file;
  }

  boolean exists(ObjectPath path) throws IOException {
    return path.key.isEmpty() || !PathProbe.at(store, path.key).isNothing();
  }

  boolean isFile(ObjectPath path) throws IOException {
    String key = path.key;
    if (key.isEmpty()) {
      return false;
    }
    if (!store.asksForObjectFirst(key)) {
      return PathProbe.at(store, key).isFile();
    }
    Entries file = store.head(key);
    return file != null && (file.sizes[0] > 0 || !isDirectory(key));
  }

  boolean isDirectory(ObjectPath path) throws IOException {
    return path.key.isEmpty() || PathProbe.at(store, path.key).isDirectory();
  }

  /** Whether anything makes the name a directory. */
  boolean isDirectory(String key) throws IOException {
    String marker = ObjectNames.marker(key);
    return isDirectory(store.first(marker, 1), marker);
  }

  /** Whether the first entries below a marker's name tell of a directory. */
  boolean isDirectory(Entries first, String marker) {
    return first != null
        && first.count() > 0
        && (!store.settings().requireDirectoryMarker() || first.keys[0].equals(marker));
  }

  /**
   * CRC-32C of the whole file, where {@code dfs.checksum.combine.mode} is {@code COMPOSITE_CRC} and the store tells one; else
   * null.
   */
  FileChecksum checksum(ObjectPath path, long length) throws IOException {
    if (length < 0) {
      throw new IllegalArgumentException("a checksum of " + length + " bytes");
    }
    if (!store.settings().crc32cChecksum()) {
      return null;
    }
    Entries file = path.key.isEmpty() ? null : store.head(path.key);
    if (file == null) {
      throw new FileNotFoundException(path + ": there is no such file");
    }
    if (length < file.sizes[0] || file.crc32c[0] == Entries.NO_CHECKSUM) {
      return null;
    }
    return new CompositeCrcFileChecksum((int) file.crc32c[0], DataChecksum.Type.CRC32C, BYTES_PER_CRC);
  }
}
