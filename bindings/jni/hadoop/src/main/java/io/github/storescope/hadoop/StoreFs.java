// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;

/**
 * {@link StoreFileSystem} for {@link org.apache.hadoop.fs.FileContext}. Hadoop finds it by configuration alone: {@code
 * fs.AbstractFileSystem.oci.impl=io.github.storescope.hadoop.StoreFs}.
 */
public class StoreFs extends DelegateToFileSystem {

  /** Called by Hadoop. */
  public StoreFs(URI uri, Configuration conf) throws IOException, URISyntaxException {
    super(uri, new StoreFileSystem(), conf, uri.getScheme(), false);
  }
}
