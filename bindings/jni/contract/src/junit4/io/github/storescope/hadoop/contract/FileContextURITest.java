// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileContextURIBase;
import org.junit.Before;

public class FileContextURITest extends FileContextURIBase {

  @Override
  @Before
  public void setUp() throws Exception {
    fc1 = StoreContract.fileContext();
    fc2 = StoreContract.fileContext();
    super.setUp();
  }
}
