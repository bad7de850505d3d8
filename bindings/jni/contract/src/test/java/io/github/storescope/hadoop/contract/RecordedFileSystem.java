// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import io.github.storescope.hadoop.Recording;
import io.github.storescope.hadoop.TimedBulkDeletingFileSystem;
import java.io.IOException;
import java.io.UncheckedIOException;

/** The FileSystem under test behind the one that times others: all calls of the JVM in one scope. {@code run.py --timed}. */
public final class RecordedFileSystem extends TimedBulkDeletingFileSystem {

  static {
    try {
      Recording.Scope all = new Recording.Scope("contract");
      Recording.attribute(() -> all);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
