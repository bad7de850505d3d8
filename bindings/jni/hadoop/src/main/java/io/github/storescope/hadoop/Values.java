// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Values of a Configuration, each of the first of several keys that is set. Errors name the key. */
final class Values {

  private final Configuration conf;

  Values(Configuration conf) {
    this.conf = conf;
  }

  /** The first of the keys that has a value; null if none has. */
  String key(List<String> keys) {
    for (String key : keys) {
      if (text(key) != null) {
        return key;
      }
    }
    return null;
  }

  /** The trimmed value; null where there is none, or an empty one. */
  String text(String key) {
    String text = conf.getTrimmed(key);
    return text == null || text.isEmpty() ? null : text;
  }

  /** The value of a secret, which a credential provider may hold; null where there is none. */
  String secret(List<String> keys) throws IOException {
    for (String key : keys) {
      char[] password = conf.getPassword(key);
      if (password != null && password.length > 0) {
        return new String(password).trim();
      }
    }
    return null;
  }

  /** What is neither true nor false is false, as Hadoop takes it, with a warning. */
  boolean flag(String key) {
    String text = text(key);
    if (!"true".equalsIgnoreCase(text) && !"false".equalsIgnoreCase(text)) {
      Warnings.once(key + "=" + text + " is neither true nor false: taken for false");
    }
    return "true".equalsIgnoreCase(text);
  }

  /** A whole number, plain. */
  long number(String key, long least, long most) {
    String text = text(key);
    try {
      return between(key, Long.parseLong(text), least, most);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(key + "=" + text + ": expected a plain whole number", e);
    }
  }

  /** A number of bytes, with or without a suffix of powers of 1024 ({@code k}, {@code M}, {@code G} …). */
  long bytes(String key, long least, long most) {
    long bytes;
    try {
      bytes = conf.getLongBytes(key, least);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(key + "=" + text(key) + ": expected a number of bytes, such as 64M", e);
    }
    return between(key, bytes, least, most);
  }

  /** A time in milliseconds, or with a unit ({@code 30s}). */
  long millis(String key) {
    String text = text(key);
    String number = text.replaceFirst("[a-zA-Z]+$", "");
    try {
      BigDecimal amount = new BigDecimal(number.trim());
      return between(
          key, amount.multiply(unit(key, text.substring(number.length()))).longValueExact(), 0, Long.MAX_VALUE);
    } catch (NumberFormatException | ArithmeticException e) {
      throw new IllegalArgumentException(key + "=" + text + ": expected milliseconds, or a time such as 30s", e);
    }
  }

  private BigDecimal unit(String key, String unit) {
    switch (unit.toLowerCase(java.util.Locale.ROOT)) {
      case "":
      case "ms":
        return BigDecimal.ONE;
      case "s":
        return BigDecimal.valueOf(1000);
      case "m":
        return BigDecimal.valueOf(60_000);
      case "h":
        return BigDecimal.valueOf(3_600_000);
      case "d":
        return BigDecimal.valueOf(86_400_000);
      default:
        throw new IllegalArgumentException(key + "=" + text(key) + ": the unit " + unit + " is not known: ms, s, m, h or d");
    }
  }

  private long between(String key, long number, long least, long most) {
    if (number < least || number > most) {
      throw new IllegalArgumentException(
          key + "=" + text(key) + ": expected "
              + (most == Long.MAX_VALUE ? "at least " + least : "from " + least + " to " + most));
    }
    return number;
  }
}
