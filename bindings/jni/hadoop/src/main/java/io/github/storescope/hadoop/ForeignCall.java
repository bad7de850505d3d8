// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.PathPermissionException;
import org.apache.hadoop.security.AccessControlException;

/**
 * What is told of a call that a client of others made: a FileSystem that is timed, or a connector that tells its own figures.
 * See {@link Recording.Scope#recorded}.
 */
public final class ForeignCall {

  /** Of a call without payload, or of one whose payload is not known. */
  public static final long NO_BYTES = -1;

  private ForeignCall() {}

  /** What was asked for; the core's names. The native half knows them by their order ({@code scopes.rs}). */
  public enum Operation {
    /** A read. */
    GET,
    /** What is known of a file: its status, or its opening. */
    HEAD,
    /** A file written, or a directory made. */
    PUT,
    /** A listing. */
    LIST,
    /** A removal. */
    DELETE,
    /** A change of a name. */
    RENAME,
    /** A copy inside the store. */
    COPY,
    /** A file written by parts. */
    UPLOAD,
    /** Many removals by one request. */
    DELETE_MANY,
  }

  /** How it ended; the core's names, by their order, too. */
  public enum Outcome {
    /** Well. */
    OK,
    /** There is no such file. */
    NOT_FOUND,
    /** Something is there already. */
    PRECONDITION,
    /** The caller may not. */
    AUTH,
    /** The store was asked too often. */
    THROTTLED,
    /** The call could not be done as it was asked for. */
    CLIENT,
    /** It failed on the other side, or nothing tells where. */
    SERVER,
    /** There was no connection. */
    CONNECT,
    /** It took too long. */
    TIMEOUT,
    /** The connection broke. */
    RESET,
    /** The caller gave it up. */
    CANCELLED;

    /** That of a call which failed with this. */
    public static Outcome of(Throwable failure) {
      Throwable cause = failure;
      while ((cause instanceof CompletionException || cause instanceof ExecutionException) && cause.getCause() != null) {
        cause = cause.getCause();
      }
      if (cause instanceof FileNotFoundException) {
        return NOT_FOUND;
      } else if (cause instanceof FileAlreadyExistsException) {
        return PRECONDITION;
      } else if (cause instanceof AccessDeniedException
          || cause instanceof AccessControlException
          || cause instanceof PathPermissionException) {
        return AUTH;
      } else if (cause instanceof SocketTimeoutException) {
        return TIMEOUT;
      } else if (cause instanceof InterruptedIOException
          || cause instanceof ClosedByInterruptException
          || cause instanceof CancellationException) {
        return CANCELLED;
      } else if (cause instanceof ConnectException) {
        return CONNECT;
      } else if (cause instanceof SocketException) {
        return RESET;
      } else if (cause instanceof EOFException || cause instanceof RuntimeException) {
        return CLIENT;
      }
      return SERVER;
    }

    /** That of a response with this HTTP status; 0 where none is known. */
    public static Outcome ofStatus(int status) {
      switch (status) {
        case 404:
          return NOT_FOUND;
        case 304:
        case 409:
        case 412:
          return PRECONDITION;
        case 401:
        case 403:
          return AUTH;
        case 429:
          return THROTTLED;
        default:
          if (status / 100 == 2) {
            return OK;
          }
          return status >= 300 && status < 500 ? CLIENT : SERVER;
      }
    }
  }
}
