// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import io.github.storescope.hadoop.ForeignCall.Operation;
import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.BulkDelete;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.statistics.IOStatistics;

/**
 * A {@link TimedFileSystem} with the bulk deletes of the one that it times. Hadoop has them from 3.4.1 on; before, this class
 * cannot be looked into.
 */
public class TimedBulkDeletingFileSystem extends TimedFileSystem {

  /** Called by Hadoop, which then calls {@link #initialize}. */
  public TimedBulkDeletingFileSystem() {}

  @Override
  public BulkDelete createBulkDelete(Path base) throws IOException {
    BulkDelete bulk = fs.createBulkDelete(base);
    return new BulkDelete() {
      @Override
      public int pageSize() {
        return bulk.pageSize();
      }

      @Override
      public Path basePath() {
        return bulk.basePath();
      }

      @Override
      public List<Map.Entry<Path, String>> bulkDelete(Collection<Path> paths) throws IOException {
        return TimedCalls.of(Operation.DELETE_MANY, () -> bulk.bulkDelete(paths));
      }

      @Override
      public void close() throws IOException {
        bulk.close();
      }

      @Override
      public IOStatistics getIOStatistics() {
        return bulk.getIOStatistics();
      }
    };
  }
}
