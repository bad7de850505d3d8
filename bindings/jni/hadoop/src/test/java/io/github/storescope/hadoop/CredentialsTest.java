// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.oracle.bmc.auth.BasicAuthenticationDetailsProvider;
import com.oracle.bmc.auth.RefreshableOnNotAuthenticatedProvider;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.time.Instant;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;

/** Classes of the application's give out what requests are signed with. */
class CredentialsTest extends OnABucket {

  private static final String OURS = "storescope.credentials.provider";
  private static final String ORACLES = "fs.oci.client.custom.authenticator";
  private static final String S3AS = "fs.s3a.aws.credentials.provider";
  private static final Path FILE = new Path("/file");

  private static final AtomicInteger MADE = new AtomicInteger();
  private static final AtomicInteger ASKED = new AtomicInteger();

  @BeforeEach
  void count() {
    MADE.set(0);
    ASKED.set(0);
    Failing.thrown = new IllegalStateException("the vault is sealed");
  }

  /** A user's key, as a Configuration has it. */
  private static Credential user(Configuration conf) throws IOException {
    return Credential.apiKey(
        conf.get("test.tenantId"), conf.get("test.userId"), conf.get("test.fingerprint"), pem(conf), null);
  }

  private static String pem(Configuration conf) throws IOException {
    return Files.readString(java.nio.file.Path.of(conf.get("test.pemfilepath")));
  }

  /** Gives the key of the Configuration, and ends after a while. */
  public static final class OfConfiguration implements Credentials {
    private final Configuration conf;

    public OfConfiguration(URI uri, Configuration conf) {
      assertTrue(uri.getScheme().equals("oci") && uri.getAuthority().contains("@"), uri.toString());
      this.conf = conf;
      MADE.incrementAndGet();
    }

    @Override
    public Credential credential() throws IOException {
      ASKED.incrementAndGet();
      return user(conf).until(Instant.now().plusSeconds(3600));
    }
  }

  /** Gives a key that is refused, then the right one. */
  public static final class Mending implements Credentials {
    private final Configuration conf;

    public Mending(Configuration conf) {
      this.conf = conf;
    }

    @Override
    public Credential credential() throws IOException {
      return ASKED.incrementAndGet() == 1
          ? Credential.ofKeyId("ocid1.tenancy.oc1..none/ocid1.user.oc1..none/00:11", pem(conf), null)
          : user(conf);
    }
  }

  /** Throws. */
  public static final class Failing implements Credentials {
    static volatile RuntimeException thrown;

    @Override
    public Credential credential() {
      ASKED.incrementAndGet();
      throw thrown;
    }
  }

  /** Is closed at the end. */
  public static final class Closing implements Credentials, AutoCloseable {
    static final CountDownLatch CLOSED = new CountDownLatch(1);
    private final Configuration conf;

    public Closing(Configuration conf) {
      this.conf = conf;
    }

    @Override
    public Credential credential() throws IOException {
      return user(conf);
    }

    @Override
    public void close() {
      CLOSED.countDown();
    }
  }

  /** As Oracle's connector takes it. */
  public static final class Oracles implements BasicAuthenticationDetailsProvider, RefreshableOnNotAuthenticatedProvider<String> {
    private final Configuration conf;
    private boolean refreshed;

    public Oracles(URI uri, Configuration conf) {
      this.conf = conf;
    }

    @Override
    public String getKeyId() {
      ASKED.incrementAndGet();
      String user = refreshed ? conf.get("test.userId") : "ocid1.user.oc1..none";
      return conf.get("test.tenantId") + "/" + user + "/" + conf.get("test.fingerprint");
    }

    @Override
    public InputStream getPrivateKey() {
      try {
        return new ByteArrayInputStream(pem(conf).getBytes(StandardCharsets.UTF_8));
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public char[] getPassphraseCharacters() {
      return null;
    }

    @Override
    public String refresh() {
      refreshed = true;
      return getKeyId();
    }
  }

  /** As S3A takes it. */
  public static final class Awss implements AwsCredentialsProvider {
    private static Configuration conf;

    private Awss() {}

    public static Awss create() {
      MADE.incrementAndGet();
      return new Awss();
    }

    @Override
    public AwsCredentials resolveCredentials() {
      ASKED.incrementAndGet();
      return new AwsCredentials() {
        @Override
        public String accessKeyId() {
          return conf.get("test.access");
        }

        @Override
        public String secretAccessKey() {
          return conf.get("test.secret");
        }
      };
    }
  }

  /** Ours, for S3. */
  public static final class AccessKeys implements Credentials {
    private final Configuration conf;

    public AccessKeys(Configuration conf) {
      this.conf = conf;
    }

    @Override
    public Credential credential() {
      ASKED.incrementAndGet();
      return Credential.accessKey(conf.get("test.access"), conf.get("test.secret"), null);
    }
  }

  /** Nobody's. */
  public static final class Neither {}

  /** A Configuration without a user, but for what the classes of this test look up. */
  private Configuration nobody() throws IOException {
    Configuration conf = server.configuration();
    for (String name : new String[] {"tenantId", "userId", "fingerprint", "pemfilepath"}) {
      conf.set("test." + name, conf.get("fs.oci.client.auth." + name));
      conf.unset("fs.oci.client.auth." + name);
    }
    return conf;
  }

  private Configuration nobodyOnS3() {
    Configuration conf = server.s3Configuration();
    conf.set("test.access", conf.get("fs.s3a.access.key"));
    conf.set("test.secret", conf.get("fs.s3a.secret.key"));
    conf.unset("fs.s3a.access.key");
    conf.unset("fs.s3a.secret.key");
    return conf;
  }

  private static void works(FileSystem fs) throws IOException {
    fs.create(FILE).close();
    assertEquals(0, fs.getFileStatus(FILE).getLen());
    assertEquals(1, fs.listStatus(new Path("/")).length);
    fs.delete(FILE, false);
  }

  @Test
  void ourKeyNamesAClassThatIsMadeAndAskedOnce() throws Exception {
    Configuration conf = nobody();
    conf.set("storescope.bucket." + bucket + ".credentials.provider", OfConfiguration.class.getName());
    conf.set("storescope.auth", "instance_principal");
    try (FileSystem given = server.open(bucket, conf)) {
      works(given);
      works(given);
    }
    assertEquals(1, MADE.get());
    assertEquals(1, ASKED.get());
  }

  @Test
  void oraclesKeyNamesAClassToo() throws Exception {
    Configuration conf = nobody();
    conf.set(ORACLES, Mending.class.getName());
    try (FileSystem given = server.open(bucket, conf)) {
      works(given);
    }
    assertEquals(2, ASKED.get(), "asked again after the store refused");
  }

  @Test
  void aProviderOfOraclesSdkIsRefreshedAfterARefusal() throws Exception {
    Configuration conf = nobody();
    conf.set(ORACLES, Oracles.class.getName());
    try (FileSystem given = server.open(bucket, conf)) {
      works(given);
    }
    assertEquals(3, ASKED.get(), "once, by the refresh, and after it");
  }

  @Test
  void aStreamGoesOnWhenItsFileSystemIsClosedAndThenTheClassIsClosed() throws Exception {
    Configuration conf = nobody();
    conf.set(OURS, Closing.class.getName());
    FileSystem given = server.open(bucket, conf);
    given.create(FILE).close();
    given.close();
    assertTrue(Closing.CLOSED.await(60, TimeUnit.SECONDS), "closed with the last that may ask");
  }

  @Test
  void onS3ItSignsToo() throws Exception {
    Awss.conf = nobodyOnS3();
    for (Class<?> type : new Class<?>[] {AccessKeys.class, Awss.class}) {
      ASKED.set(0);
      Configuration conf = new Configuration(Awss.conf);
      conf.set(S3AS, "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider, " + type.getName());
      try (FileSystem given = FileSystem.newInstance(URI.create("s3a://" + bucket + "/"), conf)) {
        works(given);
      }
      assertEquals(1, ASKED.get(), type.getName());
    }
    assertEquals(1, MADE.get(), "by its method create()");
  }

  @Test
  void whatItThrowsIsTheCause() throws Exception {
    Configuration conf = nobody();
    conf.set(OURS, Failing.class.getName());
    try (FileSystem given = server.open(bucket, conf)) {
      AccessDeniedException told = assertThrows(AccessDeniedException.class, () -> given.getFileStatus(FILE));
      assertSame(Failing.thrown, told.getCause());
      assertTrue(told.getMessage().contains("the vault is sealed"), told.getMessage());
      assertThrows(AccessDeniedException.class, () -> given.listStatus(FILE));
      assertTrue(ASKED.get() >= 2, "asked again by the next call");
    }
  }

  @Test
  void aClassThatCannotBeUsedIsToldWhenTheFileSystemIsMade() throws Exception {
    for (String key : new String[] {OURS, ORACLES}) {
      Configuration conf = nobody();
      conf.set(key, Neither.class.getName());
      UnsupportedPrincipalException told =
          assertThrows(UnsupportedPrincipalException.class, () -> server.open(bucket, conf));
      assertTrue(told.getMessage().contains(key) && told.getMessage().contains(Credentials.class.getName()));
      conf.set(key, "com.example.Missing");
      told = assertThrows(UnsupportedPrincipalException.class, () -> server.open(bucket, conf));
      assertTrue(told.getMessage().contains("no such class"), told.getMessage());
    }
    Configuration conf = nobody();
    conf.set(OURS, Unmakeable.class.getName());
    IOException told = assertThrows(IOException.class, () -> server.open(bucket, conf));
    assertInstanceOf(IllegalArgumentException.class, told.getCause());
  }

  /** Fails when it is made. */
  public static final class Unmakeable implements Credentials {
    public Unmakeable(Configuration conf) {
      throw new IllegalArgumentException("no address of the vault");
    }

    @Override
    public Credential credential() {
      return null;
    }
  }

  @Test
  void nothingSecretIsShown() {
    Credential key = Credential.accessKey("id", "s3cret", "t0ken").onBehalfOf("obo");
    assertFalse((key + "").matches(".*(s3cret|t0ken|obo).*"));
    assertThrows(NullPointerException.class, () -> Credential.accessKey("id", null, null));
  }
}
