// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.contract.AbstractContractRootDirectoryTest;
import org.apache.hadoop.fs.contract.AbstractFSContract;

/** Empties its bucket, which is its own. */
public class RootDirectoryTest extends AbstractContractRootDirectoryTest {

  @Override
  protected AbstractFSContract createContract(Configuration conf) {
    return StoreContract.inBucketForRoot(conf);
  }
}
