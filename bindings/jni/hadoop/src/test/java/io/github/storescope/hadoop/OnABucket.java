// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** Each test has an empty bucket and a FileSystem of it; what it asked of the server's faults ends with it. */
abstract class OnABucket {

  Server server;
  String bucket;
  FileSystem fs;

  @BeforeEach
  void open() throws Exception {
    server = new Server();
    bucket = server.bucket();
    fs = server.open(bucket, server.configuration());
  }

  @AfterEach
  void close() throws Exception {
    server.clearFaults();
    fs.close();
  }
}
