// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_OPEN;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.InvalidPathHandleException;
import org.apache.hadoop.fs.Options.HandleOpt;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.impl.AbstractFSBuilderImpl;
import org.apache.hadoop.fs.impl.OpenFileParameters;

/** Opens files to be read: by a path, with options, by a handle. */
final class FileOpener {

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

  private final Store store;
  private final Operations operations;
  private final FileLookup lookup;

  FileOpener(Store store, Operations operations, FileLookup lookup) {
    this.store = store;
    this.operations = operations;
    this.lookup = lookup;
  }

  FSDataInputStream open(Path path) throws IOException {
    ObjectPath file = operations.beginRead(OP_OPEN, path);
    return open(file, policy(null, file.key));
  }

  /** That all options that must be known are. */
  static void checkOptions(Path path, OpenFileParameters parameters) {
    AbstractFSBuilderImpl.rejectUnknownMandatoryKeys(parameters.getMandatoryKeys(), OPEN_OPTIONS, "for " + path);
  }

  FSDataInputStream open(Path path, OpenFileParameters parameters) throws IOException {
    ObjectPath file = operations.beginRead(OP_OPEN, path);
    Configuration options = parameters.getOptions();
    int policy = policy(options.get(OPEN_POLICY), file.key);
    FileStatus status = parameters.getStatus();
    if (status == null) {
      long length = length(options.getTrimmed(OPEN_LENGTH));
      return length < 0 ? open(file, policy) : new FSDataInputStream(stream(file, length, null, policy));
    }
    if (!status.getPath().getName().equals(path.getName())) {
      throw new IllegalArgumentException("the status given is of " + status.getPath() + ", not of " + path);
    }
    if (status.isDirectory()) {
      throw new FileNotFoundException(path + " is a directory");
    }
    return new FSDataInputStream(stream(file, status.getLen(), etag(status), policy));
  }

  private int policy(String names, String key) {
    return ReadPolicy.of(names, store.settings().readPolicy(), key);
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

  /** The file that is there when it is first read. */
  private FSDataInputStream open(ObjectPath path, int policy) throws IOException {
    Entries file = lookup.toRead(path);
    return new FSDataInputStream(stream(path, file.sizes[0], file.etags[0], policy).ofAnyVersion());
  }

  private StoreInputStream stream(ObjectPath path, long size, String etag, int policy) throws IOException {
    return new StoreInputStream(store, path.qualified, path.key, size, etag, policy, operations.statistics());
  }

  private static String etag(FileStatus status) {
    return status instanceof EtagSource ? ((EtagSource) status).getEtag() : null;
  }

  /** A handle of a file with this status. */
  static PathHandle handle(FileStatus status, HandleOpt... options) {
    boolean moves = HandleOpt.getOpt(HandleOpt.Location.class, options).map(HandleOpt.Location::allowChange).orElse(false);
    boolean changes = HandleOpt.getOpt(HandleOpt.Data.class, options).map(HandleOpt.Data::allowChange).orElse(false);
    if (moves) {
      throw new UnsupportedOperationException("a file that was renamed is not found by a handle");
    }
    if (status.isDirectory()) {
      throw new IllegalArgumentException(status.getPath() + " is a directory");
    }
    String etag = etag(status);
    if (!changes && etag == null) {
      throw new UnsupportedOperationException("the status of " + status.getPath() + " tells no ETag");
    }
    return new StorePathHandle(status.getPath().toString(), changes ? null : etag);
  }

  FSDataInputStream open(PathHandle handle) throws IOException {
    StorePathHandle of = StorePathHandle.of(handle);
    ObjectPath path = operations.beginRead(OP_OPEN, new Path(of.path));
    Entries file = lookup.toRead(path);
    if (of.etag != null && !of.etag.equals(file.etags[0])) {
      throw new InvalidPathHandleException(path + " was replaced since its handle was made");
    }
    StoreInputStream in = stream(path, file.sizes[0], file.etags[0], policy(null, path.key));
    return new FSDataInputStream(of.etag == null ? in.ofAnyVersion() : in);
  }
}
