// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.oracle;

import com.oracle.bmc.hdfs.monitoring.OCIMetric;
import com.oracle.bmc.hdfs.monitoring.OCIMetricWithThroughput;
import io.github.storescope.hadoop.ForeignCall;
import io.github.storescope.hadoop.ForeignCall.Operation;
import io.github.storescope.hadoop.ForeignCall.Outcome;
import io.github.storescope.hadoop.Recording;
import io.github.storescope.hadoop.SharedScopes;
import java.io.IOException;

/**
 * What Oracle's connector tells of a call, in the words of storescope.
 *
 * <ul>
 *   <li>Times are whole milliseconds, cut off: 0 for what took less.
 *   <li>{@code READ} is a stream, not a request: from its first call, {@code getPos} among them, to its close, with what the
 *       reader did between. Its time to the first byte is left out: it is that of the stream's first read.
 *   <li>{@code WRITE} is a file or a directory's marker, {@code WRITE_PART} a file of several parts, each with the time between
 *       its first call and its close. Versions that tell {@code WRITE_CREATE_MULTIPART}, {@code …_COMMIT_…} and {@code …_ABORT_…}
 *       give all three, for each such file, the time and bytes of the file; they are left out.
 *   <li>{@code HEAD} that found nothing counts as one that ended well. Retries are inside of a call's time.
 *   <li>{@code DELETE} of an object that went by a {@code BATCH_DELETE} has the time 0; the batch has the true one.
 * </ul>
 */
final class OracleCall {

  private OracleCall() {}

  /** Records a call in the scope of this JVM that has this name. */
  static void record(OCIMetric metric, String scope) throws IOException {
    record(metric, SharedScopes.of(scope));
  }

  static void record(OCIMetric metric, Recording.Scope scope) {
    Operation operation = operation(metric.getKey());
    if (operation != null) {
      scope.recorded(operation, outcome(metric), Math.round(metric.getOverallTime() * 1e6), bytes(metric));
    }
  }

  /** Null for what is not recorded. */
  private static Operation operation(String key) {
    switch (key) {
      case "READ":
        return Operation.GET;
      case "HEAD":
        return Operation.HEAD;
      case "LIST":
        return Operation.LIST;
      case "WRITE":
        return Operation.PUT;
      case "WRITE_PART":
        return Operation.UPLOAD;
      case "DELETE":
        return Operation.DELETE;
      case "BATCH_DELETE":
        return Operation.DELETE_MANY;
      case "RENAME":
        return Operation.RENAME;
      default:
        return null;
    }
  }

  private static Outcome outcome(OCIMetric metric) {
    if (!metric.isError()) {
      return Outcome.OK;
    }
    Outcome outcome = Outcome.ofStatus(metric.getErrorStatusCode());
    // A response that was whole does not fail: what failed was not told.
    return outcome == Outcome.OK ? Outcome.SERVER : outcome;
  }

  private static long bytes(OCIMetric metric) {
    return metric instanceof OCIMetricWithThroughput
        ? (long) ((OCIMetricWithThroughput) metric).getBytesTransferred()
        : ForeignCall.NO_BYTES;
  }
}
