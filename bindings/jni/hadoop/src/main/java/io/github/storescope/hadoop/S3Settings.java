// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;

/** The keys of Hadoop's S3A ({@link S3Key}), as settings of one bucket. */
final class S3Settings {

  /** An endpoint of AWS that says no more than a region does. */
  private static final Pattern OF_REGION = Pattern.compile("(?:https?://)?s3(?:[.-]([a-z0-9-]+))?\\.amazonaws\\.com/?");

  private static final String S3A = "org.apache.hadoop.fs.s3a.";
  private static final String V1 = "com.amazonaws.auth.";
  private static final String V2 = "software.amazon.awssdk.auth.credentials.";

  private static final Set<String> SIMPLE = Set.of(S3A + "SimpleAWSCredentialsProvider");
  private static final Set<String> TEMPORARY = Set.of(S3A + "TemporaryAWSCredentialsProvider");
  private static final Set<String> ANONYMOUS =
      Set.of(S3A + "AnonymousAWSCredentialsProvider", V1 + "AnonymousAWSCredentials", V2 + "AnonymousCredentialsProvider");

  /** What the chain of AWS's tools looks at in turn: environment, profile, web identity, container, instance. */
  private static final Set<String> CHAIN =
      Set.of(
          S3A + "auth.IAMInstanceCredentialsProvider",
          S3A + "auth.ProfileAWSCredentialsProvider",
          V1 + "DefaultAWSCredentialsProviderChain",
          V1 + "EnvironmentVariableCredentialsProvider",
          V1 + "InstanceProfileCredentialsProvider",
          V1 + "EC2ContainerCredentialsProviderWrapper",
          V1 + "WebIdentityTokenCredentialsProvider",
          V1 + "profile.ProfileCredentialsProvider",
          V2 + "DefaultCredentialsProvider",
          V2 + "EnvironmentVariableCredentialsProvider",
          V2 + "InstanceProfileCredentialsProvider",
          V2 + "ContainerCredentialsProvider",
          V2 + "WebIdentityTokenFileCredentialsProvider",
          V2 + "ProfileCredentialsProvider");

  private static final long LEAST_PART = 5 << 20;
  private static final String DAY = "24h";

  private final String bucket;
  private final Configuration conf;
  private final Values values;

  S3Settings(String bucket, Configuration conf, Values values) {
    this.bucket = bucket;
    this.conf = conf;
    this.values = values;
  }

  /**
   * @param own what our own keys say, which goes before these
   */
  void fill(SettingsBuilder settings, Map<String, String> own) throws IOException {
    place(settings);
    if (settings.credentials == null && !own.containsKey("auth") && !own.containsKey("access_key_id")) {
      credentials(settings);
    }
    network(settings);
    fileSystem(settings);
  }

  // Where.

  private void place(SettingsBuilder settings) {
    String region = text(S3Key.REGION);
    String endpoint = text(S3Key.ENDPOINT);
    if (endpoint != null) {
      Matcher parts = OF_REGION.matcher(endpoint);
      if (parts.matches()) {
        region = region == null ? parts.group(1) : region;
        // One of the environment would go before the region.
        settings.set("endpoint", "");
      } else {
        boolean tls = !isSet(S3Key.SSL) || flag(S3Key.SSL);
        settings.set("endpoint", endpoint.contains("://") ? endpoint : (tls ? "https://" : "http://") + endpoint);
      }
    } else if (region != null) {
      settings.set("endpoint", "");
    }
    if (region != null) {
      settings.set("region", region);
    }
    if (isSet(S3Key.PATH_STYLE)) {
      settings.set("s3_path_style", String.valueOf(flag(S3Key.PATH_STYLE)));
    }
  }

  // Who.

  /** The first of the providers that has something, as S3A asks them in turn. */
  private void credentials(SettingsBuilder settings) throws IOException {
    String id = values.secret(keys(S3Key.ACCESS_KEY));
    String secret = values.secret(keys(S3Key.SECRET_KEY));
    String token = values.secret(keys(S3Key.SESSION_TOKEN));
    boolean keys = id != null && secret != null;
    String key = key(S3Key.PROVIDERS);
    if (key == null) {
      if (keys) {
        give(settings, id, secret, token);
      } else if (id != null || secret != null) {
        throw new IOException(half(id));
      }
      return;
    }
    List<String> empty = new ArrayList<>();
    for (String provider : conf.getTrimmedStrings(key)) {
      if (TEMPORARY.contains(provider)) {
        if (keys && token != null) {
          give(settings, id, secret, token);
          return;
        }
        empty.add(provider);
      } else if (SIMPLE.contains(provider)) {
        if (keys) {
          give(settings, id, secret, null);
          return;
        }
        empty.add(provider);
      } else if (ANONYMOUS.contains(provider)) {
        settings.set("auth", "none");
        return;
      } else if (CHAIN.contains(provider)) {
        settings.set("auth", "auto");
        settings.set("access_key_id", "");
        settings.set("secret_access_key", "");
        return;
      } else {
        settings.sign(loaded(key, provider));
        return;
      }
    }
    String lack = keys ? S3Key.SESSION_TOKEN.key() + " is not set" : half(id);
    if (id == null && secret == null) {
      lack = "neither " + S3Key.ACCESS_KEY.key() + " nor " + S3Key.SECRET_KEY.key() + " is set";
    }
    throw new IOException(key + " names " + String.join(", ", empty) + ", and " + lack);
  }

  /** A class of the application's, or of AWS's SDK. */
  private Credentials loaded(String key, String provider) throws IOException {
    Credentials credentials = CredentialsClass.make(key, provider, URI.create("s3://" + bucket), conf);
    if (credentials == null) {
      throw new UnsupportedPrincipalException(
          provider,
          key + " names " + provider + ": there is no such class on the classpath. Without one are known the Simple, "
              + "Temporary, Anonymous, EnvironmentVariable, Profile, WebIdentity, container, IAMInstance and default providers "
              + "of S3A and AWS; all but the first three mean the whole chain of AWS's tools");
    }
    return credentials;
  }

  private static String half(String id) {
    S3Key there = id == null ? S3Key.SECRET_KEY : S3Key.ACCESS_KEY;
    S3Key missing = id == null ? S3Key.ACCESS_KEY : S3Key.SECRET_KEY;
    return there.key() + " is set, but " + missing.key() + " is not";
  }

  private static void give(SettingsBuilder settings, String id, String secret, String token) {
    settings.set("auth", "auto");
    settings.set("access_key_id", id);
    settings.set("secret_access_key", secret);
    settings.set("session_token", token == null ? "" : token);
  }

  // How.

  private void network(SettingsBuilder settings) throws IOException {
    String host = text(S3Key.PROXY_HOST);
    if (host != null) {
      long port = isSet(S3Key.PROXY_PORT) ? values.number(key(S3Key.PROXY_PORT), 1, 65535) : 80;
      String password = values.secret(keys(S3Key.PROXY_PASSWORD));
      String through = ProxyUrl.of("http", host + ":" + port, text(S3Key.PROXY_USER), password);
      settings.set("http_proxy", through);
      settings.set("https_proxy", through);
    }
    timeout(S3Key.CONNECT_TIMEOUT, settings, "connect_timeout");
    timeout(S3Key.READ_TIMEOUT, settings, "first_byte_timeout", "stall_timeout");
    if (isSet(S3Key.CONNECTIONS)) {
      settings.set("max_connections", String.valueOf(values.number(key(S3Key.CONNECTIONS), 1, Integer.MAX_VALUE)));
    }
    if (isSet(S3Key.PART_SIZE)) {
      long size = values.bytes(key(S3Key.PART_SIZE), 1, 5L << 30);
      if (size < LEAST_PART) {
        Warnings.once(key(S3Key.PART_SIZE) + "=" + text(S3Key.PART_SIZE) + " is less than S3 takes: 5M are written");
      }
      settings.set("part_size", String.valueOf(Math.max(size, LEAST_PART)));
    }
    if (isSet(S3Key.PART_CONCURRENCY)) {
      settings.set("part_concurrency", String.valueOf(values.number(key(S3Key.PART_CONCURRENCY), 1, 10_000)));
    }
  }

  private void timeout(S3Key key, SettingsBuilder settings, String... names) {
    if (isSet(key)) {
      long millis = values.millis(key(key));
      for (String name : names) {
        settings.set(name, millis == 0 ? DAY : millis + "ms");
      }
    }
  }

  // What the FileSystem does.

  private void fileSystem(SettingsBuilder settings) {
    if (isSet(S3Key.BLOCK_SIZE)) {
      settings.blockSize = values.bytes(key(S3Key.BLOCK_SIZE), 1, Long.MAX_VALUE);
    }
    if (isSet(S3Key.PAGE_SIZE)) {
      settings.listPageSize = (int) Math.min(1000, values.number(key(S3Key.PAGE_SIZE), 1, Integer.MAX_VALUE));
    }
    if (isSet(S3Key.BATCH_DELETE)) {
      settings.batchDelete = flag(S3Key.BATCH_DELETE);
    }
    if (isSet(S3Key.BATCH_DELETE_SIZE)) {
      settings.batchDeleteSize = (int) values.number(key(S3Key.BATCH_DELETE_SIZE), 1, 1000);
    }
    settings.createPerformance = flag(S3Key.CREATE_PERFORMANCE);
    String flags = key(S3Key.PERFORMANCE_FLAGS);
    if (flags != null) {
      for (String one : conf.getTrimmedStrings(flags)) {
        settings.createPerformance |= one.equalsIgnoreCase("create") || one.equals("*");
      }
    }
  }

  // Values.

  private List<String> keys(S3Key key) {
    return List.of(key.key(bucket), key.key());
  }

  /** The name under which a key is set: the bucket's, or all buckets'. Null if under neither. */
  private String key(S3Key key) {
    return values.key(keys(key));
  }

  private String text(S3Key key) {
    String name = key(key);
    return name == null ? null : values.text(name);
  }

  private boolean isSet(S3Key key) {
    return key(key) != null;
  }

  private boolean flag(S3Key key) {
    String name = key(key);
    return name != null && values.flag(name);
  }
}
