// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Which principal signs, as the keys of Oracle's connector say it. */
final class OciPrincipal {

  /** Oracle's classes, with the value of the setting {@code auth} that does the same. */
  private static final Map<String, String> PRINCIPALS =
      Map.of(
          "com.oracle.bmc.hdfs.auth.InstancePrincipalsCustomAuthenticator", "instance_principal",
          "com.oracle.bmc.hdfs.auth.ResourcePrincipalsCustomAuthenticator", "resource_principal",
          "com.oracle.bmc.hdfs.auth.OkeWorkloadIdentityCustomAuthenticator", "oke_workload_identity");

  private static final Map<String, String> UNSUPPORTED =
      Map.of("com.oracle.bmc.hdfs.auth.spnego.UPSTAuthenticationCustomAuthenticator", "UPST of a Kerberos ticket");

  /** Principals that may know the region themselves. */
  private static final Set<String> WITH_REGION =
      Set.of("auto", "instance_principal", "instance_obo_user", "resource_principal", "oke_workload_identity");

  private static final String THERE_ARE =
      "there are an API key (fs.oci.client.auth.tenantId, userId, fingerprint and pemfilepath, or a profile of the OCI "
          + "configuration file), a session token (fs.oci.client.auth.sessiontoken.enable), each with a delegation token "
          + "(fs.oci.delegation.token.filepath) beside, and what storescope.auth may be (docs/CONFIG.md)";

  private final OciConfiguration keys;
  private final Environment environment;

  OciPrincipal(OciConfiguration keys, Environment environment) {
    this.keys = keys;
    this.environment = environment;
  }

  /**
   * @param own what our own keys say, which goes before these
   */
  void fill(SettingsBuilder settings, Map<String, String> own) throws IOException {
    if (settings.credentials != null) {
      return;
    }
    String authenticator = keys.text(OciKey.AUTHENTICATOR);
    boolean chosen = own.containsKey("auth");
    if (authenticator != null && !chosen) {
      authenticate(settings, authenticator);
      return;
    }
    Map<OciKey, String> values = new LinkedHashMap<>();
    for (OciKey key : List.of(OciKey.TENANCY, OciKey.USER, OciKey.FINGERPRINT, OciKey.KEY_FILE)) {
      if (keys.text(key) != null) {
        values.put(key, keys.text(key));
      }
    }
    boolean session = keys.flag(OciKey.SESSION_TOKEN_ENABLED);
    if (!values.isEmpty() || session) {
      complete(values, own, session);
      if (!chosen) {
        settings.set("auth", session ? "security_token" : "api_key");
      }
      values.forEach((key, value) -> settings.set(setting(key), value));
    }
    if (session) {
      String file = keys.text(OciKey.SESSION_TOKEN_FILE);
      file = file == null ? OciKey.SESSION_TOKEN_FILE.fallback : file;
      check(OciKey.SESSION_TOKEN_FILE, file, "`oci session authenticate` makes it");
      settings.set("security_token_file", file);
    }
    String passphrase = keys.secret(OciKey.PASSPHRASE);
    if (passphrase != null) {
      settings.set("pass_phrase", passphrase);
    }
    delegate(settings);
  }

  private void authenticate(SettingsBuilder settings, String authenticator) throws IOException {
    String principal = PRINCIPALS.get(authenticator);
    if (principal != null) {
      settings.set("auth", principal);
      delegate(settings);
      return;
    }
    Credentials credentials = UNSUPPORTED.containsKey(authenticator) ? null : keys.credentials(OciKey.AUTHENTICATOR);
    if (credentials == null) {
      throw unsupported(authenticator);
    }
    settings.sign(credentials);
  }

  /** Whether the principal that is named may know the region, so that no key need name it. */
  boolean mayKnowRegion(Map<String, String> own) {
    String chosen = own.get("auth");
    if (chosen == null) {
      String authenticator = keys.text(OciKey.AUTHENTICATOR);
      chosen = authenticator == null ? null : PRINCIPALS.get(authenticator);
    }
    return chosen != null && WITH_REGION.contains(chosen);
  }

  private void delegate(SettingsBuilder settings) throws IOException {
    String delegation = keys.text(OciKey.DELEGATION_TOKEN_FILE);
    if (delegation != null && !environment.has("OCI_DELEGATION_TOKEN_FILE")) {
      check(OciKey.DELEGATION_TOKEN_FILE, delegation, "name the file of a delegation token");
      settings.set("delegation_token_file", delegation);
    }
  }

  private static UnsupportedPrincipalException unsupported(String authenticator) {
    String principal = UNSUPPORTED.get(authenticator);
    if (principal != null) {
      return new UnsupportedPrincipalException(
          principal,
          OciKey.AUTHENTICATOR.key + "=" + authenticator + ": the " + principal + " is not built; " + THERE_ARE);
    }
    return new UnsupportedPrincipalException(
        authenticator,
        OciKey.AUTHENTICATOR.key + "=" + authenticator + ": there is no such class on the classpath. Without one these names "
            + "are known: " + String.join(", ", new TreeSet<>(PRINCIPALS.keySet())) + "; " + THERE_ARE);
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
    if (!Files.isReadable(HomeFolder.path(file))) {
      throw new FileNotFoundException(keys.name(key) + "=" + file + ": there is no such file, or it cannot be read; " + mend);
    }
  }
}
