// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;

class CreateBuilderTest {

  @Test
  void headersAndMetadataAreTold() {
    Configuration options = new Configuration(false);
    assertArrayEquals(new String[0], CreateBuilder.about(options));
    options.set("fs.option.create.content.type", "text/csv");
    assertArrayEquals(new String[] {"content-type", "text/csv"}, CreateBuilder.about(options));
    options.set("fs.oci.create.header.Cache-Control", "no-store");
    options.set("fs.s3a.create.header.Owner", "me");
    assertArrayEquals(
        new String[] {"content-type", "text/csv", "cache-control", "no-store", "meta-Owner", "me"},
        CreateBuilder.about(options));
  }

  @Test
  void lengthsAreWholeNumbers() {
    assertEquals(12, FileOpener.length("12"));
    assertEquals(-1, FileOpener.length(null));
    assertEquals(-1, FileOpener.length("4096.0"));
    assertEquals(-1, FileOpener.length("-1"));
  }

  @Test
  void aProfileIsNamedByItsProcess() {
    assertEquals("/tmp/7-7.hlog", Profile.of("/tmp/%p-%p.hlog", 7));
  }
}
