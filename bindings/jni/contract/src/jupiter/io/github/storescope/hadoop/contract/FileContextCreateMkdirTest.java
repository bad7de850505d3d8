// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileContextCreateMkdirBaseTest;
import org.junit.jupiter.api.BeforeEach;

public class FileContextCreateMkdirTest extends FileContextCreateMkdirBaseTest {

  @Override
  @BeforeEach
  public void setUp() throws Exception {
    fc = StoreContract.fileContext();
    super.setUp();
  }
}
