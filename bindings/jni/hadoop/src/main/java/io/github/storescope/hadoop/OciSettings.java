// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;

/** The keys of Oracle's connector ({@link OciKey}), as settings of one bucket. */
final class OciSettings {

  /** What a region looks like behind the namespace. */
  private static final Pattern WITH_REGION = Pattern.compile("(.+)\\.([a-zA-Z0-9-]{3,})");

  /** Larger than any number of attempts that the time allows. */
  private static final String TIME_DECIDES = "1000000";

  private static final String DAY = "24h";

  /** Settings that say where, or name a file that may. */
  private static final List<String> PLACES =
      List.of("endpoint", "oci_endpoint", "region", "oci_region", "config_file");

  private static final String[] REGION_VARIABLES = {
    "STORESCOPE_OCI_REGION", "STORESCOPE_REGION", "OCI_CLI_REGION", "OCI_REGION"
  };

  private static final Map<String, String> PRINCIPALS =
      Map.of(
          "com.oracle.bmc.hdfs.auth.InstancePrincipalsCustomAuthenticator", "instance principal",
          "com.oracle.bmc.hdfs.auth.ResourcePrincipalsCustomAuthenticator", "resource principal",
          "com.oracle.bmc.hdfs.auth.OkeWorkloadIdentityCustomAuthenticator", "OKE workload identity",
          "com.oracle.bmc.hdfs.auth.spnego.UPSTAuthenticationCustomAuthenticator", "UPST of a Kerberos ticket");

  private static final String THERE_ARE =
      "there are an API key (fs.oci.client.auth.tenantId, userId, fingerprint and pemfilepath, or a profile of the OCI "
          + "configuration file), a session token (fs.oci.client.auth.sessiontoken.enable), either with a delegation token "
          + "(fs.oci.delegation.token.filepath), and storescope.auth=none for public buckets";

  final String bucket;
  final String namespace;

  private final String region;
  private final List<String> suffixes;
  private final Configuration conf;
  private final Values values;
  private final UnaryOperator<String> environment;

  /**
   * @param authority {@code bucket@namespace}, or {@code bucket@namespace.region} where that is enabled
   */
  OciSettings(String authority, Configuration conf, Values values, UnaryOperator<String> environment)
      throws IOException {
    this.conf = conf;
    this.values = values;
    this.environment = environment;
    int at = authority.indexOf('@');
    bucket = at < 0 ? authority : authority.substring(0, at);
    String named = authority.substring(at + 1);
    if (at <= 0 || named.isEmpty() || named.indexOf('@') >= 0 || authority.indexOf(':') >= 0) {
      throw new IOException(
          "oci://" + authority + " is not oci://BUCKET@NAMESPACE: "
              + (at < 0
                  ? "the namespace is missing; `oci os ns get` tells it, or the console's page of the tenancy"
                  : "write one of each"));
    }
    String ofNamed = "." + bucket + "." + named;
    Matcher parts = WITH_REGION.matcher(named);
    if (flag(OciKey.MULTIREGION, List.of(ofNamed)) && parts.matches()) {
      namespace = parts.group(1);
      region = parts.group(2);
      suffixes = List.of(ofNamed, "." + bucket + "." + namespace);
    } else {
      namespace = named;
      region = null;
      suffixes = List.of(ofNamed);
    }
  }

  /**
   * @param own what our own keys say, which goes before these
   */
  void fill(Settings settings, Map<String, String> own) throws IOException {
    place(settings, own);
    principal(settings, own);
    network(settings);
    fileSystem(settings);
    tell();
  }

  // Where.

  private void place(Settings settings, Map<String, String> own) throws IOException {
    String hostname = text(OciKey.HOSTNAME);
    String regionCode = text(OciKey.REGION);
    boolean realm = flag(OciKey.REALM_ENDPOINT);
    String chosen = region != null ? region : hostname == null ? regionCode : null;
    if (chosen != null) {
      settings.set("region", chosen);
      // An endpoint of the environment would go before the region.
      settings.set("endpoint", "");
    } else if (hostname != null) {
      settings.set("endpoint", hostname.contains("://") ? hostname : "https://" + hostname);
      if (regionCode != null) {
        settings.set("region", regionCode);
      }
    } else if (!placeElsewhere(own)) {
      throw new IOException(
          "nothing names the region of oci://" + bucket + "@" + namespace + ": set " + OciKey.REGION.key + " or "
              + OciKey.HOSTNAME.key + " in core-site.xml, OCI_REGION in the environment, or region in the OCI "
              + "configuration file; an instance's metadata are not asked for it");
    }
    if (realm) {
      boolean named = chosen != null || hostname != null || own.containsKey("region") || own.containsKey("oci_region");
      if (!named && variable(REGION_VARIABLES) == null) {
        throw new IllegalArgumentException(
            name(OciKey.REALM_ENDPOINT) + " needs a region: set " + OciKey.REGION.key + ", or put it into the URI");
      }
      settings.set("realm_endpoint", "true");
    }
  }

  /** Whether our own keys, the environment or a configuration file may say where: the native library reads them. */
  private boolean placeElsewhere(Map<String, String> own) {
    if (PLACES.stream().anyMatch(own::containsKey)
        || variable(REGION_VARIABLES) != null
        || variable("STORESCOPE_OCI_ENDPOINT", "STORESCOPE_ENDPOINT", "OCI_CLI_ENDPOINT") != null
        || variable("STORESCOPE_CONFIG_FILE", "OCI_CLI_CONFIG_FILE", "OCI_CONFIG_FILE") != null) {
      return true;
    }
    return Files.exists(path("~/.oci/config")) || Files.exists(path("~/.oraclebmc/config"));
  }

  private String variable(String... names) {
    for (String name : names) {
      String value = environment.apply(name);
      if (value != null && !value.isEmpty()) {
        return value;
      }
    }
    return null;
  }

  // Who.

  private void principal(Settings settings, Map<String, String> own) throws IOException {
    String authenticator = text(OciKey.AUTHENTICATOR);
    boolean chosen = own.containsKey("auth");
    if (authenticator != null && !chosen) {
      throw unsupported(authenticator);
    }
    Map<OciKey, String> values = new LinkedHashMap<>();
    for (OciKey key : List.of(OciKey.TENANCY, OciKey.USER, OciKey.FINGERPRINT, OciKey.KEY_FILE)) {
      if (text(key) != null) {
        values.put(key, text(key));
      }
    }
    boolean session = flag(OciKey.SESSION_TOKEN_ENABLED);
    if (!values.isEmpty() || session) {
      complete(values, own, session);
      if (!chosen) {
        settings.set("auth", session ? "security_token" : "api_key");
      }
      values.forEach((key, value) -> settings.set(setting(key), value));
    }
    if (session) {
      String file = text(OciKey.SESSION_TOKEN_FILE);
      file = file == null ? OciKey.SESSION_TOKEN_FILE.fallback : file;
      check(OciKey.SESSION_TOKEN_FILE, file, "`oci session authenticate` makes it");
      settings.set("security_token_file", file);
    }
    String passphrase = this.values.secret(keysOfSecret(OciKey.PASSPHRASE));
    if (passphrase != null) {
      settings.set("pass_phrase", passphrase);
    }
    String delegation = text(OciKey.DELEGATION_TOKEN_FILE);
    if (delegation != null && variable("OCI_DELEGATION_TOKEN_FILE") == null) {
      check(OciKey.DELEGATION_TOKEN_FILE, delegation, "name the file of a delegation token");
      settings.set("delegation_token_file", delegation);
    }
  }

  private static UnsupportedPrincipalException unsupported(String authenticator) {
    String principal = PRINCIPALS.get(authenticator);
    if (principal != null) {
      return new UnsupportedPrincipalException(
          principal,
          OciKey.AUTHENTICATOR.key + "=" + authenticator + ": the " + principal + " is not built yet; " + THERE_ARE);
    }
    return new UnsupportedPrincipalException(
        authenticator,
        OciKey.AUTHENTICATOR.key + "=" + authenticator + ": signatures are made outside of Java, where classes of Oracle's SDK "
            + "cannot be loaded. Of authenticators these names are known, though not built yet: "
            + String.join(", ", new java.util.TreeSet<>(PRINCIPALS.keySet())) + "; " + THERE_ARE);
  }

  /** Whether the four are there, and the key's file with them. */
  private void complete(Map<OciKey, String> values, Map<String, String> own, boolean session) throws IOException {
    List<String> missing = new ArrayList<>();
    for (OciKey key : List.of(OciKey.TENANCY, OciKey.USER, OciKey.FINGERPRINT, OciKey.KEY_FILE)) {
      boolean elsewhere = own.containsKey(setting(key)) || key == OciKey.KEY_FILE && own.containsKey("key_content");
      // A session's token names its user.
      boolean needed = !session || key == OciKey.KEY_FILE;
      if (needed && !elsewhere && !values.containsKey(key)) {
        missing.add(key.key);
      }
    }
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          String.join(", ", missing) + (missing.size() == 1 ? " is" : " are") + " missing: "
              + (session
                  ? "a session token is signed with the session's key"
                  : "the API key needs all four of tenantId, userId, fingerprint and pemfilepath")
              + "; or set none of them, and the OCI configuration file counts");
    }
    String keyFile = values.get(OciKey.KEY_FILE);
    if (keyFile != null && !own.containsKey("key_file") && !own.containsKey("key_content")) {
      check(OciKey.KEY_FILE, keyFile, "name the PEM file of the private key, on every machine that runs tasks");
    }
  }

  private static String setting(OciKey key) {
    switch (key) {
      case TENANCY:
        return "tenancy";
      case USER:
        return "user";
      case FINGERPRINT:
        return "fingerprint";
      default:
        return "key_file";
    }
  }

  private void check(OciKey key, String file, String mend) throws FileNotFoundException {
    if (!Files.isReadable(path(file))) {
      throw new FileNotFoundException(name(key) + "=" + file + ": there is no such file, or it cannot be read; " + mend);
    }
  }

  private static Path path(String text) {
    return text.startsWith("~/") ? Paths.get(System.getProperty("user.home"), text.substring(2)) : Paths.get(text);
  }

  // How.

  private void network(Settings settings) throws IOException {
    String proxy = text(OciKey.PROXY_URI);
    if (proxy != null) {
      String through = proxy(proxy, text(OciKey.PROXY_USER), values.secret(keysOfSecret(OciKey.PROXY_PASSWORD)));
      settings.set("http_proxy", through);
      settings.set("https_proxy", through);
    }
    timeout(OciKey.CONNECT_TIMEOUT, settings, "connect_timeout");
    timeout(OciKey.READ_TIMEOUT, settings, "first_byte_timeout", "stall_timeout");
    if (isSet(OciKey.RETRY_TIMEOUT)) {
      settings.set("call_timeout", number(OciKey.RETRY_TIMEOUT, 1, Integer.MAX_VALUE) + "s");
      settings.set("attempts", TIME_DECIDES);
    } else if (isSet(OciKey.READ_RETRIES) || isSet(OciKey.WRITE_RETRIES)) {
      settings.set("attempts", String.valueOf(1 + Math.max(retries(OciKey.READ_RETRIES), retries(OciKey.WRITE_RETRIES))));
    }
    if (isSet(OciKey.RETRY_RESET)) {
      settings.set("backoff_cap", number(OciKey.RETRY_RESET, 1, Integer.MAX_VALUE) + "s");
    }
    if (isSet(OciKey.CIRCUIT_BREAKER) && !flag(OciKey.CIRCUIT_BREAKER)) {
      // In percent of the requests: as many as there may be attempts.
      settings.set("retry_budget", TIME_DECIDES);
    }
    if (isSet(OciKey.POOL_SIZE)) {
      settings.set("max_connections", String.valueOf(number(OciKey.POOL_SIZE, 1, Integer.MAX_VALUE)));
    }
    if (isSet(OciKey.MULTIPART_PART_SIZE)) {
      settings.set("part_size", number(OciKey.MULTIPART_PART_SIZE, 1, 50 << 10) + "MiB");
    }
    if (isSet(OciKey.MULTIPART_THREADS)) {
      settings.set("part_concurrency", String.valueOf(number(OciKey.MULTIPART_THREADS, 1, 10_000)));
    }
  }

  private long retries(OciKey key) {
    return isSet(key) ? number(key, 0, 1_000_000) : 0;
  }

  private void timeout(OciKey key, Settings settings, String... names) {
    if (isSet(key)) {
      long millis = number(key, 0, Long.MAX_VALUE);
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
      throw new IllegalArgumentException(name(OciKey.PROXY_URI) + shape, e);
    }
    if (uri.getHost() == null || uri.getPort() < 0) {
      throw new IllegalArgumentException(name(OciKey.PROXY_URI) + shape);
    }
    String scheme = "http".equalsIgnoreCase(uri.getScheme()) ? "http" : "socks5";
    return proxy(scheme, uri.getHost() + ":" + uri.getPort(), user, password);
  }

  /** A proxy's URL; user and password may be null. */
  static String proxy(String scheme, String place, String user, String password) {
    String who = user == null ? "" : encode(user) + (password == null ? "" : ":" + encode(password)) + "@";
    return scheme + "://" + who + place;
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }

  // What the FileSystem does.

  private void fileSystem(Settings settings) {
    if (isSet(OciKey.BLOCK_SIZE)) {
      settings.blockSize = number(OciKey.BLOCK_SIZE, 1, 1 << 20) << 20;
    }
    if (isSet(OciKey.RENAME_THREADS)) {
      settings.renameWidth = (int) number(OciKey.RENAME_THREADS, 1, 10_000);
    }
    if (isSet(OciKey.BATCH_DELETE)) {
      settings.batchDelete = flag(OciKey.BATCH_DELETE);
    }
    if (isSet(OciKey.BATCH_DELETE_SIZE)) {
      settings.batchDeleteSize = (int) number(OciKey.BATCH_DELETE_SIZE, 1, 1000);
    }
    if (isSet(OciKey.LIST_PAGE)) {
      settings.listPageSize = (int) number(OciKey.LIST_PAGE, 1, 1000);
    }
    settings.requireDirectoryMarker = flag(OciKey.REQUIRE_MARKER);
    settings.overwriteAllowed = !isSet(OciKey.ALLOW_OVERWRITE) || flag(OciKey.ALLOW_OVERWRITE);
    settings.createPerformance = conf.getBoolean(OciKey.CREATE_PERFORMANCE, false);
    if (flag(OciKey.READ_IN_MEMORY)) {
      if (flag(OciKey.READ_AHEAD)) {
        throw new IllegalArgumentException(
            name(OciKey.READ_IN_MEMORY) + " and " + name(OciKey.READ_AHEAD)
                + " are both true: the whole file needs no read-ahead");
      }
      settings.readPolicy = Native.POLICY_WHOLE_FILE;
    }
    if (flag(OciKey.STATUS_CACHE)) {
      String spec = text(OciKey.STATUS_CACHE_SPEC);
      spec = spec == null ? OciKey.STATUS_CACHE_SPEC.fallback : spec;
      CacheSpec cache = CacheSpec.parse(OciKey.STATUS_CACHE_SPEC.key, spec);
      settings.statusCacheEntries = cache.entries;
      settings.statusCacheMillis = cache.millis;
    }
  }

  /** Warns of what has no effect, and of what is not known. */
  private void tell() {
    for (OciKey key : OciKey.values()) {
      boolean silent = key.treatment == OciKey.Treatment.HONOURED || key.treatment == OciKey.Treatment.MAPPED;
      if (!silent && isSet(key) && !key.fallback.equalsIgnoreCase(text(key))) {
        Warnings.once(name(key) + " has no effect: " + key.becomes.replace("`", ""));
      }
    }
    for (Map.Entry<String, String> entry : conf) {
      String name = entry.getKey();
      if (OciKey.isUnknown(name)) {
        Warnings.once(name + " is not known, and has no effect; the nearest that is: " + OciKey.nearest(name));
      }
    }
  }

  // Values.

  /** The value; null where there is none. */
  private String text(OciKey key) {
    String name = key(key, suffixes);
    return name == null ? null : values.text(name);
  }

  private boolean isSet(OciKey key) {
    return text(key) != null;
  }

  private boolean flag(OciKey key) {
    return flag(key, suffixes);
  }

  private boolean flag(OciKey key, List<String> suffixes) {
    String name = key(key, suffixes);
    return name != null && values.flag(name);
  }

  private long number(OciKey key, long least, long most) {
    return values.number(key(key, suffixes), least, most);
  }

  /** What the key is called where it is set, for messages. */
  private String name(OciKey key) {
    String name = key(key, suffixes);
    return name == null ? key.key : name;
  }

  /** The name under which a key is set: the bucket's, its own, its deprecated twin. Null if under none. */
  private String key(OciKey key, List<String> suffixes) {
    for (String suffix : suffixes) {
      if (values.text(key.key + suffix) != null) {
        return key.key + suffix;
      }
    }
    String twin = key.twin();
    boolean old = twin != null && values.text(twin) != null;
    if (old && values.text(key.key) != null) {
      throw new IllegalArgumentException(
          "both " + key.key + " and its deprecated twin " + twin + " are set: use one or the other, but not both");
    }
    return old ? twin : values.text(key.key) != null ? key.key : null;
  }

  /** The same for a secret, in the order of search; both of a pair are an error, wherever they are. */
  private List<String> keysOfSecret(OciKey key) throws IOException {
    List<String> keys = new ArrayList<>();
    for (String suffix : suffixes) {
      keys.add(key.key + suffix);
    }
    boolean both = values.secret(List.of(key.key)) != null && values.secret(List.of(key.twin())) != null;
    if (both && values.secret(keys) == null) {
      throw new IllegalArgumentException(
          "both " + key.key + " and its deprecated twin " + key.twin() + " are set: use one or the other, but not both");
    }
    keys.add(key.key);
    keys.add(key.twin());
    return keys;
  }
}
