// SPDX-License-Identifier: Apache-2.0
package io.storescope.interop;

/** Oracle's Java SDK over plain HTTP. */
final class HttpTest extends JavaSdk {
    HttpTest() {
        super("http", "endpoint");
    }
}
