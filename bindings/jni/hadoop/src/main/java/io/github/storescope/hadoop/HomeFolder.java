// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import java.nio.file.Path;
import java.nio.file.Paths;

/** Names of files below the user's home folder. */
final class HomeFolder {

  private HomeFolder() {}

  /** A path with a leading {@code ~} made the home folder. */
  static Path path(String text) {
    return text.startsWith("~/") ? Paths.get(System.getProperty("user.home"), text.substring(2)) : Paths.get(text);
  }
}
