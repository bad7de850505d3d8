// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import org.apache.hadoop.fs.BulkDelete;
import org.apache.hadoop.fs.CommonPathCapabilities;
import org.apache.hadoop.fs.Path;

/**
 * The FileSystem with Hadoop's interface for removing many files at once, which Hadoop has from 3.4.1 on: there it is the one
 * that {@code oci} means. By {@link StoreFileSystem} alone, Hadoop removes the files of a bulk delete one by one.
 */
public class BulkDeletingFileSystem extends StoreFileSystem {

  /** Whether this Hadoop has them. */
  static final boolean POSSIBLE = isPossible();

  /** Called by Hadoop, which then calls {@link #initialize}. */
  public BulkDeletingFileSystem() {}

  /** Before it is made for a URI: {@code oci} where Hadoop knows bulk deletes, else a scheme that nothing has. */
  @Override
  public String getScheme() {
    return POSSIBLE || getUri() != null ? super.getScheme() : "oci-bulk-delete";
  }

  @Override
  public BulkDelete createBulkDelete(Path path) throws IOException {
    return StoreBulkDelete.of(this, store(), known(), makeQualified(path));
  }

  @Override
  public boolean hasPathCapability(Path path, String capability) throws IOException {
    return CommonPathCapabilities.BULK_DELETE.equals(capability) || super.hasPathCapability(path, capability);
  }

  private static boolean isPossible() {
    try {
      Class.forName("org.apache.hadoop.fs.BulkDelete", false, BulkDeletingFileSystem.class.getClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }
}
