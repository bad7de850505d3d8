// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.EnumSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.InvalidPathException;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * {@link StoreFileSystem} for {@link org.apache.hadoop.fs.FileContext}. Hadoop finds it by configuration alone: {@code
 * fs.AbstractFileSystem.oci.impl=io.github.storescope.hadoop.StoreFs}.
 *
 * <p>What Hadoop's classes do in several steps, each a request, goes to the FileSystem as it is.
 *
 * <p>Hadoop makes one for each FileContext and closes none. Those of equal settings share one native store, which ends when
 * none of them is reachable any more.
 */
public class StoreFs extends DelegateToFileSystem {

  private final StoreFileSystem store;

  /** Called by Hadoop. */
  public StoreFs(URI uri, Configuration conf) throws IOException, URISyntaxException {
    this(uri, new StoreFileSystem(), conf);
  }

  private StoreFs(URI uri, StoreFileSystem store, Configuration conf) throws IOException, URISyntaxException {
    super(uri, store, conf, uri.getScheme(), false);
    this.store = store;
  }

  /** Hadoop's own compares hosts, which is the namespace: a FileContext would take a path of another bucket for its own. */
  @Override
  public void checkPath(Path path) {
    super.checkPath(path);
    String authority = path.toUri().getAuthority();
    if (authority != null && !authority.equals(getUri().getAuthority())) {
      throw new InvalidPathException("Wrong FS: " + path + " and AbstractFS=" + getUri());
    }
  }

  @Override
  public FSDataOutputStream createInternal(
      Path path,
      EnumSet<CreateFlag> flags,
      FsPermission permission,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress,
      Options.ChecksumOpt checksum,
      boolean createParent)
      throws IOException {
    checkPath(path);
    if (!createParent && path.getParent() == null) {
      throw new FileNotFoundException(path + " has no parent");
    }
    return store.create(path, flags, createParent);
  }

  @Override
  public void renameInternal(Path source, Path target) throws IOException {
    renameInternal(source, target, false);
  }

  @Override
  @SuppressWarnings("deprecation")
  public void renameInternal(Path source, Path target, boolean overwrite) throws IOException {
    checkPath(source);
    checkPath(target);
    store.rename(source, target, overwrite ? Options.Rename.OVERWRITE : Options.Rename.NONE);
  }

  /** Page by page. */
  @Override
  public RemoteIterator<FileStatus> listStatusIterator(Path path) throws IOException {
    checkPath(path);
    return store.listStatusIterator(path);
  }

  /** Page by page, and without a request for each file. */
  @Override
  public RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path) throws IOException {
    checkPath(path);
    return store.listLocatedStatus(path);
  }
}
