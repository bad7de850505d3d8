// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a Configuration says of one bucket, as {@link SettingsReader} reads it: the settings of the native store, and what the
 * FileSystem does itself. Does not change.
 */
final class Settings {

  private final String storeUrl;
  private final Map<String, String> natives;
  private final List<byte[]> trusted;
  private final long blockSize;
  private final int renameWidth;
  private final boolean batchDelete;
  private final int batchDeleteSize;
  private final int listPageSize;
  private final boolean requireDirectoryMarker;
  private final boolean overwriteAllowed;
  private final boolean createPerformance;
  private final boolean crc32cChecksum;
  private final int readPolicy;
  private final long statusCacheEntries;
  private final long statusCacheMillis;
  private final int statusTail;
  private final String profilePath;
  private final Credentials credentials;

  Settings(SettingsBuilder built) {
    storeUrl = built.storeUrl;
    natives = new LinkedHashMap<>(built.natives);
    trusted = List.copyOf(built.trusted);
    blockSize = built.blockSize;
    renameWidth = built.renameWidth;
    batchDelete = built.batchDelete;
    batchDeleteSize = built.batchDeleteSize;
    listPageSize = built.listPageSize;
    requireDirectoryMarker = built.requireDirectoryMarker;
    overwriteAllowed = built.overwriteAllowed;
    createPerformance = built.createPerformance;
    crc32cChecksum = built.crc32cChecksum;
    readPolicy = built.readPolicy;
    statusCacheEntries = built.statusCacheEntries;
    statusCacheMillis = built.statusCacheMillis;
    statusTail = built.statusTail;
    profilePath = built.profilePath;
    credentials = built.credentials;
  }

  /** The store's URL, without a region. */
  String storeUrl() {
    return storeUrl;
  }

  /**
   * Settings of docs/CONFIG.md, name and value in turn: those of stores and those of clients. Certificates that are to be
   * trusted are handed over before, and stand there by their number.
   */
  String[] nativeSettings() {
    List<String> all = new ArrayList<>();
    natives.forEach(
        (name, value) -> {
          all.add(name);
          all.add(value);
        });
    if (!trusted.isEmpty()) {
      all.add("trusted");
      all.add(String.valueOf(Native.trust(trusted.toArray(new byte[0][]))));
    }
    return all.toArray(new String[0]);
  }

  /** Bytes of a block, as statuses tell it. */
  long blockSize() {
    return blockSize;
  }

  /** Objects of a directory renamed at once. */
  int renameWidth() {
    return renameWidth;
  }

  /** Whether many objects are deleted by one request. */
  boolean batchDelete() {
    return batchDelete;
  }

  /** Objects of such a request, at most. */
  int batchDeleteSize() {
    return batchDeleteSize;
  }

  /** Entries of a page of a listing. */
  int listPageSize() {
    return listPageSize;
  }

  /** Whether a directory is there by its marker alone. */
  boolean requireDirectoryMarker() {
    return requireDirectoryMarker;
  }

  /** Whether a create with overwrite replaces what is there. */
  boolean overwriteAllowed() {
    return overwriteAllowed;
  }

  /** Whether create looks at nothing before it writes. */
  boolean createPerformance() {
    return createPerformance;
  }

  /** Whether getFileChecksum tells the CRC-32C of the object. */
  boolean crc32cChecksum() {
    return crc32cChecksum;
  }

  /** Bytes of a columnar file's end that its status brings along; 0 for a plain HEAD. */
  int statusTail() {
    return statusTail;
  }

  /** The policy of a stream whose opener names none: one of {@link Native}'s. */
  int readPolicy() {
    return readPolicy;
  }

  /** Statuses to keep; 0 keeps none. */
  long statusCacheEntries() {
    return statusCacheEntries;
  }

  /** How long one is kept. */
  long statusCacheMillis() {
    return statusCacheMillis;
  }

  /** Gives out what requests are signed with; null where the settings name that. */
  Credentials credentials() {
    return credentials;
  }

  /** The file for the histograms of the process at its end; null for none. */
  String profilePath() {
    return profilePath;
  }
}
