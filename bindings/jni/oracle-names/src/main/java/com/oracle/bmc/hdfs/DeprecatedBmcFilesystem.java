// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.hdfs;

/** The same for the old scheme. */
public class DeprecatedBmcFilesystem extends BmcFilesystem {

  @Override
  public String getScheme() {
    return "oraclebmc";
  }
}
