// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE_NON_RECURSIVE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_EXISTS;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Deque;
import java.util.EnumSet;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.Path;

/** Makes files and directories. */
final class FileCreator {

  private static final String[] NO_ABOUT = {};

  private final Store store;
  private final ObjectNames keys;
  private final Operations operations;
  private final FileLookup lookup;
  private final Directories directories;
  private final KnownDirectories known;

  FileCreator(Store store, ObjectNames keys, Operations operations, FileLookup lookup, Directories directories) {
    this.store = store;
    this.keys = keys;
    this.operations = operations;
    this.lookup = lookup;
    this.directories = directories;
    known = directories.known();
  }

  /** A new file without headers and metadata; its parent need not be there. */
  FSDataOutputStream create(Path path, boolean overwrite) throws IOException {
    return create(path, overwrite, true, false, NO_ABOUT);
  }

  /**
   * A new file, by flags. Those that want a file to be there ({@code APPEND}, or {@code OVERWRITE} without {@code CREATE})
   * ask for it first.
   */
  FSDataOutputStream create(Path path, EnumSet<CreateFlag> flags, boolean recursive) throws IOException {
    CreateFlag.validate(flags);
    boolean append = flags.contains(CreateFlag.APPEND);
    if (append || !flags.contains(CreateFlag.CREATE)) {
      boolean there = lookup.exists(operations.beginRead(OP_EXISTS, path));
      CreateFlag.validate(path, there, flags);
      if (there && append) {
        throw noAppend(path);
      }
    }
    return create(path, flags.contains(CreateFlag.OVERWRITE), recursive, false, NO_ABOUT);
  }

  static UnsupportedOperationException noAppend(Path path) {
    return new UnsupportedOperationException("an object cannot be appended to: " + path);
  }

  /**
   * A new file.
   *
   * @param recursive whether the parent need not be there
   * @param unchecked whether nothing is asked of the store: then a file may come to lie below a file, or beside a directory
   *     of its name. Where {@code overwrite} is false, closing the file still fails if there is one
   * @param about headers and metadata, as the native writer wants them
   */
  FSDataOutputStream create(Path path, boolean overwrite, boolean recursive, boolean unchecked, String[] about)
      throws IOException {
    ObjectPath file = operations.beginWrite(recursive ? OP_CREATE : OP_CREATE_NON_RECURSIVE, path);
    String key = file.key;
    if (key.isEmpty()) {
      throw new FileAlreadyExistsException(path + " is a directory");
    }
    Settings settings = store.settings();
    boolean checked = !unchecked && !settings.createPerformance();
    if (checked) {
      check(file, overwrite, recursive);
    }
    int mode = overwrite && settings.overwriteAllowed() ? Native.MODE_OVERWRITE : Native.MODE_CREATE;
    StoreOutputStream out =
        new StoreOutputStream(store, file.qualified, key, mode, about, () -> known.wrote(key, checked));
    return new FSDataOutputStream(out, operations.statistics());
  }

  private void check(ObjectPath path, boolean overwrite, boolean recursive) throws IOException {
    String parent = ObjectNames.parent(path.key);
    if (!recursive && !parent.isEmpty()) {
      PathProbe above = PathProbe.at(store, parent);
      if (above.isNothing()) {
        throw new FileNotFoundException(path + ": there is no directory " + keys.path(parent));
      }
      directories.check(above, parent);
      known.add(parent, above.hasMarker());
    }
    Deque<String> missing = directories.missing(parent);
    boolean markersRequired = store.settings().requireDirectoryMarker();
    if (missing.isEmpty() || markersRequired) {
      checkFree(path, overwrite);
    }
    if (markersRequired) {
      directories.mark(missing);
    }
  }

  /** That no directory is at a new file's path, and no file unless it may be replaced. */
  private void checkFree(ObjectPath path, boolean overwrite) throws IOException {
    if (overwrite) {
      if (lookup.isDirectory(path.key) && lookup.fileBeside(path.key) == null) {
        throw new FileAlreadyExistsException(path + " is a directory");
      }
      return;
    }
    PathProbe there = PathProbe.at(store, path.key);
    if (!there.isNothing()) {
      throw new FileAlreadyExistsException(path + (there.isFile() ? " already exists" : " is a directory"));
    }
  }

  void makeDirectory(ObjectPath path) throws IOException {
    String key = path.key;
    if (key.isEmpty()) {
      return;
    }
    PathProbe there = PathProbe.at(store, key);
    if (there.isDirectory()) {
      known.add(key, there.hasMarker());
      return;
    }
    if (there.isFile()) {
      throw new FileAlreadyExistsException(path + " is a file");
    }
    Deque<String> missing = directories.missing(ObjectNames.parent(key));
    missing.addLast(key);
    directories.mark(missing);
  }
}
