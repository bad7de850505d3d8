// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.hadoop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ObjectNamesTest {

  private final ObjectNames keys = new ObjectNames(URI.create("oci://my_bucket@space"));

  @ParameterizedTest
  @ValueSource(
      strings = {"a", "a/b", "a b", "a%20b", "a?b#c", "a:b", "ä/Ω/😀", "date=2026-01-01/part-0.parquet", "a+b&c", "a\\b"})
  void aNameAndItsPathAreTheSameText(String key) {
    Path path = keys.path(key);
    assertEquals(key, keys.of(path));
    assertEquals("my_bucket@space", path.toUri().getAuthority());
    assertTrue(ObjectNames.hasPath(key));
  }

  @Test
  void aMarkerHasThePathOfItsDirectory() {
    assertEquals(new Path("oci://my_bucket@space/a/b"), keys.path("a/b/"));
    assertEquals("a/b/", ObjectNames.marker(keys.of(keys.path("a/b/"))));
  }

  @Test
  void theBucketIsTheEmptyName() {
    assertEquals("", keys.of(new Path("oci://my_bucket@space/")));
    assertEquals(new Path("oci://my_bucket@space/"), keys.path(""));
    assertEquals("", ObjectNames.marker(""));
    assertEquals("a", ObjectNames.child("", "a"));
    assertTrue(ObjectNames.isBelow("a", ""));
    assertFalse(ObjectNames.isBelow("", ""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/", "/a", "a//b", "a//", "./a", "a/.", "a/../b", ".."})
  void whatNoPathNamesIsKnown(String key) {
    assertFalse(ObjectNames.hasPath(key));
  }

  @ParameterizedTest
  @ValueSource(strings = {"a/", "...", ".a", "a.", "a/.b/", "..a/b"})
  void dotsAreLetters(String key) {
    assertTrue(ObjectNames.hasPath(key));
  }

  @Test
  void namesHaveParents() {
    assertEquals("a/b", ObjectNames.parent("a/b/c"));
    assertEquals("", ObjectNames.parent("a"));
    assertEquals("c", ObjectNames.name("a/b/c"));
    assertEquals("a", ObjectNames.name("a"));
    assertTrue(ObjectNames.isBelow("a/b", "a"));
    assertFalse(ObjectNames.isBelow("ab", "a"));
    assertFalse(ObjectNames.isBelow("a", "a"));
  }

  /** Hadoop's cache of FileSystems gives one for both. */
  @Test
  void aBucketThatDiffersInCaseIsAnother() {
    assertThrows(IllegalArgumentException.class, () -> keys.of(new Path("oci://My_bucket@space/a")));
  }
}
