// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.LocatedFileStatus;

/** A {@link StoreFileStatus} of a listing that tells block locations, too. */
public final class StoreLocatedFileStatus extends LocatedFileStatus implements EtagSource {

  private static final long serialVersionUID = 1L;

  private final String etag;

  StoreLocatedFileStatus(StoreFileStatus status, BlockLocation[] locations) {
    super(status, locations);
    etag = status.getEtag();
  }

  @Override
  public String getEtag() {
    return etag;
  }

  // Statuses are equal by their paths.

  @Override
  public boolean equals(Object other) {
    return super.equals(other);
  }

  @Override
  public int hashCode() {
    return super.hashCode();
  }
}
