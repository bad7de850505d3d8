// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.Locale;

/** The names of {@code fs.option.openfile.read.policy}, as what the core reads by. */
final class ReadPolicy {

  private ReadPolicy() {}

  /**
   * What to read by.
   *
   * @param names a list, separated by commas: the first that is known counts; null for none
   * @param otherwise where no name is known, the configuration's; adaptive leaves it to the object's name
   */
  static int of(String names, int otherwise, String key) {
    if (names != null) {
      for (String name : names.split(",")) {
        int policy = named(name.trim().toLowerCase(Locale.ROOT));
        if (policy >= 0) {
          return policy;
        }
      }
    }
    if (otherwise != Native.POLICY_ADAPTIVE) {
      return otherwise;
    }
    return ObjectNames.isColumnar(key) ? Native.POLICY_PARQUET : Native.POLICY_ADAPTIVE;
  }

  private static int named(String name) {
    switch (name) {
      case "adaptive":
      case "default":
        return Native.POLICY_ADAPTIVE;
      case "parquet":
      case "columnar":
      case "orc":
        return Native.POLICY_PARQUET;
      case "vector":
        return Native.POLICY_VECTOR;
      case "random":
      case "hbase":
        return Native.POLICY_RANDOM;
      case "sequential":
      case "avro":
      case "csv":
      case "json":
        return Native.POLICY_SEQUENTIAL;
      case "whole-file":
        return Native.POLICY_WHOLE_FILE;
      default:
        return -1;
    }
  }
}
