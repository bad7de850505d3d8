// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.apache.hadoop.fs.statistics.StoreStatisticNames.ACTION_HTTP_GET_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.MULTIPART_UPLOAD_PART_PUT;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_BULK_DELETE_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_DELETE_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_LIST_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_METADATA_REQUESTS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_MULTIPART_UPLOAD_INITIATED;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OBJECT_PUT_REQUEST;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_CREATE_NON_RECURSIVE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_DELETE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_EXISTS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_CONTENT_SUMMARY;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_FILE_CHECKSUM;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_GET_FILE_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_IS_DIRECTORY;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_IS_FILE;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_FILES;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_LOCATED_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_LIST_STATUS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_MKDIRS;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_OPEN;
import static org.apache.hadoop.fs.statistics.StoreStatisticNames.OP_RENAME;
import static org.apache.hadoop.fs.statistics.impl.IOStatisticsBinding.iostatisticsStore;

import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.statistics.IOStatistics;
import org.apache.hadoop.fs.statistics.IOStatisticsSnapshot;
import org.apache.hadoop.fs.statistics.impl.IOStatisticsStore;

/** The beginning of each operation of a FileSystem: it is open, its path is one of this bucket, and the operation counts. */
final class Operations {

  /** Requests, as the core names their counters and as Hadoop does. */
  private static final Map<String, String> REQUESTS =
      Map.of(
          "attempt_get_count", ACTION_HTTP_GET_REQUEST,
          "attempt_head_count", OBJECT_METADATA_REQUESTS,
          "attempt_list_count", OBJECT_LIST_REQUEST,
          "attempt_put_count", OBJECT_PUT_REQUEST,
          "attempt_delete_count", OBJECT_DELETE_REQUEST,
          "attempt_delete_many_count", OBJECT_BULK_DELETE_REQUEST,
          "attempt_upload_count", OBJECT_MULTIPART_UPLOAD_INITIATED,
          "attempt_put_part_count", MULTIPART_UPLOAD_PART_PUT);

  private final IOStatisticsStore counts =
      iostatisticsStore()
          .withCounters(
              OP_CREATE,
              OP_CREATE_NON_RECURSIVE,
              OP_DELETE,
              OP_EXISTS,
              OP_GET_CONTENT_SUMMARY,
              OP_GET_FILE_CHECKSUM,
              OP_GET_FILE_STATUS,
              OP_IS_DIRECTORY,
              OP_IS_FILE,
              OP_LIST_FILES,
              OP_LIST_LOCATED_STATUS,
              OP_LIST_STATUS,
              OP_MKDIRS,
              OP_OPEN,
              OP_RENAME)
          .build();

  private final Store store;
  private final ObjectPath.Resolver paths;
  private final FileSystem.Statistics statistics;

  Operations(Store store, ObjectPath.Resolver paths, FileSystem.Statistics statistics) {
    this.store = store;
    this.paths = paths;
    this.statistics = statistics;
  }

  ObjectPath beginRead(String operation, Path path) throws IOException {
    statistics.incrementReadOps(1);
    return begin(operation, path);
  }

  ObjectPath beginWrite(String operation, Path path) throws IOException {
    statistics.incrementWriteOps(1);
    return begin(operation, path);
  }

  private ObjectPath begin(String operation, Path path) throws IOException {
    store.checkOpen();
    counts.incrementCounter(operation, 1);
    return paths.of(path);
  }

  /** Hadoop's counts of this FileSystem's scheme. */
  FileSystem.Statistics statistics() {
    return statistics;
  }

  /** Operations and requests by Hadoop's names, and all that the store has recorded, as they are now. */
  IOStatistics snapshot() {
    IOStatisticsSnapshot snapshot = new IOStatisticsSnapshot(counts);
    RecordedStatistics recorded = RecordedStatistics.of(store::statistics);
    snapshot.counters().putAll(recorded.counters);
    REQUESTS.forEach((ours, name) -> snapshot.counters().put(name, recorded.counters.getOrDefault(ours, 0L)));
    snapshot.gauges().putAll(recorded.gauges);
    return snapshot;
  }
}
