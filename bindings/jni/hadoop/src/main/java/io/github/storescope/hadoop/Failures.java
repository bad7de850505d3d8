// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.nio.file.AccessDeniedException;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.PathIOException;

/** The exceptions that Hadoop's users know, made of the core's errors. */
final class Failures {

  private Failures() {}

  /**
   * Called from native code.
   *
   * @param thrown the number of what {@link Credentials} threw, which is the cause; 0 for nothing
   */
  static IOException of(String kind, String object, String message, long thrown) {
    IOException made = of(kind, object, message);
    Throwable cause = GivenCredentials.thrown(thrown);
    if (cause != null && made.getCause() == null) {
      made.initCause(cause);
    }
    return made;
  }

  /**
   * The exception for a kind of error.
   *
   * @param kind the core's name of the kind of error, in snake case
   * @param object the object's URL; may be null
   * @param message all that the core knows: operation, status, code, request id, attempts, what to do
   */
  static IOException of(String kind, String object, String message) {
    String path = object == null ? "" : object;
    switch (kind) {
      case "not_found":
        return new FileNotFoundException(message);
      case "bucket_not_found":
        return new UnknownStoreException(path, message);
      case "already_exists":
        return new FileAlreadyExistsException(message);
      case "unauthenticated":
      case "permission_denied":
        return new AccessDeniedException(path, null, message);
      case "changed":
      case "precondition":
        return new RemoteFileChangedException(path, message);
      case "invalid_range":
        return new EOFException(message);
      case "cancelled":
      case "interrupted":
        return new InterruptedIOException(message);
      case "timeout":
        return new SocketTimeoutException(message);
      case "connect":
        return new ConnectException(message);
      default:
        return path.isEmpty() ? new IOException(message) : new PathIOException(path, message);
    }
  }
}
