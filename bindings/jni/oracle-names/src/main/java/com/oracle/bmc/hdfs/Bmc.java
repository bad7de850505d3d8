// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.hdfs;

import io.github.storescope.hadoop.StoreFs;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;

/** storescope's AbstractFileSystem by the name that configurations for Oracle's connector have. */
public class Bmc extends StoreFs {

  /** Called by Hadoop. */
  public Bmc(URI uri, Configuration conf) throws IOException, URISyntaxException {
    super(uri, conf);
  }
}
