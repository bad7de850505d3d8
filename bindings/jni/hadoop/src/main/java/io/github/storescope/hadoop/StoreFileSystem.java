// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.apache.hadoop.fs.impl.PathCapabilitiesSupport.validatePathCapabilityArgs;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.ACTION_HTTP_GET_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.MULTIPART_UPLOAD_PART_PUT;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_BULK_DELETE_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_DELETE_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_LIST_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_METADATA_REQUESTS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_MULTIPART_UPLOAD_INITIATED;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_PUT_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE_NON_RECURSIVE;
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
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_OPEN;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_RENAME;
import static org.apache.hadoop.fs.statistics.impl.IOStatisticsBinding.iostatisticsStore;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.CompositeCrcFileChecksum;
import org.apache.hadoop.fs.ContentSummary;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.InvalidPathException;
import org.apache.hadoop.fs.InvalidPathHandleException;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.MultipartUploaderBuilder;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Options.HandleOpt;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.impl.AbstractFSBuilderImpl;
import org.apache.hadoop.fs.impl.OpenFileParameters;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSnapshot;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.fs.statistics.impl.IOStatisticsStore;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.DataChecksum;
import org.apache.hadoop.util.Progressable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A bucket as a FileSystem: {@code oci://bucket@namespace/path}, and by configuration ({@code fs.s3a.impl}) {@code
 * s3a://bucket/path}.
 *
 * <p>A file is the object named like its path. A directory is a marker, an empty object whose name ends with {@code /}, or
 * whatever has objects below it; Oracle's connector sees the same files and directories. Of a name that is both, {@link Glance}
 * says which it is. {@code mkdirs} writes markers,
 * {@code create} does not; where the last file of a directory without one is deleted or renamed, one is written, so that
 * the directory stays, but in a committer's {@code _temporary}.
 *
 * <p>Files appear whole, when they are closed. A rename moves each object at once, but a directory object by object: if it
 * fails, the exception says how many were moved, and the same rename goes on. There is no append, no truncation, no times and permissions to set.
 *
 * <p>Of any number of threads. No method names a type that Hadoop 3.3.4 lacks, so that it can be looked through there, as
 * notebooks do; {@link BulkDeletingFileSystem} has what newer ones add.
 */
public class StoreFileSystem extends FileSystem implements IOStatisticsSource {

  private static final Logger LOG = LoggerFactory.getLogger(StoreFileSystem.class);

  private static final String OPEN_LENGTH = "fs.option.openfile.length";
  private static final String OPEN_POLICY = "fs.option.openfile.read.policy";
  private static final Set<String> OPEN_OPTIONS =
      Set.of(
          OPEN_LENGTH,
          OPEN_POLICY,
          "fs.option.openfile.split.start",
          "fs.option.openfile.split.end",
          "fs.option.openfile.buffer.size",
          "fs.option.openfile.footer.cache");
  /** Requests, as the core names their counters and as Hadoop does. */
  private static final Map<String, String> REQUESTS =
      Map.of(
          "attempt_get_count", ACTION_HTTP_GET_REQUEST,
          "attempt_head_count", OBJECT_METADATA_REQUESTS,
          "attempt_list_count", OBJECT_LIST_REQUEST,
          "attempt_put_count", OBJECT_PUT_REQUEST,
          "attempt_delete_count", OBJECT_DELETE_REQUEST,
          "attempt_delete_many_count", OBJECT_BULK_DELETE_REQUEST,
          "attempt_upload_count", OBJECT_MULTIPART_UPLOAD_INITIATED,
          "attempt_put_part_count", MULTIPART_UPLOAD_PART_PUT);
  private static final String[] NO_ABOUT = {};
  /** What HDFS tells beside a composite CRC. Comparisons leave it out. */
  private static final int BYTES_PER_CRC = 512;

  private final AtomicBoolean closed = new AtomicBoolean();
  private final AtomicBoolean unnamableTold = new AtomicBoolean();
  private final IOStatisticsStore operations =
      iostatisticsStore()
          .withCounters(
              OP_CREATE,
              OP_CREATE_NON_RECURSIVE,
              OP_DELETE,
              OP_EXISTS,
              OP_GET_CONTENT_SUMMARY,
              OP_GET_FILE_CHECKSUM,
              OP_GET_FILE_STATUS,
              OP_IS_DIRECTORY,
              OP_IS_FILE,
              OP_LIST_FILES,
              OP_LIST_LOCATED_STATUS,
              OP_LIST_STATUS,
              OP_MKDIRS,
              OP_OPEN,
              OP_RENAME)
          .build();

  private URI uri;
  private String user;
  private Keys keys;
  private Settings settings;
  private Store store;
  private KnownDirectories known;
  private Renames renames;
  private volatile Path workingDirectory;

  /** Called by Hadoop, which then calls {@link #initialize}. */
  public StoreFileSystem() {}

  /** No I/O. */
  @Override
  public void initialize(URI name, Configuration conf) throws IOException {
    settings = Settings.of(name, conf);
    uri = URI.create(name.getScheme() + "://" + name.getRawAuthority());
    super.initialize(name, conf);
    setConf(conf);
    keys = new Keys(uri);
    user = UserGroupInformation.getCurrentUser().getShortUserName();
    workingDirectory = new Path("/user", System.getProperty("user.name")).makeQualified(uri, null);
    store = new Store(settings, uri.toString());
    known = new KnownDirectories(settings.requireDirectoryMarker());
    renames = new Renames(this, keys, store, known);
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
   * The object's name.
   *
   * @throws InvalidPathException if the path leads out of the bucket, by {@code ..}
   */
  String key(Path path) {
    Path qualified = makeQualified(path);
    checkPath(qualified);
    String key = keys.of(qualified);
    if (!key.isEmpty() && !Keys.hasPath(key)) {
      throw new InvalidPathException(path.toString(), "it leads out of the bucket");
    }
    return key;
  }

  // Reading.

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    String key = beginRead(OP_OPEN, path);
    return open(path, key, policy(null, key));
  }

  @Override
  protected CompletableFuture<FSDataInputStream> openFileWithOptions(Path path, OpenFileParameters parameters)
      throws IOException {
    AbstractFSBuilderImpl.rejectUnknownMandatoryKeys(parameters.getMandatoryKeys(), OPEN_OPTIONS, "for " + path);
    CompletableFuture<FSDataInputStream> opened = new CompletableFuture<>();
    try {
      opened.complete(openWith(path, parameters));
    } catch (IOException | RuntimeException e) {
      opened.completeExceptionally(e);
    }
    return opened;
  }

  private FSDataInputStream openWith(Path path, OpenFileParameters parameters) throws IOException {
    String key = beginRead(OP_OPEN, path);
    Configuration options = parameters.getOptions();
    int policy = policy(options.get(OPEN_POLICY), key);
    FileStatus status = parameters.getStatus();
    if (status == null) {
      long length = length(options.getTrimmed(OPEN_LENGTH));
      return length < 0
          ? open(path, key, policy)
          : new FSDataInputStream(stream(path, key, length, null, policy));
    }
    if (!status.getPath().getName().equals(path.getName())) {
      throw new IllegalArgumentException("the status given is of " + status.getPath() + ", not of " + path);
    }
    if (status.isDirectory()) {
      throw new FileNotFoundException(path + " is a directory");
    }
    String etag = status instanceof EtagSource ? ((EtagSource) status).getEtag() : null;
    return new FSDataInputStream(stream(path, key, status.getLen(), etag, policy));
  }

  private int policy(String names, String key) {
    return ReadPolicy.of(names, settings.readPolicy(), key);
  }

  /** A length in bytes as options tell it; -1 for none, or for what is no whole number. */
  static long length(String option) {
    if (option == null) {
      return -1;
    }
    try {
      return Long.parseLong(option);
    } catch (NumberFormatException e) {
      return -1;
    }
  }

  /** The file's one entry. One request, and one more for an empty file: its name may be a directory's. */
  private Entries file(Path path, String key) throws IOException {
    Entries file = key.isEmpty() ? null : store.headToRead(key);
    if (file == null) {
      throw new FileNotFoundException(path + ": there is no such file");
    }
    if (file.sizes[0] == 0 && isDirectory(key)) {
      throw new FileNotFoundException(path + " is a directory");
    }
    return file;
  }

  /** The file that is there when it is first read. */
  private FSDataInputStream open(Path path, String key, int policy) throws IOException {
    Entries file = file(path, key);
    return new FSDataInputStream(stream(path, key, file.sizes[0], file.etags[0], policy).ofAnyVersion());
  }

  private StoreInputStream stream(Path path, String key, long size, String etag, int policy) throws IOException {
    return new StoreInputStream(store, makeQualified(path), key, size, etag, policy, statistics);
  }

  @Override
  protected PathHandle createPathHandle(FileStatus status, HandleOpt... options) {
    boolean moves = HandleOpt.getOpt(HandleOpt.Location.class, options).map(HandleOpt.Location::allowChange).orElse(false);
    boolean changes = HandleOpt.getOpt(HandleOpt.Data.class, options).map(HandleOpt.Data::allowChange).orElse(false);
    if (moves) {
      throw new UnsupportedOperationException("a file that was renamed is not found by a handle");
    }
    if (status.isDirectory()) {
      throw new IllegalArgumentException(status.getPath() + " is a directory");
    }
    String etag = status instanceof EtagSource ? ((EtagSource) status).getEtag() : null;
    if (!changes && etag == null) {
      throw new UnsupportedOperationException("the status of " + status.getPath() + " tells no ETag");
    }
    key(status.getPath());
    return new StorePathHandle(status.getPath().toString(), changes ? null : etag);
  }

  @Override
  public FSDataInputStream open(PathHandle handle, int bufferSize) throws IOException {
    StorePathHandle of = StorePathHandle.of(handle);
    Path path = new Path(of.path);
    String key = beginRead(OP_OPEN, path);
    Entries file = file(path, key);
    if (of.etag != null && !of.etag.equals(file.etags[0])) {
      throw new InvalidPathHandleException(path + " was replaced since its handle was made");
    }
    StoreInputStream in = stream(path, key, file.sizes[0], file.etags[0], policy(null, key));
    return new FSDataInputStream(of.etag == null ? in.ofAnyVersion() : in);
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
    return create(path, overwrite, true, false, NO_ABOUT);
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
    return create(path, flags, false);
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
    return create(path, flags, true);
  }

  /**
   * A new file, by flags. Those that want a file to be there ({@code APPEND}, or {@code OVERWRITE} without {@code CREATE})
   * ask for it first.
   */
  FSDataOutputStream create(Path path, EnumSet<CreateFlag> flags, boolean recursive) throws IOException {
    CreateFlag.validate(flags);
    boolean append = flags.contains(CreateFlag.APPEND);
    if (append || !flags.contains(CreateFlag.CREATE)) {
      boolean there = exists(path);
      CreateFlag.validate(path, there, flags);
      if (there && append) {
        return append(path);
      }
    }
    return create(path, flags.contains(CreateFlag.OVERWRITE), recursive, false, NO_ABOUT);
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
    return new CreateBuilder(this, path).create().overwrite(true);
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
    String key = beginWrite(recursive ? OP_CREATE : OP_CREATE_NON_RECURSIVE, path);
    if (key.isEmpty()) {
      throw new FileAlreadyExistsException(path + " is a directory");
    }
    boolean checked = !unchecked && !settings.createPerformance();
    if (checked) {
      checkCreate(path, key, overwrite, recursive);
    }
    int mode = overwrite && settings.overwriteAllowed() ? Native.MODE_OVERWRITE : Native.MODE_CREATE;
    StoreOutputStream out =
        new StoreOutputStream(store, makeQualified(path), key, mode, about, () -> known.wrote(key, checked));
    return new FSDataOutputStream(out, statistics);
  }

  private void checkCreate(Path path, String key, boolean overwrite, boolean recursive) throws IOException {
    String parent = Keys.parent(key);
    if (!recursive && !parent.isEmpty()) {
      Glance above = Glance.at(store, parent);
      if (above.isNothing()) {
        throw new FileNotFoundException(path + ": there is no directory " + keys.path(parent));
      }
      checkDirectory(above, parent);
      known.add(parent, above.hasMarker());
    }
    Deque<String> missing = missing(parent);
    if (missing.isEmpty() || settings.requireDirectoryMarker()) {
      checkFree(path, key, overwrite);
    }
    if (settings.requireDirectoryMarker()) {
      mark(missing);
    }
  }

  /** That no directory is at a new file's path, and no file unless it may be replaced. */
  private void checkFree(Path path, String key, boolean overwrite) throws IOException {
    if (overwrite) {
      if (isDirectory(key) && fileBeside(key) == null) {
        throw new FileAlreadyExistsException(path + " is a directory");
      }
      return;
    }
    Glance there = Glance.at(store, key);
    if (!there.isNothing()) {
      throw new FileAlreadyExistsException(path + (there.isFile() ? " already exists" : " is a directory"));
    }
  }

  /**
   * The directory and its ancestors that are not there, the uppermost first. One request for each that is not known.
   *
   * @throws ParentNotDirectoryException if one is a file
   */
  private Deque<String> missing(String directory) throws IOException {
    Deque<String> missing = new ArrayDeque<>();
    for (String at = directory; !known.contains(at); at = Keys.parent(at)) {
      Glance there = Glance.at(store, at);
      if (!there.isNothing()) {
        checkDirectory(there, at);
        known.add(at, there.hasMarker());
        break;
      }
      missing.push(at);
    }
    return missing;
  }

  private void checkDirectory(Glance there, String key) throws ParentNotDirectoryException {
    if (!there.isDirectory()) {
      throw new ParentNotDirectoryException(keys.path(key) + " is a file");
    }
  }

  private void mark(Iterable<String> directories) throws IOException {
    for (String directory : directories) {
      store.mark(directory);
      known.add(directory, true);
    }
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
    throw new UnsupportedOperationException("an object cannot be appended to: " + path);
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    String key = beginWrite(OP_MKDIRS, path);
    if (key.isEmpty()) {
      return true;
    }
    Glance there = Glance.at(store, key);
    if (there.isDirectory()) {
      known.add(key, there.hasMarker());
      return true;
    }
    if (there.isFile()) {
      throw new FileAlreadyExistsException(path + " is a file");
    }
    Deque<String> missing = missing(Keys.parent(key));
    missing.addLast(key);
    mark(missing);
    return true;
  }

  @Override
  public MultipartUploaderBuilder<?, ?> createMultipartUploader(Path base) throws IOException {
    store.checkOpen();
    return new StoreMultipartUploader.Builder(this, store, base);
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
    return renames.move(beginWrite(OP_RENAME, source), key(target));
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
    renames.rename(beginWrite(OP_RENAME, source), key(target), overwrite);
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    String key = beginWrite(OP_DELETE, path);
    if (key.isEmpty()) {
      return deleteRoot(recursive);
    }
    Glance there = Glance.at(store, key);
    if (!there.hasObject() && !there.isDirectory()) {
      return false;
    }
    if (!recursive && !there.isEmptyBelow()) {
      throw new PathIsNotEmptyDirectoryException(path.toString());
    }
    if (there.hasBelow()) {
      deleteDirectory(key, there);
    }
    if (there.hasObject()) {
      store.delete(key);
    }
    keep(Keys.parent(key));
    return true;
  }

  /** The bucket stays, empty; an empty one is deleted as often as one likes. */
  private boolean deleteRoot(boolean recursive) throws IOException {
    if (recursive) {
      known.remove("");
      store.deleteTree("");
    } else if (store.first("", 1).count() > 0) {
      throw new PathIsNotEmptyDirectoryException(uri + "/");
    }
    return true;
  }

  private void deleteDirectory(String key, Glance there) throws IOException {
    known.remove(key);
    String[] whole = there.wholeDirectory();
    if (whole == null) {
      store.deleteTree(Keys.marker(key));
      return;
    }
    String[] outcomes = store.deleteMany(whole);
    for (int at = 0; at < whole.length; at++) {
      if (outcomes[at] != null) {
        throw new PathIOException(keys.path(whole[at]).toString(), "not deleted: " + outcomes[at]);
      }
    }
  }

  /**
   * Sees to it that a directory that something was taken from stays. What was taken is gone, so that this does not fail: a
   * user who may not write here loses an empty directory.
   */
  void keep(String directory) {
    if (known.hasMarker(directory) || Keys.isScratch(directory)) {
      return;
    }
    try {
      String marker = Keys.marker(directory);
      Entries first = store.first(marker, 1);
      if (first.count() == 0) {
        store.mark(directory);
        known.add(directory, true);
      } else {
        known.add(directory, first.keys[0].equals(marker));
      }
    } catch (IOException e) {
      LOG.warn("{} may be gone with the last that was in it: no marker was written", keys.path(directory), e);
    }
  }

  /** Of this FileSystem, which must be open. */
  Store store() throws IOException {
    store.checkOpen();
    return store;
  }

  KnownDirectories known() {
    return known;
  }

  // What is there.

  /**
   * One request for a file, or a directory. Where a name looks like a file's, by a dot in it, there is one more for a
   * directory that is not known, or nothing.
   */
  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    String key = beginRead(OP_GET_FILE_STATUS, path);
    Path qualified = makeQualified(path);
    if (key.isEmpty() || (known.contains(key) && isDirectory(key))) {
      return StoreFileStatus.directory(user, qualified);
    }
    if (!store.asksForObjectFirst(key)) {
      Glance there = Glance.at(store, key);
      if (there.isFile()) {
        return status(there.object(), 0, qualified);
      }
      if (there.isDirectory()) {
        known.add(key, there.hasMarker());
        return StoreFileStatus.directory(user, qualified);
      }
      throw notFound(path);
    }
    Entries file = store.headToRead(key);
    if ((file == null || file.sizes[0] == 0) && isDirectory(key)) {
      known.add(key, false);
      return StoreFileStatus.directory(user, qualified);
    }
    if (file == null) {
      throw notFound(path);
    }
    return status(file, 0, qualified);
  }

  /**
   * The file of a directory's name, which its status tells; null where there is none. Asks only for a name that looks like a
   * file's, of a directory that is not known.
   */
  private Entries fileBeside(String key) throws IOException {
    if (key.isEmpty() || !store.asksForObjectFirst(key) || known.contains(key)) {
      return null;
    }
    Entries file = store.head(key);
    return file == null || file.sizes[0] == 0 ? null : file;
  }

  /** Whether anything makes the name a directory. */
  private boolean isDirectory(String key) throws IOException {
    String marker = Keys.marker(key);
    return isDirectory(store.first(marker, 1), marker);
  }

  /** Whether the first entries below a marker's name tell of a directory. */
  private boolean isDirectory(Entries first, String marker) {
    return first != null
        && first.count() > 0
        && (!settings.requireDirectoryMarker() || first.keys[0].equals(marker));
  }

  private StoreFileStatus status(Entries entries, int at, Path path) {
    return StoreFileStatus.file(
        entries.sizes[at], entries.modified[at], entries.etags[at], settings.blockSize(), user, path);
  }

  private static FileNotFoundException notFound(Path path) {
    return new FileNotFoundException(path + ": there is no such file or directory");
  }

  @Override
  public boolean exists(Path path) throws IOException {
    String key = beginRead(OP_EXISTS, path);
    return key.isEmpty() || !Glance.at(store, key).isNothing();
  }

  @Override
  @Deprecated
  public boolean isFile(Path path) throws IOException {
    String key = beginRead(OP_IS_FILE, path);
    if (key.isEmpty()) {
      return false;
    }
    if (!store.asksForObjectFirst(key)) {
      return Glance.at(store, key).isFile();
    }
    Entries file = store.head(key);
    return file != null && (file.sizes[0] > 0 || !isDirectory(key));
  }

  @Override
  @Deprecated
  public boolean isDirectory(Path path) throws IOException {
    String key = beginRead(OP_IS_DIRECTORY, path);
    return key.isEmpty() || Glance.at(store, key).isDirectory();
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
    String key = beginRead(OP_LIST_STATUS, path);
    return walk(
        path,
        key,
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

  @Override
  protected RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path, PathFilter filter) throws IOException {
    String key = beginRead(OP_LIST_LOCATED_STATUS, path);
    return walk(
        path,
        key,
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
  @Override
  public RemoteIterator<LocatedFileStatus> listFiles(Path path, boolean recursive) throws IOException {
    String key = beginRead(OP_LIST_FILES, path);
    return walk(
        path,
        key,
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
    return new StoreLocatedFileStatus(status, getFileBlockLocations(status, 0, status.getLen()));
  }

  /** What becomes of an entry of a listing: null leaves it out. */
  private interface Visit<T> {
    T file(StoreFileStatus status) throws IOException;

    T directory(StoreFileStatus status) throws IOException;
  }

  /** What is in a directory, without itself; a file alone. A directory that holds anything costs its pages. */
  private <T> RemoteIterator<T> walk(Path path, String key, boolean flat, Visit<T> visit) throws IOException {
    String marker = Keys.marker(key);
    Pages pages = store.list(marker, flat);
    Entries first = pages.next();
    boolean directory = key.isEmpty() || isDirectory(first, marker);
    Entries file = directory ? fileBeside(key) : store.head(key);
    if (directory && file == null) {
      known.add(key, false);
      return new Listing<T>(pages, first) {
        @Override
        T of(Entries page, int at) throws IOException {
          String name = page.keys[at];
          if (name.equals(marker) || !isNamable(name) || Doubles.hides(store::asksForObjectFirst, page, at)) {
            return null;
          }
          if (name.endsWith("/")) {
            return visit.directory(StoreFileStatus.directory(user, keys.path(name)));
          }
          return visit.file(status(page, at, keys.path(name)));
        }
      };
    }
    pages.close();
    if (file == null) {
      throw notFound(path);
    }
    return new Listing<T>(pages, file) {
      @Override
      T of(Entries page, int at) throws IOException {
        return visit.file(status(page, at, makeQualified(path)));
      }
    };
  }

  private boolean isNamable(String key) {
    if (Keys.hasPath(key)) {
      return true;
    }
    if (unnamableTold.compareAndSet(false, true)) {
      LOG.warn("{}: objects such as \"{}\" are not listed: no path of Hadoop names them", uri, key);
    }
    return false;
  }

  /** Of a directory, by one flat listing. Directories without markers count, too. */
  @Override
  public ContentSummary getContentSummary(Path path) throws IOException {
    String key = beginRead(OP_GET_CONTENT_SUMMARY, path);
    String marker = Keys.marker(key);
    ContentCount count = new ContentCount(marker, store::asksForObjectFirst);
    Entries file;
    try (Pages pages = store.list(marker, true)) {
      Entries page = pages.next();
      boolean directory = key.isEmpty() || isDirectory(page, marker);
      file = directory ? fileBeside(key) : store.head(key);
      if (directory && file == null) {
        for (; page != null; page = pages.next()) {
          count.add(page);
        }
        return count.summary();
      }
    }
    if (file == null) {
      throw notFound(path);
    }
    return new ContentSummary.Builder()
        .length(file.sizes[0])
        .fileCount(1)
        .spaceConsumed(file.sizes[0])
        .build();
  }

  /**
   * CRC-32C of the whole file, where {@code dfs.checksum.combine.mode} is {@code COMPOSITE_CRC} and the store tells one; else
   * null. It equals HDFS's for the same bytes.
   */
  @Override
  public FileChecksum getFileChecksum(Path path, long length) throws IOException {
    String key = beginRead(OP_GET_FILE_CHECKSUM, path);
    if (length < 0) {
      throw new IllegalArgumentException("a checksum of " + length + " bytes");
    }
    if (!settings.crc32cChecksum()) {
      return null;
    }
    Entries file = key.isEmpty() ? null : store.head(key);
    if (file == null) {
      throw new FileNotFoundException(path + ": there is no such file");
    }
    if (length < file.sizes[0] || file.crc32c[0] == Entries.NO_CHECKSUM) {
      return null;
    }
    return new CompositeCrcFileChecksum((int) file.crc32c[0], DataChecksum.Type.CRC32C, BYTES_PER_CRC);
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
      case CreateBuilder.CONDITIONAL_OVERWRITE:
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
    IOStatisticsSnapshot snapshot = new IOStatisticsSnapshot(operations);
    Recordings recorded = Recordings.of(store::statistics);
    snapshot.counters().putAll(recorded.counters);
    REQUESTS.forEach((ours, name) -> snapshot.counters().put(name, recorded.counters.getOrDefault(ours, 0L)));
    snapshot.gauges().putAll(recorded.gauges);
    return snapshot;
  }

  private String beginRead(String operation, Path path) throws IOException {
    statistics.incrementReadOps(1);
    return begin(operation, path);
  }

  private String beginWrite(String operation, Path path) throws IOException {
    statistics.incrementWriteOps(1);
    return begin(operation, path);
  }

  /** Checks, counts, and gives the object's name. */
  private String begin(String operation, Path path) throws IOException {
    store.checkOpen();
    operations.incrementCounter(operation, 1);
    return key(path);
  }
}
