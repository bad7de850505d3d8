// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Reads files in tasks, a stopwatch around each call that reads: `Stopwatch URL FILES BYTES_A_READ`. Prints how many nanoseconds
 * all calls took, and how many bytes were read.
 */
public final class Stopwatch {

  public static void main(String[] arguments) {
    SparkSession spark = SparkSession.builder().appName("stopwatch").getOrCreate();
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    List<Integer> numbers = new ArrayList<>();
    for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
      numbers.add(number);
    }
    String url = arguments[0];
    int length = Integer.parseInt(arguments[2]);
    List<long[]> told = context.parallelize(numbers, numbers.size()).map(number -> read(url, number, length)).collect();
    spark.stop();
    long nanos = told.stream().mapToLong(one -> one[0]).sum();
    long bytes = told.stream().mapToLong(one -> one[1]).sum();
    System.out.printf("{\"nanos\": %d, \"bytes\": %d}%n", nanos, bytes);
  }

  private static long[] read(String url, int number, int length) throws IOException {
    Path path = new Path(url, "file-" + number);
    Configuration conf = new Configuration();
    byte[] bytes = new byte[length];
    long read = 0;
    FileSystem files = path.getFileSystem(conf);
    long begun = System.nanoTime();
    try (FSDataInputStream in = files.open(path)) {
      for (int filled = in.read(bytes); filled >= 0; filled = in.read(bytes)) {
        read += filled;
      }
    }
    return new long[] {System.nanoTime() - begun, read};
  }
}
