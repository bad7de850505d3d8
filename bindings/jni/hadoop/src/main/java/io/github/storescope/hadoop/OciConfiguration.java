// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;

/** The keys of Oracle's connector ({@link OciKey}) in a Configuration, as one bucket has them. */
final class OciConfiguration {

  /** What a region looks like behind the namespace. */
  private static final Pattern WITH_REGION = Pattern.compile("(.+)\\.([a-zA-Z0-9-]{3,})");

  final String bucket;
  final String namespace;
  /** The URI's; null where it names none. */
  final String region;

  private final List<String> suffixes;
  private final Configuration conf;
  private final Values values;

  /**
   * @param authority {@code bucket@namespace}, or {@code bucket@namespace.region} where that is enabled
   */
  OciConfiguration(String authority, Configuration conf, Values values) throws IOException {
    this.conf = conf;
    this.values = values;
    int at = authority.indexOf('@');
    bucket = at < 0 ? authority : authority.substring(0, at);
    String named = authority.substring(at + 1);
    if (at <= 0 || named.isEmpty() || named.indexOf('@') >= 0 || authority.indexOf(':') >= 0) {
      throw new IOException(
          "oci://" + authority + " is not oci://BUCKET@NAMESPACE: "
              + (at < 0
                  ? "the namespace is missing; `oci os ns get` tells it, or the console's page of the tenancy"
                  : "write one of each"));
    }
    String ofNamed = "." + bucket + "." + named;
    Matcher parts = WITH_REGION.matcher(named);
    if (flag(OciKey.MULTIREGION, List.of(ofNamed)) && parts.matches()) {
      namespace = parts.group(1);
      region = parts.group(2);
      suffixes = List.of(ofNamed, "." + bucket + "." + namespace);
    } else {
      namespace = named;
      region = null;
      suffixes = List.of(ofNamed);
    }
  }

  /** Warns of what has no effect, and of what is not known. */
  void warn() {
    for (OciKey key : OciKey.values()) {
      boolean silent = key.treatment == OciKey.Treatment.HONOURED || key.treatment == OciKey.Treatment.MAPPED;
      if (!silent && isSet(key) && !key.fallback.equalsIgnoreCase(text(key))) {
        Warnings.once(name(key) + " has no effect: " + key.becomes.replace("`", ""));
      }
    }
    for (Map.Entry<String, String> entry : conf) {
      String name = entry.getKey();
      if (OciKey.isUnknown(name)) {
        Warnings.once(name + " is not known, and has no effect; the nearest that is: " + OciKey.nearest(name));
      }
    }
  }

  /** A key that is not Oracle's, of the same prefix. */
  boolean isTrue(String key) {
    return conf.getBoolean(key, false);
  }

  /** The value; null where there is none. */
  String text(OciKey key) {
    String name = key(key, suffixes);
    return name == null ? null : values.text(name);
  }

  boolean isSet(OciKey key) {
    return text(key) != null;
  }

  boolean flag(OciKey key) {
    return flag(key, suffixes);
  }

  private boolean flag(OciKey key, List<String> suffixes) {
    String name = key(key, suffixes);
    return name != null && values.flag(name);
  }

  long number(OciKey key, long least, long most) {
    return values.number(key(key, suffixes), least, most);
  }

  /** What the key is called where it is set, for messages. */
  String name(OciKey key) {
    String name = key(key, suffixes);
    return name == null ? key.key : name;
  }

  /** The name under which a key is set: the bucket's, its own, its deprecated twin. Null if under none. */
  private String key(OciKey key, List<String> suffixes) {
    for (String suffix : suffixes) {
      if (values.text(key.key + suffix) != null) {
        return key.key + suffix;
      }
    }
    String twin = key.twin();
    boolean old = twin != null && values.text(twin) != null;
    if (old && values.text(key.key) != null) {
      throw new IllegalArgumentException(
          "both " + key.key + " and its deprecated twin " + twin + " are set: use one or the other, but not both");
    }
    return old ? twin : values.text(key.key) != null ? key.key : null;
  }

  /** The credentials of the class that a key names; null where there is no such class. */
  Credentials credentials(OciKey key) throws IOException {
    return CredentialsClass.make(name(key), text(key), URI.create("oci://" + bucket + "@" + namespace), conf);
  }

  /** A secret, which a credential provider may hold; null where there is none. */
  String secret(OciKey key) throws IOException {
    return values.secret(keysOfSecret(key));
  }

  /** The names of a secret, in the order of search; both of a pair are an error, wherever they are. */
  private List<String> keysOfSecret(OciKey key) throws IOException {
    List<String> keys = new ArrayList<>();
    for (String suffix : suffixes) {
      keys.add(key.key + suffix);
    }
    boolean both = values.secret(List.of(key.key)) != null && values.secret(List.of(key.twin())) != null;
    if (both && values.secret(keys) == null) {
      throw new IllegalArgumentException(
          "both " + key.key + " and its deprecated twin " + key.twin() + " are set: use one or the other, but not both");
    }
    keys.add(key.key);
    keys.add(key.twin());
    return keys;
  }
}
