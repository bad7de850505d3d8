// SPDX-License-Identifier: Apache-2.0
package com.oracle.bmc.auth;

/** Of Oracle's SDK, as far as it is asked. */
public interface RefreshableOnNotAuthenticatedProvider<T> {

  T refresh();
}
