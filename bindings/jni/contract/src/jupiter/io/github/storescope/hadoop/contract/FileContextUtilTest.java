// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileContextUtilBase;
import org.junit.jupiter.api.BeforeEach;

public class FileContextUtilTest extends FileContextUtilBase {

  @Override
  @BeforeEach
  public void setUp() throws Exception {
    fc = StoreContract.fileContext();
    super.setUp();
  }
}
