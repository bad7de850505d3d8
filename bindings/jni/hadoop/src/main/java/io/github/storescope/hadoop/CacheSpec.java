// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

/**
 * How many entries a cache has and how long each stays, as Guava's text says it: {@code maximumSize=1024,expireAfterWrite=5m}.
 */
final class CacheSpec {

  /** Entries; {@link Long#MAX_VALUE} where there is no bound. */
  final long entries;
  /** Milliseconds since an entry was made; {@link Long#MAX_VALUE} where there is no bound. */
  final long millis;

  private CacheSpec(long entries, long millis) {
    this.entries = entries;
    this.millis = millis;
  }

  /**
   * Reads a text. What says how a cache is built, and not what it holds, has no effect. {@code expireAfterAccess} is taken
   * for {@code expireAfterWrite} where it is shorter: nothing stays longer than it says.
   */
  static CacheSpec parse(String key, String text) {
    long entries = Long.MAX_VALUE;
    long millis = Long.MAX_VALUE;
    for (String part : text.split(",")) {
      String[] pair = part.trim().split("\\s*=\\s*", 2);
      String value = pair.length > 1 ? pair[1] : "";
      switch (pair[0]) {
        case "maximumSize":
          entries = number(key, part, value);
          break;
        case "expireAfterWrite":
        case "expireAfterAccess":
          millis = Math.min(millis, duration(key, part, value));
          break;
        case "":
        case "initialCapacity":
        case "concurrencyLevel":
        case "recordStats":
        case "softValues":
        case "weakKeys":
        case "weakValues":
          break;
        default:
          throw new IllegalArgumentException(
              key + "=" + text + ": " + part.trim() + " is not known; expected maximumSize=NUMBER,expireAfterWrite=TIME");
      }
    }
    return new CacheSpec(entries, millis);
  }

  private static long number(String key, String part, String text) {
    try {
      long number = Long.parseLong(text);
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new IllegalArgumentException(key + ": " + part.trim() + ": expected a whole number");
  }

  private static long duration(String key, String part, String text) {
    String digits = text.isEmpty() ? "" : text.substring(0, text.length() - 1);
    long unit;
    switch (text.isEmpty() ? ' ' : text.charAt(text.length() - 1)) {
      case 'd':
        unit = 86_400_000;
        break;
      case 'h':
        unit = 3_600_000;
        break;
      case 'm':
        unit = 60_000;
        break;
      case 's':
        unit = 1000;
        break;
      default:
        throw new IllegalArgumentException(key + ": " + part.trim() + ": expected a number and d, h, m or s");
    }
    return Math.multiplyExact(number(key, part, digits), unit);
  }
}
