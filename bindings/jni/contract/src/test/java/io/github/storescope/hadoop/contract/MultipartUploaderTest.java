// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.contract.AbstractContractMultipartUploaderTest;
import org.apache.hadoop.fs.contract.AbstractFSContract;

public class MultipartUploaderTest extends AbstractContractMultipartUploaderTest {

  /** Of the sizes that both services take. */
  @Override
  protected int partSizeInBytes() {
    return 5 << 20;
  }

  @Override
  protected boolean finalizeConsumesUploadIdImmediately() {
    return true;
  }

  @Override
  protected boolean supportsConcurrentUploadsToSamePath() {
    return true;
  }

  @Override
  protected AbstractFSContract createContract(Configuration conf) {
    return new StoreContract(conf);
  }
}
