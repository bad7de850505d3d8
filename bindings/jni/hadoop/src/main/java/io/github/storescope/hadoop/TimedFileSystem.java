// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.ContentSummary;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FilterFileSystem;
import org.apache.hadoop.fs.FutureDataInputStreamBuilder;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.MultipartUploaderBuilder;
import org.apache.hadoop.fs.Options.ChecksumOpt;
import org.apache.hadoop.fs.Options.Rename;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathFilter;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.QuotaUsage;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.StorageStatistics;
import org.apache.hadoop.fs.StorageType;
import org.apache.hadoop.fs.impl.OpenFileParameters;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSource;
import org.apache.hadoop.fs.statistics.IOStatisticsSupport;
import org.apache.hadoop.util.Progressable;

/**
 * A FileSystem that is not ours, timed: {@code fs.SCHEME.impl} names this class, {@code fs.storescope-timed.SCHEME.impl} the
 * one that it times, where that is not what Hadoop has for the scheme by itself. {@link TimedFileSystems#install} sets both.
 *
 * <p>Everything is passed on. Reads, files written, and the calls that ask a store for something are recorded as calls
 * without phases in the scope that is current ({@link Recording#current}); where there is none, nothing is, and streams are
 * the FileSystem's own. How, say {@link TimedInputStream}, {@link TimedOutputStream} and {@link TimedListing}.
 *
 * <p>A cast to the class that is timed fails. {@link TimedFileSystems} says for whom that matters.
 */
public class TimedFileSystem extends FilterFileSystem implements IOStatisticsSource {

  /** HDFS's {@code BatchListingOperations} and {@code LeaseRecoverable}. */
  private static final Set<String> CASTS =
      Set.of(CommonPathCapabilities.FS_EXPERIMENTAL_BATCH_LISTING, CommonPathCapabilities.LEASE_RECOVERABLE);

  /** Called by Hadoop, which then calls {@link #initialize}. */
  public TimedFileSystem() {}

  /**
   * Makes the FileSystem that is timed; Hadoop's cache does not hold it.
   *
   * @throws IOException if its class is missing, or is none that can be timed
   */
  @Override
  public void initialize(URI name, Configuration conf) throws IOException {
    // Not FileSystem's: it would make statistics of this class for the scheme, beside those that are counted.
    fs = TimedFileSystems.make(name, conf);
    fs.initialize(name, conf);
  }

  @Override
  public String getScheme() {
    return fs.getScheme();
  }

  /** Does nothing where there is no FileSystem to be timed. */
  @Override
  public void close() throws IOException {
    if (fs != null) {
      super.close();
    }
  }

  // Reading.

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return TimedCalls.open(() -> fs.open(path, bufferSize));
  }

  @Override
  public FSDataInputStream open(PathHandle handle, int bufferSize) throws IOException {
    return TimedCalls.open(() -> fs.open(handle, bufferSize));
  }

  /** One that ends at {@link #openFileWithOptions}, as those of all FileSystems do. */
  @Override
  public FutureDataInputStreamBuilder openFile(Path path) {
    return createDataInputStreamBuilder(this, path);
  }

  @Override
  public FutureDataInputStreamBuilder openFile(PathHandle handle) {
    return createDataInputStreamBuilder(this, handle);
  }

  @Override
  protected CompletableFuture<FSDataInputStream> openFileWithOptions(Path path, OpenFileParameters parameters)
      throws IOException {
    return TimedCalls.openAsync(() -> super.openFileWithOptions(path, parameters));
  }

  @Override
  protected CompletableFuture<FSDataInputStream> openFileWithOptions(PathHandle handle, OpenFileParameters parameters)
      throws IOException {
    return TimedCalls.openAsync(() -> super.openFileWithOptions(handle, parameters));
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
    return TimedCalls.create(
        () -> fs.create(path, permission, overwrite, bufferSize, replication, blockSize, progress));
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress,
      ChecksumOpt checksum)
      throws IOException {
    return TimedCalls.create(
        () -> fs.create(path, permission, flags, bufferSize, replication, blockSize, progress, checksum));
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
        () -> fs.createNonRecursive(path, permission, flags, bufferSize, replication, blockSize, progress));
  }

  @Override
  @SuppressWarnings("deprecation")
  protected FSDataOutputStream primitiveCreate(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress,
      ChecksumOpt checksum)
      throws IOException {
    return TimedCalls.create(
        () -> super.primitiveCreate(path, permission, flags, bufferSize, replication, blockSize, progress, checksum));
  }

  @Override
  public boolean createNewFile(Path path) throws IOException {
    return TimedCalls.of(Operation.PUT, () -> fs.createNewFile(path));
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
    return TimedCalls.create(() -> fs.append(path, bufferSize, progress));
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress, boolean newBlock)
      throws IOException {
    return TimedCalls.create(() -> fs.append(path, bufferSize, progress, newBlock));
  }

  @Override
  @SuppressWarnings("rawtypes")
  public FSDataOutputStreamBuilder createFile(Path path) {
    return new TimedCreateBuilder(fs, path, fs.createFile(path));
  }

  @Override
  @SuppressWarnings("rawtypes")
  public FSDataOutputStreamBuilder appendFile(Path path) {
    return new TimedCreateBuilder(fs, path, fs.appendFile(path));
  }

  @Override
  public MultipartUploaderBuilder<?, ?> createMultipartUploader(Path base) throws IOException {
    return fs.createMultipartUploader(base);
  }

  // What is there.

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return TimedCalls.of(Operation.HEAD, () -> fs.getFileStatus(path));
  }

  @Override
  public boolean exists(Path path) throws IOException {
    return TimedCalls.of(Operation.HEAD, () -> fs.exists(path));
  }

  @Override
  @SuppressWarnings("deprecation")
  public boolean isDirectory(Path path) throws IOException {
    return TimedCalls.of(Operation.HEAD, () -> fs.isDirectory(path));
  }

  @Override
  @SuppressWarnings("deprecation")
  public boolean isFile(Path path) throws IOException {
    return TimedCalls.of(Operation.HEAD, () -> fs.isFile(path));
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return TimedCalls.of(Operation.LIST, () -> fs.listStatus(path));
  }

  @Override
  public RemoteIterator<FileStatus> listStatusIterator(Path path) throws IOException {
    return TimedCalls.list(() -> fs.listStatusIterator(path));
  }

  @Override
  public RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path) throws IOException {
    return TimedCalls.list(() -> fs.listLocatedStatus(path));
  }

  @Override
  protected RemoteIterator<LocatedFileStatus> listLocatedStatus(Path path, PathFilter filter)
      throws FileNotFoundException, IOException {
    return TimedCalls.list(() -> super.listLocatedStatus(path, filter));
  }

  @Override
  public RemoteIterator<LocatedFileStatus> listFiles(Path path, boolean recursive) throws IOException {
    return TimedCalls.list(() -> fs.listFiles(path, recursive));
  }

  @Override
  public ContentSummary getContentSummary(Path path) throws IOException {
    return TimedCalls.of(Operation.LIST, () -> fs.getContentSummary(path));
  }

  @Override
  public BlockLocation[] getFileBlockLocations(Path path, long start, long length) throws IOException {
    return fs.getFileBlockLocations(path, start, length);
  }

  @Override
  public QuotaUsage getQuotaUsage(Path path) throws IOException {
    return fs.getQuotaUsage(path);
  }

  // Changes.

  @Override
  public boolean mkdirs(Path path) throws IOException {
    return TimedCalls.of(Operation.PUT, () -> fs.mkdirs(path));
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    return TimedCalls.of(Operation.PUT, () -> fs.mkdirs(path, permission));
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return TimedCalls.of(Operation.DELETE, () -> fs.delete(path, recursive));
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    return TimedCalls.of(Operation.RENAME, () -> fs.rename(from, to));
  }

  @Override
  protected void rename(Path from, Path to, Rename... options) throws IOException {
    TimedCalls.of(
        Operation.RENAME,
        () -> {
          super.rename(from, to, options);
          return null;
        });
  }

  @Override
  public void setQuota(Path path, long names, long space) throws IOException {
    fs.setQuota(path, names, space);
  }

  @Override
  public void setQuotaByStorageType(Path path, StorageType type, long quota) throws IOException {
    fs.setQuotaByStorageType(path, type, quota);
  }

  // What it tells of itself.

  /** What the FileSystem that is timed can do, but for what a caller has by a cast. */
  @Override
  public boolean hasPathCapability(Path path, String capability) throws IOException {
    return !CASTS.contains(capability.toLowerCase(Locale.ROOT)) && fs.hasPathCapability(path, capability);
  }

  @Override
  public StorageStatistics getStorageStatistics() {
    return fs.getStorageStatistics();
  }

  /** Those of the FileSystem that is timed; null if it has none. */
  @Override
  public IOStatistics getIOStatistics() {
    return IOStatisticsSupport.retrieveIOStatistics(fs);
  }

  @Override
  public String toString() {
    return "TimedFileSystem{" + fs + "}";
  }
}
