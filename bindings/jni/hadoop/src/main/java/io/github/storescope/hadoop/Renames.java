// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Renames, in Hadoop's two ways: {@link #move} answers {@code false} and nests, {@link #rename} throws and replaces.
 *
 * <p>A file takes one request of the service, which decides by itself whether the new name is free; what is looked at before
 * tells files from directories. On S3 it is a copy with that condition, then the removal of the source.
 *
 * <p>A directory takes a request for each object. One that fails leaves two directories, each with a part. So that the next
 * call goes on, and does not move the rest below what was moved, the target's marker is a note meanwhile: a few bytes that name
 * the source. A directory whose objects were all seen at a glance gets its note only if the rename fails.
 */
final class Renames {

  private static final Logger LOG = LoggerFactory.getLogger(Renames.class);

  private static final String NOTE = "storescope: this directory is being renamed from ";
  /** More than a note can have. */
  private static final int LONGEST_NOTE = 4096;

  private final ObjectNames keys;
  private final Store store;
  private final Directories directories;
  private final KnownDirectories known;
  /** Sources and targets of renames that failed where not even the note could be written. */
  private final Set<String> unfinished = ConcurrentHashMap.newKeySet();

  Renames(ObjectNames keys, Store store, Directories directories) {
    this.keys = keys;
    this.store = store;
    this.directories = directories;
    known = directories.known();
  }

  /**
   * {@link org.apache.hadoop.fs.FileSystem#rename(org.apache.hadoop.fs.Path, org.apache.hadoop.fs.Path)}: the source goes
   * below a target that is a directory.
   *
   * @return false, and nothing was done, if the source is missing, the target is there or its parent is not, whoever made or
   *     removed them and when
   * @throws IOException if anything failed; of a directory a part may have been renamed
   */
  boolean move(String from, String to) throws IOException {
    if (from.isEmpty() || ObjectNames.isBelow(to, from)) {
      return refused(from, to, "the source is the root, or the target lies in it");
    }
    PathProbe source = PathProbe.at(store, from);
    if (source.isNothing()) {
      return refused(from, to, "there is no such source");
    }
    if (from.equals(to)) {
      return source.isFile();
    }
    PathProbe target = to.isEmpty() ? null : PathProbe.at(store, to);
    boolean resumed = target != null && isUnfinished(from, to, source, target);
    if (!resumed && (target == null || target.isDirectory())) {
      to = ObjectNames.child(to, ObjectNames.name(from));
      if (from.equals(to)) {
        return source.isFile();
      }
      target = PathProbe.at(store, to);
      resumed = isUnfinished(from, to, source, target);
    } else if (target.isNothing() && !isDirectory(parentOf(from, to))) {
      return refused(from, to, "there is no directory for the target");
    }
    if (!resumed && !target.isNothing()) {
      return refused(from, to, "the target is there");
    }
    try {
      carry(from, to, source, target, Native.MODE_CREATE, resumed);
      return true;
    } catch (FileNotFoundException | FileAlreadyExistsException e) {
      // Another was faster, and nothing was done.
      return refused(from, to, e.getMessage());
    }
  }

  private static boolean refused(String from, String to, String why) {
    LOG.debug("rename {} to {}: {}", from, to, why);
    return false;
  }

  /**
   * {@link org.apache.hadoop.fs.FileContext#rename}: a file becomes a file, a directory a directory.
   *
   * @param overwrite whether a file or an empty directory is replaced. A file is by the renaming request itself: whoever reads
   *     meanwhile sees the old or the new
   * @throws FileNotFoundException if the source or the target's parent is missing
   * @throws FileAlreadyExistsException if the target is there, also if it came in that moment
   */
  void rename(String from, String to, boolean overwrite) throws IOException {
    if (from.isEmpty() || ObjectNames.isBelow(to, from)) {
      throw new PathIOException(path(from), "cannot be renamed to " + path(to) + ", which lies in it");
    }
    PathProbe source = PathProbe.at(store, from);
    if (source.isNothing()) {
      throw new FileNotFoundException(path(from) + ": there is no such file or directory to rename");
    }
    if (from.equals(to)) {
      throw new FileAlreadyExistsException(path(from) + " has that name already");
    }
    PathProbe target = to.isEmpty() ? null : PathProbe.at(store, to);
    boolean resumed = target != null && isUnfinished(from, to, source, target);
    if (target != null && target.isNothing()) {
      checkParent(from, to);
    } else if (!resumed) {
      checkReplaceable(from, to, source, target, overwrite);
    }
    carry(from, to, source, target, overwrite ? Native.MODE_OVERWRITE : Native.MODE_CREATE, resumed);
  }

  /**
   * @param target null for the root
   */
  private void checkReplaceable(String from, String to, PathProbe source, PathProbe target, boolean overwrite)
      throws IOException {
    boolean directory = target == null || target.isDirectory();
    if (source.isDirectory() != directory) {
      throw new PathIOException(
          path(from), "cannot be renamed to " + path(to) + ": one is a file, the other a directory");
    }
    if (!overwrite) {
      throw new FileAlreadyExistsException(path(to) + " already exists");
    }
    if (directory && (target == null || !target.isEmptyDirectory())) {
      throw new PathIsNotEmptyDirectoryException(path(to));
    }
  }

  private void checkParent(String from, String to) throws IOException {
    PathProbe parent = parentOf(from, to);
    if (isDirectory(parent)) {
      return;
    }
    String name = path(ObjectNames.parent(to));
    if (parent.isFile()) {
      throw new ParentNotDirectoryException(name + " is a file");
    }
    throw new FileNotFoundException(name + ": there is no such directory for " + path(to));
  }

  /**
   * What a target is to lie in; null for a directory that is there. A directory that is known is looked at again, since
   * another client may have removed it, unless a committer moves its files there, which made it for that.
   */
  private PathProbe parentOf(String from, String to) throws IOException {
    String parent = ObjectNames.parent(to);
    if (parent.isEmpty()
        || parent.equals(ObjectNames.parent(from))
        || (ObjectNames.isScratch(ObjectNames.parent(from)) && known.contains(parent))) {
      return null;
    }
    PathProbe there = PathProbe.at(store, parent);
    if (there.isDirectory()) {
      known.add(parent, there.hasMarker());
    } else {
      known.remove(parent);
    }
    return there;
  }

  private static boolean isDirectory(PathProbe parent) {
    return parent == null || parent.isDirectory();
  }

  /** Renames what is there, file, directory or both. */
  private void carry(String from, String to, PathProbe source, PathProbe target, int mode, boolean resumed)
      throws IOException {
    if (source.hasObject()) {
      Entries object = source.object();
      store.rename(from, to, object.sizes[0], object.etags[0], mode);
      known.wrote(to, true);
    }
    if (source.hasBelow()) {
      boolean marked;
      try {
        marked = carryDirectory(from, to, source, target.isNothing(), resumed);
      } catch (FileNotFoundException | FileAlreadyExistsException e) {
        throw source.hasObject() ? partly(from, to, e) : e;
      }
      known.remove(from);
      if (!source.hasObject()) {
        known.add(to, marked);
      }
    }
    if (!ObjectNames.isBelow(to, ObjectNames.parent(from))) {
      directories.keep(ObjectNames.parent(from));
    }
  }

  /** FileNotFoundException and FileAlreadyExistsException mean that nothing was done. */
  private IOException partly(String from, String to, IOException cause) {
    return new PathIOException(
        path(from), "renamed to " + path(to) + " in part; the same rename goes on: " + cause.getMessage(), cause);
  }

  /** Whether the target has a marker then. */
  private boolean carryDirectory(String from, String to, PathProbe source, boolean free, boolean resumed)
      throws IOException {
    String fromMarker = ObjectNames.marker(from);
    String toMarker = ObjectNames.marker(to);
    boolean noted = resumed;
    boolean begun = resumed;
    // Who writes the target's marker first has the name.
    if (free && source.wholeDirectory() == null && !ObjectNames.isScratch(to)) {
      writeNote(from, toMarker, Native.MODE_CREATE);
      noted = true;
      begun = true;
    } else if (free && source.hasMarker()) {
      store.rename(fromMarker, toMarker, source.markerSize(), source.markerEtag(), Native.MODE_CREATE);
      begun = true;
      if (source.isEmptyBelow()) {
        return true;
      }
    }
    try {
      store.renameTree(fromMarker, toMarker, resumed);
    } catch (IOException e) {
      boolean none = e instanceof FileNotFoundException || e instanceof FileAlreadyExistsException;
      if (none && !begun) {
        throw e;
      }
      if (!noted) {
        leaveNote(from, to, e);
      }
      throw none ? partly(from, to, e) : e;
    }
    unfinished.remove(pair(from, to));
    if (noted && !source.hasMarker()) {
      store.put(toMarker, new byte[0], Native.MODE_OVERWRITE);
    }
    return noted || source.hasMarker();
  }

  /** After a failure: where anything was renamed. */
  private void leaveNote(String from, String to, IOException failure) {
    String toMarker = ObjectNames.marker(to);
    try {
      if (store.first(toMarker, 1).count() > 0) {
        writeNote(from, toMarker, Native.MODE_OVERWRITE);
      }
    } catch (IOException e) {
      unfinished.add(pair(from, to));
      failure.addSuppressed(e);
    }
  }

  private static String pair(String from, String to) {
    return from + "\n" + to;
  }

  private void writeNote(String from, String toMarker, int mode) throws IOException {
    store.put(toMarker, (NOTE + from).getBytes(StandardCharsets.UTF_8), mode);
  }

  /** Whether a rename of this source to this target was begun and not finished. */
  private boolean isUnfinished(String from, String to, PathProbe source, PathProbe target) throws IOException {
    if (!source.hasBelow() || !target.isDirectory()) {
      return false;
    }
    if (unfinished.contains(pair(from, to))) {
      return true;
    }
    long size = target.markerSize();
    if (size <= NOTE.length() || size > LONGEST_NOTE) {
      return false;
    }
    byte[] note = store.get(ObjectNames.marker(to), (int) size, target.markerEtag());
    return new String(note, StandardCharsets.UTF_8).equals(NOTE + from);
  }

  private String path(String key) {
    return keys.path(key).toString();
  }
}
