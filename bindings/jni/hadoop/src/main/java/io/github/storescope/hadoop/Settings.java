// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.conf.Configuration;

/** What a Configuration says of one bucket. */
final class Settings {

  private final URI authority;
  private final Configuration conf;

  private Settings(URI authority, Configuration conf) {
    this.authority = authority;
    this.conf = conf;
  }

  /**
   * @param authority {@code oci://bucket@namespace} or {@code s3://bucket}
   */
  static Settings of(URI authority, Configuration conf) throws IOException {
    if (authority.getRawAuthority() == null) {
      throw new IOException(authority + " names no bucket");
    }
    return new Settings(authority, conf);
  }

  String storeUrl() {
    return ("s3a".equals(authority.getScheme()) ? "s3" : authority.getScheme())
        + "://"
        + authority.getRawAuthority()
        + "/";
  }

  String[] nativeSettings() {
    return new String[0];
  }

  long blockSize() {
    return 32L << 20;
  }

  int renameWidth() {
    return 32;
  }

  boolean batchDelete() {
    return true;
  }

  int listPageSize() {
    return 1000;
  }

  boolean requireDirectoryMarker() {
    return false;
  }

  boolean overwriteAllowed() {
    return true;
  }

  boolean createPerformance() {
    return conf.getBoolean("fs.oci.create.performance", false);
  }

  boolean crc32cChecksum() {
    return "COMPOSITE_CRC".equals(conf.get("dfs.checksum.combine.mode"));
  }

  int statusTail() {
    return 64 << 10;
  }

  String profilePath() {
    return conf.get("storescope.profile.path");
  }
}
