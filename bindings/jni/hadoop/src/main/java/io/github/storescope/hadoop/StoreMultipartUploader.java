// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.apache.hadoop.fs.BBPartHandle;
import org.apache.hadoop.fs.BBUploadHandle;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.PartHandle;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathHandle;
import org.apache.hadoop.fs.UploadHandle;
import org.apache.hadoop.fs.impl.AbstractMultipartUploader;
import org.apache.hadoop.fs.impl.MultipartUploaderBuilderImpl;
import org.apache.hadoop.fs.statistics.IOStatistics;

/**
 * Uploads by parts, which several processes may share: an upload's handle is the store's id, a part's is its number and tag.
 * Each call is done when it returns.
 */
final class StoreMultipartUploader extends AbstractMultipartUploader {

  private final ObjectPath.Resolver paths;
  private final Operations operations;
  private final Store store;

  private StoreMultipartUploader(ObjectPath.Resolver paths, Operations operations, Store store, Path base) {
    super(base);
    this.paths = paths;
    this.operations = operations;
    this.store = store;
  }

  /** Makes one. */
  static final class Builder extends MultipartUploaderBuilderImpl<StoreMultipartUploader, Builder> {

    private final ObjectPath.Resolver paths;
    private final Operations operations;
    private final Store store;

    Builder(FileSystem fs, ObjectPath.Resolver paths, Operations operations, Store store, Path base) {
      super(fs, base);
      this.paths = paths;
      this.operations = operations;
      this.store = store;
    }

    @Override
    public Builder getThisBuilder() {
      return this;
    }

    @Override
    public StoreMultipartUploader build() {
      return new StoreMultipartUploader(paths, operations, store, getPath());
    }
  }

  /** By names of objects: {@code /a/bc} is not below {@code /a/b}. */
  @Override
  protected void checkPath(Path path) {
    Objects.requireNonNull(path, "null path");
    String base = paths.of(getBasePath()).key;
    String key = paths.of(path).key;
    if (!key.equals(base) && !ObjectNames.isBelow(key, base)) {
      throw new IllegalArgumentException(path + " is not below " + getBasePath());
    }
  }

  @Override
  public CompletableFuture<UploadHandle> startUpload(Path path) {
    checkPath(path);
    return done(() -> BBUploadHandle.from(ByteBuffer.wrap(utf8(store.beginUpload(paths.of(path).key)))));
  }

  @Override
  public CompletableFuture<PartHandle> putPart(
      UploadHandle upload, int number, boolean last, Path path, InputStream in, long length) {
    return putPart(upload, number, path, in, length);
  }

  /** What Hadoop's releases before 3.4.0 call. */
  public CompletableFuture<PartHandle> putPart(
      UploadHandle upload, int number, Path path, InputStream in, long length) {
    checkPutArguments(path, in, number, upload, length);
    checkUploadId(upload.toByteArray());
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("a part of " + length + " bytes: at most " + (Integer.MAX_VALUE - 8) + " go");
    }
    return done(
        () -> {
          byte[] bytes;
          try (InputStream part = in) {
            bytes = part.readNBytes((int) length);
          }
          if (bytes.length < length) {
            throw new EOFException(
                "part " + number + " of " + path + ": its stream ended after " + bytes.length + " of " + length + " bytes");
          }
          String tag = store.putPart(paths.of(path).key, text(upload.toByteArray()), number, bytes);
          return BBPartHandle.from(ByteBuffer.wrap(utf8(number + " " + tag)));
        });
  }

  @Override
  public CompletableFuture<PathHandle> complete(UploadHandle upload, Path path, Map<Integer, PartHandle> handles) {
    checkPath(path);
    checkUploadId(upload.toByteArray());
    checkPartHandles(handles);
    int[] numbers = new int[handles.size()];
    String[] tags = new String[handles.size()];
    int at = 0;
    for (Map.Entry<Integer, PartHandle> part : new TreeMap<>(handles).entrySet()) {
      String handle = text(part.getValue().toByteArray());
      String number = part.getKey() + " ";
      if (!handle.startsWith(number)) {
        throw new IllegalArgumentException("the handle given for part " + part.getKey() + " of " + path + " is not that part's");
      }
      numbers[at] = part.getKey();
      tags[at] = handle.substring(number.length());
      at++;
    }
    return done(
        () -> {
          ObjectPath file = paths.of(path);
          String key = file.key;
          if (store.first(ObjectNames.marker(key), 1).count() > 0) {
            throw new FileAlreadyExistsException(path + " is a directory");
          }
          Entries made = store.completeUpload(key, text(upload.toByteArray()), numbers, tags);
          return new StorePathHandle(file.qualified.toString(), made.etags[0]);
        });
  }

  @Override
  public CompletableFuture<Void> abort(UploadHandle upload, Path path) {
    checkPath(path);
    checkUploadId(upload.toByteArray());
    return done(
        () -> {
          store.abortUpload(paths.of(path).key, text(upload.toByteArray()));
          return null;
        });
  }

  @Override
  public CompletableFuture<Integer> abortUploadsUnderPath(Path path) {
    checkPath(path);
    return done(
        () -> {
          String directory = paths.of(path).key;
          String[] uploads = store.uploads(directory);
          int aborted = 0;
          for (int at = 0; at < uploads.length; at += 2) {
            if (uploads[at].equals(directory) || ObjectNames.isBelow(uploads[at], directory)) {
              store.abortUpload(uploads[at], uploads[at + 1]);
              aborted++;
            }
          }
          return aborted;
        });
  }

  @Override
  public IOStatistics getIOStatistics() {
    return operations.snapshot();
  }

  private interface Call<T> {
    T run() throws IOException;
  }

  private static <T> CompletableFuture<T> done(Call<T> call) {
    CompletableFuture<T> future = new CompletableFuture<>();
    try {
      future.complete(call.run());
    } catch (IOException | RuntimeException e) {
      future.completeExceptionally(e);
    }
    return future;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }
}
