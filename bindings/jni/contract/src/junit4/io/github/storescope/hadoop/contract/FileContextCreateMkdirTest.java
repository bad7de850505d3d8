// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileContextCreateMkdirBaseTest;
import org.junit.Before;

public class FileContextCreateMkdirTest extends FileContextCreateMkdirBaseTest {

  @Override
  @Before
  public void setUp() throws Exception {
    fc = StoreContract.fileContext();
    super.setUp();
  }
}
