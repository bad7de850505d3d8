// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.apache.hadoop.fs.impl.PathCapabilitiesSupport.validatePathCapabilityArgs;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_DELETE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_EXISTS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_CONTENT_SUMMARY;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_FILE_CHECKSUM;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_FILE_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_IS_DIRECTORY;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_IS_FILE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_FILES;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_LOCATED_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_MKDIRS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_RENAME;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.ContentSummary;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.InvalidPathException;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.MultipartUploaderBuilder;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Options.HandleOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.impl.OpenFileParameters;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.Progressable;

/**
 * A bucket as a FileSystem: {@code oci://bucket@namespace/path}, and by configuration ({@code fs.s3a.impl}) {@code
 * s3a://bucket/path}.
 *
 * <p>A file is the object named like its path. A directory is a marker, an empty object whose name ends with {@code /}, or
 * whatever has objects below it; Oracle's connector sees the same files and directories. Of a name that is both, {@link
 * PathProbe} says which it is. {@code mkdirs} writes markers, {@code create} does not; where the last file of a directory
 * without one is deleted or renamed, one is written, so that the directory stays, but in a committer's {@code _temporary}.
 *
 * <p>Files appear whole, when they are closed. A rename moves each object at once, but a directory object by object: if it
 * fails, the exception says how many were moved, and the same rename goes on. There is no append, no truncation, no times and
 * permissions to set.
 *
 * <p>This class is the face: each method counts its operation ({@link Operations}) and hands it to the part that does it,
 * {@link FileOpener}, {@link FileCreator}, {@link Renames}, {@link Deletes}, {@link FileLookup} or {@link DirectoryWalk}.
 *
 * <p>Of any number of threads. No method names a type that Hadoop 3.3.4 lacks, so that it can be looked through there, as
 * notebooks do; {@link BulkDeletingFileSystem} has what newer ones add.
 */
public class StoreFileSystem extends FileSystem implements IOStatisticsSource {

  private final AtomicBoolean closed = new AtomicBoolean();

  private URI uri;
  private ObjectNames keys;
  private Settings settings;
  private Store store;
  private Operations operations;
  private KnownDirectories known;
  private FileLookup lookup;
  private DirectoryWalk walk;
  private FileOpener opener;
  private FileCreator creator;
  private Renames renames;
  private Deletes deletes;
  private volatile Path workingDirectory;

  /** Called by Hadoop, which then calls {@link #initialize}. */
  public StoreFileSystem() {}

  /** No I/O. */
  @Override
  public void initialize(URI name, Configuration conf) throws IOException {
    settings = SettingsReader.read(name, conf);
    uri = URI.create(name.getScheme() + "://" + name.getRawAuthority());
    super.initialize(name, conf);
    setConf(conf);
    keys = new ObjectNames(uri);
    workingDirectory = new Path("/user", System.getProperty("user.name")).makeQualified(uri, null);
    String user = UserGroupInformation.getCurrentUser().getShortUserName();
    store = new Store(settings, uri.toString());
    operations = new Operations(store, this::at, statistics);
    known = new KnownDirectories(settings.requireDirectoryMarker());
    lookup = new FileLookup(store, known, user);
    walk =
        new DirectoryWalk(
            store, keys, known, lookup, status -> getFileBlockLocations(status, 0, status.getLen()));
    opener = new FileOpener(store, operations, lookup);
    Directories directories = new Directories(store, keys, known);
    creator = new FileCreator(store, keys, operations, lookup, directories);
    renames = new Renames(keys, store, directories);
    deletes = new Deletes(store, keys, directories);
    if (settings.profilePath() != null) {
      Profile.writeAtExit(settings.profilePath());
    }
  }

  /** Of the URI that this one was made for; {@code oci} before. */
  @Override
  public String getScheme() {
    return uri == null ? "oci" : uri.getScheme();
  }

  @Override
  public URI getUri() {
    return uri;
  }

  @Override
  protected int getDefaultPort() {
    return -1;
  }

  /** There are no delegation tokens. */
  @Override
  public String getCanonicalServiceName() {
    return null;
  }

  @Override
  public Path getWorkingDirectory() {
    return workingDirectory;
  }

  @Override
  public void setWorkingDirectory(Path directory) {
    workingDirectory = makeQualified(directory);
  }

  @Override
  @Deprecated
  public long getDefaultBlockSize() {
    return settings.blockSize();
  }

  /** Streams that are open go on. */
  @Override
  public void close() throws IOException {
    if (closed.compareAndSet(false, true)) {
      try {
        super.close();
      } finally {
        if (store != null) {
          store.close();
        }
      }
    }
  }

  @Override
  public String toString() {
    return "StoreFileSystem{" + uri + "}";
  }

  /** A path without any component behind its bucket is the bucket: {@code oci://bucket@namespace}. */
  @Override
  public Path makeQualified(Path path) {
    URI of = path.toUri();
    if (of.getAuthority() == null || !of.getPath().isEmpty()) {
      return super.makeQualified(path);
    }
    checkPath(path);
    return new Path(uri.getScheme(), of.getAuthority(), "/");
  }

  /**
   * A path and the object that it means.
   *
   * @throws InvalidPathException if the path leads out of the bucket, by {@code ..}
   */
  private ObjectPath at(Path path) {
    Path qualified = makeQualified(path);
    checkPath(qualified);
    String key = keys.of(qualified);
    if (!key.isEmpty() && !ObjectNames.hasPath(key)) {
      throw new InvalidPathException(path.toString(), "it leads out of the bucket");
    }
    return new ObjectPath(path, qualified, key);
  }

  /** The name of the object that a path means. */
  String key(Path path) {
    return at(path).key;
  }

  /** Of this FileSystem, which must be open. */
  Store store() throws IOException {
    store.checkOpen();
    return store;
  }

  KnownDirectories known() {
    return known;
  }

  // Reading.

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return opener.open(path);
  }

  @Override
  protected CompletableFuture<FSDataInputStream> openFileWithOptions(Path path, OpenFileParameters parameters)
      throws IOException {
    FileOpener.checkOptions(path, parameters);
    CompletableFuture<FSDataInputStream> opened = new CompletableFuture<>();
    try {
      opened.complete(opener.open(path, parameters));
    } catch (IOException | RuntimeException e) {
      opened.completeExceptionally(e);
    }
    return opened;
  }

  @Override
  protected PathHandle createPathHandle(FileStatus status, HandleOpt... options) {
    PathHandle handle = FileOpener.handle(status, options);
    key(status.getPath());
    return handle;
  }

  @Override
  public FSDataInputStream open(PathHandle handle, int bufferSize) throws IOException {
    return opener.open(handle);
  }

  // Writing.

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
    return creator.create(path, overwrite);
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
    return creator.create(path, flags, false);
  }

  /** As Hadoop's own, which asks first whether the file exists: here the write itself has that condition. */
  @Override
  @Deprecated
  protected FSDataOutputStream primitiveCreate(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress,
      Options.ChecksumOpt checksum)
      throws IOException {
    return creator.create(path, flags, true);
  }

  /** A new file, by flags: {@link FileCreator#create(Path, EnumSet, boolean)}. */
  FSDataOutputStream create(Path path, EnumSet<CreateFlag> flags, boolean recursive) throws IOException {
    return creator.create(path, flags, recursive);
  }

  /** Of several that make one file, one succeeds. */
  @Override
  public boolean createNewFile(Path path) throws IOException {
    try {
      create(path, false).close();
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    }
  }

  @Override
  @SuppressWarnings("rawtypes")
  public FSDataOutputStreamBuilder createFile(Path path) {
    return new CreateBuilder(this, creator, path).create().overwrite(true);
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
    throw FileCreator.noAppend(path);
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    creator.makeDirectory(operations.beginWrite(OP_MKDIRS, path));
    return true;
  }

  @Override
  public MultipartUploaderBuilder<?, ?> createMultipartUploader(Path base) throws IOException {
    return new StoreMultipartUploader.Builder(this, this::at, operations, store(), base);
  }

  // Renaming and deleting.

  /**
   * {@inheritDoc}
   *
   * @return false, and nothing is done, if the source is missing, the target is there, or the target's parent is not; if the
   *     target is an existing directory, the source is moved below it. True if all was moved
   * @throws IOException if anything failed, even if some of a directory's objects were moved: the message says how many, and
   *     the same call goes on with the others
   */
  @Override
  public boolean rename(Path source, Path target) throws IOException {
    return renames.move(operations.beginWrite(OP_RENAME, source).key, key(target));
  }

  /**
   * {@inheritDoc}
   *
   * <p>A file is renamed by one request of the service, which judges the target, where it has one (OCI): of several that rename
   * to one name without {@code OVERWRITE} exactly one succeeds, and with it a reader sees the old file or the new one.
   *
   * @throws FileAlreadyExistsException if the target is there, or was made by another in that moment
   */
  @Override
  @Deprecated
  protected void rename(Path source, Path target, Options.Rename... options) throws IOException {
    boolean overwrite = options != null && Arrays.asList(options).contains(Options.Rename.OVERWRITE);
    renames.rename(operations.beginWrite(OP_RENAME, source).key, key(target), overwrite);
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return deletes.delete(operations.beginWrite(OP_DELETE, path), recursive);
  }

  // What is there.

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return lookup.status(operations.beginRead(OP_GET_FILE_STATUS, path));
  }

  @Override
  public boolean exists(Path path) throws IOException {
    return lookup.exists(operations.beginRead(OP_EXISTS, path));
  }

  @Override
  @Deprecated
  public boolean isFile(Path path) throws IOException {
    return lookup.isFile(operations.beginRead(OP_IS_FILE, path));
  }

  @Override
  @Deprecated
  public boolean isDirectory(Path path) throws IOException {
    return lookup.isDirectory(operations.beginRead(OP_IS_DIRECTORY, path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    List<FileStatus> statuses = new ArrayList<>();
    RemoteIterator<FileStatus> listing = listStatusIterator(path);
    while (listing.hasNext()) {
      statuses.add(listing.next());
    }
    return statuses.toArray(new FileStatus[0]);
  }

  @Override
  public RemoteIterator<FileStatus> listStatusIterator(Path path) throws IOException {
    return walk.statuses(operations.beginRead(OP_LIST_STATUS, path));
  }

  @Override
  protected RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path, PathFilter filter) throws IOException {
    return walk.located(operations.beginRead(OP_LIST_LOCATED_STATUS, path), filter);
  }

  @Override
  public RemoteIterator<LocatedFileStatus> listFiles(Path path, boolean recursive) throws IOException {
    return walk.files(operations.beginRead(OP_LIST_FILES, path), recursive);
  }

  /** Of a directory, by one flat listing. Directories without markers count, too. */
  @Override
  public ContentSummary getContentSummary(Path path) throws IOException {
    return walk.summary(operations.beginRead(OP_GET_CONTENT_SUMMARY, path));
  }

  /**
   * CRC-32C of the whole file, where {@code dfs.checksum.combine.mode} is {@code COMPOSITE_CRC} and the store tells one; else
   * null. It equals HDFS's for the same bytes.
   */
  @Override
  public FileChecksum getFileChecksum(Path path, long length) throws IOException {
    return lookup.checksum(operations.beginRead(OP_GET_FILE_CHECKSUM, path), length);
  }

  // What this can do, and did.

  @Override
  public boolean hasPathCapability(Path path, String capability) throws IOException {
    switch (validatePathCapabilityArgs(makeQualified(path), capability)) {
      case CommonPathCapabilities.ETAGS_AVAILABLE:
      case CommonPathCapabilities.FS_MULTIPART_UPLOADER:
      case CommonPathCapabilities.FS_PATHHANDLES:
      case CommonPathCapabilities.ABORTABLE_STREAM:
      case CommonPathCapabilities.VIRTUAL_BLOCK_LOCATIONS:
      case StoreOutputStream.CONDITIONAL_OVERWRITE:
      case CreateBuilder.CONTENT_TYPE:
      case CreateBuilder.IN_CLOSE:
      case CreateBuilder.PERFORMANCE:
      case CreateBuilder.S3A_PERFORMANCE:
        return true;
      case CommonPathCapabilities.FS_CHECKSUMS:
        return settings.crc32cChecksum();
      default:
        return super.hasPathCapability(path, capability);
    }
  }

  /** Operations and requests by Hadoop's names, and all that the store has recorded, as they are now. */
  @Override
  public IOStatistics getIOStatistics() {
    return operations.snapshot();
  }
}
