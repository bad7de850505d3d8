// SPDX-License-Identifier: Apache-2.0
package io.github.storescope.benches;

import io.github.storescope.hadoop.Recording;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What timing adds to a read of a FileSystem that is not ours: a local file's, from the page cache. FILE BYTES READS ROUNDS.
 * Rounds of positional reads with and without it by turns; prints the nanoseconds of a read in each, the first five rounds left
 * out.
 */
public final class TimedReads {

  private static final int WARM = 5;

  private TimedReads() {}

  public static void main(String[] arguments) throws Exception {
    Path path = new Path("file://" + arguments[0]);
    byte[] bytes = new byte[Integer.parseInt(arguments[1])];
    int reads = Integer.parseInt(arguments[2]);
    Configuration timed = new Configuration();
    timed.set("fs.file.impl", "io.github.storescope.hadoop.TimedLocalFileSystem");
    Recording.Scope scope = new Recording.Scope("bench");
    Recording.attribute(() -> scope);
    List<Double> with = new ArrayList<>();
    List<Double> without = new ArrayList<>();
    try (FileSystem theirs = FileSystem.newInstance(path.toUri(), new Configuration());
        FileSystem ours = FileSystem.newInstance(path.toUri(), timed);
        FSDataInputStream plain = theirs.open(path);
        FSDataInputStream recorded = ours.open(path)) {
      for (int round = 0; round < WARM + Integer.parseInt(arguments[3]); round++) {
        double first = nanos(round % 2 == 0 ? plain : recorded, bytes, reads);
        double second = nanos(round % 2 == 0 ? recorded : plain, bytes, reads);
        if (round >= WARM) {
          without.add(round % 2 == 0 ? first : second);
          with.add(round % 2 == 0 ? second : first);
        }
      }
    }
    List<Double> added = new ArrayList<>();
    for (int round = 0; round < with.size(); round++) {
      added.add(with.get(round) - without.get(round));
    }
    System.out.printf(
        "%d bytes a read: %s ns without, %s ns with, %s ns added%n", bytes.length, told(without), told(with), told(added));
  }

  private static double nanos(FSDataInputStream in, byte[] bytes, int reads) throws Exception {
    long begun = System.nanoTime();
    for (int read = 0; read < reads; read++) {
      in.readFully((long) read % 16 * bytes.length, bytes, 0, bytes.length);
    }
    return (double) (System.nanoTime() - begun) / reads;
  }

  /** The median, and the order statistics around it that hold it with 95 %. */
  private static String told(List<Double> values) {
    List<Double> ordered = new ArrayList<>(values);
    Collections.sort(ordered);
    int middle = ordered.size() / 2;
    int reach = (int) (0.98 * Math.sqrt(ordered.size()));
    return String.format(
        "%.0f [%.0f, %.0f]",
        ordered.get(middle), ordered.get(Math.max(0, middle - reach)), ordered.get(Math.min(ordered.size() - 1, middle + reach)));
  }
}
