// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.hdfs;

import io.github.storescope.hadoop.StoreFileSystem;

/** storescope's FileSystem by the name that configurations for Oracle's connector have. */
public class BmcFilesystem extends StoreFileSystem {}
