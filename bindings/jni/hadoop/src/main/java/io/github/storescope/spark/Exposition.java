// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.spark;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** Metrics as Prometheus' text, 0.0.4: families in the order in which they were named first. */
final class Exposition {

  static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private final Map<String, StringBuilder> families = new LinkedHashMap<>();
  private final String common;

  /**
   * Nothing yet.
   *
   * @param common labels that all samples have: name, value, name, value
   */
  Exposition(String... common) {
    this.common = labels(common);
  }

  /** Names a family, so that it is there without samples, too. */
  Exposition family(String name, String type, String help) {
    families.put(
        name, new StringBuilder("# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n"));
    return this;
  }

  /** Adds a sample to a family that was named; labels as name, value, name, value. */
  void sample(String family, double value, String... labels) {
    String own = labels(labels);
    String separator = own.isEmpty() || common.isEmpty() ? "" : ",";
    families.get(family)
        .append(family).append('{').append(common).append(separator).append(own).append("} ")
        .append(number(value)).append('\n');
  }

  private static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.9f", value);
  }

  private static String labels(String... labels) {
    StringBuilder text = new StringBuilder();
    for (int at = 0; at < labels.length; at += 2) {
      text.append(at == 0 ? "" : ",").append(labels[at]).append("=\"").append(escaped(labels[at + 1])).append('"');
    }
    return text.toString();
  }

  private static String escaped(String value) {
    return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
  }

  /** The text of all families. */
  String text() {
    return String.join("", families.values());
  }
}
