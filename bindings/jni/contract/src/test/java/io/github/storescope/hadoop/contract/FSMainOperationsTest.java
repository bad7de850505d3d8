// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FSMainOperationsBaseTest;
import org.apache.hadoop.fs.FileSystem;

public class FSMainOperationsTest extends FSMainOperationsBaseTest {

  public FSMainOperationsTest() {
    super("/dir");
  }

  @Override
  protected FileSystem createFileSystem() throws Exception {
    return StoreContract.fileSystem();
  }
}
