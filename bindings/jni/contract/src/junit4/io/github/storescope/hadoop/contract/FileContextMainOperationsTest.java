// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileContextMainOperationsBaseTest;
import org.junit.Before;

public class FileContextMainOperationsTest extends FileContextMainOperationsBaseTest {

  @Override
  @Before
  public void setUp() throws Exception {
    fc = StoreContract.fileContext();
    super.setUp();
  }

  @Override
  protected boolean listCorruptedBlocksSupported() {
    return false;
  }
}
