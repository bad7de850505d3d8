// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@link Settings} while they are read: each value is that of its key, or stays at its default. */
final class SettingsBuilder {

  final String storeUrl;
  final Map<String, String> natives = new LinkedHashMap<>();
  List<byte[]> trusted = List.of();
  long blockSize = 32L << 20;
  int renameWidth = 32;
  boolean batchDelete = true;
  int batchDeleteSize = 1000;
  int listPageSize = 1000;
  boolean requireDirectoryMarker;
  boolean overwriteAllowed = true;
  boolean createPerformance;
  boolean crc32cChecksum;
  int readPolicy = Native.POLICY_ADAPTIVE;
  long statusCacheEntries;
  long statusCacheMillis;
  int statusTail = 64 << 10;
  String profilePath;
  Credentials credentials;

  SettingsBuilder(String storeUrl) {
    this.storeUrl = storeUrl;
  }

  Settings build() {
    return new Settings(this);
  }

  /** Sets a setting of docs/CONFIG.md. An empty text is its default, whatever the environment says. */
  void set(String name, String value) {
    natives.put(name, value);
  }

  /** Who gives out what requests are signed with, whatever the environment says of it. */
  void sign(Credentials credentials) {
    this.credentials = credentials;
    set("auth", "auto");
  }

  /** Whether a setting has a value, which may be empty. */
  boolean has(String name) {
    return natives.containsKey(name);
  }

  /** Whether the endpoint is known to be one without TLS. */
  boolean isPlain() {
    return natives.getOrDefault("endpoint", "").startsWith("http://");
  }
}
