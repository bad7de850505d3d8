// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonConfigurationKeysPublic;
import org.apache.spark.SparkConf;

/**
 * Secrets in what Spark and Hadoop show of settings: the UI's environment, event logs, dumps of configurations. Their own patterns
 * know a secret, a password and a token by name, and neither a passphrase, a key itself, nor a proxy's URL with a password in it.
 */
final class Redaction {

  private static final String OF_SPARK = "spark.redaction.regex";
  /** What Spark 3.5 and 4 take where nothing is set. */
  static final String USUAL = "(?i)secret|password|token|access[.]?key";
  /** Spark looks for it in names and in values. */
  private static final String OURS = "(?i)pass_?phrase|key_content|PRIVATE KEY|://[^/@\\s]*:[^/@\\s]*@";
  /** Hadoop looks for each of them in names. */
  private static final String NAMES =
      "pass_?phrase,key_content,https?_proxy,fs.oci.*password,session.token,storescope.*(secret|token)";

  private Redaction() {}

  /** Adds ours to the patterns of an application, before Spark shows anything of it. */
  static void widen(SparkConf spark, Configuration hadoop) {
    spark.set(OF_SPARK, widenedPattern(spark.get(OF_SPARK, USUAL)));
    String key = CommonConfigurationKeysPublic.HADOOP_SECURITY_SENSITIVE_CONFIG_KEYS;
    hadoop.set(
        key, widenedNames(hadoop.get(key, CommonConfigurationKeysPublic.HADOOP_SECURITY_SENSITIVE_CONFIG_KEYS_DEFAULT)));
  }

  /** A pattern for names and values, with ours. */
  static String widenedPattern(String pattern) {
    return pattern.contains(OURS) ? pattern : "(?:" + pattern + ")|" + OURS;
  }

  /** Patterns for names, with ours. */
  static String widenedNames(String names) {
    return names.contains(NAMES) ? names : names + "," + NAMES;
  }
}
