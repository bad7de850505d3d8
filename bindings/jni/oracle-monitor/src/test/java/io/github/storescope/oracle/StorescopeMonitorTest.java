// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.oracle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.oracle.bmc.hdfs.monitoring.OCIMetric;
import com.oracle.bmc.hdfs.monitoring.OCIMetricKeys;
import com.oracle.bmc.hdfs.monitoring.OCIMonitorConsumerPlugin;
import com.oracle.bmc.hdfs.monitoring.OCIMonitorPluginHandler;
import com.oracle.bmc.hdfs.store.BmcPropertyAccessor;
import com.oracle.bmc.model.BmcException;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** By Oracle's own classes: what they tell their plugins is what arrives. */
class StorescopeMonitorTest {

  private static final BmcPropertyAccessor PROPERTIES = new BmcPropertyAccessor(new Configuration(false), "bucket.namespace");

  private OCIMonitorPluginHandler handler;

  @BeforeEach
  void begin() throws Exception {
    Taken.take();
    handler = new OCIMonitorPluginHandler();
    handler.setEnabled(true);
    handler.setBucketName("bucket");
    handler.setMaxBacklogBeforeDrop(1000);
    handler.setListOfPlugins(plugins(new StorescopeMonitor(PROPERTIES, "bucket", "group", "namespace")));
    handler.init();
  }

  private static List<OCIMonitorConsumerPlugin> plugins(OCIMonitorConsumerPlugin plugin) {
    return new ArrayList<>(List.of(plugin));
  }

  /** All that was told, once a last one has arrived. */
  private Taken told() throws Exception {
    handler.recordStats(OCIMetricKeys.DELETE, 1.0, status(412));
    return Taken.upTo("call/delete/total/precondition");
  }

  private static BmcException status(int status) {
    return new BmcException(status, "Code", "message", "request");
  }

  @Test
  void callsArriveUnderTheirOperationWithTheirTimeAndBytes() throws Exception {
    handler.recordStats(OCIMetricKeys.READ, 40.0, 7.0, 1_000.0, null, 70_000.0);
    handler.recordStats(OCIMetricKeys.READ, 60.0, 7.0, 1_000.0, null, 30_000.0);
    handler.recordStats(OCIMetricKeys.WRITE, 25.0, 1_000.0, null, 5_000.0);
    handler.recordStats(OCIMetricKeys.HEAD, 3.0, null);
    handler.recordStats(OCIMetricKeys.LIST, 11.0, null);
    handler.recordStats(OCIMetricKeys.DELETE, 5.0, null);
    handler.recordStats(OCIMetricKeys.RENAME, 9.0, null);
    // Of later versions of the connector.
    handler.recordStats("WRITE_PART", 90.0, 1_000.0, null, 400_000.0);
    handler.recordStats("WRITE_COMMIT_MULTIPART", 90.0, 1_000.0, null, 400_000.0);
    handler.recordStats("BATCH_DELETE", 30.0, null);
    Taken told = told();
    assertEquals("2 100000000", told.of("call/get/total/ok"));
    assertEquals("2 100000", told.of("call/get/bytes_delivered/ok"));
    assertEquals("1 25000000", told.of("call/put/total/ok"));
    assertEquals("1 5000", told.of("call/put/bytes_delivered/ok"));
    assertEquals("1 3000000", told.of("call/head/total/ok"));
    assertEquals("1 11000000", told.of("call/list/total/ok"));
    assertEquals("1 5000000", told.of("call/delete/total/ok"));
    assertEquals("1 9000000", told.of("call/rename/total/ok"));
    assertEquals("1 90000000", told.of("call/upload/total/ok"));
    assertEquals("1 400000", told.of("call/upload/bytes_delivered/ok"));
    assertEquals("1 30000000", told.of("call/delete_many/total/ok"));
    assertEquals(12, told.size(), told.toString());
  }

  @Test
  void failuresArriveByTheirStatus() throws Exception {
    handler.recordStats(OCIMetricKeys.HEAD, 3.0, status(403));
    handler.recordStats(OCIMetricKeys.LIST, 3.0, status(429));
    handler.recordStats(OCIMetricKeys.READ, 40.0, 0.0, 0.0, status(503), 0.0);
    handler.recordStats(OCIMetricKeys.RENAME, 3.0, new IOException("no status"));
    Taken told = told();
    assertEquals("1 3000000", told.of("call/head/total/auth"));
    assertEquals("1 3000000", told.of("call/list/total/throttled"));
    assertEquals("1 40000000", told.of("call/get/total/server"));
    assertEquals("1 3000000", told.of("call/rename/total/server"));
    assertNull(told.of("call/get/total/ok"));
  }

  @Test
  void theConnectorMakesItByItsName() throws Exception {
    // As BmcDataStoreFactory does it.
    Object made =
        Class.forName("io.github.storescope.oracle.StorescopeMonitor")
            .getConstructor(BmcPropertyAccessor.class, String.class, String.class, String.class)
            .newInstance(PROPERTIES, "bucket", "group", "namespace");
    assertTrue(made instanceof OCIMonitorConsumerPlugin);
    ((OCIMonitorConsumerPlugin) made).shutdown();
    ((OCIMonitorConsumerPlugin) made).shutdown();
  }

  /** A class path that lacks storescope-hadoop. */
  @Test
  void withoutStorescopesJarTheConnectorIsNotHurt() throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (!new File(entry).getPath().contains("storescope-hadoop")) {
        urls.add(new File(entry).toURI().toURL());
      }
    }
    try (URLClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
      assertThrows(ClassNotFoundException.class, () -> loader.loadClass("io.github.storescope.hadoop.SharedScopes"));
      Class<?> accessor = loader.loadClass(BmcPropertyAccessor.class.getName());
      Object plugin =
          loader
              .loadClass(StorescopeMonitor.class.getName())
              .getConstructor(accessor, String.class, String.class, String.class)
              .newInstance(null, "bucket", "group", "namespace");
      Class<?> metric = loader.loadClass(OCIMetric.class.getName());
      Method accept = plugin.getClass().getMethod("accept", metric);
      Object one =
          metric
              .getConstructor(double.class, String.class, Exception.class, String.class)
              .newInstance(3.0, OCIMetricKeys.HEAD, null, "bucket");
      accept.invoke(plugin, one);
      accept.invoke(plugin, one);
    }
  }
}
