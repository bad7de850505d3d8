// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.hdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.storescope.hadoop.StoreFileSystem;
import io.github.storescope.hadoop.StoreFs;
import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;

class NamesTest {

  @Test
  void bothSchemesAreFoundWithoutConfiguration() throws Exception {
    Configuration conf = new Configuration();
    assertTrue(StoreFileSystem.class.isAssignableFrom(FileSystem.getFileSystemClass("oci", conf)));
    assertEquals(DeprecatedBmcFilesystem.class, FileSystem.getFileSystemClass("oraclebmc", conf));
  }

  @Test
  void aConfigurationForOraclesConnectorNamesTheseClasses() throws Exception {
    Configuration conf = new Configuration();
    conf.set("fs.oci.impl", "com.oracle.bmc.hdfs.BmcFilesystem");
    conf.set("fs.AbstractFileSystem.oci.impl", "com.oracle.bmc.hdfs.Bmc");
    assertEquals(BmcFilesystem.class, FileSystem.getFileSystemClass("oci", conf));
    Class<?> named = conf.getClass("fs.AbstractFileSystem.oci.impl", null);
    assertTrue(StoreFs.class.isAssignableFrom(named));
    assertEquals(named, named.getConstructor(URI.class, Configuration.class).getDeclaringClass());
  }
}
