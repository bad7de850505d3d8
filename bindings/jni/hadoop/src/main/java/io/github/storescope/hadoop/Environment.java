// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.util.List;
import java.util.function.UnaryOperator;

/** Environment variables, as the core reads them: an empty one is not set. */
final class Environment {

  private final UnaryOperator<String> variables;
  private final CoreSettings table;

  Environment(UnaryOperator<String> variables, CoreSettings table) {
    this.variables = variables;
    this.table = table;
  }

  boolean has(String variable) {
    String value = variables.apply(variable);
    return value != null && !value.isEmpty();
  }

  /** Whether any variable of any of these settings is set. */
  boolean gives(List<String> settings) {
    return settings.stream().flatMap(setting -> table.variables(setting).stream()).anyMatch(this::has);
  }

  /** Whether a setting's own variable is set: {@code STORESCOPE_…}. */
  boolean givesOwn(String setting) {
    return has(table.variables(setting).get(0));
  }
}
