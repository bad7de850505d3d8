// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.apache.hadoop.fs.InvalidPathHandleException;
import org.apache.hadoop.fs.PathHandle;

/**
 * A file that is found again by its name, and is the same by its ETag, if the handle holds one. A store finds nothing that
 * was renamed.
 */
final class StorePathHandle implements PathHandle {

  private static final long serialVersionUID = 1L;

  /** The first bytes: "scp" and the version of what follows. */
  private static final int MAGIC = 0x73637001;

  final String path;
  /** The only content that the handle opens; null for any. */
  final String etag;

  StorePathHandle(String path, String etag) {
    this.path = path;
    this.etag = etag;
  }

  /** Of bytes that {@link #bytes} gave. */
  static StorePathHandle of(PathHandle handle) throws InvalidPathHandleException {
    if (handle instanceof StorePathHandle) {
      return (StorePathHandle) handle;
    }
    ByteBuffer bytes = handle.bytes().duplicate();
    byte[] copy = new byte[bytes.remaining()];
    bytes.get(copy);
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(copy))) {
      if (in.readInt() == MAGIC) {
        String path = readString(in);
        String etag = readString(in);
        if (path != null && in.available() == 0) {
          return new StorePathHandle(path, etag);
        }
      }
    } catch (IOException e) {
      throw new InvalidPathHandleException("not a handle of this FileSystem", e);
    }
    throw new InvalidPathHandleException("not a handle of this FileSystem");
  }

  @Override
  public ByteBuffer bytes() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeInt(MAGIC);
      writeString(out, path);
      writeString(out, etag);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return ByteBuffer.wrap(bytes.toByteArray());
  }

  private static void writeString(DataOutputStream out, String text) throws IOException {
    if (text == null) {
      out.writeInt(-1);
      return;
    }
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(utf8.length);
    out.write(utf8);
  }

  private static String readString(DataInputStream in) throws IOException {
    int length = in.readInt();
    if (length == -1) {
      return null;
    }
    if (length < 0 || length > in.available()) {
      throw new IOException("a length of " + length);
    }
    byte[] utf8 = new byte[length];
    in.readFully(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PathHandle && bytes().equals(((PathHandle) other).bytes());
  }

  @Override
  public int hashCode() {
    return bytes().hashCode();
  }

  @Override
  public String toString() {
    return "PathHandle{" + path + ", ETag " + Objects.requireNonNullElse(etag, "any") + "}";
  }
}
