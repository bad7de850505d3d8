// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;

/** The keys of Oracle's connector ({@link OciKey}), as settings of one bucket. */
final class OciSettings {

  /** Larger than any number of attempts that the time allows. */
  private static final String TIME_DECIDES = "1000000";

  private static final String DAY = "24h";

  private static final List<String> REGIONS = List.of("oci_region", "region");

  /** Settings that say where, or name a file that may. */
  private static final List<String> PLACES =
      List.of("endpoint", "oci_endpoint", "region", "oci_region", "config_file");

  private final OciConfiguration keys;
  private final Environment environment;

  OciSettings(OciConfiguration keys, Environment environment) {
    this.keys = keys;
    this.environment = environment;
  }

  /**
   * @param own what our own keys say, which goes before these
   */
  void fill(SettingsBuilder settings, Map<String, String> own) throws IOException {
    OciPrincipal principal = new OciPrincipal(keys, environment);
    place(settings, own, principal.mayKnowRegion(own));
    principal.fill(settings, own);
    network(settings);
    fileSystem(settings);
    keys.warn();
  }

  // Where.

  private void place(SettingsBuilder settings, Map<String, String> own, boolean regional) throws IOException {
    String hostname = keys.text(OciKey.HOSTNAME);
    String regionCode = keys.text(OciKey.REGION);
    boolean realm = keys.flag(OciKey.REALM_ENDPOINT);
    String chosen = keys.region != null ? keys.region : hostname == null ? regionCode : null;
    if (chosen != null) {
      settings.set("region", chosen);
      // An endpoint of the environment would go before the region.
      settings.set("endpoint", "");
    } else if (hostname != null) {
      settings.set("endpoint", hostname.contains("://") ? hostname : "https://" + hostname);
      if (regionCode != null) {
        settings.set("region", regionCode);
      }
    } else if (!regional && !placeElsewhere(own)) {
      throw new IOException(
          "nothing names the region of oci://" + keys.bucket + "@" + keys.namespace + ": set " + OciKey.REGION.key + " or "
              + OciKey.HOSTNAME.key + " in core-site.xml, OCI_REGION in the environment, or region in the OCI "
              + "configuration file; instance metadata is queried only for principals that belong to an instance");
    }
    if (realm) {
      boolean named = chosen != null || hostname != null || REGIONS.stream().anyMatch(own::containsKey);
      if (!named && !regional && !environment.gives(REGIONS)) {
        throw new IllegalArgumentException(
            keys.name(OciKey.REALM_ENDPOINT) + " needs a region: set " + OciKey.REGION.key + ", or put it into the URI");
      }
      settings.set("realm_endpoint", "true");
    }
  }

  /** Whether our own keys, the environment or a configuration file may say where: the native library reads them. */
  private boolean placeElsewhere(Map<String, String> own) throws IOException {
    return PLACES.stream().anyMatch(own::containsKey)
        || environment.gives(PLACES)
        || CoreSettings.ofCore().configFiles().stream().anyMatch(file -> Files.exists(HomeFolder.path(file)));
  }

  // How.

  private void network(SettingsBuilder settings) throws IOException {
    String proxy = keys.text(OciKey.PROXY_URI);
    if (proxy != null) {
      String through = proxy(proxy, keys.text(OciKey.PROXY_USER), keys.secret(OciKey.PROXY_PASSWORD));
      settings.set("http_proxy", through);
      settings.set("https_proxy", through);
    }
    timeout(OciKey.CONNECT_TIMEOUT, settings, "connect_timeout");
    timeout(OciKey.READ_TIMEOUT, settings, "first_byte_timeout", "stall_timeout");
    if (keys.isSet(OciKey.RETRY_TIMEOUT)) {
      settings.set("call_timeout", keys.number(OciKey.RETRY_TIMEOUT, 1, Integer.MAX_VALUE) + "s");
      settings.set("attempts", TIME_DECIDES);
    } else if (keys.isSet(OciKey.READ_RETRIES) || keys.isSet(OciKey.WRITE_RETRIES)) {
      settings.set("attempts", String.valueOf(1 + Math.max(retries(OciKey.READ_RETRIES), retries(OciKey.WRITE_RETRIES))));
    }
    if (keys.isSet(OciKey.RETRY_RESET)) {
      settings.set("backoff_cap", keys.number(OciKey.RETRY_RESET, 1, Integer.MAX_VALUE) + "s");
    }
    if (keys.isSet(OciKey.CIRCUIT_BREAKER) && !keys.flag(OciKey.CIRCUIT_BREAKER)) {
      // In percent of the requests: as many as there may be attempts.
      settings.set("retry_budget", TIME_DECIDES);
    }
    if (keys.isSet(OciKey.POOL_SIZE)) {
      settings.set("max_connections", String.valueOf(keys.number(OciKey.POOL_SIZE, 1, Integer.MAX_VALUE)));
    }
    if (keys.isSet(OciKey.MULTIPART_PART_SIZE)) {
      settings.set("part_size", keys.number(OciKey.MULTIPART_PART_SIZE, 1, 50 << 10) + "MiB");
    }
    if (keys.isSet(OciKey.MULTIPART_THREADS)) {
      settings.set("part_concurrency", String.valueOf(keys.number(OciKey.MULTIPART_THREADS, 1, 10_000)));
    }
  }

  private long retries(OciKey key) {
    return keys.isSet(key) ? keys.number(key, 0, 1_000_000) : 0;
  }

  private void timeout(OciKey key, SettingsBuilder settings, String... names) {
    if (keys.isSet(key)) {
      long millis = keys.number(key, 0, Long.MAX_VALUE);
      for (String name : names) {
        settings.set(name, millis == 0 ? DAY : millis + "ms");
      }
    }
  }

  private String proxy(String text, String user, String password) {
    String shape = ": expected http://HOST:PORT or socks://HOST:PORT";
    URI uri;
    try {
      uri = URI.create(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(keys.name(OciKey.PROXY_URI) + shape, e);
    }
    if (uri.getHost() == null || uri.getPort() < 0) {
      throw new IllegalArgumentException(keys.name(OciKey.PROXY_URI) + shape);
    }
    String scheme = "http".equalsIgnoreCase(uri.getScheme()) ? "http" : "socks5";
    return ProxyUrl.of(scheme, uri.getHost() + ":" + uri.getPort(), user, password);
  }

  // What the FileSystem does.

  private void fileSystem(SettingsBuilder settings) {
    if (keys.isSet(OciKey.BLOCK_SIZE)) {
      settings.blockSize = keys.number(OciKey.BLOCK_SIZE, 1, 1 << 20) << 20;
    }
    if (keys.isSet(OciKey.RENAME_THREADS)) {
      settings.renameWidth = (int) keys.number(OciKey.RENAME_THREADS, 1, 10_000);
    }
    if (keys.isSet(OciKey.BATCH_DELETE)) {
      settings.batchDelete = keys.flag(OciKey.BATCH_DELETE);
    }
    if (keys.isSet(OciKey.BATCH_DELETE_SIZE)) {
      settings.batchDeleteSize = (int) keys.number(OciKey.BATCH_DELETE_SIZE, 1, 1000);
    }
    if (keys.isSet(OciKey.LIST_PAGE)) {
      settings.listPageSize = (int) keys.number(OciKey.LIST_PAGE, 1, 1000);
    }
    settings.requireDirectoryMarker = keys.flag(OciKey.REQUIRE_MARKER);
    settings.overwriteAllowed = !keys.isSet(OciKey.ALLOW_OVERWRITE) || keys.flag(OciKey.ALLOW_OVERWRITE);
    settings.createPerformance = keys.isTrue(OciKey.CREATE_PERFORMANCE);
    if (keys.flag(OciKey.READ_IN_MEMORY)) {
      if (keys.flag(OciKey.READ_AHEAD)) {
        throw new IllegalArgumentException(
            keys.name(OciKey.READ_IN_MEMORY) + " and " + keys.name(OciKey.READ_AHEAD)
                + " are both true: the whole file needs no read-ahead");
      }
      settings.readPolicy = Native.POLICY_WHOLE_FILE;
    }
    if (keys.flag(OciKey.STATUS_CACHE)) {
      String spec = keys.text(OciKey.STATUS_CACHE_SPEC);
      spec = spec == null ? OciKey.STATUS_CACHE_SPEC.fallback : spec;
      CacheSpec cache = CacheSpec.parse(OciKey.STATUS_CACHE_SPEC.key, spec);
      settings.statusCacheEntries = cache.entries;
      settings.statusCacheMillis = cache.millis;
    }
  }
}
