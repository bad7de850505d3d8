// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop.contract;

import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.contract.AbstractBondedFSContract;

/**
 * What the FileSystem promises, by {@code oci} and by {@code s3}: the options in {@code contract/store.xml}. The
 * buckets come from {@code contract-test-options.xml}, which run.py writes.
 */
public final class StoreContract extends AbstractBondedFSContract {

  private static final String SCHEME = scheme();

  StoreContract(Configuration conf) {
    super(conf);
    addConfResource("contract/store.xml");
  }

  /** In a bucket that may be emptied. */
  static StoreContract inBucketForRoot(Configuration conf) {
    StoreContract contract = new StoreContract(conf);
    contract.getConf().set(contract.getFilesystemConfKey(), conf.get("contract.root." + SCHEME));
    return contract;
  }

  /** The FileSystem under test, for suites that take no contract. */
  static FileSystem fileSystem() throws IOException {
    return FileSystem.get(bucket(), new Configuration());
  }

  /** The same through the other interface. */
  static FileContext fileContext() throws IOException {
    return FileContext.getFileContext(bucket(), new Configuration());
  }

  /** The suites rename the root directory and empty it: a local disk must never be put before them. */
  private static String scheme() {
    String scheme = System.getProperty("contract.scheme");
    if (!"oci".equals(scheme) && !"s3".equals(scheme)) {
      throw new IllegalStateException("contract.scheme is " + scheme + ": run.py sets oci or s3");
    }
    return scheme;
  }

  private static URI bucket() {
    return URI.create(new StoreContract(new Configuration()).loadFilesystemName(SCHEME));
  }

  @Override
  public String getScheme() {
    return SCHEME;
  }
}
