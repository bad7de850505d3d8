// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReadPolicyTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "parquet, vector, random, adaptive|5",
        "columnar|5",
        "orc|5",
        "vector|3",
        "unknown, sequential, random|1",
        "csv|1",
        "json|1",
        "avro|1",
        "hbase|2",
        "Random|2",
        "whole-file|4",
        "default|0",
        "adaptive, random|0"
      })
  void theFirstKnownNameCounts(String names, int policy) {
    assertEquals(policy, ReadPolicy.of(names, Native.POLICY_ADAPTIVE, "a.txt"));
  }

  @Test
  void withoutANameTheConfigurationThenTheFileTells() {
    assertEquals(Native.POLICY_PARQUET, ReadPolicy.of(null, Native.POLICY_ADAPTIVE, "a.parquet"));
    assertEquals(Native.POLICY_PARQUET, ReadPolicy.of("who, knows", Native.POLICY_ADAPTIVE, "a.orc"));
    assertEquals(Native.POLICY_ADAPTIVE, ReadPolicy.of(null, Native.POLICY_ADAPTIVE, "a.csv"));
    assertEquals(Native.POLICY_WHOLE_FILE, ReadPolicy.of(null, Native.POLICY_WHOLE_FILE, "a.parquet"));
    assertEquals(Native.POLICY_ADAPTIVE, ReadPolicy.of("adaptive", Native.POLICY_WHOLE_FILE, "a.parquet"));
  }
}
