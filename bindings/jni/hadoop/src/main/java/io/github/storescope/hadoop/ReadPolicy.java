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
   * @param usual where no name is known; where that is adaptive, the object's name tells more
   */
  static int of(String names, int usual, String key) {
    if (names != null) {
      for (String name : names.split(",")) {
        int policy = named(name.trim().toLowerCase(Locale.ROOT));
        if (policy >= 0) {
          return policy;
        }
      }
    }
    return usual == Native.POLICY_ADAPTIVE && Keys.isColumnar(key) ? Native.POLICY_PARQUET : usual;
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
