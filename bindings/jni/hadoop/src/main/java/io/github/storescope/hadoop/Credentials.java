// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

/**
 * A class of the application's that gives out what requests are signed with. {@code storescope.credentials.provider} names it
 * (of one bucket: {@code storescope.bucket.BUCKET.credentials.provider}), or {@code fs.oci.client.custom.authenticator}, or
 * {@code fs.s3a.aws.credentials.provider}.
 *
 * <p>Each FileSystem makes one, by the first of these constructors that the class has: {@code (URI, Configuration)}, {@code
 * (Configuration)}, or none; else by a static method {@code create()}. If it is {@link AutoCloseable}, it is closed when the
 * FileSystem and its streams have ended.
 */
public interface Credentials {

  /**
   * What requests are signed with from now on. Called by a daemon thread of its own, one call at a time: before the first
   * request, again ahead of the end of what it gave, and once after the store refused that. No request waits while the last
   * answer is good.
   *
   * @throws Exception anything: it is the cause of the exception that the FileSystem throws
   */
  Credential credential() throws Exception;
}
