// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;

/** The configuration asks for a principal that storescope does not have. The message names it, and those there are. */
public final class UnsupportedPrincipalException extends IOException {

  private static final long serialVersionUID = 1L;

  private final String principal;

  UnsupportedPrincipalException(String principal, String message) {
    super(message);
    this.principal = principal;
  }

  /** What it is called: {@code instance principal}, or the name of a class. */
  public String principal() {
    return principal;
  }
}
