// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.SparkPlugin;

/**
 * Tells where the stages of a Spark application wait for storage: {@code
 * spark.plugins=io.github.storescope.spark.StorescopePlugin}. Spark 3.5 and 4. See docs/SPARK.md.
 */
public final class StorescopePlugin implements SparkPlugin {

  /** Called by Spark. */
  public StorescopePlugin() {}

  @Override
  public DriverPlugin driverPlugin() {
    return new DriverSide();
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new ExecutorSide();
  }
}
