// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import java.io.IOException;
import java.util.EnumSet;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Local files, timed: what {@link TimedFileSystem} is for other schemes. {@code file} needs a class of its own, since {@link
 * org.apache.hadoop.fs.FileSystem#getLocal} casts to LocalFileSystem. What is timed is what callers see: checksums are part of
 * it, and reads of their files are not counted.
 */
public class TimedLocalFileSystem extends LocalFileSystem {

  /** Called by Hadoop, which then calls {@code initialize}. */
  public TimedLocalFileSystem() {}

  // Reading. `openFile` ends at `open`.

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return TimedCalls.open(() -> super.open(path, bufferSize));
  }

  @Override
  public FSDataInputStream open(PathHandle handle, int bufferSize) throws IOException {
    return TimedCalls.open(() -> super.open(handle, bufferSize));
  }

  // Writing. Whatever else makes a file ends at these.

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return TimedCalls.create(
        () -> super.create(path, permission, overwrite, bufferSize, replication, blockSize, progress));
  }

  @Override
  @SuppressWarnings("deprecation")
  public FSDataOutputStream createNonRecursive(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return TimedCalls.create(
        () -> super.createNonRecursive(path, permission, overwrite, bufferSize, replication, blockSize, progress));
  }

  @Override
  public FSDataOutputStream createNonRecursive(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return TimedCalls.create(
        () -> super.createNonRecursive(path, permission, flags, bufferSize, replication, blockSize, progress));
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
    return TimedCalls.create(() -> super.append(path, bufferSize, progress));
  }

  // What is there.

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return TimedCalls.of(Operation.HEAD, () -> super.getFileStatus(path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return TimedCalls.of(Operation.LIST, () -> super.listStatus(path));
  }

  @Override
  public RemoteIterator<FileStatus> listStatusIterator(Path path) throws IOException {
    return TimedCalls.list(() -> super.listStatusIterator(path));
  }

  @Override
  public RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path) throws IOException {
    return TimedCalls.list(() -> super.listLocatedStatus(path));
  }

  // Changes.

  @Override
  public boolean mkdirs(Path path) throws IOException {
    return TimedCalls.of(Operation.PUT, () -> super.mkdirs(path));
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    return TimedCalls.of(Operation.PUT, () -> super.mkdirs(path, permission));
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return TimedCalls.of(Operation.DELETE, () -> super.delete(path, recursive));
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    return TimedCalls.of(Operation.RENAME, () -> super.rename(from, to));
  }
}
