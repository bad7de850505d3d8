// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What system properties become, and what precedes them. */
class JvmSettingsTest {

  @TempDir Path folder;
  private final Configuration conf = new Configuration(false);
  private final Map<String, String> environment = new TreeMap<>();
  private final Map<String, String> properties = new TreeMap<>();

  @BeforeEach
  void place() {
    // Without TLS, certificates are not asked for.
    conf.set("fs.oci.client.hostname", "http://h");
  }

  private Map<String, String> natives() throws IOException {
    Settings settings = SettingsReader.read(URI.create("oci://lake@ns"), conf, properties::get, environment::get);
    String[] all = settings.nativeSettings();
    Map<String, String> map = new TreeMap<>();
    for (int at = 0; at < all.length; at += 2) {
      assertNull(map.put(all[at], all[at + 1]), all[at] + " is given twice");
    }
    map.remove("endpoint");
    return map;
  }

  private void properties(String text) {
    for (String one : text.split(" ")) {
      String[] pair = one.split("=", 2);
      properties.put(pair[0], pair[1]);
    }
  }

  // Proxies.

  @ParameterizedTest
  @CsvSource({
    "https.proxyHost=p https.proxyPort=3128, https_proxy=http://p:3128",
    "https.proxyHost=p, https_proxy=http://p:443",
    "http.proxyHost=p, http_proxy=http://p:80",
    "http.proxyHost=p http.proxyUser=u http.proxyPassword=a@b, http_proxy=http://u:a%40b@p:80",
    "https.proxyHost=p https.proxyUser=u, https_proxy=http://u@p:443",
    "http.proxyHost=p https.proxyHost=q https.proxyPort=1, http_proxy=http://p:80 https_proxy=http://q:1",
    "http.proxyHost=::5, http_proxy=http://[::5]:80",
    "socksProxyHost=s, http_proxy=socks5://s:1080 https_proxy=socks5://s:1080",
    "socksProxyHost=s socksProxyPort=9 java.net.socks.username=u java.net.socks.password=w,"
        + " http_proxy=socks5://u:w@s:9 https_proxy=socks5://u:w@s:9",
    "socksProxyHost=s https.proxyHost=p, http_proxy=socks5://s:1080 https_proxy=http://p:443",
    "https.proxyHost=p http.nonProxyHosts=*.x.y|z, https_proxy=http://p:443 no_proxy=.x.y¦z",
    "socksProxyHost=s socksNonProxyHosts=z, http_proxy=socks5://s:1080 https_proxy=socks5://s:1080 no_proxy=z",
    "https.proxyHost=p socksNonProxyHosts=z, https_proxy=http://p:443",
    "https.proxyPort=3128 http.nonProxyHosts=z, ''",
    "http.proxyHost=, ''",
  })
  void propertiesBecomeSettings(String given, String expected) throws IOException {
    properties(given);
    Map<String, String> wanted = new TreeMap<>();
    for (String one : expected.isEmpty() ? new String[0] : expected.split(" ")) {
      String[] pair = one.split("=", 2);
      wanted.put(pair[0], pair[1].replace('¦', ','));
    }
    assertEquals(wanted, natives());
  }

  @ParameterizedTest
  @CsvSource({
    "localhost|127.*|[::1], 'localhost,127.0.0.0/8,::1'",
    "*.internal|store.example, '.internal,store.example'",
    "*example.com, example.com",
    "10.*| 172.16.* |192.168.7.*, '10.0.0.0/8,172.16.0.0/16,192.168.7.0/24'",
    "*, *",
    "web*|a.b|||, a.b",
    "'a,b', ''",
  })
  void hostsWithoutAProxyAreTranslated(String list, String expected) {
    assertEquals(expected, JvmSettings.noProxy(list));
  }

  @Test
  void eachSettingOfOursPrecedesItsProperty() throws IOException {
    properties("http.proxyHost=jvm https.proxyHost=jvm http.nonProxyHosts=jvm");
    conf.set("storescope.https_proxy", "http://ours:1");
    environment.put("STORESCOPE_NO_PROXY", "ours");
    assertEquals(Map.of("http_proxy", "http://jvm:80", "https_proxy", "http://ours:1"), natives());
    conf.set("storescope.https_proxy", "");
    assertEquals("", natives().get("https_proxy"), "an empty setting of ours means none");
    conf.unset("storescope.https_proxy");
    conf.set("fs.oci.client.proxy.uri", "http://oracle:2");
    assertEquals(Map.of("http_proxy", "http://oracle:2", "https_proxy", "http://oracle:2"), natives());
    conf.unset("fs.oci.client.proxy.uri");
    environment.put("STORESCOPE_HTTP_PROXY", "http://ours:1");
    environment.put("https_proxy", "http://field:1");
    assertEquals(Map.of("https_proxy", "http://jvm:443"), natives());
  }

  @Test
  void aPortThatIsNoneIsTold() {
    properties("https.proxyHost=p https.proxyPort=http");
    String told = assertThrows(IllegalArgumentException.class, this::natives).getMessage();
    assertTrue(told.contains("https.proxyPort=http"), told);
  }

  // Certificates.

  /** The JVM's own store has some hundred. */
  @Test
  void theDefaultStoreAppliesWhereNothingNamesCertificates() throws IOException {
    conf.set("fs.oci.client.hostname", "https://h");
    assertEquals(List.of("ca_bundle", "trusted"), new ArrayList<>(natives().keySet()));
    List<String> variables = new ArrayList<>(CoreSettings.ofCore().variables("ca_bundle"));
    variables.addAll(List.of("SSL_CERT_FILE", "SSL_CERT_DIR"));
    assertEquals(7, variables.size());
    for (String variable : variables) {
      environment.put(variable, "/a/file");
      assertEquals(Map.of(), natives(), variable);
      environment.clear();
    }
    environment.put("STORESCOPE_CA_BUNDLE", "/a/file");
    assertEquals(Map.of(), natives());
    environment.clear();
    conf.set("storescope.ca_bundle", "/a/file");
    assertEquals(Map.of("ca_bundle", "/a/file"), natives());
    conf.set("storescope.ca_bundle", "");
    assertEquals(Map.of("ca_bundle", ""), natives(), "an empty setting of ours means the platform's");
  }

  /** Each setting's, as docs/CONFIG.md names them. */
  @Test
  void theVariablesAreThoseOfTheCore() throws IOException {
    CoreSettings table = CoreSettings.ofCore();
    int settings = 0;
    for (String line : Files.readAllLines(Path.of("../../../docs/CONFIG.md"))) {
      String[] cells = line.split(" \\| ");
      if (line.startsWith("| `") && cells.length > 4) {
        List<String> variables = List.of(cells[4].replace("`", "").split(" "));
        assertEquals(variables, table.variables(cells[0].replaceAll("[|` ]", "")), line);
        settings++;
      }
    }
    assertTrue(settings > 50, settings + " settings");
  }
}
