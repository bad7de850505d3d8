// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

/** Objects and prefixes, column by column: made by the native library, a page at a time. */
final class Entries {

  /** In {@link #sizes}: a prefix, whose key ends with {@code /}. */
  static final long PREFIX = -1;

  /** In {@link #crc32c}: none was told. */
  static final long NO_CHECKSUM = -1;

  /** Names of objects, below the bucket, or prefixes. */
  final String[] keys;
  /** Bytes, or {@link #PREFIX}. */
  final long[] sizes;
  /** Milliseconds since 1970; 0 where it is not known. */
  final long[] modified;
  /** Entity tags; null where there is none. */
  final String[] etags;
  /** CRC-32C of the whole object, or {@link #NO_CHECKSUM}. Listings tell none. */
  final long[] crc32c;

  /** Called from native code. */
  Entries(String[] keys, long[] sizes, long[] modified, String[] etags, long[] crc32c) {
    this.keys = keys;
    this.sizes = sizes;
    this.modified = modified;
    this.etags = etags;
    this.crc32c = crc32c;
  }

  int count() {
    return keys.length;
  }

  boolean isPrefix(int at) {
    return sizes[at] == PREFIX;
  }
}
