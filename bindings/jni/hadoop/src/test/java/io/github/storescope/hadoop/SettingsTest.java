// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.alias.CredentialProvider;
import org.apache.hadoop.security.alias.CredentialProviderFactory;
import org.apache.log4j.AppenderSkeleton;
import org.apache.log4j.Logger;
import org.apache.log4j.spi.LoggingEvent;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SettingsTest {

  private static final URI BUCKET = URI.create("oci://lake@ns");

  @TempDir Path folder;
  private final Configuration conf = new Configuration(false);
  private final Map<String, String> environment = new TreeMap<>();
  private Path key;

  @BeforeEach
  void place() throws IOException {
    key = Files.writeString(folder.resolve("key.pem"), "a key");
    conf.set("fs.oci.client.hostname", "https://h");
  }

  private Settings settings(URI uri) throws IOException {
    return SettingsReader.read(uri, conf, environment::get);
  }

  private Settings settings() throws IOException {
    return settings(BUCKET);
  }

  private Map<String, String> natives(URI uri) throws IOException {
    String[] all = settings(uri).nativeSettings();
    Map<String, String> map = new TreeMap<>();
    for (int at = 0; at < all.length; at += 2) {
      assertNull(map.put(all[at], all[at + 1]), all[at] + " is given twice");
    }
    return map;
  }

  private Map<String, String> natives() throws IOException {
    return natives(BUCKET);
  }

  private void apiKey() {
    conf.set("fs.oci.client.auth.tenantId", "ocid1.tenancy.oc1..t");
    conf.set("fs.oci.client.auth.userId", "ocid1.user.oc1..u");
    conf.set("fs.oci.client.auth.fingerprint", "00:11");
    conf.set("fs.oci.client.auth.pemfilepath", key.toString());
  }

  private <T extends Throwable> String told(Class<T> type, URI uri, String... parts) {
    String message = assertThrows(type, () -> settings(uri)).getMessage();
    for (String part : parts) {
      assertTrue(message.contains(part), part + " in " + message);
    }
    return message;
  }

  // The table.

  @Test
  void theTableHasEveryKeyOfOraclesConnector() throws IOException {
    TreeSet<String> table = new TreeSet<>();
    for (OciKey one : OciKey.values()) {
      assertTrue(table.add(one.key + " " + one.treatment.word), one.key + " stands there twice");
      assertFalse(one.becomes.isEmpty(), one.key);
    }
    TreeSet<String> listed = new TreeSet<>();
    for (String line : resource("/oracle-keys.txt").split("\n")) {
      if (!line.startsWith("#")) {
        listed.add(line.trim());
      }
    }
    assertEquals(listed, table);
    assertEquals(96 + 2, table.size());
  }

  @Test
  void theDocumentHasTheTables() throws IOException {
    StringBuilder oracle = new StringBuilder("\n| key | default there | here | what it becomes |\n|---|---|---|---|\n");
    for (OciKey one : OciKey.values()) {
      String fallback = one.fallback.isEmpty() ? "–" : "`" + one.fallback + "`";
      oracle.append(String.format("| `%s` | %s | %s | %s |%n", one.key, fallback, one.treatment.word, one.becomes));
    }
    StringBuilder s3 = new StringBuilder("\n| key | what it becomes |\n|---|---|\n");
    for (S3Key one : S3Key.values()) {
      s3.append(String.format("| `%s` | %s |%n", one.key(), one.becomes));
    }
    Path file = Path.of("../../../docs/HADOOP.md");
    String text = Files.readString(file);
    String made = between(between(text, "oracle-keys", oracle.toString()), "s3-keys", s3.toString());
    if (System.getenv("STORESCOPE_BLESS") != null) {
      Files.writeString(file, made);
      return;
    }
    assertEquals(made, text, "run with STORESCOPE_BLESS=1 to write it anew");
  }

  private static String between(String text, String mark, String made) {
    String from = "<!-- " + mark + " -->\n";
    int start = text.indexOf(from) + from.length();
    int end = text.indexOf("<!-- /" + mark + " -->");
    assertTrue(start >= from.length() && end >= start, mark);
    return text.substring(0, start) + made + "\n" + text.substring(end);
  }

  /** What docs/CONFIG.md calls secret text is asked of credential providers, and nothing else is. */
  @Test
  void theSecretsAreThoseOfTheCore() throws IOException {
    TreeSet<String> secrets = new TreeSet<>();
    for (String line : Files.readAllLines(Path.of("../../../docs/CONFIG.md"))) {
      String[] cells = line.split(" \\| ");
      if (cells.length > 2 && cells[1].equals("secret text")) {
        secrets.add(cells[0].replaceAll("[|` ]", ""));
      }
    }
    assertEquals(new TreeSet<>(CoreSettings.ofCore().secrets()), secrets);
  }

  private static String resource(String name) throws IOException {
    return new String(SettingsTest.class.getResourceAsStream(name).readAllBytes(), StandardCharsets.UTF_8);
  }

  // Oracle's keys, each with what it becomes.

  @ParameterizedTest
  @CsvSource({
    "fs.oci.client.hostname, http://127.0.0.1:8080, endpoint=http://127.0.0.1:8080",
    "fs.oci.client.hostname, objectstorage.x.com, endpoint=https://objectstorage.x.com",
    "fs.oci.client.regionCodeOrId, iad, region=iad",
    "fs.oci.client.http.connectiontimeout, 2500, connect_timeout=2500ms",
    "fs.oci.client.http.connectiontimeout, 0, connect_timeout=24h",
    "fs.oci.client.http.readtimeout, 60000, first_byte_timeout=60000ms stall_timeout=60000ms",
    "fs.oci.client.http.readmaxretries, 3, attempts=4",
    "fs.oci.client.http.writemaxretries, 0, attempts=1",
    "fs.oci.client.retry.timeout.seconds, 30, call_timeout=30s attempts=1000000",
    "fs.oci.client.retry.reset.threshold.seconds, 8, backoff_cap=8s",
    "fs.oci.client.circuitbreaker.enabled, false, retry_budget=1000000",
    "fs.oci.client.apache.max.connection.pool.size, 64, max_connections=64",
    "fs.oci.client.multipart.partsize.mb, 10, part_size=10MiB",
    "fs.oci.client.multipart.numthreads, 6, part_concurrency=6",
    "fs.oci.client.proxy.uri, http://proxy:3128, http_proxy=http://proxy:3128 https_proxy=http://proxy:3128",
    "fs.oci.client.proxy.uri, socks://proxy:1080, http_proxy=socks5://proxy:1080 https_proxy=socks5://proxy:1080",
  })
  void aKeyBecomesSettings(String name, String value, String expected) throws IOException {
    conf.set(name, value);
    Map<String, String> natives = natives();
    for (String one : expected.split(" ")) {
      String[] pair = one.split("=", 2);
      assertEquals(pair[1], natives.get(pair[0]), pair[0]);
    }
    // The same by the bucket's own key, which goes before all others, and by the deprecated twin.
    conf.set(name + ".lake.ns", value);
    conf.set(name, name.contains("proxy") ? "http://elsewhere:1" : name.contains("enabled") ? "true" : "7");
    assertEquals(natives, natives());
    conf.unset(name);
    conf.unset(name + ".lake.ns");
    conf.set(name.replace("fs.oci.", "fs.oraclebmc."), value);
    assertEquals(natives, natives());
  }

  @Test
  void keysOfTheFileSystemItself() throws IOException {
    Settings usual = settings();
    assertAll(
        () -> assertEquals(32L << 20, usual.blockSize()),
        () -> assertEquals(32, usual.renameWidth()),
        () -> assertTrue(usual.batchDelete()),
        () -> assertEquals(1000, usual.batchDeleteSize()),
        () -> assertEquals(1000, usual.listPageSize()),
        () -> assertFalse(usual.requireDirectoryMarker()),
        () -> assertTrue(usual.overwriteAllowed()),
        () -> assertFalse(usual.createPerformance()),
        () -> assertFalse(usual.crc32cChecksum()),
        () -> assertEquals(Native.POLICY_ADAPTIVE, usual.readPolicy()),
        () -> assertEquals(0, usual.statusCacheEntries()),
        () -> assertEquals(64 << 10, usual.statusTail()),
        () -> assertNull(usual.profilePath()));
    conf.set("fs.oci.blocksize.mb", "128");
    conf.set("fs.oci.rename.operation.numthreads", "2");
    conf.set("fs.oci.client.batch.delete.enabled", "false");
    conf.set("fs.oci.client.batch.delete.size", "100");
    conf.set("fs.oci.dir.recursive.list.fetch.size", "10");
    conf.set("fs.oci.require.directory.marker", "true");
    conf.set("fs.oci.io.write.allow.overwrite", "false");
    conf.set("fs.oci.create.performance", "true");
    conf.set("dfs.checksum.combine.mode", "COMPOSITE_CRC");
    conf.set("fs.oci.io.read.inmemory", "true");
    conf.set("fs.oci.caching.object.metadata.enabled", "true");
    conf.set("fs.oci.caching.object.metadata.spec", "maximumSize=7, expireAfterWrite=2h");
    conf.set("storescope.status.tail", "1m");
    conf.set("storescope.profile.path", "/tmp/p.hlog");
    Settings set = settings();
    assertAll(
        () -> assertEquals(128L << 20, set.blockSize()),
        () -> assertEquals(2, set.renameWidth()),
        () -> assertFalse(set.batchDelete()),
        () -> assertEquals(100, set.batchDeleteSize()),
        () -> assertEquals(10, set.listPageSize()),
        () -> assertTrue(set.requireDirectoryMarker()),
        () -> assertFalse(set.overwriteAllowed()),
        () -> assertTrue(set.createPerformance()),
        () -> assertTrue(set.crc32cChecksum()),
        () -> assertEquals(Native.POLICY_WHOLE_FILE, set.readPolicy()),
        () -> assertEquals(7, set.statusCacheEntries()),
        () -> assertEquals(7_200_000, set.statusCacheMillis()),
        () -> assertEquals(1 << 20, set.statusTail()),
        () -> assertEquals("/tmp/p.hlog", set.profilePath()));
    conf.set("fs.oci.io.read.ahead", "true");
    told(IllegalArgumentException.class, BUCKET, "fs.oci.io.read.inmemory", "fs.oci.io.read.ahead");
  }

  @ParameterizedTest
  @ValueSource(strings = {"maximumSize=10", "expireAfterAccess=10m", "maximumSize=10,recordStats,initialCapacity=3"})
  void specsOfCachesAreReadAsGuavaReadsThem(String spec) {
    CacheSpec read = CacheSpec.parse("k", spec);
    assertEquals(spec.contains("maximumSize") ? 10 : Long.MAX_VALUE, read.entries);
    assertEquals(spec.contains("expire") ? 600_000 : Long.MAX_VALUE, read.millis);
  }

  @ParameterizedTest
  @ValueSource(strings = {"maximumSize=-1", "maximumSize", "expireAfterWrite=5", "expireAfterWrite=xm", "expireAfterWrit=5m"})
  void aSpecThatIsNoneNamesKeyAndPart(String spec) {
    String message = assertThrows(IllegalArgumentException.class, () -> CacheSpec.parse("fs.oci.k", spec)).getMessage();
    assertTrue(message.contains("fs.oci.k") && message.contains(spec.split("=")[0]), message);
  }

  @Test
  void bothOfAPairAreAnErrorAsThereAndTheBucketsOwnIsNot() throws IOException {
    conf.set("fs.oraclebmc.client.hostname", "https://g");
    told(IllegalArgumentException.class, BUCKET, "fs.oci.client.hostname", "fs.oraclebmc.client.hostname");
    conf.set("fs.oci.client.hostname.lake.ns", "https://own");
    assertEquals("https://own", natives().get("endpoint"));
    conf.unset("fs.oraclebmc.client.hostname");
    conf.set("fs.oci.io.write.allow.overwrite", "true");
    conf.set("fs.oci.io.write.multipart.overwrite", "false");
    told(IllegalArgumentException.class, BUCKET, "fs.oci.io.write.multipart.overwrite");
    conf.unset("fs.oci.io.write.allow.overwrite");
    assertFalse(settings().overwriteAllowed());
    apiKey();
    conf.set("fs.oci.client.auth.passphrase", "a");
    conf.set("fs.oraclebmc.client.auth.passphrase", "b");
    String message = told(IllegalArgumentException.class, BUCKET, "fs.oraclebmc.client.auth.passphrase");
    assertFalse(message.contains("=a"), message);
  }

  @ParameterizedTest
  @CsvSource({
    "fs.oci.client.multipart.partsize.mb, 6m",
    "fs.oci.client.multipart.partsize.mb, 0",
    "fs.oci.rename.operation.numthreads, many",
    "fs.oci.client.batch.delete.size, 1001",
    "fs.oci.client.proxy.uri, proxy",
    "fs.oci.client.proxy.uri, http://proxy",
  })
  void whatIsNoValueNamesItsKey(String name, String value) {
    conf.set(name, value);
    told(IllegalArgumentException.class, BUCKET, name);
  }

  @Test
  void whatIsNotKnownIsToldWithWhatIsNearest() throws IOException {
    assertTrue(OciKey.isUnknown("fs.oci.client.hostnam"));
    assertEquals("fs.oci.client.hostname", OciKey.nearest("fs.oci.client.hostnam"));
    assertEquals("fs.oci.io.read.ahead.blocksize", OciKey.nearest("fs.oraclebmc.io.read.ahead.blocksiz"));
    for (String known :
        List.of(
            "fs.oci.client.hostname",
            "fs.oci.client.hostname.bucket.ns",
            "fs.oraclebmc.client.hostname",
            "fs.oci.impl",
            "fs.oci.impl.disable.cache",
            "fs.oci.create.performance",
            "fs.s3a.endpoint")) {
      assertFalse(OciKey.isUnknown(known), known);
    }
    conf.set("fs.oci.client.hostnam", "x");
    settings();
  }

  @Test
  void whatHasNoEffectIsToldOnce() throws IOException {
    List<String> told = new ArrayList<>();
    AppenderSkeleton listener =
        new AppenderSkeleton() {
          @Override
          protected void append(LoggingEvent event) {
            told.add(event.getRenderedMessage());
          }

          @Override
          public void close() {}

          @Override
          public boolean requiresLayout() {
            return false;
          }
        };
    Logger logger = Logger.getLogger("io.github.storescope");
    logger.addAppender(listener);
    try {
      conf.set("fs.oci.client.jersey.default.connector.enabled.lake.ns", "true");
      conf.set("fs.oci.client.upst.clientSecret", "hunter2");
      conf.set("fs.oci.client.apache.connection.closing.strategy", "immediate");
      conf.set("fs.oci.io.read.ahead", "true");
      conf.set("fs.oci.require.directory.marker", "yes");
      conf.set("fs.oci.io.raed.ahead", "true");
      settings();
      settings();
    } finally {
      logger.removeAppender(listener);
    }
    for (String part :
        List.of(
            "fs.oci.client.jersey.default.connector.enabled.lake.ns has no effect",
            "fs.oci.client.upst.clientSecret has no effect",
            "fs.oci.require.directory.marker=yes",
            "the nearest that is: fs.oci.io.read.ahead")) {
      assertEquals(1, told.stream().filter(line -> line.contains(part)).count(), part + " in " + told);
    }
    assertEquals(4, told.size(), "a default is not told: " + told);
    assertFalse(told.toString().contains("hunter2"));
  }

  // Where.

  @Test
  void theUriIsTakenApart() throws IOException {
    assertEquals("oci://lake@ns/", settings().storeUrl());
    assertEquals("oci://lake@ns/", settings(URI.create("oraclebmc://lake@ns/a/b")).storeUrl());
    assertEquals("oci://a_b.c-d@n_s/", settings(URI.create("oci://a_b.c-d@n_s/k")).storeUrl());
    told(IOException.class, URI.create("oci://lake/k"), "oci://lake", "namespace", "oci://BUCKET@NAMESPACE");
    told(IOException.class, URI.create("oci://lake@/k"), "oci://BUCKET@NAMESPACE");
    told(IOException.class, URI.create("oci:///k"), "names no bucket");
    told(IOException.class, URI.create("hdfs://lake@ns/k"), "scheme");
  }

  @Test
  void aRegionInTheUriGoesBeforeTheHostnameWhereThatIsEnabled() throws IOException {
    URI there = URI.create("oci://lake@ns.us-phoenix-1");
    assertEquals("oci://lake@ns.us-phoenix-1/", settings(there).storeUrl());
    conf.set("fs.oci.client.multiregion.enabled", "true");
    conf.set("fs.oci.client.regionCodeOrId", "iad");
    assertEquals("oci://lake@ns/", settings(there).storeUrl());
    assertEquals("us-phoenix-1", natives(there).get("region"));
    assertEquals("", natives(there).get("endpoint"));
    assertEquals("https://h", natives().get("endpoint"), "the hostname, where the URI has none");
    conf.set("fs.oci.blocksize.mb.lake.ns", "1");
    assertEquals(1 << 20, settings(there).blockSize());
    conf.set("fs.oci.blocksize.mb.lake.ns.us-phoenix-1", "2");
    assertEquals(2 << 20, settings(there).blockSize());
  }

  @Test
  void aRegionReplacesTheEnvironmentsEndpointAndARealmNeedsOne() throws IOException {
    conf.unset("fs.oci.client.hostname");
    conf.set("fs.oci.realmspecific.endpoint.template.enabled", "true");
    environment.put("STORESCOPE_ENDPOINT", "http://e");
    told(IllegalArgumentException.class, BUCKET, "fs.oci.client.regionCodeOrId");
    conf.set("fs.oci.client.regionCodeOrId", "iad");
    assertEquals(Map.of("region", "iad", "endpoint", "", "realm_endpoint", "true"), natives());
  }

  @Test
  void noPlaceAtAllNamesTheKeys() throws IOException {
    conf.unset("fs.oci.client.hostname");
    String home = System.getProperty("user.home");
    System.setProperty("user.home", folder.toString());
    try {
      told(IOException.class, BUCKET, "fs.oci.client.regionCodeOrId", "fs.oci.client.hostname", "OCI_REGION");
      for (String variable : List.of("OCI_REGION", "STORESCOPE_OCI_REGION", "STORESCOPE_OCI_ENDPOINT")) {
        environment.put(variable, "iad");
        assertEquals(Map.of(), natives(), variable);
        environment.clear();
      }
      conf.set("storescope.oci_endpoint", "http://e");
      assertEquals(Map.of("oci_endpoint", "http://e"), natives());
      conf.unset("storescope.oci_endpoint");
      Files.createDirectory(folder.resolve(".oci"));
      Files.writeString(folder.resolve(".oci/config"), "[DEFAULT]\nregion=iad\n");
      assertEquals(Map.of(), natives());
    } finally {
      System.setProperty("user.home", home);
    }
  }

  // Who.

  @Test
  void anApiKeyIsGivenWholeOrNotAtAll() throws IOException {
    assertNull(natives().get("auth"), "the profile's, or the environment's");
    apiKey();
    Map<String, String> natives = natives();
    assertEquals("api_key", natives.get("auth"));
    assertEquals("ocid1.tenancy.oc1..t", natives.get("tenancy"));
    assertEquals("ocid1.user.oc1..u", natives.get("user"));
    assertEquals("00:11", natives.get("fingerprint"));
    assertEquals(key.toString(), natives.get("key_file"));
    for (String one : List.of("tenantId", "userId", "fingerprint", "pemfilepath")) {
      String name = "fs.oci.client.auth." + one;
      String value = conf.get(name);
      conf.unset(name);
      told(IllegalArgumentException.class, BUCKET, name);
      conf.set(name, value);
    }
    conf.set("fs.oci.client.auth.pemfilepath", "/nowhere/key.pem");
    told(FileNotFoundException.class, BUCKET, "fs.oci.client.auth.pemfilepath", "/nowhere/key.pem");
    conf.unset("fs.oci.client.auth.pemfilepath");
    conf.set("storescope.key_content", "PEM");
    assertEquals("PEM", natives().get("key_content"));
  }

  @Test
  void aPassphraseComesFromACredentialProvider() throws Exception {
    apiKey();
    conf.set("fs.oci.client.auth.passphrase", "plain");
    assertEquals("plain", natives().get("pass_phrase"));
    conf.unset("fs.oci.client.auth.passphrase");
    String store = "localjceks://file" + folder.resolve("secrets.jceks");
    conf.set(CredentialProviderFactory.CREDENTIAL_PROVIDER_PATH, store);
    CredentialProvider provider = CredentialProviderFactory.getProviders(conf).get(0);
    provider.createCredentialEntry("fs.oci.client.auth.passphrase", "hidden".toCharArray());
    provider.createCredentialEntry("fs.oci.client.auth.passphrase.lake.ns", "the lake's".toCharArray());
    provider.createCredentialEntry("storescope.https_proxy", "http://u:p@h:1".toCharArray());
    provider.flush();
    assertEquals("the lake's", natives().get("pass_phrase"));
    assertEquals("hidden", natives(URI.create("oci://other@ns")).get("pass_phrase"));
    assertEquals("http://u:p@h:1", natives().get("https_proxy"));
  }

  @Test
  void aSessionTokenNeedsItsFileAndItsKey() throws IOException {
    conf.set("fs.oci.client.auth.sessiontoken.enable", "true");
    told(IllegalArgumentException.class, BUCKET, "fs.oci.client.auth.pemfilepath");
    apiKey();
    conf.set("fs.oci.client.auth.sessiontoken", folder.resolve("token").toString());
    told(FileNotFoundException.class, BUCKET, "fs.oci.client.auth.sessiontoken", "oci session authenticate");
    Files.writeString(folder.resolve("token"), "t");
    assertEquals("security_token", natives().get("auth"));
    assertEquals(folder.resolve("token").toString(), natives().get("security_token_file"));
  }

  @Test
  void theEnvironmentsDelegationTokenGoesBeforeTheKeysAsThere() throws IOException {
    Path token = Files.writeString(folder.resolve("obo"), "t");
    conf.set("fs.oci.delegation.token.filepath", token.toString());
    assertEquals(token.toString(), natives().get("delegation_token_file"));
    environment.put("OCI_DELEGATION_TOKEN_FILE", "/other");
    assertNull(natives().get("delegation_token_file"), "the core reads the environment");
    environment.clear();
    conf.set("fs.oci.delegation.token.filepath", "/nowhere");
    told(FileNotFoundException.class, BUCKET, "fs.oci.delegation.token.filepath", "/nowhere");
  }

  @ParameterizedTest
  @CsvSource({
    "com.oracle.bmc.hdfs.auth.InstancePrincipalsCustomAuthenticator, instance_principal",
    "com.oracle.bmc.hdfs.auth.ResourcePrincipalsCustomAuthenticator, resource_principal",
    "com.oracle.bmc.hdfs.auth.OkeWorkloadIdentityCustomAuthenticator, oke_workload_identity",
  })
  void oraclesAuthenticatorsSetThePrincipalAndNeedNoKeysAndNoRegion(String type, String auth) throws IOException {
    conf.set("fs.oci.client.custom.authenticator", type);
    Path token = Files.writeString(folder.resolve("obo"), "t");
    conf.set("fs.oci.delegation.token.filepath", token.toString());
    assertEquals(auth, natives().get("auth"));
    assertNull(natives().get("key_file"));
    assertEquals(token.toString(), natives().get("delegation_token_file"));
    conf.set("storescope.auth", "none");
    assertEquals("none", natives().get("auth"), "said in our own words, it counts");
  }

  @ParameterizedTest
  @CsvSource({
    "com.oracle.bmc.hdfs.auth.spnego.UPSTAuthenticationCustomAuthenticator, UPST of a Kerberos ticket",
    "com.example.Mine, com.example.Mine",
  })
  void anAuthenticatorIsNamedByATypedError(String type, String principal) throws IOException {
    apiKey();
    conf.set("fs.oci.client.custom.authenticator", type);
    told(UnsupportedPrincipalException.class, BUCKET, "fs.oci.client.custom.authenticator", type, "tenantId", "sessiontoken");
    UnsupportedPrincipalException thrown = assertThrows(UnsupportedPrincipalException.class, this::settings);
    assertEquals(principal, thrown.principal());
    if (type.contains("example")) {
      assertTrue(thrown.getMessage().contains("InstancePrincipalsCustomAuthenticator"), thrown.getMessage());
    }
    conf.set("storescope.auth", "api_key");
    assertEquals("api_key", natives().get("auth"), "said in our own words, it counts");
  }

  @Test
  void aProxysUserMayHaveNoPassword() throws IOException {
    conf.set("fs.oci.client.proxy.uri", "http://proxy:3128");
    conf.set("fs.oci.client.proxy.username", "u@d");
    assertEquals("http://u%40d@proxy:3128", natives().get("https_proxy"));
    conf.set("fs.oci.client.proxy.password", "p :/+");
    assertEquals("http://u%40d:p%20%3A%2F%2B@proxy:3128", natives().get("https_proxy"));
  }

  // Our own names.

  @Test
  void ourOwnNamesGoBeforeAllOthersAndABucketsBeforeThose() throws IOException {
    conf.set("storescope.endpoint", "http://own");
    conf.set("storescope.read_budget", "64MiB");
    conf.set("storescope.auth", "none");
    conf.set("storescope.bucket.lake.read_budget", "32MiB");
    conf.set("storescope.bucket.other.read_budget", "16MiB");
    conf.set("storescope.profile.path", "/tmp/p");
    assertEquals(Map.of("endpoint", "http://own", "read_budget", "32MiB", "auth", "none"), natives());
    Map<String, String> s3 = natives(URI.create("s3://other"));
    assertEquals(Map.of("endpoint", "http://own", "read_budget", "16MiB", "auth", "none"), s3);
  }

  // S3.

  private static final URI S3 = URI.create("s3a://b");

  @Test
  void anS3StoreIsByItsKeysAndABucketsOwnGoBefore() throws IOException {
    assertEquals("s3://b/", settings(S3).storeUrl());
    assertEquals(Map.of(), natives(S3), "the chain of AWS's tools, and its region");
    conf.set("fs.s3a.endpoint", "127.0.0.1:9000");
    conf.set("fs.s3a.connection.ssl.enabled", "false");
    conf.set("fs.s3a.endpoint.region", "eu-x-1");
    conf.set("fs.s3a.bucket.b.path.style.access", "true");
    conf.set("fs.s3a.path.style.access", "false");
    conf.set("fs.s3a.connection.maximum", "12");
    conf.set("fs.s3a.multipart.size", "64M");
    conf.set("fs.s3a.fast.upload.active.blocks", "8");
    conf.set("fs.s3a.connection.establish.timeout", "30s");
    conf.set("fs.s3a.connection.timeout", "200000");
    conf.set("fs.s3a.proxy.host", "proxy");
    conf.set("fs.s3a.proxy.port", "3128");
    conf.set("fs.s3a.block.size", "64M");
    conf.set("fs.s3a.paging.maximum", "5000");
    conf.set("fs.s3a.performance.flags", "mkdir, create");
    Map<String, String> expected = new TreeMap<>();
    expected.put("endpoint", "http://127.0.0.1:9000");
    expected.put("region", "eu-x-1");
    expected.put("s3_path_style", "true");
    expected.put("max_connections", "12");
    expected.put("part_size", "67108864");
    expected.put("part_concurrency", "8");
    expected.put("connect_timeout", "30000ms");
    expected.put("first_byte_timeout", "200000ms");
    expected.put("stall_timeout", "200000ms");
    expected.put("http_proxy", "http://proxy:3128");
    expected.put("https_proxy", "http://proxy:3128");
    assertEquals(expected, natives(S3));
    Settings settings = settings(S3);
    assertEquals(64L << 20, settings.blockSize());
    assertEquals(1000, settings.listPageSize());
    assertTrue(settings.createPerformance());
    conf.set("fs.s3a.multipart.size", "1M");
    assertEquals("5242880", natives(S3).get("part_size"), "what S3 takes");
    conf.set("fs.s3a.multipart.size", "much");
    told(IllegalArgumentException.class, S3, "fs.s3a.multipart.size");
  }

  @ParameterizedTest
  @CsvSource({
    "s3.eu-west-1.amazonaws.com, '', eu-west-1",
    "https://s3-us-west-2.amazonaws.com/, '', us-west-2",
    "s3.amazonaws.com, '', ",
    "https://minio:9000, https://minio:9000, ",
    "bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com, https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com, ",
  })
  void anEndpointOfAwsIsARegion(String endpoint, String expected, String region) throws IOException {
    conf.set("fs.s3a.endpoint", endpoint);
    assertEquals(expected, natives(S3).get("endpoint"));
    assertEquals(region, natives(S3).get("region"));
  }

  @Test
  void theFirstProviderThatHasSomethingSigns() throws IOException {
    conf.set("fs.s3a.access.key", "id");
    told(IOException.class, S3, "fs.s3a.secret.key");
    conf.set("fs.s3a.secret.key", "secret");
    assertEquals(
        Map.of("auth", "auto", "access_key_id", "id", "secret_access_key", "secret", "session_token", ""), natives(S3));
    conf.set("fs.s3a.bucket.b.access.key", "own");
    assertEquals("own", natives(S3).get("access_key_id"));
    String s3a = "org.apache.hadoop.fs.s3a.";
    conf.set("fs.s3a.aws.credentials.provider", s3a + "TemporaryAWSCredentialsProvider");
    told(IOException.class, S3, "TemporaryAWSCredentialsProvider", "fs.s3a.session.token");
    conf.set(
        "fs.s3a.aws.credentials.provider",
        s3a + "TemporaryAWSCredentialsProvider,\n  " + s3a + "SimpleAWSCredentialsProvider");
    assertEquals("", natives(S3).get("session_token"));
    conf.set("fs.s3a.session.token", "token");
    assertEquals("token", natives(S3).get("session_token"));
    conf.set("fs.s3a.aws.credentials.provider", s3a + "AnonymousAWSCredentialsProvider");
    assertEquals(Map.of("auth", "none"), natives(S3));
    for (String chain :
        List.of(
            "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
            s3a + "auth.IAMInstanceCredentialsProvider")) {
      conf.set("fs.s3a.aws.credentials.provider", chain);
      assertEquals(Map.of("auth", "auto", "access_key_id", "", "secret_access_key", ""), natives(S3), chain);
    }
    conf.set("fs.s3a.aws.credentials.provider", s3a + "auth.AssumedRoleCredentialProvider");
    told(UnsupportedPrincipalException.class, S3, "AssumedRoleCredentialProvider", "fs.s3a.aws.credentials.provider");
    conf.unset("fs.s3a.access.key");
    conf.unset("fs.s3a.bucket.b.access.key");
    conf.unset("fs.s3a.secret.key");
    conf.set("fs.s3a.aws.credentials.provider", s3a + "SimpleAWSCredentialsProvider");
    told(IOException.class, S3, "SimpleAWSCredentialsProvider", "fs.s3a.access.key", "fs.s3a.secret.key");
  }

  /** No error shows a secret. */
  @Test
  void noSecretIsTold() {
    apiKey();
    List<String> told = new ArrayList<>();
    conf.set("fs.oci.client.auth.passphrase", "hunter2");
    conf.set("fs.oci.client.proxy.password", "hunter2");
    conf.set("fs.oci.client.proxy.uri", "http://proxy");
    told.add(told(IllegalArgumentException.class, BUCKET, "proxy"));
    conf.set("fs.s3a.secret.key", "hunter2");
    told.add(told(IOException.class, S3, "fs.s3a.access.key"));
    assertFalse(told.toString().contains("hunter2"), told.toString());
  }
}
