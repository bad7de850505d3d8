// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;

/** The URL of a proxy, as the settings {@code http_proxy} and {@code https_proxy} have it. */
final class ProxyUrl {

  private ProxyUrl() {}

  /**
   * Makes one.
   *
   * @param place host and port
   * @param user may be null, and so may the password
   */
  static String of(String scheme, String place, String user, String password) {
    String who = user == null ? "" : encode(user) + (password == null ? "" : ":" + encode(password)) + "@";
    return scheme + "://" + who + place;
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
