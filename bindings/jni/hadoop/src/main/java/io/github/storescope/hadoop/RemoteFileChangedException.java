// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.PathIOException;

/** An object was replaced while it was read: its bytes would be of two versions. Open it again. */
public final class RemoteFileChangedException extends PathIOException {

  private static final long serialVersionUID = 1L;

  RemoteFileChangedException(String path, String message) {
    super(path, message);
  }
}
