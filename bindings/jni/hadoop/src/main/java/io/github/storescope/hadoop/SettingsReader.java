// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.apache.hadoop.conf.Configuration;

/**
 * Reads the {@link Settings} of one bucket.
 *
 * <p>First Oracle's keys ({@link OciSettings}) or S3A's ({@link S3Settings}), then {@code storescope.SETTING} and {@code
 * storescope.bucket.BUCKET.SETTING} over them, for each setting of docs/CONFIG.md. What is set here goes before the
 * environment, and that before the OCI configuration file: the native library reads those two.
 */
final class SettingsReader {

  /** Where the histograms of the whole process go when it ends. */
  static final String PROFILE_PATH = "storescope.profile.path";
  /** The bytes of a columnar file's end that its status brings along; 0 for none. */
  static final String STATUS_TAIL = "storescope.status.tail";

  /** A class that gives out what requests are signed with. */
  static final String CREDENTIALS = "credentials.provider";

  private static final String PREFIX = "storescope.";
  private static final String BUCKET_PREFIX = "storescope.bucket.";

  private SettingsReader() {}

  /**
   * Reads them, with the properties and the environment of this JVM.
   *
   * @param uri {@code oci://bucket@namespace}, {@code oraclebmc://…}, {@code s3://bucket} or {@code s3a://bucket}; what
   *     follows is ignored
   * @throws IllegalArgumentException if a value is not one of its key, or a key and its deprecated twin are both set
   * @throws UnsupportedPrincipalException if the configuration asks for a principal that there is not
   * @throws IOException if the URI names no bucket or namespace, a file or key that is needed is missing, or the native
   *     library cannot be loaded
   */
  static Settings read(URI uri, Configuration conf) throws IOException {
    return read(uri, conf, System::getProperty, System::getenv);
  }

  /** The same with other system properties and another environment. */
  static Settings read(
      URI uri, Configuration conf, UnaryOperator<String> properties, UnaryOperator<String> environment)
      throws IOException {
    Environment variables = new Environment(environment, CoreSettings.ofCore());
    SettingsBuilder settings = ofUri(uri, conf, variables);
    new JvmSettings(properties, variables).fill(settings);
    return settings.build();
  }

  /** The same in another environment, without what the JVM's own properties say. */
  static Settings read(URI uri, Configuration conf, UnaryOperator<String> environment) throws IOException {
    return ofUri(uri, conf, new Environment(environment, CoreSettings.ofCore())).build();
  }

  private static SettingsBuilder ofUri(URI uri, Configuration conf, Environment environment) throws IOException {
    Values values = new Values(conf);
    String authority = uri.getAuthority();
    if (uri.getScheme() == null || authority == null || authority.isEmpty()) {
      throw new IOException(
          uri + " names no bucket; write oci://BUCKET@NAMESPACE/… or s3://BUCKET/…");
    }
    switch (uri.getScheme()) {
      case "oci":
      case "oraclebmc":
        return ofOci(authority, conf, values, environment);
      case "s3":
      case "s3a":
        return ofS3(authority, conf, values);
      default:
        throw new IOException(uri + ": the scheme is none of oci, oraclebmc, s3 and s3a");
    }
  }

  private static SettingsBuilder ofOci(String authority, Configuration conf, Values values, Environment environment)
      throws IOException {
    OciConfiguration oci = new OciConfiguration(authority, conf, values);
    Map<String, String> own = own(conf, values, oci.bucket);
    SettingsBuilder settings = builder("oci://" + oci.bucket + "@" + oci.namespace + "/", values);
    sign(settings, oci.bucket, conf, values);
    new OciSettings(oci, environment).fill(settings, own);
    put(settings, own);
    return settings;
  }

  private static SettingsBuilder ofS3(String authority, Configuration conf, Values values) throws IOException {
    String bucket = authority.substring(authority.indexOf('@') + 1);
    Map<String, String> own = own(conf, values, bucket);
    SettingsBuilder settings = builder("s3://" + bucket + "/", values);
    sign(settings, bucket, conf, values);
    new S3Settings(bucket, conf, values).fill(settings, own);
    put(settings, own);
    return settings;
  }

  /** Our own settings over those of others; but a class that gives out credentials signs whatever they say. */
  private static void put(SettingsBuilder settings, Map<String, String> own) {
    settings.natives.putAll(own);
    if (settings.credentials != null) {
      settings.sign(settings.credentials);
    }
  }

  /** By the class that our own key names, if there is one. */
  private static void sign(SettingsBuilder settings, String bucket, Configuration conf, Values values) throws IOException {
    String key = values.key(List.of(BUCKET_PREFIX + bucket + "." + CREDENTIALS, PREFIX + CREDENTIALS));
    if (key == null) {
      return;
    }
    String name = values.text(key);
    Credentials credentials = CredentialsClass.make(key, name, URI.create(settings.storeUrl), conf);
    if (credentials == null) {
      throw new UnsupportedPrincipalException(name, key + "=" + name + ": there is no such class on the classpath");
    }
    settings.sign(credentials);
  }

  private static SettingsBuilder builder(String storeUrl, Values values) {
    SettingsBuilder settings = new SettingsBuilder(storeUrl);
    settings.crc32cChecksum = "COMPOSITE_CRC".equalsIgnoreCase(values.text(OciKey.CHECKSUM_MODE.key));
    if (values.text(STATUS_TAIL) != null) {
      settings.statusTail = (int) values.bytes(STATUS_TAIL, 0, 16L << 20);
    }
    settings.profilePath = values.text(PROFILE_PATH);
    return settings;
  }

  /** The settings under our own names. The core refuses those that are none. */
  private static Map<String, String> own(Configuration conf, Values values, String bucket) throws IOException {
    List<String> secrets = CoreSettings.ofCore().secrets();
    Map<String, String> own = new LinkedHashMap<>();
    String ofBucket = BUCKET_PREFIX + bucket + ".";
    for (String prefix : List.of(PREFIX, ofBucket)) {
      for (String name : new TreeSet<>(conf.getPropsWithPrefix(prefix).keySet())) {
        // Settings are single words; keys with dots are others of ours, or a bucket's.
        if (!name.isEmpty() && name.indexOf('.') < 0 && !secrets.contains(name)) {
          String value = values.text(prefix + name);
          own.put(name, value == null ? "" : value);
        }
      }
    }
    for (String name : secrets) {
      for (String key : List.of(ofBucket + name, PREFIX + name)) {
        String secret = values.secret(List.of(key));
        if (secret != null || conf.getRaw(key) != null) {
          own.put(name, secret == null ? "" : secret);
          break;
        }
      }
    }
    return own;
  }
}
