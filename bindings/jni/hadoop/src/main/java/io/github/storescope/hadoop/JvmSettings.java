// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/**
 * The certificates and the proxies of this JVM, for the native library, which reads none of them by itself.
 *
 * <p>Each applies where neither the Configuration nor an environment variable {@code STORESCOPE_…} sets the same. A system
 * property precedes the other environment variables of a setting ({@code https_proxy}, {@code OCI_CLI_CERT_BUNDLE}); the
 * JVM's default trust store, which no property names, applies where those name no certificates either.
 */
final class JvmSettings {

  static final String TRUST_STORE = "javax.net.ssl.trustStore";

  /** The variables that name the platform's certificates, beside those of the setting {@code ca_bundle}. */
  static final List<String> PLATFORM_CERTIFICATES = List.of("SSL_CERT_FILE", "SSL_CERT_DIR");

  private static final String BUNDLE = "ca_bundle";
  private static final Pattern NAME = Pattern.compile("[^*\\s,]+");
  private static final Pattern NETWORK = Pattern.compile("((?:\\d{1,3}\\.){1,3})\\*");

  private final UnaryOperator<String> properties;
  private final Environment environment;

  /**
   * @param properties the system properties
   */
  JvmSettings(UnaryOperator<String> properties, Environment environment) {
    this.properties = properties;
    this.environment = environment;
  }

  /** Adds to a store's settings what they lack. */
  void fill(SettingsBuilder settings) throws IOException {
    proxies(settings);
    trust(settings);
  }

  // Proxies, as java.net.ProxySelector's default reads them.

  private void proxies(SettingsBuilder settings) {
    String http = proxy("http", 80);
    String https = proxy("https", 443);
    String socks = socks();
    set(settings, "http_proxy", http == null ? socks : http);
    set(settings, "https_proxy", https == null ? socks : https);
    String direct = property(http == null && https == null ? "socksNonProxyHosts" : "http.nonProxyHosts");
    if (direct != null && (http != null || https != null || socks != null)) {
      set(settings, "no_proxy", noProxy(direct));
    }
  }

  private String proxy(String scheme, int usualPort) {
    String host = property(scheme + ".proxyHost");
    if (host == null) {
      return null;
    }
    int port = port(scheme + ".proxyPort", usualPort);
    String user = property(scheme + ".proxyUser");
    return ProxyUrl.of("http", place(host, port), user, property(scheme + ".proxyPassword"));
  }

  private String socks() {
    String host = property("socksProxyHost");
    if (host == null) {
      return null;
    }
    if ("4".equals(property("socksProxyVersion"))) {
      Warnings.once("socksProxyVersion=4 has no effect: the proxy socksProxyHost is asked by SOCKS 5");
    }
    String user = property("java.net.socks.username");
    return ProxyUrl.of("socks5", place(host, port("socksProxyPort", 1080)), user, property("java.net.socks.password"));
  }

  private static String place(String host, int port) {
    return (host.indexOf(':') >= 0 && !host.startsWith("[") ? "[" + host + "]" : host) + ":" + port;
  }

  private int port(String name, int usual) {
    String text = property(name);
    if (text == null) {
      return usual;
    }
    try {
      int port = Integer.parseInt(text.trim());
      if (port > 0 && port <= 65535) {
        return port;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new IllegalArgumentException("the system property " + name + "=" + text + ": expected a port, from 1 to 65535");
  }

  /**
   * A list with {@code |} between and {@code *} at an end, as {@code no_proxy} has it: names, which stand for what is below
   * them, too, addresses and networks.
   */
  static String noProxy(String list) {
    List<String> hosts = new ArrayList<>();
    for (String one : list.split("\\|")) {
      String pattern = one.trim();
      if (pattern.isEmpty()) {
        continue;
      }
      String host = noProxyHost(pattern);
      if (host == null) {
        Warnings.once("http.nonProxyHosts: the pattern " + pattern + " has no effect; write *.DOMAIN, a host, or 10.*");
      } else {
        hosts.add(host);
      }
    }
    return String.join(",", hosts);
  }

  private static String noProxyHost(String pattern) {
    if (pattern.equals("*")) {
      return pattern;
    }
    Matcher network = NETWORK.matcher(pattern);
    if (network.matches()) {
      String octets = network.group(1);
      int known = octets.split("\\.").length;
      return octets + "0.".repeat(3 - known) + "0/" + 8 * known;
    }
    String host = pattern.startsWith("*") ? pattern.substring(1) : pattern;
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    }
    return NAME.matcher(host).matches() ? host : null;
  }

  // Certificates.

  private void trust(SettingsBuilder settings) throws IOException {
    boolean named = isTrustStoreNamed();
    if (settings.has(BUNDLE) || environment.givesOwn(BUNDLE) || settings.isPlain()) {
      return;
    }
    if (!named && (environment.gives(List.of(BUNDLE)) || PLATFORM_CERTIFICATES.stream().anyMatch(environment::has))) {
      return;
    }
    List<byte[]> trusted = trusted();
    if (named && trusted.isEmpty()) {
      throw new IOException(
          "the system property " + TRUST_STORE + "=" + property(TRUST_STORE) + ": it holds no certificate; name another, or "
              + "set storescope.ca_bundle to a file of certificates in PEM");
    }
    if (!trusted.isEmpty()) {
      // What other variables name does not count then.
      settings.set(BUNDLE, "");
      settings.trusted = trusted;
    }
  }

  /** The JVM takes its default store where the one that is named cannot be read. */
  private boolean isTrustStoreNamed() {
    String file = property(TRUST_STORE);
    if (file == null || file.equals("NONE") || Files.isReadable(Path.of(file))) {
      return file != null;
    }
    Warnings.once("the system property " + TRUST_STORE + "=" + file + " has no effect: the file cannot be read");
    return false;
  }

  /** What this JVM trusts: the store that the properties name, else {@code jssecacerts} or {@code cacerts}. */
  private List<byte[]> trusted() throws IOException {
    List<byte[]> trusted = new ArrayList<>();
    try {
      TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init((KeyStore) null);
      for (TrustManager manager : factory.getTrustManagers()) {
        if (manager instanceof X509TrustManager) {
          for (X509Certificate certificate : ((X509TrustManager) manager).getAcceptedIssuers()) {
            trusted.add(certificate.getEncoded());
          }
        }
      }
    } catch (GeneralSecurityException e) {
      throw new IOException(
          "the JVM's trust store cannot be read (" + TRUST_STORE + "=" + property(TRUST_STORE)
              + ", and its trustStoreType and trustStorePassword): " + e.getMessage(), e);
    }
    return trusted;
  }

  // Values.

  private void set(SettingsBuilder settings, String name, String value) {
    if (value != null && !settings.has(name) && !environment.givesOwn(name)) {
      settings.set(name, value);
    }
  }

  /** The value; null where there is none, or an empty one. */
  private String property(String name) {
    String value = properties.apply(name);
    return value == null || value.isEmpty() ? null : value;
  }
}
