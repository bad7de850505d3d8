// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonConfigurationKeysPublic;
import org.junit.jupiter.api.Test;

/** Settings that are secrets are not shown, and the others are. */
class RedactionTest {

  private static final Map<String, String> SECRETS =
      Map.of(
          "fs.oci.client.auth.passphrase", "correct-horse",
          "fs.oci.client.auth.passphrase.lake.ns", "correct-horse",
          "storescope.pass_phrase", "correct-horse",
          "storescope.bucket.lake.key_content", "-----BEGIN PRIVATE KEY-----correct-horse",
          "storescope.identity_client_secret", "correct-horse",
          "storescope.session_token", "correct-horse",
          "storescope.https_proxy", "http://user:correct-horse@proxy:3128",
          "fs.s3a.secret.key", "correct-horse");
  private static final Map<String, String> OPEN =
      Map.of(
          "fs.oci.client.auth.userId", "ocid1.user.oc1..shown",
          "fs.oci.client.hostname", "https://shown.example",
          "storescope.endpoint", "https://shown.example",
          "spark.app.name", "shown");

  private static final String KEY = CommonConfigurationKeysPublic.HADOOP_SECURITY_SENSITIVE_CONFIG_KEYS;
  private static final String NAMES = CommonConfigurationKeysPublic.HADOOP_SECURITY_SENSITIVE_CONFIG_KEYS_DEFAULT;

  private String redaction = Redaction.widenedPattern(Redaction.USUAL);

  private boolean isShown(String name, String value) {
    Pattern pattern = Pattern.compile(redaction);
    return !pattern.matcher(name).find() && !pattern.matcher(value).find();
  }

  @Test
  void sparkShowsNoSecret() {
    SECRETS.forEach((name, value) -> assertFalse(isShown("spark.hadoop." + name, value), name));
    OPEN.forEach((name, value) -> assertTrue(isShown("spark.hadoop." + name, value), name));
    // What stands in another setting, such as the options of a JVM.
    assertFalse(isShown("spark.driver.extraJavaOptions", "-Dhttps_proxy=http://user:correct-horse@proxy"));
  }

  @Test
  void aDumpOfHadoopShowsNoSecret() throws Exception {
    Configuration hadoop = new Configuration(false);
    hadoop.set(KEY, Redaction.widenedNames(NAMES));
    SECRETS.forEach(hadoop::set);
    OPEN.forEach(hadoop::set);
    StringWriter dumped = new StringWriter();
    Configuration.dumpConfiguration(hadoop, dumped);
    assertFalse(dumped.toString().contains("correct-horse"), dumped.toString());
    OPEN.values().forEach(value -> assertTrue(dumped.toString().contains(value), value));
  }

  @Test
  void aPatternOfTheUsersStays() {
    redaction = Redaction.widenedPattern("(?i)mine");
    assertFalse(isShown("is.Mine", ""));
    assertTrue(isShown("a.token", ""));
    assertTrue(Redaction.widenedNames("mine$").startsWith("mine$,"));
    assertEquals(redaction, Redaction.widenedPattern(redaction));
  }
}
