// SPDX-License-Identifier: Apache-2.0
package software.amazon.awssdk.auth.credentials;

/** Of AWS's SDK, as far as it is asked. */
public interface AwsCredentialsProvider {

  AwsCredentials resolveCredentials();
}
