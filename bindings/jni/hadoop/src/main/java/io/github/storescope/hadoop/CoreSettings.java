// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The core's table of settings, which docs/CONFIG.md shows: the names of all, which of them are secrets, and the environment
 * variables of each. Java has no list of its own.
 */
final class CoreSettings {

  /** The strings of one setting in what {@link Native#settings} answers. */
  private static final int FIELDS = 3;

  private static CoreSettings ofCore;

  private final List<String> secrets = new ArrayList<>();
  private final Map<String, List<String>> variables = new LinkedHashMap<>();

  private CoreSettings(String[] rows) {
    for (int at = 0; at < rows.length; at += FIELDS) {
      String name = rows[at];
      if (rows[at + 1].equals("secret")) {
        secrets.add(name);
      }
      variables.put(name, List.of(rows[at + 2].split(" ")));
    }
  }

  /** Loads the native library, if it was not yet. */
  static synchronized CoreSettings ofCore() throws IOException {
    if (ofCore == null) {
      Library.load();
      ofCore = new CoreSettings(Native.settings());
    }
    return ofCore;
  }

  /** The settings that are secrets: a credential provider may hold them. */
  List<String> secrets() {
    return List.copyOf(secrets);
  }

  /** The environment variables of a setting, in the order in which the core reads them: {@code STORESCOPE_…} first. */
  List<String> variables(String setting) {
    return variables.get(setting);
  }

  /** The OCI configuration files that are looked for where nothing names one; {@code ~/} stands for the home folder. */
  List<String> configFiles() {
    return List.of(Native.configFiles());
  }
}
