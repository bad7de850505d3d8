// SPDX-License-Identifier: Apache-2.0
package io.storescope.interop;

import com.oracle.bmc.ClientConfiguration;
import com.oracle.bmc.auth.BasicAuthenticationDetailsProvider;
import com.oracle.bmc.auth.ConfigFileAuthenticationDetailsProvider;
import com.oracle.bmc.auth.InstancePrincipalsAuthenticationDetailsProvider;
import com.oracle.bmc.auth.ResourcePrincipalAuthenticationDetailsProvider;
import com.oracle.bmc.auth.SessionTokenAuthenticationDetailsProvider;
import com.oracle.bmc.objectstorage.ObjectStorage;
import com.oracle.bmc.objectstorage.ObjectStorageClient;
import com.oracle.bmc.objectstorage.requests.GetObjectRequest;
import java.io.IOException;
import java.io.InputStream;

/**
 * Reads one object by Oracle's SDK for Java, as the principal that the argument names, and writes it to standard output. The
 * environment says the rest, as it does for any program of that SDK; {@code STORE_…} say where the object is.
 */
public final class Principals {

  private Principals() {}

  public static void main(String[] arguments) throws IOException {
    BasicAuthenticationDetailsProvider provider = provider(arguments[0]);
    try (ObjectStorage client =
            ObjectStorageClient.builder()
                .configuration(ClientConfiguration.builder().retryConfiguration(null).build())
                .endpoint(of("STORE_ENDPOINT"))
                .build(provider);
        InputStream object =
            client
                .getObject(
                    GetObjectRequest.builder()
                        .namespaceName(of("STORE_NAMESPACE"))
                        .bucketName(of("STORE_BUCKET"))
                        .objectName(of("STORE_OBJECT"))
                        .build())
                .getInputStream()) {
      object.transferTo(System.out);
      System.out.flush();
    } catch (Exception e) {
      throw new IOException(e);
    }
    // Its pools have threads that are no daemons.
    System.exit(0);
  }

  private static BasicAuthenticationDetailsProvider provider(String principal) throws IOException {
    switch (principal) {
      case "instance":
        return InstancePrincipalsAuthenticationDetailsProvider.builder()
            .metadataBaseUrl(of("OCI_METADATA_BASE_URL") + "/")
            .federationEndpoint(of("OCI_SDK_AUTH_CLIENT_REGION_URL"))
            .build();
      case "resource":
        return ResourcePrincipalAuthenticationDetailsProvider.builder().build();
      case "session":
        return new SessionTokenAuthenticationDetailsProvider(of("STORE_CONFIG_FILE"), "SESSION");
      default:
        return new ConfigFileAuthenticationDetailsProvider(of("STORE_CONFIG_FILE"), principal);
    }
  }

  private static String of(String name) {
    return System.getenv(name);
  }
}
