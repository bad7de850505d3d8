// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.PathIOException;

/**
 * The bucket does not exist, or this user may not know that it does: OCI answers both alike. Nothing is known of the path;
 * so it is no FileNotFoundException, which Spark and others take for an empty table. S3A has one of the same name.
 */
public final class UnknownStoreException extends PathIOException {

  private static final long serialVersionUID = 1L;

  UnknownStoreException(String path, String message) {
    super(path, message);
  }
}
