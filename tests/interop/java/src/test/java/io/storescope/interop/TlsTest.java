// SPDX-License-Identifier: Apache-2.0
package io.storescope.interop;

/** Oracle's Java SDK over TLS. */
final class TlsTest extends JavaSdk {
    TlsTest() {
        super("tls", "tls_endpoint");
    }
}
