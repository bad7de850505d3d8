// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.oracle;

import com.oracle.bmc.hdfs.monitoring.OCIMetric;
import com.oracle.bmc.hdfs.monitoring.OCIMonitorConsumerPlugin;
import com.oracle.bmc.hdfs.store.BmcPropertyAccessor;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records what Oracle's connector tells of its own calls in the scope {@code oracle} of this JVM, beside what storescope
 * measures: {@code fs.oci.mon.consumer.plugins=io.github.storescope.oracle.StorescopeMonitor}, and any text for {@code
 * fs.oci.mon.grouping.cluster.id}, without which the connector tells nothing. What its figures mean, says {@link OracleCall}.
 *
 * <p>Whatever goes wrong here, storescope's jar missing among it, is logged once; the connector never sees it.
 */
public final class StorescopeMonitor extends OCIMonitorConsumerPlugin {

  /** The name of the scope. */
  public static final String SCOPE = "oracle";

  private static final Logger LOG = LoggerFactory.getLogger(StorescopeMonitor.class);
  private static final AtomicBoolean FAILED = new AtomicBoolean();

  /** Called by the connector, for each bucket. */
  public StorescopeMonitor(BmcPropertyAccessor properties, String bucket, String group, String namespace) {
    super(properties, bucket, group, namespace);
  }

  /** Records a call: some hundred nanoseconds, on a thread that the connector has for this. */
  @Override
  public void accept(OCIMetric metric) {
    try {
      // By a class of its own, so that this one can be loaded where storescope's jar is missing.
      OracleCall.record(metric, SCOPE);
    } catch (IOException | RuntimeException | LinkageError e) {
      if (FAILED.compareAndSet(false, true)) {
        LOG.warn("what Oracle's connector tells of itself is not recorded: storescope-hadoop's jar must be beside this one", e);
      }
    }
  }

  /** Does nothing: what was accepted is recorded. */
  @Override
  public void shutdown() {}
}
