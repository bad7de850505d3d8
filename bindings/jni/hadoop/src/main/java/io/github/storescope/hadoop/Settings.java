// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.hadoop.conf.Configuration;

/**
 * What a Configuration says of one bucket: the settings of the native store, and what the FileSystem does itself.
 *
 * <p>First Oracle's keys ({@link OciKey}) or S3A's ({@link S3Settings}), then {@code storescope.SETTING} and {@code
 * storescope.bucket.BUCKET.SETTING} over them, for each setting of docs/CONFIG.md. What is set here goes before the
 * environment, and that before the OCI configuration file: the native library reads those two.
 */
final class Settings {

  /** Where the histograms of the whole process go when it ends. */
  static final String PROFILE_PATH = "storescope.profile.path";
  /** The bytes of a columnar file's end that its status brings along; 0 for none. */
  static final String STATUS_TAIL = "storescope.status.tail";

  private static final String PREFIX = "storescope.";
  private static final String BUCKET_PREFIX = "storescope.bucket.";

  /** The settings of docs/CONFIG.md that are secrets: a credential provider may hold them. */
  static final List<String> SECRETS =
      List.of(
          "key_content", "pass_phrase", "secret_access_key", "session_token", "http_proxy", "https_proxy");

  final String storeUrl;
  private final Map<String, String> natives = new LinkedHashMap<>();
  private List<byte[]> trusted = List.of();

  // What S3Settings and OciSettings set, at the values of who says nothing.
  long blockSize = 32L << 20;
  int renameWidth = 32;
  boolean batchDelete = true;
  int batchDeleteSize = 1000;
  int listPageSize = 1000;
  boolean requireDirectoryMarker;
  boolean overwriteAllowed = true;
  boolean createPerformance;
  int readPolicy = Native.POLICY_ADAPTIVE;
  long statusCacheEntries;
  long statusCacheMillis;

  private final boolean crc32cChecksum;
  private final int statusTail;
  private final String profilePath;

  private Settings(String storeUrl, Values values) {
    this.storeUrl = storeUrl;
    crc32cChecksum = "COMPOSITE_CRC".equalsIgnoreCase(values.text(OciKey.CHECKSUM_MODE.key));
    statusTail =
        values.text(STATUS_TAIL) == null ? 64 << 10 : (int) values.bytes(STATUS_TAIL, 0, 16L << 20);
    profilePath = values.text(PROFILE_PATH);
  }

  /**
   * @param authority {@code oci://bucket@namespace}, {@code oraclebmc://…}, {@code s3://bucket} or {@code s3a://bucket}; what
   *     follows is ignored
   * @throws IllegalArgumentException if a value is not one of its key, or a key and its deprecated twin are both set
   * @throws UnsupportedPrincipalException if the configuration asks for a principal that there is not
   * @throws IOException if the URI names no bucket or namespace, or a file or key that is needed is missing
   */
  static Settings of(URI authority, Configuration conf) throws IOException {
    Settings settings = of(authority, conf, System::getenv);
    new JvmSettings(System::getProperty, System::getenv).fill(settings);
    return settings;
  }

  /** The same in another environment, without what the JVM's own properties say. */
  static Settings of(URI uri, Configuration conf, UnaryOperator<String> environment) throws IOException {
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

  private static Settings ofOci(
      String authority, Configuration conf, Values values, UnaryOperator<String> environment) throws IOException {
    OciSettings oci = new OciSettings(authority, conf, values, environment);
    Map<String, String> own = own(conf, values, oci.bucket);
    Settings settings = new Settings("oci://" + oci.bucket + "@" + oci.namespace + "/", values);
    oci.fill(settings, own);
    settings.natives.putAll(own);
    return settings;
  }

  private static Settings ofS3(String authority, Configuration conf, Values values) throws IOException {
    String bucket = authority.substring(authority.indexOf('@') + 1);
    Map<String, String> own = own(conf, values, bucket);
    Settings settings = new Settings("s3://" + bucket + "/", values);
    new S3Settings(bucket, conf, values).fill(settings, own);
    settings.natives.putAll(own);
    return settings;
  }

  /** The settings under our own names. */
  private static Map<String, String> own(Configuration conf, Values values, String bucket) throws IOException {
    Map<String, String> own = new LinkedHashMap<>();
    String ofBucket = BUCKET_PREFIX + bucket + ".";
    for (String prefix : List.of(PREFIX, ofBucket)) {
      for (String name : new java.util.TreeSet<>(conf.getPropsWithPrefix(prefix).keySet())) {
        // Settings are single words; keys with dots are others of ours, or a bucket's.
        if (!name.isEmpty() && name.indexOf('.') < 0 && !SECRETS.contains(name)) {
          String value = values.text(prefix + name);
          own.put(name, value == null ? "" : value);
        }
      }
    }
    for (String name : SECRETS) {
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

  /** Sets a setting of docs/CONFIG.md. An empty text is its default, whatever the environment says. */
  void set(String name, String value) {
    natives.put(name, value);
  }

  /** Whether a setting has a value, which may be empty. */
  boolean has(String name) {
    return natives.containsKey(name);
  }

  /** Whether the endpoint is known to be one without TLS. */
  boolean isPlain() {
    return natives.getOrDefault("endpoint", "").startsWith("http://");
  }

  /** Trusts these certificates, in DER, where no {@code ca_bundle} is set. */
  void trust(List<byte[]> certificates) {
    trusted = certificates;
  }

  /** The store's URL, without a region. */
  String storeUrl() {
    return storeUrl;
  }

  /**
   * Settings of docs/CONFIG.md, name and value in turn: those of stores and those of clients. Certificates that are to be
   * trusted are handed over before, and stand there by their number.
   */
  String[] nativeSettings() {
    List<String> all = new ArrayList<>();
    natives.forEach(
        (name, value) -> {
          all.add(name);
          all.add(value);
        });
    if (!trusted.isEmpty()) {
      all.add("trusted");
      all.add(String.valueOf(Native.trust(trusted.toArray(new byte[0][]))));
    }
    return all.toArray(new String[0]);
  }

  /** Bytes of a block, as statuses tell it. */
  long blockSize() {
    return blockSize;
  }

  /** Objects of a directory renamed at once. */
  int renameWidth() {
    return renameWidth;
  }

  /** Whether many objects are deleted by one request. */
  boolean batchDelete() {
    return batchDelete;
  }

  /** Objects of such a request, at most. */
  int batchDeleteSize() {
    return batchDeleteSize;
  }

  /** Entries of a page of a listing. */
  int listPageSize() {
    return listPageSize;
  }

  /** Whether a directory is there by its marker alone. */
  boolean requireDirectoryMarker() {
    return requireDirectoryMarker;
  }

  /** Whether a create with overwrite replaces what is there. */
  boolean overwriteAllowed() {
    return overwriteAllowed;
  }

  /** Whether create looks at nothing before it writes. */
  boolean createPerformance() {
    return createPerformance;
  }

  /** Whether getFileChecksum tells the CRC-32C of the object. */
  boolean crc32cChecksum() {
    return crc32cChecksum;
  }

  /** Bytes of a columnar file's end that its status brings along; 0 for a plain HEAD. */
  int statusTail() {
    return statusTail;
  }

  /** The policy of a stream whose opener names none: one of {@link Native}'s. */
  int readPolicy() {
    return readPolicy;
  }

  /** Statuses to keep; 0 keeps none. */
  long statusCacheEntries() {
    return statusCacheEntries;
  }

  /** How long one is kept. */
  long statusCacheMillis() {
    return statusCacheMillis;
  }

  /** The file for the histograms of the process at its end; null for none. */
  String profilePath() {
    return profilePath;
  }
}
