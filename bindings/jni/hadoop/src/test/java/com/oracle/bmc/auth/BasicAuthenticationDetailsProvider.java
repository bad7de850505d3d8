// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.auth;

import java.io.InputStream;

/** Of Oracle's SDK, as far as it is asked. The judges of the matrix use the SDK's own. */
public interface BasicAuthenticationDetailsProvider {

  String getKeyId();

  InputStream getPrivateKey();

  char[] getPassphraseCharacters();
}
