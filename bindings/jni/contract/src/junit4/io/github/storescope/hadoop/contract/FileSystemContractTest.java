// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.fs.FileSystemContractBaseTest;
import org.junit.Before;

/** The older of the contracts; it works in the root directory, too. */
public class FileSystemContractTest extends FileSystemContractBaseTest {

  @Before
  public void setUp() throws Exception {
    fs = StoreContract.fileSystem();
  }
}
