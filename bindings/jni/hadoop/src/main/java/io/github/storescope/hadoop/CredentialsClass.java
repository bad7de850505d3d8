// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;

/**
 * Makes the {@link Credentials} that a key of a Configuration names. A class of Oracle's SDK
 * ({@code BasicAuthenticationDetailsProvider}) or of AWS's ({@code AwsCredentialsProvider}, version 2) will do, too: it is
 * asked by reflection, so that neither SDK need be there.
 */
final class CredentialsClass {

  private static final String ORACLE = "com.oracle.bmc.auth.BasicAuthenticationDetailsProvider";
  private static final String REFRESHABLE = "com.oracle.bmc.auth.RefreshableOnNotAuthenticatedProvider";
  private static final String AWS = "software.amazon.awssdk.auth.credentials.AwsCredentialsProvider";
  private static final String AWS_SESSION = "software.amazon.awssdk.auth.credentials.AwsSessionCredentials";

  private final String key;
  private final Class<?> type;

  private CredentialsClass(String key, Class<?> type) {
    this.key = key;
    this.type = type;
  }

  /**
   * The object of the class that a key names.
   *
   * @return null where there is no such class
   * @throws UnsupportedPrincipalException if the class is none of those that are known
   * @throws IOException if it cannot be made
   */
  static Credentials make(String key, String name, URI uri, Configuration conf) throws IOException {
    Class<?> type = conf.getClassByNameOrNull(name);
    return type == null ? null : new CredentialsClass(key, type).make(uri, conf);
  }

  private Credentials make(URI uri, Configuration conf) throws IOException {
    if (Credentials.class.isAssignableFrom(type)) {
      return (Credentials) instance(uri, conf);
    }
    Class<?> oracle = implemented(type, ORACLE);
    if (oracle != null) {
      return new OfOracle(oracle, implemented(type, REFRESHABLE), instance(uri, conf));
    }
    Class<?> aws = implemented(type, AWS);
    if (aws != null) {
      return new OfAws(aws, instance(uri, conf));
    }
    throw new UnsupportedPrincipalException(
        type.getName(),
        key + "=" + type.getName() + " is none of " + Credentials.class.getName() + ", " + ORACLE + " and " + AWS);
  }

  private Object instance(URI uri, Configuration conf) throws IOException {
    Class<?>[][] constructors = {{URI.class, Configuration.class}, {Configuration.class}, {}};
    Object[][] arguments = {{uri, conf}, {conf}, {}};
    try {
      for (int at = 0; at < constructors.length; at++) {
        try {
          return type.getConstructor(constructors[at]).newInstance(arguments[at]);
        } catch (NoSuchMethodException e) {
          // The next, then.
        }
      }
      return type.getMethod("create").invoke(null);
    } catch (InvocationTargetException e) {
      throw new IOException(key + "=" + type.getName() + " could not be made: " + e.getCause(), e.getCause());
    } catch (ReflectiveOperationException e) {
      throw new IOException(
          key + "=" + type.getName() + " has no public constructor of (URI, Configuration), (Configuration) or nothing, and no "
              + "static method create()", e);
    }
  }

  /** The interface or class of this name among those that a class has. */
  private static Class<?> implemented(Class<?> type, String name) {
    for (Class<?> at = type; at != null; at = at.getSuperclass()) {
      if (at.getName().equals(name)) {
        return at;
      }
      for (Class<?> one : at.getInterfaces()) {
        Class<?> found = implemented(one, name);
        if (found != null) {
          return found;
        }
      }
    }
    return null;
  }

  private static Object call(Class<?> type, Object of, String method) throws Exception {
    try {
      return type.getMethod(method).invoke(of);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof Exception) {
        throw (Exception) e.getCause();
      }
      throw e;
    }
  }

  private static String text(Class<?> type, Object of, String method) throws Exception {
    return (String) call(type, of, method);
  }

  /** Signs as a provider of Oracle's SDK says. */
  private static final class OfOracle implements Credentials {
    private final Class<?> type;
    /** Null where it gives the same for ever. */
    private final Class<?> refreshable;

    private final Object provider;
    private boolean asked;

    OfOracle(Class<?> type, Class<?> refreshable, Object provider) {
      this.type = type;
      this.refreshable = refreshable;
      this.provider = provider;
    }

    @Override
    public Credential credential() throws Exception {
      if (asked && refreshable != null) {
        call(refreshable, provider, "refresh");
      }
      asked = true;
      // First: it fetches what the others are of.
      String keyId = text(type, provider, "getKeyId");
      char[] passphrase = (char[]) call(type, provider, "getPassphraseCharacters");
      try (InputStream pem = (InputStream) call(type, provider, "getPrivateKey")) {
        String key = new String(pem.readAllBytes(), StandardCharsets.UTF_8);
        return Credential.ofKeyId(keyId, key, passphrase == null ? null : new String(passphrase));
      }
    }
  }

  /** Signs as a provider of AWS's SDK says. */
  private static final class OfAws implements Credentials, AutoCloseable {
    private final Class<?> type;
    private final Object provider;

    OfAws(Class<?> type, Object provider) {
      this.type = type;
      this.provider = provider;
    }

    @Override
    public Credential credential() throws Exception {
      Object found = call(type, provider, "resolveCredentials");
      Class<?> ofFound = type.getMethod("resolveCredentials").getReturnType();
      Class<?> session = implemented(found.getClass(), AWS_SESSION);
      String token = session == null ? null : text(session, found, "sessionToken");
      Credential key =
          Credential.accessKey(text(ofFound, found, "accessKeyId"), text(ofFound, found, "secretAccessKey"), token);
      Optional<?> end = session == null ? Optional.empty() : (Optional<?>) call(session, found, "expirationTime");
      return end.isPresent() ? key.until((Instant) end.get()) : key;
    }

    @Override
    public void close() throws IOException {
      if (provider instanceof AutoCloseable) {
        try {
          ((AutoCloseable) provider).close();
        } catch (Exception e) {
          throw new IOException(e);
        }
      }
    }
  }
}
