// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.time.Instant;
import java.util.Objects;

/** What requests are signed with, as {@link Credentials} gives it out. Does not change, and shows nothing of itself. */
public final class Credential {

  /** Ends never, as far as is known. */
  private static final long NEVER = -1;

  private final String kind;
  private final String id;
  private final String secret;
  private final String more;
  private final long ends;
  private final String onBehalfOf;

  private Credential(String kind, String id, String secret, String more, long ends, String onBehalfOf) {
    this.kind = kind;
    this.id = Objects.requireNonNull(id, "no id");
    this.secret = Objects.requireNonNull(secret, "no secret");
    this.more = more;
    this.ends = ends;
    this.onBehalfOf = onBehalfOf;
  }

  /**
   * A user's API key.
   *
   * @param pem the private key in PEM
   * @param passphrase of the key; null where it is not encrypted
   */
  public static Credential apiKey(String tenancy, String user, String fingerprint, String pem, String passphrase) {
    return ofKeyId(tenancy + "/" + user + "/" + fingerprint, pem, passphrase);
  }

  /**
   * A key by its whole id, as OCI's {@code Authorization} has it.
   *
   * @param keyId {@code TENANCY/USER/FINGERPRINT}, or {@code ST$} and a session token
   * @param passphrase of the key; null where it is not encrypted
   */
  public static Credential ofKeyId(String keyId, String pem, String passphrase) {
    return new Credential("key_id", keyId, pem, passphrase, NEVER, null);
  }

  /**
   * A session token, which says itself when it ends.
   *
   * @param passphrase of the key; null where it is not encrypted
   */
  public static Credential session(String token, String pem, String passphrase) {
    return new Credential("token", token, pem, passphrase, NEVER, null);
  }

  /**
   * An access key of S3.
   *
   * @param sessionToken null where none belongs to it
   */
  public static Credential accessKey(String id, String secret, String sessionToken) {
    return new Credential("access_key", id, secret, sessionToken, NEVER, null);
  }

  /** The same, which ends then: another is asked for ahead of it. */
  public Credential until(Instant end) {
    return new Credential(kind, id, secret, more, Math.max(0, end.toEpochMilli()), onBehalfOf);
  }

  /** The same, on behalf of whom this delegation token names. OCI alone. */
  public Credential onBehalfOf(String token) {
    return new Credential(kind, id, secret, more, ends, token);
  }

  /** Answers a question of the native library's. */
  void give(long desk) {
    Native.giveCredential(desk, kind, id, secret, more, ends, onBehalfOf);
  }

  @Override
  public String toString() {
    return "Credential";
  }
}
